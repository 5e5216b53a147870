"""Every job of three traces starts at the second at which an independent program starts it.

The reference tables are in data/ (see its README), so the schedules are checked for everyone. Reading the original
logs is checked where they are at hand.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from family_w import MEAN_WAITS, NODES, family_w

from simulator.scheduling import replay
from simulator.workload.traces import ImportReport, read_trace, to_processors

DATA = Path(__file__).parent / "data"
LOGS = Path(__file__).parents[2].parent / "shared" / "data"


@dataclass(frozen=True)
class Reference:
    name: str
    format: str
    log: str
    processors: int


REFERENCES = [
    Reference("swf_kth_sp2", "swf", "swf_kth_sp2/KTH-SP2-1996-2.1-cln.swf.gz", 100),
    Reference("swf_lublin256", "swf", "swf_lublin256/lublin_256.swf.gz", 256),
    Reference("gpu_jobs_philly2017", "philly", "gpu_jobs_philly2017/philly_jobs_14vc.csv.gz", 480),
]
SCHEDULES = [
    ("fifo", "requested", "start_fcfs_s"),
    ("easy", "requested", "start_easy_requested_s"),
    ("easy", "exact", "start_easy_exact_s"),
]
each_reference = pytest.mark.parametrize("reference", REFERENCES, ids=lambda reference: reference.name)
each_schedule = pytest.mark.parametrize(("policy", "estimates", "column"), SCHEDULES)


def expected(reference: Reference) -> pd.DataFrame:
    return pd.read_csv(DATA / f"schedule_reference_{reference.name}_per_job.csv.gz")


def published(reference: Reference) -> dict[str, Any]:
    text = (DATA / f"schedule_reference_{reference.name}.json").read_text(encoding="utf-8")
    results = json.loads(text)["results"]
    found: dict[str, Any] = results.get("all_" + str(len(expected(reference))), results)
    return found


def log(reference: Reference) -> tuple[pd.DataFrame, ImportReport]:
    path = LOGS / reference.log
    if not path.exists():
        pytest.skip(f"the original log is not part of this project; put it at shared/data/{reference.log}")
    return read_trace(reference.format, path)


@each_schedule
@each_reference
def test_every_job_starts_at_the_reference_second(
    reference: Reference, policy: str, estimates: str, column: str
) -> None:
    table = expected(reference)
    jobs = table.rename(columns={"procs": "processors"})
    jobs["requested_s"] = table["estimate_s"] if estimates == "requested" else table["run_s"]
    result = replay(jobs, reference.processors, policy)
    np.testing.assert_array_equal(result["start_s"], table[column])

    # The means stand in the JSON on their own, so a table that was damaged on its way here would show.
    rows = {"start_fcfs_s": "fcfs", "start_easy_requested_s": "easy_requested_time"}
    row = published(reference).get(rows.get(column, "easy_exact_runtime_as_estimate"))
    if row is None:  # Philly states one EASY row: its requests are the run times
        row = published(reference)["easy_exact_runtime_as_estimate"]
    wait_s = result["start_s"] - result["submit_s"]
    run_s = result["end_s"] - result["start_s"]
    slowdown = np.maximum(1.0, (wait_s + run_s) / np.maximum(run_s, 10.0))
    assert len(result) == row["jobs"]
    # Sums of whole seconds are exact; the mean may round in the last digits, the slowdown's terms too.
    assert wait_s.mean() == pytest.approx(row["mean_wait_s"], rel=1e-12)
    assert slowdown.mean() == pytest.approx(row["mean_bounded_slowdown"], rel=1e-9)
    assert result["end_s"].max() - result["submit_s"].min() == row["makespan_s"]


@each_schedule
@each_reference
def test_the_original_log_gives_the_same_schedule(
    reference: Reference, policy: str, estimates: str, column: str
) -> None:
    table, _ = log(reference)
    jobs, _ = to_processors(table, reference.processors, estimates)  # type: ignore[arg-type]
    result = replay(jobs, reference.processors, policy)
    starts = expected(reference).set_index("job")[column]
    assert len(result) == len(starts)
    np.testing.assert_array_equal(result["start_s"], starts.loc[result["job"].astype(int)])


def test_rows_and_cleaning_counts_of_the_original_logs() -> None:
    # Counts of shared/data: README of each folder and `cleaning_counts` of the references.
    kth, report = log(REFERENCES[0])
    assert (report.rows_read, report.rows_kept, report.dropped) == (28476, 28476, ())
    assert (report.header["MaxProcs"], kth["user"].nunique()) == ("100", 214)
    assert (kth["start_s"] - kth["submit_s"]).mean() == pytest.approx(15295.874841972187, rel=1e-12)
    _, cleaning = to_processors(kth, 100)
    assert (cleaning.without_processors, cleaning.without_run_time, cleaning.cut_to_request) == (1, 8, 475)
    assert (cleaning.jobs_read, cleaning.jobs_kept, cleaning.estimated_by_run_time) == (28476, 28467, 0)

    lublin, _ = log(REFERENCES[1])
    _, cleaning = to_processors(lublin, 256)
    assert (cleaning.jobs_kept, cleaning.estimated_by_run_time, cleaning.cut_to_request) == (10000, 10000, 0)
    assert lublin["start_s"].isna().all()

    philly, report = log(REFERENCES[2])
    assert (report.rows_read, report.rows_kept) == (41021, 41021)
    assert report.header["origin"] == "2017-09-04 10:30:41"
    assert philly["submit_s"].is_monotonic_increasing
    assert philly["gpus"].value_counts().loc[[1, 2, 4, 8]].tolist() == [35786, 1768, 1726, 1452]
    assert (philly["run_s"] * philly["gpus"]).sum() / 3600 == pytest.approx(880894, abs=0.5)


@pytest.mark.parametrize(("n", "fifo_wait_s", "easy_wait_s", "digits", "last_end_s"), MEAN_WAITS)
def test_mean_waits_of_family_w(
    n: int, fifo_wait_s: float, easy_wait_s: float, digits: int, last_end_s: int | None
) -> None:
    jobs = family_w(n)
    for policy, wait_s in (("fifo", fifo_wait_s), ("easy", easy_wait_s)):
        result = replay(jobs, NODES, policy)
        assert round((result["start_s"] - result["submit_s"]).mean(), digits) == wait_s
        if last_end_s is not None:
            assert result["end_s"].max() == last_end_s
