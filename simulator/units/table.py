"""The closed table of units: kinds of quantity, their accepted spellings and exact factors to SI.

Prefixes k, M, G, T, P, E are powers of 1000; Ki, Mi, Gi, Ti, Pi, Ei powers of 1024. ``B`` is byte; ``bit``, or ``b``
in a rate, is bit; case matters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

_DECIMAL = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}

LARGEST = 1e18
"""Largest SI value of most kinds: beyond it is a slip of the keyboard (1e18 s is older than the universe)."""


@dataclass(frozen=True)
class Kind:
    """One kind of quantity.

    Parameters
    ----------
    name : str
        Name in errors, with its article ("a data size").
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
        Added to a value in any unit but the base (degrees Celsius).
    grouped : bool
        Whether thousands are shown with commas ("1,234 GPU-h") and read so.
    bare : bool
        Whether a number without a unit is accepted.
    """

    name: str
    base: str
    units: dict[str, Fraction]
    examples: tuple[str, ...]
    shown: tuple[tuple[str, float], ...] = ()
    largest: float = LARGEST
    offset: Fraction = Fraction(0)
    grouped: bool = False
    bare: bool = False

    @property
    def noun(self) -> str:
        """Name without its article ("data size")."""
        return self.name.split(" ", 1)[1]

    @property
    def allowed(self) -> str:
        """What may be written, by example."""
        examples = " or ".join(f'"{example}"' for example in self.examples)
        if self.bare:
            return (
                f"0 to {self.largest:g}, such as {examples}" if self.largest == 1 else f"a number, such as {examples}"
            )
        return f"a number with its unit, such as {examples}"

    def in_base(self, number: Fraction, unit: str) -> Fraction:
        """Return `number` of `unit` in the base unit, exactly."""
        return number * self.units[unit] + (self.offset if unit != self.base else 0)


def _time_units() -> dict[str, Fraction]:
    """Return every spelling of a unit of time with its seconds; months and years have no fixed length."""
    table = {"ns": Fraction(1, 10**9), "ms": Fraction(1, 1000)}
    # Two characters look like the prefix micro: MICRO SIGN and GREEK SMALL LETTER MU.
    table |= dict.fromkeys(("us", "\u00b5s", "\u03bcs"), Fraction(1, 10**6))
    for names, seconds in (
        ("s sec second seconds", 1),
        ("min minute minutes", 60),
        ("h hr hour hours", 3600),
        ("d day days", 86_400),
        ("week weeks", 604_800),
    ):
        table |= dict.fromkeys(names.split(), Fraction(seconds))
    return table


def _prefixed(symbol: str, one: Fraction, *, binary: bool = False) -> dict[str, Fraction]:
    """Return the symbol alone and with every prefix."""
    prefixes = _DECIMAL | (_BINARY if binary else {})
    return {symbol: one} | {prefix + symbol: one * power for prefix, power in prefixes.items()}


def _ratios(
    tops: dict[str, Fraction], separators: tuple[str, ...], bottoms: dict[str, Fraction]
) -> dict[str, Fraction]:
    """Return every top unit divided by every bottom unit ("kgCO2e/MWh")."""
    return {
        f"{top}{separator}{bottom}": high / low
        for top, high in tops.items()
        for separator in separators
        for bottom, low in bottoms.items()
    }


def _from_one(units: str) -> tuple[tuple[str, float], ...]:
    """Return units to show, each used from the number 1 on."""
    return tuple((unit, 1.0) for unit in units.split())


_ONE = Fraction(1)
_BIT = Fraction(1, 8)
TIME = _time_units()
"""Every spelling of a unit of time, in seconds."""
_SIZES = _prefixed("B", _ONE, binary=True) | _prefixed("bit", _BIT, binary=True) | {"bytes": _ONE}
_SPEEDS = (
    _prefixed("B/s", _ONE, binary=True)
    | _prefixed("bit/s", _BIT, binary=True)
    | _prefixed("b/s", _BIT)
    | _prefixed("bps", _BIT)
    | {"bytes/s": _ONE}
)
_ENERGY = _prefixed("J", _ONE) | _prefixed("Wh", Fraction(3600))
_CARBON = {"gCO2e": Fraction(1, 1000), "kgCO2e": _ONE, "tCO2e": Fraction(1000)}
_MONEY = {"USD": _ONE, "kUSD": Fraction(1000), "MUSD": Fraction(10**6)}

KINDS: dict[str, Kind] = {
    "duration": Kind(
        "a duration",
        "s",
        TIME,
        ("10.8 s", "7.9 h", "54 days"),
        (*_from_one("ns us ms s min h"), ("days", 2.0)),
    ),
    "size": Kind("a data size", "B", _SIZES, ("80 GiB", "1.6 TB"), _from_one("B kB MB GB TB PB EB")),
    "bandwidth": Kind(
        "a bandwidth",
        "B/s",
        _SPEEDS,
        ("400 Gbit/s", "50 GB/s"),
        _from_one("bit/s kbit/s Mbit/s Gbit/s Tbit/s Pbit/s"),
    ),
    "flop": Kind(
        "an amount of computation",
        "FLOP",
        _prefixed("FLOP", _ONE),
        ("3.8e25 FLOP", "250 PFLOP"),
        _from_one("FLOP kFLOP MFLOP GFLOP TFLOP PFLOP EFLOP"),
        largest=1e33,
    ),
    "flop_rate": Kind(
        "a speed of computation",
        "FLOP/s",
        _prefixed("FLOP/s", _ONE),
        ("989 TFLOP/s", "1.2 EFLOP/s"),
        _from_one("FLOP/s kFLOP/s MFLOP/s GFLOP/s TFLOP/s PFLOP/s EFLOP/s"),
        largest=1e24,
    ),
    "power": Kind("a power", "W", _prefixed("W", _ONE), ("700 W", "60 kW"), _from_one("W kW MW GW TW PW")),
    "energy": Kind("an energy", "J", _ENERGY, ("3.4 GWh", "120 kWh", "36 MJ"), _from_one("J Wh kWh MWh GWh TWh PWh")),
    "temperature": Kind(
        "a temperature",
        "K",
        dict.fromkeys(("K", "degC", "\u00b0C"), _ONE),
        ("27 degC", "300 K"),
        (("degC", -math.inf),),
        offset=Fraction(27315, 100),
    ),
    "money": Kind("an amount of money", "USD", _MONEY, ("1250 USD", "3.2 MUSD"), _from_one("USD"), grouped=True),
    "money_rate": Kind(
        "a price of GPU time",
        "USD/GPU-s",
        _ratios(_MONEY, ("/GPU/", "/GPU-"), TIME),
        ("2.95 USD/GPU/h",),
        _from_one("USD/GPU-h"),
    ),
    "gpu_time": Kind(
        "an amount of GPU time",
        "GPU-s",
        {f"GPU-{unit}": seconds for unit, seconds in TIME.items()},
        ("1200 GPU-h", "50 GPU-days"),
        _from_one("GPU-h"),
        grouped=True,
    ),
    "carbon_intensity": Kind(
        "a carbon intensity",
        "kgCO2e/J",
        _ratios(_CARBON, ("/",), _ENERGY),
        ("56 gCO2e/kWh",),
        _from_one("gCO2e/kWh"),
    ),
    "fraction": Kind(
        "a fraction",
        "",
        {"": _ONE, "%": Fraction(1, 100)},
        ("0.97", "97 %"),
        (("%", 0.0),),
        largest=1.0,
        bare=True,
    ),
}
"""Every kind of quantity by the name that `parse` takes."""

BY_BASE: dict[str, Kind] = {kind.base: kind for kind in KINDS.values() if kind.base} | {
    "bytes": KINDS["size"],
    "bytes/s": KINDS["bandwidth"],
    "fraction": KINDS["fraction"],
}
"""Kind by the unit that `show` takes."""
