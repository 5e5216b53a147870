"""Flows that come after others, against an event loop that solves everything anew at every event."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.errors import InputError
from simulator.network import max_min_rates, simulate_flows

LINKS = 5


def rows(lists: list[list[int]]) -> tuple[Any, Any]:
    return np.cumsum([0, *(len(row) for row in lists)]), np.array([x for row in lists for x in row], dtype=np.int64)


def slowly(
    capacity: list[float],
    latency: list[float],
    routes: list[list[int]],
    sizes: list[float],
    starts: list[float],
    before: list[list[int]],
) -> list[float]:
    finish, left, running, now = [np.inf] * len(sizes), list(sizes), set[int](), 0.0
    delay = [sum(latency[link] for link in route) for route in routes]
    waiting = set(range(len(sizes)))
    while True:
        ready = {f: max([starts[f], *(finish[b] for b in before[f])]) for f in waiting}
        rates = max_min_rates(
            capacity, *rows([routes[f] for f in running]), np.ones(sum(len(routes[f]) for f in running))
        )
        ends = {f: now + left[f] / rate for f, rate in zip(running, rates, strict=True)}
        now_ = min([*ready.values(), *ends.values()], default=np.inf)
        if np.isinf(now_):
            return finish
        for f, rate in zip(list(running), rates, strict=True):
            left[f] -= rate * (now_ - now)
            if ends[f] <= now_ * (1 + 1e-12):
                finish[f] = now_ + delay[f]
                running.remove(f)
        now = now_
        for f in [f for f in waiting if ready[f] <= now]:
            waiting.remove(f)
            if sizes[f] == 0 or not routes[f]:
                finish[f] = now + delay[f]
            else:
                running.add(f)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Any, ...]:
    n = draw(st.integers(1, 12))
    few = st.sampled_from([0.0, 1.0, 2.5])
    capacity = draw(st.lists(st.sampled_from([1.0, 2.0, 5.0, 7.5]), min_size=LINKS, max_size=LINKS))
    latency = draw(st.lists(few, min_size=LINKS, max_size=LINKS))
    routes = draw(st.lists(st.lists(st.integers(0, LINKS - 1), max_size=3), min_size=n, max_size=n))
    sizes = draw(st.lists(st.one_of(few, st.floats(0.1, 100.0)), min_size=n, max_size=n))
    starts = draw(st.lists(st.one_of(few, st.floats(0.0, 20.0)), min_size=n, max_size=n))
    rank = draw(st.permutations(range(n)))  # a flow comes after flows of lower rank only, named twice or not
    lower = [[g for g in range(n) if rank[g] < rank[f]] for f in range(n)]
    before = [draw(st.lists(st.sampled_from(low), max_size=4)) if low else [] for low in lower]
    return capacity, latency, routes, sizes, starts, before


def quickly(capacity: Any, latency: Any, routes: Any, sizes: Any, starts: Any, before: Any) -> Any:
    return simulate_flows(capacity, *rows(routes), sizes, starts, latency, after=rows(before))


@settings(deadline=None, max_examples=300)
@given(worlds())
def test_flows_after_others_are_those_of_the_slow_loop(world: tuple[Any, ...]) -> None:
    # The loop counts times within 1e-12 as one and the kernel within 1e-14; both are far below this tolerance.
    assert quickly(*world) == pytest.approx(slowly(*world), rel=1e-9)


@settings(deadline=None, max_examples=100)
@given(worlds())
def test_nobody_starts_before_what_it_comes_after_and_no_rows_change_nothing(world: tuple[Any, ...]) -> None:
    capacity, latency, routes, sizes, starts, before = world
    finish = quickly(*world)
    delay = [sum(latency[link] for link in route) for route in routes]
    for f, others in enumerate(before):
        assert finish[f] >= max([starts[f], *finish[others]]) + delay[f] - 1e-9
    alone = simulate_flows(capacity, *rows(routes), sizes, starts, latency)
    assert quickly(capacity, latency, routes, sizes, starts, [[]] * len(sizes)).tolist() == alone.tolist()


def test_a_chain_adds_up_with_latency_empty_flows_and_later_starts() -> None:
    finish = simulate_flows(
        [2.0, 4.0],
        [0, 1, 1, 2, 4],
        [0, 1, 0, 1],
        [4.0, 9.0, 0.0, 8.0],
        [1.0, 0.0, 0.0, 9.0],
        [0.5, 0.25],
        after=([0, 0, 1, 2, 3], [0, 1, 2]),
    )
    assert finish.tolist() == [3.5, 3.5, 3.75, 9.0 + 4.0 + 0.75]


def test_flows_after_one_that_never_ends_never_end() -> None:
    finish = simulate_flows(
        [1.0, 1.0],
        [0, 1, 2, 2],
        [0, 1],
        [5.0, 1.0, 0.0],
        [0.0, 0.0, 0.0],
        changes=([1.0], [0], [0.0]),
        after=([0, 0, 1, 2], [0, 1]),
    )
    assert finish.tolist() == [np.inf, np.inf, np.inf]


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (([0, 1, 2, 3], [1, 2, 0]), "after: flows wait for each other; found flow 0 after itself; allowed: no circle"),
        (([0, 0, 1, 3], [1, 0, 1]), "after: flows wait for each other; found flow 1 after itself; allowed: no circle"),
        (([0, 0, 1, 2], [0, 3]), "after.flows: no such flow; found 3; allowed: 0 to 2"),
        (([0, 0, 1, 2], [0, -1]), "after.flows: no such flow; found -1; allowed: 0 to 2"),
        (([0, 0, 1], [0]), "after.indptr: wrong length; found 3; allowed: 4"),
        (([0, 0, 1, 2], [0]), "after.indptr: not row pointers; allowed: ascending from 0 to 1"),
        (
            ([0, 0, 1, 2], [0.0, 1.0]),
            "after.flows: wrong shape or kind; found float64; allowed: integers, one dimension",
        ),
    ],
)
def test_wrong_orders_are_refused(after: Any, text: str) -> None:
    with pytest.raises(InputError) as caught:
        simulate_flows([10.0], [0, 1, 2, 3], [0, 0, 0], [1.0] * 3, [0.0] * 3, after=after)
    assert str(caught.value) == text
