"""The job table in the columns of Slurm's ``sacct --parsable2``, for tools that read those."""

from __future__ import annotations

import numpy as np
import pandas as pd

EPOCH = pd.Timestamp("2000-01-03T00:00:00")
"""Time 0 of a simulation as a date: a Monday, as drawn workloads begin on one."""

_STATES = {
    "pending": "PENDING",
    "running": "RUNNING",
    "completed": "COMPLETED",
    "failed": "FAILED",
    "rejected": "CANCELLED",
}


def sacct_table(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return jobs with the names and formats of sacct, one row for each, as text.

    Parameters
    ----------
    jobs : DataFrame
        The table ``jobs`` of one variant and replication.

    Returns
    -------
    DataFrame
        JobID (numbers from 1), JobName, User, Account, Partition, Submit, Start, End, Elapsed, Timelimit, NNodes,
        ReqTRES, AllocTRES, State, ExitCode, Restarts, Reason. Times are rounded to seconds. Elapsed is end minus first
        start, waits between attempts included; a job that never ran has allocated nothing, and one that was rejected
        is CANCELLED, with the reason.
    """
    start_s, end_s = jobs["start_s"].to_numpy(dtype=float), jobs["end_s"].to_numpy(dtype=float)
    ran = ~np.isnan(start_s)
    gres = [f"gres/gpu={gpus},node={nodes}" for gpus, nodes in zip(jobs["gpus"], jobs["nodes"], strict=True)]
    return pd.DataFrame(
        {
            "JobID": [str(number) for number in range(1, len(jobs) + 1)],
            "JobName": jobs["job"].astype(str).to_numpy(),
            "User": jobs["user"].astype(str).to_numpy(),
            "Account": jobs["account"].astype(str).to_numpy(),
            "Partition": jobs["partition"].astype(str).to_numpy(),
            "Submit": _dates(jobs["submit_s"].to_numpy(dtype=float)),
            "Start": _dates(start_s),
            "End": _dates(end_s),
            "Elapsed": _spans(np.round(end_s) - np.round(start_s), "00:00:00"),
            "Timelimit": _spans(jobs["requested_s"].to_numpy(dtype=float), "UNLIMITED"),
            "NNodes": jobs["nodes"].to_numpy(),
            "ReqTRES": gres,
            "AllocTRES": [text if there else "" for text, there in zip(gres, ran, strict=True)],
            "State": [_STATES[state] for state in jobs["state"]],
            "ExitCode": np.where(jobs["state"] == "failed", "1:0", "0:0"),
            "Restarts": (jobs["requeues"] + jobs["preemptions"]).to_numpy(),
            "Reason": jobs["reason"].astype(str).str.replace("|", "/", regex=False).to_numpy(),
        }
    )


def _dates(seconds: np.ndarray) -> list[str]:
    stamps = EPOCH + pd.to_timedelta(np.round(seconds), unit="s")
    return ["Unknown" if pd.isna(stamp) else stamp.isoformat() for stamp in stamps]


def _spans(seconds: np.ndarray, otherwise: str) -> list[str]:
    """Return durations as days-hours:minutes:seconds."""
    found = []
    for value in seconds.tolist():
        if not np.isfinite(value):
            found.append(otherwise)
            continue
        days, rest = divmod(round(value), 86400)
        clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
        found.append(f"{days}-{clock}" if days else clock)
    return found
