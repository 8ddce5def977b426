"""The texts of the page that signs in to Teamleader Orbit."""

from __future__ import annotations

from typing import Final

TEXTS: Final = {
    "en": {
        "orbit.title": "Teamleader Orbit: sign-in",
        "orbit.explanation": (
            "A connection to Teamleader Orbit works with the session of a person who signed in. "
            "Airflow keeps that session encrypted and renews it by itself."
        ),
        "orbit.none": (
            "There is no connection of the type Teamleader Orbit that you may see. Connections in a secrets "
            "backend are not listed: sign those in with the command airflow visma orbit-login."
        ),
        "orbit.state": "State",
        "orbit.state.signed_in": "Signed in",
        "orbit.state.ends": "Signed in, but the session cannot be renewed",
        "orbit.state.ended": "Sign in again: the session has ended",
        "orbit.state.from_connection": "The refresh token in the connection will be used",
        "orbit.state.none": "Not signed in",
        "orbit.state.unreadable": "The stored session cannot be read",
        "orbit.state.unusable": "The connection cannot be used",
        "orbit.problem_label": "Problem",
        "orbit.obtained": "Obtained or last renewed",
        "orbit.expires": "Access token until",
        "orbit.expires.unknown": "Orbit did not say",
        "orbit.redirect_uri": "Orbit returns the browser to",
        "orbit.redirect_uri.unknown": (
            "nowhere yet: fill in redirect_uri in the connection, or set [api] base_url in Airflow"
        ),
        "orbit.environment": "Defined in the environment of the API server",
        "orbit.sign_in": "Sign in",
        "orbit.sign_in_again": "Sign in again",
        "orbit.check": "Check",
        "orbit.checked": "Orbit accepts the session of {conn_id}.",
        "orbit.sign_out": "Sign out",
        "orbit.new_tab": "The sign-in opens in a new tab. Come back here afterwards and paste its address.",
        "orbit.framed": (
            "A sign-in leaves Airflow, and the frame in which Airflow shows this page lets nothing leave. "
            "Choose Admin, Orbit sign-in: that opens the page in a tab of its own."
        ),
        "orbit.look_only": "You may see this connection; signing it in takes the right to edit it.",
        "orbit.paste.title": "The browser ended elsewhere",
        "orbit.paste.explanation": (
            "When Orbit sent the browser to another address than this Airflow, copy that whole address from "
            "the address bar, even when the page there shows an error, and paste it here within ten minutes."
        ),
        "orbit.paste.label": "The address on which the browser ended",
        "orbit.paste.submit": "Complete the sign-in",
        "orbit.at_terminal": (
            "This sign-in was begun at a terminal. Copy the whole address of this page from the address bar "
            "and paste it there."
        ),
        "orbit.signed_in": "{conn_id} is signed in.",
        "orbit.signed_out": "Airflow has forgotten the session of {conn_id}.",
        "orbit.problem.state_missing": "Not signed in: the address is incomplete. Use the whole address.",
        "orbit.problem.state_forged": "Not signed in: this was not begun in this Airflow. Begin again.",
        "orbit.problem.state_expired": "Not signed in: more than ten minutes have passed. Begin again.",
        "orbit.problem.state_used": "Not signed in: this sign-in has been used before. Begin again.",
        "orbit.problem.other_user": "Not signed in: somebody else began this sign-in. Begin again.",
        "orbit.problem.not_allowed": "Not signed in: you need the right to edit this connection in Airflow.",
        "orbit.problem.code_missing": "Not signed in: the address holds no code. Use the whole address.",
        "orbit.problem.connection_changed": (
            "Not signed in: the connection was changed in the meantime. Begin again."
        ),
        "orbit.problem.access_denied": "Not signed in: access was denied in Orbit.",
        "orbit.problem.other": "This did not work. {reason}",
    },
    "nl": {
        "orbit.title": "Teamleader Orbit: aanmelden",
        "orbit.explanation": (
            "Een verbinding met Teamleader Orbit werkt met de sessie van iemand die zich aanmeldde. "
            "Airflow bewaart die sessie versleuteld en verlengt haar zelf."
        ),
        "orbit.none": (
            "Er is geen verbinding van het type Teamleader Orbit die u mag zien. Verbindingen in een secrets "
            "backend staan hier niet: meld die aan met de opdracht airflow visma orbit-login."
        ),
        "orbit.state": "Toestand",
        "orbit.state.signed_in": "Aangemeld",
        "orbit.state.ends": "Aangemeld, maar de sessie kan niet verlengd worden",
        "orbit.state.ended": "Meld opnieuw aan: de sessie is afgelopen",
        "orbit.state.from_connection": "Het refresh token in de verbinding wordt gebruikt",
        "orbit.state.none": "Niet aangemeld",
        "orbit.state.unreadable": "De bewaarde sessie is onleesbaar",
        "orbit.state.unusable": "De verbinding is onbruikbaar",
        "orbit.problem_label": "Probleem",
        "orbit.obtained": "Verkregen of laatst verlengd",
        "orbit.expires": "Toegangstoken tot",
        "orbit.expires.unknown": "Orbit zei het niet",
        "orbit.redirect_uri": "Orbit stuurt de browser terug naar",
        "orbit.redirect_uri.unknown": (
            "nog nergens: vul redirect_uri in de verbinding in, of stel [api] base_url in Airflow in"
        ),
        "orbit.environment": "Staat in de omgeving van de API-server",
        "orbit.sign_in": "Aanmelden",
        "orbit.sign_in_again": "Opnieuw aanmelden",
        "orbit.check": "Controleren",
        "orbit.checked": "Orbit aanvaardt de sessie van {conn_id}.",
        "orbit.sign_out": "Afmelden",
        "orbit.new_tab": "Het aanmelden opent in een nieuw tabblad. Kom daarna hier terug en plak het adres.",
        "orbit.framed": (
            "Aanmelden gaat buiten Airflow om, en het kader waarin Airflow deze pagina toont laat dat niet "
            "toe. Kies Admin, Orbit sign-in: dat opent de pagina in een eigen tabblad."
        ),
        "orbit.look_only": "U mag deze verbinding zien; voor aanmelden is het recht nodig haar te wijzigen.",
        "orbit.paste.title": "De browser kwam ergens anders uit",
        "orbit.paste.explanation": (
            "Stuurde Orbit de browser naar een ander adres dan deze Airflow, kopieer dan dat hele adres "
            "uit de adresbalk, ook als de pagina daar een fout toont, en plak het hier binnen tien minuten."
        ),
        "orbit.paste.label": "Het adres waarop de browser uitkwam",
        "orbit.paste.submit": "Aanmelden voltooien",
        "orbit.at_terminal": (
            "Dit aanmelden is in een terminal begonnen. Kopieer het hele adres van deze pagina uit de "
            "adresbalk en plak het daar."
        ),
        "orbit.signed_in": "{conn_id} is aangemeld.",
        "orbit.signed_out": "Airflow is de sessie van {conn_id} vergeten.",
        "orbit.problem.state_missing": "Niet aangemeld: het adres is onvolledig. Gebruik het hele adres.",
        "orbit.problem.state_forged": "Niet aangemeld: dit is niet in deze Airflow begonnen. Begin opnieuw.",
        "orbit.problem.state_expired": "Niet aangemeld: de tien minuten zijn voorbij. Begin opnieuw.",
        "orbit.problem.state_used": "Niet aangemeld: dit aanmelden is al eens gebruikt. Begin opnieuw.",
        "orbit.problem.other_user": "Niet aangemeld: iemand anders begon hieraan. Begin opnieuw.",
        "orbit.problem.not_allowed": (
            "Niet aangemeld: hiervoor is het recht nodig om deze verbinding in Airflow te wijzigen."
        ),
        "orbit.problem.code_missing": "Niet aangemeld: het adres bevat geen code. Gebruik het hele adres.",
        "orbit.problem.connection_changed": (
            "Niet aangemeld: de verbinding is intussen gewijzigd. Begin opnieuw."
        ),
        "orbit.problem.access_denied": "Niet aangemeld: de toegang is in Orbit geweigerd.",
        "orbit.problem.other": "Dit is niet gelukt. {reason}",
    },
}
