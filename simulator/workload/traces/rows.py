"""The account of a trace file: every row that became a job, and every one that could not, with line and reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from simulator.errors import InputError
from simulator.workload.traces.values import RowError

# Assumption: a real log has the odd damaged row; where more than this fraction is broken, the file is
# damaged or of another format.
BROKEN_FRACTION_ALLOWED = 0.01

Lines = NDArray[np.int64]


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


@dataclass(frozen=True, slots=True, eq=False)
class DroppedRows:
    """All rows dropped for one reason, as arrays: a log may hold millions of job steps.

    Parameters
    ----------
    key, reason : str
        As in `DroppedRow`.
    lines : int array, shape (n,)
        Ascending.
    found : sequence of str, n of them
        What stands in each.
    """

    key: str
    reason: str
    lines: Lines
    found: Sequence[str]


@dataclass(frozen=True, eq=False)
class ImportReport:
    """What became of the rows of a trace file.

    Parameters
    ----------
    format, file : str
        Format, and file as the user named it.
    rows_read, rows_kept : int
        Rows with a job in the file, and rows that became one.
    groups : tuple of DroppedRows
        Every other row, by reason, most frequent first.
    header : mapping of str to str
        What the file says about itself (SWF header fields, ``origin``: the instant that counts as 0).
    notes : tuple of str
        What the reader decided, one sentence each, with counts.
    """

    format: str
    file: str
    rows_read: int
    rows_kept: int
    groups: tuple[DroppedRows, ...] = ()
    header: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def dropped(self) -> tuple[DroppedRow, ...]:
        """Every row that did not become a job, in file order."""
        rows = (
            DroppedRow(int(line), group.key, group.reason, found)
            for group in self.groups
            for line, found in zip(group.lines, group.found, strict=True)
        )
        return tuple(sorted(rows, key=lambda row: row.line))

    def reasons(self) -> dict[str, Lines]:
        """Return the lines of the dropped rows by column and reason, most frequent first."""
        return {f"{group.key}: {group.reason}": group.lines for group in self.groups}

    def describe(self) -> list[str]:
        """Return the report as lines of text: totals, each reason with its first line numbers, notes."""
        dropped = self.rows_read - self.rows_kept
        text = [f"{self.file}: {self.rows_read:,} rows read, {self.rows_kept:,} kept, {dropped:,} dropped"]
        for reason, lines in self.reasons().items():
            shown = ", ".join(str(line) for line in lines[:5]) + (", …" if len(lines) > 5 else "")
            text.append(f"  {len(lines):,} × {reason} (line {shown})")
        return [*text, *(f"  {note}" for note in self.notes)]


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
        self.format = format
        self.file = file
        self._allowed = broken_fraction_allowed
        self._dropped: dict[tuple[str, str], tuple[list[int], list[str]]] = {}
        self._first: tuple[int, RowError] | None = None
        self._broken = 0

    def leave_out(self, lines: Sequence[int], key: str, reason: str, found: Sequence[str]) -> None:
        """Count sound rows that are no jobs of their own."""
        into = self._dropped.setdefault((key, reason), ([], []))
        into[0].extend(lines)
        into[1].extend(found)

    def drop(self, line: int, row: RowError) -> None:
        """Count a broken row."""
        self._broken += 1
        if self._first is None or line < self._first[0]:
            self._first = (line, row)
        self.leave_out([line], row.key, row.problem, [row.found])

    def close(self, kept: int, header: Mapping[str, str], notes: tuple[str, ...] = ()) -> ImportReport:
        """Return the report on ``kept`` rows, or raise the `InputError` of the first broken row if too many are."""
        rows = kept + sum(len(lines) for lines, _ in self._dropped.values())
        if self._first is not None and (kept == 0 or self._broken > self._allowed * rows):
            line, row = self._first
            share = f"{self._broken} of {rows} rows broken, at most {self._allowed:.2%} may be"
            raise InputError(f"{row.problem} ({share})", self.file, line, row.key, row.found, row.allowed)
        if kept == 0:
            raise InputError("no job in the file", file=self.file, allowed="at least one job")
        groups = (_group(key, reason, *rows) for (key, reason), rows in self._dropped.items() if rows[0])
        ordered = tuple(sorted(groups, key=lambda group: (-len(group.lines), group.lines[0])))
        return ImportReport(self.format, self.file, rows, kept, ordered, header, notes)


def _group(key: str, reason: str, lines: list[int], found: list[str]) -> DroppedRows:
    order = np.argsort(lines, kind="stable")
    return DroppedRows(key, reason, np.array(lines, dtype=np.int64)[order], [found[row] for row in order])
