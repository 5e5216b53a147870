"""Mean times on shared links, against an event-by-event simulation of jobs with random phases."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest

from simulator.network.sharing import Communication, Traffic, shared_times

HOUR_S = 3600.0


@numba.njit
def rates_of(active, weights, cap, capacity):
    """Return max-min rates: all active jobs rise together until a link is full or a cap is reached, again and again."""
    rates, rises, left = np.zeros(len(cap)), active.copy(), capacity.copy()
    while rises.any():
        level, full = np.inf, -1
        for link in range(len(capacity)):
            load = weights[rises, link].sum()
            if load > 1e-12 and left[link] / load < level:
                level, full = left[link] / load, link
        capped = rises & (cap <= level)
        stops = capped if capped.any() else rises & (weights[:, full] > 0.0)
        for j in np.flatnonzero(stops):
            rates[j] = cap[j] if capped.any() else level
            left = np.maximum(left - rates[j] * weights[j], 0.0)
        rises &= ~stops
    return rates


@numba.njit
def follow(capacity, weights, cap, size, gap_s, keeps, begins_s, gaps, until_s):
    """Return the sum of times of each job and how many there were; ``gaps``, of mean 1, are used in turn."""
    n, used, now_s = len(size), 0, 0.0
    active, left, began_s = np.zeros(n, np.bool_), np.zeros(n), np.zeros(n)
    total_s, times, rate = np.zeros(n), np.zeros(n), np.zeros(n)
    while now_s < until_s:
        ahead_s = np.where(active, left / np.where(active, rate, 1.0), begins_s - now_s)
        j = np.argmin(ahead_s)
        step_s = max(ahead_s[j], 0.0)
        now_s += step_s
        left -= rate * step_s
        if active[j]:
            total_s[j] += now_s - began_s[j]
            times[j] += 1
            used = (used + 1) % len(gaps)
            begins_s[j] = max(began_s[j] + gap_s[j], now_s) if keeps[j] else now_s + gap_s[j] * gaps[used]
        else:
            began_s[j], left[j] = now_s, size[j]
        active[j] = not active[j]
        rate = rates_of(active, weights, cap, capacity)
    return total_s, times


def simulated(capacity, jobs, seed, until_s):
    """Return the mean time of the one communication of each job, shape (jobs,).

    A job waits an exponential time of mean ``other_s`` between two communications; one that overlaps begins its first
    at a uniform phase and each next one ``other_s`` after it began the last, or when that has ended.
    """
    random = np.random.default_rng(seed)
    each = [one.communications[0] for one in jobs]
    weights = np.zeros((len(jobs), len(capacity)))
    for j, one in enumerate(each):
        weights[j, one.links] = one.weights
    gap_s = np.array([one.other_s / one.counts[0] for one in jobs])
    keeps = np.array([one.overlaps for one in jobs])
    phases = np.where(keeps, random.random(len(jobs)), random.exponential(1.0, len(jobs)))
    shape = [np.array([getattr(one, name) for one in each]) for name in ("cap", "flow_bytes")]
    total_s, times = follow(
        capacity, weights, *shape, gap_s, keeps, phases * gap_s, random.exponential(1.0, 100_003), until_s
    )
    return total_s / times


def job(links, duty, seconds=1.0, cap=math.inf, weight=1.0):
    """A job on links of 1 byte/s that communicates for a share of its time when it is alone."""
    rate = min(cap, 1.0 / weight)
    one = Communication(np.array(links), np.full(len(links), weight), seconds * rate, cap)
    return Traffic((one,), (1.0,), seconds * (1.0 / duty - 1.0))


def of_equal_jobs(n, duty, seconds=1.0):
    """Return how much longer a communication of n equal jobs on a link takes: Reiser and Lavenberg's recursion."""
    found = 0.0
    for k in range(1, n + 1):
        slow = 1.0 + found
        found = k * slow / (slow + 1.0 / duty - 1.0)
    return slow


@pytest.mark.parametrize("load", [0.1, 0.3, 0.5, 0.7, 0.9, 1.5, 4.0])
@pytest.mark.parametrize("n", [2, 3, 5, 10, 20, 40, 100])
def test_equal_jobs_on_a_link_take_what_mean_value_analysis_says(n: int, load: float) -> None:
    duty = min(load / n, 1.0)
    (seconds,) = set(np.round(np.ravel(shared_times(np.ones(1), [job([0], duty)] * n)), 6))
    assert seconds == pytest.approx(of_equal_jobs(n, duty), rel=0.01 if load < 1.0 else 0.05)


@pytest.mark.parametrize(
    ("n", "duty", "slow", "digit"), [(3, 0.1, 1.22, 0.01), (5, 0.05, 1.23, 0.01), (20, 0.02, 1.6, 0.1)]
)
def test_the_slowdown_of_few_jobs(n: int, duty: float, slow: float, digit: float) -> None:
    # Within half of the last digit given.
    assert np.ravel(shared_times(np.ones(1), [job([0], duty)] * n)) == pytest.approx(slow, abs=digit / 2)


@pytest.mark.parametrize("n", [2, 4, 8, 20])
def test_jobs_of_any_size_and_duty_on_a_link_take_what_the_product_form_says(n: int) -> None:
    # A state of m jobs has the weight m! times the product of duty / (1 - duty); m! is the integral of x^m exp(-x).
    x, mass = np.polynomial.laguerre.laggauss(64)
    random = np.random.default_rng(n)
    duty, size_s = np.minimum(random.uniform(0.02, 1.8, n) / n, 0.8), random.uniform(0.1, 10.0, n)
    times = shared_times(np.ones(1), [job([0], d, s) for d, s in zip(duty, size_s, strict=True)])
    odds = (duty / (1.0 - duty))[:, np.newaxis] * x
    for j in range(n):
        others = np.delete(odds, j, axis=0)
        state = mass * np.prod(1.0 + others, axis=0)
        found = float((state * (others / (1.0 + others)).sum(axis=0)).sum() / state.sum())
        assert times[j][0] / size_s[j] == pytest.approx(1.0 + found, rel=0.01)


@pytest.mark.parametrize(
    ("n", "duty", "cap"),
    [
        (5, 0.3, 0.6),
        (5, 0.18, 1.0),
        (40, 0.0225, 1.0),
        (20, 0.36, 0.125),
    ],
)
def test_equal_jobs_take_what_the_simulation_says(n: int, duty: float, cap: float) -> None:
    """Load 0.9; below a cap of 1 few of them do not fill the link. Standard error below 1 %."""
    jobs = [job([0], duty, cap=cap)] * n
    found = np.mean(simulated(np.ones(1), jobs, 1, 60000.0 / (n * duty)))
    assert np.ravel(shared_times(np.ones(1), jobs)) == pytest.approx(found, rel=0.05)


def mixed(seed: int, load: float, caps: bool) -> list[Traffic]:
    """Jobs of sizes and duties that differ by a factor of 100 and 30, each on one to three of five links."""
    random = np.random.default_rng(seed)
    n = int(random.integers(4, 16))
    links = [np.sort(random.choice(5, random.integers(1, 4), replace=False)) for _ in range(n)]
    duty = np.exp(random.uniform(np.log(0.02), np.log(0.6), n))
    rate = random.uniform(0.3, 1.0, n) if caps else np.ones(n)
    carried = [sum(d * r for on, d, r in zip(links, duty, rate, strict=True) if k in on) for k in range(5)]
    duty *= min(1.0, load / max(carried))
    size_s = np.exp(random.uniform(np.log(0.1), np.log(10.0), n))
    return [job(on, d, s, cap=r) for on, d, s, r in zip(links, duty, size_s, rate, strict=True)]


OPEN = "two of 74 jobs are off by up to 18 %: all they meet is held back elsewhere, of which the model knows the mean"
SEVERAL = [
    (0.6, False, 2, 0.15),
    *(pytest.param(load, caps, 6, 0.15, marks=pytest.mark.slow) for load in (0.3, 0.6) for caps in (False, True)),
    pytest.param(0.9, True, 6, 0.15, marks=pytest.mark.slow),
    pytest.param(0.9, False, 6, 0.15, marks=[pytest.mark.slow, pytest.mark.xfail(reason=OPEN, strict=True)]),
    pytest.param(0.9, False, 6, 0.20, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("load", "caps", "draws", "within"), SEVERAL)
def test_jobs_of_different_size_and_duty_on_several_links_take_what_the_simulation_says(
    load: float, caps: bool, draws: int, within: float
) -> None:
    """Each job communicates 1,000 times at least: a standard error of some 2 %."""
    for seed in range(draws):
        jobs = mixed(seed, load, caps)
        longest_s = max(each.other_s + each.communications[0].flow_bytes * 2.0 for each in jobs)
        found = simulated(np.ones(5), jobs, seed, 1000.0 * longest_s)
        np.testing.assert_allclose(np.ravel(shared_times(np.ones(5), jobs)), found, rtol=within)


def saves(bytes_each: list[float], gpus: list[int], period_s: float) -> list[Traffic]:
    """Jobs that save again so long after they began the last save, and get bandwidth in proportion to their GPUs."""
    return [
        Traffic((Communication(np.array([0]), np.array([float(n)]), size / n, math.inf),), (1.0 / period_s,), 1.0, True)
        for size, n in zip(bytes_each, gpus, strict=True)
    ]


@pytest.mark.parametrize(
    ("rate", "sizes", "gpus"),
    [
        (50e9, [5.68e12, *[0.988e12] * 4], [1024, 256, 256, 256, 256]),  # scenario checkpoint_traffic, apart_50
        (20e9, [5.68e12, *[0.988e12] * 4], [1024, 256, 256, 256, 256]),  # load 0.8
        (50e9, [3.3e12] * 8, [256] * 8),
        (50e9, [4e12] * 4, [64, 256, 512, 1024]),
        (10e9, [5.68e12, *[0.988e12] * 4], [1024, 256, 256, 256, 256]),  # more than it can take
    ],
)
def test_saves_on_shared_storage_take_what_the_simulation_says(
    rate: float, sizes: list[float], gpus: list[int]
) -> None:
    """Mean of 200 draws of uniform phases, each for ten hours."""
    jobs = saves(sizes, gpus, 600.0)
    found = np.mean([simulated(np.array([rate]), jobs, seed, 10 * HOUR_S) for seed in range(200)], axis=0)
    of_kind = [np.mean(found[np.array(gpus) == n]) for n in gpus]
    np.testing.assert_allclose(np.ravel(shared_times(np.array([rate]), jobs)), of_kind, rtol=0.10)
