"""Collectives between nodes: closed forms, uneven groups without a cliff, and the fastest of what a transport has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulator.errors import InputError
from simulator.network.placed import collective_times, place, schedules
from simulator.network.routing import Routing
from simulator.network.topologies import Ports, ScaleUp, clos
from simulator.scenario.fabrics import load_fabric

NIC, SIZE = 50e9, 1e9
NODES = clos(8 * 182, 8 * 182, Ports(NIC, 0.0, 8, ScaleUp(8, 1e15)))
SIZES = 2.0 ** np.arange(3, 35)


@pytest.fixture(scope="module")
def rails():
    return load_fabric("rail_400g", 8 * 182, "ranks")[0]


def ideal(ranks, op, algorithm="hierarchical"):
    """Return the time in messages through one NIC, with links inside nodes that cost nothing."""
    return collective_times(NODES, np.asarray(ranks), op, [SIZE], algorithm).time_s[0] * NIC / SIZE


def timed(network, ranks, op, sizes, transport=None):
    chosen = network.transport if transport is None else transport
    return collective_times(network.fabric, np.asarray(ranks), op, sizes, "auto", network.routing, chosen).time_s


def two_in_each_node(ranks):
    return [8 * (rank // 2) + 4 * (rank % 2) for rank in range(ranks)]


@pytest.mark.parametrize("nodes", [2, 3, 8])
def test_even_groups_cost_what_rings_along_rails_cost(nodes):
    ranks = range(8 * nodes)
    assert ideal(ranks, "all_reduce") == pytest.approx(2.0 * (nodes - 1) / nodes / 8.0)
    assert ideal(ranks, "all_gather") == pytest.approx((nodes - 1) / nodes / 8.0)
    assert ideal(ranks, "reduce_scatter") == pytest.approx((nodes - 1) / nodes / 8.0)
    assert ideal(ranks, "broadcast") == pytest.approx(1.0 / 8.0)
    assert ideal(ranks, "broadcast", "hierarchical_tree") == pytest.approx(1.0 / 8.0)


@pytest.mark.parametrize("left", range(1, 8))
def test_a_node_with_fewer_ranks_moves_the_message_once_each_way(left):
    """The ports of such a node must carry it once in and once out; the others carry their rings and its pieces."""
    ranks = range(56 + left)
    others = 2.0 * 6.0 / 7.0 / 8.0 + 1.0 / 8.0 / 7.0
    along_all = 2.0 * 7.0 / 8.0 / left  # as many rails as that node has ranks
    assert ideal(ranks, "all_reduce") == pytest.approx(min(max(others, 1.0 / left), along_all), rel=1e-9)
    for op in ("all_gather", "reduce_scatter"):  # what that node must get, or give, besides its own
        assert ideal(ranks, op) == pytest.approx((1.0 - left / (56.0 + left)) / left)
    assert ideal(ranks, "broadcast") == pytest.approx(max(1.0 / 8.0 + 1.0 / 56.0, 1.0 / left))


def test_data_parallel_groups_with_an_odd_number_of_ranks_cost_as_their_neighbours(rails):
    times = [timed(rails, two_in_each_node(n), "all_reduce", [1e6, 1e8, 1e9]) for n in (362, 363, 364)]
    # Of small messages the two more steps count, to and from the node with one rank.
    assert (np.max(times, axis=0) / np.min(times, axis=0) <= [1.10, 1.02, 1.01]).all()


@pytest.mark.parametrize("op", ["all_reduce", "broadcast", "all_to_all"])
def test_a_rank_less_costs_no_more_than_its_nic(rails, op):
    """A node of seven has an eighth less to send with: 8 / 7 of the time and no cliff."""
    whole, less = (timed(rails, range(n), op, [2.0**30])[0] for n in (64, 63))
    assert less <= 8.0 / 7.0 * whole


def test_ranks_in_any_order_cost_as_those_that_stand_together():
    ranks = np.arange(61)
    mixed = np.random.default_rng(1).permutation(ranks)
    for op in ("all_reduce", "all_gather", "broadcast"):
        assert ideal(mixed, op) == pytest.approx(ideal(ranks, op))


SMALL = clos(16, 16, Ports(NIC, 0.0, 4, ScaleUp(4, 1e15)))


def messages(groups, op):
    """Return the time of groups of four or five ranks, side by side, in messages through one NIC."""
    members = np.array(groups)
    (plan,) = schedules(SMALL, members, op, "hierarchical")
    placed, arrives = place(SMALL, plan, members, Routing("spray"))
    assert arrives
    return placed.carried_s(SIZE, [phase.rate(SMALL.capacity) for phase in placed.phases]) * NIC / SIZE


@pytest.mark.parametrize("op", ["all_reduce", "all_gather", "reduce_scatter", "broadcast", "all_to_all"])
def test_groups_that_lie_differently_cost_what_the_slowest_of_them_costs(op):
    """Stages of a pipeline may begin in the middle of a node: 4 + 1 ranks in one group, 3 + 2 in the next."""
    one, other = [0, 1, 2, 3, 4], [5, 6, 7, 8, 9]
    expected = {"all_reduce": (1.0, 0.5), "broadcast": (1.0, 0.5), "all_to_all": (0.8, 0.6)}.get(op, (0.8, 0.3))
    assert (messages([one], op), messages([other], op)) == pytest.approx(expected)
    assert messages([one, other], op) == pytest.approx(expected[0])


@pytest.mark.parametrize("op", ["all_reduce", "all_gather", "reduce_scatter", "broadcast", "all_to_all"])
def test_a_group_inside_a_node_costs_nothing_beside_one_between_nodes(op):
    inside, between = [0, 1, 2, 3], [4, 5, 8, 9]
    assert messages([inside, between], op) == pytest.approx(messages([between], op))
    scattered = [6, 10, 12, 3]
    assert messages([between, scattered], op) >= messages([between], op)


@pytest.mark.parametrize(("fabric", "counts"), [("rail_400g", (2, 8, 12, 16, 63, 64, 1024)), ("nvl72_800g", (72, 144))])
def test_a_broadcast_is_never_slower_than_an_all_reduce(fabric, counts):
    network = load_fabric(fabric, max(counts), "ranks")[0]
    for n in counts:
        once, both = (timed(network, range(n), op, SIZES) for op in ("broadcast", "all_reduce"))
        assert (once <= both * (1.0 + 1e-9)).all(), n


@pytest.mark.parametrize("op", ["all_reduce", "all_gather", "reduce_scatter", "broadcast"])
@pytest.mark.parametrize("ranks", [8, 63, 64, 256])
def test_switches_that_reduce_make_nothing_slower(rails, op, ranks):
    without = replace(rails.transport, protocols=rails.transport.serving(False))
    mine, theirs = (timed(rails, range(ranks), op, SIZES, each) for each in (rails.transport, without))
    assert (mine <= theirs).all()


def test_small_messages_between_nodes_go_by_rings_inside_them(rails):
    # Base 7.48 us; 14 steps of 0.6 us inside; 6 of 2.7 us and two links of 0.6 us between: trees over eight nodes.
    expected = 7.48e-6 + 14 * 0.6e-6 + 6 * (2.7e-6 + 2 * 0.6e-6)
    assert timed(rails, range(64), "all_reduce", [8.0])[0] == pytest.approx(expected, rel=1e-3)


def test_an_exchange_of_pairs_waits_for_the_slowest_pair(rails):
    # One pair of ranks in different nodes and rails: base 7.48 us, a step of 2.7 us and four links of 0.6 us.
    assert timed(rails, range(16), "send_recv", [1.0])[0] == pytest.approx(12.58e-6, rel=1e-3)


def test_an_all_to_all_waits_for_the_rank_with_most_ranks_elsewhere(rails):
    # Rank 8 is alone in its node: 8 steps of 2.7 us and four links of 0.6 us each.
    expected = 7.48e-6 + 8 * (2.7e-6 + 4 * 0.6e-6)
    for algorithm in ("pairwise", "hierarchical"):
        inside = 7 * 0.6e-6 if algorithm == "hierarchical" else 0.0  # to the rank that is next to the receiver
        times = collective_times(
            rails.fabric, np.arange(9), "all_to_all", [1.0], algorithm, rails.routing, rails.transport
        )
        assert times.time_s[0] == pytest.approx(expected + inside, rel=1e-3)


@pytest.mark.parametrize("ranks", [16, 57, 61, 63, 64])
def test_an_all_to_all_between_domains_moves_what_pairs_move(ranks):
    """Each rank sends an equal part to every other one: what leaves a node is that, however it is gathered before."""
    sizes = np.diff([*range(0, ranks, 8), ranks])
    pieces = ranks - sizes.min()
    assert ideal(range(ranks), "all_to_all") == pytest.approx(pieces / ranks)
    assert ideal(range(ranks), "all_to_all", "pairwise") == pytest.approx(pieces / ranks)


def test_an_all_to_all_of_many_ranks_that_fill_nodes_unevenly_has_a_way():
    fabric = clos(8 * 514, 64, Ports(NIC, 0.0, 8, ScaleUp(8, 450e9)))
    times = [collective_times(fabric, np.arange(n), "all_to_all", [SIZE]).time_s[0] for n in (4107, 4112)]
    assert times[0] == pytest.approx(times[1], rel=0.01)


def test_ranks_alone_in_their_nodes_have_trees(rails):
    alone, beside = (timed(rails, np.arange(128) * 8 + k, "all_reduce", [8.0])[0] for k in (0, 3))
    assert alone == beside
    # Trees of depth 7 up and down: base 7.48 us, steps of 2.7 us and up to four links of 0.6 us.
    assert alone == pytest.approx(7.48e-6 + 14 * (2.7e-6 + 4 * 0.6e-6), rel=1e-3)


def test_what_a_group_cannot_do_is_said():
    with pytest.raises(InputError, match="need several scale-up domains, and several ranks in one of them"):
        ideal(range(8), "all_reduce")
    with pytest.raises(InputError, match="need several scale-up domains"):
        ideal(range(16), "send_recv")
    with pytest.raises(InputError, match="only all_reduce and broadcast go by trees"):
        ideal(range(16), "all_gather", "hierarchical_tree")
