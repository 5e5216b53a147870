"""Single values of a trace, read with the one error each that a wrong one gets."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, Literal

LONGEST_S = 1e12
MOST_GPUS = 10**9

Zone = Literal["local", "zoned", "any"]
_ZONE_ALLOWED = {
    "local": "a time like '2017-10-09 07:01:55'",
    "zoned": "a time like '2023-03-01 00:18:22+08:00'",
    "any": "a time like '2024-05-01T12:00:00', or seconds since 1970",
}


class RowError(Exception):
    """A row that does not say what its format promises; caught by the reader that counts it.

    Parameters
    ----------
    key : str
        Column, as the format calls it.
    problem, found, allowed : str
        As in `InputError`.
    """

    def __init__(self, key: str, problem: str, found: str, allowed: str) -> None:
        super().__init__(key, problem, found, allowed)
        self.key = key
        self.problem = problem
        self.found = found
        self.allowed = allowed


def number(value: Any, key: str, allowed: str = "a number, 0 or more") -> float:
    """Return a finite number from text or from a typed value.

    Raises
    ------
    RowError
        It is absent, not a plain decimal number, or not finite.
    """
    if value is None:
        raise RowError(key, "missing value", "nothing", allowed)
    text = str(value)
    try:
        result = float(text)
    except ValueError:
        raise RowError(key, "not a number", shown(value), allowed) from None
    # float() also takes "1_000" and digits of other scripts, which no trace format has.
    if "_" in text or not text.isascii() or isinstance(value, bool):
        raise RowError(key, "not a number", shown(value), allowed)
    if not math.isfinite(result):
        raise RowError(key, "not a finite number", shown(value), allowed)
    return result


def seconds(value: Any, key: str, allowed: str = "seconds, 0 to 1e12") -> float:
    """Return a time of 0 or more seconds; raises RowError."""
    result = number(value, key, allowed)
    if result < 0:
        raise RowError(key, "negative time", shown(value), allowed)
    if result > LONGEST_S:
        raise RowError(key, "time out of range", shown(value), allowed)
    return result


def amount(value: Any, key: str, allowed: str = "a number, 0 to 1e9") -> float:
    """Return an amount of 0 or more, whole or not; raises RowError."""
    result = number(value, key, allowed)
    if result < 0:
        raise RowError(key, "negative number", shown(value), allowed)
    if result > MOST_GPUS:
        raise RowError(key, "number out of range", shown(value), allowed)
    return result


def whole(value: Any, key: str, allowed: str = "a whole number, 0 to 1e9") -> int:
    """Return a count of 0 or more; raises RowError."""
    result = amount(value, key, allowed)
    if result != math.floor(result):
        raise RowError(key, "not a whole number", shown(value), allowed)
    return int(result)


def share(value: Any, key: str, allowed: str = "a fraction of one GPU, above 0, at most 1") -> float:
    """Return a fraction above 0 and at most 1; raises RowError."""
    result = number(value, key, allowed)
    if not 0 < result <= 1:
        raise RowError(key, "not a fraction", shown(value), allowed)
    return result


def instant(value: Any, key: str, zone: Zone) -> float:
    """Return a time as seconds since 1970, a local time counted as if its clock were UTC.

    Parameters
    ----------
    value : str or datetime
        ISO 8601; with zone ``any`` also seconds since 1970.
    key : str
        Column.
    zone : {"local", "zoned", "any"}
        Whether a zone must be absent, must be there, or may.

    Raises
    ------
    RowError
        It is no such time.
    """
    allowed = _ZONE_ALLOWED[zone]
    if value is None:
        raise RowError(key, "missing value", "nothing", allowed)
    text = str(value).strip()
    if zone == "any" and text.isdecimal():
        return seconds(text, key, allowed)
    try:
        time = datetime.fromisoformat("" if text.isdecimal() else text)
    except ValueError:
        raise RowError(key, "not a time", shown(value), allowed) from None
    if zone != "any" and (time.tzinfo is None) != (zone == "local"):
        problem = "time without a zone" if zone == "zoned" else "time with a zone"
        raise RowError(key, problem, shown(value), allowed)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def label(value: Any, key: str) -> str:
    """Return a name that must be there; raises RowError."""
    if value is None or value == "":
        raise RowError(key, "missing value", "nothing", "a value in every row")
    return str(value)


def shown(value: Any) -> str:
    """Return a value as it stands in an error: quoted, printable, cut to 40 characters."""
    text = value if isinstance(value, str) else str(value)
    text = text if len(text) <= 40 else text[:39] + "…"
    return repr(text)
