"""Reader of the task list of Alibaba's GPU cluster of 2023 ("openb"): pods, some of which share a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from simulator.workload.traces.blocks import NOTHING, Block, Floats
from simulator.workload.traces.jobs import JobRows
from simulator.workload.traces.rows import BROKEN_FRACTION_ALLOWED, ImportReport
from simulator.workload.traces.tables import Layout, check_columns, table_blocks
from simulator.workload.traces.values import RowError, label, shown

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

COLUMNS = (
    "name",
    "cpu_milli",
    "num_gpu",
    "gpu_milli",
    "pod_phase",
    "creation_time",
    "deletion_time",
    "scheduled_time",
)
PHASES: dict[str, str | None] = {"Succeeded": "completed", "Failed": "failed", "Running": None, "Pending": None}
"""State of a task by the phase in which it was last seen."""


def read_alibaba(
    path: str, broken_fraction_allowed: float = BROKEN_FRACTION_ALLOWED
) -> tuple[pd.DataFrame, ImportReport]:
    """Return the tasks of an openb pod list.

    Parameters
    ----------
    path : str
        CSV file, plain or gzipped, or parquet, with the columns name, cpu_milli, num_gpu, gpu_milli, pod_phase,
        creation_time, deletion_time and scheduled_time in any order; others (memory_mib, gpu_spec, qos) are skipped.
    broken_fraction_allowed : float
        Greatest fraction of broken rows that are dropped and reported; more refuse the file.

    Returns
    -------
    table : DataFrame
        The common job table, ordered by (creation, row); 0 is the trace's own zero. ``gpus`` are whole GPUs, 0 for
        a task of CPUs only; ``gpu_share`` is the part of its one GPU that a task shares with others.
    report : ImportReport
        Rows read, kept and dropped.

    Raises
    ------
    InputError
        The file cannot be read as this format, or too many rows are broken.

    Notes
    -----
    ``run_s`` is deletion - scheduling. A pending task was never scheduled: start, end and run time are null. A task
    last seen running has the run time until its deletion and no state.

    References
    ----------
    Q. Weng et al., "Beware of fragmentation: scheduling GPU-sharing workloads with fragmentation gradient descent",
    USENIX ATC 2023; repository alibaba/clusterdata, cluster-trace-gpu-v2023/README.md.
    """
    rows = JobRows("alibaba", path, broken_fraction_allowed)
    for block in table_blocks(path, Layout(_check, "name", COLUMNS)):
        rows.add(block, _jobs(block))
    return rows.close("name")


def _check(path: str, line: int | None, header: Sequence[str]) -> None:
    check_columns(path, line, header, COLUMNS, COLUMNS, allows_more=True)


def _jobs(block: Block) -> dict[str, Floats | pa.Array]:
    submit_s = block.seconds("creation_time")
    start_s = block.seconds("scheduled_time", null=NOTHING)
    deleted_s = block.seconds("deletion_time", null=NOTHING)
    gpus, milli = block.counts("num_gpu"), block.counts("gpu_milli", null=NOTHING)
    block.fail(
        (gpus == 1) & ~((milli >= 1) & (milli <= 1000)),
        lambda row: RowError("gpu_milli", "no share of one GPU", block.text("gpu_milli", row), "1 to 1000"),
    )
    block.fail(
        (gpus > 1) & (milli < 1000),
        lambda row: RowError("gpu_milli", "a share of several GPUs", block.text("gpu_milli", row), "1000"),
    )
    block.fail(
        deleted_s < start_s,
        lambda row: RowError(
            "deletion_time", "end before start", block.text("deletion_time", row), "scheduled_time or later"
        ),
    )
    end_s = np.where(np.isnan(start_s), np.nan, deleted_s)
    return {
        "job": block.texts("name", partial(label, key="name"), null=None),
        "submit_s": submit_s,
        "start_s": start_s,
        "end_s": end_s,
        "run_s": end_s - start_s,
        "gpus": gpus,
        "state": block.texts("pod_phase", _state),
        "cpus": block.amounts("cpu_milli") / 1000,
        "gpu_share": np.where((gpus == 1) & (milli < 1000), milli / 1000, np.nan),
    }


def _state(phase: str) -> str | None:
    if phase not in PHASES:
        raise RowError("pod_phase", "unknown phase", shown(phase), ", ".join(PHASES))
    return PHASES[phase]
