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


def queue(servers: int, load: float, n_jobs: int, replication: int) -> Any:
    rng = np.random.default_rng([23, servers, round(load * 100), replication])
    submit_s = np.cumsum(rng.exponential(MEAN_RUN_S / (load * servers), n_jobs))
    run_s = rng.exponential(MEAN_RUN_S, n_jobs)
    jobs = job_table([1] * n_jobs, run_s.tolist(), submit_s.tolist(), gpus_per_node=1)
    return world(machine(servers, 1), jobs, profile(), sample_every_s=1e12)


def waits(servers: int, load: float, replications: int, n_jobs: int) -> tuple[Any, Any]:
    """Return P(wait) and mean wait over mean run by replication, the first quarter of the jobs left out."""
    probability, mean = [], []
    for k in range(replications):
        wait_s = engine.run(queue(servers, load, n_jobs, k)).tables["jobs"]["wait_s"][n_jobs // 4 :]
        probability.append((wait_s > 1e-9).mean())
        mean.append(wait_s.mean() / MEAN_RUN_S)
    return np.array(probability), np.array(mean)


@pytest.mark.slow
@pytest.mark.parametrize("row", T03, ids=lambda row: f"c{row['servers']}-rho{row['utilisation']}")
def test_t03_poisson_arrivals_wait_as_erlang_c_says(row: dict[str, str]) -> None:
    """P(wait) within 4 standard errors with a half-width of at most 1 percentage point; the mean wait likewise."""
    servers, load = int(row["servers"]), float(row["utilisation"])
    # Chosen by trial so that the half-width asked for is met: the fuller queue forgets its state more slowly.
    # 24 replications, because with few of them the standard error itself is too uncertain for four of it.
    n_jobs = {0.5: 10_000, 0.8: 36_000, 0.9: 45_000}[load]
    if servers <= 4:
        n_jobs //= 2
    elif load == 0.9 and servers > 8:
        n_jobs = 120_000 if servers < 256 else 64_000
    probability, mean = waits(servers, load, 24, n_jobs)
    error = probability.std(ddof=1) / math.sqrt(len(probability))
    assert 1.96 * error <= 0.01
    assert abs(probability.mean() - float(row["erlang_c_prob_wait"])) <= 4 * error
    error = mean.std(ddof=1) / math.sqrt(len(mean))
    assert abs(mean.mean() - float(row["mean_wait_over_mean_service"])) <= 4 * error


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


@pytest.mark.parametrize("row", published("t07_k_out_of_n"), ids=lambda row: row["case"])
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
