"""From the sections of a training job to the model, plan, GPU and efficiency they mean."""

from __future__ import annotations

from simulator.scenario.schema_machine import AcceleratorSection
from simulator.scenario.schema_training import EfficiencySection, TrainingSection
from simulator.workload.models import Transformer
from simulator.workload.plans import ParallelPlan
from simulator.workload.training import Accelerator, Efficiency


def model_of(section: TrainingSection) -> Transformer:
    """Return the model of a training job."""
    model = section.model
    return Transformer(
        name=model.name,
        layers=model.layers,
        hidden=model.hidden,
        heads=model.heads,
        sequence=model.sequence,
        vocabulary=model.vocabulary,
        kv_heads=model.heads if model.kv_heads is None else model.kv_heads,
        ffn=4 * model.hidden if model.ffn is None else model.ffn,
        gated=model.gated,
        experts=model.experts,
        top_k=model.top_k,
        tied=model.tied,
    )


def plan_of(section: TrainingSection, gpus: int) -> ParallelPlan:
    """Return the parallel plan of a training job on that many GPUs."""
    return ParallelPlan(
        gpus=gpus,
        tp=section.tp,
        cp=section.cp,
        pp=section.pp,
        ep=section.ep,
        global_batch=section.global_batch,
        micro_batch=section.micro_batch,
        interleave=section.interleave,
        sharding=section.sharding,
        recompute=section.recompute,
        sequence_parallel=section.sequence_parallel,
        fused_attention=section.fused_attention,
    )


def accelerator_of(section: AcceleratorSection, precision: str) -> Accelerator:
    """Return what a GPU can do at a precision; the precision was checked before."""
    peak = {str(kind): rate for kind, rate in section.peak.items()}
    return Accelerator(peak[precision], section.memory, section.memory_bandwidth)


def efficiency_of(section: EfficiencySection) -> Efficiency:
    """Return what a software stack makes of a GPU."""
    return Efficiency(
        section.name,
        section.matmul,
        section.half_width,
        section.attention,
        section.elementwise,
        section.layer,
        section.overlap,
        section.tp_overlap,
    )
