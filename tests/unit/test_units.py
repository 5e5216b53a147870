"""Units: what is read, what is refused and with which words, what is shown; Pint is the independent oracle."""

from __future__ import annotations

import pint
import pytest

from simulator import units
from simulator.errors import UnitError
from simulator.units import KINDS, Rate, in_unit, parse, parse_mtbf, parse_rate, show, show_rate

_PINT = pint.UnitRegistry()

READ = [
    ("10.8 s", "duration", 10.8),
    ("18.7 h", "duration", 67_320.0),
    ("54 days", "duration", 4_665_600.0),
    ("2us", "duration", 2e-6),
    ("2 \u00b5s", "duration", 2e-6),
    ("2 \u03bcs", "duration", 2e-6),
    (" 7.9  h ", "duration", 28_440.0),
    ("0 s", "duration", 0.0),
    ("+.5e1 min", "duration", 300.0),
    ("1e-999999999 s", "duration", 0.0),
    ("80 GiB", "size", 80 * 2**30),
    ("1.6 TB", "size", 1.6e12),
    ("12 bytes", "size", 12.0),
    ("8 Gbit", "size", 1e9),
    ("400 Gbit/s", "bandwidth", 5e10),
    ("400Gbps", "bandwidth", 5e10),
    ("400 Gb/s", "bandwidth", 5e10),
    ("50 GB/s", "bandwidth", 5e10),
    ("1 GiB/s", "bandwidth", 2.0**30),
    ("3.8e25 FLOP", "flop", 3.8e25),
    ("1e33 FLOP", "flop", 1e33),
    ("989 TFLOP/s", "flop_rate", 9.89e14),
    ("10.2 kW", "power", 10_200.0),
    ("3.4 GWh", "energy", 1.224e13),
    ("27 degC", "temperature", 300.15),
    ("-5 \u00b0C", "temperature", 268.15),
    ("300 K", "temperature", 300.0),
    ("1250 USD", "money", 1250.0),
    ("1,250.50 USD", "money", 1250.5),
    ("2.95 USD/GPU/h", "money_rate", 2.95 / 3600),
    ("2.95 USD/GPU-hour", "money_rate", 2.95 / 3600),
    ("1,234 GPU-h", "gpu_time", 4_442_400.0),
    ("56 gCO2e/kWh", "carbon_intensity", 0.056 / 3.6e6),
    ("97 %", "fraction", 0.97),
    ("97%", "fraction", 0.97),
    ("0.97", "fraction", 0.97),
    (0.97, "fraction", 0.97),
    (1, "fraction", 1.0),
]


@pytest.mark.parametrize(("text", "kind", "value"), READ)
def test_reads(text, kind, value):
    assert parse(text, kind) == pytest.approx(value, rel=1e-15, abs=0.0)  # one rounding of the reference itself


def test_the_result_is_the_nearest_float():
    assert parse("0.07 h", "duration") == 252.0
    assert 0.07 * 3600 != 252.0, "the naive product is wrong in the last bit"


PINT = {
    "duration": {"ns": "ns", "us": "us", "ms": "ms", "s": "s", "min": "min", "h": "h", "days": "day", "week": "week"},
    "size": {"B": "byte", "kB": "kilobyte", "TB": "terabyte", "KiB": "kibibyte", "TiB": "tebibyte", "Gbit": "gigabit"},
    "bandwidth": {
        "Gbit/s": "gigabit / second",
        "Gb/s": "gigabit / second",
        "Tbps": "terabit / second",
        "GB/s": "gigabyte / second",
        "MiB/s": "mebibyte / second",
    },
    "power": {"W": "W", "kW": "kW", "MW": "MW", "GW": "GW"},
    "energy": {"J": "J", "MJ": "MJ", "kWh": "kilowatt_hour", "GWh": "gigawatt_hour"},
    "carbon_intensity": {"gCO2e/kWh": "gram / kilowatt_hour", "kgCO2e/MWh": "kg / megawatt_hour"},
}
_BASE = {
    "duration": "s",
    "size": "byte",
    "bandwidth": "byte / s",
    "power": "W",
    "energy": "J",
    "carbon_intensity": "kg / J",
}


@pytest.mark.parametrize(
    ("kind", "ours", "theirs"), [(kind, ours, theirs) for kind, row in PINT.items() for ours, theirs in row.items()]
)
def test_agrees_with_pint(kind, ours, theirs):
    expected = _PINT.Quantity(3.7, theirs).to(_BASE[kind]).magnitude
    assert parse(f"3.7 {ours}", kind) == pytest.approx(expected, rel=1e-12)  # Pint multiplies floats


def test_celsius_agrees_with_pint():
    assert parse("41.5 degC", "temperature") == pytest.approx(_PINT.Quantity(41.5, "degC").to("K").magnitude)


_DURATION = 'allowed: a number with its unit, such as "10.8 s" or "7.9 h" or "54 days"'
_BANDWIDTH = 'allowed: "Gbit/s" (bits), "GB/s" (bytes), "GiB/s" (bytes, powers of 1024)'
_FRACTION = 'allowed: 0 to 1, such as "0.97" or "97 %"'
_CASE = "case decides between bits and bytes"
_RATE = 'allowed: events / exposure, such as "3.79 / 1000 node-days" or "19.7 / 1e6 GPU-hours"'

REFUSED = [
    ("30", "duration", f"a duration needs its unit; found '30'; {_DURATION}"),
    (30, "duration", f"a duration needs its unit; found 30; {_DURATION}"),
    (True, "duration", f"not a duration; found True; {_DURATION}"),
    (None, "duration", f"not a duration; found None; {_DURATION}"),
    ("", "duration", f"not a duration; found ''; {_DURATION}"),
    ("ten s", "duration", f"not a duration; found 'ten s'; {_DURATION}"),
    ("10 dyas", "duration", f"unknown unit 'dyas'; found '10 dyas'; {_DURATION}; did you mean '10 days'?"),
    ("10 S", "duration", f"unknown unit 'S'; found '10 S'; {_DURATION}; did you mean '10 s'?"),
    ("5 m", "duration", "'m' could be minutes or months; found '5 m'; allowed: \"30 min\", or days"),
    ("1 month", "duration", "a month has no fixed length; found '1 month'; allowed: days, such as \"30 days\""),
    ("1 year", "duration", "a year has no fixed length; found '1 year'; allowed: days, such as \"365 days\""),
    ("-1 s", "duration", f"negative duration; found '-1 s'; {_DURATION}"),
    ("nan s", "duration", f"not a finite number; found 'nan s'; {_DURATION}"),
    ("inf s", "duration", f"not a finite number; found 'inf s'; {_DURATION}"),
    ("1e19 s", "duration", "absurdly large duration; found '1e19 s'; allowed: at most 1e+18 s"),
    ("1e300 weeks", "duration", "absurdly large duration; found '1e300 weeks'; allowed: at most 1e+18 s"),
    ("1e308 EFLOP", "flop", "absurdly large amount of computation; found '1e308 EFLOP'; allowed: at most 1e+33 FLOP"),
    ("1e999 s", "duration", f"absurdly large duration; found '1e999 s'; {_DURATION}"),
    ("1_000 s", "duration", f"the decimal mark is a point, and digits are not grouped; found '1_000 s'; {_DURATION}"),
    ("1,5 s", "duration", f"the decimal mark is a point, and digits are not grouped; found '1,5 s'; {_DURATION}"),
    ("5 GB", "duration", f"'GB' is a unit of data size, not of duration; found '5 GB'; {_DURATION}"),
    ("400G", "bandwidth", f"ambiguous unit 'G', {_CASE}; found '400G'; {_BANDWIDTH}"),
    ("400 gb/s", "bandwidth", f"ambiguous unit 'gb/s', {_CASE}; found '400 gb/s'; {_BANDWIDTH}"),
    ("400 gbps", "bandwidth", f"ambiguous unit 'gbps', {_CASE}; found '400 gbps'; {_BANDWIDTH}"),
    (
        "80 KB",
        "size",
        f"ambiguous unit 'KB', {_CASE}; found '80 KB'; "
        'allowed: "kbit" (bits), "kB" (bytes), "KiB" (bytes, powers of 1024)',
    ),
    (
        "60 mW",
        "power",
        "unknown unit 'mW'; found '60 mW'; "
        'allowed: a number with its unit, such as "700 W" or "60 kW"; did you mean \'60 MW\'?',
    ),
    (
        "989 TFLOPS",
        "flop_rate",
        "'FLOPS' could be an amount or a speed; found '989 TFLOPS'; allowed: FLOP (amount) or FLOP/s (speed)",
    ),
    (
        "2 EUR",
        "money",
        "only USD is read, and no currency is converted silently; found '2 EUR'; allowed: the amount in USD",
    ),
    (
        "2 EUR/GPU/h",
        "money_rate",
        "only USD is read, and no currency is converted silently; found '2 EUR/GPU/h'; allowed: the amount in USD",
    ),
    (
        "-300 degC",
        "temperature",
        'below absolute zero; found \'-300 degC\'; allowed: a number with its unit, such as "27 degC" or "300 K"',
    ),
    (97, "fraction", f"fraction above 1; found 97; {_FRACTION}; did you mean '97 %'?"),
    ("120 %", "fraction", f"fraction above 1; found '120 %'; {_FRACTION}; did you mean '1.2 %'?"),
    (-0.1, "fraction", f"negative fraction; found -0.1; {_FRACTION}"),
    (float("nan"), "fraction", f"not a finite number; found nan; {_FRACTION}"),
    (float("inf"), "fraction", f"not a finite number; found inf; {_FRACTION}"),
]


@pytest.mark.parametrize(("text", "kind", "message"), REFUSED)
def test_refuses_with_these_words(text, kind, message):
    with pytest.raises(UnitError) as caught:
        parse(text, kind)
    assert str(caught.value) == message


def test_long_text_is_cut_and_refused_at_once():
    with pytest.raises(UnitError) as caught:
        parse("9" * 100_000 + " s", "duration")
    assert len(str(caught.value)) < 250


def test_an_unknown_kind_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="unknown kind of quantity 'lenght'"):
        parse("1 m", "lenght")


@pytest.mark.parametrize("kind", KINDS)
def test_every_example_is_read_and_every_shown_unit_is_in_the_table(kind):
    rules = KINDS[kind]
    for example in rules.examples:
        assert parse(example, kind) > 0.0
    assert rules.shown
    for unit, _ in rules.shown:
        assert unit in rules.units


SHOWN = [
    (5e10, "bytes/s", "400 Gbit/s"),
    (67_320.0, "s", "18.7 h"),
    (59.996, "s", "1 min"),
    (600.0, "s", "10 min"),
    (86_400.0, "s", "24 h"),
    (4_665_600.0, "s", "54 days"),
    (0.0, "s", "0 s"),
    (0.0015, "s", "1.5 ms"),
    (-7000.0, "s", "-1.944 h"),
    (1e10, "s", "115741 days"),
    (1234 * 3600.0, "GPU-s", "1,234 GPU-h"),
    (2.95 / 3600, "USD/GPU-s", "2.95 USD/GPU-h"),
    (1_234_567.2, "USD", "1,234,567 USD"),
    (0.97, "fraction", "97 %"),
    (300.15, "K", "27 degC"),
    (8.589934592e10, "bytes", "85.9 GB"),
    (9.89e14, "FLOP/s", "989 TFLOP/s"),
    (1.224e13, "J", "3.4 GWh"),
    (0.056 / 3.6e6, "kgCO2e/J", "56 gCO2e/kWh"),
    (16384, "", "16,384"),
    (0.12345, "", "0.1235"),
    (-0.00001, "", "-1e-05"),
    (float("nan"), "s", "n/a"),
    (float("inf"), "s", "infinite"),
    (float("-inf"), "", "-infinite"),
]


@pytest.mark.parametrize(("value", "unit", "text"), SHOWN)
def test_shows(value, unit, text):
    assert show(value, unit) == text


def test_showing_refuses_unknown_units_and_inexact_infinities():
    with pytest.raises(ValueError, match="unknown unit 'parsec'"):
        show(1.0, "parsec")
    with pytest.raises(ValueError, match="no exact text for nan"):
        show(float("nan"), "s", exact=True)
    with pytest.raises(ValueError, match="unknown unit 'degC'"):
        in_unit(1.0, "degC")


def test_converts_to_a_fixed_unit():
    assert in_unit(7200.0, "h") == 2.0
    assert in_unit(7200.0, "GPU-h") == 2.0
    assert in_unit(0.97, "%") == pytest.approx(97.0)
    assert in_unit(3.0, "") == 3.0


RATES = [
    ("3.79 / 1000 node-days", Rate(3.79 / 1000 / 86_400, "node")),
    ("19.7 / 1e6 GPU-hours", Rate(19.7 / 1e6 / 3600, "GPU")),
    ("0.05 / switch-day", Rate(0.05 / 86_400, "switch")),
    ("0.7/1e6 switch-hours", Rate(0.7 / 1e6 / 3600, "switch")),
    ("3.79 per 1000 Nodes-days", Rate(3.79 / 1000 / 86_400, "node")),
    ("1 / gpu-h", Rate(1 / 3600, "GPU")),
    ("0 / node-day", Rate(0.0, "node")),
]


@pytest.mark.parametrize(("text", "rate"), RATES)
def test_reads_rates(text, rate):
    read = parse_rate(text)
    assert read.population == rate.population
    assert read.value_per_s == pytest.approx(rate.value_per_s, rel=1e-15, abs=0.0)


def test_reads_mean_times_between_failures():
    assert parse_mtbf("42 days per node") == Rate(1 / (42 * 86_400), "node")
    assert parse_mtbf("42 days / rack") == Rate(1 / (42 * 86_400), "rack")


BAD_RATES = [
    ("3.79", f"a rate needs its exposure; found '3.79'; {_RATE}"),
    (3.79, f"a rate needs its exposure; found 3.79; {_RATE}"),
    ("3 / day", f"a rate needs its population; found '3 / day'; {_RATE}"),
    ("3 / node", f"a rate needs its population; found '3 / node'; {_RATE}"),
    ("-3 / node-day", f"negative rate; found '-3 / node-day'; {_RATE}"),
    ("3 / 0 node-days", f"an exposure of 0 or less; found '3 / 0 node-days'; {_RATE}"),
    ("3 / -1 node-days", f"an exposure of 0 or less; found '3 / -1 node-days'; {_RATE}"),
    ("nan / node-day", f"not a finite number; found 'nan / node-day'; {_RATE}"),
    ("few / node-day", f"not a number of events: 'few'; found 'few / node-day'; {_RATE}"),
    (
        "1e999 / node-day",
        "absurdly large number of events; found '1e999 / node-day'; allowed: a number, such as \"3.79\"",
    ),
    ("1e18 / node-ns", "absurdly large rate; found '1e18 / node-ns'; allowed: at most 1e+18 per second"),
    ("3 / node-years", f"a year has no fixed length; found '3 / node-years'; {_RATE}"),
    ("3 / node-dys", f"unknown unit of time 'dys'; found '3 / node-dys'; {_RATE}; did you mean 'node-days'?"),
]


@pytest.mark.parametrize(("text", "message"), BAD_RATES)
def test_refuses_rates_with_these_words(text, message):
    with pytest.raises(UnitError) as caught:
        parse_rate(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("42 days", "a mean time between failures needs its population"),
        (42, "a mean time between failures needs its population"),
        ("0 s per node", "a mean time of 0"),
        ("-1 s per node", "negative duration"),
        ("42 dys per node", "unknown unit 'dys'"),
        ("1e-300 s per node", "absurdly large rate"),
    ],
)
def test_refuses_mean_times(text, problem):
    with pytest.raises(UnitError) as caught:
        parse_mtbf(text)
    assert caught.value.problem == problem
    assert caught.value.found == repr(text)


def test_shows_rates():
    assert show_rate(parse_rate("3.79 / 1000 node-days")) == "3.79 / 1000 node-days"
    assert show_rate(parse_rate("0.05 / switch-day")) == "0.05 / switch-day"
    assert show_rate(Rate(0.0, "node")) == "0 / node-day"
    assert show_rate(Rate(1e-20, "node")) == "8.64e-07 / 1e9 node-days"


def test_public_names():
    assert set(units.__all__) >= {"parse", "show", "parse_rate", "parse_mtbf", "Rate"}
