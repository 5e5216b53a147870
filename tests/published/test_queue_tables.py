"""t03 and t07: M/M/c queues and k out of n, simulated by the engine against the closed forms of the tables."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tables import published
from worlds import DAY_S, fault, job_table, machine, profile, repair, world

from simulator import engine

T03 = [
    row
    for row in published("t03_mmc_erlang")
    if float(row["utilisation"]) <= 0.9 and float(row["erlang_c_prob_wait"]) >= 0.01
]
MEAN_RUN_S = 1000.0


def queue(servers: int, load: float, n_jobs: int, replication: int, is_mirrored: bool = False) -> Any:
    """Return a queue; in the mirrored one short times between jobs, and short jobs, are long and long ones short."""
    uniform = np.random.default_rng([23, servers, round(load * 100), replication]).random((2, n_jobs))
    between, run = -np.log1p(-uniform if not is_mirrored else uniform - 1.0)
    submit_s = np.cumsum(between * MEAN_RUN_S / (load * servers))
    jobs = job_table([1] * n_jobs, (run * MEAN_RUN_S).tolist(), submit_s.tolist(), gpus_per_node=1)
    return world(machine(servers, 1), jobs, profile(), sample_every_s=1e12)


# Jobs of a run, and how many of them are left out: by then the queue has forgotten, but for e^-6, that it was empty
# (it does so over load / (1 - sqrt(load))^2 jobs, whatever the number of servers).
JOBS = {0.5: (600, 100), 0.8: (2500, 500), 0.9: (8000, 2400)}


def waits(servers: int, load: float, replication: int) -> tuple[float, float]:
    """Return P(wait) and mean wait over mean run: of two mirrored runs, which vary less than two that are not."""
    n_jobs, left_out = JOBS[load]
    runs = [queue(servers, load, n_jobs, replication, is_mirrored) for is_mirrored in (False, True)]
    wait_s = np.array([engine.run(run).tables["jobs"]["wait_s"][left_out:] for run in runs])
    return float((wait_s > 1e-9).mean()), float(wait_s.mean() / MEAN_RUN_S)


@pytest.mark.slow
@pytest.mark.parametrize("row", T03, ids=lambda row: f"c{row['servers']}-rho{row['utilisation']}")
def test_t03_poisson_arrivals_wait_as_erlang_c_says(row: dict[str, str]) -> None:
    """P(wait) within 4 standard errors with a half-width of at most 1 percentage point; the mean wait likewise."""
    servers, load = int(row["servers"]), float(row["utilisation"])
    # 24 replications at least: with few of them the standard error itself is too uncertain for four of it.
    found = [waits(servers, load, k) for k in range(24)]
    while 1.96 * (error := standard_errors(found)[0]) > 0.01:
        found += [waits(servers, load, k) for k in range(len(found), len(found) + 4)]
    probability, mean = np.mean(found, axis=0)
    assert abs(probability - float(row["erlang_c_prob_wait"])) <= 4 * error
    assert abs(mean - float(row["mean_wait_over_mean_service"])) <= 4 * standard_errors(found)[1]


def standard_errors(found: list[tuple[float, float]]) -> Any:
    return np.std(found, axis=0, ddof=1) / math.sqrt(len(found))


def test_little_s_law_holds_on_a_run() -> None:
    """Mean number in the queue is the arrival rate times the mean wait, exactly, when all jobs are counted."""
    outcome = engine.run(queue(4, 0.8, 3000, 0))
    jobs = outcome.tables["jobs"]
    times = np.concatenate((jobs["submit_s"], jobs["start_s"]))
    steps = np.concatenate((np.ones(3000), -np.ones(3000)))
    order = np.argsort(times, kind="stable")
    times, level = times[order], np.cumsum(steps[order])
    span_s = jobs["end_s"].max()
    queued = np.sum(level[:-1] * np.diff(times)) / span_s
    assert queued == pytest.approx(3000 / span_s * jobs["wait_s"].mean(), rel=1e-9)


T07 = published("t07_k_out_of_n")
# The rows differ in their numbers only: every other one does for every day.
T07_MARKED = [pytest.param(row, marks=pytest.mark.slow if place % 2 else ()) for place, row in enumerate(T07)]


@pytest.mark.parametrize("row", T07_MARKED, ids=lambda row: row["case"])
def test_t07_k_out_of_n_units_up(row: dict[str, str]) -> None:
    """Independent units: P(at least k up) within 4 standard errors of the binomial, 24 replications."""
    n, k = int(row["n"]), int(row["k_needed"])
    availability = float(row["unit_availability"])
    mean_repair_s = 0.1 * DAY_S
    rate = (1 / availability - 1) / mean_repair_s
    kind = fault(rate, repair=repair("exponential", mean_repair_s))
    # As many events in every case: rare outages need a longer span.
    span_s = min(max(2000 / (n * rate), 40 * mean_repair_s), 20_000 * mean_repair_s)
    base = world(
        machine(n),
        job_table([], []),
        profile(),
        kind,
        warm_up_s=5 * mean_repair_s,
        horizon_s=5 * mean_repair_s + span_s,
        sample_every_s=1e12,
    )
    shares = []
    for replication in range(24):
        table = engine.run(replace(base, seed=4, replication=replication)).tables["occupancy"]
        mine = table["quantity"] == "nodes_out"
        level, time_s = table["level"][mine], table["time_s"][mine]
        shares.append(time_s[level <= n - k].sum() / time_s.sum())
    error = np.std(shares, ddof=1) / math.sqrt(len(shares))
    assert abs(np.mean(shares) - float(row["prob_at_least_k"])) <= 4 * error + 1e-5
