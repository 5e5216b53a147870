"""f01: the Llama 3 run of 54 days on 16,384 GPUs, as scenarios/llama3_54_days.yaml simulates it.

Interruption counts are inputs (they check the machinery); ETTR is the prediction.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tables import published

import simulator as sim
from simulator import engine
from simulator.scenario.assembly import assemble
from simulator.workload.checkpoints import efficiency, young_interval

SCENARIO = Path(__file__).parents[2] / "scenarios" / "llama3_54_days.yaml"
MTTI_S = 54 * 86400 / 419


@pytest.mark.parametrize("replications", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_interruptions_and_causes_of_54_days(replications: int) -> None:
    """Mean within 3 % of 419 (4 standard errors of 40); every class in the 99.9 % Poisson interval of all of its."""
    scenario = sim.load(SCENARIO)
    counts: Counter[str] = Counter()
    interruptions, ettr = [], []
    for replication in range(replications):
        outcome = engine.run(assemble(scenario, "async_1s_restart_600s", scenario.seed, replication))
        incidents = outcome.tables["incidents"]
        counts.update(incidents["class"][incidents["effect"] == "interrupted"].tolist())
        interruptions.append(outcome.summary["interruptions"])
        ettr.append(outcome.summary["ettr"])
    assert np.mean(interruptions) == pytest.approx(419, rel=0.03)
    rows = [row for row in published("f01_llama3_405b_interruptions") if row["category"] not in ("all", "planned")]
    printed = sorted(int(row["count"]) for row in rows)
    assert len(counts) == len(printed) == 18
    stated = scenario.variant(scenario.baseline).report.published_classes
    names = {row.class_: row.count for row in stated}
    assert sorted(names.values()) == printed
    for name, count in names.items():
        low, high = stats.poisson.interval(0.999, replications * count)
        assert low <= counts[name] <= high, name
    closed = efficiency(young_interval(1.0, MTTI_S), 1.0, 600.0, MTTI_S)
    assert closed == pytest.approx(0.935, abs=0.0005)
    assert np.mean(ettr) == pytest.approx(closed, abs=0.005)
    assert np.mean(ettr) > 0.90


@pytest.mark.parametrize(
    ("variant", "cost_s", "restart_s"),
    [
        ("async_1s_restart_200s", 1.0, 200.0),
        ("async_1s_restart_1200s", 1.0, 1200.0),
        ("blocking_60s_restart_600s", 60.0, 600.0),
    ],
)
def test_ettr_of_the_other_variants_is_the_closed_form(variant: str, cost_s: float, restart_s: float) -> None:
    """40 replications, within half a percentage point."""
    scenario = sim.load(SCENARIO)
    ettr = [engine.run(assemble(scenario, variant, scenario.seed, k)).summary["ettr"] for k in range(40)]
    closed = efficiency(young_interval(cost_s, MTTI_S), cost_s, restart_s, MTTI_S)
    assert np.mean(ettr) == pytest.approx(closed, abs=0.005)
    if restart_s == 200.0:
        assert closed == pytest.approx(0.969, abs=0.0005)
