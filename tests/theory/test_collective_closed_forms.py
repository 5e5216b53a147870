"""Collectives on switches that block nobody against closed forms of the bytes through the busiest port."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.network.collectives import tree_pair
from simulator.network.placed import collective_times
from simulator.network.topologies import Ports, ScaleUp, clos

RATE, SIZE = 50e9, 1e9
COUNTS = [4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 33, 363]


def seconds(fabric, ranks, op, algorithm):
    return collective_times(fabric, np.asarray(ranks), op, [SIZE], algorithm).time_s[0]


@pytest.mark.parametrize("n", COUNTS)
def test_double_binary_trees_carry_the_message_once_up_and_once_down(n):
    switch = clos(n, n, Ports(RATE))
    assert seconds(switch, range(n), "all_reduce", "double_binary_tree") == pytest.approx(2.0 * SIZE / RATE)
    assert seconds(switch, range(n), "broadcast", "double_binary_tree") == pytest.approx(SIZE / RATE)


@pytest.mark.parametrize("n", COUNTS)
def test_trees_along_rails_carry_a_piece_up_and_down(n):
    switch = clos(2 * n, 2 * n, Ports(RATE, 0.0, 2, ScaleUp(2, 1e15)))
    assert seconds(switch, range(2 * n), "all_reduce", "hierarchical_tree") == pytest.approx(2.0 * SIZE / 2.0 / RATE)


@pytest.mark.parametrize("n", COUNTS)
def test_no_rank_is_an_inner_one_of_both_trees(n):
    child, parent = tree_pair(n)
    first, second = set(parent[: n - 1].tolist()), set(parent[n - 1 :].tolist())
    assert not first & second
    for half in (child[: n - 1], child[n - 1 :]):
        assert len(set(half.tolist())) == n - 1  # all but the root have one parent
