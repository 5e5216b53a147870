"""The jobs of a variant as one table: those written in the scenario, and those of a trace."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulator.engine.world import JobProfile
from simulator.errors import InputError
from simulator.scenario.profiles import recorded_profile, training_step, written_profile
from simulator.scenario.schema import VariantSpec
from simulator.scenario.schema_workload import CurveSection, JobSection, RecordedSection, TraceSection
from simulator.scenario.sizes import job_names, job_nodes
from simulator.units import count_of
from simulator.workload.elastic import GoodputCurve
from simulator.workload.job import JobTable, job_table
from simulator.workload.traces import CleaningReport, ImportReport, origin_of, read_trace, to_processors

if TYPE_CHECKING:
    import pandas as pd


def jobs_of(spec: VariantSpec) -> tuple[JobTable, tuple[JobProfile, ...], tuple[GoodputCurve, ...]]:
    """Return all jobs that do not depend on the replication, their profiles, and the curves of elastic ones.

    The profile of synthetic jobs, where there are any, is the last.
    """
    tables: list[JobTable] = []
    profiles: list[JobProfile] = []
    curves: list[GoodputCurve] = []
    for job in spec.workload.jobs:
        step = training_step(spec, job)
        profile = written_profile(spec, job, step)
        if profile not in profiles:
            profiles.append(profile)
        work_s = job.work
        if step is not None and job.training is not None and job.training.steps is not None:
            work_s = job.training.steps * step.nominal_s
        curve = -1
        if job.elastic is not None:
            curve = _numbered(job.elastic, curves)
        tables.append(_written(spec, job, work_s, profiles.index(profile), curve))
    if spec.workload.trace is not None:
        profiles.append(recorded_profile(spec, spec.workload.trace, "trace"))
        table, _ = trace_jobs(spec.workload.trace, spec.cluster.node.gpus)
        tables.append(as_recorded(table, spec, spec.workload.trace, len(profiles) - 1, curves))
    if spec.workload.synthetic is not None:
        profiles.append(recorded_profile(spec, spec.workload.synthetic, "synthetic"))
        _numbered(spec.workload.synthetic.elastic, curves)
    return in_order(tables or [_no_jobs()]), tuple(profiles), tuple(curves)


def _written(spec: VariantSpec, job: JobSection, work_s: float | None, profile: int, curve: int) -> JobTable:
    names, nodes, per_node = job_names(job), job_nodes(spec, job), spec.cluster.node.gpus
    gpus = nodes * per_node if job.gpus is None else job.gpus
    every: dict[str, tuple[object, type]] = {
        "user": (job.user, object),
        "account": (job.account, object),
        "partition": (job.partition, object),
        "priority": (job.priority, np.int64),
        "submit_s": (job.submit, np.float64),
        "nodes": (nodes, np.int64),
        "gpus": (gpus, np.int64),
        "shares": (gpus < per_node and spec.cluster.node_sharing, np.bool_),
        "work_s": (math.inf if work_s is None else work_s, np.float64),
        "requested_s": (math.inf if job.requested is None else job.requested, np.float64),
        "fails_at_s": (math.inf if job.fails_after is None else job.fails_after, np.float64),
        "profile": (profile, np.int64),
        "width": (curve, np.int64),
    }
    columns: dict[str, Any] = {name: np.full(len(names), value, dtype=kind) for name, (value, kind) in every.items()}
    if job.elastic is not None:
        columns["fewest"] = np.full(len(names), job.elastic.fewest, dtype=np.int64)
        columns["most"] = np.full(len(names), job.elastic.most or nodes, dtype=np.int64)
    columns["submit_s"] = columns["submit_s"] + (job.submit_every or 0.0) * np.arange(len(names))
    return job_table(job=np.array(names, dtype=object), **columns)


def as_recorded(
    table: JobTable, spec: VariantSpec, section: RecordedSection, profile: int, curves: list[GoodputCurve]
) -> JobTable:
    """Return the jobs of a trace or a model as a variant runs them.

    Parameters
    ----------
    table : JobTable
        Rigid jobs of class 0.
    spec : VariantSpec
    section : RecordedSection
        What holds for all of them.
    profile : int
        Index of their profile.
    curves : list of GoodputCurve
        Curves known so far; that of the section is put in.
    """
    shares = table.shares & spec.cluster.node_sharing
    priority = np.zeros(len(table), dtype=np.int64)
    for step in sorted(section.priorities, key=lambda step: step.gpus):
        priority[table.gpus >= step.gpus] = step.priority
    table = replace(table, profile=np.full(len(table), profile, dtype=np.int64), shares=shares, priority=priority)
    if section.elastic is None:
        return table
    usable = spec.cluster.nodes - spec.cluster.spare_nodes
    # A job that leaves GPUs of its nodes unused has no width that follows from its nodes.
    varies = ~shares & (table.gpus == table.nodes * spec.cluster.node.gpus) & (table.nodes <= usable)
    fewest = np.ceil(table.nodes * section.elastic.fewest).astype(np.int64)
    most = np.minimum(np.floor(table.nodes * section.elastic.most).astype(np.int64), usable)
    return replace(
        table,
        fewest=np.where(varies, fewest, table.nodes),
        most=np.where(varies, most, table.nodes),
        width=np.where(varies, _numbered(section.elastic, curves), -1),
    )


def _numbered(section: CurveSection | None, curves: list[GoodputCurve]) -> int:
    """Return the index of a section's curve, put in where it is new."""
    if section is None:
        return -1
    curve = GoodputCurve(section.serial_fraction, section.cost_per_node)
    if curve not in curves:
        curves.append(curve)
    return curves.index(curve)


def _no_jobs() -> JobTable:
    none, nobody = np.zeros(0), np.zeros(0, dtype=np.int64)
    return job_table(job=np.zeros(0, dtype=object), submit_s=none, nodes=nobody, gpus=nobody, work_s=none)


def in_order(tables: list[JobTable]) -> JobTable:
    """Return several tables as one, in order of (submission, row)."""
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
    return _trace_jobs(section, gpus_per_node, stamp_of(section))[:2]


def log_start(spec: VariantSpec) -> datetime | None:
    """Return the instant at which the log of a variant's jobs begins, time 0; None without a log that tells it."""
    section = spec.workload.trace
    origin = None if section is None else origin_of(import_report(section).header)
    if section is None or origin is None:
        return None
    first_s = _trace_jobs(section, spec.cluster.node.gpus, stamp_of(section))[2]
    return origin + timedelta(seconds=first_s)


def import_report(section: TraceSection) -> ImportReport:
    """Return what the reader of a trace met: rows read, kept, and dropped with reason and line."""
    return _read_trace(section.format, section.path, stamp_of(section))[1]


def trace_notes(section: TraceSection, gpus_per_node: int) -> tuple[str, ...]:
    """Return what was left out of a trace or changed in it, one sentence each; empty when nothing was."""
    broken = import_report(section)
    _, cleaning = trace_jobs(section, gpus_per_node)
    notes = [
        f"{count_of(len(lines), 'row')} dropped: {why}, first in line {lines[0]}"
        for why, lines in broken.reasons().items()
    ]
    counted = (
        (cleaning.without_processors, "job", "without a size left out"),
        (cleaning.without_run_time, "job", "without a run time left out"),
        (cleaning.cut_to_request, "run time", "cut to the requested time"),
        (cleaning.estimated_by_run_time, "estimate", "replaced by the run time, because none was requested"),
    )
    return (*notes, *(f"{count_of(count, noun)} {what}" for count, noun, what in counted if count))


def stamp_of(section: TraceSection | None) -> tuple[int, int]:
    """Return what changes when a trace file is written anew."""
    if section is None or not Path(section.path).exists():
        return (0, 0)
    stat = Path(section.path).stat()
    return stat.st_mtime_ns, stat.st_size


@functools.lru_cache(maxsize=8)
def _trace_jobs(
    section: TraceSection, gpus_per_node: int, stamp: tuple[int, int]
) -> tuple[JobTable, CleaningReport, float]:
    """Return the jobs, what cleaning met, and the time of the trace at which the first of them was submitted."""
    table, _ = _read_trace(section.format, section.path, stamp)
    try:
        jobs, report = to_processors(table, estimates=section.estimates)
    except InputError as error:  # of a table, which knows no file
        raise InputError(error.problem, section.path, found=error.found, allowed=error.allowed) from None
    jobs = jobs.iloc[: section.first]
    row, names = jobs["row"].to_numpy(), ("user", "account", "partition")
    text = {name: table[name].fillna("").astype(str).to_numpy(dtype=object)[row] for name in names}
    count = jobs["processors"].to_numpy(dtype=np.int64)
    nodes = count if section.counts_nodes else -(-count // gpus_per_node)
    gpus = count * gpus_per_node if section.counts_nodes else count
    submit_s = jobs["submit_s"].to_numpy(dtype=np.float64)
    cleaned = job_table(
        job=jobs["job"].astype(str).to_numpy(dtype=object),
        submit_s=submit_s - submit_s[0],
        nodes=nodes,
        gpus=gpus,
        shares=gpus < gpus_per_node,
        work_s=jobs["run_s"].to_numpy(dtype=np.float64),
        requested_s=jobs["requested_s"].to_numpy(dtype=np.float64),
        ending=_endings(table.iloc[row]),
        **text,
    )
    return cleaned, report, float(submit_s[0])


def _endings(table: pd.DataFrame) -> NDArray[np.object_]:
    """Return how jobs of a log end: as it says, or by their limit, to which a longer run is cut."""
    run_s, requested_s = (table[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in ("run_s", "requested_s"))
    state = table["state"].fillna("").astype(str).to_numpy(dtype=object)
    is_limit = (requested_s > 0) & ((run_s > requested_s) | ((run_s == requested_s) & (state == "failed")))
    endings: NDArray[np.object_] = np.where(is_limit, "timeout", state)
    return endings


@functools.lru_cache(maxsize=8)
def _read_trace(format_name: str, path: str, stamp: tuple[int, int]) -> tuple[pd.DataFrame, ImportReport]:
    return read_trace(format_name, path)
