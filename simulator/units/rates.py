"""Failure rates with their population: "3.79 / 1000 node-days", "42 days per node"."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from fractions import Fraction

from simulator.errors import UnitError
from simulator.units.reading import LONGEST_TEXT, NUMBER, exact, hint_for, is_not_finite, parse, quoted, split
from simulator.units.showing import show
from simulator.units.table import KINDS, LARGEST, TIME, Kind


@dataclass(frozen=True)
class Rate:
    """A failure rate and what it is counted over.

    Parameters
    ----------
    value_per_s : float
        Events per second of one member of the population.
    population : str
        "node", "GPU", or a kind of domain ("rack", "switch").
    """

    value_per_s: float
    population: str


_NUMERAL = NUMBER.pattern
_RATE = re.compile(rf"(?P<events>\S+?)\s*(?:/|\sper\s)\s*(?:(?P<exposure>{_NUMERAL})\s*)?(?P<unit>\S.*)", re.ASCII)
_EXPOSURE = re.compile(r"(?P<population>[A-Za-z]\w*)-(?P<time>[A-Za-z]+)", re.ASCII)
_MTBF = re.compile(r"(?P<time>.+?)\s*(?:/|\sper\s)\s*(?P<population>[A-Za-z]\w*)", re.ASCII)
_RATE_ALLOWED = 'events / exposure, such as "3.79 / 1000 node-days" or "19.7 / 1e6 GPU-hours"'
_MTBF_ALLOWED = 'a duration per member of a population, such as "42 days per node"'
_EVENTS = Kind("a number of events", "", {"": Fraction(1)}, ("3.79",), bare=True)
_EXPOSURES = ((1, ""), (1000, "1000 "), (10**6, "1e6 "), (10**9, "1e9 "))


def parse_rate(text: str | int | float) -> Rate:
    """Return a failure rate with its population.

    Parameters
    ----------
    text : str
        Events / exposure: "3.79 / 1000 node-days", "19.7 / 1e6 GPU-hours", "0.05 / switch-day".

    Raises
    ------
    UnitError
        No population, an unknown unit of time, a negative or absurd rate, an exposure of 0.
    """
    match = _RATE.fullmatch(text.strip()) if isinstance(text, str) and len(text) <= LONGEST_TEXT else None
    if match is None:
        raise UnitError("a rate needs its exposure", found=quoted(text), allowed=_RATE_ALLOWED)
    events = _count(match["events"], text)
    exposure = _count(match["exposure"] or "1", text)
    unit = _EXPOSURE.fullmatch(match["unit"])
    if unit is None:
        raise UnitError("a rate needs its population", found=quoted(text), allowed=_RATE_ALLOWED)
    if unit["time"] not in TIME:
        raise _unknown_time(unit["population"], unit["time"], text)
    if exposure <= 0:
        raise UnitError("an exposure of 0 or less", found=quoted(text), allowed=_RATE_ALLOWED)
    if events < 0:
        raise UnitError("negative rate", found=quoted(text), allowed=_RATE_ALLOWED)
    return _rate(events / (exposure * TIME[unit["time"]]), unit["population"], text)


def parse_mtbf(text: str | int | float) -> Rate:
    """Return the rate that belongs to a mean time between failures of one member of a population.

    Parameters
    ----------
    text : str
        "42 days per node".

    Raises
    ------
    UnitError
        No population, no duration, or a duration of 0.
    """
    match = _MTBF.fullmatch(text.strip()) if isinstance(text, str) and len(text) <= LONGEST_TEXT else None
    if match is None:
        problem = "a mean time between failures needs its population"
        raise UnitError(problem, found=quoted(text), allowed=_MTBF_ALLOWED)
    try:
        parse(match["time"], "duration")
    except UnitError as error:
        nearest = error.nearest and f"{error.nearest} per {match['population']}"
        raise UnitError(error.problem, found=quoted(text), allowed=_MTBF_ALLOWED, nearest=nearest) from None
    number, unit = split(match["time"], KINDS["duration"])
    if number == 0:
        raise UnitError("a mean time of 0", found=quoted(text), allowed=_MTBF_ALLOWED)
    return _rate(1 / (number * TIME[unit]), match["population"], text)


def show_rate(rate: Rate) -> str:
    """Return a rate as "3.79 / 1000 node-days", four significant digits; `parse_rate` reads it back."""
    per_day = rate.value_per_s * float(TIME["day"])
    # Two decimals are read at a glance, more are not: then the exposure grows.
    size, text = next((row for row in _EXPOSURES if per_day * row[0] >= 0.01), _EXPOSURES[-1])
    if per_day == 0:
        size, text = _EXPOSURES[0]
    days = "day" if size == 1 else "days"
    return f"{show(per_day * size, '').replace(',', '')} / {text}{rate.population}-{days}"


def _rate(per_s: Fraction, population: str, text: object) -> Rate:
    """Return the rate if it is below the absurd; "GPU" and "node" in the spelling used inside."""
    if per_s > LARGEST:
        raise UnitError("absurdly large rate", found=quoted(text), allowed=f"at most {LARGEST:g} per second")
    spelling = {"gpu": "GPU", "gpus": "GPU", "node": "node", "nodes": "node"}
    return Rate(float(per_s), spelling.get(population.lower(), population))


def _count(numeral: str, text: object) -> Fraction:
    """Return a bare number inside a rate."""
    if NUMBER.fullmatch(numeral) is None:
        problem = "not a finite number" if is_not_finite(numeral) else f"not a number of events: {numeral!r}"
        raise UnitError(problem, found=quoted(text), allowed=_RATE_ALLOWED)
    return exact(numeral, text, _EVENTS)


def _unknown_time(population: str, time: str, text: object) -> UnitError:
    """Return the error for an exposure whose unit of time is not in the table."""
    hint = hint_for(time)
    if hint is not None:
        return UnitError(hint[0], found=quoted(text), allowed=_RATE_ALLOWED)
    close = difflib.get_close_matches(time, TIME, n=1)
    nearest = f"{population}-{close[0]}" if close else None
    return UnitError(f"unknown unit of time {time!r}", found=quoted(text), allowed=_RATE_ALLOWED, nearest=nearest)
