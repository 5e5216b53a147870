"""What the job logs of Helios and of Acme share: one CSV row a job, states in Slurm's words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from simulator.workload.traces.blocks import Block, Floats
from simulator.workload.traces.jobs import JobRows
from simulator.workload.traces.rows import ImportReport
from simulator.workload.traces.states import slurm_state
from simulator.workload.traces.tables import Layout, check_columns, table_blocks
from simulator.workload.traces.values import RowError, Zone, label

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_NULL = frozenset({"", "None", "NaN", "nan", "NaT", "NULL", "Unknown"})
_REQUIRED = (
    "job_id",
    "user",
    "gpu_num",
    "cpu_num",
    "state",
    "submit_time",
    "start_time",
    "end_time",
    "duration",
)
_OPTIONAL = ("vc", "node_num")
_CLOCK_S = 1.0


def read_cluster_log(
    format: str, path: str, broken_fraction_allowed: float, zone: Zone, required: Sequence[str]
) -> tuple[pd.DataFrame, ImportReport]:
    """Return the jobs of a log whose columns are those of Helios or of Acme.

    Parameters
    ----------
    format, path, broken_fraction_allowed
        As in `read_trace`.
    zone : {"local", "zoned"}
        Whether its times carry a zone.
    required : sequence of str
        Columns this format needs beyond those all such logs need.
    """
    rows = JobRows(format, path, broken_fraction_allowed)
    longer = waited = 0
    for block in _blocks(path, (*_REQUIRED, *required)):
        jobs, differs, never_ran = _jobs(block, zone)
        longer, waited = longer + differs, waited + never_ran
        rows.add(block, jobs)
    counted = (
        (longer, "duration is not end_time - start_time; the difference of the times was taken"),
        (waited, "never started; its duration counts from the submission and is no run time"),
    )
    notes = tuple(f"{count:,} × {what}" for count, what in counted if count)
    return rows.close("job_id", origin="local" if zone == "local" else "UTC", notes=notes)


def _blocks(path: str, required: Sequence[str]) -> Iterator[Block]:
    known = (*_REQUIRED, *_OPTIONAL)

    def check(path: str, line: int | None, header: Sequence[str]) -> None:
        check_columns(path, line, header, known, required, allows_more=True)

    return table_blocks(path, Layout(check, "job_id", known))


def _jobs(block: Block, zone: Zone) -> tuple[dict[str, Floats | pa.Array], int, int]:
    """Return the jobs of a block, how many have a duration that their times do not say, and how many never ran."""
    import pyarrow.compute as pc

    submit_s = block.instants("submit_time", zone)
    start_s, end_s = (block.instants(name, zone, _NULL) for name in ("start_time", "end_time"))
    duration_s = block.seconds("duration", null=_NULL)

    def backwards(row: int) -> RowError:
        return RowError("end_time", "end before start", block.text("end_time", row), "start_time or later")

    block.fail(end_s < start_s, backwards)
    state = block.texts("state", lambda text: slurm_state(text, "state"))
    # A job without a start was never given nodes if it was cancelled, or if it waited all the time up to its end.
    is_cancelled = np.asarray(pc.equal(state, "cancelled").fill_null(False))
    never_ran = np.isnan(start_s) & (is_cancelled | (np.abs(end_s - submit_s - duration_s) <= _CLOCK_S))
    timed_s = np.where(never_ran, np.nan, end_s - start_s)
    run_s = np.where(np.isnan(timed_s) & ~never_ran, duration_s, timed_s)
    jobs = {
        "job": block.texts("job_id", partial(label, key="job_id"), null=None),
        "user": block.texts("user", str, _NULL),
        "submit_s": submit_s,
        "start_s": start_s,
        "end_s": end_s,
        "run_s": run_s,
        "gpus": block.counts("gpu_num"),
        "state": state,
        "cpus": block.amounts("cpu_num", null=_NULL),
    }
    if "node_num" in block:
        jobs["nodes"] = block.counts("node_num", null=_NULL)
    if "vc" in block:
        jobs["partition"] = block.texts("vc", str, _NULL)
    # NaN, a missing duration, is not counted.
    differs, waited = np.abs(run_s - duration_s) > _CLOCK_S, never_ran & (duration_s > 0)
    return jobs, int(differs.sum()), int(waited.sum())
