"""Placement kernels against slow programs written from their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.scheduling.placement import (
    best_fit,
    emptiest_first,
    even_groups,
    fewest_groups,
    first_fit,
    first_room,
    fullest_first,
    least_left,
    most_left,
    nearest_to,
)


def by_group(ids: list[int], group: list[int]) -> dict[int, list[int]]:
    """Return the ids of every group, groups by number."""
    return {each: [i for i in ids if group[i] == each] for each in sorted({group[i] for i in ids})}


def as_close_as_can_be(ids: list[int], tiers: list[list[int]], nodes: int) -> set[int]:
    """Return nodes of as few groups of the last tier as there can be, and so on inside each."""
    if not tiers:
        return set(ids[:nodes])
    groups, chosen = by_group(ids, tiers[-1]), set()
    while len(chosen) < nodes:
        left = nodes - len(chosen)
        enough = [each for each in groups if len(groups[each]) >= left]
        best = min(enough, key=lambda e: len(groups[e])) if enough else max(groups, key=lambda e: len(groups[e]))
        members = groups.pop(best)
        chosen |= as_close_as_can_be(members, tiers[:-1], min(left, len(members)))
    return chosen


def slow_fewest_groups(free: list[bool], tiers: list[list[int]], nodes: int) -> list[int]:
    ids = [i for i, is_free in enumerate(free) if is_free]
    if len(ids) < nodes:
        return []
    chosen: set[int] | None = None
    for t, group in enumerate(tiers):
        fitting = [(each, members) for each, members in by_group(ids, group).items() if len(members) >= nodes]
        if fitting:

            def fullest(entry: tuple[int, list[int]], t: int = t) -> tuple[int, int, int]:
                number, members = entry
                around = 0 if t + 1 == len(tiers) else sum(tiers[t + 1][i] == tiers[t + 1][members[0]] for i in ids)
                return len(members), around, number

            chosen = as_close_as_can_be(min(fitting, key=fullest)[1], tiers[:t], nodes)
            break
    if chosen is None:
        chosen = as_close_as_can_be(ids, tiers, nodes)
    return sorted(chosen, key=lambda i: ([group[i] for group in reversed(tiers)], i))


def in_turn(room: dict[int, int], order: list[int], nodes: int) -> dict[int, int]:
    quota = dict.fromkeys(order, 0)
    while sum(quota.values()) < min(nodes, sum(room[each] for each in order)):
        for each in order:
            if sum(quota.values()) < nodes and quota[each] < room[each]:
                quota[each] += 1
    return quota


def slow_even_groups(free: list[bool], group: list[int], around: list[int], nodes: int, most: int) -> list[int]:
    members = by_group([i for i, is_free in enumerate(free) if is_free], group)
    room = {each: min(len(ids), most) for each, ids in members.items()}
    by_room = sorted(room, key=lambda each: (-room[each], each))
    counts = [k for k in range(1, len(room) + 1) if sum(room[each] for each in by_room[:k]) >= nodes]
    if not counts:
        return []
    k, chosen = counts[0], by_room[: counts[0]]
    fits = [each for each in room if room[each] >= -(-nodes // k)]
    if len(fits) >= k:
        wide = {each: around[members[each][0]] for each in fits}
        homes = {home: [e for e in fits if wide[e] == home] for home in sorted(set(wide.values()))}
        enough = [home for home in homes if len(homes[home]) >= k]
        pool = homes[min(enough, key=lambda home: len(homes[home]))] if enough else fits
        chosen = sorted(sorted(pool, key=lambda each: (room[each], each))[:k])
    quota = in_turn(room, chosen, nodes)
    return [i for each in sorted(quota) for i in members[each][: quota[each]]]


@st.composite
def machines(draw: st.DrawFn) -> Any:
    """Return free flags and nested groups with scrambled numbers, and how many nodes are wanted."""
    n = draw(st.integers(1, 40))
    free = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    leaf = draw(st.lists(st.integers(0, 9), min_size=n, max_size=n))
    pod_of_leaf = draw(st.lists(st.integers(0, 3), min_size=10, max_size=10))
    return free, leaf, [pod_of_leaf[each] for each in leaf], draw(st.integers(1, n))


@settings(deadline=None, max_examples=300)
@given(machines(), st.integers(0, 2))
def test_fewest_groups(case: Any, n_tiers: int) -> None:
    free, leaf, pod, nodes = case
    tiers = [leaf, pod][:n_tiers]
    stacked = np.array(tiers, dtype=np.int64).reshape(n_tiers, len(free))
    found = fewest_groups(np.array(free), stacked, nodes, False)
    assert found.tolist() == slow_fewest_groups(free, tiers, nodes)


@settings(deadline=None, max_examples=300)
@given(machines(), st.integers(1, 12))
def test_even_groups(case: Any, most: int) -> None:
    free, leaf, pod, nodes = case
    found = even_groups(np.array(free), np.array(leaf), np.array(pod), nodes, most)
    assert found.tolist() == slow_even_groups(free, leaf, pod, nodes, most)


@settings(deadline=None, max_examples=300)
@given(machines())
def test_best_fit_pack_and_spread(case: Any) -> None:
    free, leaf, _, nodes = case
    flags, group = np.array(free), np.array(leaf)
    ids = [i for i, is_free in enumerate(free) if is_free]
    members = by_group(ids, leaf)
    fitting = [each for each in members if len(members[each]) >= nodes]
    best = members[min(fitting, key=lambda each: len(members[each]))] if fitting else ids
    assert best_fit(flags, group, nodes).tolist() == best[:nodes]
    filled = [i for each in sorted(members, key=lambda each: (len(members[each]), each)) for i in members[each]]
    wanted = sorted(filled[:nodes], key=lambda i: (leaf[i], i))
    assert fullest_first(flags, group, nodes).tolist() == wanted
    room = {each: len(those) for each, those in members.items()}
    quota = in_turn(room, sorted(room, key=lambda each: (-room[each], each)), nodes)
    spread = [i for each in sorted(quota) for i in members[each][: quota[each]]]
    assert emptiest_first(flags, group, nodes).tolist() == spread
    assert first_fit(flags, nodes).tolist() == ids[:nodes]


@settings(deadline=None, max_examples=200)
@given(machines(), st.data())
def test_nearest_to_those_held(case: Any, data: Any) -> None:
    free, leaf, pod, nodes = case
    held = data.draw(st.lists(st.integers(0, len(free) - 1), min_size=1, max_size=4, unique=True))
    tiers = np.array([leaf, pod])

    def distance(i: int) -> int:
        if leaf[i] in {leaf[h] for h in held}:
            return 0
        return 1 if pod[i] in {pod[h] for h in held} else 2

    ids = sorted((i for i, is_free in enumerate(free) if is_free), key=lambda i: (distance(i), i))
    assert nearest_to(np.array(free), tiers, np.array(held), nodes).tolist() == ids[:nodes]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=30), st.integers(1, 8))
def test_parts_of_a_node(free_gpus: list[int], gpus: int) -> None:
    room = np.array(free_gpus)
    fitting = [node for node, free in enumerate(free_gpus) if free >= gpus]
    assert first_room(room, gpus).tolist() == fitting[:1]
    assert least_left(room, gpus).tolist() == sorted(fitting, key=lambda node: free_gpus[node])[:1]
    assert most_left(room, gpus).tolist() == sorted(fitting, key=lambda node: -free_gpus[node])[:1]
