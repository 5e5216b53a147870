"""Shows SI values in the unit people read, so that the text reads back."""

from __future__ import annotations

import math

from simulator.units.reading import plain, split
from simulator.units.table import BY_BASE, KINDS, Kind


def show(value: float, unit: str, *, exact: bool = False) -> str:
    """Return a value as people read it.

    Parameters
    ----------
    value : float
        Value in `unit`.
    unit : str
        Base unit of a kind ("s", "bytes/s", "GPU-s", "USD/GPU-s", "fraction"), or "" for a plain number.
    exact : bool
        With True, as many digits as `parse` needs to return exactly `value`; otherwise four significant digits.

    Returns
    -------
    str
        Text that `parse` reads back; "n/a" for NaN, and "infinite" or "-infinite", which it does not.

    Raises
    ------
    ValueError
        An unknown unit, or an exact text asked for NaN or infinity.

    Notes
    -----
    Reading a text back and showing it again gives the same text.
    """
    if unit != "" and unit not in BY_BASE:
        raise ValueError(f"unknown unit {unit!r}; known: {', '.join(BY_BASE)}")
    if not math.isfinite(value):
        if exact:
            raise ValueError(f"no exact text for {value}")
        return "n/a" if math.isnan(value) else "infinite" if value > 0 else "-infinite"
    if unit == "":
        return plain(value) if exact else _digits(value, grouped=True)
    return _exactly(value, BY_BASE[unit]) if exact else _rounded(value, BY_BASE[unit])


def in_unit(value: float, unit: str) -> float:
    """Return a value in SI converted to a fixed unit, for the axes and columns of reports.

    Parameters
    ----------
    value : float
        Value in SI.
    unit : str
        Any unit of the table that starts at zero ("h", "GPU-h", "USD/GPU-h", "%"), or "".

    Raises
    ------
    ValueError
        An unknown unit, or one that does not start at zero ("degC").
    """
    for kind in KINDS.values():
        if unit in kind.units and not kind.offset:
            return value / float(kind.units[unit])
    raise ValueError(f"unknown unit {unit!r}")


def _rounded(value: float, rules: Kind) -> str:
    """Return four significant digits in the most readable unit."""
    value = value - float(rules.offset)
    unit, size = _best_unit(value, rules)
    # MUST HOLD: reading back and showing again changes nothing. 59.996 s rounds to 60 s, which reads "1 min".
    for _ in rules.shown:
        rounded = _number(value / size) * size
        if _best_unit(rounded, rules)[0] == unit:
            break
        value = rounded
        unit, size = _best_unit(value, rules)
    return f"{_digits(value / size, grouped=rules.grouped)} {unit}"


def _best_unit(value: float, rules: Kind) -> tuple[str, float]:
    """Return the largest unit whose number is not too small, and its size in the base unit."""
    units = [(unit, float(rules.units[unit]), start) for unit, start in rules.shown]
    if value == 0:
        return next((row for row in units if row[0] == rules.base), units[0])[:2]
    fitting = [row for row in units if _number(abs(value) / row[1]) >= row[2]]
    return (fitting or units)[-1 if fitting else 0][:2]


def _digits(number: float, *, grouped: bool = False) -> str:
    """Return four significant digits; whole numbers from 1000 on in full."""
    if 1000 <= _number(abs(number)) < 1e15:
        return f"{number:,.0f}" if grouped else f"{number:.0f}"
    text = f"{number:.4g}"
    return "0" if text == "-0" else text


def _number(number: float) -> float:
    """Return the number that `_digits` would show."""
    rounded = float(f"{number:.4g}")
    return float(f"{number:.0f}") if 1000 <= abs(rounded) < 1e15 else rounded


def _exactly(value: float, rules: Kind) -> str:
    """Return the shortest text that `parse` turns into exactly this value, in the readable unit if possible."""
    shift = 0.0 if value == 0 else float(rules.offset)
    unit, size = _best_unit(value - shift, rules)
    number = (value - shift) / size
    texts = [f"{plain(float(f'{number:.{digits}g}'))} {unit}" for digits in (4, 6, 9, 12, 15, 16, 17)]
    base = f"{plain(value)} {rules.base}".strip()
    return next((text for text in texts if _read(text, rules) == value), base)


def _read(text: str, rules: Kind) -> float:
    """Return what `parse` makes of a text, range not checked."""
    return float(rules.in_base(*split(text, rules)))


def count_of(number: int, noun: str) -> str:
    """Return "1 replication", "30 replications"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
