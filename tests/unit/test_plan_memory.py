"""Bytes that a parallel plan takes, and what a scenario does where they are more than a GPU has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from training_rows import STACKS, model

from simulator.errors import InputError
from simulator.scenario import load
from simulator.workload.models import Transformer
from simulator.workload.plans import ParallelPlan, layers_held, memory

GPT = Transformer("gpt", 48, 6144, 64, 2048, 51200, 64, 4 * 6144)


@pytest.mark.parametrize(
    ("changes", "per_token"),
    [  # Korthikanti et al., arXiv 2205.05198, table 2: bytes of a layer for a token, divided by hidden
        ({"recompute": "selective"}, 34 / 8),
        ({"recompute": "selective", "sequence_parallel": False}, 10 + 24 / 8),
        ({"fused_attention": False}, (34 + 5 * 64 * 2048 / 6144) / 8),
        ({"fused_attention": False, "sequence_parallel": False}, 10 + 24 / 8 + 5 * 64 * 2048 / 6144 / 8),
    ],
)
def test_activations_of_gpt_are_those_of_the_paper(changes: dict[str, object], per_token: float) -> None:
    plan = replace(ParallelPlan(8, tp=8, global_batch=4, micro_batch=4), **changes)
    logits = 4 * 51200 / 8
    assert memory(GPT, plan).activations == pytest.approx(4 * 2048 * (48 * per_token * 6144 + logits))


def test_llama_counts_its_own_widths() -> None:
    """Grouped queries and a gate of 3.25 hidden: 8 + 2 + 0.25 + 2 + 3 x 6.5 = 31.75 bytes, without dropout.

    The second of 16 stages holds most: 2 x 14 + 3 x 16 + 1 chunks of 2 layers; the first has 7 layers in 4 chunks.
    """
    llama = model("llama3_405b")
    plan = ParallelPlan(8192, tp=8, pp=16, global_batch=2048, interleave=4)
    held = (2 * 14 + 3 * 16 + 1) * 2
    assert memory(llama, plan).activations == pytest.approx(8192 * 31.75 * 16384 / 8 * held, rel=2e-3)


def test_every_expert_that_a_token_visits_is_counted() -> None:
    one = Transformer("moe", 4, 1024, 8, 512, 1000, 8, 4096, True, experts=8, top_k=1)
    plan = ParallelPlan(1)
    more = memory(replace(one, top_k=3), plan).activations - memory(one, plan).activations
    assert more == pytest.approx(512 * 4 * 2 * (2 * 1024 + 6 * 4096))


def most_chunks(pp: int, interleave: int, micro_batches: int, stage: int) -> int:
    """Chunks that a stage holds at most, as Megatron orders them: warm-up, then one each, then the rest."""
    total = micro_batches * interleave
    warm_up = pp - stage - 1 if interleave == 1 else 2 * (pp - stage - 1) + (interleave - 1) * pp
    order = "F" * min(warm_up, total)
    order += "FB" * (total - len(order)) + "B" * len(order)
    held = most = 0
    for step in order:
        held += 1 if step == "F" else -1
        most = max(most, held)
    assert held == 0
    return most


@pytest.mark.parametrize("interleave", [1, 2, 4])
@pytest.mark.parametrize("pp", [2, 4, 8])
def test_layers_held_are_those_of_the_schedule(pp: int, interleave: int) -> None:
    shape = replace(GPT, layers=64)
    for micro_batches in (1, pp, 2 * pp, 7 * pp):
        plan = ParallelPlan(pp, pp=pp, interleave=interleave, global_batch=micro_batches)
        for stage in range(pp):
            expected = most_chunks(pp, interleave, micro_batches, stage) * 64 / (pp * interleave)
            assert layers_held(shape, plan, stage) == expected


def test_plans_that_ran_are_not_refused() -> None:
    rows = [row for load_rows in STACKS.values() for row in load_rows()]
    assert len(rows) > 100
    assert max(memory(row.shape, row.plan).total / row.gpu.memory_bytes for row in rows) < 1.5


SCENARIO = """
name: large
horizon: 1 day
cluster: {nodes: 1024, node: h100_8gpu, fabric: rail_400g}
workload:
  jobs:
    - name: pretrain
      nodes: 1024
      training: {model: llama3_405b, efficiency: h100_bf16_megatron, tp: 8, pp: 16, interleave: 4, global_batch: 2048}
"""


def test_a_plan_that_is_too_large_warns_then_is_refused_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    counted = "job 'pretrain': its plan counts 102 GB a GPU (weights 6, gradients 13, optimiser 1, activations 82)"
    assert [text.split(", more than its 80 GB")[0] for text in load(path).warnings] == [counted]
    assert not load(path, {"workload.jobs.0.training.recompute": "full"}).warnings
    with pytest.raises(InputError, match=r"does not fit memory; found 175 GB a GPU"):
        load(path, {"workload.jobs.0.training.tp": 4})
    told = load(path, {"workload.jobs.0.training.tp": 4, "workload.jobs.0.training.memory_check": False})
    assert len(told.warnings) == 1
