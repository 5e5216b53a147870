"""Placement in as few groups as can be, against every possible choice."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.policies.placement.scale_up_aligned import ScaleUpAligned
from simulator.policies.registry import families
from simulator.policies.views import PlacementView
from simulator.scheduling.placement import even_groups, fewest_groups, first_fit

NODES = 12
LEAF = np.arange(NODES) // 2
POD = np.arange(NODES) // 4
TIERS = np.array([LEAF, POD])


@settings(deadline=None, max_examples=200)
@given(st.lists(st.booleans(), min_size=NODES, max_size=NODES), st.integers(1, NODES))
def test_a_job_crosses_no_more_pods_than_it_must(free_list, nodes):
    free = np.array(free_list)
    if free.sum() < nodes:
        return
    ids = fewest_groups(free, TIERS, nodes, False)
    assert len(set(ids.tolist())) == nodes
    assert free[ids].all()
    least = min(len(set(POD[list(choice)])) for choice in itertools.combinations(np.flatnonzero(free), nodes))
    assert len(set(POD[ids])) == least
    if any((free & (leaf == LEAF)).sum() >= nodes for leaf in range(NODES // 2)):
        assert len(set(LEAF[ids])) == 1


@settings(deadline=None, max_examples=100)
@given(st.lists(st.booleans(), min_size=NODES, max_size=NODES), st.integers(1, NODES))
def test_strict_waits_exactly_when_the_job_would_spread_more_than_on_an_empty_machine(free_list, nodes):
    free = np.array(free_list)
    if free.sum() < nodes:
        return
    relaxed = fewest_groups(free, TIERS, nodes, False)
    strict = fewest_groups(free, TIERS, nodes, True)
    fits = len(set(POD[relaxed])) <= -(-nodes // 4)
    assert len(strict) == (nodes if fits else 0)


def test_best_fit_takes_the_fullest_pod_and_keeps_ranks_of_a_leaf_together():
    free = np.array([True] * 4 + [True, False, True, True] + [True] * 4)
    assert fewest_groups(free, TIERS, 3, False).tolist() == [4, 6, 7]
    assert fewest_groups(free, TIERS, 2, False).tolist() == [6, 7]


def test_without_a_fabric_it_is_first_fit():
    free = np.array([False, True, True, False, True])
    assert fewest_groups(free, np.empty((0, 5), dtype=np.int64), 2, False).tolist() == first_fit(free, 2).tolist()


@settings(deadline=None, max_examples=200)
@given(st.lists(st.booleans(), min_size=NODES, max_size=NODES), st.integers(1, NODES), st.integers(1, 4))
def test_equal_parts_lie_in_no_more_groups_than_they_must(free_list, nodes, most):
    free = np.array(free_list)
    ids = even_groups(free, POD, LEAF // 6, nodes, most)
    choices = [
        choice
        for choice in itertools.combinations(np.flatnonzero(free), nodes)
        if np.bincount(POD[list(choice)]).max() <= most
    ]
    assert (len(ids) == 0) == (not choices)
    if choices:
        assert free[ids].all()
        assert len(set(ids.tolist())) == nodes
        used = [len(set(POD[list(choice)])) for choice in choices]
        assert len(set(POD[ids])) == min(used)
        widest = [
            np.bincount(POD[list(c)]).max() for c, groups in zip(choices, used, strict=True) if groups == min(used)
        ]
        assert np.bincount(POD[ids]).max() == min(widest)


POLICIES = [policy() for policy in families()["placement"].values()] + [ScaleUpAligned(domain_nodes=3)]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: type(policy).__name__)
@settings(deadline=None, max_examples=60)
@given(
    free=st.lists(st.booleans(), min_size=NODES, max_size=NODES),
    wanted=st.integers(1, NODES),
    n_tiers=st.integers(0, 2),
    held=st.booleans(),
)
def test_every_policy_returns_distinct_free_nodes_as_many_as_wanted(policy, free, wanted, n_tiers, held):
    flags = np.array(free)
    nodes = min(wanted, int(flags.sum()))
    if nodes == 0:
        return
    busy = np.flatnonzero(~flags)[: 2 if held else 0]
    view = PlacementView(flags, np.where(flags, 8, 0), nodes, 0, 0, busy, TIERS[:n_tiers], np.arange(NODES) // 3)
    ids = policy.place(view)
    assert len(set(ids.tolist())) == nodes
    assert flags[ids].all()


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: type(policy).__name__)
@settings(deadline=None, max_examples=40)
@given(free_gpus=st.lists(st.integers(0, 8), min_size=NODES, max_size=NODES), gpus=st.integers(1, 7))
def test_every_policy_puts_a_part_on_one_node_with_room(policy, free_gpus, gpus):
    room = np.array(free_gpus)
    if room.max() < gpus:
        return
    none = np.empty(0, dtype=np.int64)
    (node,) = policy.place(PlacementView(room == 8, room, 1, gpus, 0, none, TIERS, np.arange(NODES) // 3))
    assert room[node] >= gpus


def test_what_each_policy_is_for():
    """Six leaves of four nodes, of which 1, 2, 3, 4, 4 and 0 are free, in two pods of three."""
    leaf = np.arange(24) // 4
    free = np.array([i % 4 < (1, 2, 3, 4, 4, 0)[i // 4] for i in range(24)])

    def leaves(name, nodes, **keys):
        tiers = np.array([leaf, leaf // 3])
        view = PlacementView(free, np.where(free, 8, 0), nodes, 0, 0, np.empty(0, dtype=np.int64), tiers, leaf)
        return np.bincount(leaf[families()["placement"][name](**keys).place(view)], minlength=6).tolist()

    assert leaves("first_fit", 6) == [1, 2, 3, 0, 0, 0]
    assert leaves("best_fit", 3) == [0, 0, 3, 0, 0, 0]
    assert leaves("best_fit", 6) == [1, 2, 3, 0, 0, 0]
    assert leaves("pack", 3) == [1, 2, 0, 0, 0, 0]
    assert leaves("spread", 3) == [0, 0, 1, 1, 1, 0]
    assert leaves("topology_aware", 5) == [0, 2, 3, 0, 0, 0]  # the pod with six free nodes, not that with eight
    assert leaves("rail_aligned", 6) == [0, 0, 0, 3, 3, 0]
    assert leaves("topology_aware", 7) == [0, 0, 0, 4, 3, 0]
    assert leaves("scale_up_aligned", 4, domain_nodes=3) == [0, 2, 2, 0, 0, 0]
    assert leaves("scale_up_aligned", 14, domain_nodes=1) == [1, 2, 3, 4, 4, 0]
