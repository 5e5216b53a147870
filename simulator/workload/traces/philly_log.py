"""Reader of Philly's own job log, ``cluster_job_log``: a JSON list with all attempts of each job."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.errors import InputError
from simulator.workload.traces.blocks import NOTHING, Block, Floats
from simulator.workload.traces.files import reading
from simulator.workload.traces.jobs import JobRows
from simulator.workload.traces.rows import ImportReport
from simulator.workload.traces.values import RowError, label, shown

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_STATES = {"Pass": "completed", "Killed": "cancelled", "Failed": "failed"}
_NO_TIME = frozenset({"", "None"})
_TEXTS = ("jobid", "user", "vc", "status", "submitted_time", "start_time", "end_time")
_COUNTS = ("gpus", "nodes", "attempts")
_ALLOWED = "jobs with jobid, user, vc, status, submitted_time and attempts (start_time, end_time, detail)"


def is_philly_log(path: str) -> bool:
    """Return whether a file begins as a JSON list does."""
    with reading(path) as file:
        return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def read_philly_log(path: str, broken_fraction_allowed: float) -> tuple[pd.DataFrame, ImportReport]:
    """Return the jobs of the log; parameters and report as of `read_philly`, a line is the number of a job.

    Notes
    -----
    A job of several attempts has its first submission and everything else of its last one, as requeued jobs of Slurm.
    Its GPUs are those of its last attempt that had some.

    References
    ----------
    Repository msr-fiddle/philly-traces, README.
    """
    rows = JobRows("philly", path, broken_fraction_allowed)
    block = _block(path)
    attempts = np.asarray(block.columns["attempts"])
    rows.add(block, _jobs(block))
    again = attempts[attempts > 1]
    note = f"{len(again):,} × job of several attempts; earlier attempts: {int((again - 1).sum()):,}"
    return rows.close("jobid", origin="local", notes=(note,) if len(again) else ())


def _block(path: str) -> Block:
    import pyarrow as pa

    try:
        with reading(path) as file:
            entries = json.loads(file.read())
    except UnicodeDecodeError:
        raise InputError("is not a text file", path, allowed="JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        raise InputError(f"is not JSON ({error.msg})", path, error.lineno, allowed=f"a list of {_ALLOWED}") from None
    found: list[tuple[Any, ...]] = []
    numbers: list[int] = []
    wrong: list[tuple[int, RowError]] = []
    for number, entry in enumerate(entries, 1):
        try:
            found.append(_row(entry))
            numbers.append(number)
        except (KeyError, TypeError, AttributeError):
            wrong.append((number, RowError("jobid", "no job of this log", shown(entry), _ALLOWED)))
    columns = list(zip(*found, strict=True)) or [()] * len(_TEXTS + _COUNTS)
    kinds = [pa.string()] * len(_TEXTS) + [pa.int64()] * len(_COUNTS)
    arrays = {n: pa.array(c, k) for n, c, k in zip(_TEXTS + _COUNTS, columns, kinds, strict=True)}
    lines = np.array(numbers, dtype=np.int64)
    return Block(lines, lines, arrays, wrong)


def _row(entry: Any) -> tuple[Any, ...]:
    """Return a job as the columns of the block."""
    attempts = entry["attempts"]
    last = attempts[-1] if attempts else {}
    held = next((attempt["detail"] for attempt in reversed(attempts) if attempt["detail"]), None)
    texts = (*(entry[name] for name in _TEXTS[:5]), *(last.get(name) for name in _TEXTS[5:]))
    counts = (None, None) if held is None else (sum(len(part["gpus"]) for part in held), len(held))
    return (*(None if text is None else str(text) for text in texts), *counts, len(attempts))


def _jobs(block: Block) -> dict[str, Floats | pa.Array]:
    start_s, end_s = (block.instants(name, "local", _NO_TIME) for name in ("start_time", "end_time"))

    def backwards(row: int) -> RowError:
        return RowError("end_time", "end before start", block.text("end_time", row), "start_time or later")

    block.fail(end_s < start_s, backwards)
    return {
        "job": block.texts("jobid", lambda text: label(text, "jobid"), null=None),
        "user": block.texts("user"),
        "submit_s": block.instants("submitted_time", "local"),
        "start_s": start_s,
        "end_s": end_s,
        "run_s": end_s - start_s,
        "gpus": block.counts("gpus", null=NOTHING),
        "nodes": block.counts("nodes", null=NOTHING),
        "state": block.texts("status", _state),
        "partition": block.texts("vc"),
    }


def _state(text: str) -> str:
    if text not in _STATES:
        raise RowError("status", "unknown status", shown(text), ", ".join(_STATES))
    return _STATES[text]
