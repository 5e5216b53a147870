"""What the users of a real machine waited, beside what they would have waited under EASY: KTH's SP2, 1996 to 1997."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simulator as sim
from simulator.workload.traces import read_trace, to_processors

ROOT = Path(__file__).parents[2]
LOG = "swf_kth_sp2/KTH-SP2-1996-2.1-cln.swf.gz"
PROCESSORS = 100
CLASSES = [1, 2, 4, 8, 16, 32, 64, 100]
"""Largest size of each class."""


def kth() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Jobs with recorded and simulated waits, and the log."""
    path = ROOT.parent / "shared" / "data" / LOG
    if not path.exists():
        pytest.skip(f"the original log is not part of this project; put it at shared/data/{LOG}")
    keys = {"workload.trace.path": str(path), "cluster.nodes": PROCESSORS}
    result = sim.run(sim.load(ROOT / "scenarios" / "trace_replay.yaml", overrides=keys), variant="easy")
    log, _ = read_trace("swf", path)
    jobs, _ = to_processors(log, PROCESSORS)
    assert result.jobs["job"].tolist() == jobs["job"].astype(str).tolist()
    jobs["simulated_s"] = result.jobs["wait_s"]
    jobs["recorded_s"] = (log["start_s"] - log["submit_s"]).to_numpy()[jobs["row"]]
    jobs["size"] = np.searchsorted(CLASSES, jobs["processors"])
    jobs.attrs["utilisation"] = result.summary["utilisation"]
    return jobs, log


def test_waits_of_every_size_class_lie_within_a_factor_of_three() -> None:
    """The machine ran EASY too, but it stood still now and then, so all users waited longer than in the simulation."""
    jobs, log = kth()
    means = jobs.groupby("size")[["simulated_s", "recorded_s"]].mean()
    assert len(means) == len(CLASSES)
    ratio = means["simulated_s"] / means["recorded_s"]
    assert ratio.between(1 / 3, 3).all()
    # docs/validation.md prints these.
    assert ratio.round(2).tolist() == [0.43, 0.89, 0.40, 0.41, 0.38, 0.52, 0.56, 0.43]
    assert jobs["recorded_s"].mean() == pytest.approx(15291, abs=1)
    assert jobs["simulated_s"].mean() == pytest.approx(6837, abs=1)

    # Work over time is the log's own: runs that outlived their request, cut in the simulation, are 0.3 % of it.
    used = (log["gpus"].astype(float) * log["run_s"]).sum()
    span_s = (log["start_s"] + log["run_s"]).max() - log["submit_s"].min()
    assert jobs.attrs["utilisation"] == pytest.approx(used / PROCESSORS / span_s, abs=0.005)


def test_the_record_has_outages() -> None:
    """For 15 % of the year at least ten jobs wait in the log while less than half of the machine is in use."""
    _, log = kth()
    ends = log["start_s"] + log["run_s"]
    grid = np.arange(log["submit_s"].min(), ends.max(), 600.0)

    def level(up: pd.Series, down: pd.Series, weight: pd.Series) -> np.ndarray:
        total = np.zeros(len(grid) + 1)
        np.add.at(total, np.searchsorted(grid, up), weight.astype(float))
        np.subtract.at(total, np.searchsorted(grid, down), weight.astype(float))
        return np.cumsum(total)[:-1]

    used = level(log["start_s"], ends, log["gpus"].fillna(0))
    waiting = level(log["submit_s"], log["start_s"], pd.Series(1, log.index))
    assert ((used < PROCESSORS / 2) & (waiting >= 10)).mean() == pytest.approx(0.153, abs=0.002)
    assert ((used < 30) & (waiting >= 10)).mean() == pytest.approx(0.103, abs=0.002)
