"""Units at the boundary: a closed table that reads quantities as people write them and shows them as they read them.

Inside the simulator everything is float64 in SI (second, byte, byte/s, FLOP, watt, joule, kelvin, USD,
GPU-second); `parse` and `show` are the only ways in and out. What could mean two things is refused with a hint,
never guessed: ``400G`` (bits or bytes), ``400 gb/s`` (case decides), ``30`` for a duration (of what), ``month``.
"""

from simulator.units.rates import Rate, parse_mtbf, parse_rate, show_rate
from simulator.units.reading import parse
from simulator.units.showing import count_of, in_unit, show
from simulator.units.table import KINDS, Kind

__all__ = ["KINDS", "Kind", "Rate", "count_of", "in_unit", "parse", "parse_mtbf", "parse_rate", "show", "show_rate"]
