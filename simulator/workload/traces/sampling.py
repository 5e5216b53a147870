"""From a job table to the columns that a workload model is fitted to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from simulator.workload.submissions import Sample, Submissions, WallClock
from simulator.workload.traces.cleaning import CleaningReport, to_processors

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN = "unknown"
"""State of jobs whose end the trace does not tell."""


def sample_of(table: pd.DataFrame, origin: datetime | None) -> tuple[Sample, CleaningReport]:
    """Return the jobs of a trace to which a workload model can be fitted, and what was left out or changed.

    Parameters
    ----------
    table : DataFrame
        The common job table.
    origin : datetime, optional
        Instant of its zero, where the trace tells it.

    Raises
    ------
    InputError
        No job has GPUs and a run time.
    """
    import pandas as pd

    cleaned, report = to_processors(table)
    rows = pd.Index(table["job"]).get_indexer(pd.Index(cleaned["job"]))
    raw = table.iloc[rows]
    asked_s = raw["requested_s"].to_numpy(dtype=np.float64, na_value=np.nan)
    user = pd.factorize(raw["user"])[0].astype(np.int64)
    partition = pd.factorize(raw["partition"])[0].astype(np.int64)
    state, states = pd.factorize(raw["state"].fillna(UNKNOWN))
    submit_s = cleaned["submit_s"].to_numpy(dtype=np.float64)
    jobs = Submissions(
        submit_s=submit_s - submit_s[0],
        gpus=cleaned["processors"].to_numpy(dtype=np.int64),
        run_s=cleaned["run_s"].to_numpy(dtype=np.float64),
        requested_s=np.where(asked_s > 0, asked_s, np.nan),
        user=user,
        state=state.astype(np.int64),
        states=tuple(str(each) for each in states),
    )
    group = np.where(user >= 0, user, user.max(initial=-1) + 1 + partition + 1)
    return Sample(jobs, group, _clock(origin, float(submit_s[0]), float(submit_s[-1]))), report


def _clock(origin: datetime | None, first_s: float, last_s: float) -> WallClock:
    """Return the clock of a trace; its zone tells when it was changed."""
    if origin is None:
        return WallClock(is_known=False)

    def shown(after_s: float) -> datetime:
        if origin.tzinfo is None:
            return origin + timedelta(seconds=after_s)
        return (origin.astimezone(UTC) + timedelta(seconds=after_s)).astimezone(origin.tzinfo)

    first = shown(first_s)
    monday_s = first.weekday() * 86400.0 + first.hour * 3600.0 + first.minute * 60.0 + first.second
    changes_s, shifts_s = [0.0], [0.0]
    # Clocks are changed at full hours.
    for after_s in np.arange(3600.0 - monday_s % 3600.0, last_s - first_s, 3600.0) if first.tzinfo else ():
        ahead = shown(first_s + float(after_s)).utcoffset()
        shift_s = (ahead - first.utcoffset()).total_seconds()  # type: ignore[operator]
        if shift_s != shifts_s[-1]:
            changes_s.append(float(after_s))
            shifts_s.append(shift_s)
    return WallClock(monday_s, tuple(changes_s), tuple(shifts_s))
