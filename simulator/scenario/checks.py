"""What a scenario must satisfy beyond the shape of its keys; each check names the key to blame."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from simulator.accounting.columns import METRICS
from simulator.errors import InputError
from simulator.policies.registry import families
from simulator.scenario.fabrics import fabric_parts, network_of
from simulator.scenario.loading import nearest
from simulator.scenario.policy_fields import PolicySection, changed_policy, keys_of
from simulator.scenario.resolution import (
    fault_sections,
    repair_name_of,
    repair_names,
    repair_section,
    unit_rate_per_s,
    units_of,
)
from simulator.scenario.schema import VariantSpec
from simulator.scenario.schema_faults import FaultClassSection
from simulator.scenario.schema_machine import ReservationSection
from simulator.scenario.schema_workload import CheckpointSection, JobSection, RecordedSection
from simulator.scenario.sizes import job_names, job_nodes
from simulator.scenario.synthetic import span_of, synthetic_model
from simulator.scenario.training import model_of, plan_of
from simulator.scenario.windows import windows_of
from simulator.scenario.workloads import trace_jobs
from simulator.workload.plans import check_memory, check_plan

KeyPath = tuple[str | int, ...]

MAX_EVENTS = 1e8
"""More faults than this in one replication are taken for a slip of a unit."""

MAX_JOBS = 10_000_000

MOST_SAMPLES = 1_000_000
"""More samples than this of one replication are taken for a slip of a unit."""

MOST_WINDOWS = 10_000
"""More repetitions of a reservation than this are taken for a slip of a unit."""

MOST_NAMES = 10
"""An error lists so many accounts; a log may have hundreds."""

SHAPES = {"exponential": (0.0, math.inf), "weibull": (0.2, 20.0), "lognormal": (0.02, 4.0)}
"""Shapes for which a mean life is still a number that a simulation can meet; beyond them it hangs on events that never
come (or, above, life is a constant)."""


@dataclass(frozen=True)
class Complaint:
    """A broken rule: the key to blame and the parts of the message.

    Parameters
    ----------
    path : tuple of str and int
        Keys that lead to the value to blame.
    problem, found, allowed, nearest : str
        As in ``InputError``.
    """

    path: KeyPath
    problem: str
    found: str | None = None
    allowed: str | None = None
    nearest: str | None = None


def _fabric(spec: VariantSpec) -> Iterator[Complaint]:
    """Build the fabric; what is wrong with it stands at its key."""
    try:
        network_of(spec.cluster)
    except InputError as error:
        path: KeyPath = ("cluster", "fabric")
        keys = tuple((error.key or "").split("."))
        yield Complaint(
            (*path, *keys) if error.key and error.file is None else path, str(error.problem), error.found, error.allowed
        )


def complaints(spec: VariantSpec, variants: tuple[str, ...]) -> Iterator[Complaint]:
    """Yield every broken rule of a variant, the most basic first.

    Parameters
    ----------
    spec : VariantSpec
        The variant.
    variants : tuple of str
        Names of all variants of the scenario.
    """
    yield from _machine(spec)
    yield from _fabric(spec)
    yield from _times(spec)
    yield from _reservations(spec)
    yield from _jobs(spec)
    yield from _policies(spec)
    yield from _faults(spec)
    yield from _report(spec, variants)


def _unknown(path: KeyPath, problem: str, word: str, choices: list[str]) -> Complaint:
    allowed = ", ".join(choices) if choices else "none are defined here"
    return Complaint(path, problem, repr(word), allowed, nearest(word, choices))


def _machine(spec: VariantSpec) -> Iterator[Complaint]:
    cluster, per = spec.cluster, spec.cluster.spares.per
    if per is not None and per not in cluster.domain_sizes:
        yield _unknown(("cluster", "spares", "per"), "unknown kind of domain", per, sorted(cluster.domain_sizes))
    elif per is not None:
        smallest = min(cluster.domain_sizes[per], (cluster.nodes - 1) % cluster.domain_sizes[per] + 1)
        if cluster.spares.count > smallest:
            found = f"{cluster.spares.count} spares in each {per}"
            allowed = f"at most {smallest}, the nodes of the smallest {per}"
            yield Complaint(("cluster", "spares", "count"), "more spares than nodes", found, allowed)
    if cluster.spare_nodes >= cluster.nodes:
        found = f"{cluster.spare_nodes} spares of {cluster.nodes} nodes"
        yield Complaint(("cluster", "spares", "count"), "no node is left to work", found, "fewer spares than nodes")
    if cluster.storage is not None and cluster.storage.servers and cluster.fabric is None:
        problem = "storage servers hang on the fabric, and there is none"
        yield Complaint(
            ("cluster", "storage", "servers"), problem, str(cluster.storage.servers), "0, or cluster.fabric"
        )
    for kind in cluster.domains:
        if kind in ("node", "GPU"):
            yield Complaint(("cluster", "domains", kind), "this name is reserved", repr(kind), "rack, switch, ...")


def _times(spec: VariantSpec) -> Iterator[Complaint]:
    if spec.horizon is None:
        return
    for key in ("warm_up", "sample_every"):
        value = getattr(spec, key)
        if value is not None and value >= spec.horizon:
            yield Complaint((key,), "must be shorter than the horizon", f"{value:g} s", f"less than {spec.horizon:g} s")
    if spec.sample_every is not None and spec.sample_every < spec.horizon / MOST_SAMPLES:
        least = f"at least {spec.horizon / MOST_SAMPLES:g} s, a {MOST_SAMPLES:,}th of the horizon"
        yield Complaint(("sample_every",), "too many samples", f"{spec.sample_every:g} s", least)


def _reservations(spec: VariantSpec) -> Iterator[Complaint]:
    """Check that windows are for somebody, lie on the machine and do not meet on a node."""
    names: Counter[str] = Counter(section.name for section in spec.reservations)
    found = False
    for position, section in enumerate(spec.reservations):
        path: KeyPath = ("reservations", position)
        own = list(_reservation(spec, section, path))
        if names[section.name] > 1:
            own.append(Complaint((*path, "name"), "two reservations share a name", repr(section.name), "unique names"))
        if section.account:
            own.extend(_strangers(spec, {(*path, "account"): section.account}))
        yield from own
        found |= bool(own)
    if not found:
        yield from _meeting(spec)


def _reservation(spec: VariantSpec, section: ReservationSection, path: KeyPath) -> Iterator[Complaint]:
    if bool(section.account) == section.maintenance:
        problem = "a reservation is for an account, or for maintenance"
        yield Complaint(path, problem, allowed="account: team-a, or maintenance: true")
    count, nodes = section.nodes, spec.cluster.nodes
    if section.first_node >= nodes or (count != "all" and section.first_node + count > nodes):
        key = "first_node" if section.first_node else "nodes"
        allowed = f"the machine has {nodes} nodes"
        yield Complaint((*path, key), "these nodes do not exist", str(getattr(section, key)), allowed)
    if section.every is None:
        return
    if spec.horizon is None:
        yield Complaint((*path, "every"), "it would repeat for ever: there is no horizon", allowed="horizon")
    elif section.every < section.duration:
        allowed = f"at least {section.duration:g} s, its duration"
        yield Complaint((*path, "every"), "it repeats before it is over", f"{section.every:g} s", allowed)
    elif spec.horizon / section.every > MOST_WINDOWS:
        allowed = f"at most {MOST_WINDOWS:,} times"
        yield Complaint((*path, "every"), "it repeats too often", f"{spec.horizon / section.every:.3g} times", allowed)


def _meeting(spec: VariantSpec) -> Iterator[Complaint]:
    """Name the first two windows that want the same node at the same time."""
    windows = windows_of(spec)
    for position, first in enumerate(windows):
        for other in windows[position + 1 :]:
            if other.start_s >= first.end_s:
                break
            if other.nodes[0] <= first.nodes[-1] and first.nodes[0] <= other.nodes[-1]:
                problem = f"{first.name} and {other.name} want the same nodes at the same time"
                yield Complaint(("reservations",), problem, allowed="windows that do not overlap")
                return


def _jobs(spec: VariantSpec) -> Iterator[Complaint]:
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
    yield from _recorded(spec.workload.trace, ("workload", "trace"))
    yield from _recorded(spec.workload.synthetic, ("workload", "synthetic"))


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
        yield _unknown((*path, "partition"), "unknown partition", job.partition, list(partitions))
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


def _recorded(section: RecordedSection | None, path: KeyPath) -> Iterator[Complaint]:
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
        yield from _own_keys("recovery", section.recovery, (*path, "recovery"))


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
        yield from _own_keys("checkpointing", tier.interval, (*path, "tiers", position, "interval"))


def _policies(spec: VariantSpec) -> Iterator[Complaint]:
    yield from _own_keys("scheduling", spec.scheduling, ("scheduling",))
    yield from _scheduler(spec)
    yield from _own_keys("placement", spec.placement, ("placement",))
    if spec.health is not None:
        yield from _own_keys("health", spec.health, ("health",))
    yield from _own_keys("recovery", spec.recovery, ("recovery",))
    for position, job in enumerate(spec.workload.jobs):
        if job.recovery is not None:
            yield from _own_keys("recovery", job.recovery, ("workload", "jobs", position, "recovery"))


def _scheduler(spec: VariantSpec) -> Iterator[Complaint]:
    """Check what the chosen scheduler cannot do."""
    name = spec.scheduling.chosen()
    policy = families()["scheduling"][name]
    named: dict[KeyPath, str] = {}
    limits = spec.scheduling.limits
    if limits is not None:
        named |= {("scheduling", "limits", "accounts", account): account for account in limits.accounts}
    for key in ("shares", "quotas"):
        named |= {("scheduling", key, account): account for account in getattr(spec.scheduling, key, None) or ()}
    yield from _strangers(spec, named)
    if getattr(policy, "needs_estimates", False):
        for position, job in enumerate(spec.workload.jobs):
            if job.requested is None:
                where: KeyPath = ("workload", "jobs", position)
                problem = f"policy {name!r} needs an estimate of every job"
                yield Complaint(where, problem, allowed='requested: "12 h"')
    yield from _combined(spec, name, policy)
    by_node = getattr(policy, "keys_by_node", ())
    for key, value in spec.scheduling.own_keys().items() if by_node and not _may_plan_by_node(spec) else ():
        if key in by_node and value != "all":
            problem = f"policy {name!r} plans every job where all take whole nodes and none is kept for anybody"
            yield Complaint(("scheduling", key), problem, repr(value), "depth: all, or leave the key out")


def _combined(spec: VariantSpec, name: str, policy: type) -> Iterator[Complaint]:
    """Check that preemption and limits go with a policy that is an order of the queue."""
    for key in ("preemption", "limits"):
        if getattr(spec.scheduling, key) is not None and not hasattr(policy, "order"):
            ordering = [other for other, each in families()["scheduling"].items() if hasattr(each, "order")]
            problem = f"policy {name!r} has rules of its own, which {key} cannot be combined with"
            yield Complaint(("scheduling", key), problem, allowed=f"one of {', '.join(ordering)}")


def _may_plan_by_node(spec: VariantSpec) -> bool:
    """Return whether jobs may share nodes, or nodes are kept for somebody."""
    workload, g = spec.workload, spec.cluster.node.gpus
    is_drawn = workload.synthetic is not None or workload.trace is not None
    shares = is_drawn or any(job.gpus is not None and job.gpus < g for job in workload.jobs)
    return bool(spec.reservations) or (spec.cluster.node_sharing and shares)


def _strangers(spec: VariantSpec, named: Mapping[KeyPath, str]) -> Iterator[Complaint]:
    """Name the accounts, by the key that wants them, on which no job can be."""
    known = _accounts(spec) if named else None  # a log is read only for this
    for path, account in named.items():
        if known is not None and account not in known:
            names = sorted(known)
            short = names if len(names) <= MOST_NAMES else [*names[:MOST_NAMES], "..."]
            near = nearest(account, names)
            allowed = ", ".join(short) or "none are defined here"
            yield Complaint(path, "no job is on this account", repr(account), allowed, near)


def _accounts(spec: VariantSpec) -> set[str] | None:
    """Return the accounts of all jobs and the groups they lie in, None where only a draw knows them."""
    synthetic, trace = spec.workload.synthetic, spec.workload.trace
    if synthetic is not None and not synthetic.accounts:
        return None
    names = {job.account or job.user for job in spec.workload.jobs}
    names |= set() if synthetic is None else set(synthetic.accounts)
    if trace is not None:
        recorded, _ = trace_jobs(trace, spec.cluster.node.gpus)
        names |= set(np.where(recorded.account == "", recorded.user, recorded.account).tolist())
    return {"/".join(name.split("/")[: n + 1]) for name in names if name for n in range(name.count("/") + 1)}


def _own_keys(family: str, section: PolicySection, path: KeyPath) -> Iterator[Complaint]:
    own = list(keys_of(families()[family][section.chosen()]))
    for key in section.own_keys():
        if key not in own:
            others = ", ".join(name for name, policy in families()[family].items() if key in keys_of(policy))
            yield _unknown((*path, key), f"policy {section.chosen()!r} has no such key (a key of {others})", key, own)


def _hazard(spec: VariantSpec, name: str, section: FaultClassSection) -> Iterator[Complaint]:
    hazard = getattr(spec.faults, "hazard", None) or section.hazard
    if hazard is None:
        return
    low, high = SHAPES[hazard.family]
    if not low <= hazard.shape <= high:
        place: KeyPath = ("faults", "classes", name, "hazard", "shape")
        if getattr(spec.faults, "hazard", None) is not None:
            place = ("faults", "hazard", "shape")
        problem = f"a {hazard.family} life of this shape has no mean that a simulation can meet"
        yield Complaint(place, problem, f"{hazard.shape:g}", f"{low:g} to {high:g}")


def _faults(spec: VariantSpec) -> Iterator[Complaint]:
    events_per_s = 0.0
    for name, section in fault_sections(spec.faults).items():
        found = list(_scope_and_rate(spec, name, section))
        yield from found
        yield from _repair(spec, name, section)
        yield from _hazard(spec, name, section)
        if not found:
            events_per_s += unit_rate_per_s(spec, section) * units_of(spec.cluster, section.scope)
    if spec.horizon is not None and events_per_s * spec.horizon > MAX_EVENTS:
        events = f"{events_per_s * spec.horizon:.3g} faults expected before the horizon"
        yield Complaint(("faults",), "the rates are absurdly high", events, f"at most {MAX_EVENTS:.0e}")


def _class_path(spec: VariantSpec, name: str, *keys: str) -> KeyPath:
    """Return the path of a key of a class where the scenario gives it, otherwise of the mix it comes from."""
    own = spec.faults.classes.get(name)
    if own is None or (keys and keys[0] not in own.model_fields_set):
        mix = spec.faults.mix
        if mix is not None and name in mix.classes:
            return ("faults", "mix")
        return ("faults", "classes", name)
    return ("faults", "classes", name, *keys)


def _scope_and_rate(spec: VariantSpec, name: str, section: FaultClassSection) -> Iterator[Complaint]:
    parts = fabric_parts(spec.cluster)
    domains = [*sorted(spec.cluster.domain_sizes), *parts]
    if section.scope != "node" and section.scope not in domains:
        path = _class_path(spec, name, "scope")
        yield _unknown(path, f"class {name!r} has an unknown scope", section.scope, ["node", *domains])
    rate = section.unit_rate
    if rate is None:
        yield Complaint(_class_path(spec, name), f"class {name!r} has no rate", allowed="rate or mtbf")
    elif rate.population not in ("node", "GPU", *domains):
        key = "rate" if section.mtbf is None else "mtbf"
        path = _class_path(spec, name, key)
        yield _unknown(path, f"class {name!r} has an unknown population", rate.population, ["node", "GPU", *domains])
    if section.scope in parts:
        yield from _part(spec, name, section)
    elif "capacity_left" in section.model_fields_set:
        path = _class_path(spec, name, "capacity_left")
        yield Complaint(
            path, f"class {name!r} fails no part of the fabric", allowed=f"scope: {', '.join(parts) or '-'}"
        )
    if not (section.stops_job or section.takes_node_out):
        path = _class_path(spec, name, "stops_job")
        yield Complaint(path, f"class {name!r} does nothing", allowed="stops_job, takes_node_out, or both")


def _part(spec: VariantSpec, name: str, section: FaultClassSection) -> Iterator[Complaint]:
    """Refuse what has no meaning for a part of the fabric."""
    for key in ("stops_job", "takes_node_out"):
        if key in section.model_fields_set:
            problem = (
                f"class {name!r} fails a part of the fabric; what that does to jobs and nodes follows from routing"
            )
            yield Complaint(_class_path(spec, name, key), problem, allowed="no such key for this scope")
    if section.capacity_left == 1.0:
        yield Complaint(_class_path(spec, name, "capacity_left"), f"class {name!r} does nothing", "1", "less than 1")
    if section.hazard.family != "exponential" or section.clock != "calendar":
        key = "clock" if section.clock != "calendar" else "hazard"
        problem = f"class {name!r} fails a part of the fabric, whose rate does not age"
        yield Complaint(_class_path(spec, name, key), problem, allowed="exponential, calendar")


def _repair(spec: VariantSpec, name: str, section: FaultClassSection) -> Iterator[Complaint]:
    if not section.takes_node_out and section.scope not in fabric_parts(spec.cluster):
        if "repair" in section.model_fields_set and section.repair is not None:
            path = _class_path(spec, name, "repair")
            yield Complaint(path, f"class {name!r} takes no node out, so nothing is repaired", repr(section.repair))
        return
    chosen = repair_name_of(spec, section)
    path = ("repairs", "mix") if section.repair is None else _class_path(spec, name, "repair")
    if chosen is None:
        allowed = "repairs: {mix: operator_mix_assumed}, or a repair for the class"
        yield Complaint(("repairs", "mix"), f"class {name!r} takes nodes out and has no repair mix", None, allowed)
    elif chosen not in repair_names(spec.repairs):
        yield _unknown(path, "unknown repair mix", chosen, repair_names(spec.repairs))
    else:
        yield from _mix(spec, chosen)


def _mix(spec: VariantSpec, name: str) -> Iterator[Complaint]:
    section = repair_section(spec.repairs, name)
    path: KeyPath = ("repairs", "mixes", name)
    if not section.tiers:
        yield Complaint(path, "a repair mix needs tiers", allowed="tiers: {swap: {probability: 1, time: 24 h}}")
        return
    total = sum(tier.probability for tier in section.tiers.values())
    if abs(total - 1.0) > 1e-9:
        yield Complaint((*path, "tiers"), "the probabilities of the tiers must sum to 1", f"{total:.10g}")
    if section.failure_probability >= 1.0:
        yield Complaint((*path, "failure_probability"), "no repair would ever succeed", "1", "less than 1")
    escapes = section.failure_probability > 0.0 and section.escape_probability > 0.0
    if escapes and (section.recurrence is None or section.recurrence.mean == 0.0):
        problem = "a missed fault must strike again after some time"
        yield Complaint((*path, "recurrence"), problem, allowed='recurrence: "2 days", or escape_probability: 0')


def _report(spec: VariantSpec, variants: tuple[str, ...]) -> Iterator[Complaint]:
    metrics = [metric.name for metric in METRICS]
    report = spec.report
    named: list[tuple[KeyPath, str]] = [(("report", "answer", "metric"), report.answer.metric)]
    named += [(("report", "published", i, "metric"), row.metric) for i, row in enumerate(report.published)]
    named += [(("report", "metrics", i), metric) for i, metric in enumerate(report.metrics)]
    for path, metric in named:
        if metric not in metrics:
            yield _unknown(path, "unknown metric", metric, metrics)
    for position, row in enumerate(report.published):
        if row.variant is not None and row.variant not in variants:
            yield _unknown(("report", "published", position, "variant"), "unknown variant", row.variant, list(variants))
    for position, name in enumerate(report.answer.bounds):
        if name not in variants[1:]:
            place: KeyPath = ("report", "answer", "bounds", position)
            yield _unknown(place, "not a variant after the first", name, list(variants[1:]))
    classes = list(fault_sections(spec.faults))
    for position, known in enumerate(report.published_classes):
        if known.class_ not in classes:
            where: KeyPath = ("report", "published_classes", position, "class")
            yield _unknown(where, "unknown fault class", known.class_, classes)
