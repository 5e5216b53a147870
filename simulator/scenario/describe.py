"""A scenario in words and expected numbers, before it runs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from simulator import units
from simulator.cluster.inventory import spares_at_first
from simulator.engine.feasibility import impossible
from simulator.engine.windows import window_columns
from simulator.engine.world import World
from simulator.network.facts import FabricFacts, facts
from simulator.policies.views import PlacementView
from simulator.scenario.assembly import assemble
from simulator.scenario.expectations import JobExpectation, faults_per_s, job_expectation, nodes_out
from simulator.scenario.profiles import training_step
from simulator.scenario.resolution import fault_sections
from simulator.scenario.resolved import Scenario
from simulator.scenario.schema import VariantSpec
from simulator.scenario.schema_workload import JobSection, SyntheticSection
from simulator.scenario.sizes import job_names, job_nodes, unasked_nodes
from simulator.scenario.synthetic import left_out, span_of, synthetic_model
from simulator.scenario.workloads import trace_jobs, trace_notes
from simulator.scheduling.windows import open_nodes
from simulator.telemetry.submissions import submissions
from simulator.units import count_of

Rows = list[tuple[str, str]]

DAY_S = 86400.0


def describe(scenario: Scenario, variant: str | None = None) -> list[tuple[str, Rows]]:
    """Return what a scenario means: headings, each with rows of (what, how much).

    Parameters
    ----------
    scenario : Scenario
        The loaded scenario.
    variant : str, optional
        Describe this variant in full; by default the first. The others are compared in the last heading.

    Returns
    -------
    list of (str, list of (str, str))
        Values carry their units. Expected numbers are closed forms, not simulated.
    """
    name = variant or scenario.baseline
    spec, world = scenario.variant(name), assemble(scenario, name, scenario.seed, 0)
    sections = [
        (f"Scenario {scenario.name}", _study(scenario, spec)),
        ("Machine", _machine(spec, world)),
        ("Jobs", _jobs(spec, world)),
        ("Faults expected per day", _faults(spec, world)),
        (f"Largest job, variant {name}", _largest(world)),
    ]
    if len(scenario.variants) > 1:
        sections.append(("Largest job by variant", [(other, _brief(scenario, other)) for other in scenario.variants]))
    if scenario.assumptions:
        sections.append(
            ("Assumptions", [(row.key, f"{row.value} ({row.source}): {row.why}") for row in scenario.assumptions])
        )
    return [(heading, rows) for heading, rows in sections if rows]


def _study(scenario: Scenario, spec: VariantSpec) -> Rows:
    rows = [("question", scenario.question)] if scenario.question else []
    horizon = "until the last job ends" if spec.horizon is None else units.show(spec.horizon, "s")
    return [
        *rows,
        ("variants", ", ".join(scenario.variants)),
        ("replications", str(scenario.replications)),
        ("simulated time", horizon),
    ]


def _machine(spec: VariantSpec, world: World) -> Rows:
    machine, cluster = world.machine, spec.cluster
    rows = [
        ("nodes", f"{machine.nodes} x {machine.gpus_per_node} GPUs ({cluster.node.gpu}, {machine.node_type})"),
        ("GPUs", f"{machine.gpus:,}"),
        ("spares", _spares(spec, world)),
    ]
    if idle := unasked_nodes(spec):
        replace = "; they replace lost nodes as spares do" if any(kind.takes_node_out for kind in world.faults) else ""
        rows.append(("neither spares nor asked for", f"{count_of(idle, 'node')}{replace}"))
    for kind, size in cluster.domain_sizes.items():
        rows.append((f"domain {kind}", f"{machine.population(kind)} of {count_of(size, 'node')}"))
    if world.network is not None:
        known, routing = facts(world.network.fabric), world.network.routing
        tiers = ", ".join(f"{tier} {ratio:.3g}:1" for tier, ratio in known.oversubscription.items())
        rows.append(("fabric", f"{world.network.fabric.name}: {known.switches:,} switches, {known.cables:,} cables"))
        rows.append(("rate of a GPU", rate_between(*known.host_rates)))
        rows.append(("rate of one link", rates_of_links(known)))
        rows.append(("oversubscription", tiers or "none"))
        rows.append(("routing", f"{routing.policy}, avoids dead links after {units.show(routing.reroute_s, 's')}"))
    if world.storage is not None:
        store = world.storage
        write, read = (f"{units.show(rate, 'bytes')}/s" for rate in (store.write_rate, store.read_rate))
        where = f"{store.servers} servers on the fabric" if store.servers else "a network of its own"
        rows.append(("storage", f"writes {write}, reads {read}, {where}"))
    if spec.cluster.partitions:
        limits = (f"{name}: {count_of(nodes, 'node')}" for name, nodes in spec.cluster.partitions.items())
        rows.append(("partitions, largest job", ", ".join(limits)))
    if bool((world.jobs.gpus < machine.gpus_per_node).any()) and not spec.cluster.node_sharing:
        rows.append(("node sharing", "off: every job holds whole nodes"))
    if world.windows:
        first = world.windows[0]
        whom = "maintenance" if first.is_maintenance else f"account {first.account}"
        when = f"the first {first.name} ({whom}) at {units.show(first.start_s, 's')}"
        rows.append(("reservations", f"{len(world.windows)}, {when}, {count_of(len(first.nodes), 'node')}"))
    if world.power is not None:
        busy_w, idle_w = (watts * machine.gpus for watts in (world.power.busy_w, world.power.idle_w))
        rows.append(("power", f"{units.show(busy_w, 'W')} all computing, {units.show(idle_w, 'W')} all waiting"))
    if world.price_usd_per_gpu_s is not None:
        per_day = world.price_usd_per_gpu_s * machine.gpus * DAY_S
        price = units.show(world.price_usd_per_gpu_s, "USD/GPU-s")
        rows.append(("price", f"{price}, the machine {units.show(per_day, 'USD')} per day"))
        if spec.horizon is not None:
            rows.append(("cost of the simulated time", units.show(per_day / DAY_S * spec.horizon, "USD")))
    return rows


def rate_between(slowest: float, fastest: float) -> str:
    """Return two rates as a range, or as one where they look the same."""
    low, high = units.show(slowest, "bytes/s"), units.show(fastest, "bytes/s")
    return low if low == high else f"{low} to {high}"


def rates_of_links(known: FabricFacts) -> str:
    """Return the rate of one link in one direction, by tier where tiers differ."""
    shown = {tier: rate_between(*ends) for tier, ends in known.link_rates.items()}
    if len(set(shown.values())) == 1:
        return next(iter(shown.values()))
    return ", ".join(f"{tier} {rate}" for tier, rate in shown.items())


def _spares(spec: VariantSpec, world: World) -> str:
    machine, per = world.machine, spec.cluster.spares.per
    if not machine.spare_nodes:
        return "none"
    each = "" if per is None else f", {spec.cluster.spares.count} in each {per}"
    return f"{machine.spare_nodes} {machine.spare_kind}{each}"


def _keeps_parts(world: World, row: int) -> bool:
    """Return whether placement can keep to what it promises a job on an empty machine."""
    keeps, jobs, machine = getattr(world.placement, "keeps", None), world.jobs, world.machine
    nodes, free = int(jobs.nodes[row]), ~spares_at_first(machine)
    if keeps is None or jobs.shares[row] or nodes > np.count_nonzero(free):
        return True
    none = np.empty(0, dtype=np.int64)
    view = PlacementView(
        free, np.where(free, machine.gpus_per_node, 0), nodes, 0, row, none, machine.tiers, machine.scale_up
    )  # fmt: skip
    ids = world.placement.place(view)
    return len(ids) == nodes and bool(keeps(replace(view, held=ids)))


def _jobs(spec: VariantSpec, world: World) -> Rows:
    rows = []
    for job in spec.workload.jobs[:10]:
        work = "runs to the horizon" if job.work is None else f"{units.show(job.work, 's')} of work"
        if job.training is not None and job.training.steps is not None:
            work = f"{job.training.steps:,} steps"
        size = count_of(job.gpus, "GPU") if job.gpus is not None else count_of(job_nodes(spec, job), "node")
        if job.elastic is not None:
            size += f" ({job.elastic.fewest} to {job.elastic.most or job_nodes(spec, job)} nodes)"
        rows.append((job.name, f"{job.copies} x {size}, {work}, submitted at {units.show(job.submit, 's')}"))
        if world.windows:
            rows.append(("  starts", _earliest_start(world, _first_row(world, job))))
        if not _keeps_parts(world, _first_row(world, job)):
            policy = spec.placement.chosen()
            rows.append(("  placement", f"{policy} cannot keep to equal parts, even on an empty machine"))
        step = training_step(spec, job)
        if step is not None:
            speed = f"{units.show(step.nominal_s, 's')} a step on an idle network, MFU {step.nominal_mfu:.1%}"
            saved = units.show(step.demand.checkpoint_bytes, "bytes")
            rows.append(("  trains", f"{speed}, a checkpoint of {saved}"))
        for tier in world.profiles[world.jobs.profile[_first_row(world, job)]].tiers:
            if tier.transfer is not None:
                how = "training stands still" if tier.transfer.is_blocking else "in the background"
                each_s = tier.blocking_s if tier.transfer.is_blocking else tier.persist_s
                size = units.show(tier.transfer.size_bytes, "bytes")
                rows.append((f"  saves to {tier.name}", f"{size} in {units.show(each_s, 's')} on idle storage, {how}"))
    if len(spec.workload.jobs) > 10:
        rows.append(("more", f"{len(spec.workload.jobs) - 10} further entries"))
    if spec.workload.trace is not None:
        rows.extend(_trace(spec, world))
    if spec.workload.synthetic is not None:
        rows.extend(_synthetic(spec, spec.workload.synthetic))
    rows.extend(_rejected(spec, world))
    varies = world.jobs.fewest < world.jobs.most
    if varies.any():
        saves = np.array([bool(profile.tiers) for profile in world.profiles])[world.jobs.profile[varies]]
        fixed = f", {np.count_nonzero(~saves):,} of which save nothing and keep the width they start with"
        many = count_of(int(varies.sum()), "job")
        rows.append(("elastic", f"{many} in the first replication{'' if saves.all() else fixed}"))
    return rows


def _earliest_start(world: World, row: int) -> str:
    """Return when a job can start if nobody else is there, and which window stops it where its end is not known."""
    known, machine = submissions(world.jobs, world.machine.gpus_per_node), world.machine
    number = {name: place for place, name in enumerate(known.accounts) if name}
    windows = window_columns(sorted(world.windows, key=lambda window: window.start_s), number, machine.nodes)
    submit_s, length_s = float(known.submit_s[row]), float(known.requested_s[row])
    account, wanted = int(known.account[row]), int(min(known.nodes[row], known.fewest[row]))
    for start_s in sorted({submit_s, *windows.end_s[windows.end_s > submit_s].tolist()}):
        is_free = open_nodes(start_s, start_s + length_s, account, windows)[: machine.nodes - machine.spare_nodes]
        if np.count_nonzero(is_free) >= wanted:
            break
    else:
        return "never: too few nodes are open to it"
    text = f"at {units.show(start_s, 's')} at the earliest"
    mine = known.accounts[account]
    ahead = [each for each in world.windows if each.start_s > start_s and (each.is_maintenance or each.account != mine)]
    if math.isfinite(length_s) or not ahead:
        return text
    first = min(ahead, key=lambda window: window.start_s)
    saves = bool(world.profiles[int(world.jobs.profile[row])].tiers)
    kept = "it saves its work" if saves else "without a checkpoint tier it loses all of its work"
    return f"{text}; stopped by {first.name} at {units.show(first.start_s, 's')} if it is on those nodes: {kept}"


def _rejected(spec: VariantSpec, world: World) -> Rows:
    """Return which of the jobs written in the scenario will be rejected; drawn jobs are made to fit."""
    known = submissions(world.jobs, world.machine.gpus_per_node)
    written = {name for job in spec.workload.jobs for name in job_names(job)}
    reasons = {str(known.job[job]): why for job, why in impossible(world, known).items() if known.job[job] in written}
    if not reasons:
        return []
    name, why = next(iter(reasons.items()))
    return [("rejected when submitted", f"{count_of(len(reasons), 'job')} of these; {name} {why}")]


def _synthetic(spec: VariantSpec, section: SyntheticSection) -> Rows:
    gpus = spec.cluster.working_gpus
    model, missing = synthetic_model(section, gpus), left_out(section, gpus)
    span_s = span_of(section, model, spec.horizon)
    return [
        (
            "synthetic",
            f"model {model.name}, {_expected(model.jobs_per_s * span_s)}, the largest {model.largest} GPUs",
        ),
        ("larger ones left out", f"{missing:.3%} of the model's jobs" if missing > 0 else "none"),
        ("submitted over", f"{units.show(span_s, 's')} from Monday 00:00, {model.jobs_per_s * DAY_S:,.4g} a day"),
        ("a job on average", f"{units.show(model.mean_gpu_s, 'GPU-s')}"),
        ("offered load", f"{model.jobs_per_s * model.mean_gpu_s / gpus:.3g} of the machine"),
    ]


def _expected(jobs: float) -> str:
    if jobs >= 0.5:
        return f"{jobs:,.0f} jobs expected"
    return f"no job expected ({jobs:.2g} on average); without one a replication ends at the horizon, or at once"


def _trace(spec: VariantSpec, world: World) -> Rows:
    trace = spec.workload.trace
    assert trace is not None
    table, report = trace_jobs(trace, spec.cluster.node.gpus)
    shared = table.shares & spec.cluster.node_sharing
    per_node = world.machine.gpus_per_node
    span_s = float(table.submit_s[-1]) or math.nan
    unit = "a node" if trace.counts_nodes else "a GPU"
    # By name, because the table of the world holds the jobs of the scenario too.
    known = submissions(world.jobs, per_node)
    never = set(known.job[list(impossible(world, known))].tolist())
    stays = np.array([job not in never for job in table.job.tolist()])
    too_large = int((table.nodes > world.machine.nodes - world.machine.spare_nodes).sum())
    others = int((~stays).sum()) - too_large
    busy = float((np.where(shared, table.gpus / per_node, table.nodes) * table.work_s)[stays].sum())
    many, wrong = count_of(report.jobs_read, "job"), count_of(others, "job")
    return [
        ("trace", f"{Path(trace.path).name}: {many}, {len(table):,} simulated; a processor is {unit}"),
        ("left out or changed", "; ".join(trace_notes(trace, spec.cluster.node.gpus)) or "nothing"),
        ("larger than the machine", f"{count_of(too_large, 'job')}, rejected when submitted"),
        *([("not for their partition or quota", f"{wrong}, rejected when submitted")] if others else []),
        ("submitted over", units.show(span_s, "s")),
        ("offered load", f"{busy / (span_s * world.machine.nodes):.3g} of the machine, without those"),
    ]


def _first_row(world: World, job: JobSection) -> int:
    """Return the row of a job, or of the first of its copies, in the job table."""
    row: int = world.jobs.job.tolist().index(job_names(job)[0])
    return row


def _faults(spec: VariantSpec, world: World) -> Rows:
    rows, sections = [], fault_sections(spec.faults)
    for kind in world.faults:
        effect = " and ".join(
            text for text, holds in (("stops jobs", kind.stops_job), ("takes nodes out", kind.takes_node_out)) if holds
        )
        if kind.is_of_fabric:
            effect = f"leaves {kind.capacity_left:.0%} of its links"
        per_day = f"{faults_per_s(world, kind) * DAY_S:.3g}"
        rate = sections[kind.name].unit_rate
        counted = f", counted by {rate.population}" if rate is not None and rate.population != kind.scope else ""
        rows.append((kind.name, f"{per_day} ({kind.scope}{counted}, {effect}, clock {kind.clock})"))
    if rows:
        total = sum(faults_per_s(world, kind) for kind in world.faults) * DAY_S
        rows.append(("all classes", f"{total:.3g}"))
        rows.append(("nodes out of service, mean", f"{nodes_out(world):.3g}, with technicians always free"))
    return rows


def _largest_job(world: World) -> JobExpectation | None:
    if not len(world.jobs):
        return None
    usable = world.machine.nodes - world.machine.spare_nodes
    fitting = world.jobs.nodes * (world.jobs.nodes <= usable)
    largest = int(fitting.argmax())
    profile = world.profiles[int(world.jobs.profile[largest])]
    return job_expectation(world, profile, int(world.jobs.nodes[largest]))


def _largest(world: World) -> Rows:
    job = _largest_job(world)
    if job is None:
        return []
    if math.isinf(job.mtti_s):
        return [("nodes", str(job.nodes)), ("interruptions", f"none: {_unstopped(world)}")]
    rows = [("nodes", str(job.nodes)), ("mean time between interruptions", units.show(job.mtti_s, "s"))]
    for tier in job.tiers:
        every = "never" if math.isinf(tier.interval_s) else f"every {units.show(tier.interval_s, 's')} of work"
        rows.append((f"checkpoint to {tier.name}", every))
    rows.append(("restart, mean from fault to productive", units.show(job.restart_s, "s")))
    rows.append(("expected ETTR, replacements always there", _ettr(job)))
    return rows


def _ettr(job: JobExpectation) -> str:
    return f"no closed form: {job.without_ettr}" if job.without_ettr else f"{job.ettr:.4f}"


def _unstopped(world: World) -> str:
    """Return why no closed form counts interruptions."""
    if any(kind.is_of_fabric for kind in world.faults):
        return "no fault of a node stops it; what those of the fabric do follows from routing"
    return "no fault stops it, the beginning of a reservation can" if world.windows else "nothing stops it"


def _brief(scenario: Scenario, variant: str) -> str:
    world = assemble(scenario, variant, scenario.seed, 0)
    job = _largest_job(world)
    if job is None:
        return "no job"
    size = f"{count_of(job.nodes, 'node')}, {count_of(world.machine.spare_nodes, 'spare')}"
    if math.isinf(job.mtti_s):
        return f"{size}, {_unstopped(world)}"
    return (
        f"{size}, interrupted every {units.show(job.mtti_s, 's')}, restart {units.show(job.restart_s, 's')}, "
        f"expected ETTR {_ettr(job)}"
    )
