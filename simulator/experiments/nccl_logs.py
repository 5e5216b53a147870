"""Collective times as nccl-tests writes them: read from its logs, and written in its columns."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.errors import InputError
from simulator.units import count_of

if TYPE_CHECKING:
    import pandas as pd

_HEAD = re.compile(r"#\s*(size\s+count\s+type\s.*)")
# Whatever stands before the size is the tag of a launcher: "3: ", "[1,0]<stdout>:", "worker-0 ".
_ROW = re.compile(r"[^#]*?(?<![\w.])(\d+\s+\d+\s+[a-z]\w*\s.*)")
_DEVICE = re.compile(r"#\s+Rank\s+(\d+)\s+(?:Group\s+(\d+)\s)?")
_SETTINGS, _MEASURED = ("size", "count", "type", "redop", "root"), ("time", "algbw", "busbw", "#wrong")
_NOT_MEASURED = frozenset({"N/A", "nan"})
_FORMS = "lines of: size count type redop root time algbw busbw ..., or the JSON of nccl-tests"

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
        Its output as printed, or the file that its option ``-J`` writes. The columns are those of the header line,
        where there is one: older versions print no ``root``, and some operations no ``redop``. What launchers write
        before each line is skipped.

    Returns
    -------
    DataFrame
        ``bytes``, ``time_s``, ``algbw``, ``busbw`` (bytes/s), in place where that was measured too, else out of place.
        ``attrs["ranks"]`` is how many ranks the log lists, of one group where it ran several side by side, None where
        it lists none. ``attrs["left_out"]`` are the numbers of the lines (JSON: of the results) left out, by reason.

    Raises
    ------
    InputError
        No such file, or a file without results, with the times of the CPU only, or of groups of different sizes.

    References
    ----------
    NVIDIA/nccl-tests, ``src/util.cu``: ``writeResultHeader``, ``writeBenchmarkLineBody``, ``writeDeviceReport``.
    """
    import pandas as pd

    file = Path(path)
    if not file.is_file():
        raise InputError("no such file", file=str(path))
    text = file.read_text(encoding="utf-8", errors="replace")
    log = _Log(str(path))
    (_read_json if text.lstrip().startswith("{") else _read_lines)(log, text)
    if not log.rows:
        raise InputError(
            "no results of nccl-tests in this file",
            str(path),
            found="; ".join(left_out_rows(log.left_out)) or None,
            allowed=_FORMS,
        )
    table = pd.DataFrame(log.rows, columns=["bytes", "time_s", "algbw", "busbw"])
    table.attrs = {"ranks": log.ranks(), "left_out": log.left_out}
    return table


class _Log:
    """What has been read of a log."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.rows: list[tuple[float, float, float, float]] = []
        self.left_out: dict[str, list[int]] = {}
        self.groups: dict[str, set[str]] = {}

    def add(self, number: int, size: str, measured: Sequence[Sequence[str]]) -> None:
        """Add a row: its number, and time, algbw and busbw of each way it was measured, in place the last."""
        known = [words for words in measured if words[0] not in _NOT_MEASURED]
        try:
            time_us, algbw, busbw = [[float(word) for word in words] for words in known][-1]
        except (IndexError, ValueError):
            time_us, algbw, busbw = math.nan, math.nan, math.nan
        if float(size) == 0.0:
            self._leave_out(number, "0 bytes, no measurement")
        elif math.isnan(time_us):
            self._leave_out(number, "cut off, or other text inside")
        elif not 0.0 < time_us < math.inf:
            self._leave_out(number, "no time above zero")
        else:
            self.rows.append((float(size), time_us * 1e-6, algbw * 1e9, busbw * 1e9))

    def _leave_out(self, number: int, reason: str) -> None:
        self.left_out.setdefault(reason, []).append(number)

    def ranks(self) -> int | None:
        """Return the ranks of one group; raises InputError where groups differ."""
        sizes = sorted({len(ranks) for ranks in self.groups.values()})
        if len(sizes) > 1:
            raise InputError(
                "groups of different numbers of ranks",
                self.file,
                found=", ".join(map(str, sizes)),
                allowed="one number",
            )
        return sizes[0] if sizes else None


def left_out_rows(left_out: Mapping[str, Sequence[int]]) -> list[str]:
    """Return what was left out of a log as text, a phrase for each reason."""
    return [
        f"{count_of(len(numbers), 'row')} left out: {reason}, first in line {numbers[0]}"
        for reason, numbers in left_out.items()
    ]


def _read_lines(log: _Log, text: str) -> None:
    columns: list[str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if device := _DEVICE.search(line):
            log.groups.setdefault(device[2] or "0", set()).add(device[1])
        elif head := _HEAD.search(line):
            # A time of day is two words.
            columns = head[1].replace("timestamp", "date clock").split()
            if "time" not in columns:
                raise _no_time(log.file, number, head[1])
        elif row := _ROW.match(line):
            words = re.split(r"\s#\s", row[1])[0].split()
            log.add(number, words[0], _measured(words, columns or _columns(len(words))))


def _columns(words: int) -> list[str]:
    """Return the columns of a row of so many words under no header."""
    ways = 2 if words > len(_SETTINGS) + len(_MEASURED) else 1
    return [*_SETTINGS[: words - ways * len(_MEASURED)], *_MEASURED * ways]


def _measured(words: Sequence[str], columns: Sequence[str]) -> list[Sequence[str]]:
    """Return time, algbw and busbw of each way that a row was measured; none if its columns are not these."""
    places = [place for place, name in enumerate(columns) if name == "time"]
    if len(words) != len(columns):
        if len(places) == 1 or len(words) != places[-1]:
            return []
        places = places[:-1]  # measured in one way only, as all_to_all in place is not
    return [words[place : place + 3] for place in places]


def _read_json(log: _Log, text: str) -> None:
    try:
        content = json.loads(text)
        devices, results = content["config"].get("devices", []), content["results"]
        for device in devices:
            log.groups.setdefault(str(device["group"]), set()).add(str(device["rank"]))
        for number, result in enumerate(results, 1):
            ways = [result[way] for way in ("out_of_place", "in_place") if result.get(way)]
            if any("cpu_time" in way for way in ways):
                raise _no_time(log.file, None, "cpu_time")
            log.add(number, str(result["size"]), [[str(way[k]) for k in ("time", "alg_bw", "bus_bw")] for way in ways])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        raise InputError("not the JSON of nccl-tests", log.file, line, found=str(error), allowed=_FORMS) from error


def _no_time(file: str, line: int | None, found: str) -> InputError:
    return InputError("time of the CPU only", file, line, "time", found, "a log of nccl-tests without its option -C")
