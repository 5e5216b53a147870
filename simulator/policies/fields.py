"""How a policy declares its scenario keys: dataclass fields with a unit, bounds and a meaning."""

from __future__ import annotations

from dataclasses import field
from typing import Any

Numbers = tuple[tuple[str, float], ...]
"""Type of a key that gives numbers by name: a mapping in the scenario, sorted pairs in the policy."""


def parameter(
    default: Any,
    meaning: str,
    *,
    unit: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
) -> Any:
    """Return a dataclass field that is a scenario key.

    Parameters
    ----------
    default : object
        Value when the scenario does not name the key.
    meaning : str
        One sentence for the reference pages and the JSON Schema.
    unit : str
        Kind of quantity ("duration"), or "" for a count or fraction.
    at_least, at_most : float, optional
        Bounds, inclusive.
    """
    metadata = {"meaning": meaning, "unit": unit, "at_least": at_least, "at_most": at_most}
    return field(default=default, metadata=metadata)
