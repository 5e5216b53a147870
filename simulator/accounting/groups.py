"""Waits and slowdowns of groups of jobs: by size, and by account."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

SLOWDOWN_FLOOR_S = 10.0
"""tau of the bounded slowdown: shorter runs count as this long (Feitelson & Rudolph, JSSPP 1998)."""

Columns = dict[str, NDArray[Any]]

EDGES = (1, 2, 8, 9, 65, 513, 4097)
"""Lower ends of the size classes: one GPU, part of an 8-GPU node, one such node, then by factors of eight."""


def class_names() -> list[str]:
    """Return the names of the size classes, the smallest first."""
    names = []
    for low, above in zip(EDGES, (*EDGES[1:], None), strict=True):
        if above is None:
            names.append(f"{low:,} GPUs and more")
        elif above == low + 1:
            names.append(f"{low} GPU" + ("s" if low > 1 else ""))
        else:
            names.append(f"{low} to {above - 1} GPUs")
    return names


def bounded_slowdowns(jobs: Columns) -> NDArray[np.float64]:
    """Return the bounded slowdown of every job, NaN for one that did not complete."""
    run_s = jobs["end_s"] - jobs["start_s"]
    slowdown = np.maximum((jobs["wait_s"] + run_s) / np.maximum(run_s, SLOWDOWN_FLOOR_S), 1.0)
    return np.where(jobs["state"] == "completed", slowdown, math.nan)


def is_waiting(jobs: Columns) -> NDArray[np.bool_]:
    """Return which jobs had been submitted and not started."""
    waits: NDArray[np.bool_] = np.isnan(jobs["start_s"]) & (jobs["state"] == "pending")
    return waits


def waits_so_far(jobs: Columns, end_s: float) -> NDArray[np.float64]:
    """Return the wait of every job, up to the end for one that is still queued; NaN for one that was rejected."""
    return np.where(is_waiting(jobs), np.maximum(end_s - jobs["submit_s"], 0.0), jobs["wait_s"])


def slowdowns_so_far(jobs: Columns, end_s: float) -> NDArray[np.float64]:
    """Return the bounded slowdown of every job, NaN for one that was rejected.

    One that has not finished counts with its wait so far and the longer of its work and its run so far; a job without
    an end slows by nothing in the long run, whatever it waits.
    """
    run_s = np.fmax(np.where(np.isnan(jobs["start_s"]), 0.0, end_s - jobs["start_s"]), jobs["work_s"])
    ends = np.isfinite(run_s)
    known_s = np.maximum(np.where(ends, run_s, 1.0), SLOWDOWN_FLOOR_S)
    so_far = np.where(ends, np.maximum((waits_so_far(jobs, end_s) + np.where(ends, run_s, 0.0)) / known_s, 1.0), 1.0)
    so_far[np.isnan(waits_so_far(jobs, end_s))] = math.nan
    finished = bounded_slowdowns(jobs)
    return np.where(np.isnan(finished), so_far, finished)


def by_size(jobs: Columns, end_s: float) -> Columns:
    """Return one row for each size class that has jobs."""
    of_class = np.searchsorted(np.array(EDGES), jobs["gpus"], side="right") - 1
    slowdown, names = bounded_slowdowns(jobs), class_names()
    wait_so_far_s, slow_so_far, waits = waits_so_far(jobs, end_s), slowdowns_so_far(jobs, end_s), is_waiting(jobs)
    rows = []
    for number in np.unique(of_class[of_class >= 0]).tolist():
        mine = of_class == number
        wait_s, slow = _known(jobs["wait_s"][mine]), _known(slowdown[mine])
        bound_s, bound = _known(wait_so_far_s[mine]), _known(slow_so_far[mine])
        hit = (jobs["interruptions"][mine] > 0).sum()
        rows.append(
            {
                "size_class": names[number],
                "jobs": int(mine.sum()),
                "started": len(wait_s),
                "waiting": int(waits[mine].sum()),
                "gpu_s": float(np.dot(jobs["productive_s"][mine], jobs["gpus"][mine])),
                "wait_mean_s": _mean(wait_s),
                **_median_and_p95("wait", wait_s, "_s"),
                "wait_mean_lower_bound_s": _mean(bound_s),
                "wait_p95_lower_bound_s": _p95(bound_s),
                "slowdown_mean": _mean(slow),
                **_median_and_p95("slowdown", slow),
                "slowdown_mean_lower_bound": _mean(bound),
                "slowdown_p95_lower_bound": _p95(bound),
                "interrupted_fraction": hit / len(wait_s) if len(wait_s) else math.nan,
            }
        )
    return _columns(rows, ("size_class",), ("jobs", "started", "waiting"), CLASS_FLOATS)


CLASS_FLOATS = (
    "gpu_s",
    "wait_mean_s",
    "wait_p50_s",
    "wait_p95_s",
    "wait_mean_lower_bound_s",
    "wait_p95_lower_bound_s",
    "slowdown_mean",
    "slowdown_p50",
    "slowdown_p95",
    "slowdown_mean_lower_bound",
    "slowdown_p95_lower_bound",
    "interrupted_fraction",
)
MOST_ACCOUNTS = 1000
"""Accounts that get a row of their own; further ones, the smallest, are added up in one."""


def by_account(jobs: Columns, end_s: float) -> Columns:
    """Return one row for each account, the one with the most work first."""
    names, of_account = np.unique(jobs["account"].astype(str), return_inverse=True)
    work = jobs["productive_s"] * jobs["gpus"]
    gpu_s = np.bincount(of_account, work, len(names)) if len(names) else np.empty(0)
    order = np.argsort(-gpu_s, kind="stable")
    if len(order) > MOST_ACCOUNTS:
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        of_account = np.minimum(rank[of_account], MOST_ACCOUNTS - 1)
        names = np.append(names[order[: MOST_ACCOUNTS - 1]], "others")
        order = np.arange(MOST_ACCOUNTS)
    slowdown, total = bounded_slowdowns(jobs), max(float(work.sum()), 1e-300)
    count = len(names)
    number = np.bincount(of_account, minlength=count)
    mine = np.bincount(of_account, work, count)
    rows = {
        "account": np.where(names == "", "(none)", names).astype(object),
        "jobs": number.astype(np.int64),
        "waiting": np.bincount(of_account, is_waiting(jobs), count).astype(np.int64),
        "gpu_s": mine,
        "share": mine / total,
        "wait_mean_s": _mean_by(of_account, jobs["wait_s"], count),
        "wait_mean_lower_bound_s": _mean_by(of_account, waits_so_far(jobs, end_s), count),
        "slowdown_mean": _mean_by(of_account, slowdown, count),
        "slowdown_mean_lower_bound": _mean_by(of_account, slowdowns_so_far(jobs, end_s), count),
        "preemptions": np.bincount(of_account, jobs["preemptions"], count).astype(np.int64),
    }
    return {name: column[order] for name, column in rows.items()}


def fairness(jobs: Columns) -> float:
    """Return Jain's index of the mean bounded slowdown of the users, NaN without any.

    ``(sum x)^2 / (n sum x^2)``: 1 when all fare alike, 1/n when one bears everything (Jain et al., DEC-TR-301, 1984).
    """
    users, of_user = np.unique(jobs["user"].astype(str), return_inverse=True)
    mean = _known(_mean_by(of_user, bounded_slowdowns(jobs), len(users)))
    return float(mean.sum() ** 2 / (len(mean) * np.dot(mean, mean))) if len(mean) else math.nan


def _mean_by(group: NDArray[np.int64], values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    known = ~np.isnan(values)
    total = np.bincount(group[known], values[known], count)
    number = np.bincount(group[known], minlength=count)
    return np.where(number > 0, total / np.maximum(number, 1), math.nan)


def _columns(rows: list[dict[str, Any]], texts: tuple[str, ...], ints: tuple[str, ...], floats: Any) -> Columns:
    kinds = [(texts, object), (ints, np.int64), (floats, np.float64)]
    return {name: np.array([row[name] for row in rows], dtype=kind) for names, kind in kinds for name in names}


def _known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[~np.isnan(values)]


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else math.nan


def _p95(values: NDArray[np.float64]) -> float:
    return _median_and_p95("", values)["_p95"]


def _median_and_p95(name: str, values: NDArray[np.float64], unit: str = "") -> dict[str, float]:
    if len(values) > 1:
        median, p95 = np.quantile(values, (0.5, 0.95)).tolist()
    else:  # of one value, every quantile is that value
        median = p95 = float(values[0]) if len(values) else math.nan
    return {f"{name}_p50{unit}": median, f"{name}_p95{unit}": p95}
