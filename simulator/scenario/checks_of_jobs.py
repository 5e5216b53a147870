"""What the jobs of a scenario must satisfy beyond the shape of their keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from simulator.errors import InputError
from simulator.policies.registry import families
from simulator.scenario.complaints import Complaint, KeyPath, own_keys, unknown
from simulator.scenario.policy_fields import changed_policy, keys_of
from simulator.scenario.schema import VariantSpec
from simulator.scenario.schema_workload import CheckpointSection, JobSection, RecordedSection
from simulator.scenario.sizes import job_names, job_nodes
from simulator.scenario.synthetic import span_of, synthetic_model
from simulator.scenario.training import model_of, plan_of
from simulator.workload.plans import check_memory, check_plan

MAX_JOBS = 10_000_000


def job_complaints(spec: VariantSpec) -> Iterator[Complaint]:
    """Yield every broken rule of a variant's workload."""
    jobs = spec.workload.jobs
    if not jobs and spec.workload.trace is None and spec.workload.synthetic is None:
        yield Complaint(("workload",), "nothing runs", allowed="jobs, trace or synthetic")
    yield from _synthetic(spec)
    if sum(job.copies for job in jobs) > MAX_JOBS:
        yield Complaint(("workload", "jobs"), "too many jobs", allowed=f"at most {MAX_JOBS}, copies included")
        return
    names: Counter[str] = Counter()
    for position, job in enumerate(jobs):
        path: KeyPath = ("workload", "jobs", position)
        own = job_names(job)
        names.update(own)
        if any(names[name] > 1 for name in own):
            yield Complaint((*path, "name"), "this name is taken by another job", repr(job.name), "unique names")
        yield from _size(spec, job, path)
        if job.training is not None:
            yield from _training(spec, job, (*path, "training"))
        if job.work is None and spec.horizon is None and (job.training is None or job.training.steps is None):
            yield Complaint(
                path, "a job without work runs to the horizon, and there is none", allowed="work or horizon"
            )
        if spec.horizon is None and _comes_back_for_ever(spec, job):
            problem = "a bug of its own stops every attempt, and it comes back without end"
            allowed = "a horizon, or recovery: {most_requeues: 3}, for example"
            yield Complaint((*path, "fails_after"), problem, allowed=allowed)
        if spec.horizon is not None and job.submit >= spec.horizon:
            yield Complaint((*path, "submit"), "submitted after the horizon", f"{job.submit:g} s")
        if job.checkpoint is not None:
            yield from _tiers(job.checkpoint, (*path, "checkpoint"))
        yield from _stored(spec, job, path)
        yield from _asked(spec, job, path)
    yield from _tiers(spec.checkpoint, ("checkpoint",))
    yield from _recorded(spec, spec.workload.trace, ("workload", "trace"))
    yield from _recorded(spec, spec.workload.synthetic, ("workload", "synthetic"))


def _comes_back_for_ever(spec: VariantSpec, job: JobSection) -> bool:
    """Return whether nothing ends the attempts of a job that stops itself."""
    if job.fails_after is None or (job.work is not None and job.work <= job.fails_after):
        return False
    recovery = changed_policy("recovery", spec.recovery, job.recovery)
    keys = keys_of(families()["recovery"][recovery.chosen()])
    caps = [cap for cap in ("give_up_after", "most_requeues") if cap in keys]  # without any it has a rule of its own
    return bool(caps) and not any(getattr(recovery, cap) for cap in caps)


def _asked(spec: VariantSpec, job: JobSection, path: KeyPath) -> Iterator[Complaint]:
    """Check partition, widths and submissions of a job."""
    partitions = spec.cluster.partitions
    sized = (job.nodes is None) != (job.gpus is None)
    if job.partition and job.partition not in partitions:
        yield unknown((*path, "partition"), "unknown partition", job.partition, list(partitions))
    elif job.partition and sized and job_nodes(spec, job) > partitions[job.partition]:
        allowed = f"at most {partitions[job.partition]}"
        problem = f"the job is larger than partition {job.partition!r}"
        yield Complaint((*path, "partition"), problem, f"{job_nodes(spec, job)} nodes", allowed)
    if job.submit_every is not None and job.copies == 1:
        yield Complaint((*path, "submit_every"), "there is one copy, which is submitted once", allowed="copies")
    if job.elastic is not None and sized:
        nodes, usable = job_nodes(spec, job), spec.cluster.nodes - spec.cluster.spare_nodes
        most = nodes if job.elastic.most is None else job.elastic.most
        if job.training is not None:
            problem = "a training model has a plan for one width"
            yield Complaint((*path, "elastic"), problem, allowed="elastic, or training")
        elif job.gpus is not None and job.gpus % spec.cluster.node.gpus:
            yield Complaint((*path, "elastic"), "an elastic job holds whole nodes", f"{job.gpus} GPUs")
        elif not job.elastic.fewest <= nodes <= most <= usable:
            found = f"{job.elastic.fewest}, {nodes} and {most} of {usable} nodes"
            allowed = "fewest <= nodes <= most <= the machine without its spares"
            yield Complaint((*path, "elastic"), "these widths do not fit together", found, allowed)


def _recorded(spec: VariantSpec, section: RecordedSection | None, path: KeyPath) -> Iterator[Complaint]:
    """Check how the jobs of a trace or a model save their work."""
    if section is None:
        return
    if section.checkpoint is not None:
        yield from _tiers(section.checkpoint, (*path, "checkpoint"))
        for position, tier in enumerate(section.checkpoint.tiers):
            if tier.storage is not None:
                place = (*path, "checkpoint", "tiers", position, "storage")
                problem = "the size of a checkpoint differs from job to job of a workload"
                yield Complaint(place, problem, allowed="blocking, persist and load times")
    if section.recovery is not None:
        yield from own_keys("recovery", section.recovery, (*path, "recovery"), spec.recovery)


def _synthetic(spec: VariantSpec) -> Iterator[Complaint]:
    """Check that a synthetic workload has an end, a job that fits and not too many of them."""
    section = spec.workload.synthetic
    if section is None:
        return
    path: KeyPath = ("workload", "synthetic")
    if section.jobs is None and section.span is None and spec.horizon is None:
        yield Complaint(path, "how many jobs come? There is no horizon", allowed="jobs, span or horizon")
        return
    try:
        model = synthetic_model(section, spec.cluster.working_gpus)
    except InputError as error:
        if error.file is not None:
            raise
        yield Complaint(path, error.problem, error.found, error.allowed)
        return
    expected = model.jobs_per_s * span_of(section, model, spec.horizon)
    if expected > MAX_JOBS:
        yield Complaint(path, "too many jobs", f"about {expected:.3g}", f"at most {MAX_JOBS}")


def _stored(spec: VariantSpec, job: JobSection, path: KeyPath) -> Iterator[Complaint]:
    """Check what a job keeps on shared storage or reads from it."""
    own = job.checkpoint is not None
    tiers = job.checkpoint if job.checkpoint is not None else spec.checkpoint
    needed = "cluster: {storage: {write, read}}"
    for position, tier in enumerate(tiers.tiers):
        where: KeyPath = (*(path if own else ()), "checkpoint", "tiers", position)
        if tier.storage is None:
            if tier.size is not None:
                yield Complaint((*where, "size"), "only tiers on storage have a size", allowed="storage: background")
        elif spec.cluster.storage is None:
            yield Complaint(
                (*where, "storage"), "the cluster has no storage", allowed="cluster: {storage: {write, read}}"
            )
        elif tier.size is None and job.training is None:
            problem = f"how large is a checkpoint of job {job.name!r}, which has no training model?"
            yield Complaint(where, problem, allowed='size: "2 TB"')
    if job.training is not None and job.training.sample is not None and spec.cluster.storage is None:
        place = (*path, "training", "sample")
        yield Complaint(place, "the cluster has no storage to read from", allowed=needed)


def _training(spec: VariantSpec, job: JobSection, path: KeyPath) -> Iterator[Complaint]:
    """Check what a training model needs: a fabric, a GPU we know, a plan that divides and fits."""
    section = job.training
    assert section is not None
    accelerator = spec.cluster.node.accelerator
    if spec.cluster.fabric is None:
        problem = "a training model needs a network to communicate over"
        yield Complaint(("cluster",), problem, allowed="cluster: {fabric: rail_400g}")
        return
    if accelerator is None or section.efficiency.precision not in accelerator.peak:
        problem = f"the node type does not say what its GPUs can do at {section.efficiency.precision}"
        yield Complaint(("cluster", "node"), problem, allowed="accelerator: {peak, memory, memory_bandwidth}")
        return
    fitted = section.efficiency.gpu
    if fitted is not None and not spec.cluster.node.gpu.startswith(fitted):
        problem = f"these constants hold for {fitted}, the nodes have {spec.cluster.node.gpu}"
        allowed = "those of a preset for that GPU, or a mapping of your own"
        yield Complaint((*path, "efficiency"), problem, section.efficiency.name, allowed)
    if job.work is not None and section.steps is not None:
        yield Complaint((*path, "steps"), "the amount of work is given once", allowed="work or steps")
    usable = spec.cluster.nodes - spec.cluster.spare_nodes
    nodes = job_nodes(spec, job) if (job.nodes is None) != (job.gpus is None) else 0
    if job.gpus is not None and job.gpus % spec.cluster.node.gpus:
        yield Complaint((*path[:-1], "gpus"), "a training job holds whole nodes", str(job.gpus))
    elif 0 < nodes <= usable:
        model, plan = model_of(section), plan_of(section, nodes * spec.cluster.node.gpus)
        try:
            check_plan(plan, model)
            if section.memory_check:
                check_memory(model, plan, accelerator.memory)
        except InputError as error:
            key = (*path, error.key) if error.key in type(section).model_fields else path
            yield Complaint(key, error.problem, error.found, error.allowed)


def _size(spec: VariantSpec, job: JobSection, path: KeyPath) -> Iterator[Complaint]:
    if (job.nodes is None) == (job.gpus is None):
        yield Complaint(path, "the size of a job is given once", allowed="nodes or gpus")
        return
    usable = spec.cluster.nodes - spec.cluster.spare_nodes
    nodes = job_nodes(spec, job)
    if nodes > usable:
        key = "nodes" if job.gpus is None else "gpus"
        without = f"{spec.cluster.nodes} nodes less {spec.cluster.spare_nodes} spares"
        yield Complaint(
            (*path, key),
            "the job is larger than the machine",
            f"{nodes} nodes",
            f"at most {usable}: {without}",
        )


def _tiers(section: CheckpointSection, path: KeyPath) -> Iterator[Complaint]:
    seen: set[str] = set()
    for position, tier in enumerate(section.tiers):
        if tier.name in seen:
            yield Complaint((*path, "tiers", position, "name"), "two tiers share a name", repr(tier.name))
        seen.add(tier.name)
        if tier.blocking == 0.0 and tier.storage != "blocking" and tier.interval.chosen() not in ("fixed", "never"):
            problem = "a checkpoint that costs nothing has no optimal interval"
            allowed = 'a duration such as "10 min", or blocking above zero'
            yield Complaint((*path, "tiers", position), problem, repr(tier.interval.chosen()), allowed)
        yield from own_keys("checkpointing", tier.interval, (*path, "tiers", position, "interval"))
