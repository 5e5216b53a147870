"""What is shown reads back: exactly where exactness is asked for, otherwise to the digits shown; nothing crashes."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.errors import UnitError
from simulator.units import KINDS, Rate, parse, parse_mtbf, parse_rate, show, show_rate

_QUANTITIES = st.sampled_from(sorted(KINDS)).flatmap(
    lambda kind: st.tuples(
        st.just(kind),
        # Below 1e-300 the smallest units would need numbers that float64 no longer holds in full.
        st.one_of(st.just(0.0), st.floats(1e-300, KINDS[kind].largest)),
    )
)


def _tried(read: Callable[[], Any]) -> tuple[Any, UnitError | None]:
    try:
        return read(), None
    except UnitError as error:
        return -1.0, error


def _unit(kind: str) -> str:
    return KINDS[kind].base or "fraction"


@given(_QUANTITIES)
def test_exact_text_reads_back_to_the_same_bits(quantity):
    kind, value = quantity
    assert parse(show(value, _unit(kind), exact=True), kind) == value


@given(_QUANTITIES)
def test_shown_text_reads_back_and_is_a_fixed_point(quantity):
    kind, value = quantity
    text = show(value, _unit(kind))
    read, error = _tried(lambda: parse(text, kind))
    if error is not None:
        # Four digits may round the largest value up, over the limit.
        assert error.problem.startswith("absurdly large")
        assert value > KINDS[kind].largest * 0.999
        return
    offset = float(KINDS[kind].offset)
    # Half a unit of the fourth digit; a kelvin value near 0 degC loses digits to the offset.
    assert abs(read - value) <= 5.1e-4 * abs(value - offset) + 1e-12 * offset
    assert show(read, _unit(kind)) == text


@given(
    st.sampled_from(sorted(KINDS)).flatmap(
        lambda kind: st.tuples(st.just(kind), st.sampled_from(sorted(KINDS[kind].units)))
    ),
    st.integers(0, 10**6),
    st.integers(0, 4),
)
def test_reading_is_the_correctly_rounded_exact_product(unit, digits, decimals):
    kind, name = unit
    number = Fraction(digits, 10**decimals)
    rules = KINDS[kind]
    exact = rules.in_base(number, name)
    text = f"{digits / 10**decimals:.{decimals}f} {name}"
    if float(exact) > rules.largest:
        with pytest.raises(UnitError):
            parse(text, kind)
    else:
        assert parse(text, kind) == float(exact)


@given(st.floats(0.0, 1e9), st.sampled_from(["node", "GPU", "rack", "switch"]))
def test_rates_read_back(per_s, population):
    read = parse_rate(show_rate(Rate(per_s, population)))
    assert read.population == population
    assert read.value_per_s == pytest.approx(per_s, rel=5.1e-4, abs=1e-308)  # four digits are shown


@given(st.text(max_size=100), st.sampled_from(sorted(KINDS)))
def test_any_text_is_read_or_refused_in_one_line(text, kind):
    for read in (lambda: parse(text, kind), lambda: parse_rate(text), lambda: parse_mtbf(text)):
        _, error = _tried(read)
        if error is not None:
            assert "\n" not in str(error)
            assert error.found is not None
            assert error.allowed is not None


@given(
    st.from_regex(r"[+-]?[0-9.,eE_]{1,12} ?[kKmMgGtT]?i?[bB]?(it|yte)?s?(/s|ps)?", fullmatch=True),
    st.sampled_from(["size", "bandwidth"]),
)
def test_near_misses_of_data_units_never_crash(text, kind):
    value, error = _tried(lambda: parse(text, kind))
    assert (value >= 0.0) == (error is None)
