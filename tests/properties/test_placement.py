"""Placement in as few groups as can be, against every possible choice."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.scheduling.placement import fewest_groups, first_fit

NODES = 12
LEAF = np.arange(NODES) // 2
POD = np.arange(NODES) // 4


@settings(deadline=None, max_examples=200)
@given(st.lists(st.booleans(), min_size=NODES, max_size=NODES), st.integers(1, NODES))
def test_a_job_crosses_no_more_pods_than_it_must(free_list, nodes):
    free = np.array(free_list)
    if free.sum() < nodes:
        return
    ids = fewest_groups(free, (LEAF, POD), nodes)
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
    relaxed = fewest_groups(free, (LEAF, POD), nodes)
    strict = fewest_groups(free, (LEAF, POD), nodes, strict=True)
    fits = len(set(POD[relaxed])) <= -(-nodes // 4)
    assert len(strict) == (nodes if fits else 0)


def test_best_fit_takes_the_fullest_pod_and_keeps_ranks_of_a_leaf_together():
    free = np.array([True] * 4 + [True, False, True, True] + [True] * 4)
    assert fewest_groups(free, (LEAF, POD), 3).tolist() == [4, 6, 7]
    assert fewest_groups(free, (LEAF, POD), 2).tolist() == [6, 7]


def test_without_a_fabric_it_is_first_fit():
    free = np.array([False, True, True, False, True])
    assert fewest_groups(free, (), 2).tolist() == first_fit(free, 2).tolist()
