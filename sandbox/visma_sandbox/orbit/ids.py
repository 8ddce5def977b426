"""Orbit's ids: two letters for the kind and thirteen characters, which are an index in disguise.

What must stay true: an id is computed from seed and index and can be read back, so that a row among a million
is found by its id without a list of ids. They are the ids of the reports: a project is the same one in both.
"""

from __future__ import annotations

from typing import Final

from visma_sandbox.orbit_reporting.reports import ALPHABET, identifier

_MASK: Final = (1 << 64) - 1
_VALUES: Final = {character: value for value, character in enumerate(ALPHABET)}
_LENGTH: Final = 15
# What people.mix multiplies by, turned round.
_STEP: Final = pow(0x9E3779B97F4A7C15, -1, 1 << 64)
_FIRST: Final = pow(0xBF58476D1CE4E5B9, -1, 1 << 64)
_SECOND: Final = pow(0x94D049BB133111EB, -1, 1 << 64)

__all__ = ["identifier", "index_of", "is_id"]


def is_id(text: object, prefix: str) -> bool:
    """Whether `text` is made like an id of the kind."""
    return (
        isinstance(text, str)
        and len(text) == _LENGTH
        and text.startswith(prefix)
        and all(each in _VALUES for each in text[2:])
    )


def index_of(prefix: str, seed: int, text: object) -> int | None:
    """Invert :func:`identifier`; None when no index has this id."""
    if not isinstance(text, str) or not is_id(text, prefix):
        return None
    bits, values = 0, [_VALUES[each] for each in text[2:]]
    for place, (first, second) in enumerate(zip(values[0:12:2], values[1:12:2], strict=True)):
        bits |= (first << 5 | second) << (10 * place)
    bits |= values[12] << 60
    index = _unmixed(bits, seed)
    return index if bits <= _MASK and index < 1 << 48 else None


def _unmixed(value: int, seed: int) -> int:
    """The index that ``people.mix`` spread."""
    value = _unshifted(value, 31) * _SECOND & _MASK
    value = _unshifted(value, 27) * _FIRST & _MASK
    value = _unshifted(value, 30)
    return (value - seed * 0xD1B54A32D192ED03 - 0x632BE59BD9B4E019) * _STEP & _MASK


def _unshifted(value: int, places: int) -> int:
    """Invert ``value ^ (value >> places)``."""
    found = value
    while places < 64:
        found ^= found >> places
        places *= 2
    return found
