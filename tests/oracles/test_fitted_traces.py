"""Models fitted to real traces draw workloads that look like them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulator.streams import generator
from simulator.workload.fitting import fit, size_class
from simulator.workload.submissions import Submissions
from simulator.workload.synthetic import draw
from simulator.workload.traces import origin_of, read_trace, sample_of

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
TRACES = {
    "kth": ("swf", "swf_kth_sp2/KTH-SP2-1996-2.1-cln.swf.gz"),
    "philly": ("philly", "gpu_jobs_philly2017/philly_jobs_14vc.csv.gz"),
}


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """Greatest difference between two empirical distribution functions (Kolmogorov and Smirnov)."""
    places = np.sort(np.concatenate([first, second]))
    of_each = [np.searchsorted(np.sort(each), places, side="right") / len(each) for each in (first, second)]
    return float(np.abs(of_each[0] - of_each[1]).max())


def gpu_time_by_size(jobs: Submissions, classes: int) -> np.ndarray:
    total = np.bincount(size_class(jobs.gpus), jobs.gpus * jobs.run_s, classes)
    return total / total.sum()


@pytest.mark.slow
@pytest.mark.parametrize("name", TRACES)
def test_drawn_jobs_are_like_those_of_the_trace(name: str) -> None:
    format, place = TRACES[name]
    path = SHARED / place
    if not path.exists():
        pytest.skip(f"the original trace is not part of this project; put it at shared/data/{place}")
    table, report = read_trace(format, path)
    sample, _ = sample_of(table, origin_of(report.header))
    trace, model = sample.jobs, fit(sample, name)
    load = (trace.gpus * trace.run_s).sum() / trace.submit_s[-1]
    assert model.jobs_per_s * model.mean_gpu_s == pytest.approx(load, rel=1e-4)

    drawn = draw(model, lambda purpose: generator(1, 0, purpose), model.jobs_per_s, jobs=1_000_000)
    # A million draws: what is left is the error of the model. Run times lie on a line between quantiles; sizes whole.
    for each in np.unique(size_class(trace.gpus)):
        rows, others = size_class(trace.gpus) == each, size_class(drawn.gpus) == each
        if rows.sum() > 400:
            assert distance(trace.run_s[rows], drawn.run_s[others]) < 0.08
    # Batches of up to 365 equal sizes: the share of a size is drawn from fewer than a million.
    assert distance(trace.gpus.astype(float), drawn.gpus.astype(float)) < 0.01
    classes = int(size_class(trace.gpus).max()) + 1
    assert gpu_time_by_size(drawn, classes) == pytest.approx(gpu_time_by_size(trace, classes), abs=0.06)
    # The traces are burstier than batches of one size: users change the size from job to job.
    gaps = distance(np.diff(trace.submit_s), np.diff(drawn.submit_s))
    poisson = np.random.default_rng(1).exponential(1 / model.jobs_per_s, 100_000)
    assert gaps < 0.2
    assert gaps < 0.75 * distance(np.diff(trace.submit_s), poisson)


@pytest.mark.slow
def test_the_week_of_kth_has_its_office_hours() -> None:
    path = SHARED / TRACES["kth"][1]
    if not path.exists():
        pytest.skip(f"the original trace is not part of this project; put it at shared/data/{TRACES['kth'][1]}")
    table, report = read_trace("swf", path)
    sample, _ = sample_of(table, origin_of(report.header))
    rhythm = fit(sample, "kth").rhythm
    assert min(rhythm.hours[9:18]) > 3 * max(rhythm.hours[0:6])
    assert max(rhythm.days[5:]) < 0.6 * min(rhythm.days[:5])
