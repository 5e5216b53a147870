"""The readers find in the given traces what was counted there independently (shared/data/oracles/data_facts.json)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from simulator.workload.traces import read_trace

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def facts(section: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(given("oracles/data_facts.json").read_text(encoding="utf-8"))[section]
    return found


def given(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"the original trace is not part of this project; put it at shared/data/{name}")
    return path


def counts(column: pd.Series) -> dict[str, int]:
    return {str(value): int(count) for value, count in column.value_counts().items()}


def test_alibaba() -> None:
    fact = facts("openb_default")
    table, report = read_trace("alibaba", given("gpu_jobs_alibaba_openb2023/openb_pod_list_default.csv.gz"))
    assert (len(table), report.dropped) == (fact["tasks"], ())
    assert counts(table["gpus"]) == fact["num_gpu_counts"]
    assert int(table["gpu_share"].notna().sum()) == fact["gpu_share_tasks"]
    phase = fact["phase"]
    assert counts(table["state"]) == {"failed": phase["Failed"], "completed": phase["Succeeded"]}
    assert int(table["start_s"].isna().sum()) == fact["sched_missing"] == phase["Pending"]
    assert float(table["submit_s"].max()) == fact["creation_max"]
    on_gpus = table[table["gpus"] > 0]
    run_s, share = on_gpus["run_s"], on_gpus["gpu_share"].fillna(1.0)
    found = {"mean": run_s.mean(), "median": run_s.median(), "p90": run_s.quantile(0.9), "max": run_s.max()}
    assert found == pytest.approx(fact["gpu_tasks_run_s"])
    wait_s = on_gpus["start_s"] - on_gpus["submit_s"]
    found = {"mean": wait_s.mean(), "median": wait_s.median(), "p99": wait_s.quantile(0.99), "max": wait_s.max()}
    assert found == pytest.approx(fact["wait_s"])
    gpus = on_gpus["gpus"].astype(float) * share
    assert (gpus * run_s).sum() / 3600 == pytest.approx(fact["gpu_hours"])
    assert gpus.sum() == pytest.approx(fact["gpu_demand_sum"])


def test_philly() -> None:
    fact = facts("philly_given")
    table, report = read_trace("philly", given("gpu_jobs_philly2017/philly_jobs_14vc.csv.gz"))
    assert (len(table), report.header["origin"]) == (fact["jobs"], fact["first"])
    assert table["partition"].nunique() == fact["vcs"]
    assert table["user"].isna().all()
    assert counts(table["gpus"]) == fact["num_gpus"]
    assert float(table["submit_s"].max()) == pytest.approx(fact["span_days"] * 86400)


@pytest.mark.parametrize(
    ("name", "log"),
    [("kth", "swf_kth_sp2/KTH-SP2-1996-2.1-cln.swf.gz"), ("lublin", "swf_lublin256/lublin_256.swf.gz")],
)
def test_swf(name: str, log: str) -> None:
    fact = facts("swf")[name]
    table, report = read_trace("swf", given(log))
    assert (len(table), report.dropped) == (fact["jobs"], ())
    assert table["user"].fillna("-1").nunique() == fact["users"]  # there, missing counts as one user
    assert int(table["requested_s"].isna().sum()) == fact["requested_time_missing"]
    assert int((table["run_s"] > table["requested_s"]).sum()) == fact["run_gt_requested"]
    run_s = table["run_s"]
    found = {"mean": run_s.mean(), "median": run_s.median(), "max": run_s.max()}
    assert found == pytest.approx(fact["run_s"])
