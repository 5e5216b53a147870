"""From the jobs of many blocks to one job table, and the report that goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from simulator.workload.traces.blocks import Block, Flags, Floats
from simulator.workload.traces.columns import TABLE_COLUMNS
from simulator.workload.traces.rows import ImportReport, RowAccount
from simulator.workload.traces.values import RowError, shown

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Rows = NDArray[np.int64]
Order = Literal["submission", "job number", "file"]
Clock = Literal["local", "UTC"]


class JobRows:
    """Gathers the jobs of a file's blocks.

    Parameters
    ----------
    format, path : str
        Format, and file as the user named it.
    broken_fraction_allowed : float
        Greatest fraction of rows that may be broken before the whole file is refused.
    """

    def __init__(self, format: str, path: str, broken_fraction_allowed: float) -> None:
        self.account = RowAccount(format, path, broken_fraction_allowed)
        self._parts: list[pa.Table] = []

    def add(self, block: Block, columns: Mapping[str, Floats | pa.Array]) -> None:
        """Add the sound rows of a block as jobs, columns of the job table by name, null as null or NaN."""
        import pyarrow as pa

        for line, error in block.misshapen:
            self.account.drop(line, error)
        for row, error in block.broken.items():
            self.account.drop(int(block.lines[row]), error)
        part = pa.table({**{name: pa.array(column) for name, column in columns.items()}, "line": block.lines})
        if block.broken:
            sound = np.ones(len(block), dtype=bool)
            sound[list(block.broken)] = False
            part = part.filter(pa.array(sound))
        self._parts.append(part)

    def leave_out(self, block: Block, rows: Flags, key: str, reason: str) -> Block:
        """Count rows of a block that are no jobs of their own; return the block without them."""
        import pyarrow as pa

        if not rows.any():
            return block
        found = block.columns[key].filter(pa.array(rows)).cast("string").to_pylist()
        self.account.leave_out(block.lines[rows].tolist(), key, reason, found)
        return block.only(~rows)

    def gathered(self) -> pa.Table:
        """Return all jobs so far in file order, with the column ``line``."""
        import pyarrow as pa

        if not self._parts:
            return pa.table({"line": pa.array([], pa.int64())})
        return pa.concat_tables(self._parts).combine_chunks()

    def close(
        self,
        key: str,
        order: Order = "submission",
        origin: Clock | None = None,
        header: Mapping[str, str] | None = None,
        notes: tuple[str, ...] = (),
    ) -> tuple[pd.DataFrame, ImportReport]:
        """Return the table of the gathered jobs; a job that appears twice is a broken row.

        Parameters
        ----------
        key : str
            What the format calls the column of the job's name.
        order : {"submission", "job number", "file"}
            Order of the rows: by submission, equal ones by their numbers or as in the file; or as in the file.
        origin : {"local", "UTC"}, optional
            Clock of times given since 1970: the first submission becomes 0 and stands in the header. None: times
            count from the trace's own zero.
        header, notes
            As in `ImportReport`.
        """
        jobs = self._each_once(self.gathered(), key)
        return finish(self.account, jobs, order, origin, header, notes)

    def _each_once(self, jobs: pa.Table, key: str) -> pa.Table:
        import pyarrow as pa

        if not len(jobs):
            return jobs
        firsts, rows = first_rows(jobs["job"]), np.arange(len(jobs))
        lines = np.asarray(jobs["line"])
        for row in np.flatnonzero(firsts != rows).tolist():
            found, allowed = shown(jobs["job"][row].as_py()), f"one row per job; first in line {lines[firsts[row]]}"
            self.account.drop(int(lines[row]), RowError(key, "job appears twice", found, allowed))
        return jobs if np.array_equal(firsts, rows) else jobs.filter(pa.array(firsts == rows))


def finish(
    account: RowAccount,
    jobs: pa.Table,
    order: Order,
    origin: Clock | None,
    header: Mapping[str, str] | None = None,
    notes: tuple[str, ...] = (),
) -> tuple[pd.DataFrame, ImportReport]:
    """Return a table of jobs ordered and on its own clock, and the report; see `JobRows.close`."""
    header = dict(header or {})
    if len(jobs):
        jobs, told = _possible_starts(jobs)
        notes += told
        submit_s = np.asarray(jobs["submit_s"])
        if origin is not None:
            zero = float(submit_s.min())
            header["origin"] = shown_origin(zero, origin)
            for name in {"submit_s", "start_s", "end_s"} & set(jobs.column_names):
                jobs = jobs.set_column(jobs.column_names.index(name), name, [np.asarray(jobs[name]) - zero])
        if order == "job number":
            jobs = jobs.take(np.lexsort((np.asarray(jobs["job"].cast("int64")), submit_s)))
        elif order == "submission" and np.any(np.diff(submit_s) < 0):
            jobs = jobs.take(np.argsort(submit_s, kind="stable"))
    return job_table(jobs), account.close(len(jobs), header, notes)


def _possible_starts(jobs: pa.Table) -> tuple[pa.Table, tuple[str, ...]]:
    """Return jobs without the starts that lie before their submission, and how many those were."""
    if "start_s" not in jobs.column_names:
        return jobs, ()
    start_s = np.asarray(jobs["start_s"])
    is_early = start_s < np.asarray(jobs["submit_s"])
    if not is_early.any():
        return jobs, ()
    place = jobs.column_names.index("start_s")
    note = f"{int(is_early.sum()):,} × start before submission (a clock set back?); start left out, run time kept"
    return jobs.set_column(place, "start_s", [np.where(is_early, np.nan, start_s)]), (note,)


def shown_origin(seconds: float, clock: Clock) -> str:
    """Return an instant given since 1970 as ISO 8601, with its zone unless the clock is local."""
    time = datetime.fromtimestamp(seconds, UTC)
    return (time.replace(tzinfo=None) if clock == "local" else time).isoformat(sep=" ")


def first_rows(column: pa.ChunkedArray) -> Rows:
    """Return for each row the row in which its value stands for the first time."""
    # Dictionary codes are given in order of appearance: a code above all codes before it is new.
    codes = np.asarray(column.combine_chunks().dictionary_encode().indices)
    is_new: Flags = np.diff(np.maximum.accumulate(codes), prepend=-1) > 0
    firsts: Rows = np.flatnonzero(is_new)[codes]
    return firsts


def job_table(jobs: pa.Table) -> pd.DataFrame:
    """Return jobs as the common job table.

    Parameters
    ----------
    jobs : pyarrow Table
        Columns by name, numbers as floats with null as NaN; an absent column is all null, others are left out.

    Returns
    -------
    DataFrame
        All columns of `TABLE_COLUMNS` in their order: text as ``string``, counts as ``Int64``, other numbers as
        ``float64`` (null is NaN).
    """
    import pandas as pd
    import pyarrow as pa

    kinds = {"text": pa.string(), "count": pa.int64()}
    columns = {}
    for column in TABLE_COLUMNS:
        kind = kinds.get(column.kind, pa.float64())
        found = jobs[column.name] if column.name in jobs.column_names else pa.nulls(len(jobs), kind)
        if kind == pa.int64():
            found = pa.array(np.asarray(found.cast(pa.float64())), from_pandas=True)
        columns[column.name] = found.cast(kind)
    dtypes = {pa.string(): pd.StringDtype(), pa.int64(): pd.Int64Dtype()}
    table: pd.DataFrame = pa.table(columns).to_pandas(types_mapper=dtypes.get)
    return table
