"""What pipeline stages hold, which of them sets the pace, and which transfers a step waits for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from training_rows import model as preset_model

import simulator as sim
from simulator.workload.models import Transformer
from simulator.workload.plans import ParallelPlan, check_plan, most_parameters, stage_parameters
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


SHAPES = [(96, 8, 3), (126, 16, 4), (126, 8, 1), (126, 2, 1), (126, 2, 32), (80, 1, 1), (128, 64, 1), (126, 128, 1)]
"""Layers, stages and chunks of each stage."""


@pytest.mark.parametrize("vocabulary", [1000, 400_000])
@pytest.mark.parametrize(("layers", "pp", "interleave"), SHAPES)
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


# --- embeddings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("vocabulary", [1000, 4_000_000])
@pytest.mark.parametrize(("layers", "pp", "interleave"), SHAPES)
def test_embeddings_stand_on_the_first_and_the_last_stage(layers, pp, interleave, vocabulary, tied):
    model = replace(transformer(layers, vocabulary), tied=tied)
    plan = ParallelPlan(pp, pp=pp, global_batch=2 * pp, interleave=interleave)
    held = [mine * model.layer_parameters for mine, _ in stages(layers, pp, interleave)]
    held[0] += vocabulary * model.hidden
    held[-1] += 0 if pp == 1 and tied else vocabulary * model.hidden  # one matrix, which two stages both need
    assert [stage_parameters(model, plan, stage).total for stage in range(pp)] == held
    assert most_parameters(model, plan).total == max(held)


def test_the_fullest_stage_of_405b_has_no_embedding():
    """On 16 stages those between the ends hold 8 of 126 layers, the ends 7 and 2.1e9 parameters of an embedding."""
    model = preset_model("llama3_405b")
    plan = ParallelPlan(16384, tp=8, pp=16, global_batch=2048, interleave=4)
    assert most_parameters(model, plan).total * 8 == pytest.approx(25.5e9, rel=1e-3)
    assert stage_parameters(model, plan, 0).total * 8 == pytest.approx(22.3e9 + 2.1e9, rel=2e-3)
    step = demand(model, plan, GPU, STACK)
    assert [each.message_bytes for each in step.communications if each.group == "dp"] == [
        pytest.approx(2 * 25.5e9 / 8, rel=1e-3)
    ]
    assert step.optimiser_s == pytest.approx(26 * 25.5e9 / 8 / 128 / GPU.memory_rate, rel=1e-3)


# --- transfers ----------------------------------------------------------------------------------------------------

Pass = tuple[bool, int, int]
"""Whether it goes forward, which micro-batch, which chunk of the model counted over all stages."""


def passes_of(stage: int, pp: int, interleave: int, micro_batches: int) -> list[Pass]:
    """Return the passes of a stage in the order of 1F1B: warm-up, then one forward and one backward, then the rest."""
    total = micro_batches * interleave
    warm_up = pp - stage - 1 if interleave == 1 else 2 * (pp - stage - 1) + (interleave - 1) * pp

    def number(k: int, forward: bool) -> Pass:
        group, at = divmod(k, pp * interleave)
        chunk = at // pp if forward else interleave - 1 - at // pp
        return (forward, group * pp + at % pp, chunk * pp + stage) if interleave > 1 else (forward, k, stage)

    forwards, backwards = ([number(k, way) for k in range(total)] for way in (True, False))
    warm_up = min(warm_up, total)
    pairs = [each for pair in zip(forwards[warm_up:], backwards, strict=False) for each in pair]
    return [*forwards[:warm_up], *pairs, *backwards[total - warm_up :]]


def makespan(pp: int, interleave: int, micro_batches: int, transfer: int) -> int:
    """Return the time of all passes: 1,000 forward, 2,000 backward, ``transfer`` from stage to stage."""
    order = [passes_of(stage, pp, interleave, micro_batches) for stage in range(pp)]
    ends: dict[Pass, int] = {}
    clock, last = [0] * pp, pp * interleave - 1
    while any(order):
        for stage, left in enumerate(order):
            while left:
                forward, micro_batch, chunk = left[0]
                before = None if (forward and chunk == 0) else (forward, micro_batch, chunk + (-1 if forward else 1))
                travels = transfer
                if not forward and chunk == last:
                    before, travels = (True, micro_batch, last), 0
                if before is not None and before not in ends:
                    break
                arrived = 0 if before is None else ends[before] + travels
                clock[stage] = max(clock[stage], arrived) + (1000 if forward else 2000)
                ends[left.pop(0)] = clock[stage]
    return max(clock)


@pytest.mark.parametrize(("pp", "interleave"), [(2, 1), (4, 1), (8, 1), (2, 2), (4, 3), (8, 2), (8, 4)])
@pytest.mark.parametrize("share", [1, 400])
def test_exposed_transfers_are_those_of_the_schedule(pp, interleave, share):
    """Transfers take a thousandth or 40 % of a forward pass of a chunk."""
    for micro_batches in (1, 2, 3, pp, pp + 1, 2 * pp, 5 * pp) if interleave == 1 else (pp, 2 * pp, 5 * pp):
        plan = ParallelPlan(pp, pp=pp, interleave=interleave, global_batch=micro_batches)
        busy = makespan(pp, interleave, micro_batches, 0)
        assert busy == pytest.approx(3000 * micro_batches * interleave * (1 + plan.bubble))
        assert makespan(pp, interleave, micro_batches, share) - busy == share * plan.exposed_transfers


def test_a_step_waits_for_the_transfers_of_its_schedule():
    for interleave in (1, 2):
        plan = ParallelPlan(8, pp=8, interleave=interleave, global_batch=32)
        counts = [each.count for each in demand(transformer(80, 1000), plan, GPU, STACK).communications]
        assert counts == [{1: 2 * 7 + 2 * (31 - 4), 2: 2 * 15}[interleave]]
