"""Tables and the whole result of a study as plain text for a terminal of 100 columns."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from simulator.report.numbers import MISSING, plain, shortened
from simulator.report.results import Results
from simulator.report.tables import (
    Table,
    assumptions_table,
    constants_text,
    differences_table,
    published_table,
    split_metrics,
    study_answer,
    summary_table,
)

WIDTH = 100
_GAP = 2
_NARROWEST = 10
_MOST_DIFFERENCES = 30


def cells_wide(text: str) -> int:
    """Return how many terminal columns a text takes; East Asian wide letters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def render(table: Table, width: int = WIDTH) -> str:
    """Return a table as aligned text, at most ``width`` columns wide; long text cells are wrapped.

    Parameters
    ----------
    table : Table
    width : int
        Terminal columns.
    """
    widths = _fitted_widths(table, width)
    lines = [table.title]
    lines += _row_lines(table.headers, widths, table.numeric)
    lines.append("─" * (sum(widths) + _GAP * (len(widths) - 1)))
    for row in table.rows:
        lines += _row_lines(row, widths, table.numeric)
    if table.note:
        lines += _wrap(table.note, width)
    return "\n".join(line.rstrip() for line in lines)


def _fitted_widths(table: Table, width: int) -> list[int]:
    columns = list(zip(table.headers, *table.rows, strict=True))
    widths = [max(cells_wide(cell) for cell in column) for column in columns]
    while sum(widths) + _GAP * (len(widths) - 1) > width:
        # Text columns give way first; numbers only when no text is left to wrap.
        soft = [i for i, size in enumerate(widths) if i not in table.numeric and size > _NARROWEST]
        choices = soft or [i for i, size in enumerate(widths) if size > 1]
        widest = max(choices, key=lambda i: widths[i])
        widths[widest] -= 1
    return widths


def _row_lines(row: Sequence[str], widths: Sequence[int], numeric: frozenset[int]) -> list[str]:
    blocks = [_wrap(cell, size) for cell, size in zip(row, widths, strict=True)]
    height = max(map(len, blocks))
    lines = []
    for at in range(height):
        pieces = []
        for i, (block, size) in enumerate(zip(blocks, widths, strict=True)):
            piece = block[at] if at < len(block) else ""
            padding = " " * (size - cells_wide(piece))
            pieces.append(padding + piece if i in numeric else piece + padding)
        lines.append((" " * _GAP).join(pieces))
    return lines


def _wrap(cell: str, width: int) -> list[str]:
    lines = [""]
    for word, joint in _words(cell, width):
        joined = f"{lines[-1]}{joint}{word}" if lines[-1] else word
        if cells_wide(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(word)
    return lines


def _paragraph(text: str, width: int) -> list[str]:
    return _wrap(text, width) if text else []


def _words(cell: str, width: int) -> list[tuple[str, str]]:
    """Return pieces no wider than ``width``, each with what joins it to the one before: a space or nothing."""
    pieces = []
    for word in cell.split(" "):
        joint = " "
        while cells_wide(word) > width:
            cut = _longest_cut(word, width)
            pieces.append((word[:cut], joint))
            word, joint = word[cut:], ""
        pieces.append((word, joint))
    return pieces


def _longest_cut(word: str, width: int) -> int:
    cut = max(1, next((i for i in range(len(word), 0, -1) if cells_wide(word[:i]) <= width), 1))
    joints = [i + 1 for i in range(cut - 1, cut // 2, -1) if word[i] in "_-/."]
    return joints[0] if joints else cut


def summary_text(results: Results, width: int = WIDTH) -> str:
    """Return the summary: metrics as rows while the variants fit beside each other, else variants as rows in blocks."""
    upright = summary_table(results)
    last = _paragraph(constants_text(results), width)
    if _natural_width(upright) <= width:
        return "\n".join([render(upright, width), *last])
    blocks: list[str] = []
    names = split_metrics(results)[0]
    while names:
        count = len(names)
        while count > 1 and _natural_width(_block(results, names[:count])) > width:
            count -= 1
        blocks.append(render(_block(results, names[:count], is_last=count == len(names)), width))
        names = names[count:]
    return "\n".join(["\n\n".join(blocks), *last])


def _block(results: Results, metrics: Sequence[str], is_last: bool = False) -> Table:
    table = summary_table(results, metrics, variants_as_rows=True)
    rows = tuple((shortened(row[0], 40), *row[1:]) for row in table.rows)
    return Table(table.title, table.headers, rows, table.numeric, table.note if is_last else "")


def _natural_width(table: Table) -> int:
    columns = list(zip(table.headers, *table.rows, strict=True))
    return sum(max(cells_wide(cell) for cell in column) for column in columns) + _GAP * (len(columns) - 1)


def _brief_differences(results: Results) -> Table:
    """Return the differences; of many variants only those in the metric that answers the question."""
    table = differences_table(results)
    answer_metric = results.answer_metric
    if len(table.rows) > _MOST_DIFFERENCES and answer_metric:
        short = differences_table(results, [answer_metric])
        table = replace(short, note=f"{short.note} differences.csv holds the other metrics.")
    rows = tuple((row[0], shortened(row[1], 40), *row[2:]) for row in table.rows)
    return _without_repeats(replace(table, rows=rows))


def _without_repeats(table: Table) -> Table:
    """Return the table with a first cell left empty where it repeats the one above."""
    rows, last = [], None
    for row in table.rows:
        rows.append(("", *row[1:]) if row[0] == last else row)
        last = row[0]
    return replace(table, rows=tuple(rows))


def terminal_text(results: Results, width: int = WIDTH) -> str:
    """Return question, answer and tables of a study as plain text, no line longer than ``width``."""
    question = plain(results.facts.get("question") or MISSING)
    parts = [
        "\n  ".join(_paragraph(f"Question: {question}", width - 2)),
        "\n  ".join(_paragraph(f"Answer: {study_answer(results).sentence}", width - 2)),
        summary_text(results, width) if results.metrics_shown else "Results\nNo metric has a value.",
    ]
    for table in (_brief_differences(results), published_table(results), assumptions_table(results)):
        if table.rows:
            parts.append(render(table, width))
    return "\n\n".join(parts)
