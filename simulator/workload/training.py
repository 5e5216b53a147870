"""The time of a training step: compute, communication, overlap, pipeline bubble, stragglers."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.network.collectives import Op
from simulator.workload.models import Transformer
from simulator.workload.plans import Group, ParallelPlan, Parameters, most_parameters, slowest_stage

PARTS = ("compute", "tp", "cp", "ep", "bubble", "pp", "dp", "optimiser", "data")
"""Parts of a step in the order in which reports stack them."""


@dataclass(frozen=True)
class Accelerator:
    """What a GPU can do.

    Parameters
    ----------
    peak_flops : float
        FLOP/s at the precision of the matrices.
    memory_bytes, memory_rate : float
        Capacity, and bytes/s of the device memory.
    """

    peak_flops: float
    memory_bytes: float
    memory_rate: float


@dataclass(frozen=True)
class Efficiency:
    """What a software stack makes of a GPU at one precision.

    Parameters
    ----------
    name : str
        For reports.
    matmul : float
        Share of the peak that large matrix products reach.
    half_width : float
        Width (hidden / tp) at which a product reaches half of that; 0 for no loss.
    attention : float
        Share of the peak that attention's FLOPs reach; all of them count, masked or not.
    elementwise : float
        Bytes moved in one layer for one token and one unit of width in a forward pass, besides matrix products.
    layer_s : float
        Overhead of one layer in one forward pass.
    overlap : float
        Share of the compute behind which data-parallel, and of tensor-parallel communication that can hide.
    tp_overlap : float
        Share of the tensor-parallel communication that hides behind compute.
    """

    name: str
    matmul: float
    half_width: float
    attention: float
    elementwise: float
    layer_s: float
    overlap: float
    tp_overlap: float


@dataclass(frozen=True)
class Communication:
    """One kind of collective in a step of one GPU.

    Parameters
    ----------
    group : str
        Who takes part.
    op : str
        What is done.
    message_bytes : float
        Message of one time, in the convention of the operation.
    count : float
        Times in a step that follow one another.
    hidden_share : float
        Share that hides behind compute.
    """

    group: Group
    op: Op
    message_bytes: float
    count: float
    hidden_share: float = 0.0

    def exposed_s(self, seconds: float) -> float:
        """Return how much longer a step takes when one time lasts ``seconds``."""
        return self.count * seconds * (1.0 - self.hidden_share)


@dataclass(frozen=True)
class StepDemand:
    """What a step asks of one GPU and of the network.

    Parameters
    ----------
    compute_s : float
        Forward, backward and recomputation of all micro-batches on the fullest stage.
    bubble : float
        Idle time of the pipeline divided by its busy time.
    optimiser_s : float
        Update of the parameters.
    communications : tuple of Communication
        What goes over the network.
    model_flops : float
        FLOPs of the step on one GPU without recomputation, for MFU.
    tokens : float
        Tokens of the step, of the whole job.
    checkpoint_bytes : float
        State to save, of the whole job.
    hidden_s : float
        Compute behind which all data-parallel communication of a step may hide, that of experts included.
    """

    compute_s: float
    bubble: float
    optimiser_s: float
    communications: tuple[Communication, ...]
    model_flops: float
    tokens: float
    checkpoint_bytes: float
    hidden_s: float = 0.0


def demand(
    model: Transformer, plan: ParallelPlan, gpu: Accelerator, efficiency: Efficiency, causal: bool = False
) -> StepDemand:
    """Return what a step asks for.

    Parameters
    ----------
    model, plan, gpu, efficiency
        What runs, how it is spread, on what, and how well.
    causal : bool
        Whether the model FLOPs for MFU count only the unmasked half of attention.

    Notes
    -----
    A forward pass of a layer costs its matrix products at ``matmul x w / (w + half_width)`` of the peak with
    ``w = hidden / tp``, attention at ``attention`` of it, and the bytes of all else at the memory's rate; a backward
    pass costs twice that. Recomputation adds a forward pass of the layer (full) or of attention (selective).

    The fullest stage sets the pace of a pipeline: the last one, which has the loss besides its layers, or where
    embedding and loss count as layers one in the middle, which has a layer more. The bubble is that of equal stages.
    """
    tokens = model.sequence / plan.cp * plan.micro_batch
    width = model.hidden / plan.tp
    rate = gpu.peak_flops * efficiency.matmul * width / (width + efficiency.half_width)
    matmul_s = tokens * model.matmul_flops / plan.tp / rate
    attention_s = tokens * model.attention_flops / plan.tp / (gpu.peak_flops * efficiency.attention)
    split = plan.tp if plan.sequence_parallel else (plan.tp * 34.0 / (24.0 + 10.0 * plan.tp))
    memory_s = tokens * model.hidden * efficiency.elementwise / split / gpu.memory_rate
    forward_s = matmul_s + attention_s + memory_s + efficiency.layer_s
    again_s = {"none": 0.0, "selective": attention_s, "full": forward_s}[plan.recompute]
    layer_s, logits_s = 3.0 * forward_s + again_s, 3.0 * tokens * model.logit_flops / plan.tp / rate
    m = plan.micro_batches
    compute_s = m * slowest_stage(model, plan, layer_s, logits_s)
    held = most_parameters(model, plan)
    optimiser_bytes = 26.0 * (held.total if plan.sharding == "none" else held.shared(plan))
    # Gathers of every micro-batch hide behind its compute; gradients are ready in the last micro-batch alone.
    hidden_s = efficiency.overlap * compute_s / (1 if plan.sharding == "full" else m)
    passes = m * slowest_stage(model, plan, 1.0, 0.0)
    step_tokens = plan.global_batch * model.sequence
    return StepDemand(
        compute_s,
        plan.bubble,
        optimiser_bytes / gpu.memory_rate,
        (*_of_layers(model, plan, efficiency, tokens, passes), *_data_parallel(plan, held)),
        model.model_flops(causal) * step_tokens / plan.gpus,
        float(step_tokens),
        14.0 * model.parameters,
        hidden_s,
    )


def _of_layers(
    model: Transformer, plan: ParallelPlan, efficiency: Efficiency, tokens: float, passes: float
) -> list[Communication]:
    """Return the communications of activations; ``passes`` counts those of layers of a stage in a step."""
    found = []
    activation = 2.0 * tokens * model.hidden
    if plan.tp > 1:
        times = 6.0 if plan.recompute == "full" else 4.0
        share = efficiency.tp_overlap
        found.append(Communication("tp", "all_reduce", activation, times * passes, hidden_share=share))
    if plan.cp > 1:
        kv = 4.0 * plan.cp * tokens * model.hidden / plan.tp * model.kv_heads / model.heads
        found.append(Communication("cp", "all_gather", kv, 3.0 * passes, hidden_share=efficiency.overlap))
    if plan.ep > 1:
        routed = activation * model.top_k / plan.tp
        found.append(Communication("ep", "all_to_all", routed, 4.0 * passes))
    if plan.pp > 1:
        found.append(Communication("pp", "send_recv", activation / plan.tp, plan.exposed_transfers))
    return found


def _data_parallel(plan: ParallelPlan, held: Parameters) -> list[Communication]:
    """Return the communications of gradients and weights, 2 bytes for each parameter.

    Ranks that share experts out hold different ones: each sums and gathers its own with those that hold the same ones,
    which are on other nodes where a node holds each expert once, so that the experts of a node cross its NICs whole.
    """
    gathered = plan.sharding == "full"
    op: Op = "all_gather" if gathered else "all_reduce"
    count = 3.0 * plan.micro_batches if gathered else 1.0
    ranks = plan.dp * plan.cp
    if plan.ep == 1:
        return [Communication("dp", op, 2.0 * held.total, count)] if ranks > 1 else []
    found = [Communication("dp", op, 2.0 * held.dense, count)]
    return [*found, Communication("edp", op, 2.0 * held.experts, count)] if ranks > plan.ep else found


def step_parts(
    step: StepDemand, seconds: Mapping[Group, float], straggler: float = 1.0, read_s: float = 0.0
) -> dict[str, float]:
    """Return the parts of a step when one time of each group's communication lasts so long.

    Parameters
    ----------
    step : StepDemand
        What it asks for.
    seconds : mapping of group to float
        Seconds of one communication of each group that has any.
    straggler : float
        How much longer the slowest rank computes than the mean.
    read_s : float
        Time of reading the data of a step; it is read ahead, so only what outlasts the rest of the step counts.

    Returns
    -------
    dict of str to float
        Seconds by part of ``PARTS``; their sum is the step time.
    """
    exposed = dict.fromkeys(("tp", "cp", "ep", "pp", "dp"), 0.0)
    for each in step.communications:
        exposed["dp" if each.group == "edp" else each.group] += each.exposed_s(seconds[each.group])
    exposed["dp"] = max(exposed["dp"] - step.hidden_s, 0.0)
    compute_s = step.compute_s * straggler
    busy_s = compute_s + exposed["tp"] + exposed["cp"] + exposed["ep"]
    parts = {"compute": compute_s, **exposed, "bubble": busy_s * step.bubble, "optimiser": step.optimiser_s}
    parts["data"] = max(read_s - sum(parts.values()), 0.0)
    return {part: parts[part] for part in PARTS}


# --- stragglers ---------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def expected_maximum(ranks: int) -> float:
    """Return the expected maximum of ``ranks`` independent standard normal numbers.

    Integral of ``1 - F(x)**n`` over positive and of ``-F(x)**n`` over negative x, by the trapezoidal rule, which
    converges exponentially here.
    """
    x = np.linspace(0.0, 12.0, 24001)
    above = np.array([0.5 * math.erfc(value / math.sqrt(2.0)) for value in x.tolist()])
    positive = -np.expm1(ranks * np.log1p(-above))
    negative = above**ranks  # F(-x) = 1 - F(x)
    return float(np.trapezoid(positive - negative, x))


def expected_maximum_exponential(ranks: int) -> float:
    """Return the expected maximum of independent exponential numbers of mean 1: the harmonic number."""
    return float(np.sum(1.0 / np.arange(1, ranks + 1)))


def straggler_factor(ranks: int, jitter: float) -> float:
    """Return how much longer the slowest of ``ranks`` takes than the mean, for normal jitter of this relative size."""
    return 1.0 + jitter * expected_maximum(ranks)
