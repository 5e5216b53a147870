"""t01 and t02: efficiency of checkpointing, simulated by the engine against the closed forms of the tables."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tables import published
from worlds import DAY_S, fault, job_table, machine, profile, world

from simulator import engine

T01 = published("t01_checkpoint_optimum")
T02 = [
    row
    for row in published("t02_meta_ettr_formula")
    if int(row["nodes"])
    * float(row["failure_rate_per_1000_node_days"])
    / 1000
    / DAY_S
    * (float(row["restart_u0_s"]) + float(row["checkpoint_interval_dt_s"]) / 2)
    < 0.1
]


def ettr_of(mtbf_s: float, cost_s: float, interval_s: float, restart_s: float, failures: int, seed: int) -> Any:
    """Return mean and standard error of the ETTR of one job whose process dies at a constant rate."""
    kind = fault(1.0 / mtbf_s, takes_node_out=False)
    base = world(
        machine(1),
        job_table([1], [math.inf]),
        profile(interval_s, cost_s, restart_s),
        kind,
        horizon_s=20 * mtbf_s,
    )
    # 20 batches keep the interval honest; each is one long run.
    batches = 20
    horizon_s = failures / batches * mtbf_s
    values = np.array(
        [
            engine.run(replace(base, horizon_s=horizon_s, seed=seed, replication=k)).summary["ettr"]
            for k in range(batches)
        ]
    )
    return values.mean(), values.std(ddof=1) / math.sqrt(batches)


@pytest.mark.slow
@pytest.mark.parametrize(
    "row", T01, ids=lambda row: f"{row['mtbf_M_s']}-{row['checkpoint_cost_C_s']}-{row['restart_R_s']}"
)
def test_t01_efficiency_at_the_exact_optimum(row: dict[str, str]) -> None:
    """Failures also hit restarts and checkpoints; 10,000 failures; 4 standard errors, half-width at most 1 %."""
    mtbf_s, cost_s = float(row["mtbf_M_s"]), float(row["checkpoint_cost_C_s"])
    mean, error = ettr_of(mtbf_s, cost_s, float(row["tau_exact_s"]), float(row["restart_R_s"]), 10_000, seed=11)
    expected = float(row["efficiency_exact_failures_during_restart"])
    assert 1.96 * error <= 0.01
    assert abs(mean - expected) <= 4 * error
    assert abs(mean / expected - 1) < 0.03


@pytest.mark.parametrize("nodes", sorted({int(row["nodes"]) for row in T02}))
def test_t02_expected_ettr_of_the_rsc_paper(nodes: int) -> None:
    """Where N r (u0 + dt/2) < 0.1 the first-order formula is met within 2 %."""
    for row in (row for row in T02 if int(row["nodes"]) == nodes):
        rate = nodes * float(row["failure_rate_per_1000_node_days"]) / 1000 / DAY_S
        mean, _ = ettr_of(
            1 / rate,
            float(row["checkpoint_write_w_s"]),
            float(row["checkpoint_interval_dt_s"]),
            float(row["restart_u0_s"]),
            600,
            seed=5,
        )
        assert mean == pytest.approx(float(row["expected_ettr"]), rel=0.02), row
