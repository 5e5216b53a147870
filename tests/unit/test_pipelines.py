"""The fullest stage sets the pace of a pipeline, and plans that leave stages uneven are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

import simulator as sim
from simulator.workload.models import Transformer
from simulator.workload.plans import ParallelPlan, check_plan
from simulator.workload.training import Accelerator, Efficiency, demand

GPU = Accelerator(1e15, 80e9, 3e12)
STACK = Efficiency("plain", 0.7, 300.0, 0.35, 20.0, 1e-4, 0.0, 0.0)


def transformer(layers: int, vocabulary: int) -> Transformer:
    return Transformer("t", layers, 4096, 32, 2048, vocabulary, 8, 14336, True)


def stages(layers: int, pp: int, interleave: int) -> list[tuple[int, bool]]:
    """Return layers of each stage and whether it has the loss, by dealing out the parts of the model one by one."""
    chunks = pp * interleave
    parts = ["layer"] * layers if layers % chunks == 0 else ["embedding", *["layer"] * layers, "loss"]
    held: list[list[str]] = [[] for _ in range(pp)]
    for i, part in enumerate(parts):
        held[i * chunks // len(parts) % pp].append(part)
    return [(mine.count("layer"), stage == pp - 1) for stage, mine in enumerate(held)]


@pytest.mark.parametrize("vocabulary", [1000, 400_000])
@pytest.mark.parametrize(
    ("layers", "pp", "interleave"),
    [(96, 8, 3), (126, 16, 4), (126, 8, 1), (126, 2, 1), (126, 2, 32), (80, 1, 1), (128, 64, 1), (126, 128, 1)],
)
def test_compute_is_that_of_the_fullest_stage(layers, pp, interleave, vocabulary):
    model = transformer(layers, vocabulary)
    plan = ParallelPlan(pp, pp=pp, global_batch=2 * pp, interleave=interleave)
    check_plan(plan, model)
    single = replace(plan, gpus=1, pp=1, interleave=1, global_batch=1)

    def seconds(layers: int, vocabulary: int) -> float:
        return demand(replace(model, layers=layers, vocabulary=vocabulary), single, GPU, STACK).compute_s

    layer_s, loss_s = seconds(1, 0), seconds(0, vocabulary)
    busy = [mine * layer_s + has_loss * loss_s for mine, has_loss in stages(layers, pp, interleave)]
    assert demand(model, plan, GPU, STACK).compute_s == pytest.approx(2 * pp * max(busy), rel=1e-12)


@pytest.mark.parametrize(("layers", "pp", "interleave"), [(80, 3, 1), (126, 4, 5), (8, 16, 1), (80, 41, 4)])
def test_uneven_pipelines_are_refused(layers, pp, interleave):
    plan = ParallelPlan(pp, pp=pp, global_batch=pp, interleave=interleave)
    with pytest.raises(sim.InputError, match=f"pp x interleave that divides {layers} layers, or {layers + 2}"):
        check_plan(plan, transformer(layers, 1000))
