"""Tables of rows and named columns, as delimited text or parquet, cut into blocks of columns."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simulator.errors import InputError
from simulator.workload.traces.blocks import Block
from simulator.workload.traces.files import BLOCK_BYTES, check_readable, starts_like_parquet, text_blocks, unreadable
from simulator.workload.traces.values import RowError, shown

if TYPE_CHECKING:
    import pyarrow as pa

_PARQUET_ROWS = 1 << 17

Header = Callable[[str, int | None, list[str]], None]


@dataclass(frozen=True)
class Layout:
    """How the columns of a format are written.

    Parameters
    ----------
    check : callable
        Called with (path, line, names of the columns); raises InputError.
    blame : str
        Column that errors name for a row of the wrong width.
    wanted : sequence of str
        Columns to read; others are skipped, absent ones are not in the blocks.
    delimiter : str
        One character.
    has_quotes : bool
        Whether values may stand in double quotes, as in CSV.
    noun : str
        What errors call the columns.
    """

    check: Header
    blame: str
    wanted: Sequence[str]
    delimiter: str = ","
    has_quotes: bool = True
    noun: str = "columns"


def table_blocks(path: str, layout: Layout) -> Iterator[Block]:
    """Yield the rows of a table with a header row, or of a parquet file with the same columns, in blocks.

    Raises
    ------
    InputError
        The file cannot be read, or its columns are not those of the layout.
    """
    check_readable(path)
    yield from _parquet_blocks(path, layout) if starts_like_parquet(path) else _text_blocks(path, layout)


def _text_blocks(path: str, layout: Layout) -> Iterator[Block]:
    header: list[str] | None = None
    rows = 0
    for first, block in _whole_records(path, layout):
        line = first
        if header is None:
            header, line, block = _header(path, layout, first, block)
            if header is None:
                continue
            layout.check(path, line - 1, header)
        cut = cut_rows(block, line, rows, header, layout, path)
        rows += len(cut) + len(cut.misshapen)
        yield cut
    if header is None:
        raise InputError("file is empty", file=path, allowed="a header row and at least one job")


def _whole_records(path: str, layout: Layout) -> Iterator[tuple[int, bytes]]:
    """Yield blocks of lines that end where no quote is open."""
    held: list[bytes] = []
    start, is_open = 1, False
    for first, block in text_blocks(path):
        start = start if held else first
        held.append(block)
        is_open ^= layout.has_quotes and block.count(b'"') % 2 == 1
        if not is_open:
            yield start, b"".join(held)
            held = []
    if held:
        yield start, b"".join(held)


def _header(path: str, layout: Layout, first: int, block: bytes) -> tuple[list[str] | None, int, bytes]:
    """Return the columns named by the first line that is not blank, the line after it, and the rest of a block."""
    rest = block.lstrip(b"\n")
    first += len(block) - len(rest)
    if not rest:
        return None, first, rest
    line, _, rest = rest.partition(b"\n")
    text = line.decode()
    if layout.has_quotes and '"' in text:
        names = next(_csv_rows(path, first, [text], layout))[1]
    else:
        names = text.split(layout.delimiter)
    return [name.strip() for name in names], first + 1, rest


def cut_rows(block: bytes, first: int, rows: int, names: Sequence[str], layout: Layout, path: str) -> Block:
    """Return the lines of a block cut into columns.

    Parameters
    ----------
    block : bytes
        Whole lines of UTF-8; blank lines are no rows.
    first : int
        Number of the first line.
    rows : int
        Rows of the file before it.
    names : sequence of str
        All columns, in order.
    layout : Layout
        How they are written.
    path : str
        For errors.
    """
    if b"\r" in block or (layout.has_quotes and b'"' in block):
        return _cut_slowly(block, first, rows, names, layout, path)
    lines = np.arange(first, first + block.count(b"\n"), dtype=np.int64)
    misshapen: list[tuple[int, RowError]] = []
    numbers = np.arange(rows + 1, rows + 1 + len(lines), dtype=np.int64)
    table = _arrow_table(block, names, layout)
    if table is None or table.num_rows != len(lines):
        texts = block.removesuffix(b"\n").split(b"\n")
        wide = np.array([text.count(layout.delimiter.encode()) + 1 if text else 0 for text in texts], dtype=np.int64)
        is_row, is_sound = wide > 0, wide == len(names)
        numbers = rows + np.cumsum(is_row)[is_sound]
        wrong = np.flatnonzero(is_row & ~is_sound)
        misshapen = [(int(lines[row]), _wrong_width(int(wide[row]), names, layout)) for row in wrong]
        lines = lines[is_sound]
        sound = b"".join(text + b"\n" for text, fits in zip(texts, is_sound, strict=True) if fits)
        table = _arrow_table(sound, names, layout)
        assert table is not None
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    return Block(lines, numbers, columns, misshapen)


def _arrow_table(block: bytes, names: Sequence[str], layout: Layout) -> pa.Table | None:
    """Return delimited text without quotes as columns of text; None if some line has another width."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    wanted = [name for name in names if name in layout.wanted]
    if not block:
        return pa.table({name: pa.array([], pa.string()) for name in wanted})
    try:
        return arrow_csv.read_csv(
            pa.py_buffer(block),
            arrow_csv.ReadOptions(column_names=list(names), use_threads=False, block_size=2 * BLOCK_BYTES),
            arrow_csv.ParseOptions(delimiter=layout.delimiter, quote_char=False),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted, strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:
        return None


def _cut_slowly(block: bytes, first: int, rows: int, names: Sequence[str], layout: Layout, path: str) -> Block:
    """Return the rows of a block that has quotes, which may hold delimiters and ends of lines."""
    import pyarrow as pa

    lines: list[int] = []
    numbers: list[int] = []
    found: list[list[str]] = []
    misshapen: list[tuple[int, RowError]] = []
    for line, fields in _csv_rows(path, first, block.decode().removesuffix("\n").split("\n"), layout):
        rows += 1
        if len(fields) == len(names):
            lines.append(line)
            numbers.append(rows)
            found.append(fields)
        else:
            misshapen.append((line, _wrong_width(len(fields), names, layout)))
    columns = zip(*found, strict=True) if found else [()] * len(names)
    arrays = {
        name: pa.array(column, pa.string())
        for name, column in zip(names, columns, strict=True)
        if name in layout.wanted
    }
    return Block(np.array(lines, dtype=np.int64), np.array(numbers, dtype=np.int64), arrays, misshapen)


def _csv_rows(path: str, first: int, texts: Sequence[str], layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield (last line, values) of the rows that are not blank."""
    reader = csv.reader(
        (text + "\n" for text in texts),
        delimiter=layout.delimiter,
        quoting=csv.QUOTE_MINIMAL if layout.has_quotes else csv.QUOTE_NONE,
        strict=True,
    )
    try:
        for fields in reader:
            if fields and fields != [""]:
                yield first - 1 + reader.line_num, fields
    except csv.Error as error:
        line = first - 1 + reader.line_num
        problem = f"is not a CSV file ({error})"
        raise InputError(problem, file=path, line=line, allowed="comma-separated columns") from None


def _wrong_width(found: int, names: Sequence[str], layout: Layout) -> RowError:
    noun = layout.noun
    return RowError(layout.blame, f"wrong number of {noun}", f"{found} {noun}", f"{len(names)} {noun}")


def _parquet_blocks(path: str, layout: Layout) -> Iterator[Block]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        layout.check(path, None, names)
        rows = 0
        for batch in file.iter_batches(_PARQUET_ROWS, columns=[name for name in names if name in layout.wanted]):
            numbers = np.arange(rows + 1, rows + 1 + batch.num_rows, dtype=np.int64)
            rows += batch.num_rows
            columns = {name: _decoded(batch.column(name)) for name in batch.schema.names}
            yield Block(numbers, numbers, columns)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise unreadable(path, error) from None
        raise InputError("parquet file is cut off or damaged", file=path, allowed="a complete parquet file") from None


def _decoded(column: pa.Array) -> pa.Array:
    """Return a column of parquet without encodings that only save space."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string()) if pa.types.is_large_string(column.type) else column


def check_columns(
    path: str,
    line: int | None,
    found: Sequence[str],
    known: Sequence[str],
    required: Sequence[str | tuple[str, ...]],
    allows_more: bool = False,
    delimiter: str = ",",
) -> None:
    """Refuse a header that repeats a column, misses a required one, or has an unknown one.

    Parameters
    ----------
    path, line : str, int or None
        Where the header stands.
    found, known, required : sequence of str
        Columns in the file, all columns of the format, and those it cannot do without (of a tuple: one of them).
    allows_more : bool
        Whether columns that the format does not know are skipped.
    delimiter : str
        What stands between the columns.

    Raises
    ------
    InputError
        Names the column and the nearest valid spelling.
    """
    text = shown(delimiter.join(found))
    for name in found:
        if list(found).count(name) > 1 and (name in known or not allows_more):
            raise InputError("column appears twice", path, line, name, text, "each column once")
    unknown = [name for name in found if name not in known]
    choices = [(name,) if isinstance(name, str) else name for name in required]
    for names in choices:
        if not set(names) & set(found):
            near = difflib.get_close_matches(names[0], unknown, n=1, cutoff=0.5)
            hint = ", ".join(" or ".join(each) for each in choices)
            hint += f" (is {near[0]!r} this column?)" if near else ""
            raise InputError("missing column", path, line, names[0], text, hint)
    if unknown and not allows_more:
        nearest = difflib.get_close_matches(unknown[0], known, n=1, cutoff=0.5)
        raise InputError(
            "unknown column", path, line, unknown[0], text, ", ".join(known), nearest[0] if nearest else None
        )
