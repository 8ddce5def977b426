"""A connection's id in an address is one segment, whatever the id holds.

Airflow lets an id hold a slash, and a server takes ``%2F`` for one: a page could not be told from a
connection whose id ends like it.
"""

from __future__ import annotations

from typing import Final

from starlette.convertors import Convertor, register_url_convertor

#: What a route says where the id of a connection stands.
CONNECTION: Final = "{conn_id:visma_connection}"


class ConnectionIdConvertor(Convertor[str]):
    """Writes a slash as a JSON pointer does (RFC 6901, 3): ``~1``, and a tilde as ``~0``."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        """Return the id that a segment of a path says."""
        return value.replace("~1", "/").replace("~0", "~")

    def to_string(self, value: str) -> str:
        """Return the segment of a path that says an id."""
        return value.replace("~", "~0").replace("/", "~1")


register_url_convertor("visma_connection", ConnectionIdConvertor())
