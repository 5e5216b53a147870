"""Reader of Slurm's accounting log, as ``sacct --parsable2`` prints it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from simulator.workload.traces.blocks import NOTHING, Block, Floats
from simulator.workload.traces.jobs import JobRows, finish
from simulator.workload.traces.rows import BROKEN_FRACTION_ALLOWED, ImportReport
from simulator.workload.traces.slurm_attempts import one_row_a_job
from simulator.workload.traces.states import slurm_state, slurm_word
from simulator.workload.traces.tables import Layout, check_columns, table_blocks
from simulator.workload.traces.values import RowError, shown, whole

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_REQUIRED = ("JobID", "Submit", "State")
_ONE_OF = (("Elapsed", "ElapsedRaw"), ("AllocTRES", "ReqTRES"))
_OPTIONAL = ("User", "Account", "Partition", "Start", "End", "Timelimit", "TimelimitRaw")
_NODES, _CPUS = ("NNodes", "AllocNodes"), ("NCPUS", "AllocCPUS")
_KNOWN = (*_REQUIRED, *(name for names in _ONE_OF for name in names), *_OPTIONAL, *_NODES, *_CPUS)
_NO_TIME = frozenset({"", "Unknown", "None", "N/A"})
_NO_LIMIT = frozenset({"", "UNLIMITED", "Partition_Limit", "INVALID"})

_NO_JOBS = (
    (r"^JobID$", "header line once more"),
    # Before steps: a long range ends in dots, 7_[1-9,...].
    (r"[[]", "range of pending array tasks, no job yet"),
    (r"[.]", "step of a job with a line of its own"),
)
JOB_ID = r"[0-9]+(_[0-9]+)?(#[0-9]+)?"
"""Form of the names that the reader gives to jobs."""
_JOB = rf"^{JOB_ID}$|^[0-9]+[+][0-9]+$"
_DURATION = re.compile(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+(?:\.\d+)?)", re.ASCII)


def read_slurm(
    path: str, broken_fraction_allowed: float = BROKEN_FRACTION_ALLOWED
) -> tuple[pd.DataFrame, ImportReport]:
    """Return the jobs of an accounting log printed by ``sacct --parsable2``.

    Parameters
    ----------
    path : str
        Text, plain or gzipped, columns parted by ``|`` under a header line, or parquet with the same columns: JobID,
        Submit, State, Elapsed (or ElapsedRaw) and AllocTRES or ReqTRES in any order; User, Account, Partition, Start,
        End, Timelimit (or TimelimitRaw), NNodes and NCPUS if they are there; others are skipped.
    broken_fraction_allowed : float
        Greatest fraction of broken rows that are dropped and reported; more refuse the file.

    Returns
    -------
    table : DataFrame
        The common job table, ordered by (first submission, row).
    report : ImportReport
        ``header["origin"]`` is the first submission, which is ``submit_s`` 0; ``notes`` count requeues,
        heterogeneous jobs, suspended jobs and jobs that had not ended.

    Raises
    ------
    InputError
        The file cannot be read as this format, or too many rows are broken.

    Notes
    -----
    Steps and ranges of pending array tasks are no jobs of their own: left out and reported. A requeued job is one row
    with its first submission and its last attempt; the components of a heterogeneous job are one row, and a JobID that
    was given again is another job, see `one_row_a_job`. ``run_s`` is Elapsed, in which Slurm does not count suspended
    time. ``gpus`` are ``gres/gpu`` of AllocTRES, of ReqTRES where nothing was allocated, and 0 where they name no GPU;
    without the plain count the typed ones (``gres/gpu:a100``) are added up. Nodes and CPUs come from there where no
    column has them. Times without a zone are taken as written.

    References
    ----------
    sacct(1) of Slurm: Elapsed, Submit, TRES and "JOB STATE CODES".
    """
    rows = JobRows("slurm", path, broken_fraction_allowed)
    is_epoch = False
    for block in table_blocks(path, Layout(_check, "JobID", _KNOWN, delimiter="|", has_quotes=False)):
        block = _jobs_of_their_own(rows, block)
        is_epoch = is_epoch or (len(block) > 0 and block.columns["Submit"][0].as_py().isdecimal())
        rows.add(block, _jobs(block))
    jobs, notes = one_row_a_job(rows)
    if len(jobs) and not np.nan_to_num(np.asarray(jobs["gpus"])).any():
        notes = (*notes, "no job has GPUs: AllocTRES and ReqTRES name no gres/gpu")
    return finish(rows.account, jobs, "submission", "UTC" if is_epoch else "local", notes=notes)


def _check(path: str, line: int | None, header: Sequence[str]) -> None:
    check_columns(path, line, header, _KNOWN, (*_REQUIRED, *_ONE_OF), allows_more=True, delimiter="|")


def _jobs_of_their_own(rows: JobRows, block: Block) -> Block:
    """Return a block without steps, ranges of array tasks and further headers."""
    import pyarrow.compute as pc

    for pattern, reason in _NO_JOBS:
        found = np.asarray(pc.match_substring_regex(block.columns["JobID"], pattern))
        block = rows.leave_out(block, found, "JobID", reason)
    return block


def _jobs(block: Block) -> dict[str, Floats | pa.Array]:
    """Return the rows of a block as jobs, with the column ``word``: Slurm's own word for the state."""
    import pyarrow.compute as pc

    job = block.texts("JobID")
    is_job = pc.match_substring_regex(job, _JOB).fill_null(False)
    block.fail(~np.asarray(is_job), lambda row: _no_job(block, row))
    word = block.texts("State", partial(slurm_word, key="State"), null=None)
    absent = np.full(len(block), np.nan)
    submit_s = block.instants("Submit", "any")
    start_s, end_s = (block.instants(name, "any", _NO_TIME) if name in block else absent for name in ("Start", "End"))
    elapsed_s = block.read("Elapsed", _duration) if "Elapsed" in block else block.seconds("ElapsedRaw")
    block.fail(end_s < start_s, lambda row: _ends_early(block, row))
    # sacct may show a pending job with the start that is planned for it.
    waits = np.asarray(pc.equal(word, "PENDING").fill_null(False))
    start_s = np.where(waits, np.nan, start_s)
    never_ran = waits | (np.isnan(start_s) if "Start" in block else elapsed_s == 0)
    tres = [name for name in _ONE_OF[1] if name in block]

    def told(resource: str) -> list[Floats]:
        return [block.read(name, partial(_amount, key=name, resource=resource), NOTHING) for name in tres]

    return {
        "job": job,
        "user": _text(block, "User"),
        "submit_s": submit_s,
        "start_s": start_s,
        "end_s": np.where(waits, np.nan, end_s),
        "run_s": np.where(never_ran, np.nan, elapsed_s),
        "requested_s": _limit(block),
        "gpus": _first([block.read(name, partial(_gpus, key=name), NOTHING) for name in tres], absent),
        "nodes": _first([block.counts(name, null=NOTHING) for name in _NODES if name in block] or told("node"), absent),
        "state": block.texts("State", partial(slurm_state, key="State"), null=None),
        "account": _text(block, "Account"),
        "partition": _text(block, "Partition"),
        "cpus": _first([block.amounts(name, null=NOTHING) for name in _CPUS if name in block] or told("cpu"), absent),
        "word": word,
    }


def _text(block: Block, name: str) -> pa.Array:
    import pyarrow as pa

    return block.texts(name) if name in block else pa.nulls(len(block), pa.string())


def _first(columns: Sequence[Floats], absent: Floats) -> Floats:
    """Return in each row the first value that is not null."""
    found = absent
    for column in columns:
        found = np.where(np.isnan(found), column, found)
    return found


def _limit(block: Block) -> Floats:
    if "Timelimit" in block:
        return block.read("Timelimit", partial(_duration, key="Timelimit"), _NO_LIMIT)
    if "TimelimitRaw" in block:  # minutes
        return 60 * block.seconds("TimelimitRaw", null=_NO_LIMIT)
    return np.full(len(block), np.nan)


def _duration(text: object, key: str = "Elapsed") -> float:
    """Return ``[DD-[HH:]]MM:SS`` in seconds; raises RowError."""
    found = _DURATION.fullmatch(str(text))
    if found is None:
        raise RowError(key, "not a duration", shown(text), "[DD-[HH:]]MM:SS, such as 1-12:00:00")
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _gpus(text: str, key: str) -> float:
    """Return the GPUs of a list such as ``cpu=64,gres/gpu=8,gres/gpu:a100=8,node=1``; raises RowError."""
    plain, typed = None, 0
    for part in text.split(","):
        name, equals, count = part.partition("=")
        if not equals:
            raise RowError(key, "not a list of resources", shown(text), "cpu=64,gres/gpu=8,node=1, for example")
        if name == "gres/gpu":
            plain = whole(count, key)
        elif name.startswith("gres/gpu:"):
            typed += whole(count, key)
    return typed if plain is None else plain


def _amount(text: str, key: str, resource: str) -> float | None:
    """Return how much of a resource such a list names, None where it does not; raises RowError."""
    for part in text.split(","):
        name, _, count = part.partition("=")
        if name == resource:
            return whole(count, key)
    return None


def _no_job(block: Block, row: int) -> RowError:
    return RowError("JobID", "not a job ID", block.text("JobID", row), "123, 123_4 (array) or 123+0 (heterogeneous)")


def _ends_early(block: Block, row: int) -> RowError:
    problem = "end before start (a clock set back? dump with SLURM_TIME_FORMAT=%s)"
    return RowError("End", problem, block.text("End", row), f"Start ({block.text('Start', row)}) or later")
