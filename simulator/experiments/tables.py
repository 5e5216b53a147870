"""The tables of a results folder, written so that equal results give equal bytes."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulator.accounting.columns import METRICS, TABLES, Column
from simulator.experiments.records import Record, Task
from simulator.experiments.statistics import DifferenceRow, SummaryRow

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_GROUP = 131_072
"""Rows after which a row group is written: bounds the memory, and never depends on workers or speed."""


def csv_bytes(kind: type[SummaryRow] | type[DifferenceRow], rows: Iterable[SummaryRow | DifferenceRow]) -> bytes:
    """Return rows as CSV: floats with every digit they need to be read back exactly, NaN as an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(kind))
    for row in rows:
        writer.writerow(_cell(value) for value in astuple(row))
    return text.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    return value


def write_runs(path: Path, tasks: Sequence[Task], values: NDArray[np.float64]) -> None:
    """Write ``runs.parquet``; ``values`` has shape (tasks, metrics)."""
    import pyarrow as pa

    columns: dict[str, Any] = {
        "variant": pa.array([task.variant for task in tasks], pa.string()),
        "replication": pa.array([task.replication for task in tasks], pa.int64()),
    }
    for index, metric in enumerate(METRICS):
        columns[metric.name] = pa.array(np.ascontiguousarray(values[:, index]))
    _write(path, pa.schema([(name, array.type) for name, array in columns.items()]), [pa.table(columns)])


def write_tables(folder: Path, tasks: Sequence[Task], read: Callable[[Task], Record]) -> NDArray[np.float64]:
    """Write the tables of ``columns.TABLES`` in the order of the tasks and return their metrics.

    Parameters
    ----------
    folder : path
    tasks : sequence of Task
    read : function of a task
        Gives its record; called once for each.

    Returns
    -------
    float array, shape (tasks, metrics)
    """
    values = np.empty((len(tasks), len(METRICS)))
    writers = {name: TableWriter(folder / f"{name}.parquet", TABLES[name]) for name in TABLES}
    try:
        for row, task in enumerate(tasks):
            record = read(task)
            values[row] = record.values
            for name, columns in record.tables.items():
                writers[name].add(task, columns)
    finally:
        for writer in writers.values():
            writer.close()
    return values


def write_table(path: Path, name: str, task: Task, columns: dict[str, Any]) -> None:
    """Write one table of one replication."""
    writer = TableWriter(path, TABLES[name])
    writer.add(task, columns)
    writer.close()


class TableWriter:
    """Writes one table, replication after replication, in row groups of bounded size.

    Parameters
    ----------
    path : path
    columns : sequence of Column
        With ``variant`` and ``replication`` first.
    """

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        types = {"text": pa.string(), "int": pa.int64(), "float": pa.float64()}
        self._columns = columns
        self._schema = pa.schema([(column.name, types[column.kind]) for column in columns])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._waiting: list[tuple[Task, dict[str, Any]]] = []
        self._rows = 0

    def add(self, task: Task, columns: dict[str, Any]) -> None:
        """Add the rows of one replication."""
        rows = len(columns[self._columns[-1].name])
        self._waiting.append((task, columns))
        self._rows += rows
        if self._rows >= ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._table(), row_group_size=self._rows)
        self._waiting, self._rows = [], 0

    def _table(self) -> pa.Table:
        import pyarrow as pa

        counts = [len(columns[self._columns[-1].name]) for _, columns in self._waiting]
        arrays = [
            pa.array(np.repeat([task.variant for task, _ in self._waiting], counts).tolist(), pa.string()),
            pa.array(np.repeat([task.replication for task, _ in self._waiting], counts), pa.int64()),
        ]
        for column in self._columns[2:]:
            parts = [columns[column.name] for _, columns in self._waiting]
            if column.kind == "text":
                arrays.append(pa.array([text for part in parts for text in part], pa.string()))
            else:
                arrays.append(pa.array(np.concatenate(parts)))
        return pa.Table.from_arrays(arrays, schema=self._schema)

    def close(self) -> None:
        """Write what is left and close the file."""
        self._flush()
        self._writer.close()


def _write(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table, row_group_size=ROWS_PER_GROUP)


def by_variant(tasks: Sequence[Task], values: NDArray[np.float64]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each variant with its metrics as arrays over replications, in the order of the tasks."""
    for variant in dict.fromkeys(task.variant for task in tasks):
        rows = values[[task.variant == variant for task in tasks]]
        yield variant, {metric.name: rows[:, index] for index, metric in enumerate(METRICS)}
