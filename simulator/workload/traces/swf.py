"""Reader of the Standard Workload Format: 18 numeric fields a line, header comments after semicolons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.workload.traces.files import text_lines
from simulator.workload.traces.rows import (
    BROKEN_FRACTION_ALLOWED,
    ImportReport,
    RowAccount,
    RowError,
    number,
    seconds,
    shown,
    whole,
)
from simulator.workload.traces.table import Row, job_table

if TYPE_CHECKING:
    import pandas as pd

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
_ALLOWED_S = "seconds, 0 to 1e12, or -1 for missing"
_ALLOWED_COUNT = "a whole number, 0 to 1e9, or -1 for missing"
_STATES = {0: "failed", 1: "completed", 5: "cancelled", -1: None}
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
    (allocated). ``start_s`` is submission + wait, ``end_s`` is start + run time. Lines with status 2, 3 or
    4 are stretches of a job that has a line of its own; they are left out and reported. Nothing else is
    cleaned here: see `to_processors`.

    References
    ----------
    Parallel Workloads Archive, "The Standard Workload Format", version 2.2 (S. Chapin et al., JSSPP 1999).
    """
    account = RowAccount("swf", path, broken_fraction_allowed)
    header: dict[str, str] = {}
    rows: list[tuple[float, int, Row]] = []
    lines_of_jobs: dict[int, int] = {}
    for line, text in text_lines(path, comment=";"):
        if text.startswith(";"):
            _add_header_field(header, text)
            continue
        fields = text.split()
        if not fields:
            continue
        try:
            job, row = _job(fields)
            if row is None:
                account.leave_out(line, _key(11), "stretch of a job with a line of its own", fields[10])
                continue
            first = lines_of_jobs.setdefault(job, line)
            if first != line:
                raise RowError("job number (field 1)", "job appears twice", str(job), f"once; first in line {first}")
        except RowError as broken:
            account.drop(line, broken)
            continue
        rows.append((row["submit_s"], job, row))
        account.keep()
    report = account.close(header)
    rows.sort(key=lambda entry: entry[:2])
    return job_table([row for _, _, row in rows]), report


def _add_header_field(header: dict[str, str], comment: str) -> None:
    """Add a ``; Name: value`` comment; a name that comes again adds a further value."""
    name, colon, value = comment.lstrip("; ").partition(":")
    if not colon or not name.isalnum() or value.startswith("//"):  # prose, or an address on a line of its own
        return
    header[name] = f"{header[name]}; {value.strip()}" if name in header else value.strip()


def _job(fields: list[str]) -> tuple[int, Row | None]:
    """Return job number and row of one line; None as the row of a partial execution."""
    if len(fields) != len(FIELDS):
        raise RowError("fields", "wrong number of fields", f"{len(fields)}", f"{len(FIELDS)} fields")
    for field, text in enumerate(fields, start=1):
        number(text, _key(field), "a number")
    job = whole(fields[0], _key(1))
    submit_s = seconds(fields[1], _key(2))
    wait_s = _seconds_or_none(fields, 3)
    run_s = _seconds_or_none(fields, 4)
    allocated = _count_or_none(fields, 5)
    requested = _count_or_none(fields, 8)
    requested_s = _seconds_or_none(fields, 9)
    status = float(fields[10])
    if status in _PARTIAL:
        return job, None
    if status not in _STATES:
        raise RowError(_key(11), "unknown status", shown(fields[10]), "-1, 0, 1, 2, 3, 4 or 5")
    user = _count_or_none(fields, 12)
    start_s = None if wait_s is None else submit_s + wait_s
    end_s = None if start_s is None or run_s is None else start_s + run_s
    return job, {
        "job": str(job),
        "user": None if user is None else str(user),
        "submit_s": submit_s,
        "start_s": start_s,
        "end_s": end_s,
        "run_s": run_s,
        "requested_s": requested_s,
        "gpus": requested or allocated or None,
        "state": _STATES[int(status)],
    }


def _key(field: int) -> str:
    return f"{FIELDS[field - 1]} (field {field})"


def _seconds_or_none(fields: list[str], field: int) -> float | None:
    text = fields[field - 1]
    return None if float(text) == -1 else seconds(text, _key(field), _ALLOWED_S)


def _count_or_none(fields: list[str], field: int) -> int | None:
    text = fields[field - 1]
    return None if float(text) == -1 else whole(text, _key(field), _ALLOWED_COUNT)
