"""The texts of the page that signs in to Teamleader Orbit."""

from __future__ import annotations

from typing import Final

TEXTS: Final = {
    "en": {
        "orbit.title": "Teamleader Orbit: sign-in",
        "orbit.nav": "Orbit sign-in",
        "orbit.explanation": (
            "A connection to Teamleader Orbit works with the session of a person who signed in. "
            "Airflow keeps that session encrypted and renews it by itself."
        ),
        "orbit.none": "There is no connection of the type Teamleader Orbit that you may see.",
    },
    "nl": {
        "orbit.title": "Teamleader Orbit: aanmelden",
        "orbit.nav": "Aanmelden bij Orbit",
        "orbit.explanation": (
            "Een verbinding met Teamleader Orbit werkt met de sessie van iemand die zich aanmeldde. "
            "Airflow bewaart die sessie versleuteld en verlengt haar zelf."
        ),
        "orbit.none": "Er is geen verbinding van het type Teamleader Orbit die u mag zien.",
    },
}
