"""One synthetic person, computed from (seed, index) alone.

Nothing here looks at another person except the messy pairs, which look at their predecessor; so any person
costs the same, in any order, and no list of people exists.

Messy cases, exact for every 100 consecutive people (``(index + seed) % 100``):

====== =====================================================================
slot   case
====== =====================================================================
0      no work e-mail (a private one is there)
1      work e-mail is an empty element
2      no nickname
3      no last name
4      no nickname and no work e-mail
11     same work e-mail as the person before
21     same, in capitals
31     same, with spaces around it
41     same, and no nickname (the two therefore fall under different reasons)
51, 61 same employee number as the person before
====== =====================================================================
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

_MASK: Final = (1 << 64) - 1
_UNUSUAL_EMAIL: Final = frozenset({0, 1, 4, 11, 21, 31, 41})
EMAIL_DOMAIN: Final = "example.com"
FIRST_EMPLOYEE_ID: Final = 500_003
EMPLOYEE_ID_STEP: Final = 3

# fmt: off
NICKNAMES: Final = (
    "Anna", "Bram", "Carlijn", "Daan", "Emma", "Finn", "Guusje", "Hugo", "Iris", "Jan", "Kim", "Lotte",
    "Milan", "Noor", "Oscar", "Pien", "Quinten", "Roos", "Sem", "Tess", "Ulrich", "Vera", "Wout", "Xandra",
    "Yara", "Zoë", "José", "Bjørn", "Łukasz", "Renée", "Şeyma", "Jürgen", "Željka", "Αλέξης", "Ольга", "美咲",
    "D'Arcy",
)
# The word "test" or "example" in many languages: nobody is called this.
LAST_NAMES: Final = (
    "Testpersoon", "Voorbeeld", "Proefkonijn", "Beispiel", "Exemplum", "Prøveperson", "Przykład", "Esempio",
    "Échantillon", "Übungsmann", "Näyte", "Δοκιμή", "Пример", "テスト", "Test-Voorbeeld", "O'Testly",
    "Test & Co",
)
# fmt: on
_PREFIXES: Final = (None, None, None, "van", "de", "van der", "ten", None)
_GENDERS: Final = ("male", "female", "female", "male", "undefined")
_PLACES: Final = ("Testdam", "Voorbeeldhoven", "'s-Proefbosch", "Übungen", None)
_BIRTH_EPOCH: Final = date(1958, 1, 1).toordinal()
_CREATION_EPOCH: Final = datetime(2012, 1, 2, 8, 0)


class Person(NamedTuple):
    """A person as the personal records of Nmbrs and HRM describe them.

    A named tuple, and the rest properties, because it is built once per person and per answer: a third of the
    cost of a frozen dataclass.

    :param mix: 64 well-mixed bits of (seed, position), from which everything else is drawn.
    """

    position: int
    employee_id: int
    number: int
    company_id: int
    nickname: str | None
    first_name: str
    prefix: str | None
    last_name: str | None
    email_work: str | None
    created: datetime
    mix: int

    @property
    def display_name(self) -> str:
        """The name as Nmbrs shows it, in lists."""
        parts = (self.nickname, self.prefix, self.last_name)
        return " ".join(part for part in parts if part) or f"#{self.number}"

    @property
    def initials(self) -> str:
        """One letter and a full stop."""
        return f"{self.first_name[0]}."

    @property
    def gender(self) -> str:
        """``male``, ``female`` or ``undefined``."""
        return _GENDERS[(self.mix >> 20) % 5]

    @property
    def birthday(self) -> date:
        """Date of birth."""
        return date.fromordinal(_BIRTH_EPOCH + (self.mix >> 28) % 17_000)

    @property
    def birthplace(self) -> str | None:
        """An invented place."""
        return _PLACES[(self.mix >> 32) % 5]

    @property
    def email_private(self) -> str:
        """A private address, which nobody should import."""
        return f"prive.{self.position}@example.org"

    @property
    def phone_mobile(self) -> str:
        """An international number; it starts with a plus."""
        return f"+3160000{self.position % 10_000:04d}"

    @property
    def bsn(self) -> str:
        """Nine digits in a range that is not given out."""
        return f"9999{self.position % 100_000:05d}"

    @property
    def start_year(self) -> int:
        """Year from which the personal record holds."""
        return self.created.year

    @property
    def start_period(self) -> int:
        """Period from which the personal record holds."""
        return self.created.month

    @property
    def initial_day(self) -> date:
        """First day in service."""
        return self.created.date().replace(day=1)


def mix(seed: int, index: int) -> int:
    """Spread (seed, index) over 64 bits (the finaliser of SplitMix64)."""
    value = (index * 0x9E3779B97F4A7C15 + seed * 0xD1B54A32D192ED03 + 0x632BE59BD9B4E019) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def employee_id(index: int) -> int:
    """The Nmbrs EmployeeId of the person at `index`; ids have gaps, so that a wrong id exists."""
    return FIRST_EMPLOYEE_ID + EMPLOYEE_ID_STEP * index


def index_of(identifier: int) -> int | None:
    """Invert :func:`employee_id`; None when no index has this id."""
    index, rest = divmod(identifier - FIRST_EMPLOYEE_ID, EMPLOYEE_ID_STEP)
    return index if rest == 0 and index >= 0 else None


def make_person(seed: int, index: int, company_id: int, company_start: int) -> Person:
    """Compute the person at `index`.

    :param company_start: index of the company's first person; employee numbers count from there, so that they
        repeat between companies.
    """
    bits = mix(seed, index)
    slot = (index + seed) % 100
    nickname = NICKNAMES[bits % 37]
    email: str | None = f"test.{index}@{EMAIL_DOMAIN}"
    if slot in _UNUSUAL_EMAIL:
        email = _unusual_email(slot, index)
    return Person(
        index,
        FIRST_EMPLOYEE_ID + EMPLOYEE_ID_STEP * index,
        index - company_start + (0 if slot in (51, 61) else 1),
        company_id,
        None if slot in (2, 4, 41) else nickname,
        nickname,
        _PREFIXES[(bits >> 12) & 7],
        None if slot == 3 else LAST_NAMES[(bits >> 16) % 17],
        email,
        _CREATION_EPOCH + timedelta((bits >> 8) % 4700, 0, 0, (bits >> 24) % 30_000_000),
        bits,
    )


def _unusual_email(slot: int, index: int) -> str | None:
    if slot in (0, 4):
        return None
    if slot == 1:
        return ""
    shared = f"test.{max(0, index - 1)}@{EMAIL_DOMAIN}"
    return {21: shared.upper(), 31: f" {shared} "}.get(slot, shared)
