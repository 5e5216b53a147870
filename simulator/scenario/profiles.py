"""How jobs save their work, come back after an interruption, and what a step of theirs costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simulator.engine.world import JobProfile, Network
from simulator.policies.registry import families
from simulator.scenario.fabrics import network_of, storage_of
from simulator.scenario.policy_fields import build, changed_policy
from simulator.scenario.schema import VariantSpec
from simulator.scenario.schema_training import TrainingSection
from simulator.scenario.schema_workload import (
    CheckpointSection,
    CheckpointTierSection,
    JobSection,
    PhasesSection,
    RecordedSection,
    RecoveryKeys,
)
from simulator.scenario.sizes import job_nodes
from simulator.scenario.training import accelerator_of, efficiency_of, model_of, plan_of
from simulator.workload.checkpoints import CheckpointTier, Transfer
from simulator.workload.placed_step import TrainingStep, reference
from simulator.workload.restart import RestartPhases
from simulator.workload.storage import Storage, Ways, idle_seconds, ways
from simulator.workload.training import demand, straggler_factor


def written_profile(spec: VariantSpec, job: JobSection, step: TrainingStep | None) -> JobProfile:
    """Return the profile of a job that is written in the scenario.

    Jobs without overrides have equal profiles, so that plans are made once for all of them.
    """
    checkpoint = spec.checkpoint if job.checkpoint is None else job.checkpoint
    own = job.checkpoint is not None or job.recovery is not None or job.training is not None
    own |= any(tier.storage is not None for tier in checkpoint.tiers)
    data_rate = 0.0 if step is None or job.training is None else bytes_read(job.training) / step.nominal_s
    world = (storage_of(spec.cluster), network_of(spec.cluster))
    found = ways_to_storage(spec, job_nodes(spec, job))
    recovery = changed_policy("recovery", spec.recovery, job.recovery)
    return _profile(job.name if own else "default", checkpoint, recovery, step, found, world, data_rate)


def recorded_profile(spec: VariantSpec, section: RecordedSection, name: str) -> JobProfile:
    """Return the profile of the jobs of a trace or a model.

    By default they save nothing, and an interrupted one queues again from its start.
    """
    checkpoint = CheckpointSection() if section.checkpoint is None else section.checkpoint
    world = (storage_of(spec.cluster), network_of(spec.cluster))
    profile = _profile(
        name, checkpoint, changed_policy("recovery", spec.recovery, section.recovery), None, None, world, 0.0
    )
    if section.recovery is None:
        return replace(profile, recovery=families()["recovery"]["requeue"]())
    return profile


def _phases(section: PhasesSection) -> RestartPhases:
    reallocate = section.reallocate
    return RestartPhases(
        tear_down_s=section.tear_down,
        reallocate_same_s=reallocate.same,
        reallocate_hot_s=reallocate.hot,
        reallocate_warm_s=reallocate.warm,
        reallocate_cold_s=reallocate.cold,
        reallocate_repaired_s=reallocate.repaired,
        reallocate_queue_s=reallocate.queue,
        image_s=section.image,
        dependencies_s=section.dependencies,
        init_s=section.init,
        init_per_node_s=section.init_per_node,
        warm_up_s=section.warm_up,
    )


def _profile(
    name: str,
    checkpoint: CheckpointSection,
    recovery: RecoveryKeys,
    step: TrainingStep | None,
    found: Ways | None,
    world: tuple[Storage | None, Network | None],
    data_rate: float,
) -> JobProfile:
    return JobProfile(
        name=name,
        tiers=tuple(_tier(tier, step, found, *world) for tier in checkpoint.tiers),
        checkpointing=tuple(build("checkpointing", tier.interval) for tier in checkpoint.tiers),
        restart=_phases(recovery.phases),
        recovery=build("recovery", recovery),
        step=step,
        data_rate=data_rate,
    )


def _tier(
    section: CheckpointTierSection,
    step: TrainingStep | None,
    found: Ways | None,
    storage: Storage | None,
    network: Network | None,
) -> CheckpointTier:
    """Return a tier; one on shared storage has the times of an idle system."""
    tier = CheckpointTier(section.name, section.blocking, section.persist, section.load, section.survives)
    if section.storage is None:
        return tier
    assert found is not None, "checked before"
    assert storage is not None, "checked before"
    size = section.size
    if size is None:
        assert step is not None, "checked before"
        size = step.demand.checkpoint_bytes
    fabric = None if network is None else network.fabric
    is_blocking = section.storage == "blocking"
    moved = Transfer(size, is_blocking, section.blocking, section.persist, section.load)
    load_s = section.load + idle_seconds(storage, fabric, found.read.moving(size))
    stored = replace(tier, transfer=moved, load_s=load_s)
    return stored.written_in(idle_seconds(storage, fabric, found.write.moving(size)))


def ways_to_storage(spec: VariantSpec, nodes: int) -> Ways | None:
    """Return how a job on the first nodes of the machine gets to its storage, None where there is none."""
    storage, network = storage_of(spec.cluster), network_of(spec.cluster)
    if storage is None:
        return None
    known = (None, None) if network is None else (network.fabric, network.routing)
    return ways(storage, np.arange(nodes, dtype=np.int64), spec.cluster.node.gpus, spec.cluster.nodes, *known)


def training_step(spec: VariantSpec, job: JobSection) -> TrainingStep | None:
    """Return the training step of a job, None for a job without a training model; its keys were checked before."""
    section = job.training
    if section is None:
        return None
    network = network_of(spec.cluster)
    accelerator = spec.cluster.node.accelerator
    assert network is not None, "checked before"
    assert accelerator is not None, "checked before"
    model, plan = model_of(section), plan_of(section, job_nodes(spec, job) * spec.cluster.node.gpus)
    gpu = accelerator_of(accelerator, section.efficiency.precision)
    asked = demand(model, plan, gpu, efficiency_of(section.efficiency))
    slowest = straggler_factor(plan.gpus, section.jitter)
    bare = TrainingStep(asked, plan, slowest)
    storage, found = storage_of(spec.cluster), ways_to_storage(spec, job_nodes(spec, job))
    read_s, sample_bytes = 0.0, bytes_read(section)
    if sample_bytes > 0.0 and storage is not None and found is not None:
        read_s = idle_seconds(storage, network.fabric, found.read.moving(sample_bytes))
    nominal = reference(bare, network.fabric, network.routing, network.transport, read_s)
    step_s = sum(nominal.values())
    mfu = asked.model_flops / (gpu.peak_flops * step_s)
    return TrainingStep(asked, plan, slowest, tuple(nominal.items()), mfu)


def bytes_read(section: TrainingSection) -> float:
    """Return what a step reads from storage."""
    return 0.0 if section.sample is None else section.sample * section.global_batch
