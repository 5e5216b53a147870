"""Moments on the simulated clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulator.engine.clock import delay_until

moments = st.floats(0.0, 1e12, allow_nan=False)


@given(moments, moments)
def test_the_clock_shows_exactly_the_moment_that_was_wanted(one: float, other: float) -> None:
    now_s, at_s = sorted((one, other))
    delay_s = delay_until(now_s, at_s)
    assert now_s + delay_s == at_s
    assert delay_s >= 0.0


def test_the_plain_difference_can_miss_it() -> None:
    now_s, at_s = 0.11059971476745498, 0.3686657158915166
    assert now_s + (at_s - now_s) != at_s
    assert now_s + delay_until(now_s, at_s) == at_s
