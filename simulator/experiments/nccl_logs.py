"""Collective times as nccl-tests writes them: read from its logs, and written in its columns."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_RANK = re.compile(r"^\s*\d+:\s")
_DEVICE = re.compile(r"^#\s+Rank\s+(\d+)\s")

HEADER = (
    f"#{'size':>13} {'count':>13} {'type':>9} {'redop':>7} {'root':>7} {'time':>8} {'algbw':>7} {'busbw':>7} #wrong\n"
    f"#{'(B)':>13} {'(elements)':>13} {'':>9} {'':>7} {'':>7} {'(us)':>8} {'(GB/s)':>7} {'(GB/s)':>7}"
)
"""Head of a table in the columns of nccl-tests."""

_REDUCES = ("all_reduce", "reduce_scatter")
_SHARES = ("all_gather", "reduce_scatter", "all_to_all")
_FLOAT_BYTES = 4


def row(op: str, ranks: int, size: float, time_s: float, algbw: float, busbw: float) -> str:
    """Return one line in the columns of nccl-tests, for 32-bit floats."""
    count = int(size) // _FLOAT_BYTES // (ranks if op in _SHARES else 1)
    redop, root = ("sum" if op in _REDUCES else "none"), (0 if op == "broadcast" else -1)
    time = f"{time_s * 1e6:8.2f}" if time_s < 0.1 else f"{time_s * 1e6:8.0f}"
    rates = f"{algbw / 1e9:7.2f} {busbw / 1e9:7.2f}"
    return f" {size:13.0f} {count:13d} {'float':>9} {redop:>7} {root:7d} {time} {rates}      0"


def read_nccl_log(path: str | Path) -> pd.DataFrame:
    """Return what a run of nccl-tests measured.

    Parameters
    ----------
    path : str or Path
        Its output as printed; a rank before each line, as launchers write it, is skipped.

    Returns
    -------
    DataFrame
        ``bytes``, ``time_s``, ``algbw``, ``busbw`` (bytes/s), in place where that was measured too, else out of place.
        ``attrs["ranks"]`` is how many ranks the log lists, None where it lists none.

    Raises
    ------
    InputError
        No such file, or a file without a line of results.
    """
    import pandas as pd

    file = Path(path)
    if not file.is_file():
        raise InputError("no such file", file=str(path))
    rows, ranks = [], set[str]()
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        if device := _DEVICE.match(_RANK.sub("", line)):
            ranks.add(device[1])
        words = _RANK.sub("", line).split()
        if len(words) < 8 or words[0].startswith("#") or not words[0].isdigit():
            continue
        place = 9 if len(words) > 11 else 5
        try:
            time_us, algbw, busbw = (float(word) for word in words[place : place + 3])
        except ValueError:
            continue
        rows.append((float(words[0]), time_us * 1e-6, algbw * 1e9, busbw * 1e9))
    if not rows:
        allowed = "lines of: size count type redop root time algbw busbw ..."
        raise InputError("no results of nccl-tests in this file", file=str(path), allowed=allowed)
    table = pd.DataFrame(rows, columns=["bytes", "time_s", "algbw", "busbw"])
    table.attrs = {"ranks": len(ranks) or None}
    return table
