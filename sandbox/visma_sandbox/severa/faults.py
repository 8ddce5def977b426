"""What ends a call of Severa with a SOAP fault."""

from __future__ import annotations


class SeveraFault(Exception):
    """Ends a call with a typed fault, HTTP 500.

    :param type: local name of the detail element: ``ValidationException``.
    :param description: its Description, which tells a person what is wrong.
    """

    def __init__(self, type: str, description: str) -> None:
        super().__init__(type, description)
        self.type = type
        self.description = description


class NotFound(Exception):
    """Says that nothing has the id asked for; whether that is a fault, null or an empty list differs."""
