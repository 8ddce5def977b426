"""Every text of the pages, in Dutch and English, with the same keys in both.

A screen keeps its texts in a module of its own and is named in ``_SCREENS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from airflow_provider_visma.plugin import dialog_texts, dialog_users_texts, orbit_texts

DUTCH: Final = "nl"
ENGLISH: Final = "en"

_COMMON: Final = {
    ENGLISH: {
        "app.title": "Visma",
        "app.skip": "Skip to the content",
        "app.back": "Back to Airflow",
        "app.languages": "Language",
        "app.signed_in_as": "Signed in to Airflow as {user}",
        "problem.title": "This did not work",
        "problem.read": "You need the right to read connections in Airflow to see this page.",
        "problem.edit": "You need the right to edit this connection in Airflow to do this.",
        "problem.cross-site": "This request did not come from a page of Airflow. Nothing was done.",
        "problem.form-expired": "The form has expired or belongs to another user. Open the page again.",
        "problem.form": "This form cannot be read. Nothing was done.",
        "problem.404": "This page does not exist.",
        "problem.405": "This address cannot be used in this way.",
        "problem.other": "Something went wrong. The log of the API server says more.",
        "problem.again": "Open the page again",
    },
    DUTCH: {
        "app.title": "Visma",
        "app.skip": "Naar de inhoud",
        "app.back": "Terug naar Airflow",
        "app.languages": "Taal",
        "app.signed_in_as": "In Airflow aangemeld als {user}",
        "problem.title": "Dit is niet gelukt",
        "problem.read": "Voor deze pagina is het recht nodig om verbindingen in Airflow te lezen.",
        "problem.edit": "Hiervoor is het recht nodig om deze verbinding in Airflow te wijzigen.",
        "problem.cross-site": "Dit verzoek kwam niet van een pagina van Airflow. Er is niets gedaan.",
        "problem.form-expired": "Het formulier is verlopen of van een ander. Open de pagina opnieuw.",
        "problem.form": "Dit formulier is onleesbaar. Er is niets gedaan.",
        "problem.404": "Deze pagina bestaat niet.",
        "problem.405": "Dit adres kan niet op deze manier gebruikt worden.",
        "problem.other": "Er ging iets mis. Het logboek van de API-server zegt meer.",
        "problem.again": "Open de pagina opnieuw",
    },
}
_SCREENS: Final = (_COMMON, orbit_texts.TEXTS, dialog_texts.TEXTS, dialog_users_texts.TEXTS)

#: Every text by language and key.
TEXTS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        language: MappingProxyType(
            {key: text for screen in _SCREENS for key, text in screen[language].items()}
        )
        for language in (DUTCH, ENGLISH)
    }
)
#: What each language calls itself.
LANGUAGES: Final[Mapping[str, str]] = MappingProxyType({DUTCH: "Nederlands", ENGLISH: "English"})


def text(language: str, key: str, **values: object) -> str:
    """Return a text with its values filled in.

    :raises KeyError: when there is no such text: a mistake in a template.
    """
    return TEXTS[language][key].format(**values)


def preferred(accept_language: str) -> str:
    """Return the language that a browser prefers among ours; English when it wants none of them.

    :param accept_language: the header, e.g. ``nl-NL,nl;q=0.9,en;q=0.8`` (RFC 9110, 12.5.4).
    """
    weighed = []
    for position, part in enumerate(accept_language.split(",")):
        tag, _, weight = part.strip().partition(";q=")
        language = tag.strip().partition("-")[0].lower()
        if language in LANGUAGES:
            weighed.append((-_weight(weight), position, language))
    return min(weighed)[2] if weighed else ENGLISH


def _weight(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0
