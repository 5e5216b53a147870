"""Replay of rigid jobs on one pool of processors: who starts when under which queueing discipline."""

from __future__ import annotations

import difflib
import operator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simulator.errors import InputError
from simulator.scheduling.event_loops import replay_conservative, replay_queue
from simulator.scheduling.profile import new_profile
from simulator.scheduling.reservations import no_reservations

if TYPE_CHECKING:
    import pandas as pd

POLICIES = ("fifo", "easy", "conservative")
COLUMNS = ("job", "submit_s", "run_s", "processors", "requested_s")

# Whole seconds stay exact in float64 up to 2**53; sums of this many seconds (31,700 years) stay well below.
_LONGEST_S = 1e12


def replay(jobs: pd.DataFrame, processors: int, policy: str = "easy") -> pd.DataFrame:
    """Return when each job starts and ends on a machine without failures.

    Parameters
    ----------
    jobs : DataFrame
        One row per job, in any order: ``job`` (any label), ``submit_s`` and ``run_s`` (s, 0 or more),
        ``processors`` (1 to the machine's), ``requested_s`` (run-time estimate, s, 0 or more; infinite for
        none).
    processors : int
        Size of the machine; any free processors will do.
    policy : {"fifo", "easy", "conservative"}
        First in first out, EASY backfilling, or conservative backfilling.

    Returns
    -------
    DataFrame
        ``job``, ``submit_s``, ``start_s``, ``end_s`` (float64, s) in the order and with the index of the
        input.

    Raises
    ------
    InputError
        A column is missing, a value is not a number, missing, negative or above 1e12 s, a job is larger
        than the machine, the policy is unknown, or conservative backfilling meets a job without an estimate
        or longer than it.

    Notes
    -----
    Jobs queue by (``submit_s``, row). At one instant first all completions, then all arrivals, then one
    scheduling pass. Exact for whole seconds. The semantics of the policies are in
    docs/scheduling-semantics.md; the passes are those of `simulator.scheduling.backfill` and
    `simulator.scheduling.reservations`.

    Examples
    --------
    >>> import pandas as pd
    >>> jobs = pd.DataFrame({"job": ["a", "b", "c"], "submit_s": [0, 0, 0], "run_s": [10, 10, 10],
    ...                      "processors": [2, 3, 1], "requested_s": [10, 10, 10]})
    >>> replay(jobs, processors=3)["start_s"].tolist()
    [0.0, 10.0, 0.0]
    """
    import pandas as pd

    _check_policy(policy)
    machine = _machine_size(processors)
    _check_columns(jobs)
    submit_s = _seconds(jobs, "submit_s")
    run_s = _seconds(jobs, "run_s")
    requested_s = _seconds(jobs, "requested_s", is_estimate=True)
    nodes = _demands(jobs, machine)
    if policy == "conservative":
        _check_estimates(jobs, run_s, requested_s)

    order = np.argsort(submit_s, kind="stable")
    sorted_start_s = np.empty(len(order), dtype=np.float64)
    columns = (submit_s[order], run_s[order], nodes[order], requested_s[order])
    if policy == "conservative":
        profile, reservations = new_profile(len(order), nodes), no_reservations(len(order))
        replay_conservative(*columns, machine, profile, reservations, sorted_start_s, np.empty(len(order)))
    else:
        replay_queue(*columns, machine, policy == "easy", sorted_start_s)
    start_s = np.empty(len(order), dtype=np.float64)
    start_s[order] = sorted_start_s
    result = {
        "job": jobs["job"].to_numpy(),
        "submit_s": submit_s,
        "start_s": start_s,
        "end_s": start_s + run_s,
    }
    return pd.DataFrame(result, index=jobs.index)


def _nearest(word: str, words: tuple[str, ...]) -> str | None:
    matches = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return matches[0] if matches else None


def _check_policy(policy: str) -> None:
    if policy not in POLICIES:
        raise InputError(
            "unknown scheduling policy",
            key="policy",
            found=repr(policy),
            allowed=", ".join(POLICIES),
            nearest=_nearest(str(policy), POLICIES),
        )


def _machine_size(processors: int) -> int:
    try:
        size = operator.index(processors)
    except TypeError:
        size = 0
    if isinstance(processors, bool) or not 1 <= size <= 2**53:
        raise InputError(
            "the machine needs a whole number of processors",
            key="processors",
            found=repr(processors),
            allowed="1 or more",
        )
    return size


def _check_columns(jobs: pd.DataFrame) -> None:
    import pandas as pd

    if not isinstance(jobs, pd.DataFrame):
        raise InputError(
            "the jobs are not a DataFrame",
            key="jobs",
            found=type(jobs).__name__,
            allowed=f"a DataFrame with columns {', '.join(COLUMNS)}",
        )
    present = tuple(str(name) for name in jobs.columns)
    for column in COLUMNS:
        if present.count(column) != 1:
            problem = "missing column" if column not in present else "column appears more than once"
            others = tuple(name for name in present if name not in COLUMNS)
            raise InputError(
                problem,
                key=f"jobs.{column}",
                found=", ".join(present) or "no columns",
                allowed=f"the columns {', '.join(COLUMNS)}",
                nearest=_nearest(column, others) if column not in present else None,
            )


def _numbers(jobs: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """Return a column as float64, NaN where a value is missing."""
    try:
        return np.array(jobs[column].to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError):
        pass
    for row, value in enumerate(jobs[column]):
        try:
            float(value)
        except (TypeError, ValueError):
            raise _bad_value(jobs, column, row, "not a number", "numbers") from None
    raise InputError(
        "the column cannot be read as numbers",
        key=f"jobs.{column}",
        found=str(jobs[column].dtype),
        allowed="numbers",
    )


def _bad_value(jobs: pd.DataFrame, column: str, row: int, problem: str, allowed: str) -> InputError:
    found = jobs[column].iloc[row]
    text = repr(found) if isinstance(found, str) else str(found)
    label = f"row {row}, job {jobs['job'].iloc[row]!s}"
    return InputError(f"{problem} ({label})", key=f"jobs.{column}", found=text, allowed=allowed)


def _refuse_first(jobs: pd.DataFrame, column: str, is_bad: NDArray[np.bool_], problem: str, allowed: str) -> None:
    if is_bad.any():
        raise _bad_value(jobs, column, int(np.argmax(is_bad)), problem, allowed)


def _seconds(jobs: pd.DataFrame, column: str, is_estimate: bool = False) -> NDArray[np.float64]:
    """Return a checked column of times."""
    values = _numbers(jobs, column)
    allowed = "0 to 1e12 s" + (", or infinite for no estimate" if is_estimate else "")
    _refuse_first(jobs, column, np.isnan(values), "missing value", allowed)
    _refuse_first(jobs, column, values < 0, "negative time", allowed)
    is_huge = values > _LONGEST_S
    if is_estimate:
        is_huge &= np.isfinite(values)
    _refuse_first(jobs, column, is_huge, "time out of range", allowed)
    return values


def _demands(jobs: pd.DataFrame, processors: int) -> NDArray[np.int64]:
    """Return the checked column of processors."""
    values = _numbers(jobs, "processors")
    allowed = f"whole numbers from 1 to the machine's {processors}"
    _refuse_first(jobs, "processors", np.isnan(values), "missing value", allowed)
    is_countable = np.isfinite(values) & (values >= 1) & (values == np.floor(values))
    _refuse_first(jobs, "processors", ~is_countable, "not a number of processors", allowed)
    _refuse_first(jobs, "processors", values > processors, "job larger than the machine", allowed)
    return values.astype(np.int64)


def _check_estimates(jobs: pd.DataFrame, run_s: NDArray[np.float64], requested_s: NDArray[np.float64]) -> None:
    """Refuse estimates that a guarantee cannot rest on."""
    is_open = ~np.isfinite(requested_s) | (requested_s <= 0)
    allowed = "under conservative backfilling a positive, finite estimate"
    _refuse_first(jobs, "requested_s", is_open, "no usable estimate", allowed)
    allowed = "under conservative backfilling requested_s at least run_s: first cut run_s to requested_s"
    _refuse_first(jobs, "requested_s", run_s > requested_s, "job runs longer than its estimate", allowed)
