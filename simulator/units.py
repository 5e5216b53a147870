"""Units at the boundary: a closed table that reads quantities as people write them and shows them as people read them.

Inside the simulator everything is float64 in SI (second, byte, byte/s, FLOP, watt, joule, kelvin, USD, GPU-second).
`parse` and `show` are the only ways in and out. What could mean two things is refused with a hint, never guessed:
``400G`` (bits or bytes), ``400 gb/s`` (case decides), ``30`` for a duration (of what), ``month`` (how long).

Prefixes k, M, G, T, P, E are powers of 1000; Ki, Mi, Gi, Ti, Pi, Ei powers of 1024. Conversion is exact: the decimal
number times the exact factor, rounded once to float64, so "18.7 h" is the float nearest to 67,320 s.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from simulator.errors import UnitError

_DECIMAL = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
_LARGEST = 1e18
"""Largest SI value of most kinds: a larger one is a slip of the keyboard (1e18 s is older than the universe)."""

_TIME: dict[str, Fraction] = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),  # MICRO SIGN
    "μs": Fraction(1, 10**6),  # GREEK SMALL LETTER MU
    "ms": Fraction(1, 1000),
}
for _names, _seconds in (
    ("s sec second seconds", 1),
    ("min minute minutes", 60),
    ("h hr hour hours", 3600),
    ("d day days", 86_400),
    ("week weeks", 604_800),
):
    _TIME.update(dict.fromkeys(_names.split(), Fraction(_seconds)))


def _prefixed(symbol: str, one: Fraction, prefixes: dict[str, int]) -> dict[str, Fraction]:
    """Return the symbol with every prefix, and without, as multiples of the SI unit."""
    return {symbol: one} | {prefix + symbol: one * power for prefix, power in prefixes.items()}


def _data(suffix_of_bits: tuple[str, ...], suffix_of_bytes: tuple[str, ...]) -> dict[str, Fraction]:
    """Return units of data or data rate in bytes; the suffixes say how bits and bytes are written."""
    table: dict[str, Fraction] = {}
    for suffix in suffix_of_bits:
        table |= _prefixed(suffix, Fraction(1, 8), _DECIMAL)
    for suffix in (suffix_of_bits[0], *suffix_of_bytes):
        one = Fraction(1, 8) if suffix == suffix_of_bits[0] else Fraction(1)
        table |= _prefixed(suffix, one, _DECIMAL | _BINARY)
    return table


def _ratios(tops: dict[str, Fraction], separators: str, bottoms: dict[str, Fraction]) -> dict[str, Fraction]:
    """Return every top unit divided by every bottom unit ("kgCO2e/MWh")."""
    return {
        f"{top}{separator}{bottom}": high / low
        for top, high in tops.items()
        for separator in separators.split()
        for bottom, low in bottoms.items()
    }


_ENERGY = _prefixed("J", Fraction(1), _DECIMAL) | _prefixed("Wh", Fraction(3600), _DECIMAL)
_CARBON = {"gCO2e": Fraction(1, 1000), "kgCO2e": Fraction(1), "tCO2e": Fraction(1000)}
_MONEY = {"USD": Fraction(1), "kUSD": Fraction(1000), "MUSD": Fraction(10**6)}


@dataclass(frozen=True)
class Kind:
    """One kind of quantity.

    Parameters
    ----------
    name : str
        Name in errors ("data size").
    base : str
        SI unit that `parse` returns and `show` takes.
    units : dict of str to Fraction
        Every accepted spelling with its exact value in the base unit.
    examples : tuple of str
        What errors and the JSON Schema show.
    shown : tuple of (str, float)
        Units that `show` chooses from, small to large, each with the smallest number it is used for.
    largest : float
        Largest accepted value, base unit.
    offset : Fraction
        Added to every unit except the base (degrees Celsius).
    grouped : bool
        Whether thousands are shown with commas ("1,234 GPU-h") and read so.
    """

    name: str
    base: str
    units: dict[str, Fraction]
    examples: tuple[str, ...]
    shown: tuple[tuple[str, float], ...]
    largest: float = _LARGEST
    offset: Fraction = Fraction(0)
    grouped: bool = False


def _steps(text: str, start: float = 1.0) -> tuple[tuple[str, float], ...]:
    """Return units, small to large, each used from `start` on."""
    return tuple((unit, start) for unit in text.split())


KINDS: dict[str, Kind] = {
    "duration": Kind(
        "duration",
        "s",
        _TIME,
        ("10.8 s", "7.9 h", "54 days"),
        (*_steps("ns us ms s min h"), ("days", 2.0)),
    ),
    "size": Kind(
        "data size",
        "B",
        _data(("bit",), ("B",)) | {"bytes": Fraction(1)},
        ("80 GiB", "1.6 TB"),
        _steps("B kB MB GB TB PB EB"),
    ),
    "bandwidth": Kind(
        "bandwidth",
        "B/s",
        _data(("bit/s", "b/s", "bps", "bits/s"), ("B/s", "Bps", "bytes/s")),
        ("400 Gbit/s", "50 GB/s"),
        _steps("bit/s kbit/s Mbit/s Gbit/s Tbit/s Pbit/s"),
    ),
    "flop": Kind(
        "amount of computation",
        "FLOP",
        _prefixed("FLOP", Fraction(1), _DECIMAL),
        ("3.8e25 FLOP", "250 PFLOP"),
        _steps("FLOP kFLOP MFLOP GFLOP TFLOP PFLOP EFLOP"),
        largest=1e33,
    ),
    "flop_rate": Kind(
        "speed of computation",
        "FLOP/s",
        _prefixed("FLOP/s", Fraction(1), _DECIMAL),
        ("989 TFLOP/s", "1.2 EFLOP/s"),
        _steps("FLOP/s kFLOP/s MFLOP/s GFLOP/s TFLOP/s PFLOP/s EFLOP/s"),
        largest=1e24,
    ),
    "power": Kind(
        "power", "W", _prefixed("W", Fraction(1), _DECIMAL), ("700 W", "60 kW"), _steps("W kW MW GW TW PW")
    ),
    "energy": Kind(
        "energy", "J", _ENERGY, ("3.4 GWh", "120 kWh", "36 MJ"), _steps("J Wh kWh MWh GWh TWh PWh")
    ),
    "temperature": Kind(
        "temperature",
        "K",
        {"K": Fraction(1), "degC": Fraction(1), "°C": Fraction(1)},
        ("27 degC", "300 K"),
        (("degC", -math.inf),),
        offset=Fraction(27315, 100),
    ),
    "money": Kind("amount of money", "USD", _MONEY, ("1250 USD", "3.2 MUSD"), _steps("USD"), grouped=True),
    "money_rate": Kind(
        "price of GPU time",
        "USD/GPU-s",
        _ratios(_MONEY, "/GPU/ /GPU-", _TIME),
        ("2.95 USD/GPU/h",),
        _steps("USD/GPU-h"),
    ),
    "gpu_time": Kind(
        "amount of GPU time",
        "GPU-s",
        {f"GPU-{unit}": seconds for unit, seconds in _TIME.items()},
        ("1200 GPU-h", "50 GPU-days"),
        _steps("GPU-h"),
        grouped=True,
    ),
    "carbon_intensity": Kind(
        "carbon intensity",
        "kgCO2e/J",
        _ratios(_CARBON, "/", _ENERGY),
        ("56 gCO2e/kWh",),
        _steps("gCO2e/kWh"),
    ),
    "fraction": Kind(
        "fraction", "", {"": Fraction(1), "%": Fraction(1, 100)}, ("0.97", "97 %"), (("%", 0.0),), largest=1.0
    ),
}
"""Every kind of quantity by the name that `parse` takes."""

_SHOWN_AS = {kind.base: kind for kind in KINDS.values()} | {
    "bytes": KINDS["size"],
    "bytes/s": KINDS["bandwidth"],
    "fraction": KINDS["fraction"],
}

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?", re.ASCII)
_LONGEST_TEXT = 80

_HINTS: dict[str, tuple[str, str]] = {
    "eur": ("only USD is read, and no currency is converted silently", "the amount in USD"),
    "$": ("'$' names several currencies", "'USD'"),
    "usd/node/h": ("the price is per node", "a price per GPU: divide by the GPUs of the node"),
    "flops": ("'FLOPS' could be an amount or a speed", "'FLOP' (amount) or 'FLOP/s' (speed)"),
    "month": ("a month has no fixed length", 'days, such as "30 days"'),
    "year": ("a year has no fixed length", 'days, such as "365 days"'),
    "degf": ("only Celsius and kelvin are read", '"27 degC" or "300 K"'),
    "c": ("'C' is not the unit of a temperature here", '"27 degC"'),
    "gco2": ("carbon is counted in CO2 equivalents", '"56 gCO2e/kWh"'),
}
_ALIASES = {"months": "month", "years": "year", "yr": "year", "mo": "month", "usd/node-h": "usd/node/h"}


def parse(text: str | int | float, kind: str) -> float:
    """Return a quantity in SI.

    Parameters
    ----------
    text : str, int or float
        Number and unit ("400 Gbit/s", "54 days"); a bare number only for a fraction.
    kind : str
        Key of `KINDS`: duration, size, bandwidth, flop, flop_rate, power, energy, temperature, money, money_rate,
        gpu_time, carbon_intensity or fraction.

    Returns
    -------
    float
        Value in the base unit of the kind (second, byte, byte/s, FLOP, FLOP/s, W, J, K, USD, USD per GPU-second,
        GPU-second, kg CO2e per joule, 0 to 1).

    Raises
    ------
    UnitError
        No unit, an unknown or ambiguous unit, the wrong kind of quantity, a negative, non-finite or absurd value.
    ValueError
        An unknown kind: a mistake of the caller, not of the user.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of quantity {kind!r}; known: {', '.join(KINDS)}")
    rules = KINDS[kind]
    number, unit = _split(text, rules)
    if unit not in rules.units:
        raise _unknown_unit(number, unit, text, rules)
    value = number * rules.units[unit] + (rules.offset if unit != rules.base else 0)
    return _checked(value, text, rules)


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
        Text that `parse` reads back; "n/a" for NaN and "infinite" or "-infinite" for infinities, which it does not.

    Raises
    ------
    ValueError
        An unknown unit, or an exact text asked for a value that no text can stand for.

    Notes
    -----
    Reading the text back and showing it again gives the same text.
    """
    if unit != "" and unit not in _SHOWN_AS:
        raise ValueError(f"unknown unit {unit!r}; known: {', '.join(name for name in _SHOWN_AS if name)}")
    if exact and not math.isfinite(value):
        raise ValueError(f"no exact text for {value}")
    if not math.isfinite(value):
        return "n/a" if math.isnan(value) else "infinite" if value > 0 else "-infinite"
    if unit == "":
        return repr(float(value)) if exact else _digits(value, grouped=True)
    rules = _SHOWN_AS[unit]
    return _exactly(value, rules) if exact else _rounded(value, rules)


def in_unit(value: float, unit: str) -> float:
    """Return a value in SI converted to a fixed unit, for the axes and columns of reports.

    Parameters
    ----------
    value : float
        Value in SI.
    unit : str
        Any unit of the table without an offset ("h", "GPU-h", "USD/GPU-h"), or "".

    Raises
    ------
    ValueError
        An unknown unit.
    """
    if unit == "":
        return value
    for kind in KINDS.values():
        if unit in kind.units and not kind.offset:
            return value / float(kind.units[unit])
    raise ValueError(f"unknown unit {unit!r}")


# ---------------------------------------------------------------------------------------------------- reading


def _split(text: str | int | float, rules: Kind) -> tuple[Fraction, str]:
    """Return the exact number and the unit as written."""
    found = repr(text)
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise UnitError(f"not a {rules.name}", found=_quoted(text), allowed=_allowed(rules))
    if not isinstance(text, str):
        if rules.name != "fraction":
            raise UnitError(f"a {rules.name} needs its unit", found=found, allowed=_allowed(rules))
        return _exact(repr(text) if isinstance(text, float) else str(text), text, rules), ""
    stripped = text.strip()
    match = (_GROUPED.match(stripped) if rules.grouped else None) or _NUMBER.match(stripped)
    if match is None or len(stripped) > _LONGEST_TEXT:
        problem = "not a finite number" if _is_not_finite(stripped) else f"not a {rules.name}"
        raise UnitError(problem, found=_quoted(text), allowed=_allowed(rules))
    if stripped[match.end() :].startswith((",", "_")):
        raise UnitError(
            "the decimal mark is a point, and digits are not grouped",
            found=_quoted(text),
            allowed=_allowed(rules),
        )
    unit = " ".join(stripped[match.end() :].split())
    if unit == "" and rules.name != "fraction":
        raise UnitError(f"a {rules.name} needs its unit", found=_quoted(text), allowed=_allowed(rules))
    return _exact(match.group().replace(",", ""), text, rules), unit


def _exact(digits: str, text: object, rules: Kind) -> Fraction:
    """Return a decimal numeral as an exact fraction; its size is checked before it can take memory."""
    approximate = float(digits)
    if not math.isfinite(approximate):
        problem = "too large" if digits.strip("+-")[:1].isdigit() else "not a finite number"
        raise UnitError(problem, found=_quoted(text), allowed=_allowed(rules))
    return Fraction(Decimal(digits)) if approximate else Fraction(0)


def _checked(value: Fraction, text: object, rules: Kind) -> float:
    """Return the value as a float if it is in the range of its kind."""
    if value < 0:
        problem = "below absolute zero" if rules.offset else f"negative {rules.name}"
        raise UnitError(problem, found=_quoted(text), allowed=_allowed(rules))
    if value > rules.largest:
        if rules.name == "fraction":
            near = f"{text} %" if isinstance(text, int | float) and text <= 100 else None
            raise UnitError("a fraction above 1", found=_quoted(text), allowed=_allowed(rules), nearest=near)
        limit = f"at most {rules.largest:g} {rules.base}"
        raise UnitError(f"absurdly large {rules.name}", found=_quoted(text), allowed=limit)
    return float(value)


def _unknown_unit(number: Fraction, unit: str, text: object, rules: Kind) -> UnitError:
    """Return the error for a unit that the kind does not have, with the best hint there is."""
    found = _quoted(text)
    lower = unit.lower()
    hint = next((word for word in _HINTS if _ALIASES.get(lower, lower).startswith(word)), None)
    if hint is not None and (hint != "c" or (lower == "c" and rules.offset)):
        if hint == "flops" or hint == "gco2" and "co2e" in lower:
            return _flops_or_spelling(unit, found, rules)
        problem, allowed = _HINTS[hint]
        return UnitError(problem, found=found, allowed=allowed)
    other = next((kind for kind in KINDS.values() if unit and unit in kind.units), None)
    if other is not None:
        return UnitError(
            f"{unit!r} is a unit of {other.name}, not of {rules.name}", found=found, allowed=_allowed(rules)
        )
    if rules.base in {"B", "B/s"} and re.fullmatch(r"([kmgtpe]i?)?b?(it|yte)?s?(/s|ps)?", lower):
        return _bits_or_bytes(unit, found, rules)
    return UnitError(
        f"unknown unit {unit!r}", found=found, allowed=_allowed(rules), nearest=_near(number, unit, rules)
    )


def _flops_or_spelling(unit: str, found: str, rules: Kind) -> UnitError:
    """Return the error for units whose only fault is the spelling of FLOP or CO2e."""
    if unit.lower().startswith("gco2"):
        return UnitError(f"unknown unit {unit!r}", found=found, allowed=_allowed(rules))
    problem, allowed = _HINTS["flops"]
    return UnitError(problem, found=found, allowed=allowed)


def _bits_or_bytes(unit: str, found: str, rules: Kind) -> UnitError:
    """Return the error for a unit of data that could be read in two ways."""
    prefix = re.match(r"[kmgtpe]?", unit.lower())
    letter = prefix.group().upper().replace("K", "k") if prefix else ""
    per_second = "/s" if rules.base == "B/s" else ""
    choices = f'"{letter}bit{per_second}" (bits) or "{letter}B{per_second}" (bytes)'
    if letter:
        choices += f', or "{letter.upper()}iB{per_second}" (powers of 1024)'
    return UnitError(f"{unit!r} could mean bits or bytes; case decides", found=found, allowed=choices)


def _near(number: Fraction, unit: str, rules: Kind) -> str | None:
    """Return the quantity with the nearest unit of the kind, or None."""
    by_lower = {name.lower(): name for name in rules.units}
    close = difflib.get_close_matches(unit.lower(), by_lower, n=1, cutoff=0.6)
    return f"{_plain(float(number))} {by_lower[close[0]]}" if close else None


def _is_not_finite(text: str) -> bool:
    """Whether the text starts with a NaN or an infinity."""
    return re.match(r"[+-]?\.?(nan|inf)", text, re.IGNORECASE) is not None


def _quoted(value: object) -> str:
    """Return what the user wrote, quoted and cut to one line's length."""
    text = repr(value)
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 3] + "..."


def _allowed(rules: Kind) -> str:
    """Return what may be written, by example."""
    if rules.name == "fraction":
        return '0 to 1, such as 0.97 or "97 %"'
    return "a number with its unit, such as " + " or ".join(f'"{example}"' for example in rules.examples)


# ---------------------------------------------------------------------------------------------------- showing


def _rounded(value: float, rules: Kind) -> str:
    """Return four significant digits in the most readable unit."""
    offset = float(rules.offset)
    value = value - offset
    for _ in range(len(rules.shown)):
        unit, factor = _best_unit(value, rules)
        # 59.996 s would read "60 s": the rounded value decides, so that it reads "1 min".
        rounded = float(_digits(value / factor).replace(",", "")) * factor
        if _best_unit(rounded, rules)[0] == unit:
            break
        value = rounded
    return f"{_digits(value / factor, grouped=rules.grouped)} {unit}"


def _best_unit(value: float, rules: Kind) -> tuple[str, float]:
    """Return the largest unit whose number is not too small, and its size."""
    units = [(unit, float(rules.units[unit]), start) for unit, start in rules.shown]
    if value == 0:
        base = next((row for row in units if row[0] == rules.base), units[0])
        return base[:2]
    fitting = [row for row in units if float(_digits(abs(value) / row[1]).replace(",", "")) >= row[2]]
    return (fitting or units[:1])[-1][:2]


def _digits(number: float, *, grouped: bool = False) -> str:
    """Return four significant digits, whole numbers from 1000 on in full."""
    if 1000 <= abs(float(f"{number:.4g}")) < 1e15:
        return f"{number:,.0f}" if grouped else f"{number:.0f}"
    text = f"{number:.4g}"
    return "0" if text == "-0" else text


def _plain(number: float) -> str:
    """Return the shortest numeral that reads back exactly, whole numbers without a point."""
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else repr(number)


def _exactly(value: float, rules: Kind) -> str:
    """Return the shortest text that `parse` turns into exactly this value, the readable unit first."""
    unit, factor = _best_unit(value - float(rules.offset), rules)
    number = (value - float(rules.offset)) / factor
    candidates = [f"{number:.{digits}g}" for digits in (6, 9, 12, 15, 16, 17)]
    texts = [f"{_plain(float(candidate))} {unit}" for candidate in candidates]
    for text in [*texts, f"{_plain(value)} {rules.base}".strip()]:
        read_number, read_unit = _split(text, rules)
        read = read_number * rules.units[read_unit] + (rules.offset if read_unit != rules.base else 0)
        if float(read) == value:
            return text
    raise ValueError(f"no exact text for {value} {rules.base}")  # pragma: no cover - the base unit is exact


# ------------------------------------------------------------------------------------------------------ rates


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


_RATE = re.compile(
    r"(?P<events>\S+)\s*(?:/|\bper\b)\s*(?:(?P<exposure>[\d.][\d.eE+-]*)\s*)?(?P<unit>\S.*)", re.ASCII
)
_EXPOSURE = re.compile(r"(?P<population>[A-Za-z][A-Za-z0-9_]*)-(?P<time>[a-zA-Z]+)", re.ASCII)
_MTBF = re.compile(r"(?P<time>.+?)\s*(?:/|\bper\b)\s*(?P<population>[A-Za-z][A-Za-z0-9_]*)", re.ASCII)
_RATE_EXAMPLES = 'events / exposure, such as "3.79 / 1000 node-days" or "19.7 / 1e6 GPU-hours"'
_MTBF_EXAMPLES = 'a duration per member of a population, such as "42 days per node"'
_COUNT = Kind("number of events", "", {"": Fraction(1)}, ("3.79",), ())


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
    match = _RATE.fullmatch(text.strip()) if isinstance(text, str) and len(text) <= _LONGEST_TEXT else None
    if match is None:
        raise UnitError("a rate needs its exposure", found=_quoted(text), allowed=_RATE_EXAMPLES)
    events = _count(match["events"], text, _RATE_EXAMPLES)
    exposure = _count(match["exposure"] or "1", text, _RATE_EXAMPLES)
    if exposure <= 0:
        raise UnitError("an exposure of 0 or less", found=_quoted(text), allowed=_RATE_EXAMPLES)
    unit = _EXPOSURE.fullmatch(match["unit"])
    if unit is None:
        raise UnitError("a rate needs its population", found=_quoted(text), allowed=_RATE_EXAMPLES)
    if unit["time"] not in _TIME:
        raise _unknown_time(unit["population"], unit["time"], text)
    per_s = events / (exposure * _TIME[unit["time"]])
    if per_s < 0:
        raise UnitError("negative rate", found=_quoted(text), allowed=_RATE_EXAMPLES)
    return Rate(_rate_value(per_s, text), _population(unit["population"]))


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
    match = _MTBF.fullmatch(text.strip()) if isinstance(text, str) and len(text) <= _LONGEST_TEXT else None
    if match is None:
        raise UnitError(
            "a mean time between failures needs its population", found=_quoted(text), allowed=_MTBF_EXAMPLES
        )
    seconds = _exact_duration(match["time"], text)
    return Rate(_rate_value(1 / seconds, text), _population(match["population"]))


def show_rate(rate: Rate) -> str:
    """Return a rate as "3.79 / 1000 node-days", which `parse_rate` reads back."""
    per_day = rate.value_per_s * 86_400
    exposure = next((size for size in (1, 1000, 10**6) if per_day * size >= 0.1), 10**9) if per_day else 1
    unit = f"{rate.population}-day" if exposure == 1 else f"{_SIZES[exposure]} {rate.population}-days"
    return f"{_digits(per_day * exposure)} / {unit}"


_SIZES = {1000: "1000", 10**6: "1e6", 10**9: "1e9"}


def _count(digits: str, text: object, allowed: str) -> Fraction:
    """Return a bare number inside a rate."""
    if _NUMBER.fullmatch(digits) is None:
        problem = "not a finite number" if _is_not_finite(digits) else f"not a number: {digits!r}"
        raise UnitError(problem, found=_quoted(text), allowed=allowed)
    return _exact(digits, text, _COUNT)


def _exact_duration(words: str, text: object) -> Fraction:
    """Return a positive duration in seconds, as an exact fraction."""
    try:
        number, unit = _split(words, KINDS["duration"])
        parse(words, "duration")
    except UnitError as error:
        raise UnitError(
            error.problem, found=_quoted(text), allowed=_MTBF_EXAMPLES, nearest=error.nearest
        ) from None
    if number <= 0:
        raise UnitError("a mean time of 0", found=_quoted(text), allowed=_MTBF_EXAMPLES)
    return number * _TIME[unit]


def _rate_value(per_s: Fraction, text: object) -> float:
    """Return the rate as a float if it is below the absurd."""
    if per_s > _LARGEST:
        raise UnitError(
            "absurdly large rate", found=_quoted(text), allowed=f"at most {_LARGEST:g} per second"
        )
    return float(per_s)


def _unknown_time(population: str, time: str, text: object) -> UnitError:
    """Return the error for an exposure whose unit of time is not in the table."""
    word = _ALIASES.get(time.lower(), time.lower())
    if word in _HINTS:
        return UnitError(_HINTS[word][0], found=_quoted(text), allowed=_RATE_EXAMPLES)
    close = difflib.get_close_matches(time, _TIME, n=1)
    nearest = f"{population}-{close[0]}" if close else None
    return UnitError(
        f"unknown unit of time {time!r}", found=_quoted(text), allowed=_RATE_EXAMPLES, nearest=nearest
    )


def _population(word: str) -> str:
    """Return the population in the spelling used inside; other kinds of domain stay as written."""
    return {"gpu": "GPU", "gpus": "GPU", "node": "node", "nodes": "node"}.get(word.lower(), word)
