"""The common job table: what every trace becomes, as a DataFrame, a parquet file or a CSV file."""

from __future__ import annotations

import csv
import difflib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from simulator.errors import InputError
from simulator.workload.traces.files import check_readable, starts_like_parquet, text_lines, unreadable
from simulator.workload.traces.rows import (
    BROKEN_FRACTION_ALLOWED,
    ImportReport,
    RowAccount,
    RowError,
    seconds,
    shown,
    whole,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of the common job table.

    Parameters
    ----------
    name : str
        Column name, unit included.
    kind : {"text", "seconds", "count"}
        How it is stored: text, float64, 64-bit integer; each may be null except where required.
    is_required : bool
        Must be there when a table is read.
    meaning : str
        One sentence.
    """

    name: str
    kind: Literal["text", "seconds", "count"]
    is_required: bool
    meaning: str


TABLE_COLUMNS: tuple[TableColumn, ...] = (
    TableColumn("job", "text", True, "Name of the job, unique in the table."),
    TableColumn("user", "text", False, "Who submitted it: user, team or virtual cluster."),
    TableColumn("submit_s", "seconds", True, "Submission, seconds since the trace's zero."),
    TableColumn("start_s", "seconds", False, "Start as logged, on the same clock."),
    TableColumn("end_s", "seconds", False, "End as logged, on the same clock."),
    TableColumn("run_s", "seconds", True, "Run time as logged."),
    TableColumn("requested_s", "seconds", False, "Run time its user asked for."),
    TableColumn("gpus", "count", True, "GPUs it held; in a CPU log its processors."),
    TableColumn("nodes", "count", False, "Nodes it held, where the trace says."),
    TableColumn("state", "text", False, "How it ended: completed, failed or cancelled."),
)
COLUMN_NAMES: tuple[str, ...] = tuple(column.name for column in TABLE_COLUMNS)
STATES = ("completed", "failed", "cancelled")

Row = dict[str, Any]


def job_table(rows: Sequence[Row]) -> pd.DataFrame:
    """Return rows as the common job table.

    Parameters
    ----------
    rows : sequence of dict
        Values by column name; an absent key or None is null.

    Returns
    -------
    DataFrame
        All columns of `TABLE_COLUMNS` in their order: text as ``string``, seconds as ``float64`` (null is
        NaN), counts as ``Int64``.
    """
    import pandas as pd

    dtypes = {"text": "string", "seconds": "float64", "count": "Int64"}
    columns = {
        column.name: pd.Series([row.get(column.name) for row in rows], dtype=dtypes[column.kind])
        for column in TABLE_COLUMNS
    }
    return pd.DataFrame(columns)


def read_table(
    path: str, broken_fraction_allowed: float = BROKEN_FRACTION_ALLOWED
) -> tuple[pd.DataFrame, ImportReport]:
    """Return a common job table from a parquet or CSV file (CSV also gzipped).

    Parameters
    ----------
    path : str
        File; parquet is recognised by its content, anything else is read as CSV with a header row.
    broken_fraction_allowed : float
        Greatest fraction of broken rows that are dropped and reported; more refuse the file.

    Returns
    -------
    table : DataFrame
        In file order.
    report : ImportReport
        Rows read, kept and dropped.

    Raises
    ------
    InputError
        The file cannot be read, misses a required column, has an unknown one, or too many rows are broken.
    """
    check_readable(path)
    is_parquet = starts_like_parquet(path)
    numbered = _parquet_rows(path) if is_parquet else csv_rows(path, "job", _check_header)
    account = RowAccount("table", path, broken_fraction_allowed)
    rows: list[Row] = []
    lines_of_jobs: dict[str, int] = {}
    for line, values in numbered:
        try:
            row = values if isinstance(values, RowError) else _checked(values)
            if isinstance(row, RowError):
                raise row
            first = lines_of_jobs.setdefault(row["job"], line)
            if first != line:
                raise RowError("job", "job appears twice", shown(row["job"]), f"one row per job; first in line {first}")
        except RowError as broken:
            account.drop(line, broken)
            continue
        rows.append(row)
        account.keep()
    report = account.close({})
    return job_table(rows), report


def write_table(table: pd.DataFrame, path: str) -> None:
    """Write a common job table; the file appears whole or not at all.

    Parameters
    ----------
    table : DataFrame
        As `job_table` returns it.
    path : str
        File that ends in ``.parquet`` or ``.csv``.

    Raises
    ------
    InputError
        Another ending, or the file cannot be written.
    """
    ending = Path(path).suffix
    if ending not in (".parquet", ".csv"):
        raise InputError("unknown kind of table", file=path, found=repr(ending), allowed="a name in .parquet or .csv")
    partial = f"{path}.{os.getpid()}.partial"
    try:
        if ending == ".parquet":
            _write_parquet(table, partial)
        else:
            table.to_csv(partial, index=False, lineterminator="\n")
        os.replace(partial, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot be written ({reason.lower()})", file=path) from None
    finally:
        Path(partial).unlink(missing_ok=True)


def csv_rows(
    path: str, first_column: str, check_header: Callable[[str, int, list[str]], None]
) -> Iterator[tuple[int, dict[str, str] | RowError]]:
    """Yield (line, values by column) of a CSV file with a header, or the RowError of a row of another width.

    Parameters
    ----------
    path : str
        File.
    first_column : str
        Column to blame for a row of the wrong width.
    check_header : callable
        Called with (path, line, header); raises InputError.
    """
    reader = csv.reader((text for _, text in text_lines(path)), strict=True)
    header: list[str] | None = None
    try:
        for values in reader:
            line = reader.line_num
            if not values or values == [""]:
                continue
            if header is None:
                header = [name.strip() for name in values]
                check_header(path, line, header)
            elif len(values) != len(header):
                found = f"{len(values)} columns"
                yield (
                    line,
                    RowError(first_column, "wrong number of columns", found, f"{len(header)} columns"),
                )
            else:
                yield line, dict(zip(header, values, strict=True))
    except csv.Error as error:
        problem = f"is not a CSV file ({error})"
        raise InputError(problem, file=path, line=reader.line_num, allowed="comma-separated columns") from None
    if header is None:
        raise InputError("file is empty", file=path, allowed="a header row and at least one job")


def check_columns(
    path: str, line: int | None, found: Sequence[str], known: Sequence[str], required: Sequence[str]
) -> None:
    """Refuse a header that repeats a column, misses a required one, or has an unknown one.

    Raises
    ------
    InputError
        Names the column and the nearest valid spelling.
    """
    text = shown(",".join(found))
    for name in found:
        if list(found).count(name) > 1:
            raise InputError("column appears twice", path, line, name, text, "each column once")
    unknown = [name for name in found if name not in known]
    for name in required:
        if name not in found:
            near = difflib.get_close_matches(name, unknown, n=1, cutoff=0.5)
            hint = f"{', '.join(required)}" + (f" (is {near[0]!r} this column?)" if near else "")
            raise InputError("missing column", path, line, name, text, hint)
    if unknown:
        nearest = difflib.get_close_matches(unknown[0], known, n=1, cutoff=0.5)
        raise InputError(
            "unknown column", path, line, unknown[0], text, ", ".join(known), nearest[0] if nearest else None
        )


def _check_header(path: str, line: int | None, header: Sequence[str]) -> None:
    required = [column.name for column in TABLE_COLUMNS if column.is_required]
    check_columns(path, line, header, COLUMN_NAMES, required)


def _checked(values: dict[str, Any]) -> Row:
    """Return a row with its values checked and typed."""
    row: Row = {}
    for column in TABLE_COLUMNS:
        value = values.get(column.name)
        if value is None or value == "" or value != value:  # NaN is how float columns say null
            row[column.name] = None
        elif column.kind == "seconds":
            row[column.name] = seconds(value, column.name)
        elif column.kind == "count":
            row[column.name] = whole(value, column.name)
        else:
            row[column.name] = str(value)
    for name in ("job", "submit_s"):
        if row[name] is None:
            raise RowError(name, "missing value", "nothing", "a value in every row")
    if row["state"] is not None and row["state"] not in STATES:
        raise RowError("state", "unknown state", shown(row["state"]), ", ".join(STATES))
    if row["start_s"] is not None and row["end_s"] is not None and row["end_s"] < row["start_s"]:
        raise RowError("end_s", "end before start", shown(row["end_s"]), f"start_s ({row['start_s']}) or later")
    return row


def _parquet_rows(path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise unreadable(path, error) from None
        raise InputError("parquet file is cut off or damaged", file=path, allowed="a complete parquet file") from None
    _check_header(path, None, table.column_names)
    columns = [table[name].to_pylist() for name in table.column_names]
    for index, values in enumerate(zip(*columns, strict=True)):
        yield index + 1, dict(zip(table.column_names, values, strict=True))


def _write_parquet(table: pd.DataFrame, path: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"text": pa.string(), "seconds": pa.float64(), "count": pa.int64()}
    schema = pa.schema(
        [pa.field(column.name, types[column.kind], metadata={"meaning": column.meaning}) for column in TABLE_COLUMNS]
    )
    pq.write_table(pa.Table.from_pandas(table, schema=schema, preserve_index=False), path)
