"""The small, fixed part of the synthetic organisation: debtors, companies, departments, functions.

Ids and department codes never repeat between debtors, so that a target which keys departments by code and
functions by id (as seed 003 does) has one right answer for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Debtor:
    """A customer of the Nmbrs environment; owns departments and functions."""

    id: int
    number: str
    name: str


@dataclass(frozen=True, slots=True)
class Company:
    """A company of a debtor.

    :param tax_period: ``LoonaangifteTijdvak``: ``Month`` (12 periods a year) or ``Week4`` (13).
    :param share: part of all employees, in hundredths.
    """

    id: int
    debtor_id: int
    number: int
    name: str
    tax_period: str
    share: int
    phone: str | None = None
    kvk: str | None = None

    @property
    def periods_per_year(self) -> int:
        """12 for a monthly payroll, 13 for one per four weeks."""
        return 13 if self.tax_period == "Week4" else 12


@dataclass(frozen=True, slots=True)
class Department:
    """A department of a debtor. The HRM datasets call it an organisation unit."""

    id: int
    debtor_id: int
    code: int
    description: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function; ``debtor_id`` is None when it exists at global level only (seed 003, step 1.1.2)."""

    id: int
    debtor_id: int | None
    code: int
    description: str


@dataclass(frozen=True, slots=True)
class CostCenter:
    """A cost center, as the HRM dataset ``metadata/cost-centers`` lists it."""

    code: str
    name: str


DEBTORS: Final = (
    Debtor(id=4101, number="T-001", name="Testgroep Voorbeeld B.V."),
    Debtor(id=4102, number="T-002", name="Proef & Zonen Holding"),
)

# The shares make round figures: 80 % of 12,500 employees is 10,000 in one company. The last company is empty
# on purpose: every list of it is an empty result.
COMPANIES: Final = (
    Company(
        id=71001,
        debtor_id=4101,
        number=1,
        name="Voorbeeld Zorg B.V.",
        tax_period="Month",
        share=80,
        phone="+31 20 000 00 01",
        kvk="00000001",
    ),
    Company(
        id=71002, debtor_id=4101, number=2, name="Voorbeeld Logistiek B.V.", tax_period="Week4", share=15
    ),
    Company(id=72001, debtor_id=4102, number=1, name="Proef & Zonen – Zürich", tax_period="Month", share=5),
    Company(id=72002, debtor_id=4102, number=2, name="Proef Slapend B.V.", tax_period="Week4", share=0),
)

_DEPARTMENTS = (
    "Directie",
    "Financiën",
    "Personeel & Organisatie",
    "Zorg Noord",
    "Zorg Zuid",
    "Planning",
    "Magazijn",
    "Inkoop",
    "Kwaliteit",
    "Coördinatie dagbesteding",
    "ICT",
    "Opleiding",
)
_FUNCTIONS = (
    "Directeur",
    "Teamleider",
    "Verpleegkundige",
    "Verzorgende IG",
    "Begeleider",
    "Planner",
    "Chauffeur",
    "Magazijnmedewerker",
    "Inkoper",
    "Kwaliteitsmedewerker",
    "Coördinator",
    "Applicatiebeheerder",
    "Opleider",
    "Administratief medewerker",
    "Receptionist(e)",
)
_GLOBAL_FUNCTIONS = ("Algemeen medewerker", "Stagiair(e)", "Projectmanager <extern>")

DEPARTMENTS: Final = tuple(
    Department(
        id=810_000 + 1_000 * rank + place,
        debtor_id=debtor.id,
        code=1_000 * (rank + 1) + 10 * place,
        description=text,
    )
    for rank, debtor in enumerate(DEBTORS)
    for place, text in enumerate(_DEPARTMENTS, start=1)
)
FUNCTIONS: Final = tuple(
    Function(
        id=910_000 + 1_000 * rank + place,
        debtor_id=debtor.id,
        code=100 * (rank + 1) + place,
        description=text,
    )
    for rank, debtor in enumerate(DEBTORS)
    for place, text in enumerate(_FUNCTIONS, start=1)
)
GLOBAL_FUNCTIONS: Final = tuple(
    Function(id=990_000 + place, debtor_id=None, code=9_000 + place, description=text)
    for place, text in enumerate(_GLOBAL_FUNCTIONS, start=1)
)
COST_CENTERS: Final = tuple(
    CostCenter(code=f"KP{100 + 10 * place}", name=f"Kostenplaats {text}")
    for place, text in enumerate(("Zorg", "Logistiek", "Staf", "Ondersteuning", "Projecten"), start=1)
)

DEPARTMENTS_OF: Final = {
    debtor.id: tuple(department for department in DEPARTMENTS if department.debtor_id == debtor.id)
    for debtor in DEBTORS
}
FUNCTIONS_OF: Final = {
    debtor.id: tuple(function for function in FUNCTIONS if function.debtor_id == debtor.id)
    for debtor in DEBTORS
}
COMPANY_BY_ID: Final = {company.id: company for company in COMPANIES}
