import math

import numpy as np
import pytest

from simulator.accounting.columns import METRICS
from simulator.errors import InputError, SimulatorError
from simulator.experiments.precision import (
    FIRST_BATCH,
    FRACTIONS,
    MOST_REPLICATIONS,
    demand_valid,
    half_width,
    next_total,
)
from simulator.experiments.statistics import mean_interval

VALUES = np.random.default_rng(5).normal(10.0, 1.0, 50)


def test_fractions_are_metrics_without_unit():
    units = {metric.name: metric.unit for metric in METRICS}
    assert all(units[name] == "" for name in FRACTIONS)


def test_half_width_is_absolute_for_fractions_and_relative_otherwise():
    absolute = mean_interval(VALUES).half_width
    assert half_width("ettr", VALUES) == absolute
    assert half_width("makespan_s", VALUES) == absolute / VALUES.mean()
    assert half_width("interruptions", np.zeros(5)) == 0.0
    assert half_width("interruptions", np.array([-1.0, 1.0])) == math.inf


def test_a_metric_without_values_is_refused():
    with pytest.raises(SimulatorError, match="no precision can be reached"):
        half_width("cost_usd", np.full(20, math.nan))


def test_stops_when_all_variants_are_precise_and_not_before():
    narrow, wide = VALUES[:20] * 1e-3, VALUES[:20]
    assert next_total(0.01, "ettr", 20, [narrow, narrow]) == 20
    assert next_total(0.01, "ettr", 20, [narrow, wide]) > 20


def test_grows_by_what_the_spread_asks_for_within_bounds():
    width = half_width("ettr", VALUES[:20])
    assert next_total(width * 0.999, "ettr", 20, [VALUES[:20]]) == 30
    assert next_total(width / 1.2, "ettr", 20, [VALUES[:20]]) == math.ceil(1.1 * 20 * 1.44)
    assert next_total(width / 100, "ettr", 20, [VALUES[:20]]) == 60
    assert next_total(1e-9, "ettr", 9_000, [VALUES]) == MOST_REPLICATIONS


def test_reaches_the_precision_it_was_asked_for():
    draws = np.random.default_rng(6).normal(0.9, 0.05, MOST_REPLICATIONS)
    done, total = 0, FIRST_BATCH
    while done < total:
        done = total
        total = next_total(0.005, "ettr", done, [draws[:done]])
    assert half_width("ettr", draws[:done]) <= 0.005
    needed = (1.96 * 0.05 / 0.005) ** 2
    assert needed * 0.7 < done < needed * 1.6


@pytest.mark.parametrize("wrong", [0.0, -0.1, 1.0, math.nan, math.inf])
def test_impossible_precision_is_refused(wrong):
    with pytest.raises(InputError, match="precision out of range"):
        demand_valid(wrong)
