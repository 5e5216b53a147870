"""Metrics of one replication from its tables."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.accounting.groups import bounded_slowdowns, fairness, is_waiting, slowdowns_so_far, waits_so_far

HELD = (
    "productive",
    "checkpointing",
    "lost_work",
    "detecting",
    "restarting",
    "degraded",
    "waiting_for_nodes",
    "draining",
)
OUT_OF_SERVICE = ("down", "testing")


def summarise(
    jobs: dict[str, NDArray[Any]],
    incidents: dict[str, NDArray[Any]],
    ledger: dict[str, float],
    cost_usd: float,
    end_s: float,
) -> dict[str, float]:
    """Return the metrics that follow from the tables of one replication.

    Parameters
    ----------
    jobs, incidents : dict of str to array
        Columns as declared in ``columns``.
    ledger : dict of str to float
        GPU-seconds by bucket.
    cost_usd : float
        Price of the machine over the simulated time, NaN where no price is given.
    end_s : float
        End of the simulated time, seconds.

    Returns
    -------
    dict of str to float
        NaN where a metric has no value.
    """
    total = sum(ledger.values())
    out = sum(ledger[bucket] for bucket in OUT_OF_SERVICE)
    productive = ledger["productive"]
    wall_s = np.where(np.isnan(jobs["end_s"]), end_s, jobs["end_s"]) - jobs["start_s"]
    started = ~np.isnan(jobs["start_s"])
    interruptions = float(jobs["interruptions"].sum())
    wait_s, so_far_s = jobs["wait_s"][started], waits_so_far(jobs, end_s)
    productive_gpu_s, degraded_gpu_s, wall_gpu_s = (
        float(jobs[f"{name}_gpu_s"].sum()) for name in ("productive", "degraded", "wall")
    )
    trained = ~np.isnan(jobs["step_s"])
    return {
        "ettr": min(_ratio(productive_gpu_s + degraded_gpu_s, wall_gpu_s), 1.0),  # above it by rounding only
        "slow_step_loss": _ratio(degraded_gpu_s, wall_gpu_s),
        "goodput": _ratio(productive, total),
        "utilisation": _ratio(sum(ledger[bucket] for bucket in HELD), total - out),
        "availability": _ratio(total - out, total),
        "interruptions": interruptions,
        "mtti_s": _ratio(float(wall_s[started].sum()), interruptions),
        "lost_work_gpu_s": ledger["lost_work"],
        "mfu": _mean_of(jobs, "mfu", trained),
        "step_slowdown": _mean_of(jobs, "step_slowdown", trained),
        "network_stall_s": float(np.nansum(jobs["network_stall_s"])),
        "checkpoint_write_s": _mean_of(jobs, "checkpoint_write_s", ~np.isnan(jobs["checkpoint_write_s"])),
        "network_timeouts": float(jobs["network_timeouts"].sum()),
        "wait_mean_s": float(wait_s.mean()) if len(wait_s) else math.nan,
        "wait_mean_lower_bound_s": _mean(so_far_s),
        "wait_p95_s": _p95(wait_s),
        "wait_p95_lower_bound_s": _p95(so_far_s),
        "jobs_waiting": float(np.count_nonzero(is_waiting(jobs) & (jobs["submit_s"] <= end_s))),
        "bounded_slowdown_mean": _mean(bounded_slowdowns(jobs)),
        "bounded_slowdown_mean_lower_bound": _mean(slowdowns_so_far(jobs, end_s)),
        "makespan_s": _makespan(jobs),
        "jobs_rejected": float(np.count_nonzero(jobs["state"] == "rejected")),
        "preemptions": float(jobs["preemptions"].sum()),
        "requeues": float(jobs["requeues"].sum()),
        "fairness": fairness(jobs),
        "jobs_completed": float(np.count_nonzero(jobs["state"] == "completed")),
        "detection_latency_mean_s": _mean(incidents["detected_s"] - incidents["onset_s"]),
        "cost_usd": cost_usd,
        "cost_per_productive_gpu_s_usd": _ratio(cost_usd, productive),
    }


def weighted_quantile(levels: NDArray[Any], weights: NDArray[np.float64], probability: float) -> float:
    """Return the smallest level whose cumulated share of the weight reaches ``probability``; NaN without weight."""
    total = weights.sum() if len(weights) else 0.0
    if total <= 0:
        return math.nan
    order = np.argsort(levels)
    share = np.cumsum(weights[order]) / total
    place = min(int(np.searchsorted(share, probability - 1e-12)), len(levels) - 1)
    return float(levels[order][place])


def _makespan(jobs: dict[str, NDArray[Any]]) -> float:
    ended = np.isin(jobs["state"], ("completed", "failed", "rejected"))
    if len(ended) == 0 or not ended.all() or np.isnan(jobs["end_s"]).all():
        return math.nan
    return float(np.nanmax(jobs["end_s"]) - jobs["submit_s"].min())


def _mean_of(jobs: dict[str, NDArray[Any]], column: str, chosen: NDArray[np.bool_]) -> float:
    """Return the mean of a column over jobs, each weighted by its GPUs and productive time."""
    weight = (jobs["gpus"] * jobs["productive_s"])[chosen]
    return _ratio(float(np.dot(jobs[column][chosen], weight)), float(weight.sum()))


def _p95(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(np.quantile(known, 0.95)) if len(known) else math.nan


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0 else math.nan
