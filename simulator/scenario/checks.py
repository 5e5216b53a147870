"""What a scenario must satisfy beyond the shape of its keys; each check names the key to blame."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from simulator.accounting.columns import METRICS
from simulator.errors import InputError
from simulator.policies.registry import families
from simulator.scenario.checks_of_jobs import job_complaints
from simulator.scenario.complaints import Complaint, KeyPath, own_keys, unknown
from simulator.scenario.fabrics import fabric_parts, network_of
from simulator.scenario.loading import nearest
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
from simulator.scenario.windows import windows_of
from simulator.scenario.workloads import trace_jobs

MAX_EVENTS = 1e8
"""More faults than this in one replication are taken for a slip of a unit."""

MOST_SAMPLES = 1_000_000
"""More samples than this of one replication are taken for a slip of a unit."""

MOST_WINDOWS = 10_000
"""More repetitions of a reservation than this are taken for a slip of a unit."""

MOST_NAMES = 10
"""An error lists so many accounts; a log may have hundreds."""

SHAPES = {"exponential": (0.0, math.inf), "weibull": (0.2, 20.0), "lognormal": (0.02, 4.0)}
"""Shapes for which a mean life is still a number that a simulation can meet; beyond them it hangs on events that never
come (or, above, life is a constant)."""


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
    yield from job_complaints(spec)
    yield from _policies(spec)
    yield from _faults(spec)
    yield from _report(spec, variants)


def _machine(spec: VariantSpec) -> Iterator[Complaint]:
    cluster, per = spec.cluster, spec.cluster.spares.per
    if per is not None and per not in cluster.domain_sizes:
        yield unknown(("cluster", "spares", "per"), "unknown kind of domain", per, sorted(cluster.domain_sizes))
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


def _policies(spec: VariantSpec) -> Iterator[Complaint]:
    yield from own_keys("scheduling", spec.scheduling, ("scheduling",))
    yield from _scheduler(spec)
    yield from own_keys("placement", spec.placement, ("placement",))
    if spec.health is not None:
        yield from own_keys("health", spec.health, ("health",))
    yield from own_keys("recovery", spec.recovery, ("recovery",))
    for position, job in enumerate(spec.workload.jobs):
        if job.recovery is not None:
            yield from own_keys("recovery", job.recovery, ("workload", "jobs", position, "recovery"), spec.recovery)


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
        yield unknown(path, f"class {name!r} has an unknown scope", section.scope, ["node", *domains])
    rate = section.unit_rate
    if rate is None:
        yield Complaint(_class_path(spec, name), f"class {name!r} has no rate", allowed="rate or mtbf")
    elif rate.population not in ("node", "GPU", *domains):
        key = "rate" if section.mtbf is None else "mtbf"
        path = _class_path(spec, name, key)
        yield unknown(path, f"class {name!r} has an unknown population", rate.population, ["node", "GPU", *domains])
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
        yield unknown(path, "unknown repair mix", chosen, repair_names(spec.repairs))
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
            yield unknown(path, "unknown metric", metric, metrics)
    for position, row in enumerate(report.published):
        if row.variant is not None and row.variant not in variants:
            yield unknown(("report", "published", position, "variant"), "unknown variant", row.variant, list(variants))
    for position, name in enumerate(report.answer.bounds):
        if name not in variants[1:]:
            place: KeyPath = ("report", "answer", "bounds", position)
            yield unknown(place, "not a variant after the first", name, list(variants[1:]))
    classes = list(fault_sections(spec.faults))
    for position, known in enumerate(report.published_classes):
        if known.class_ not in classes:
            where: KeyPath = ("report", "published_classes", position, "class")
            yield unknown(where, "unknown fault class", known.class_, classes)
