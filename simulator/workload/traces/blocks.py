"""Rows of a trace as columns, a block at a time: arrays where the values are plain, one by one where they are not.

A column is read as a whole where every value has the ordinary form. Otherwise each distinct value goes through its
reader of `values`, which knows all forms and says what is wrong; so speed never changes what is read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulator.workload.traces import values
from simulator.workload.traces.values import RowError, Zone

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

NOTHING: frozenset[str] = frozenset({""})
"""Text that means null in a column that may be null."""


class Block:
    """Rows of a trace as columns; keeps the first error of each row.

    Parameters
    ----------
    lines : int array, shape (n,)
        Line of each row in the file, or row in a parquet file, counted from 1.
    rows : int array, shape (n,)
        Number of each row in the file, counted from 1, rows of a wrong width included.
    columns : mapping of str to pyarrow Array of n values
        Text, or typed values of a parquet file.
    misshapen : sequence of (int, RowError)
        Lines that could not be cut into columns.
    """

    def __init__(
        self,
        lines: NDArray[np.int64],
        rows: NDArray[np.int64],
        columns: Mapping[str, pa.Array],
        misshapen: Sequence[tuple[int, RowError]] = (),
    ) -> None:
        self.lines = lines
        self.rows = rows
        self.columns = columns
        self.misshapen = misshapen
        self.broken: dict[int, RowError] = {}

    def __len__(self) -> int:
        return len(self.lines)

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def only(self, kept: Flags) -> Block:
        """Return a block of some of the rows, with their errors."""
        import pyarrow as pa

        mask = pa.array(kept)
        columns = {name: column.filter(mask) for name, column in self.columns.items()}
        block = Block(self.lines[kept], self.rows[kept], columns, self.misshapen)
        places = np.cumsum(kept) - 1
        block.broken = {int(places[row]): error for row, error in self.broken.items() if kept[row]}
        return block

    # ------------------------------------------------------------------------------------------ reading columns

    def seconds(self, name: str, key: str | None = None, **how: Any) -> Floats:
        """Return times of 0 or more; see `numbers`."""
        return self.numbers(name, values.seconds, lambda x: (x >= 0) & (x <= values.LONGEST_S), key, **how)

    def counts(self, name: str, key: str | None = None, **how: Any) -> Floats:
        """Return whole numbers of 0 or more; see `numbers`."""

        def fits(x: Floats) -> Flags:
            is_whole: Flags = x == np.floor(x)
            return is_whole & (x >= 0) & (x <= values.MOST_GPUS)

        return self.numbers(name, values.whole, fits, key, **how)

    def amounts(self, name: str, key: str | None = None, **how: Any) -> Floats:
        """Return numbers of 0 or more; see `numbers`."""
        return self.numbers(name, values.amount, lambda x: (x >= 0) & (x <= values.MOST_GPUS), key, **how)

    def shares(self, name: str, key: str | None = None, **how: Any) -> Floats:
        """Return fractions above 0, at most 1; see `numbers`."""
        return self.numbers(name, values.share, lambda x: (x > 0) & (x <= 1), key, **how)

    def numbers(
        self,
        name: str,
        read: Callable[..., float],
        fits: Callable[[Floats], Flags],
        key: str | None = None,
        allowed: str | None = None,
        null: Collection[str] | None = None,
        missing: float | None = None,
    ) -> Floats:
        """Return a column of numbers, null as NaN.

        Parameters
        ----------
        name : str
            Column.
        read : callable
            Reader of one value: (value, key, allowed) to number; raises RowError.
        fits : callable
            Whether numbers are in the range of the reader.
        key : str, optional
            What errors call the column; its name if absent.
        allowed : str, optional
            What errors say may stand there; the reader's words if absent.
        null : collection of str, optional
            Texts that mean null; None: a missing value is an error.
        missing : float, optional
            Number that means null.
        """
        how = {} if allowed is None else {"allowed": allowed}
        one = partial(read, key=key or name, **how)
        column = self._with_nulls(name, null)
        numbers = _plain_numbers(column)
        if numbers is not None:
            is_null = np.asarray(column.is_null()) if null is not None else np.zeros(len(numbers), dtype=bool)
            if missing is not None:
                numbers = np.where(numbers == missing, np.nan, numbers)
                is_null |= np.isnan(numbers) & np.asarray(column.is_valid())
            if np.all(is_null | fits(numbers)):
                return numbers
        return self._each(column, lambda value: _or_missing(value, one, missing), null is not None)

    def instants(self, name: str, zone: Zone, null: Collection[str] | None = None, key: str | None = None) -> Floats:
        """Return a column of times as seconds since 1970, null as NaN; see `values.instant`."""
        column = self._with_nulls(name, null)
        times = _plain_instants(column, zone)
        if times is not None and (null is not None or not column.null_count):
            return times
        return self._each(column, lambda value: values.instant(value, key or name, zone), null is not None)

    def read(self, name: str, one: Callable[[Any], float | None], null: Collection[str] | None = None) -> Floats:
        """Return a column of numbers that have a form of their own: each distinct value is read once."""
        return self._each(self._with_nulls(name, null), one, null is not None)

    def texts(
        self, name: str, one: Callable[[str], str | None] = str, null: Collection[str] | None = NOTHING
    ) -> pa.Array:
        """Return a column of text, each distinct value through a reader."""
        import pyarrow as pa

        column = self._with_nulls(name, null).dictionary_encode("encode")
        found = self._distinct(column, one, null is not None)
        return pa.array(found, pa.string()).take(column.indices)

    def text(self, name: str, row: int) -> str:
        """Return what stands in a row, as errors show it."""
        return values.shown(self.columns[name][row].as_py())

    def fail(self, rows: Flags, error: Callable[[int], RowError]) -> None:
        """Mark rows as broken; the error is made for each of them, and the first one of a row counts."""
        for row in np.flatnonzero(rows).tolist():
            self.broken.setdefault(row, error(row))

    # ---------------------------------------------------------------------------------------------- one by one

    def _with_nulls(self, name: str, null: Collection[str] | None) -> pa.Array:
        """Return a column in which what means null is null."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = self.columns[name]
        if pa.types.is_floating(column.type):
            return pc.if_else(pc.is_nan(column), None, column)  # NaN is how float columns say null
        if null is not None and pa.types.is_string(column.type):
            return pc.if_else(pc.is_in(column, pa.array(null, pa.string())), None, column)
        return column

    def _each(self, column: pa.Array, one: Callable[[Any], float | None], may_be_null: bool) -> Floats:
        encoded = column.dictionary_encode("encode")
        found = self._distinct(encoded, one, may_be_null)
        numbers: Floats = np.array(found, dtype=np.float64)[np.asarray(encoded.indices)]
        return numbers

    def _distinct(self, encoded: pa.Array, one: Callable[[Any], Any], may_be_null: bool) -> list[Any]:
        """Return each distinct value as its reader returns it; the rows of those it refuses become broken."""
        found: list[Any] = []
        wrong: dict[int, RowError] = {}
        for code, value in enumerate(encoded.dictionary.to_pylist()):
            try:
                found.append(None if value is None and may_be_null else one(value))
            except RowError as error:
                wrong[code] = error
                found.append(None)
        if wrong:
            codes = np.asarray(encoded.indices)
            self.fail(np.isin(codes, list(wrong)), lambda row: wrong[int(codes[row])])
        return found


def _or_missing(value: Any, one: Callable[[Any], float], missing: float | None) -> float:
    if missing is None:
        return one(value)
    try:
        is_missing = float(value) == missing
    except (TypeError, ValueError):
        is_missing = False
    return np.nan if is_missing else one(value)


def _plain_numbers(column: pa.Array) -> Floats | None:
    """Return a column of ordinary numbers, null as NaN; None if some value needs a closer look."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if not (pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return None
    try:
        numbers = pc.cast(column, pa.float64())
    except pa.ArrowInvalid:
        return None
    found: Floats = numbers.to_numpy(zero_copy_only=False)
    return found if np.isnan(found).sum() == column.null_count else None


_ZONES: tuple[Zone | None, ...] = (None, "local", "zoned")


def _plain_instants(column: pa.Array, zone: Zone) -> Floats | None:
    """Return a column of ISO times as seconds since 1970; None if some value needs a closer look."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if zone == "any":
        readings = (_epoch_seconds(column) if known is None else _plain_instants(column, known) for known in _ZONES)
        return next((times for times in readings if times is not None), None)
    kind = pa.timestamp("us", tz="UTC" if zone == "zoned" else None)
    is_time = pa.types.is_timestamp(column.type) and (column.type.tz is None) == (zone == "local")
    if not (pa.types.is_string(column.type) or is_time):
        return None
    try:
        microseconds = pc.cast(pc.cast(column, kind), pa.int64())
    except pa.ArrowInvalid:
        return None
    times: Floats = microseconds.to_numpy(zero_copy_only=False).astype(np.float64) / 1e6
    return times


def _epoch_seconds(column: pa.Array) -> Floats | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_string(column.type):
        return None
    try:
        times: Floats = pc.cast(column, pa.int64()).to_numpy(zero_copy_only=False).astype(np.float64)
    except pa.ArrowInvalid:
        return None
    return None if np.any((times < 0) | (times > values.LONGEST_S)) else times
