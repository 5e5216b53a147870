"""Reader of the Philly GPU cluster's job list: one CSV row a job."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from simulator.workload.traces.rows import (
    BROKEN_FRACTION_ALLOWED,
    ImportReport,
    RowAccount,
    RowError,
    number,
    seconds,
    shown,
    whole,
)
from simulator.workload.traces.table import Row, check_columns, csv_rows, job_table

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("timestamp", "duration", "num_gpus", "gpu_time", "cluster")


def read_philly(
    path: str, broken_fraction_allowed: float = BROKEN_FRACTION_ALLOWED
) -> tuple[pd.DataFrame, ImportReport]:
    """Return the jobs of a Philly job list with columns timestamp, duration, num_gpus, gpu_time, cluster.

    Parameters
    ----------
    path : str
        CSV file, plain or gzipped.
    broken_fraction_allowed : float
        Greatest fraction of broken rows that are dropped and reported; more refuse the file.

    Returns
    -------
    table : DataFrame
        The common job table, ordered by (timestamp, row); ``job`` is the row's number in the file, from 1.
    report : ImportReport
        ``header["origin"]`` is the first timestamp, which is ``submit_s`` 0.

    Raises
    ------
    InputError
        The file cannot be read as this format, or too many rows are broken.

    Notes
    -----
    The timestamps are local times without a zone; differences are taken as written, so a change to winter
    time counts as no time. ``user`` is the virtual cluster. Queueing times, requests and final states are
    not in the list: null.

    References
    ----------
    M. Jeon et al., "Analysis of large-scale multi-tenant GPU clusters for DNN training workloads", USENIX
    ATC 2019.
    """
    account = RowAccount("philly", path, broken_fraction_allowed)
    rows: list[tuple[datetime, Row]] = []
    row_number = 0
    for line, values in csv_rows(path, "timestamp", _check_header):
        row_number += 1
        try:
            if isinstance(values, RowError):
                raise values
            rows.append(_job(str(row_number), values))
        except RowError as broken:
            account.drop(line, broken)
            continue
        account.keep()
    origin = min((submitted for submitted, _ in rows), default=datetime.min)
    report = account.close({"origin": origin.isoformat(sep=" ")})
    rows.sort(key=lambda entry: entry[0])
    for submitted, row in rows:
        row["submit_s"] = (submitted - origin) / timedelta(seconds=1)
    return job_table([row for _, row in rows]), report


def _check_header(path: str, line: int | None, header: Sequence[str]) -> None:
    check_columns(path, line, header, COLUMNS, COLUMNS)


def _job(job: str, values: dict[str, str]) -> tuple[datetime, Row]:
    submitted = _timestamp(values["timestamp"])
    run_s = seconds(values["duration"], "duration")
    gpus = whole(values["num_gpus"], "num_gpus")
    gpu_s = number(values["gpu_time"], "gpu_time", "GPU-seconds")
    if not math.isclose(gpu_s, run_s * gpus, rel_tol=1e-9, abs_tol=1e-6):
        raise RowError("gpu_time", "not duration × num_gpus", shown(values["gpu_time"]), f"{run_s * gpus}")
    cluster = values["cluster"].strip()
    return submitted, {"job": job, "user": cluster or None, "run_s": run_s, "gpus": gpus}


def _timestamp(text: str) -> datetime:
    try:
        return datetime.strptime(text.strip(), "%Y-%m-%d %H:%M:%S")
    except ValueError:
        raise RowError("timestamp", "not a time", shown(text), "a time like '2017-10-09 07:01:55'") from None
