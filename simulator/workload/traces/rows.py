"""Rows of a trace: reading their values, and keeping account of every row that cannot be used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.errors import InputError

# Assumption: a real log has the odd damaged row; where more than this fraction is broken, the file is
# damaged or of another format.
BROKEN_FRACTION_ALLOWED = 0.01

LONGEST_S = 1e12
MOST_GPUS = 10**9


class RowError(Exception):
    """A row that does not say what its format promises; caught by the reader that counts it.

    Parameters
    ----------
    key : str
        Column, as the format calls it.
    problem, found, allowed : str
        As in `InputError`.
    """

    def __init__(self, key: str, problem: str, found: str, allowed: str) -> None:
        super().__init__(key, problem, found, allowed)
        self.key = key
        self.problem = problem
        self.found = found
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class DroppedRow:
    """One row of a trace that did not become a job.

    Parameters
    ----------
    line : int
        Line in the file, counted from 1; in a parquet file the row, counted from 1.
    key : str
        Column at fault, as the format calls it.
    reason : str
        Why, in one clause.
    found : str
        What stands there.
    """

    line: int
    key: str
    reason: str
    found: str


@dataclass(frozen=True)
class ImportReport:
    """What became of the rows of a trace file.

    Parameters
    ----------
    format, file : str
        Format, and file as the user named it.
    rows_read, rows_kept : int
        Rows with a job in the file, and rows that became one.
    dropped : tuple of DroppedRow
        Every other row, in file order.
    header : mapping of str to str
        What the file says about itself (SWF header fields, the instant that counts as 0).
    """

    format: str
    file: str
    rows_read: int
    rows_kept: int
    dropped: tuple[DroppedRow, ...] = ()
    header: Mapping[str, str] = field(default_factory=dict)

    def reasons(self) -> dict[str, list[int]]:
        """Return the lines of the dropped rows by column and reason, most frequent first."""
        lines: dict[str, list[int]] = {}
        for row in self.dropped:
            lines.setdefault(f"{row.key}: {row.reason}", []).append(row.line)
        return dict(sorted(lines.items(), key=lambda item: -len(item[1])))

    def describe(self) -> list[str]:
        """Return the report as lines of text: the totals, then each reason with its first line numbers."""
        counts = f"{self.rows_read:,} rows read, {self.rows_kept:,} kept, {len(self.dropped):,} dropped"
        text = [f"{self.file}: {counts}"]
        for reason, lines in self.reasons().items():
            shown = ", ".join(str(line) for line in lines[:5]) + (", …" if len(lines) > 5 else "")
            text.append(f"  {len(lines):,} × {reason} (line {shown})")
        return text


class RowAccount:
    """Counts the rows of one file; decides at its end whether the file is usable.

    Parameters
    ----------
    format, file : str
        Format, and file as the user named it.
    broken_fraction_allowed : float
        Greatest fraction of rows that may be broken before the whole file is refused.
    """

    def __init__(self, format: str, file: str, broken_fraction_allowed: float) -> None:
        self._format = format
        self._file = file
        self._allowed = broken_fraction_allowed
        self._dropped: list[DroppedRow] = []
        self._first: tuple[int, RowError] | None = None
        self._kept = 0
        self._broken = 0

    def keep(self) -> None:
        """Count a row that became a job."""
        self._kept += 1

    def leave_out(self, line: int, key: str, reason: str, found: str) -> None:
        """Count a sound row that is no job of its own."""
        self._dropped.append(DroppedRow(line, key, reason, found))

    def drop(self, line: int, row: RowError) -> None:
        """Count a broken row."""
        self._broken += 1
        if self._first is None:
            self._first = (line, row)
        self._dropped.append(DroppedRow(line, row.key, row.problem, row.found))

    def close(self, header: Mapping[str, str]) -> ImportReport:
        """Return the report, or raise the `InputError` of the first broken row if too many are."""
        rows = self._kept + len(self._dropped)
        if self._first is not None and (self._kept == 0 or self._broken > self._allowed * rows):
            line, row = self._first
            share = f"{self._broken} of {rows} rows broken, at most {self._allowed:.2%} may be"
            raise InputError(f"{row.problem} ({share})", self._file, line, row.key, row.found, row.allowed)
        if self._kept == 0:
            raise InputError("no job in the file", file=self._file, allowed="at least one job")
        return ImportReport(self._format, self._file, rows, self._kept, tuple(self._dropped), header)


def number(value: Any, key: str, allowed: str) -> float:
    """Return a finite number from text or from a typed value.

    Raises
    ------
    RowError
        It is not a plain decimal number, or not finite.
    """
    text = str(value)
    try:
        result = float(text)
    except ValueError:
        raise RowError(key, "not a number", shown(value), allowed) from None
    # float() also takes "1_000" and digits of other scripts, which no trace format has.
    if "_" in text or not text.isascii() or isinstance(value, bool):
        raise RowError(key, "not a number", shown(value), allowed)
    if not math.isfinite(result):
        raise RowError(key, "not a finite number", shown(value), allowed)
    return result


def seconds(value: Any, key: str, allowed: str = "seconds, 0 to 1e12") -> float:
    """Return a time of 0 or more seconds; raises RowError."""
    result = number(value, key, allowed)
    if result < 0:
        raise RowError(key, "negative time", shown(value), allowed)
    if result > LONGEST_S:
        raise RowError(key, "time out of range", shown(value), allowed)
    return result


def whole(value: Any, key: str, allowed: str = "a whole number, 0 to 1e9") -> int:
    """Return a count of 0 or more; raises RowError."""
    result = number(value, key, allowed)
    if result < 0:
        raise RowError(key, "negative number", shown(value), allowed)
    if result != math.floor(result):
        raise RowError(key, "not a whole number", shown(value), allowed)
    if result > MOST_GPUS:
        raise RowError(key, "number out of range", shown(value), allowed)
    return int(result)


def shown(value: Any) -> str:
    """Return a value as it stands in an error: quoted, printable, cut to 40 characters."""
    text = value if isinstance(value, str) else str(value)
    text = text if len(text) <= 40 else text[:39] + "…"
    return repr(text)
