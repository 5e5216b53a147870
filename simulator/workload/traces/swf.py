"""Reader of the Standard Workload Format: 18 numeric fields a line, header comments after semicolons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from simulator.workload.traces import values
from simulator.workload.traces.blocks import Block, Floats
from simulator.workload.traces.files import text_blocks
from simulator.workload.traces.jobs import JobRows
from simulator.workload.traces.rows import BROKEN_FRACTION_ALLOWED, ImportReport
from simulator.workload.traces.tables import Layout, cut_rows
from simulator.workload.traces.values import RowError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FIELDS = (
    "job number",
    "submit time",
    "wait time",
    "run time",
    "allocated processors",
    "CPU time",
    "used memory",
    "requested processors",
    "requested time",
    "requested memory",
    "status",
    "user",
    "group",
    "executable",
    "queue",
    "partition",
    "preceding job",
    "think time",
)
_KEYS = tuple(f"{name} (field {number})" for number, name in enumerate(FIELDS, 1))
_STATUS = _KEYS[10]
_LAYOUT = Layout(lambda *_: None, "fields", _KEYS, delimiter=" ", has_quotes=False, noun="fields")
_ALLOWED_S = "seconds, 0 to 1e12, or -1 for missing"
_ALLOWED_COUNT = "a whole number, 0 to 1e9, or -1 for missing"
_STATES = {0: "failed", 1: "completed", 5: "cancelled"}
# Status 2 to 4: one stretch of a job that was checkpointed or swapped; the job has a line of its own.
_PARTIAL = (2, 3, 4)


def read_swf(path: str, broken_fraction_allowed: float = BROKEN_FRACTION_ALLOWED) -> tuple[pd.DataFrame, ImportReport]:
    """Return the jobs of a log in Standard Workload Format, plain or gzipped.

    Parameters
    ----------
    path : str
        File.
    broken_fraction_allowed : float
        Greatest fraction of broken rows that are dropped and reported; more refuse the file.

    Returns
    -------
    table : DataFrame
        The common job table, ordered by (submission, job number).
    report : ImportReport
        ``header`` holds the fields of the header comments, as written.

    Raises
    ------
    InputError
        The file cannot be read as this format, or too many rows are broken.

    Notes
    -----
    -1 is null. ``gpus`` is the number of processors: field 8 (requested), where that is missing field 5
    (allocated). ``start_s`` is submission + wait, ``end_s`` is start + run time. ``account`` is the group (field 13);
    ``partition`` is the partition (field 16), where that is missing the queue (field 15). Lines with status 2, 3 or 4
    are stretches of a job that has a line of its own; they are left out and reported. Nothing else is cleaned here: see
    `to_processors`.

    References
    ----------
    Parallel Workloads Archive, "The Standard Workload Format", version 2.2 (S. Chapin et al., JSSPP 1999).
    """
    rows = JobRows("swf", path, broken_fraction_allowed)
    header: dict[str, str] = {}
    for block in _blocks(path, header):
        for key in _KEYS:
            block.numbers(key, values.number, np.isfinite, allowed="a number")
        status = block.numbers(_STATUS, values.number, np.isfinite, allowed="a number")
        stretch = np.isin(status, _PARTIAL)
        kept = rows.leave_out(block, stretch, _STATUS, "stretch of a job with a line of its own")
        rows.add(kept, _jobs(kept, status[~stretch]))
    return rows.close(_KEYS[0], order="job number", header=header)


def _blocks(path: str, header: dict[str, str]) -> Iterator[Block]:
    """Yield the lines of a log cut into fields; adds the header comments to ``header`` on the way."""
    rows = 0
    for first, block in text_blocks(path, comment=";"):
        if b";" in block:
            lines = block.split(b"\n")
            for line in lines:
                if line.startswith(b";"):
                    _add_header_field(header, line.decode())
            block = b"\n".join(b"" if line.startswith(b";") else line for line in lines)
        cut = cut_rows(_single_spaced(block), first, rows, _KEYS, _LAYOUT, path)
        rows += len(cut) + len(cut.misshapen)
        yield cut


def _single_spaced(block: bytes) -> bytes:
    """Return lines with one blank between two fields and none around them."""
    block = block.replace(b"\t", b" ")
    while b"  " in block:
        block = block.replace(b"  ", b" ")
    return block.replace(b" \n", b"\n").replace(b"\n ", b"\n").removeprefix(b" ")


def _add_header_field(header: dict[str, str], comment: str) -> None:
    """Add a ``; Name: value`` comment; a name that comes again adds a further value."""
    name, colon, value = comment.lstrip("; ").partition(":")
    if not colon or not name.isalnum() or value.startswith("//"):  # prose, or an address on a line of its own
        return
    header[name] = f"{header[name]}; {value.strip()}" if name in header else value.strip()


def _jobs(block: Block, status: Floats) -> dict[str, Floats | pa.Array]:
    import pyarrow as pa

    job, submit_s = block.counts(_KEYS[0]), block.seconds(_KEYS[1])
    wait_s, run_s = (block.seconds(_KEYS[field], allowed=_ALLOWED_S, missing=-1) for field in (2, 3))
    allocated, requested = (block.counts(_KEYS[field], allowed=_ALLOWED_COUNT, missing=-1) for field in (4, 7))
    requested_s = block.seconds(_KEYS[8], allowed=_ALLOWED_S, missing=-1)
    block.fail(~np.isin(status, [-1, *_STATES]), lambda row: _unknown_status(block, row))
    user, group, queue, partition = (_names(block, field) for field in (11, 12, 14, 15))
    processors = np.where(requested > 0, requested, allocated)
    states = pa.array([_STATES.get(code) for code in range(6)], pa.string())
    codes = pa.array(np.where(np.isin(status, list(_STATES)), status, np.nan), from_pandas=True)
    return {
        "job": _text(job),
        "user": user,
        "submit_s": submit_s,
        "start_s": submit_s + wait_s,
        "end_s": submit_s + wait_s + run_s,
        "run_s": run_s,
        "requested_s": requested_s,
        "gpus": np.where(processors > 0, processors, np.nan),
        "state": states.take(codes.cast(pa.int64())),
        "account": group,
        "partition": partition.fill_null(queue),
    }


def _names(block: Block, field: int) -> pa.Array:
    """Return users, groups, queues or partitions, which are numbers, as text."""
    return _text(block.counts(_KEYS[field], allowed=_ALLOWED_COUNT, missing=-1))


def _text(numbers: Floats) -> pa.Array:
    import pyarrow as pa

    return pa.array(numbers, from_pandas=True).cast(pa.int64(), safe=False).cast(pa.string())


def _unknown_status(block: Block, row: int) -> RowError:
    return RowError(_STATUS, "unknown status", block.text(_STATUS, row), "-1, 0, 1, 2, 3, 4 or 5")
