"""Reader of the Philly GPU cluster's jobs: a list of one CSV row a job, or the log of the cluster itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from simulator.workload.traces.blocks import Block, Floats
from simulator.workload.traces.jobs import JobRows
from simulator.workload.traces.philly_log import is_philly_log, read_philly_log
from simulator.workload.traces.rows import BROKEN_FRACTION_ALLOWED, ImportReport
from simulator.workload.traces.tables import Layout, check_columns, table_blocks
from simulator.workload.traces.values import RowError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

COLUMNS = ("timestamp", "duration", "num_gpus", "gpu_time", "cluster")


def read_philly(
    path: str, broken_fraction_allowed: float = BROKEN_FRACTION_ALLOWED
) -> tuple[pd.DataFrame, ImportReport]:
    """Return the jobs of a Philly job list with columns timestamp, duration, num_gpus, gpu_time, cluster.

    Parameters
    ----------
    path : str
        CSV file, plain or gzipped, or parquet; or the JSON ``cluster_job_log``, plain or gzipped, see
        `read_philly_log`.
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
    time counts as no time. ``partition`` is the virtual cluster. Users, queueing times, requests and final states are
    not in the list: null. The log has them.

    References
    ----------
    M. Jeon et al., "Analysis of large-scale multi-tenant GPU clusters for DNN training workloads", USENIX
    ATC 2019.
    """
    if is_philly_log(path):
        return read_philly_log(path, broken_fraction_allowed)
    rows = JobRows("philly", path, broken_fraction_allowed)
    for block in table_blocks(path, Layout(_check, "timestamp", COLUMNS)):
        rows.add(block, _jobs(block))
    return rows.close("row", origin="local")


def _check(path: str, line: int | None, header: Sequence[str]) -> None:
    check_columns(path, line, header, COLUMNS, COLUMNS)


def _jobs(block: Block) -> dict[str, Floats | pa.Array]:
    submit_s = block.instants("timestamp", "local")
    run_s = block.seconds("duration")
    gpus = block.counts("num_gpus")
    gpu_s = block.amounts("gpu_time", allowed="GPU-seconds")
    differs = ~np.isclose(gpu_s, run_s * gpus, rtol=1e-9, atol=1e-6)

    def wrong_time(row: int) -> RowError:
        found = block.text("gpu_time", row)
        return RowError("gpu_time", "not duration × num_gpus", found, f"{run_s[row] * gpus[row]}")

    block.fail(differs, wrong_time)
    return {
        "job": block.rows.astype(str),
        "submit_s": submit_s,
        "run_s": run_s,
        "gpus": gpus,
        "partition": block.texts("cluster", lambda value: value.strip() or None),
    }
