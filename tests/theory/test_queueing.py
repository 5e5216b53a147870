"""Queues with closed forms, run through the engine: M/M/c (Erlang C) and M/G/1 (Pollaczek and Khinchine).

Every run starts with an empty machine, and its first quarter is left out. The probability that one of these tests
fails by chance is that of its interval: 99.9 % by replications, Student's t. Seeds are fixed, so it either does or not.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tables import published
from worlds import job_table, machine, profile, world

from simulator import engine

REPLICATIONS, CONFIDENCE = 12, 0.999
MEAN_RUN_S = 1000.0


def erlang_c(servers: int, load: float) -> float:
    """Probability of having to wait: Erlang's B by its recursion, then C from B."""
    offered, blocking = servers * load, 1.0
    for c in range(1, servers + 1):
        blocking = offered * blocking / (c + offered * blocking)
    return blocking / (1 - load * (1 - blocking))


def waits(servers: int, load: float, run_s: Any, rng: Any, whole_machine: bool = False) -> Any:
    """Waiting times under FIFO of jobs that come at random, in units of the mean run time."""
    count, every_s = len(run_s), MEAN_RUN_S / load / (1 if whole_machine else servers)
    submit_s = np.cumsum(rng.exponential(every_s, count))
    sizes = [servers if whole_machine else 1] * count
    jobs = job_table(sizes, run_s.tolist(), submit_s.tolist(), gpus_per_node=1)
    outcome = engine.run(world(machine(servers, 1), jobs, profile(), sample_every_s=1e12))
    return outcome.tables["jobs"]["wait_s"][count // 4 :] / MEAN_RUN_S


def assert_covers(samples: list[float], expected: float) -> None:
    """The interval of the replications' mean holds the closed form."""
    half_width = stats.t.ppf(0.5 + CONFIDENCE / 2, len(samples) - 1) * stats.sem(samples)
    assert half_width < 0.5 * expected  # or it would say nothing
    assert abs(np.mean(samples) - expected) <= half_width


@pytest.mark.parametrize(
    ("servers", "load", "jobs"),
    [
        (1, 0.5, 1500),
        (2, 0.8, 3000),
        pytest.param(4, 0.9, 6000, marks=pytest.mark.slow),
        pytest.param(16, 0.8, 9000, marks=pytest.mark.slow),
    ],
)
def test_single_node_jobs_wait_as_erlang_c_says(servers: int, load: float, jobs: int) -> None:
    """How many wait, how long on average, and how many longer than half a mean wait of those who wait."""
    rng = np.random.default_rng([5, servers, round(100 * load)])
    drain = servers * (1 - load)  # rate at which those who wait are served beyond the arrivals, per mean run time
    runs = [waits(servers, load, rng.exponential(MEAN_RUN_S, jobs), rng) for _ in range(REPLICATIONS)]
    probability = erlang_c(servers, load)
    assert_covers([float((wait > 1e-9).mean()) for wait in runs], probability)
    assert_covers([float(wait.mean()) for wait in runs], probability / drain)
    assert_covers([float((wait > 0.5 / drain).mean()) for wait in runs], probability * math.exp(-0.5))


# The rows of a variation of 16 or a load of 0.9 need a hundred times as many jobs for an interval that says something.
MG1 = [
    row
    for row in published("t04_mg1_pollaczek")
    if float(row["service_cv_squared"]) <= 4 and float(row["utilisation"]) <= 0.8
]


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, marks=pytest.mark.slow if float(row["utilisation"]) > 0.7 and row is not MG1[-1] else ())
        for row in MG1
    ],
    ids=lambda row: f"rho{row['utilisation']}-cv2-{row['service_cv_squared']}",
)
def test_t04_whole_machine_jobs_wait_as_pollaczek_and_khinchine_say(row: dict[str, str]) -> None:
    """One job at a time on four nodes, run times of the given squared coefficient of variation (gamma)."""
    load, cv2 = float(row["utilisation"]), float(row["service_cv_squared"])
    rng = np.random.default_rng([6, round(100 * load), round(100 * cv2)])
    count = 1500 if load <= 0.5 else 3000 if cv2 <= 1 else 6000
    runs = []
    for _ in range(REPLICATIONS):
        run_s = np.full(count, MEAN_RUN_S) if cv2 == 0 else rng.gamma(1 / cv2, MEAN_RUN_S * cv2, count)
        runs.append(float(waits(4, load, run_s, rng, whole_machine=True).mean()))
    assert_covers(runs, float(row["mean_wait_over_mean_service"]))
