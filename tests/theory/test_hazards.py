"""Ageing, stationary age and frailty against renewal theory. Seeds are fixed; each test states its confidence."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.special import gammainc
from worlds import DAY_S, fault, machine

from simulator.faults.catalogue import Frailty, Hazard
from simulator.faults.hazards import frailty_multipliers, life_s, stationary_residual_s
from simulator.faults.sources import AgeingSource, ageing_sources, merged, poisson_sources
from simulator.streams import generator

HAZARDS = [
    Hazard("weibull", 0.7),
    Hazard("weibull", 1.0),
    Hazard("weibull", 1.5),
    Hazard("weibull", 3.0),
    Hazard("lognormal", 1.0),
]
AGEING_IDS = [f"{hazard.family}-{hazard.shape}" for hazard in HAZARDS]
MEAN_S = 1000.0


def ageing_source(hazard: Hazard, nodes: int, mean_life_s: float, components: int = 1, **more: Any) -> AgeingSource:
    kind = fault(components / mean_life_s, hazard=hazard, components_per_unit=components, **more)
    (source,) = ageing_sources([kind], machine(nodes), seed=5, replication=0)
    return source


def failures_until(source: AgeingSource, end_s: float) -> int:
    count = 0
    while source.next_time()[0] < end_s:
        source.pop(source.next_time()[0])
        count += 1
    return count


# --- lives ---


def life_cdf(hazard: Hazard, x: NDArray[np.float64]) -> NDArray[np.float64]:
    if hazard.family == "lognormal":
        return stats.lognorm.cdf(x, hazard.shape, scale=MEAN_S * math.exp(-(hazard.shape**2) / 2))
    shape = hazard.shape if hazard.family == "weibull" else 1.0
    return stats.weibull_min.cdf(x, shape, scale=MEAN_S / math.gamma(1 + 1 / shape))


def residual_cdf(hazard: Hazard, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Integral of the survival function over the mean, in closed form for each family."""
    if hazard.family == "lognormal":
        z = (np.log(x / MEAN_S) + hazard.shape**2 / 2) / hazard.shape
        return x / MEAN_S * stats.norm.sf(z) + stats.norm.cdf(z - hazard.shape)
    shape = hazard.shape if hazard.family == "weibull" else 1.0
    return gammainc(1 / shape, (x * math.gamma(1 + 1 / shape) / MEAN_S) ** shape)


@pytest.mark.parametrize("hazard", [*HAZARDS, Hazard()], ids=[*AGEING_IDS, "exponential"])
def test_lives_and_first_lives_have_their_distribution(hazard: Hazard) -> None:
    """Kolmogorov-Smirnov at 99.9 % with 20,000 draws, which shows a shift of 1.4 % of probability."""
    new = life_s(hazard, MEAN_S, generator(1, 0, "new"), 20_000)
    met = stationary_residual_s(hazard, MEAN_S, generator(1, 0, "met"), 20_000)
    assert stats.kstest(new, lambda x: life_cdf(hazard, x)).pvalue > 0.001
    assert stats.kstest(met, lambda x: residual_cdf(hazard, x)).pvalue > 0.001


def test_weibull_of_shape_1_is_exponential() -> None:
    """The same number of failures apart, gap by gap: KS of 20,000 gaps of a fleet at 99.9 %."""
    n_units, n_gaps = 50, 20_000
    source = ageing_source(Hazard("weibull", 1.0), n_units, MEAN_S, components=2)
    source.start(np.ones(n_units, dtype=bool), 0.0)
    times = []
    for _ in range(n_gaps):
        time_s, _ = source.next_time()
        times.append(source.pop(time_s).time_s)
    gaps = np.diff(times, prepend=0.0)
    assert stats.kstest(gaps, stats.expon(scale=MEAN_S / (2 * n_units)).cdf).pvalue > 0.001
    assert abs(np.corrcoef(gaps[1:], gaps[:-1])[0, 1]) < 3.3 / math.sqrt(n_gaps)


# --- rates ---

LEMONS = Frailty(lemon_fraction=0.1, lemon_factor=5.0, gamma_cv=0.3)


@pytest.mark.parametrize("frailty", [None, LEMONS], ids=["equal", "frail"])
@pytest.mark.parametrize("hazard", HAZARDS, ids=AGEING_IDS)
def test_failures_by_time_on_the_clock_are_the_nominal_rate(hazard: Hazard, frailty: Frailty | None) -> None:
    """Clocks go on and off at random; 2 % is at least 4 standard errors at 100,000 failures and cv <= 1.5.

    Components keep their age when another fails and when the clock stands; getting either wrong is off by far more.
    """
    n_units, n_components, wanted = 400, 4, 100_000
    source = ageing_source(hazard, n_units, MEAN_S, n_components, frailty=frailty)
    rng = generator(6, 0, "switching")
    now_s, failures, step_s = 0.0, 0, MEAN_S / 4
    source.start(rng.random(n_units) < 0.5, now_s)
    while failures < wanted:
        end_s = now_s + rng.random() * 2 * step_s
        failures += failures_until(source, end_s)
        now_s = end_s
        flipped = rng.permutation(n_units)
        source.set_clock(flipped[:150], True, now_s)
        source.set_clock(flipped[150:250], False, now_s)
    rate_per_s = failures / source.exposure_s(now_s)
    assert rate_per_s == pytest.approx(n_components / MEAN_S, rel=0.02)


@pytest.mark.parametrize("frailty", [None, LEMONS], ids=["equal", "frail"])
def test_memoryless_sources_strike_at_the_nominal_rate(frailty: Frailty | None) -> None:
    """40,000 faults: 2 % is 4 standard errors."""
    kind = fault(1 / MEAN_S, frailty=frailty)
    source = merged(poisson_sources([kind], machine(400), seed=5, replication=0))
    times = [next(source).time_s for _ in range(40_000)]
    assert 40_000 / times[-1] == pytest.approx(400 / MEAN_S, rel=0.02)


@pytest.mark.parametrize("hazard", HAZARDS, ids=AGEING_IDS)
def test_a_stationary_fleet_has_its_long_run_rate_from_the_first_day(hazard: Hazard) -> None:
    """54 days at a mean life of 2,160 days, 40,000 components: 1,000 expected, cv of the count <= 1.2: 4 errors."""
    source = ageing_source(hazard, 5000, 2160 * DAY_S, components=8)
    source.start(np.ones(5000, dtype=bool), 0.0)
    failures = failures_until(source, 54 * DAY_S)
    assert failures == pytest.approx(1000, abs=4 * 1.2 * math.sqrt(1000))


def renewals(shape: float, mean: float, end: float) -> tuple[float, float]:
    """Return P(first failure by ``end``) and the expected failures by then, by the renewal equation on a grid."""
    grid = np.linspace(0.0, end, 2001)
    cdf = stats.weibull_min.cdf(grid, shape, scale=mean / math.gamma(1 + 1 / shape))
    steps = np.diff(cdf)
    expected = np.zeros_like(grid)
    for i in range(1, len(grid)):
        # m(t) = F(t) + integral of m(t - x) dF(x); a failure in a step leaves the count of the step's far end.
        expected[i] = cdf[i] + steps[:i] @ expected[i - 1 :: -1]
    return float(cdf[-1]), float(expected[-1])


@pytest.mark.parametrize(("shape", "factor", "digits"), [(0.7, 3.4, 1), (1.5, 0.14, 2)])
def test_an_all_new_fleet_is_far_from_its_long_run_rate(shape: float, factor: float, digits: int) -> None:
    """First failures of 80,000 components in 54 days at a mean life of 2,160 days, times the long-run expectation."""
    mean_s, end_s, n = 2160 * DAY_S, 54 * DAY_S, 80_000
    source = ageing_source(Hazard("weibull", shape, "new"), n // 8, mean_s, components=8)
    source.start(np.ones(n // 8, dtype=bool), 0.0)
    components, failures = set(), 0
    while source.next_time()[0] < end_s:
        struck = source.pop(source.next_time()[0])
        components.add((struck.unit, struck.component))
        failures += 1
    first, expected = renewals(shape, mean_s, end_s)
    long_run = n * end_s / mean_s
    assert round(first * n / long_run, digits) == factor  # the design's figure, which counts first failures
    assert len(components) == pytest.approx(first * n, abs=4 * math.sqrt(first * n))
    assert failures == pytest.approx(expected * n, abs=4 * 1.2 * math.sqrt(expected * n))


# --- frailty ---


@pytest.mark.parametrize(
    ("frailty", "n"),
    [
        (Frailty(0.015, 20.0), 2000),
        (Frailty(gamma_cv=0.8), 2000),
        (Frailty(0.1, 5.0, 0.5), 1000),
        (Frailty(0.001, 9.0), 5),
    ],
)
def test_frailty_has_a_mean_of_1(frailty: Frailty, n: int) -> None:
    multipliers = frailty_multipliers(frailty, n, generator(1, 0, "lemons"), generator(1, 0, "gamma"))
    assert multipliers.mean() == pytest.approx(1.0, rel=1e-14)
    assert (multipliers > 0).all()
    if frailty.gamma_cv == 0.0:
        lemons = multipliers > 1.0
        assert lemons.sum() == max(1, round(frailty.lemon_fraction * n))  # whole nodes, at least one
        assert multipliers[lemons] == pytest.approx(frailty.lemon_factor * multipliers[~lemons][0])
    elif frailty.lemon_fraction == 0.0:
        # The standard error of the cv of 2,000 gamma draws of cv 0.8 is below 0.02.
        assert multipliers.std() == pytest.approx(frailty.gamma_cv, abs=0.08)


def test_a_larger_share_of_lemons_keeps_the_old_ones_and_classes_agree_on_them() -> None:
    def lemons(fraction: float) -> set[int]:
        drawn = frailty_multipliers(Frailty(fraction, 10.0), 500, generator(1, 0, "l"), generator(1, 0, "g"))
        return set(np.flatnonzero(drawn > 1.0).tolist())

    assert lemons(0.02) < lemons(0.1)
    kinds = [fault(1e-3, name, frailty=Frailty(0.01, 500.0)) for name in ("gpu", "nic")]
    hit: list[dict[int, int]] = [{}, {}]
    for struck, _ in zip(
        merged(poisson_sources(kinds, machine(500), seed=2, replication=0)), range(2000), strict=False
    ):
        hit[struck.class_index][struck.unit] = hit[struck.class_index].get(struck.unit, 0) + 1
    worst = [set(sorted(counts, key=counts.__getitem__)[-5:]) for counts in hit]
    assert worst[0] == worst[1]
