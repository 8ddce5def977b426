"""The texts of Dialog's integration screen: the users."""

from __future__ import annotations

from typing import Final

TEXTS: Final = {
    "en": {
        "dialog.users.filter": "Which users",
        "dialog.users.search": "Name, address or employee number",
        "dialog.users.state": "State",
        "dialog.users.department": "Department",
        "dialog.users.all": "all",
        "dialog.users.show": "Show",
        "dialog.users.no_filter": "This Dialog cannot search or filter: these are all its users.",
        "dialog.users.no_states": "This Dialog knows no states: nobody can be invited or linked from here.",
        "dialog.users.shown": "Users {first} to {last} of {total}",
        "dialog.users.tick": "Tick",
        "dialog.users.tick_all": "Tick everybody on this page",
        "dialog.users.tick_one": "Tick {name}",
        "dialog.users.name": "Name",
        "dialog.users.email": "Work e-mail",
        "dialog.users.function": "Function",
        "dialog.users.employment": "Employment",
        "dialog.users.action": "Action",
        "dialog.users.pages": "Pages of the list",
        "dialog.users.page.first": "First",
        "dialog.users.page.previous": "Previous",
        "dialog.users.page.next": "Next",
        "dialog.users.page.last": "Last",
        "dialog.state.imported": "imported",
        "dialog.state.invited": "invited",
        "dialog.state.linked": "linked",
        "dialog.invite": "Invite",
        "dialog.invite.ticked": "Invite everybody who is ticked",
        "dialog.invite.explanation": (
            "From then on changes in Nmbrs no longer reach whoever is invited. It can be undone for a "
            "short while."
        ),
        "dialog.invite.nobody": "Nobody is ticked.",
        "dialog.invite.done": "Invited: {count} of {of}.",
        "dialog.undo": "Undo",
        "dialog.undo.until": "until {moment}",
        "dialog.undo.done": "Taken back: {count} of {of}.",
        "dialog.link": "Link…",
        "dialog.link.title": "Link {name} with an existing user",
        "dialog.link.explanation": (
            "From then on changes in Nmbrs no longer reach this user. It can be undone for a short while."
        ),
        "dialog.link.search": "Name or address of the existing user",
        "dialog.link.look": "Look for users",
        "dialog.link.found": "Found",
        "dialog.link.suggested": "Suggested, by e-mail address",
        "dialog.link.nobody_found": "No existing user who is free was found.",
        "dialog.link.nobody_suggested": "No existing user has this address. Look for one by name.",
        "dialog.link.no_filter": "This Dialog cannot search, so there is nobody to choose from.",
        "dialog.link.nobody": "Nobody was chosen.",
        "dialog.link.do": "Link",
        "dialog.link.back": "Back to the list",
        "dialog.link.done": "Linked: {count} of {of}.",
        "dialog.outcome.changed_meanwhile": (
            "{count} changed meanwhile: nothing was done. Look at the list again, and repeat it if you "
            "still want to."
        ),
        "dialog.outcome.not_allowed": "{count} not allowed by Dialog, or no longer: nothing was done.",
        "dialog.outcome.taken": "{count} not done: somebody else is linked with that user.",
        "dialog.outcome.gone": "{count} no longer in Dialog.",
        "dialog.outcome.unknown": "{count} without an answer: the list shows what became of it.",
    },
    "nl": {
        "dialog.users.filter": "Welke gebruikers",
        "dialog.users.search": "Naam, adres of medewerkernummer",
        "dialog.users.state": "Status",
        "dialog.users.department": "Afdeling",
        "dialog.users.all": "alle",
        "dialog.users.show": "Tonen",
        "dialog.users.no_filter": "Deze Dialog kan niet zoeken of filteren: dit zijn alle gebruikers.",
        "dialog.users.no_states": (
            "Deze Dialog kent geen status: van hier kan niemand uitgenodigd of gekoppeld worden."
        ),
        "dialog.users.shown": "Gebruikers {first} tot en met {last} van {total}",
        "dialog.users.tick": "Aanvinken",
        "dialog.users.tick_all": "Iedereen op deze pagina aanvinken",
        "dialog.users.tick_one": "{name} aanvinken",
        "dialog.users.name": "Naam",
        "dialog.users.email": "Werkmail",
        "dialog.users.function": "Functie",
        "dialog.users.employment": "Dienstverband",
        "dialog.users.action": "Handeling",
        "dialog.users.pages": "Pagina's van de lijst",
        "dialog.users.page.first": "Eerste",
        "dialog.users.page.previous": "Vorige",
        "dialog.users.page.next": "Volgende",
        "dialog.users.page.last": "Laatste",
        "dialog.state.imported": "geïmporteerd",
        "dialog.state.invited": "uitgenodigd",
        "dialog.state.linked": "gekoppeld",
        "dialog.invite": "Uitnodigen",
        "dialog.invite.ticked": "Iedereen uitnodigen die is aangevinkt",
        "dialog.invite.explanation": (
            "Daarna komen wijzigingen in Nmbrs niet meer bij wie is uitgenodigd. Het kan korte tijd "
            "ongedaan gemaakt worden."
        ),
        "dialog.invite.nobody": "Niemand is aangevinkt.",
        "dialog.invite.done": "Uitgenodigd: {count} van {of}.",
        "dialog.undo": "Ongedaan maken",
        "dialog.undo.until": "tot {moment}",
        "dialog.undo.done": "Teruggedraaid: {count} van {of}.",
        "dialog.link": "Koppelen…",
        "dialog.link.title": "{name} koppelen aan een bestaande gebruiker",
        "dialog.link.explanation": (
            "Daarna komen wijzigingen in Nmbrs niet meer bij deze gebruiker. Het kan korte tijd ongedaan "
            "gemaakt worden."
        ),
        "dialog.link.search": "Naam of adres van de bestaande gebruiker",
        "dialog.link.look": "Gebruikers zoeken",
        "dialog.link.found": "Gevonden",
        "dialog.link.suggested": "Voorgesteld, op mailadres",
        "dialog.link.nobody_found": "Geen bestaande gebruiker gevonden die nog vrij is.",
        "dialog.link.nobody_suggested": "Geen bestaande gebruiker heeft dit adres. Zoek er een op naam.",
        "dialog.link.no_filter": "Deze Dialog kan niet zoeken, dus er is niemand om uit te kiezen.",
        "dialog.link.nobody": "Er is niemand gekozen.",
        "dialog.link.do": "Koppelen",
        "dialog.link.back": "Terug naar de lijst",
        "dialog.link.done": "Gekoppeld: {count} van {of}.",
        "dialog.outcome.changed_meanwhile": (
            "{count} intussen gewijzigd: er is niets gedaan. Bekijk de lijst opnieuw en herhaal het als u"
            " het nog wilt."
        ),
        "dialog.outcome.not_allowed": "{count} niet of niet meer toegestaan door Dialog: er is niets gedaan.",
        "dialog.outcome.taken": "{count} niet gedaan: iemand anders is al aan die gebruiker gekoppeld.",
        "dialog.outcome.gone": "{count} niet meer in Dialog.",
        "dialog.outcome.unknown": "{count} zonder antwoord: de lijst laat zien wat ervan geworden is.",
    },
}
