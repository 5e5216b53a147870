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


def by_size(jobs: Columns) -> Columns:
    """Return one row for each size class that has jobs."""
    of_class = np.searchsorted(np.array(EDGES), jobs["gpus"], side="right") - 1
    slowdown, names = bounded_slowdowns(jobs), class_names()
    rows = []
    for number in np.unique(of_class[of_class >= 0]).tolist():
        mine = of_class == number
        wait_s, slow = _known(jobs["wait_s"][mine]), _known(slowdown[mine])
        hit = (jobs["interruptions"][mine] > 0).sum()
        rows.append(
            {
                "size_class": names[number],
                "jobs": int(mine.sum()),
                "started": len(wait_s),
                "gpu_s": float(np.dot(jobs["productive_s"][mine], jobs["gpus"][mine])),
                "wait_mean_s": _mean(wait_s),
                **_median_and_p95("wait", wait_s, "_s"),
                "slowdown_mean": _mean(slow),
                **_median_and_p95("slowdown", slow),
                "interrupted_fraction": hit / len(wait_s) if len(wait_s) else math.nan,
            }
        )
    return _columns(rows, ("size_class",), ("jobs", "started"), CLASS_FLOATS)


CLASS_FLOATS = (
    "gpu_s",
    "wait_mean_s",
    "wait_p50_s",
    "wait_p95_s",
    "slowdown_mean",
    "slowdown_p50",
    "slowdown_p95",
    "interrupted_fraction",
)
MOST_ACCOUNTS = 1000
"""Accounts that get a row of their own; further ones, the smallest, are added up in one."""


def by_account(jobs: Columns) -> Columns:
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
        "gpu_s": mine,
        "share": mine / total,
        "wait_mean_s": _mean_by(of_account, jobs["wait_s"], count),
        "slowdown_mean": _mean_by(of_account, slowdown, count),
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


def _median_and_p95(name: str, values: NDArray[np.float64], unit: str = "") -> dict[str, float]:
    if len(values) > 1:
        median, p95 = np.quantile(values, (0.5, 0.95)).tolist()
    else:  # of one value, every quantile is that value
        median = p95 = float(values[0]) if len(values) else math.nan
    return {f"{name}_p50{unit}": median, f"{name}_p95{unit}": p95}
