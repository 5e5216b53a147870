"""Experts are shared out over the ranks that hold them; uneven scale-up domains are cut into even blocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from training_rows import model

from simulator.network.hierarchical import layout
from simulator.network.placed import collective_times
from simulator.network.routing import Routing
from simulator.network.topologies import Ports, ScaleUp, clos
from simulator.network.transport import IDEAL
from simulator.workload.models import Transformer
from simulator.workload.placed_step import PlacedStep, TrainingStep
from simulator.workload.plans import ParallelPlan, check_plan, groups, memory, most_parameters
from simulator.workload.training import Accelerator, Efficiency, demand

MIXTURE = Transformer("mixture", 8, 1024, 16, 2048, 32000, 8, 4096, True, 8, 2, False)
PLAN = ParallelPlan(32, ep=8, global_batch=32, sharding="optimiser")


def test_shares_of_all_gpus_add_up_to_the_model():
    assert most_parameters(MIXTURE, PLAN).shared(PLAN) * PLAN.gpus == pytest.approx(MIXTURE.parameters, rel=1e-3)
    dense = replace(MIXTURE, experts=1, top_k=1)
    plan = replace(PLAN, ep=1)
    assert most_parameters(dense, plan).shared(plan) * plan.gpus == pytest.approx(dense.parameters)


@pytest.mark.parametrize(
    "plan",
    [
        PLAN,
        ParallelPlan(32, ep=8, tp=2),
        ParallelPlan(64, ep=4, cp=2, tp=2, pp=2),
        ParallelPlan(32, ep=8, cp=4),
        ParallelPlan(16, ep=1, tp=2),
    ],
)
def test_replicas_of_an_expert_are_the_ranks_that_hold_it(plan: ParallelPlan) -> None:
    """Rank = tp + TP (cp + CP (dp + DP pp)); the dp-th replica holds the (dp mod ep)-th share of the experts."""
    same: dict[tuple[int, int, int], list[int]] = {}
    for rank in range(plan.gpus):
        tp, rest = rank % plan.tp, rank // plan.tp // plan.cp
        same.setdefault((rest // plan.dp, rest % plan.dp % plan.ep, tp), []).append(rank)
    assert sorted(groups(plan, "edp").tolist()) == sorted(same.values())


def on_ideal_links(plan: ParallelPlan, overlap: float = 0.0) -> tuple[dict[str, float], float]:
    """Return the parts of a step of Mixtral 8x7B on nodes of 8 GPUs, and the most bytes that a NIC sends in it."""
    shape = model("mixtral_8x7b")
    stack = Efficiency("plain", 0.7, 300.0, 0.35, 20.0, 0.0, overlap, 0.0)
    step = TrainingStep(demand(shape, plan, Accelerator(989e12, 80e9, 3.35e12), stack), plan)
    fabric = clos(plan.gpus, plan.gpus, Ports(50e9, 0.0, 8, ScaleUp(8, 450e9)))
    placed = step.place(fabric, Routing("spray"), IDEAL, np.arange(plan.gpus // 8))
    seconds = np.array([each.flow_bytes / each.alone_rate(fabric.capacity) for each in placed.traffic.communications])
    return step.parts(placed, seconds), sent_by_a_nic(fabric.tier == fabric.tiers.index("host"), step, placed)


def sent_by_a_nic(is_nic: np.ndarray, step: TrainingStep, placed: PlacedStep) -> float:
    sent = np.zeros(len(is_nic))
    counts = np.array(placed.traffic.counts)
    data_parallel = [
        each.group in ("dp", "edp")
        for each, (where, _) in zip(step.demand.communications, placed.collectives, strict=True)
        for _ in where.phases
    ]
    for i in np.flatnonzero(data_parallel).tolist():
        each = placed.traffic.communications[i]
        sent[each.links] += counts[i] * each.flow_bytes * each.weights
    return float(sent[is_nic].max())


EXPERTS = 32 * 3 * 4096 * 14336  # of one expert in all layers
OTHERS = 32 * (2 * 4096**2 + 2 * 4096 * 1024 + 8 * 4096) + 2 * 32000 * 4096


def test_experts_of_a_node_cross_its_nics_whole() -> None:
    """FSDP with each expert once in a node: 2 x 3 gathers, of which three quarters come from the other three nodes."""
    plan = ParallelPlan(32, ep=8, global_batch=64, sharding="full", recompute="full")
    parts, sent = on_ideal_links(plan)
    experts, others = 6 * 2 * EXPERTS * 3 / 4, 6 * 2 * OTHERS * 3 / 4 / 8
    assert experts == pytest.approx(50.7e9, rel=1e-3)
    assert sent == pytest.approx(experts + others, rel=1e-9)
    inside = 6 * 2 * OTHERS * 7 / 8 / 450e9  # gathers inside the node take a little longer than those along the rails
    assert inside > others / 50e9
    assert parts["dp"] == pytest.approx(experts / 50e9 + inside, rel=1e-9)
    assert parts["dp"] >= 1.05


def test_experts_that_two_nodes_share_are_summed_with_the_other_two() -> None:
    """Eight data-parallel ranks of two GPUs are two nodes, so an expert is on two GPUs, its gradients cross once."""
    parts, sent = on_ideal_links(ParallelPlan(32, ep=8, tp=2, global_batch=64))
    experts, others = 2 * EXPERTS / 2, 2 * 3 / 4 * 2 * OTHERS / 2 / 4
    assert sent == pytest.approx(experts + others, rel=1e-9)
    assert parts["dp"] == pytest.approx((experts + others) / 50e9, rel=1e-9)
    assert parts["dp"] == pytest.approx(0.125, rel=5e-3)


def test_experts_that_nobody_else_holds_stay_where_they_are() -> None:
    _, sent = on_ideal_links(ParallelPlan(16, ep=8, tp=2, global_batch=16))
    assert sent == pytest.approx(2 * 1 / 2 * 2 * OTHERS / 2 / 4, rel=1e-9)


def test_without_expert_parallelism_all_ranks_sum_all_parameters() -> None:
    _, sent = on_ideal_links(ParallelPlan(32, global_batch=32))
    assert sent == pytest.approx(2 * 3 / 4 / 8 * 2 * (8 * EXPERTS + OTHERS), rel=1e-9)


def test_both_kinds_of_gradients_hide_behind_the_same_compute() -> None:
    plan = ParallelPlan(32, ep=8, global_batch=64, sharding="full", recompute="full")
    bare, _ = on_ideal_links(plan)
    half, _ = on_ideal_links(plan, overlap=0.5)
    assert half["dp"] == pytest.approx(bare["dp"] - 0.5 * bare["compute"], rel=1e-9)


def test_sequence_parallelism_splits_the_inputs_that_full_recomputation_keeps():
    plan = ParallelPlan(8, tp=8, global_batch=1, recompute="full")
    kept = 2 * MIXTURE.layers * MIXTURE.hidden  # the input of every layer, in bytes a token
    between = 8 * MIXTURE.hidden  # inputs of norms and matrices of the one layer that is computed again
    whole = memory(MIXTURE, replace(plan, sequence_parallel=False)).activations
    saved = whole - memory(MIXTURE, plan).activations
    assert saved == pytest.approx(MIXTURE.sequence * (kept + between) * 7 / 8)


def test_embedding_and_loss_may_be_stages_of_their_own():
    check_plan(ParallelPlan(10, pp=10, global_batch=10), MIXTURE)


@pytest.mark.parametrize(
    ("ranks", "sizes"),
    [
        (range(144), [72, 72]),
        (range(48, 48 + 120), [72, 24, 24]),
        (range(0, 288, 4), [18, 18, 18, 18]),
        ([0, 1, 80, 2], [3, 1]),
        ([80, 0, 150, 81, 1, 151, 152], [3, 2, 2]),
    ],
)
def test_ranks_of_a_domain_stand_together_and_full_domains_first(ranks, sizes):
    domain = np.array([list(ranks)]) // 72
    where = layout(domain)
    assert where.sizes.tolist() == [sizes]
    assert sorted(where.order[0]) == list(range(len(ranks)))
    runs = np.split(domain[0][where.order[0]], np.cumsum(sizes)[:-1])
    assert [len(set(run.tolist())) for run in runs] == [1] * len(sizes)
    ends = np.cumsum(sizes)
    heads = [where.order[0][end - size] for end, size in zip(ends, sizes, strict=True)]
    for one, other in zip(range(len(sizes)), range(1, len(sizes)), strict=False):
        assert sizes[one] > sizes[other] or heads[one] < heads[other]


def test_an_uneven_group_is_nearly_as_fast_as_an_even_one():
    fabric = clos(288, 72, Ports(100e9, 0.0, 4, ScaleUp(72, 900e9)))

    def seconds(n: int) -> float:
        return float(
            collective_times(fabric, np.arange(n), "all_reduce", [1e9], "hierarchical", Routing("spray")).time_s[0]
        )

    assert seconds(120) == pytest.approx(seconds(144), rel=0.1)
