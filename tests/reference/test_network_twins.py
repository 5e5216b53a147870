"""The compiled sharing kernels agree with plain progressive filling, event by event."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simulator.network import max_min_rates, simulate_flows


def plain_rates(
    usage: NDArray[np.float64], capacity: NDArray[np.float64], cap: NDArray[np.float64]
) -> NDArray[np.float64]:
    rates, growing = np.zeros(len(usage)), np.ones(len(usage), bool)
    while growing.any():
        load = usage[growing].sum(axis=0)
        room = np.where(load > 0, (capacity - rates @ usage) / np.where(load > 0, load, 1), np.inf)
        step = max(min(room.min(), (cap - rates)[growing].min()), 0.0)
        if np.isinf(step):
            rates[growing] = np.inf
            break
        rates[growing] += step
        full = room <= step * (1 + 1e-12) + 1e-13
        growing &= ~((usage[:, full] > 0).any(axis=1) | (rates >= cap * (1 - 1e-12)))
    return rates


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 12))
def test_rates_and_finishes_agree_with_the_plain_twins(seed: int, n_links: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    capacity, cap = rng.uniform(1, 5, n_links), rng.uniform(0.1, 3, n)
    on = rng.random((n, n_links)) < 0.5
    on[np.arange(n), rng.integers(0, n_links, n)] = True
    usage = on * rng.uniform(0.5, 2, (n, n_links))
    indptr, links = np.concatenate(([0], np.cumsum(on.sum(axis=1)))), np.nonzero(on)[1]
    rates = max_min_rates(capacity, indptr, links, usage[on], cap)
    np.testing.assert_allclose(rates, plain_rates(usage, capacity, cap), rtol=1e-9)
    sizes, starts = rng.uniform(1, 9, n), rng.integers(0, 4, n).astype(float)
    left, now, finish = sizes.copy(), 0.0, np.full(n, np.inf)
    while np.isinf(finish).any():
        live = (starts <= now) & np.isinf(finish)
        rate = plain_rates(on[live].astype(float), capacity, np.full(live.sum(), np.inf))
        step = min([*(left[live] / rate), *(starts[starts > now] - now)])
        left[live] -= rate * step
        now += step
        finish[live & (left < 1e-9)] = now
    np.testing.assert_allclose(simulate_flows(capacity, indptr, links, sizes, starts), finish, rtol=1e-8)
