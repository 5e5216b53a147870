"""From a job table to the jobs a scheduler can replay, every rule stated and counted."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from simulator.errors import InputError
from simulator.units import count_of

if TYPE_CHECKING:
    import pandas as pd

_ESTIMATES = ("requested", "exact")


@dataclass(frozen=True)
class CleaningReport:
    """How many jobs each cleaning rule met.

    Parameters
    ----------
    jobs_read, jobs_kept : int
        Before and after.
    without_processors, larger_than_machine, without_run_time : int
        Dropped, by the first rule that applies in this order: no processors given (or 0); more processors
        than the machine has; run time missing or 0.
    cut_to_request : int
        Kept, with the run time cut to the requested time (the job is killed at its limit).
    estimated_by_run_time : int
        Kept, with the run time as estimate, because the requested time is missing or 0.
    """

    jobs_read: int
    jobs_kept: int
    without_processors: int
    larger_than_machine: int
    without_run_time: int
    cut_to_request: int
    estimated_by_run_time: int


def to_processors(
    table: pd.DataFrame,
    processors: int | None = None,
    estimates: Literal["requested", "exact"] = "requested",
) -> tuple[pd.DataFrame, CleaningReport]:
    """Return a job table as input of `simulator.scheduling.replay`, one GPU as one processor.

    Parameters
    ----------
    table : DataFrame
        The common job table.
    processors : int, optional
        Size of the machine; larger jobs are dropped. None: no job is too large.
    estimates : {"requested", "exact"}
        Whether the scheduler sees the requested times or, in their place, the run times.

    Returns
    -------
    jobs : DataFrame
        ``job, submit_s, run_s, processors, requested_s, row``, stably sorted by submission, with a fresh index; ``row``
        is the position in the table.
    report : CleaningReport
        Counts of each rule.

    Raises
    ------
    InputError
        A column is missing, ``estimates`` is unknown, or no job is left.
    """
    import pandas as pd

    if estimates not in _ESTIMATES:
        near = next(iter(difflib.get_close_matches(str(estimates), _ESTIMATES, n=1)), None)
        raise InputError(
            "unknown kind of estimates", None, None, "estimates", repr(estimates), "requested, exact", near
        )
    for column in ("job", "submit_s", "run_s", "requested_s", "gpus"):
        if column not in table.columns:
            raise InputError("missing column", key=column, found=", ".join(map(str, table.columns)))
    demand = table["gpus"].to_numpy(dtype=np.float64, na_value=np.nan)
    run_s = table["run_s"].to_numpy(dtype=np.float64, na_value=np.nan)
    requested_s = table["requested_s"].to_numpy(dtype=np.float64, na_value=np.nan)

    # Comparisons with NaN are false, so a missing value fails its test.
    has_processors = demand > 0
    fits = has_processors & (demand <= (np.inf if processors is None else processors))
    is_kept = fits & (run_s > 0)
    has_request = requested_s > 0
    is_cut = is_kept & has_request & (run_s > requested_s)
    run_s = np.where(is_cut, requested_s, run_s)
    has_estimate = has_request & (estimates == "requested")
    estimate_s = np.where(has_estimate, requested_s, run_s)

    report = CleaningReport(
        jobs_read=len(table),
        jobs_kept=int(is_kept.sum()),
        without_processors=int((~has_processors).sum()),
        larger_than_machine=int((has_processors & ~fits).sum()),
        without_run_time=int((fits & ~is_kept).sum()),
        cut_to_request=int(is_cut.sum()),
        estimated_by_run_time=int((is_kept & ~has_request).sum()),
    )
    if not is_kept.any():
        allowed = "at least one job with GPUs and a run time"
        raise InputError("no job is left after cleaning", found=_left_out(report), allowed=allowed)
    jobs = pd.DataFrame(
        {
            "job": table["job"][is_kept],
            "submit_s": table["submit_s"][is_kept],
            "run_s": run_s[is_kept],
            "processors": demand[is_kept].astype(np.int64),
            "requested_s": estimate_s[is_kept],
            "row": np.flatnonzero(is_kept),
        }
    )
    return jobs.sort_values("submit_s", kind="stable", ignore_index=True), report


def _left_out(report: CleaningReport) -> str:
    """Return why no job is left, in words."""
    counted = (
        (report.without_processors, "no GPUs"),
        (report.larger_than_machine, "more GPUs than the machine"),
        (report.without_run_time, "no run time"),
    )
    why = ", ".join(f"{count:,} with {what}" for count, what in counted if count)
    return f"{count_of(report.jobs_read, 'job')}, {why}" if why else count_of(report.jobs_read, "job")
