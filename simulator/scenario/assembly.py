"""From a scenario to the world of one replication: the only place that knows both."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simulator.cluster.inventory import NO_TIERS, Machine, contiguous_domains
from simulator.engine.world import JobProfile, Network, World
from simulator.network.parts import groups_of_nodes
from simulator.policies.registry import families
from simulator.scenario.checks import job_names, job_nodes
from simulator.scenario.fabrics import fabric_parts, network_of, storage_of
from simulator.scenario.policy_fields import build
from simulator.scenario.quantities import merged
from simulator.scenario.resolution import fault_classes
from simulator.scenario.resolved import Scenario
from simulator.scenario.schema import VariantSpec
from simulator.scenario.schema_training import TrainingSection
from simulator.scenario.schema_workload import (
    CheckpointSection,
    CheckpointTierSection,
    JobSection,
    PhasesSection,
    RecoveryKeys,
    TraceSection,
)
from simulator.scenario.training import accelerator_of, efficiency_of, model_of, plan_of
from simulator.workload.checkpoints import CheckpointTier, Transfer
from simulator.workload.job import JobTable, job_table
from simulator.workload.placed_step import TrainingStep, reference
from simulator.workload.restart import RestartPhases
from simulator.workload.storage import Storage, Ways, idle_seconds, ways
from simulator.workload.traces import CleaningReport, ImportReport, read_trace, to_processors
from simulator.workload.training import demand, straggler_factor

if TYPE_CHECKING:
    import pandas as pd


def assemble(scenario: Scenario, variant: str, seed: int, replication: int) -> World:
    """Return the world of one variant in one replication.

    Parameters
    ----------
    scenario : Scenario
        The loaded scenario.
    variant : str
        Name of the variant.
    seed, replication : int
        Key of all random streams.

    Returns
    -------
    World

    Raises
    ------
    InputError
        If there is no such variant, or its trace cannot be read.

    Notes
    -----
    Nothing but the key of the streams depends on the replication, so everything else is made once per process
    for each (scenario, variant) and shared; it is never changed.
    """
    stamp = _stamp(scenario.variant(variant).workload.trace)
    return replace(_prepared(scenario, variant, stamp), seed=seed, replication=replication)


@functools.lru_cache(maxsize=64)
def _prepared(scenario: Scenario, variant: str, stamp: tuple[int, int]) -> World:
    spec = scenario.variant(variant)
    jobs, profiles = _jobs(spec)
    return World(
        machine=_machine(spec),
        faults=fault_classes(spec),
        technicians=spec.repairs.technicians,
        jobs=jobs,
        profiles=profiles,
        scheduling=build("scheduling", spec.scheduling),
        placement=build("placement", spec.placement),
        health=None if spec.health is None else build("health", spec.health),
        network=network_of(spec.cluster),
        storage=storage_of(spec.cluster),
        price_usd_per_gpu_s=spec.cluster.price_usd_per_gpu_s,
        horizon_s=spec.horizon,
        warm_up_s=spec.warm_up,
        sample_every_s=spec.sample_every,
        seed=0,
        replication=0,
    )


def _machine(spec: VariantSpec) -> Machine:
    cluster, network = spec.cluster, network_of(spec.cluster)
    return Machine(
        nodes=cluster.nodes,
        gpus_per_node=cluster.node.gpus,
        node_type=cluster.node.name,
        spare_nodes=cluster.spares.count,
        spare_kind=cluster.spares.kind,
        domains={kind: contiguous_domains(cluster.nodes, size) for kind, size in cluster.domain_sizes.items()},
        tiers=NO_TIERS if network is None else groups_of_nodes(network.fabric, cluster.nodes),
        fabric_units=fabric_parts(cluster),
        scale_up=contiguous_domains(cluster.nodes, _nodes_per_scale_up_domain(spec)),
    )


def _nodes_per_scale_up_domain(spec: VariantSpec) -> int:
    fabric, gpus_per_node = spec.cluster.fabric, spec.cluster.node.gpus
    joined = 1 if fabric is None or fabric.scale_up is None else fabric.scale_up.gpus
    return max(joined // gpus_per_node, 1)


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


def _ways(spec: VariantSpec, nodes: int) -> Ways | None:
    """Return how a job on the first nodes of the machine gets to its storage, None where there is none."""
    storage, network = storage_of(spec.cluster), network_of(spec.cluster)
    if storage is None:
        return None
    known = (None, None) if network is None else (network.fabric, network.routing)
    return ways(storage, np.arange(nodes, dtype=np.int64), spec.cluster.node.gpus, spec.cluster.nodes, *known)


def _trace_profile(spec: VariantSpec) -> JobProfile:
    """Return the profile of trace jobs: nothing is saved, an interrupted job queues again from its start."""
    requeue = families()["recovery"]["requeue"]()
    return JobProfile("trace", (), (), _phases(spec.recovery.phases), requeue)


def _jobs(spec: VariantSpec) -> tuple[JobTable, tuple[JobProfile, ...]]:
    """Return all jobs in order of (submission, row), and their profiles."""
    tables: list[JobTable] = []
    profiles: list[JobProfile] = []
    for job in spec.workload.jobs:
        names = job_names(job)
        nodes = job_nodes(spec, job)
        gpus = nodes * spec.cluster.node.gpus if job.gpus is None else job.gpus
        # A job without overrides shares the profile of the others like it, so that plans are made once.
        checkpoint = spec.checkpoint if job.checkpoint is None else job.checkpoint
        own = job.checkpoint is not None or job.recovery is not None or job.training is not None
        own |= any(tier.storage is not None for tier in checkpoint.tiers)
        step, found = training_step(spec, job), _ways(spec, nodes)
        work_s = job.work
        if step is not None and job.training is not None and job.training.steps is not None:
            work_s = job.training.steps * step.nominal_s
        data_rate = 0.0 if step is None or job.training is None else _data_bytes(job.training) / step.nominal_s
        world = (storage_of(spec.cluster), network_of(spec.cluster))
        recovery = merged(spec.recovery, job.recovery)
        profile = _profile(job.name if own else "default", checkpoint, recovery, step, found, world, data_rate)
        if profile not in profiles:
            profiles.append(profile)
        tables.append(
            job_table(
                job=np.array(names, dtype=object),
                user=np.full(len(names), job.user, dtype=object),
                submit_s=np.full(len(names), job.submit),
                nodes=np.full(len(names), nodes, dtype=np.int64),
                gpus=np.full(len(names), gpus, dtype=np.int64),
                work_s=np.full(len(names), math.inf if work_s is None else work_s),
                requested_s=np.full(len(names), math.inf if job.requested is None else job.requested),
                profile=np.full(len(names), profiles.index(profile), dtype=np.int64),
            )
        )
    if spec.workload.trace is not None:
        profiles.append(_trace_profile(spec))
        table, _ = trace_jobs(spec.workload.trace, spec.cluster.node.gpus)
        tables.append(replace(table, profile=np.full(len(table), len(profiles) - 1, dtype=np.int64)))
    return _sorted(tables), tuple(profiles)


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
    storage, found = storage_of(spec.cluster), _ways(spec, job_nodes(spec, job))
    read_s, sample_bytes = 0.0, _data_bytes(section)
    if sample_bytes > 0.0 and storage is not None and found is not None:
        read_s = idle_seconds(storage, network.fabric, found.read.moving(sample_bytes))
    nominal = reference(bare, network.fabric, network.routing, network.transport, read_s)
    step_s = sum(nominal.values())
    mfu = asked.model_flops / (gpu.peak_flops * step_s)
    return TrainingStep(asked, plan, slowest, tuple(nominal.items()), mfu)


def _data_bytes(section: TrainingSection) -> float:
    """Return what a step reads from storage."""
    return 0.0 if section.sample is None else section.sample * section.global_batch


def _sorted(tables: list[JobTable]) -> JobTable:
    columns = {
        name: np.concatenate([getattr(table, name) for table in tables]) for name in JobTable.__dataclass_fields__
    }
    order = np.argsort(columns["submit_s"], kind="stable")
    return JobTable(**{name: column[order] for name, column in columns.items()})


def trace_jobs(section: TraceSection, gpus_per_node: int) -> tuple[JobTable, CleaningReport]:
    """Return the jobs of a trace on nodes of that many GPUs, and what the cleaning rules met.

    Raises
    ------
    InputError
        If the trace cannot be read, or no job is left after cleaning.

    Notes
    -----
    The rules are those of ``workload.traces.to_processors``: jobs without a size or run time are left out; a run longer
    than its request is cut to the request, as the batch system would have done; a missing request is replaced by the
    run time. Jobs larger than the machine stay in and are rejected when they are submitted. Then the first N by
    (submission, row) are taken and shifted so that the first submission is at 0.
    """
    return _trace_jobs(section, gpus_per_node, _stamp(section))


def import_report(section: TraceSection) -> ImportReport:
    """Return what the reader of a trace met: rows read, kept, and dropped with reason and line."""
    return _read_trace(section.format, section.path, _stamp(section))[1]


def trace_notes(section: TraceSection, gpus_per_node: int) -> tuple[str, ...]:
    """Return what was left out of a trace or changed in it, one sentence each; empty when nothing was."""
    broken = import_report(section)
    _, cleaning = trace_jobs(section, gpus_per_node)
    notes = [f"{len(lines)} rows dropped: {why}, first in line {lines[0]}" for why, lines in broken.reasons().items()]
    counted = (
        (cleaning.without_processors, "jobs without a size left out"),
        (cleaning.without_run_time, "jobs without a run time left out"),
        (cleaning.cut_to_request, "run times cut to the requested time"),
        (cleaning.estimated_by_run_time, "estimates replaced by the run time, because none was requested"),
    )
    return (*notes, *(f"{count} {what}" for count, what in counted if count))


def _stamp(section: TraceSection | None) -> tuple[int, int]:
    """Return what changes when a trace file is written anew."""
    if section is None or not Path(section.path).exists():
        return (0, 0)
    stat = Path(section.path).stat()
    return stat.st_mtime_ns, stat.st_size


@functools.lru_cache(maxsize=8)
def _trace_jobs(section: TraceSection, gpus_per_node: int, stamp: tuple[int, int]) -> tuple[JobTable, CleaningReport]:
    table, _ = _read_trace(section.format, section.path, stamp)
    jobs, report = to_processors(table, estimates=section.estimates)
    jobs = jobs.iloc[: section.first]
    users = dict(zip(table["job"], table["user"].fillna(""), strict=True))
    count = jobs["processors"].to_numpy(dtype=np.int64)
    nodes = count if section.counts_nodes else -(-count // gpus_per_node)
    submit_s = jobs["submit_s"].to_numpy(dtype=np.float64)
    cleaned = job_table(
        job=jobs["job"].astype(str).to_numpy(dtype=object),
        user=np.array([str(users[job]) for job in jobs["job"]], dtype=object),
        submit_s=submit_s - submit_s[0],
        nodes=nodes,
        gpus=count * gpus_per_node if section.counts_nodes else count,
        work_s=jobs["run_s"].to_numpy(dtype=np.float64),
        requested_s=jobs["requested_s"].to_numpy(dtype=np.float64),
        profile=np.zeros(len(jobs), dtype=np.int64),
    )
    return cleaned, report


@functools.lru_cache(maxsize=8)
def _read_trace(format_name: str, path: str, stamp: tuple[int, int]) -> tuple[pd.DataFrame, ImportReport]:
    return read_trace(format_name, path)
