"""Max-min sharing and flow simulation: what must hold for any input, the check sums, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.errors import InputError
from simulator.network import max_min_rates, simulate_flows


@st.composite
def problems(draw: st.DrawFn) -> Any:
    links = draw(st.integers(1, 6))
    capacity = np.array(draw(st.lists(st.sampled_from([1.0, 2.0, 5.0, 7.5]), min_size=links, max_size=links)))
    routes = draw(
        st.lists(st.lists(st.integers(0, links - 1), min_size=1, max_size=3, unique=True), min_size=1, max_size=12)
    )
    indptr = np.concatenate(([0], np.cumsum([len(route) for route in routes])))
    return capacity, indptr, np.array([link for route in routes for link in route])


def load(capacity: Any, indptr: Any, links: Any, weights: Any, rates: Any) -> Any:
    used = np.zeros(len(capacity))
    np.add.at(used, links, weights * np.repeat(rates, np.diff(indptr)))
    return used


@settings(max_examples=200, deadline=None)
@given(problems(), st.randoms(use_true_random=False))
def test_rates_are_feasible_bottlenecked_order_independent_and_scale(problem: Any, random: Any) -> None:
    capacity, indptr, links = problem
    n = len(indptr) - 1
    weights = np.array([random.choice([0.5, 1.0, 3.0]) for _ in links])
    cap = np.array([random.choice([0.3, 1.0, np.inf]) for _ in range(n)])
    rates = max_min_rates(capacity, indptr, links, weights, cap)
    used = load(capacity, indptr, links, weights, rates)
    assert (used <= capacity * (1 + 1e-9)).all()
    saturated = used >= capacity * (1 - 1e-9)
    for activity in range(n):
        mine = links[indptr[activity] : indptr[activity + 1]]
        at_cap = rates[activity] >= cap[activity] * (1 - 1e-9)
        fastest_on = [
            max(rates[other] for other in range(n) if link in links[indptr[other] : indptr[other + 1]]) for link in mine
        ]
        bottleneck = any(
            saturated[link] and rates[activity] >= fastest * (1 - 1e-9)
            for link, fastest in zip(mine, fastest_on, strict=True)
        )
        assert at_cap or bottleneck
    order = list(range(n))
    random.shuffle(order)
    rows = [(links[indptr[i] : indptr[i + 1]], weights[indptr[i] : indptr[i + 1]]) for i in order]
    shuffled = max_min_rates(
        capacity,
        np.concatenate(([0], np.cumsum([len(row[0]) for row in rows]))),
        np.concatenate([row[0] for row in rows]),
        np.concatenate([row[1] for row in rows]),
        cap[order],
    )
    np.testing.assert_allclose(shuffled, rates[order], rtol=1e-9)
    np.testing.assert_allclose(max_min_rates(capacity * 4, indptr, links, weights, cap * 4), rates * 4, rtol=1e-9)


@settings(max_examples=100, deadline=None)
@given(problems(), st.randoms(use_true_random=False))
def test_flows_scale_and_never_beat_their_empty_route(problem: Any, random: Any) -> None:
    capacity, indptr, links = problem
    n = len(indptr) - 1
    sizes = np.array([random.choice([0.0, 1.0, 4.0, 10.0]) for _ in range(n)])
    starts = np.array([random.choice([0.0, 0.5, 3.0]) for _ in range(n)])
    finish = simulate_flows(capacity, indptr, links, sizes, starts)
    alone = np.array([sizes[i] / capacity[links[indptr[i] : indptr[i + 1]]].min() for i in range(n)])
    assert (finish >= (starts + alone) * (1 - 1e-9)).all()
    # Work is conserved: no link has carried more than its capacity allows until the last finish.
    used = load(capacity, indptr, links, np.ones(len(links)), sizes)
    assert (used <= capacity * finish.max() * (1 + 1e-9) + 1e-12).all()
    np.testing.assert_allclose(simulate_flows(capacity, indptr, links, sizes * 2, starts * 2), finish * 2, rtol=1e-9)
    order = np.array(random.sample(range(n), n))
    rows = [links[indptr[i] : indptr[i + 1]] for i in order]
    again = simulate_flows(
        capacity,
        np.concatenate(([0], np.cumsum([len(r) for r in rows]))),
        np.concatenate(rows),
        sizes[order],
        starts[order],
    )
    np.testing.assert_allclose(again, finish[order], rtol=1e-9)


def test_latency_empty_routes_and_empty_flows() -> None:
    capacity, latency = np.array([2.0, 4.0]), np.array([0.1, 0.02])
    finish = simulate_flows(
        capacity,
        np.array([0, 2, 2, 3]),
        np.array([0, 1, 1]),
        np.array([4.0, 9.0, 0.0]),
        np.array([0.0, 5.0, 7.0]),
        latency,
    )
    np.testing.assert_allclose(finish, [2.0 + 0.12, 5.0, 7.02], rtol=1e-12)


def test_link_named_twice_adds_up_and_no_link_means_the_cap() -> None:
    rates = max_min_rates(
        np.array([6.0]),
        np.array([0, 2, 3, 3, 3]),
        np.array([0, 0, 0]),
        np.ones(3),
        np.array([np.inf, np.inf, 3.0, np.inf]),
    )
    np.testing.assert_allclose(rates, [2.0, 2.0, 3.0, np.inf])


GOOD = {
    "capacity": np.array([1.0]),
    "route_indptr": np.array([0, 1]),
    "route_links": np.array([0]),
    "sizes": np.array([1.0]),
    "starts": np.array([0.0]),
}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("capacity", np.array([0.0])),
        ("capacity", np.array([-1.0])),
        ("capacity", np.array([np.nan])),
        ("route_links", np.array([1])),
        ("route_links", np.array([-1])),
        ("route_indptr", np.array([0, 2])),
        ("route_indptr", np.array([1, 1])),
        ("sizes", np.array([-1.0])),
        ("sizes", np.array([np.nan])),
        ("sizes", np.array([1.0, 2.0])),
        ("starts", np.array([np.inf])),
        ("latency", np.array([-1.0])),
    ],
)
def test_wrong_arrays_are_refused_by_name(key: str, value: Any) -> None:
    with pytest.raises(InputError, match=key if key != "route_indptr" else "route_indptr|route_links"):
        simulate_flows(**(GOOD | {key: value}))
