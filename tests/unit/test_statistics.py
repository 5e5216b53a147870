import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from simulator.accounting.columns import METRICS
from simulator.experiments import statistics
from simulator.experiments.statistics import (
    MOST_MORE,
    Interval,
    difference_interval,
    difference_rows,
    incomplete_beta,
    mean_interval,
    more_to_decide,
    probability_better,
    quantiles,
    student_t_quantile,
    summary_rows,
)

T_975 = stats.t.ppf(0.975, np.arange(1, 5000))
"""Student's quantile for 2, 3, ... values."""
ETTR = next(metric for metric in METRICS if metric.name == "ettr")
INTERRUPTIONS = next(metric for metric in METRICS if metric.name == "interruptions")


def test_student_quantile_equals_scipy():
    for degrees in [*range(1, 200), 999, 9_999, 99_999]:
        for probability in (0.6, 0.9, 0.975, 0.995, 0.9995):
            expected = stats.t.ppf(probability, degrees)
            # lgamma loses about 1e-16 x degrees of relative accuracy, far below what an interval shows
            assert student_t_quantile(probability, degrees) == pytest.approx(expected, rel=2e-9)


@given(st.floats(0.0, 1.0), st.floats(0.5, 500.0), st.floats(0.5, 500.0))
def test_incomplete_beta_equals_scipy(x, a, b):
    from scipy.special import betainc

    assert incomplete_beta(x, a, b) == pytest.approx(betainc(a, b, x), rel=1e-8, abs=1e-12)


def test_interval_equals_scipy():
    values = np.random.default_rng(1).normal(3.0, 2.0, 37)
    expected = stats.t.interval(0.95, 36, values.mean(), stats.sem(values))
    interval = mean_interval(values)
    assert (interval.low, interval.high) == pytest.approx(expected, rel=1e-12)
    assert interval.mean == pytest.approx(values.mean(), rel=1e-14)
    assert interval.count == 37
    assert interval.half_width == pytest.approx((expected[1] - expected[0]) / 2)


def test_interval_covers_as_often_as_it_says():
    # 4,000 samples of 5: the share of intervals that hold the mean is 0.95 within 4 standard errors (0.0138).
    samples = np.random.default_rng(2).normal(10.0, 1.0, (4000, 5))
    held = [interval.low <= 10.0 <= interval.high for interval in map(mean_interval, samples)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.0138)


def test_interval_ignores_nan_and_counts_values():
    with_gaps = mean_interval(np.array([1.0, math.nan, 3.0, math.nan]))
    assert with_gaps == mean_interval(np.array([1.0, 3.0]))
    assert with_gaps.count == 2


def test_interval_of_nothing_and_of_one():
    empty = mean_interval(np.array([math.nan, math.nan]))
    assert (empty.count, math.isnan(empty.mean), math.isnan(empty.low)) == (0, True, True)
    single = mean_interval(np.array([0.7]))
    assert (single.count, single.mean) == (1, 0.7)
    assert math.isnan(single.low)
    assert math.isnan(single.high)


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e9 + 0.1])
def test_equal_values_have_that_mean_and_no_width(value):
    interval = mean_interval(np.full(7, value))
    assert (interval.mean, interval.low, interval.high) == (value, value, value)


def test_intervals_end_where_the_metric_does():
    wide = mean_interval(np.array([0.95, 0.99]))
    assert wide.high > 1.0
    assert wide.within(0.0, 1.0) == Interval(wide.mean, wide.low, 1.0, 2)
    counts = mean_interval(np.array([0.0, 9.0]))
    assert counts.low < 0.0
    assert counts.within(0.0, math.inf) == Interval(4.5, 0.0, counts.high, 2)
    assert math.isnan(mean_interval(np.array([0.7])).within(0.0, 1.0).high)
    above = 1.0 + 2**-52  # a sum of shares that rounding put above 1
    assert Interval(above, above, above, 3).within(0.0, 1.0).high == above


def test_differences_end_where_two_values_of_the_metric_can_lie_apart():
    differences = np.array([0.9, -0.1])
    shares, counts = difference_interval(differences, ETTR), difference_interval(differences, INTERRUPTIONS)
    assert (shares.low, shares.high) == (-1.0, 1.0)
    assert counts == mean_interval(differences)
    assert counts.high > 1.0


def test_no_row_holds_what_its_metric_cannot_be():
    ranges = {metric.name: (metric.least, metric.most) for metric in METRICS}
    values = {variant: {} for variant in ("base", "other")}
    rng = np.random.default_rng(4)
    for name, (least, most) in ranges.items():
        for mine in values.values():
            mine[name] = least + min(most - least, 1.0) * rng.beta(0.3, 0.3, 3)
    for row in summary_rows(values):
        assert ranges[row.metric][0] <= row.ci_low <= row.mean <= row.ci_high <= ranges[row.metric][1]
    for row in difference_rows(values):
        most = ranges[row.metric][1] - ranges[row.metric][0]
        assert -most <= row.ci_low <= row.mean_difference <= row.ci_high <= most


def with_moments(count, mean, deviation):
    """So many values with exactly that mean and standard deviation."""
    values = np.linspace(-1.0, 1.0, count)
    return mean + deviation * values / values.std(ddof=1)


@pytest.mark.parametrize(
    ("count", "mean", "deviation"), [(2, 1.0, 3.0), (4, -0.2, 0.5), (20, 0.01, 0.1), (10, 1.0, 30.0)]
)
def test_more_to_decide_is_the_smallest_number_whose_interval_leaves_zero_out(count, mean, deviation):
    more = more_to_decide(with_moments(count, mean, deviation))
    totals = np.arange(2, 5001)
    leaves_out = T_975 * deviation / np.sqrt(totals) < abs(mean)
    smallest = totals[leaves_out][0]
    assert count + more == (smallest if smallest - count <= MOST_MORE else math.inf)


def test_more_to_decide_says_nothing_where_nothing_spreads_and_no_end_where_nothing_differs():
    assert more_to_decide(np.array([5.0, 5.1, 4.9])) == 0
    assert math.isnan(more_to_decide(np.zeros(10)))
    assert math.isnan(more_to_decide(np.full(10, 0.3)))
    assert math.isnan(more_to_decide(np.array([0.3, math.nan])))
    assert more_to_decide(np.array([-1.0, 1.0])) == math.inf
    assert more_to_decide(with_moments(10, 1e-6, 1.0)) == math.inf


@pytest.mark.parametrize(("mean", "deviation"), [(1.0, 1.0), (0.3, 1.0), (-0.1, 0.5)])
def test_the_predicted_number_decides_as_often_as_theory_says(mean, deviation):
    """A study of the predicted number of pairs leaves 0 out with the power of the t test, about one half.

    4,000 studies of normal differences: the share lies within 4 standard errors of the power, which a right count
    misses once in 16,000 times; half the number would be off by more than 0.15.
    """
    total = 5 + int(more_to_decide(with_moments(5, mean, deviation)))
    shift = abs(mean) / deviation * math.sqrt(total)
    power = stats.nct.sf(T_975[total - 2], total - 1, shift) + stats.nct.cdf(-T_975[total - 2], total - 1, shift)
    assert 0.5 < power < 0.61  # above a half by as much as the whole number is above the exact one
    studies = np.random.default_rng(9).normal(mean, deviation, (4000, total))
    decided = np.mean([not interval.low <= 0.0 <= interval.high for interval in map(mean_interval, studies)])
    assert decided == pytest.approx(power, abs=4 * math.sqrt(power * (1 - power) / 4000))


def test_quantiles():
    values = np.array([5.0, math.nan, 1.0, 2.0, 4.0, 3.0])
    assert quantiles(values, (0.0, 0.25, 0.5, 1.0)) == [1.0, 2.0, 3.0, 5.0]
    assert all(math.isnan(q) for q in quantiles(np.array([math.nan]), (0.05, 0.5)))


def test_probability_better_follows_the_direction_and_splits_ties():
    baseline = np.array([1.0, 1.0, 1.0, 1.0, math.nan, 1.0])
    variant = np.array([2.0, 2.0, 1.0, 0.0, 5.0, math.nan])
    assert probability_better(variant, baseline, ETTR) == pytest.approx((2 + 0.5) / 4)
    assert probability_better(variant, baseline, INTERRUPTIONS) == pytest.approx((1 + 0.5) / 4)
    assert math.isnan(probability_better(variant[4:], baseline[4:], ETTR))


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.lists(st.floats(-1e6, 1e6), min_size=20, max_size=20)
)
def test_probability_better_of_two_adds_to_one(ours, theirs):
    a, b = np.array(ours), np.array(theirs[: len(ours)])
    assert probability_better(a, b, ETTR) + probability_better(b, a, ETTR) == pytest.approx(1.0)


def runs(**values):
    """Every metric of each variant has the same values."""
    return {variant: {metric.name: np.array(row, dtype=float) for metric in METRICS} for variant, row in values.items()}


def test_summary_has_a_row_per_variant_and_metric_in_order():
    rows = summary_rows(runs(b=[0.4, 0.5, 0.6], a=[0.3, 0.4, 0.5]))
    assert [(row.variant, row.metric) for row in rows] == [(v, m.name) for v in "ba" for m in METRICS]
    first = rows[0]
    assert (first.mean, first.p50, first.replications, first.unit) == (0.5, 0.5, 3, METRICS[0].unit)
    assert first.ci_high - first.mean == pytest.approx(0.1 * stats.t.ppf(0.975, 2) / math.sqrt(3))


def test_differences_are_paired():
    # The values of the two variants spread by 1,000, their pairs always differ by about 1.
    rows = difference_rows(runs(base=[0, 1000, 2000], other=[1.1, 1001, 2000.9]))
    assert len(rows) == len(METRICS)
    ettr = rows[0]
    assert (ettr.variant, ettr.baseline, ettr.probability_better) == ("other", "base", 1.0)
    assert ettr.mean_difference == pytest.approx(1.0)
    assert ettr.ci_high - ettr.ci_low < 1.0


def test_a_variant_that_changes_nothing_differs_by_exactly_nothing():
    values = np.random.default_rng(3).normal(size=50)
    for row in difference_rows(runs(base=values, same=values.copy())):
        assert (row.mean_difference, row.ci_low, row.ci_high) == (0.0, 0.0, 0.0)
        assert row.probability_better == 0.5 or row.metric not in {m.name for m in METRICS if m.goal != "none"}


def test_statistics_import_no_heavy_library():
    import subprocess
    import sys

    code = "import sys, simulator.experiments.statistics; print([m for m in ('scipy', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert statistics.CONFIDENCE == 0.95
