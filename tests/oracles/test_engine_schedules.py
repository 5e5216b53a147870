"""The engine with failures off starts every job at the second of the independent reference schedules and of replay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from family_w import MEAN_WAITS, NODES, family_w
from worlds import job_table, machine, profile, world

from simulator import engine
from simulator.policies.scheduling.easy import Easy
from simulator.policies.scheduling.fifo import Fifo
from simulator.scheduling import replay

DATA = Path(__file__).parent / "data"
CASES = [
    ("swf_kth_sp2", 100, Fifo(), "estimate_s", "start_fcfs_s"),
    ("swf_kth_sp2", 100, Easy(), "estimate_s", "start_easy_requested_s"),
    ("swf_kth_sp2", 100, Easy(), "run_s", "start_easy_exact_s"),
    ("swf_lublin256", 256, Fifo(), "run_s", "start_fcfs_s"),
    ("swf_lublin256", 256, Easy(), "run_s", "start_easy_exact_s"),
    ("gpu_jobs_philly2017", 480, Fifo(), "run_s", "start_fcfs_s"),
    ("gpu_jobs_philly2017", 480, Easy(), "run_s", "start_easy_exact_s"),
]


@pytest.mark.parametrize(("log", "nodes", "policy", "estimate", "expected"), CASES, ids=lambda value: str(value)[:24])
def test_engine_starts_every_job_at_the_reference_second(
    log: str, nodes: int, policy: Any, estimate: str, expected: str
) -> None:
    reference = pd.read_csv(DATA / f"schedule_reference_{log}_per_job.csv.gz")
    assert reference["submit_s"].is_monotonic_increasing
    jobs = job_table(
        reference["procs"].tolist(),
        reference["run_s"].astype(float).tolist(),
        reference["submit_s"].astype(float).tolist(),
        requested_s=reference[estimate].astype(float).tolist(),
        gpus_per_node=1,
    )
    outcome = engine.run(world(machine(nodes, 1), jobs, profile(), scheduling=policy, sample_every_s=1e12))
    np.testing.assert_array_equal(outcome.tables["jobs"]["start_s"], reference[expected].to_numpy(float))


@pytest.mark.parametrize(
    ("n", "fifo_wait_s", "easy_wait_s", "digits", "last_end_s"),
    [*MEAN_WAITS[:2], pytest.param(*MEAN_WAITS[2], marks=pytest.mark.slow)],
)
def test_mean_waits_of_family_w(
    n: int, fifo_wait_s: float, easy_wait_s: float, digits: int, last_end_s: int | None
) -> None:
    """The printed digits, and every start that of the replay core."""
    jobs = family_w(n)
    columns = [jobs[name].astype(float).tolist() for name in ("run_s", "submit_s", "requested_s")]
    table = job_table(jobs["processors"].tolist(), *columns[:2], requested_s=columns[2], gpus_per_node=1)
    for name, policy, wait_s in (("fifo", Fifo(), fifo_wait_s), ("easy", Easy(), easy_wait_s)):
        outcome = engine.run(world(machine(NODES, 1), table, profile(), scheduling=policy, sample_every_s=1e12))
        found = outcome.tables["jobs"]
        assert round(found["wait_s"].mean(), digits) == wait_s
        np.testing.assert_array_equal(found["start_s"], replay(jobs, NODES, name)["start_s"])
        if last_end_s is not None:
            assert found["end_s"].max() == last_end_s
