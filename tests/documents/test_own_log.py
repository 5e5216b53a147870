"""The head of scheduler_bakeoff shows a scenario for a log of one's own; written exactly so, it works."""

from __future__ import annotations

import gzip
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from trace_samples import SLURM_HEADER

import simulator as sim
from simulator.scenario.describe import describe

BAKEOFF = Path(__file__).parents[2] / "scenarios" / "scheduler_bakeoff.yaml"
MONDAY = datetime(2024, 5, 6)


def example() -> str:
    """The indented part of the head comment."""
    lines = BAKEOFF.read_text(encoding="utf-8").splitlines()
    first = lines.index("#   extends: scheduler_bakeoff.yaml")
    last = lines.index("#", first)
    return "\n".join(line.removeprefix("#   ") for line in lines[first:last]) + "\n"


def row(job: str, user: str, account: str, submit_h: float, run_h: int, gpus: int) -> str:
    submit = MONDAY + timedelta(hours=submit_h)
    end = submit + timedelta(hours=run_h)
    spans = f"{submit:%FT%T}|{submit:%FT%T}|{end:%FT%T}|{run_h:02}:00:00|{run_h:02}:00:00"
    tres = f"gres/gpu={gpus}"
    return f"{job}|{user}|{account}|gpu|{spans}|{gpus // 8}|{gpus}|{tres}|{tres}|COMPLETED|0:0"


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> sim.Scenario:
    """128 jobs of a node fill the machine for 10 h, all of cv; 96 more of 6 h wait before one of 512 GPUs of nlp."""
    folder = tmp_path_factory.mktemp("own")
    rows = [row(str(100 + k), "bob", "cv", 0, 10, 8) for k in range(128)]
    rows += [row(str(300 + k), "cid", "cv", 1.5, 6, 8) for k in range(96)]
    rows += [row("900", "ada", "nlp", 2, 2, 512)]
    (folder / "sacct.txt.gz").write_bytes(gzip.compress("\n".join([SLURM_HEADER, *rows]).encode()))
    shutil.copy(BAKEOFF, folder)
    (folder / "my_bakeoff.yaml").write_text(example(), encoding="utf-8")
    return sim.load(folder / "my_bakeoff.yaml")


def test_it_is_checked_and_nothing_of_the_model_is_left(mine: sim.Scenario) -> None:
    assert mine.variants == sim.load(BAKEOFF).variants
    assert not [assumption for assumption in mine.assumptions if "synthetic" in assumption.key]
    assert dict(dict(describe(mine))["Jobs"])["trace"].startswith("sacct.txt.gz: 225 jobs, 225 simulated")
    for name in mine.variants:
        spec = mine.variant(name)
        assert (spec.workload.synthetic, spec.horizon, spec.warm_up, spec.cluster.nodes) == (None, None, 0.0, 128)
    assert mine.variant("fair_share").scheduling.shares == {"nlp": 3, "cv": 1}  # type: ignore[attr-defined]
    assert mine.variant("quota").scheduling.quotas == {"nlp": 768, "cv": 256}  # type: ignore[attr-defined]


def test_each_variant_that_lives_on_what_the_log_lacks_differs_from_easy(mine: sim.Scenario) -> None:
    jobs: dict[str, pd.DataFrame] = {}
    for name in ("easy", "priority", "fair_share", "preemptive", "quota", "elastic"):
        jobs[name] = sim.run(mine, variant=name).jobs.set_index("job")
    waits_h = {name: table.loc["900", "wait_s"] / 3600 for name, table in jobs.items()}
    # Checkpoints of 30 s follow every hour of work but the last, so that 10 h of work take 10 h and 270 s.
    full_h, six_h = 10 + 270 / 3600, 6 + 150 / 3600
    assert waits_h == pytest.approx(
        {
            "easy": full_h + six_h - 2,
            "priority": full_h - 2,
            "fair_share": full_h - 2,
            "preemptive": 0.0,
            "quota": 0.0,
            "elastic": full_h - 2,
        }
    )
    assert {name for name, table in jobs.items() if table["preemptions"].sum()} == {"preemptive", "quota"}


def test_without_the_keys_of_the_trace_they_do_not(mine: sim.Scenario) -> None:
    """The counterproof: the differences above come from priorities and elastic."""
    folder = Path(mine.variant("easy").workload.trace.path).parent  # type: ignore[union-attr]
    nothing = {"workload.trace.priorities": [], "workload.trace.elastic": None}
    bare = sim.load(folder / "my_bakeoff.yaml", overrides=nothing)
    easy = sim.run(bare, variant="easy").jobs
    for name in ("priority", "preemptive", "elastic"):
        pd.testing.assert_series_equal(sim.run(bare, variant=name).jobs["wait_s"], easy["wait_s"])
