"""Closed forms of checkpointing against the published tables, scipy and their own derivatives."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import lambertw
from tables import published

from simulator.workload.checkpoints import (
    daly_interval,
    efficiency,
    exact_interval,
    expected_ettr_rsc,
    young_interval,
)

DAY_S = 86400.0
# The tables print nine digits; some values are below 1e-3 of their terms, so the absolute part covers cancellation.
TOLERANCE = {"rel": 1e-6, "abs": 1e-9}


@pytest.mark.parametrize("row", published("t01_checkpoint_optimum"))
def test_t01_optimum_and_efficiency(row: dict[str, str]) -> None:
    mtbf_s, cost_s, restart_s = (float(row[key]) for key in ("mtbf_M_s", "checkpoint_cost_C_s", "restart_R_s"))
    young_s, exact_s = young_interval(cost_s, mtbf_s), exact_interval(cost_s, mtbf_s)
    assert young_s == pytest.approx(float(row["tau_young_s"]), **TOLERANCE)
    assert daly_interval(cost_s, mtbf_s, "first") == pytest.approx(float(row["tau_daly_first_order_s"]), **TOLERANCE)
    assert daly_interval(cost_s, mtbf_s) == pytest.approx(float(row["tau_daly_higher_order_s"]), **TOLERANCE)
    assert exact_s == pytest.approx(float(row["tau_exact_s"]), **TOLERANCE)
    for key, interval_s, during_restart in (
        ("efficiency_exact_failures_during_restart", exact_s, True),
        ("efficiency_exact_no_failures_during_restart", exact_s, False),
        ("efficiency_at_young_failures_during_restart", young_s, True),
    ):
        value = efficiency(interval_s, cost_s, restart_s, mtbf_s, during_restart)
        assert value == pytest.approx(float(row[key]), **TOLERANCE)


@pytest.mark.parametrize("row", published("t02_meta_ettr_formula"))
def test_t02_expected_ettr(row: dict[str, str]) -> None:
    rate_per_s = float(row["failure_rate_per_1000_node_days"]) / 1000 / DAY_S
    names = ("restart_u0_s", "checkpoint_write_w_s", "checkpoint_interval_dt_s")
    value = expected_ettr_rsc(int(row["nodes"]), rate_per_s, *(float(row[name]) for name in names))
    assert value == pytest.approx(float(row["expected_ettr"]), **TOLERANCE)


@given(st.floats(1e-3, 30.0))
def test_the_exact_interval_is_lambert_s(ratio: float) -> None:
    """Away from the branch point the textbook formula keeps its digits; scipy loses half of them near it."""
    expected = 1.0 + lambertw(-math.exp(-ratio - 1.0)).real
    assert exact_interval(ratio * 1000.0, 1000.0) == pytest.approx(1000.0 * expected, rel=1e-11)


@given(st.floats(1e-15, 600.0))
def test_the_exact_interval_solves_its_equation(ratio: float) -> None:
    """y = tau / M solves y + log(1 - y) = -C / M; near the branch point its series is y**2/2 + y**3/3 + ..."""
    y = exact_interval(ratio, 1.0)
    if y < 0.01:
        assert sum(y**n / n for n in range(2, 12)) == pytest.approx(ratio, rel=1e-13)
    elif y < 0.999:
        assert -math.log1p(-y) - y == pytest.approx(ratio, rel=1e-11)
    else:
        assert 0.999 <= y <= 1.0


@given(st.floats(1.0, 1e4), st.floats(1e3, 1e6), st.floats(0.0, 5e3), st.booleans())
def test_no_other_interval_is_better_than_the_exact_one(
    cost_s: float, mtbf_s: float, restart_s: float, during_restart: bool
) -> None:
    best_s = exact_interval(cost_s, mtbf_s)
    best = efficiency(best_s, cost_s, restart_s, mtbf_s, during_restart)
    for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2.0):
        assert efficiency(best_s * factor, cost_s, restart_s, mtbf_s, during_restart) < best


def test_limits() -> None:
    assert exact_interval(60.0, math.inf) == math.inf
    assert exact_interval(0.0, 3600.0) == 0.0
    assert daly_interval(5000.0, 2000.0) == 2000.0  # beyond C = 2 M: one mean time between failures
    assert exact_interval(1e6, 1000.0) == 1000.0
