"""Distributions by their quantiles: what they draw is what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.errors import InputError
from simulator.workload.quantiles import LogQuantiles, lognormal_quantiles, quantiles_of

SAMPLES = st.lists(st.floats(1.0, 1e7), min_size=1, max_size=200)
MIDDLES = (np.arange(200_000) + 0.5) / 200_000


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(1.0, 1e6), min_size=2, max_size=12))
def test_the_mean_is_that_of_what_is_drawn(values: list[float]) -> None:
    found = LogQuantiles(tuple(np.linspace(0, 1, len(values)).tolist()), tuple(sorted(values)))
    # A midpoint sum over 200,000 pieces of a function that grows at most a millionfold.
    assert found.at(MIDDLES).mean() == pytest.approx(found.mean, rel=1e-4)


@settings(deadline=None, max_examples=100)
@given(SAMPLES)
def test_a_sample_keeps_its_mean_and_its_order(sample: list[float]) -> None:
    found = quantiles_of(np.array(sample))
    assert found.mean == pytest.approx(np.mean(sample), rel=1e-4)  # values have six digits
    assert list(found.values) == sorted(found.values)
    assert found.values[-1] <= max(sample) * (1 + 1e-5)
    assert (found.probabilities[0], found.probabilities[-1]) == (0.0, 1.0)


@settings(deadline=None, max_examples=100)
@given(SAMPLES, st.floats(0.01, 1.0))
def test_a_mean_that_is_given_takes_nothing_above_the_greatest(sample: list[float], share: float) -> None:
    wanted = min(sample) + share * (max(sample) - min(sample))
    found = quantiles_of(np.array(sample), wanted)
    assert found.mean == pytest.approx(wanted, rel=1e-4)
    assert found.values[-1] <= max(sample) * (1 + 1e-5)


def test_a_large_sample_of_a_heavy_tail_is_recovered() -> None:
    sample = np.exp(2.0 * np.random.default_rng(1).standard_normal(200_000) + 6.0)
    found = quantiles_of(sample)
    assert found.mean == pytest.approx(sample.mean(), rel=1e-4)
    probabilities = np.array([0.1, 0.5, 0.9])
    assert found.at(probabilities) == pytest.approx(np.quantile(sample, probabilities), rel=1e-4)


def test_a_mean_can_be_given() -> None:
    sample = np.exp(np.random.default_rng(2).standard_normal(10_000))
    assert quantiles_of(sample, 2.0 * sample.mean()).mean == pytest.approx(2.0 * sample.mean(), rel=1e-4)


@pytest.mark.parametrize(
    ("median", "mean", "greatest"), [(122.0, 1414.0, 1.2e6), (206.0, 6652.0, 4.3e6), (5.0, 5.0, 9.0)]
)
def test_a_lognormal_has_the_median_and_the_mean_it_was_given(median: float, mean: float, greatest: float) -> None:
    found = lognormal_quantiles(median, mean, greatest)
    assert found.median == pytest.approx(median, rel=1e-4)
    assert found.mean == pytest.approx(mean, rel=1e-3)
    assert found.values[-1] <= greatest


def test_a_lognormal_that_cannot_be_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        lognormal_quantiles(10.0, 5.0, 100.0)
    assert str(caught.value) == (
        "not a lognormal; found median 10, mean 5, greatest 100; allowed: 0 < median <= mean < greatest"
    )
    with pytest.raises(InputError) as caught:
        lognormal_quantiles(10.0, 90.0, 100.0)
    assert str(caught.value) == "no lognormal has this mean; found 90; allowed: at most 43.111"
