"""Experts are shared out over the ranks that hold them; uneven scale-up domains are cut into even blocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulator.network.hierarchical import layout
from simulator.network.placed import collective_times
from simulator.network.routing import Routing
from simulator.network.topologies import Ports, ScaleUp, clos
from simulator.workload.models import Transformer
from simulator.workload.plans import (
    ParallelPlan,
    check_plan,
    memory,
    parameters_per_gpu,
    reduced_parameters_per_gpu,
    shared_parameters_per_gpu,
)

MIXTURE = Transformer("mixture", 8, 1024, 16, 2048, 32000, 8, 4096, True, 8, 2, False)
PLAN = ParallelPlan(32, ep=8, global_batch=32, sharding="optimiser")


def test_shares_of_all_gpus_add_up_to_the_model():
    assert shared_parameters_per_gpu(MIXTURE, PLAN) * PLAN.gpus == pytest.approx(MIXTURE.parameters, rel=1e-3)
    dense = replace(MIXTURE, experts=1, top_k=1)
    plan = replace(PLAN, ep=1)
    assert shared_parameters_per_gpu(dense, plan) * plan.gpus == pytest.approx(dense.parameters)


def test_gradients_of_an_expert_are_summed_over_those_who_hold_it():
    everywhere = replace(PLAN, ep=1)
    assert reduced_parameters_per_gpu(MIXTURE, everywhere) == parameters_per_gpu(MIXTURE, everywhere)
    alone = replace(PLAN, gpus=8)  # eight ranks, one expert each: only the dense part is summed
    experts = MIXTURE.layers * MIXTURE.expert_parameters
    assert reduced_parameters_per_gpu(MIXTURE, alone) == pytest.approx(parameters_per_gpu(MIXTURE, alone) - experts)


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
