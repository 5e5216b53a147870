"""Flows while links change, against an event loop that solves everything anew at every event."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simulator as sim
from simulator.network import max_min_rates, simulate_flows

LINKS = 4


def slowly(capacity, routes, sizes, starts, changes):
    """Return finish times: at every event the rates of all active flows are solved anew."""
    capacity, left = np.array(capacity, dtype=float), np.array(sizes, dtype=float)
    finish = np.full(len(sizes), np.inf)
    changes = sorted(changes, key=lambda change: change[0])
    now, arrived = 0.0, set()
    while True:
        alive = [f for f in sorted(arrived) if np.isinf(finish[f]) and all(capacity[k] > 0 for k in routes[f])]
        rates = dict.fromkeys(alive, 0.0)
        if alive:
            indptr = np.concatenate(([0], np.cumsum([len(routes[f]) for f in alive])))
            flat = np.concatenate([routes[f] for f in alive])
            solved = max_min_rates(np.maximum(capacity, 1e-300), indptr, flat, np.ones(len(flat)))
            rates = dict(zip(alive, solved, strict=True))
        events = [now + left[f] / rates[f] for f in alive]
        events += [start for f, start in enumerate(starts) if f not in arrived]
        events += [change[0] for change in changes[:1]]
        if not events:
            return finish
        then = max(min(events), now)
        for f in alive:
            left[f] -= rates[f] * (then - now)
            if left[f] <= 1e-9 * sizes[f]:
                finish[f] = then
        now = then
        arrived |= {f for f, start in enumerate(starts) if start <= now}
        while changes and changes[0][0] <= now:
            _, link, value = changes.pop(0)
            capacity[link] = value


times = st.one_of(st.sampled_from([0.0, 5.0]), st.floats(0.0, 30.0))  # often several things at one instant
worlds = st.tuples(
    st.lists(st.floats(1.0, 10.0), min_size=LINKS, max_size=LINKS),
    st.lists(
        st.tuples(
            st.lists(st.integers(0, LINKS - 1), min_size=1, max_size=3),
            st.floats(1.0, 100.0),
            times,
        ),
        min_size=1,
        max_size=7,
    ),
    st.lists(st.tuples(times, st.integers(0, LINKS - 1), st.sampled_from([0.0, 0.5, 2.0, 7.0])), max_size=6),
)


def quickly(capacity, flows, changes):
    routes = [route for route, _, _ in flows]
    indptr = np.concatenate(([0], np.cumsum([len(route) for route in routes])))
    arrays = tuple(np.array([change[k] for change in changes], dtype=(float, np.int64, float)[k]) for k in range(3))
    return simulate_flows(
        capacity, indptr, np.concatenate(routes), [f[1] for f in flows], [f[2] for f in flows], changes=arrays
    )


@settings(deadline=None, max_examples=300)
@given(worlds)
def test_flows_with_changes_are_those_of_the_slow_loop(world):
    capacity, flows, changes = world
    routes, sizes, starts = ([flow[k] for flow in flows] for k in range(3))
    expected = slowly(capacity, routes, sizes, starts, list(changes))
    assert quickly(capacity, flows, changes) == pytest.approx(expected, rel=1e-6)


@settings(deadline=None, max_examples=100)
@given(worlds, st.floats(0.1, 10.0))
def test_a_change_to_the_same_capacity_changes_nothing_and_time_scales(world, factor):
    capacity, flows, changes = world
    still = [(time, link, capacity[link]) for time, link, _ in changes]
    assert quickly(capacity, flows, still) == pytest.approx(quickly(capacity, flows, []), rel=1e-9)
    slower = [(route, size, start * factor) for route, size, start in flows]
    later = [(time * factor, link, value / factor) for time, link, value in changes]
    scaled = quickly([c / factor for c in capacity], slower, later)
    assert scaled == pytest.approx(quickly(capacity, flows, changes) * factor, rel=1e-6)


def test_a_dead_link_holds_its_flows_until_it_is_back_and_for_ever_if_it_is_not():
    finish = simulate_flows(
        [10.0, 10.0],
        [0, 1, 2],
        [0, 1],
        [100.0, 100.0],
        [0.0, 0.0],
        changes=([4.0, 4.0, 9.0], [0, 1, 0], [0.0, 0.0, 20.0]),
    )
    assert finish.tolist() == [12.0, np.inf]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        (([1.0], [5], [1.0]), "changes.link"),
        (([1.0], [0], [-1.0]), "changes.capacity"),
        (([np.nan], [0], [1.0]), "changes.time"),
        (([1.0, 2.0], [0], [1.0, 1.0]), "changes.link"),
        (([1.0], [0], [1.0, 2.0]), "changes.capacity"),
    ],
)
def test_wrong_changes_are_refused(changes, key):
    with pytest.raises(sim.InputError) as caught:
        simulate_flows([10.0], [0, 1], [0], [1.0], [0.0], changes=changes)
    assert caught.value.key == key
