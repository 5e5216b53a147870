"""Reader of the Helios job logs, one of four clusters each (``cluster_log.csv``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.workload.traces.cluster_logs import read_cluster_log
from simulator.workload.traces.rows import BROKEN_FRACTION_ALLOWED, ImportReport

if TYPE_CHECKING:
    import pandas as pd


def read_helios(
    path: str, broken_fraction_allowed: float = BROKEN_FRACTION_ALLOWED
) -> tuple[pd.DataFrame, ImportReport]:
    """Return the jobs of a Helios log.

    Parameters
    ----------
    path : str
        CSV file, plain or gzipped, or parquet, with the columns job_id, user, vc, gpu_num, cpu_num, state, submit_time,
        start_time, end_time and duration in any order; node_num if it is there; others are skipped.
    broken_fraction_allowed : float
        Greatest fraction of broken rows that are dropped and reported; more refuse the file.

    Returns
    -------
    table : DataFrame
        The common job table, ordered by (submission, row).
    report : ImportReport
        ``header["origin"]`` is the first submission, which is ``submit_s`` 0.

    Raises
    ------
    InputError
        The file cannot be read as this format, or too many rows are broken.

    Notes
    -----
    Times are local, without a zone; differences are taken as written. ``partition`` is the virtual cluster. ``run_s``
    is end - start, or the duration where a time is missing, and null for jobs that never started. States are Slurm's,
    see `SLURM_STATES`.

    References
    ----------
    Q. Hu et al., "Characterization and prediction of deep learning workloads in large-scale GPU datacenters", SC 2021;
    repository S-Lab-System-Group/HeliosData, README.
    """
    return read_cluster_log("helios", path, broken_fraction_allowed, "local", required=("vc",))
