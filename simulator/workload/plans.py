"""How a model is spread over GPUs: tensor, context, expert, data and pipeline parallelism."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simulator.errors import InputError
from simulator.workload.models import Transformer

Group = Literal["tp", "cp", "ep", "dp", "edp", "pp"]
Sharding = Literal["none", "optimiser", "full"]
Recompute = Literal["none", "selective", "full"]


@dataclass(frozen=True)
class ParallelPlan:
    """A parallel plan.

    Parameters
    ----------
    gpus : int
        GPUs of the job.
    tp, cp, pp, ep : int
        Sizes of tensor-, context-, pipeline- and expert-parallel groups; expert groups lie inside the data-parallel
        ones.
    global_batch, micro_batch : int
        Sequences of a step, and of one forward pass of a pipeline.
    interleave : int
        Model chunks on each pipeline stage (1: plain 1F1B).
    sharding : {"none", "optimiser", "full"}
        What data-parallel ranks share out: nothing, the optimiser state (ZeRO-1), or parameters as well (FSDP).
    recompute : {"none", "selective", "full"}
        Which activations are computed again in the backward pass.
    sequence_parallel : bool
        Whether activations between the tensor-parallel parts are split too.
    fused_attention : bool
        Whether the scores of attention are never stored (FlashAttention and its kin).
    """

    gpus: int
    tp: int = 1
    cp: int = 1
    pp: int = 1
    ep: int = 1
    global_batch: int = 1
    micro_batch: int = 1
    interleave: int = 1
    sharding: Sharding = "optimiser"
    recompute: Recompute = "none"
    sequence_parallel: bool = True
    fused_attention: bool = True

    @property
    def dp(self) -> int:
        """Data-parallel replicas."""
        return self.gpus // (self.tp * self.cp * self.pp)

    @property
    def micro_batches(self) -> int:
        """Micro-batches that a pipeline works on in a step."""
        return self.global_batch // (self.dp * self.micro_batch)

    @property
    def bubble(self) -> float:
        """Idle time of a pipeline divided by its busy time: (p - 1) / (v m) (Narayanan et al., SC 2021)."""
        return (self.pp - 1) / (self.interleave * self.micro_batches)

    @property
    def exposed_transfers(self) -> int:
        """Transfers between stages, one after another, for which a step waits.

        Filling a pipeline takes ``p v - 1`` of them one way, draining as many back. Interleaved stages have passes to
        spare meanwhile and wait for no others. Those of plain 1F1B have only as many micro-batches under way as there
        are stages ahead, and so wait for two transfers more with every micro-batch after the first, but for one in
        ``p``. That is the longest path through the schedules of Narayanan et al. (SC 2021) with transfers no longer
        than the forward pass of a chunk; ``tests/unit/test_pipelines.py`` plays them pass by pass.
        """
        ends = 2 * (self.pp * self.interleave - 1)
        later = self.micro_batches - 1
        return ends if self.interleave > 1 else ends + 2 * (later - math.ceil(later / self.pp))


def check_plan(plan: ParallelPlan, model: Transformer) -> None:
    """Raise InputError unless the plan divides GPUs, layers, heads and batch."""
    product = plan.tp * plan.cp * plan.pp
    rules: list[tuple[str, int, int, str]] = [
        ("tp", model.heads, plan.tp, f"a divisor of the model's {model.heads} heads"),
        ("ep", model.experts, plan.ep, f"a divisor of the model's {model.experts} experts"),
        ("cp", model.sequence, plan.cp, f"a divisor of the sequence of {model.sequence} tokens"),
    ]
    for key, whole, part, allowed in rules:
        if whole % part:
            raise InputError("the plan does not divide", key=key, found=str(getattr(plan, key)), allowed=allowed)
    if plan.gpus % product:
        allowed = f"a multiple of tp x cp x pp = {product}"
        raise InputError("the plan does not divide the GPUs of the job", found=str(plan.gpus), allowed=allowed)
    chunks = plan.pp * plan.interleave
    if model.layers % chunks and (model.layers + 2) % chunks:
        found = f"{plan.pp} stages x {plan.interleave} chunks"
        allowed = f"pp x interleave that divides {model.layers} layers, or {model.layers + 2} with embedding and loss"
        raise InputError("the plan does not divide", key="pp", found=found, allowed=allowed)
    if plan.dp % plan.ep:
        allowed = f"a divisor of the {plan.dp} data-parallel replicas"
        raise InputError("the plan does not divide", key="ep", found=str(plan.ep), allowed=allowed)
    if plan.global_batch % (plan.dp * plan.micro_batch):
        allowed = f"a multiple of dp x micro_batch = {plan.dp} x {plan.micro_batch}"
        raise InputError("the plan does not divide", key="global_batch", found=str(plan.global_batch), allowed=allowed)


def groups(plan: ParallelPlan, kind: Group) -> NDArray[np.int64]:
    """Return the ranks of every group of a kind, shape (groups, members).

    Rank = tp + TP x (cp + CP x (dp + DP x pp)): tensor-parallel ranks are neighbours, pipeline stages far apart.
    Gradients are summed over context- and data-parallel ranks together, so ``dp`` groups hold both. Those of experts
    are summed over the ranks that hold the same ones (``edp``), one in ``ep`` of them.
    """
    ranks = np.arange(plan.gpus, dtype=np.int64).reshape(plan.pp, plan.dp, plan.cp, plan.tp)
    match kind:
        case "tp":
            return ranks.reshape(-1, plan.tp)
        case "cp":
            return ranks.transpose(0, 1, 3, 2).reshape(-1, plan.cp)
        case "dp":
            return ranks.transpose(0, 3, 1, 2).reshape(-1, plan.dp * plan.cp)
        case "pp":
            return ranks.transpose(1, 2, 3, 0).reshape(-1, plan.pp)
    split = ranks.reshape(plan.pp, plan.dp // plan.ep, plan.ep, plan.cp, plan.tp)
    if kind == "ep":
        return split.transpose(0, 1, 3, 4, 2).reshape(-1, plan.ep)
    return split.transpose(0, 2, 4, 1, 3).reshape(-1, plan.dp * plan.cp // plan.ep)


@dataclass(frozen=True)
class Memory:
    """Bytes on the fullest GPU."""

    weights: float
    gradients: float
    optimiser: float
    activations: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.weights + self.gradients + self.optimiser + self.activations

    @property
    def in_words(self) -> str:
        """The total and its parts in GB."""
        parts = f"weights {self.weights / 1e9:.0f}, gradients {self.gradients / 1e9:.0f}"
        parts += f", optimiser {self.optimiser / 1e9:.0f}, activations {self.activations / 1e9:.0f}"
        return f"{self.total / 1e9:.0f} GB a GPU ({parts})"


def memory(model: Transformer, plan: ParallelPlan) -> Memory:
    """Return the bytes on the fullest GPU, of whichever pipeline stage it is.

    2 for a weight, 4 for a gradient, 12 for the optimiser's copy and moments. Of activations every layer that waits for
    its backward pass is held as `_activation_bytes` says; with full recomputation only its input, and one layer whole.
    The last stage, or the only one, also holds logits in fp32. Working space of libraries is not counted.
    """
    return max((_memory_of_stage(model, plan, stage) for stage in _stages(plan)), key=lambda stage: stage.total)


def _memory_of_stage(model: Transformer, plan: ParallelPlan, stage: int) -> Memory:
    local = stage_parameters(model, plan, stage)
    shared = local.total if plan.sharding == "none" else local.shared(plan)
    kept = shared if plan.sharding == "full" else local.total
    tokens = model.sequence / plan.cp * plan.micro_batch
    whole = _activation_bytes(model, plan)
    held = layers_held(model, plan, stage) * whole
    if plan.recompute == "full":
        inputs = 2.0 * model.hidden / (plan.tp if plan.sequence_parallel else 1)
        held = layers_held(model, plan, stage) * inputs + whole
    logits = 4.0 * model.vocabulary / plan.tp if stage == plan.pp - 1 else 0.0
    return Memory(2.0 * kept, 4.0 * kept, 12.0 * shared, tokens * (held + logits))


def _activation_bytes(model: Transformer, plan: ParallelPlan) -> float:
    """Return what a token leaves behind in one layer, in bytes of a GPU, where nothing of the layer is computed again.

    Counted as Korthikanti et al. (arXiv 2205.05198, section 4.1) do, with the widths of the architecture: inputs of
    both norms and of the matrices behind them, queries, keys and values, what attention returns, the inner activations
    of the feed-forward networks that a token visits; and the masks of two dropouts where the network has no gate, as
    GPT was trained. For GPT that is their 34 bytes x hidden, plus 5 x heads x sequence where scores are stored.
    """
    masks = 0.0 if model.gated else 2.0 * model.hidden
    between = 8.0 * model.hidden + masks  # the parts that only sequence parallelism splits
    attention = 4.0 * model.hidden + 4.0 * model.hidden * model.kv_heads / model.heads
    visited = model.top_k * (3 if model.gated else 2) * 2.0 * model.ffn
    copies = 2.0 * model.hidden * model.top_k if model.experts > 1 else 0.0  # a token's copy for each of its experts
    stores_scores = plan.recompute == "none" and not plan.fused_attention
    scores = 5.0 * model.heads * model.sequence if stores_scores else 0.0
    return between / (plan.tp if plan.sequence_parallel else 1) + (attention + visited + copies + scores) / plan.tp


def layers_held(model: Transformer, plan: ParallelPlan, stage: int) -> float:
    """Return the layers of which a pipeline stage holds activations at once, each micro-batch counted for itself.

    1F1B starts ``p - stage`` micro-batches before the first comes back; interleaved, ``2 (p - stage - 1) + (v - 1) p +
    1`` chunks (Narayanan et al., SC 2021; on the first stage ``1 + (p - 1) / (p v)`` times the model); never more than
    there are.
    """
    chunks = plan.pp - stage
    if plan.interleave > 1:
        chunks = 2 * (plan.pp - stage - 1) + (plan.interleave - 1) * plan.pp + 1
    in_flight = min(chunks, plan.micro_batches * plan.interleave) if plan.pp > 1 else plan.interleave
    return in_flight * layers_of_stage(model, plan, stage) / plan.interleave


@dataclass(frozen=True)
class Parameters:
    """Parameters on one GPU: those that all data-parallel ranks hold, and those of its experts."""

    dense: float
    experts: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.dense + self.experts

    def shared(self, plan: ParallelPlan) -> float:
        """Return what is left of them on a GPU when the ranks that hold the same ones share them out.

        Data- and context-parallel ranks all hold the same dense parameters, but only one in ``ep`` of them an expert.
        """
        return (self.dense + self.experts * plan.ep) / (plan.dp * plan.cp)


def stage_parameters(model: Transformer, plan: ParallelPlan, stage: int) -> Parameters:
    """Return the parameters of a pipeline stage on one tensor-parallel rank.

    The input embedding stands on the first stage, the output embedding on the last, also where they are one matrix.
    """
    layers = layers_of_stage(model, plan, stage)
    experts = model.experts * model.expert_parameters if model.experts > 1 else 0
    embedding = model.vocabulary * model.hidden if stage in (0, plan.pp - 1) else 0
    if plan.pp == 1:
        embedding = model.embedding_parameters
    dense = layers * (model.layer_parameters - experts) + embedding
    return Parameters(dense / plan.tp, layers * experts / plan.ep / plan.tp)


def most_parameters(model: Transformer, plan: ParallelPlan) -> Parameters:
    """Return the parameters on a GPU of the stage that has most of them."""
    return max((stage_parameters(model, plan, stage) for stage in _stages(plan)), key=lambda held: held.total)


def layers_of_stage(model: Transformer, plan: ParallelPlan, stage: int) -> int:
    """Return the layers of a pipeline stage.

    Stages are equal, or those at the ends have one layer less, in the place of which they hold embedding and loss.
    """
    if model.layers % plan.pp == 0:
        return model.layers // plan.pp
    return (model.layers + 2) // plan.pp - (stage in (0, plan.pp - 1))


def _stages(plan: ParallelPlan) -> tuple[int, ...]:
    """Return the stages of which one is the fullest: both ends and the first between them, which holds most there."""
    return tuple(sorted({0, min(1, plan.pp - 1), plan.pp - 1}))


def slowest_stage(model: Transformer, plan: ParallelPlan, layer: float, loss: float) -> float:
    """Return the most that any stage does when it does ``layer`` for each of its layers and the last one ``loss``."""
    last = plan.pp - 1
    return max(layers_of_stage(model, plan, each) * layer + (loss if each == last else 0.0) for each in _stages(plan))


MOST_OVER = 1.5
"""A plan that counts more than so many times the memory is refused. Runs that operators published count up to 1.3 times
the memory they had (Llama 3, arXiv 2407.21783, frees what a stage does not need again), see docs/training-step.md."""


def check_memory(model: Transformer, plan: ParallelPlan, memory_bytes: float) -> None:
    """Raise InputError where the plan counts more than `MOST_OVER` times the memory."""
    needed = memory(model, plan)
    if needed.total > MOST_OVER * memory_bytes:
        allowed = f"up to {MOST_OVER:g} x {memory_bytes / 1e9:.0f} GB, since counts are rough, or memory_check: false"
        raise InputError("the plan does not fit memory", key="plan", found=needed.in_words, allowed=allowed)


CHECKPOINT_BYTES_PER_PARAMETER = 14.0
"""bf16 weights and the optimiser's fp32 copy and two moments (2 + 12)."""
