"""A connection's id in an address is one segment, whatever the id holds.

Airflow lets an id hold a slash, and a server takes ``%2F`` for one: a page could not be told from a
connection whose id ends like it. A backslash would be escaped twice, by Starlette and by us.
"""

from __future__ import annotations

from typing import Final

from starlette.convertors import Convertor, register_url_convertor

#: What a route says where the id of a connection stands.
CONNECTION: Final = "{conn_id:visma_connection}"


class ConnectionIdConvertor(Convertor[str]):
    """Writes a slash and a tilde as a JSON pointer does (RFC 6901, 3), ``~1``, ``~0``; a backslash ``~2``."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        """Return the id that a segment of a path says."""
        return value.replace("~2", "\\").replace("~1", "/").replace("~0", "~")

    def to_string(self, value: str) -> str:
        """Return the segment of a path that says an id."""
        return value.replace("~", "~0").replace("/", "~1").replace("\\", "~2")


register_url_convertor("visma_connection", ConnectionIdConvertor())
