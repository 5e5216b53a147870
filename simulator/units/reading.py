"""Reads quantities with their units, exactly, and says what is wrong with those it refuses.

The decimal number times the exact factor is rounded once to float64: "18.7 h" is the float nearest to 67,320 s.
"""

from __future__ import annotations

import difflib
import math
import re
from decimal import Decimal
from fractions import Fraction

from simulator.errors import UnitError
from simulator.units.table import KINDS, Kind

NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
"""A decimal numeral."""
LONGEST_TEXT = 80
"""Characters of the longest text that can be a quantity."""

_GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?", re.ASCII)
_AMBIGUOUS_DATA = re.compile(r"(?P<prefix>[kmgtpe])?i?b?(/s|ps)?", re.IGNORECASE)

_HINTS: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), problem, allowed)
    for pattern, problem, allowed in (
        (r"(eur|\u20ac).*", "only USD is read, and no currency is converted silently", "the amount in USD"),
        (r"\$.*", "'$' names several currencies", "USD"),
        (r"usd/node.*", "the price is per node", "a price per GPU: divide by the GPUs of the node"),
        (r"usd/(h|hr|hour|s|d|day)", "a price of what", 'a price per GPU, such as "2.95 USD/GPU/h"'),
        (r"[kmgtpe]?flops(/s)?", "'FLOPS' could be an amount or a speed", "FLOP (amount) or FLOP/s (speed)"),
        (r"(.*-)?(months?|mo)", "a month has no fixed length", 'days, such as "30 days"'),
        (r"(.*-)?(years?|yr|y|a)", "a year has no fixed length", 'days, such as "365 days"'),
        (r":.*", "a time with colons is not read", 'one number and unit, such as "12.5 h"'),
        (r"m", "'m' could be minutes or months", '"30 min", or days'),
        (r"c|celsius|degrees?", "not a unit of the table", '"27 degC"'),
        (r"(\u00b0|deg) ?f", "only Celsius and kelvin are read", '"27 degC" or "300 K"'),
        (r".*gco2/.*", "carbon is counted in CO2 equivalents", '"56 gCO2e/kWh"'),
    )
)


def parse(text: str | int | float, kind: str) -> float:
    """Return a quantity in SI.

    Parameters
    ----------
    text : str, int or float
        Number and unit ("400 Gbit/s", "54 days"); a bare number only for a fraction.
    kind : str
        Key of `KINDS`: duration, size, bandwidth, flop, flop_rate, power, energy, temperature, money,
        money_rate, gpu_time, carbon_intensity or fraction.

    Returns
    -------
    float
        Value in the base unit of the kind: second, byte, byte/s, FLOP, FLOP/s, W, J, K, USD, USD per GPU-second,
        GPU-second, kg CO2e per joule, or 0 to 1.

    Raises
    ------
    UnitError
        No unit, an unknown or ambiguous unit, another kind of quantity, a negative, non-finite or absurd value.
    ValueError
        An unknown kind: a mistake of the caller, not of the user.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of quantity {kind!r}; known: {', '.join(KINDS)}")
    rules = KINDS[kind]
    number, unit = split(text, rules)
    if unit not in rules.units:
        raise _unknown_unit(number, unit, text, rules)
    return _in_range(rules.in_base(number, unit), text, rules)


def split(text: str | int | float, rules: Kind) -> tuple[Fraction, str]:
    """Return the exact number and the unit as written; the unit is not looked up yet.

    Raises
    ------
    UnitError
        No number, or a number without a unit where one is needed.
    """
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise UnitError(f"not {rules.name}", found=quoted(text), allowed=rules.allowed)
    if not isinstance(text, str):
        return _bare_number(text, rules), ""
    stripped = text.strip()
    match = (_GROUPED.match(stripped) if rules.grouped else None) or NUMBER.match(stripped)
    if match is None or len(stripped) > LONGEST_TEXT:
        problem = "not a finite number" if is_not_finite(stripped) else f"not {rules.name}"
        raise UnitError(problem, found=quoted(text), allowed=rules.allowed)
    unit = " ".join(stripped[match.end() :].split())
    if unit.startswith((",", "_")):
        problem = "the decimal mark is a point, and digits are not grouped"
        raise UnitError(problem, found=quoted(text), allowed=rules.allowed)
    if unit == "" and not rules.bare:
        raise UnitError(f"{rules.name} needs its unit", found=quoted(text), allowed=rules.allowed)
    return exact(match.group().replace(",", ""), text, rules), unit


def exact(numeral: str, text: object, rules: Kind) -> Fraction:
    """Return a decimal numeral as an exact fraction.

    Raises
    ------
    UnitError
        A number beyond float64. Checked first: the exact value of "1e999999999" would fill the memory.
    """
    approximate = float(numeral)
    if math.isinf(approximate):
        raise UnitError(f"absurdly large {rules.noun}", found=quoted(text), allowed=rules.allowed)
    return Fraction(Decimal(numeral)) if approximate else Fraction(0)


def is_not_finite(text: str) -> bool:
    """Whether the text starts with a NaN or an infinity."""
    return re.match(r"[+-]?\.?(nan|inf)", text, re.IGNORECASE) is not None


def quoted(value: object) -> str:
    """Return what the user wrote, quoted and cut to one line's length."""
    text = repr(value)
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 3] + "..."


def hint_for(unit: str) -> tuple[str, str] | None:
    """Return what is wrong with a unit that people often write, and what to write instead."""
    return next(((problem, allowed) for seen, problem, allowed in _HINTS if seen.fullmatch(unit)), None)


def plain(number: float) -> str:
    """Return the shortest numeral that reads back exactly, whole numbers without a point."""
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else repr(number)


def _bare_number(value: int | float, rules: Kind) -> Fraction:
    """Return a number that stands without a unit, where that is allowed."""
    if not rules.bare:
        raise UnitError(f"{rules.name} needs its unit", found=quoted(value), allowed=rules.allowed)
    if not math.isfinite(value):
        raise UnitError("not a finite number", found=quoted(value), allowed=rules.allowed)
    # The shortest numeral, not the binary value: 0.1 in a file means one tenth, as "0.1" does.
    return Fraction(repr(value))


def _in_range(value: Fraction, text: object, rules: Kind) -> float:
    """Return the value as a float if it is in the range of its kind."""
    if value < 0:
        problem = "below absolute zero" if rules.offset else f"negative {rules.noun}"
        raise UnitError(problem, found=quoted(text), allowed=rules.allowed)
    # The exact value first: it may be beyond float64. Then the float: 10^33 is more than the float 1e33 stands for.
    if value < 2 * rules.largest and float(value) <= rules.largest:
        return float(value)
    if rules.bare:
        nearest = f"{plain(float(value))} %" if value <= 100 else None
        raise UnitError(f"{rules.noun} above 1", found=quoted(text), allowed=rules.allowed, nearest=nearest)
    limit = f"at most {rules.largest:g} {rules.base}"
    raise UnitError(f"absurdly large {rules.noun}", found=quoted(text), allowed=limit)


def _unknown_unit(number: Fraction, unit: str, text: object, rules: Kind) -> UnitError:
    """Return the error for a unit that the kind does not have, with the best hint there is."""
    found = quoted(text)
    other = next((kind for kind in KINDS.values() if unit in kind.units), None)
    if other is not None and unit:
        problem = f"{unit!r} is a unit of {other.noun}, not of {rules.noun}"
        return UnitError(problem, found=found, allowed=rules.allowed)
    hint = hint_for(unit)
    if hint is not None:
        return UnitError(hint[0], found=found, allowed=hint[1])
    ambiguous = _AMBIGUOUS_DATA.fullmatch(unit)
    if ambiguous is not None and rules.base in {"B", "B/s"}:
        return _bits_or_bytes(unit, (ambiguous["prefix"] or "").upper(), found, rules)
    by_lower = {name.lower(): name for name in rules.units if name}
    close = difflib.get_close_matches(unit.lower(), by_lower, n=1)
    nearest = f"{plain(float(number))} {by_lower[close[0]]}" if close else None
    return UnitError(f"unknown unit {unit!r}", found=found, allowed=rules.allowed, nearest=nearest)


def _bits_or_bytes(unit: str, prefix: str, found: str, rules: Kind) -> UnitError:
    """Return the error for a unit of data that could be read in several ways."""
    end = rules.base.removeprefix("B")
    decimal = prefix.replace("K", "k")
    choices = f'"{decimal}bit{end}" (bits), "{decimal}B{end}" (bytes)'
    if prefix:
        choices += f', "{prefix}iB{end}" (bytes, powers of 1024)'
    return UnitError(f"ambiguous unit {unit!r}, case decides between bits and bytes", found=found, allowed=choices)
