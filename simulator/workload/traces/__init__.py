"""Readers of job traces, one per format, all to one common job table.

A reader is a function of a path that returns the table and an `ImportReport`. A new format is one file and
one line here.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from simulator.errors import InputError
from simulator.workload.traces.acme import read_acme
from simulator.workload.traces.alibaba import read_alibaba
from simulator.workload.traces.cleaning import CleaningReport, to_processors
from simulator.workload.traces.columns import TABLE_COLUMNS
from simulator.workload.traces.helios import read_helios
from simulator.workload.traces.origin import origin_of
from simulator.workload.traces.philly import read_philly
from simulator.workload.traces.rows import BROKEN_FRACTION_ALLOWED, DroppedRow, ImportReport
from simulator.workload.traces.sampling import sample_of
from simulator.workload.traces.slurm import read_slurm
from simulator.workload.traces.states import STATES
from simulator.workload.traces.swf import read_swf
from simulator.workload.traces.table import read_table, write_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "BROKEN_FRACTION_ALLOWED",
    "FORMATS",
    "STATES",
    "TABLE_COLUMNS",
    "CleaningReport",
    "DroppedRow",
    "ImportReport",
    "origin_of",
    "read_trace",
    "sample_of",
    "to_processors",
    "write_table",
]

_READERS: dict[str, Callable[[str, float], tuple[pd.DataFrame, ImportReport]]] = {
    "swf": read_swf,
    "slurm": read_slurm,
    "helios": read_helios,
    "philly": read_philly,
    "acme": read_acme,
    "alibaba": read_alibaba,
    "table": read_table,
}

FORMATS: tuple[str, ...] = tuple(_READERS)


def read_trace(
    format: str,
    path: str | os.PathLike[str],
    broken_fraction_allowed: float = BROKEN_FRACTION_ALLOWED,
) -> tuple[pd.DataFrame, ImportReport]:
    """Return the common job table of a trace file, and what became of its rows.

    Parameters
    ----------
    format : str
        One of `FORMATS`: ``swf`` (Standard Workload Format), ``slurm`` (sacct --parsable2), ``helios``, ``philly``,
        ``acme``, ``alibaba`` (openb pods), ``table`` (the common job table itself).
    path : path
        File; text may be gzipped, and all formats but ``swf`` may be parquet with the same columns.
    broken_fraction_allowed : float
        Greatest fraction of rows that may be broken. That many are dropped, each with its line and reason
        in the report; one more and the whole file is refused.

    Returns
    -------
    table : DataFrame
        Columns as in `TABLE_COLUMNS`, in queue order where the format has one.
    report : ImportReport
        Rows read, kept, dropped.

    Raises
    ------
    InputError
        Unknown format, unreadable or broken file: one line with file, line, column, found and allowed.
    """
    if format not in _READERS:
        near = difflib.get_close_matches(str(format), FORMATS, n=1, cutoff=0.4)
        raise InputError(
            "unknown trace format",
            key="format",
            found=repr(format),
            allowed=", ".join(FORMATS),
            nearest=near[0] if near else None,
        )
    if not 0 <= broken_fraction_allowed <= 1:
        raise InputError(
            "not a fraction",
            key="broken_fraction_allowed",
            found=str(broken_fraction_allowed),
            allowed="0 to 1",
        )
    return _READERS[format](os.fspath(path), broken_fraction_allowed)
