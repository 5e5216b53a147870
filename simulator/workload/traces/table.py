"""The common job table as a parquet or CSV file, read and written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simulator.errors import InputError
from simulator.workload.traces.blocks import NOTHING, Block, Floats
from simulator.workload.traces.columns import COLUMN_NAMES, TABLE_COLUMNS
from simulator.workload.traces.files import starts_like_parquet
from simulator.workload.traces.jobs import JobRows
from simulator.workload.traces.rows import BROKEN_FRACTION_ALLOWED, ImportReport
from simulator.workload.traces.states import STATES
from simulator.workload.traces.tables import Layout, check_columns, table_blocks
from simulator.workload.traces.values import RowError, shown

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_ORIGIN = b"origin"


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
        Rows read, kept and dropped; ``header["origin"]`` where the file was written with one.

    Raises
    ------
    InputError
        The file cannot be read, misses a required column, has an unknown one, or too many rows are broken.
    """
    rows = JobRows("table", path, broken_fraction_allowed)
    for block in table_blocks(path, Layout(_check, "job", COLUMN_NAMES)):
        rows.add(block, _jobs(block))
    return rows.close("job", order="file", header=_header(path))


def _check(path: str, line: int | None, header: Sequence[str]) -> None:
    required = [column.name for column in TABLE_COLUMNS if column.is_required]
    check_columns(path, line, header, COLUMN_NAMES, required)


def _jobs(block: Block) -> dict[str, Floats | pa.Array]:
    """Return the columns of a block, checked."""
    import pyarrow.compute as pc

    readers = {"seconds": block.seconds, "count": block.counts, "amount": block.amounts, "share": block.shares}
    jobs: dict[str, Floats | pa.Array] = {}
    for column in TABLE_COLUMNS:
        if column.name not in block:
            continue
        if column.kind == "text":
            reader = _state if column.name == "state" else _text
            jobs[column.name] = block.texts(column.name, reader)
        else:
            jobs[column.name] = readers[column.kind](column.name, null=NOTHING)
    for name, absent in (("job", np.asarray(pc.is_null(jobs["job"]))), ("submit_s", np.isnan(jobs["submit_s"]))):
        block.fail(absent, partial(_missing, name))
    if "start_s" in jobs and "end_s" in jobs:
        start_s, end_s = jobs["start_s"], jobs["end_s"]
        block.fail(end_s < start_s, lambda row: _ends_early(block, row, float(start_s[row])))
    return jobs


def _missing(name: str, row: int) -> RowError:
    return RowError(name, "missing value", "nothing", "a value in every row")


def _text(value: object) -> str:
    return str(value)


def _state(value: object) -> str:
    if value not in STATES:
        raise RowError("state", "unknown state", shown(value), ", ".join(STATES))
    return str(value)


def _ends_early(block: Block, row: int, start_s: float) -> RowError:
    return RowError("end_s", "end before start", block.text("end_s", row), f"start_s ({start_s}) or later")


def _header(path: str) -> dict[str, str]:
    """Return what a parquet file says of its clock."""
    if not starts_like_parquet(path):
        return {}
    import pyarrow.parquet as pq

    metadata = pq.read_schema(path).metadata or {}
    return {"origin": metadata[_ORIGIN].decode()} if _ORIGIN in metadata else {}


def write_table(table: pd.DataFrame, path: str, origin: datetime | None = None) -> None:
    """Write a common job table; the file appears whole or not at all.

    Parameters
    ----------
    table : DataFrame
        As `read_trace` returns it.
    path : str
        File that ends in ``.parquet`` or ``.csv``.
    origin : datetime, optional
        Instant of its zero, kept in parquet files only.

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
            _write_parquet(table, partial, origin)
        else:
            table.to_csv(partial, index=False, lineterminator="\n")
        os.replace(partial, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot be written ({reason.lower()})", file=path) from None
    finally:
        Path(partial).unlink(missing_ok=True)


def _write_parquet(table: pd.DataFrame, path: str, origin: datetime | None) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"text": pa.string(), "count": pa.int64()}
    fields = [
        pa.field(column.name, types.get(column.kind, pa.float64()), metadata={"meaning": column.meaning})
        for column in TABLE_COLUMNS
    ]
    written = pa.Table.from_pandas(table, schema=pa.schema(fields), preserve_index=False)
    if origin is not None:
        stamp = {_ORIGIN: origin.isoformat(sep=" ").encode()}
        written = written.replace_schema_metadata({**(written.schema.metadata or {}), **stamp})
    pq.write_table(written, path)
