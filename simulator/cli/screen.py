"""Plain tables and numbers for a terminal of 100 columns."""

from __future__ import annotations

import contextlib
import math
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence

WIDTH = 100
COMPILING = "compiling kernels (first run only)"


def note(text: str) -> None:
    """Say something beside the results: on stderr, so that results can be piped."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def compiling_noted() -> Iterator[None]:
    """Say when kernels begin to be compiled, which takes seconds; they are kept for later runs."""
    from simulator import compiled

    with compiled.told(lambda: note(COMPILING)):
        yield


def warn(warnings: Iterable[str]) -> None:
    """Say what a scenario probably does not mean."""
    for text in warnings:
        note(f"warning: {text}")


def print_pairs(heading: str, rows: Iterable[tuple[str, str]]) -> None:
    """Print a heading and rows of (what, how much), long texts wrapped."""
    rows = list(rows)
    left = min(max((len(name) for name, _ in rows), default=0), WIDTH // 2)
    print(f"\n{heading}")
    for name, text in rows:
        lines = textwrap.wrap(text, WIDTH - left - 4) or [""]
        if len(name) > left:
            print(f"  {name}")
            name = ""
        for line in lines:
            print(f"  {name:<{left}}  {line}".rstrip())
            name = ""


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> None:
    """Print a table; the last column takes what is left of the line and is wrapped.

    Parameters
    ----------
    headers : sequence of str
    rows : sequence of sequences of str
    right : set of int
        Columns aligned to the right.
    """
    widths = [max(len(cell) for cell in column) for column in zip(headers, *rows, strict=True)]
    widths[-1] = max(20, min(widths[-1], WIDTH - sum(widths[:-1]) - 2 * (len(widths) - 1)))
    for cells in (headers, ["-" * width for width in widths], *rows):
        lines = textwrap.wrap(cells[-1], widths[-1]) or [""]
        start = [
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(cells[:-1], widths[:-1], strict=True))
        ]
        for number, line in enumerate(lines):
            lead = start if number == 0 else [" " * len(cell) for cell in start]
            print("  ".join([*lead, line]).rstrip())


def number(value: float) -> str:
    """Return a number with four significant digits, thousands parted by commas, "-" for none."""
    if math.isnan(value):
        return "-"
    if value == 0 or not 1e-4 <= abs(value) < 1e15:
        return f"{value:.4g}"
    decimals = max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"
