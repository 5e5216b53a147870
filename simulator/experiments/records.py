"""The outcome of one replication as bytes: compact, exact and free of pickle.

A record is a JSON header, padded to 8 bytes, followed by the raw numeric columns. Reading one never runs code, so a
results folder from elsewhere is safe to resume.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.accounting.columns import KEPT_FOR_ALL, METRICS, TABLES, Column
from simulator.accounting.outcome import Outcome
from simulator.errors import InvariantError

Columns = dict[str, NDArray[np.int64] | NDArray[np.float64] | list[str]]
"""Columns of one table: numbers as arrays, text as lists."""

_LENGTH = struct.Struct("<Q")
_DTYPES = {"int": np.dtype("<i8"), "float": np.dtype("<f8")}


@dataclass(frozen=True)
class Task:
    """One replication of one variant.

    Parameters
    ----------
    variant : str
        Name of the variant.
    replication : int
        Index of the replication, from 0.
    """

    variant: str
    replication: int

    def __str__(self) -> str:
        """Return the task in words."""
        return f"variant {self.variant!r}, replication {self.replication}"


@dataclass(frozen=True)
class Record:
    """A decoded record.

    Parameters
    ----------
    task : Task
        Which replication it is.
    values : float array, shape (metrics,)
        In the order of ``columns.METRICS``.
    tables : dict of str to columns
        The tables that were kept, without ``variant`` and ``replication``.
    """

    task: Task
    values: NDArray[np.float64]
    tables: dict[str, Columns]


def own_columns(table: str) -> tuple[Column, ...]:
    """Return the columns of a table that an outcome carries: all but ``variant`` and ``replication``."""
    return TABLES[table][2:]


def kept_tables(replication: int, keep: str) -> tuple[str, ...]:
    """Return the tables that are kept of a replication; ``keep`` is "first" or "all"."""
    return tuple(table for table in TABLES if keep == "all" or replication == 0 or table in KEPT_FOR_ALL)


def encode(task: Task, outcome: Outcome, keep: str) -> bytes:
    """Return the record of an outcome.

    Raises
    ------
    InvariantError
        When the outcome lacks a metric, a table or a column of the data dictionary, or columns differ in length.
    """
    if missing := [metric.name for metric in METRICS if metric.name not in outcome.summary]:
        raise InvariantError(f"{task}: the outcome lacks the metrics {missing}")
    values = np.array([outcome.summary[metric.name] for metric in METRICS], dtype="<f8")
    blocks = [values.tobytes()]
    tables: dict[str, dict[str, object]] = {}
    for name in kept_tables(task.replication, keep):
        tables[name], numbers = _encode_table(task, name, outcome.tables.get(name, {}))
        blocks += numbers
    header = {"variant": task.variant, "replication": task.replication, "metrics": len(values), "tables": tables}
    text = json.dumps(header, ensure_ascii=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # keeps the numbers behind it aligned
    return b"".join([_LENGTH.pack(len(text)), text, *blocks])


def _encode_table(
    task: Task, name: str, table: dict[str, NDArray[np.generic]]
) -> tuple[dict[str, object], list[bytes]]:
    columns = own_columns(name)
    if {column.name for column in columns} != set(table):
        raise InvariantError(f"{task}: table {name!r} has the columns {sorted(table)}, not those it should have")
    lengths = {len(values) for values in table.values()}
    if len(lengths) != 1:
        raise InvariantError(f"{task}: columns of table {name!r} differ in length")
    text = {c.name: [str(value) for value in table[c.name].tolist()] for c in columns if c.kind == "text"}
    numbers = [
        np.ascontiguousarray(table[c.name], dtype=_DTYPES[c.kind]).tobytes() for c in columns if c.kind != "text"
    ]
    return {"rows": lengths.pop(), "text": text}, numbers


def decode(record: bytes) -> Record:
    """Return what ``encode`` was given; the arrays are read-only views of the record."""
    (length,) = _LENGTH.unpack_from(record)
    header = json.loads(record[8 : 8 + length])
    offset = 8 + length

    def take(dtype: np.dtype[np.generic], count: int) -> NDArray[np.float64]:
        nonlocal offset
        values = np.frombuffer(record, dtype=dtype, count=count, offset=offset)
        offset += values.nbytes
        return values  # int64 for int columns, as the caller asked

    values = take(_DTYPES["float"], header["metrics"])
    tables: dict[str, Columns] = {}
    for name, table in header["tables"].items():
        tables[name] = {
            column.name: table["text"][column.name]
            if column.kind == "text"
            else take(_DTYPES[column.kind], table["rows"])
            for column in own_columns(name)
        }
    return Record(Task(header["variant"], header["replication"]), values, tables)


def task_of(record: bytes) -> Task:
    """Return which replication a record belongs to, without reading its numbers."""
    (length,) = _LENGTH.unpack_from(record)
    header = json.loads(record[8 : 8 + length])
    return Task(header["variant"], header["replication"])
