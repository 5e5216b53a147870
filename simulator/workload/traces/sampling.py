"""From a job table to the columns that a workload model is fitted to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from simulator.workload.submissions import Sample, Submissions
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
    return Sample(jobs, group, _since_monday_s(origin, float(submit_s[0]))), report


def _since_monday_s(origin: datetime | None, first_s: float) -> float:
    if origin is None:
        return 0.0
    first = origin + timedelta(seconds=first_s)
    return first.weekday() * 86400.0 + first.hour * 3600.0 + first.minute * 60.0 + first.second
