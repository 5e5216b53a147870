"""The job table in the columns of Slurm's ``sacct --parsable2``, for tools that read those."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from simulator.errors import InputError
from simulator.workload.traces.slurm import JOB_ID

EPOCH = datetime(2000, 1, 3)
"""Time 0 of a simulation without a log that tells another: a Monday, as drawn workloads begin on one."""

_STATES = {"pending": "PENDING", "running": "RUNNING", "failed": "FAILED", "rejected": "CANCELLED"}
_ENDINGS = {
    "": "COMPLETED",
    "completed": "COMPLETED",
    "failed": "FAILED",
    "cancelled": "CANCELLED",
    "timeout": "TIMEOUT",
}
_OWN_FAULT = "given up after a fault of its own"
_FAILURES = ("FAILED", "NODE_FAIL")


def sacct_table(jobs: pd.DataFrame, until_s: float, log_start: datetime | None = None) -> pd.DataFrame:
    """Return jobs with the names and formats of sacct, one row for each, as text.

    Parameters
    ----------
    jobs : DataFrame
        The table ``jobs`` of one variant and replication.
    until_s : float
        End of the simulated time, up to which a job that still runs has run.
    log_start : datetime, optional
        Instant of time 0, written as the clock of its zone; `EPOCH` by default.

    Returns
    -------
    DataFrame
        JobID, JobName, User, Account, Partition, Submit, Start, End, Elapsed, Timelimit, NNodes, ReqTRES, AllocTRES,
        State, ExitCode, Restarts, Reason. JobIDs are those of the log, see `JOB_ID`; jobs with other names get the
        numbers above them. Times are rounded to seconds. As there, Start and Elapsed are those of the last time that a
        job came from the queue; one that waits again is PENDING and has neither. A job that ended because its run time
        was over has the State of its log, TIMEOUT if its limit cut it there, COMPLETED without a log; one that was
        given up after faults of the machine NODE_FAIL, after its own FAILED, for another job PREEMPTED. A job that
        never ran has allocated nothing, and one that was rejected is CANCELLED, with the reason. Nothing ends a job at
        its Timelimit. Names lose what the format cannot carry: a bar becomes a slash, a line break a space.
    """
    start_s = jobs["last_start_s"].where(jobs["state"] != "pending").to_numpy(dtype=float)
    end_s = jobs["end_s"].to_numpy(dtype=float)
    ran = ~np.isnan(start_s)
    last_s = np.where(np.isnan(end_s), until_s, end_s)
    asked, got = jobs["requested_nodes"].to_numpy(), jobs["nodes"].to_numpy()
    # Another width than it asked for has as many GPUs more or fewer on every node.
    allocated = jobs["gpus"].to_numpy() * got // asked
    wanted = [f"gres/gpu={gpus},node={nodes}" for gpus, nodes in zip(jobs["gpus"], asked, strict=True)]
    given = [f"gres/gpu={gpus},node={nodes}" for gpus, nodes in zip(allocated, got, strict=True)]
    zero = pd.Timestamp(EPOCH if log_start is None else log_start).tz_localize(None)
    states = [_state(*row) for row in zip(jobs["state"], jobs["ending"], jobs["reason"], strict=True)]
    return pd.DataFrame(
        {
            "JobID": _job_ids(jobs["job"].tolist()),
            "JobName": _words(jobs["job"]),
            "User": _words(jobs["user"]),
            "Account": _words(jobs["account"]),
            "Partition": _words(jobs["partition"]),
            "Submit": _dates(zero, jobs["submit_s"].to_numpy(dtype=float)),
            "Start": _dates(zero, start_s),
            "End": _dates(zero, end_s),
            "Elapsed": _spans(np.round(last_s) - np.round(start_s), "00:00:00"),
            "Timelimit": _spans(jobs["requested_s"].to_numpy(dtype=float), "UNLIMITED"),
            "NNodes": jobs["nodes"].to_numpy(),
            "ReqTRES": wanted,
            "AllocTRES": [text if there else "" for text, there in zip(given, ran, strict=True)],
            "State": states,
            "ExitCode": ["1:0" if state in _FAILURES else "0:0" for state in states],
            "Restarts": (jobs["requeues"] + jobs["preemptions"]).to_numpy(),
            "Reason": _words(jobs["reason"]),
        }
    )


def _state(state: str, ending: str, reason: str) -> str:
    """Return Slurm's word for how a job ended, from what was simulated, the log's ending and why it was given up."""
    if state == "completed":
        return _ENDINGS[ending]
    if state == "failed" and reason.startswith("given up after") and reason != _OWN_FAULT:
        return "NODE_FAIL"
    if state == "failed" and reason.startswith("cancelled by preemption"):
        return "PREEMPTED"
    return _STATES[state]


def _job_ids(names: Sequence[str]) -> list[str]:
    """Return the names that are JobIDs, and numbers above all of these for the others."""
    is_id = [re.fullmatch(JOB_ID, name) is not None for name in names]
    taken = [int(re.split("[_#]", name)[0]) for name, known in zip(names, is_id, strict=True) if known]
    free = itertools.count(max(taken, default=0) + 1)
    return [name if known else str(next(free)) for name, known in zip(names, is_id, strict=True)]


def sacct_text(table: pd.DataFrame) -> str:
    """Return the table as ``sacct --parsable2`` prints one: bars between columns, and no quotes around anything."""
    return str(table.to_csv(sep="|", index=False, lineterminator="\n", quoting=csv.QUOTE_NONE))


def read_sacct(folder: Path, variant: str | None = None) -> pd.DataFrame:
    """Return the jobs of a results folder as `sacct_table` does: of a variant, by default the first; replication 0.

    Raises
    ------
    InputError
        It is no results folder, one of its files is damaged, or there is no such variant.
    """
    import pyarrow as pa

    allowed = "a results folder that run or compare wrote"
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        # The folder of one run has one of the scenario's variants.
        variants = [manifest["variant"]] if "variant" in manifest else list(manifest["variants"])
        # Earlier versions wrote neither the start of the log nor how its jobs ended.
        starts, base = manifest.get("log_start", {}), {row["variant"]: row["of"] for row in manifest["own_policies"]}
        tables = [pd.read_parquet(folder / f"{name}.parquet") for name in ("jobs", "ledger", "series")]
    except FileNotFoundError:
        raise InputError("no results folder", found=str(folder), allowed=allowed) from None
    except (ValueError, KeyError, TypeError, OSError, pa.ArrowException):
        raise InputError("damaged results folder", found=str(folder), allowed=allowed) from None
    chosen = variants[0] if variant is None else variant
    if chosen not in variants:
        raise InputError("unknown variant", found=repr(chosen), allowed=", ".join(variants))
    jobs, ledger, series = (t[(t["variant"] == chosen) & (t["replication"] == t["replication"].min())] for t in tables)
    if "ending" not in jobs:
        jobs = jobs.assign(ending="")
    start = starts.get(base.get(chosen, chosen))
    return sacct_table(jobs, simulated_s(ledger, series), None if start is None else datetime.fromisoformat(start))


def simulated_s(ledger: pd.DataFrame, series: pd.DataFrame) -> float:
    """Return how long one world was simulated: GPU-seconds of its ledger divided by the GPUs of its machine."""
    gpus = series.loc[series["time_s"] == series["time_s"].min(), "gpus"].sum()
    return float(ledger["gpu_s"].sum() / gpus)


def _words(column: pd.Series) -> list[str]:
    return [" ".join(str(text).replace("|", "/").split()) for text in column]


def _dates(zero: pd.Timestamp, seconds: np.ndarray) -> list[str]:
    stamps = zero + pd.to_timedelta(np.round(seconds), unit="s")
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
