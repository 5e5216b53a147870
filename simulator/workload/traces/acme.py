"""Reader of the Acme job logs of the clusters Seren and Kalos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.workload.traces.cluster_logs import read_cluster_log
from simulator.workload.traces.rows import BROKEN_FRACTION_ALLOWED, ImportReport

if TYPE_CHECKING:
    import pandas as pd


def read_acme(path: str, broken_fraction_allowed: float = BROKEN_FRACTION_ALLOWED) -> tuple[pd.DataFrame, ImportReport]:
    """Return the jobs of an Acme log.

    Parameters
    ----------
    path : str
        CSV file, plain or gzipped, or parquet, with the columns job_id, user, node_num, gpu_num, cpu_num, state,
        submit_time, start_time, end_time and duration in any order; others (type, queue, gpu_time, those of Kalos) are
        skipped.
    broken_fraction_allowed : float
        Greatest fraction of broken rows that are dropped and reported; more refuse the file.

    Returns
    -------
    table : DataFrame
        The common job table, ordered by (submission, row).
    report : ImportReport
        ``header["origin"]`` is the first submission in UTC, which is ``submit_s`` 0.

    Raises
    ------
    InputError
        The file cannot be read as this format, or too many rows are broken.

    Notes
    -----
    Times carry their zone. ``run_s`` is end - start, or the duration where a time is missing, and null for jobs that
    never started: in the log of Kalos the duration counts from the submission, though the README says otherwise, and
    its ``gpu_time`` with it. States are Slurm's, see `SLURM_STATES`.

    References
    ----------
    Q. Hu et al., "Characterization of large language model development in the datacenter", NSDI 2024; repository
    InternLM/AcmeTrace, README.
    """
    return read_cluster_log("acme", path, broken_fraction_allowed, "zoned", required=("node_num",))
