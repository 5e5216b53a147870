"""s01 and s02: the schedulers of RLScheduler (SC 2020, Tables V and VI) on its Lublin workload, to the printed digits.

The schedulers are a user's own: classes over the public contract, not part of the package. That paper's rules differ
from the textbook's:

- One job at a time is chosen by a score and then stays chosen until it fits; what arrives meanwhile waits for the next
  choice. Where nobody waits, the next job to arrive is chosen, alone.
- With backfill the start of the chosen job is foretold once, when it is chosen, from the requested times; until it
  starts any job may go before it, in order of submission, if it is expected to end before that time. There is no rule
  of extra processors.
- At one instant every arrival is an event of its own, then every end; after each of them jobs may start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tables import published
from worlds import job_table, machine, profile, world

import simulator as sim
from simulator import engine
from simulator.policies.decisions import Start
from simulator.policies.views import Floats, QueuedJobs, SchedulerView

NODES, JOBS = 256, 1024
LOG = Path(__file__).parents[1] / "oracles" / "data" / "schedule_reference_swf_lublin256_per_job.csv.gz"


# --- the paper's schedulers -------------------------------------------------------------------------------------------

Score = Callable[[QueuedJobs, Floats, float], Floats]


def first_come(queue: QueuedJobs, submit_s: Floats, now_s: float) -> Floats:
    return submit_s


def shortest(queue: QueuedJobs, submit_s: Floats, now_s: float) -> Floats:
    return queue.requested_s


def f1(queue: QueuedJobs, submit_s: Floats, now_s: float) -> Floats:
    """The learned score of Carastan-Santos and de Camargo (SC 2017); it depends on when the clock is zero."""
    return np.log10(queue.requested_s) * queue.gpus + 870 * np.log10(submit_s)


def wfp3(queue: QueuedJobs, submit_s: Floats, now_s: float) -> Floats:
    """(wait / request)^3 x processors, the greatest first (Tang et al., IPDPS 2009)."""
    return -(((now_s - submit_s) / queue.requested_s) ** 3) * queue.gpus


def unicep(queue: QueuedJobs, submit_s: Floats, now_s: float) -> Floats:
    """wait / (log2(processors) x request), the greatest first; 1e-15 keeps one processor from a division by zero."""
    return -(now_s - submit_s + 1e-15) / (np.log2(queue.gpus + 1e-15) * queue.requested_s)


def as_published(score: Score) -> Score:
    """The waiting time goes up to a start that is not set yet, which that program writes as -1."""
    return lambda queue, submit_s, now_s: score(queue, submit_s, -1.0)


SCORES: dict[str, Score] = {
    "FCFS": first_come,
    "SJF": shortest,
    "F1": f1,
    "WFP3 correct": wfp3,
    "UNICEP correct": unicep,
    "WFP3 as published (waiting time = -1 - submit)": as_published(wfp3),
    "UNICEP as published (waiting time = -1 - submit)": as_published(unicep),
}


@dataclass(frozen=True)
class Run:
    job: int
    gpus: int
    end_s: float  # expected


@dataclass
class Memory:
    """What the scheduler remembers from one pass to the next: whom it has chosen, and what runs, in order of start."""

    chosen: int | None = None
    foretold_s: float = 0.0
    running: list[Run] = field(default_factory=list)


@dataclass(frozen=True)
class OneAtATime:
    """Choose the job of the lowest score, wait until it fits, start it, choose again."""

    score: Score
    backfills: bool = False
    zero_s: float = 0.0  # what the log's clock showed when the run's was 0

    def remember(self) -> Memory:
        return Memory()

    def schedule(self, view: SchedulerView) -> Sequence[Start]:
        return Instant(self, view).starts


class Instant:
    """One instant, event by event as in that program: every arrival, then every end, and after each who can start.

    Here there is one pass after all of them. Which jobs have just ended is known by comparison with the last pass.
    """

    def __init__(self, policy: OneAtATime, view: SchedulerView) -> None:
        self.policy, self.now_s, self.queue = policy, view.now_s, view.queue
        self.memory: Memory = view.memory
        self.submit_s = view.queue.submit_s
        self.waits = np.zeros(len(view.queue), dtype=np.bool_)
        self.starts: list[Start] = []
        still_run = set(view.running.job.tolist())
        ended = [run for run in self.memory.running if run.job not in still_run]
        just_now = sorted((run for run in ended if run.end_s >= self.now_s), key=lambda run: run.end_s)
        self.memory.running = [run for run in self.memory.running if run.job in still_run or run in just_now]
        self.free = view.free_gpus - sum(run.gpus for run in just_now)

        earlier = np.flatnonzero(self.submit_s < self.now_s)
        if self.memory.chosen is None and len(earlier):  # they came when nothing was free: the first was chosen then
            self.waits[earlier[0]] = True
            self.choose()
        self.waits[earlier] = True
        self.start_whom_it_can()
        for place in np.flatnonzero(self.submit_s == self.now_s).tolist():
            self.waits[place] = True
            self.start_whom_it_can()
        for run in just_now:
            self.memory.running.remove(run)
            self.free += run.gpus
            self.start_whom_it_can()

    def start_whom_it_can(self) -> None:
        while self.waits.any():
            if self.memory.chosen is None:
                self.choose()
            chosen = int(np.searchsorted(self.queue.job, self.memory.chosen))
            if self.queue.gpus[chosen] > self.free:
                break
            self.start(chosen)
            self.memory.chosen = None
        if self.policy.backfills:
            is_short = self.now_s + self.queue.requested_s < self.memory.foretold_s
            for place in np.flatnonzero(self.waits & is_short).tolist():
                if self.queue.gpus[place] <= self.free:
                    self.start(place)

    def choose(self) -> None:
        """Choose the job of the lowest score, among equals the first, and foretell when it will fit."""
        zero_s = self.policy.zero_s
        scores = self.policy.score(self.queue, self.submit_s + zero_s, self.now_s + zero_s)
        place = int(np.argmin(np.where(self.waits, scores, np.inf)))
        self.memory.chosen = int(self.queue.job[place])
        self.memory.foretold_s, free = self.now_s, self.free
        for run in sorted(self.memory.running, key=lambda run: run.end_s):
            if free >= self.queue.gpus[place]:
                break
            self.memory.foretold_s, free = run.end_s, free + run.gpus

    def start(self, place: int) -> None:
        job, gpus = int(self.queue.job[place]), int(self.queue.gpus[place])
        self.waits[place] = False
        self.free -= gpus
        self.memory.running.append(Run(job, gpus, self.now_s + float(self.queue.requested_s[place])))
        self.starts.append(Start(job))


# --- the tables -------------------------------------------------------------------------------------------------------


def sequence(first: int) -> pd.DataFrame:
    """1,024 jobs in a row; every run time of this workload is above 0, so no row is left out."""
    jobs: pd.DataFrame = pd.read_csv(LOG)
    return jobs.iloc[first : first + JOBS]


def schedule(policy: OneAtATime, jobs: pd.DataFrame) -> dict[str, Any]:
    """The job table of a run on an empty machine, on the log's own clock."""
    run_s, submit_s = jobs["run_s"].astype(float).tolist(), jobs["submit_s"].astype(float).tolist()
    table = job_table(jobs["procs"].tolist(), run_s, submit_s, requested_s=run_s, gpus_per_node=1)
    outcome = engine.run(world(machine(NODES, 1), table, profile(), scheduling=policy, sample_every_s=1e12))
    columns: dict[str, Any] = outcome.tables["jobs"]
    return columns


def bounded_slowdown(jobs: Any) -> Any:
    run_s = jobs["end_s"] - jobs["start_s"]
    return np.maximum(1.0, (jobs["wait_s"] + run_s) / np.maximum(run_s, 10.0))


SEQUENCES = sorted({int(row["start_row_0_based"]) for row in published("s02_reference_schedules_lublin1")})


@pytest.mark.parametrize(
    "row",
    published("s01_rlscheduler_bounded_slowdown_lublin1"),
    ids=lambda row: f"{row['policy'][:16]}-backfill{row['backfill']}",
)
def test_s01_mean_bounded_slowdown_to_the_printed_digits(row: dict[str, str]) -> None:
    """The mean of the ten sequences' means; and each of them, where s02 has it."""
    policy = OneAtATime(SCORES[row["policy"]], row["backfill"] == "1")
    each = {
        (r["policy"], r["backfill"], int(r["start_row_0_based"])): r
        for r in published("s02_reference_schedules_lublin1")
    }
    slowdowns, waits_s, used = [], [], []
    for first in SEQUENCES:
        jobs = schedule(policy, sequence(first))
        slowdown = bounded_slowdown(jobs)
        slowdowns.append(slowdown.mean())
        waits_s.append(jobs["wait_s"].mean())
        work = np.sum((jobs["end_s"] - jobs["start_s"]) * jobs["gpus"])
        begin_s = jobs["submit_s"].min()
        used.append([work / NODES / (jobs[until].max() - begin_s) for until in ("start_s", "end_s")])
        known = each.get((row["policy"], row["backfill"], first))
        if known is not None:
            assert slowdown.mean() == pytest.approx(float(known["mean_bounded_slowdown"]), rel=1e-7)
            assert slowdown.max() == pytest.approx(float(known["max_bounded_slowdown"]), abs=1e-3)
            assert jobs["end_s"].max() - begin_s == float(known["makespan_s"])
    for printed in ("published_mean_bounded_slowdown", "reproduced_mean_bounded_slowdown"):
        if row[printed]:
            assert round(np.mean(slowdowns), 2) == float(row[printed])
    assert round(np.mean(waits_s), 1) == float(row["mean_wait_s"])
    to_last_start, to_last_end = np.mean(used, axis=0)
    if row["published_utilisation"]:
        assert round(to_last_start, 3) == float(row["published_utilisation"])
    assert round(to_last_end, 3) == float(row["utilisation_to_last_end"])


@pytest.mark.parametrize("backfills", [False, True])
def test_the_same_schedule_from_a_table_and_a_scenario(backfills: bool, tmp_path: Path) -> None:
    """As a user would: the jobs in a file, a scenario, the policy given to run; there the clock starts at 0."""
    jobs = sequence(SEQUENCES[0])
    columns = {
        "job": jobs["job"].astype(str),
        "gpus": jobs["procs"],
        **{name: jobs[name] for name in ("submit_s", "run_s")},
    }
    pd.DataFrame(columns).to_csv(tmp_path / "jobs.csv", index=False)
    (tmp_path / "scenario.yaml").write_text(
        "name: one_at_a_time\n"
        f"cluster: {{nodes: {NODES}, node: {{gpus: 1, gpu: processor}}}}\n"
        "workload: {trace: {format: table, path: jobs.csv, demand: nodes}}\n"
    )
    policy = OneAtATime(f1, backfills, zero_s=float(jobs["submit_s"].iloc[0]))
    result = sim.run(sim.load(tmp_path / "scenario.yaml"), policies={"scheduling": policy})
    expected = schedule(OneAtATime(f1, backfills), jobs)
    np.testing.assert_array_equal(result.jobs["wait_s"], expected["wait_s"])
    assert result.summary["bounded_slowdown_mean"] == pytest.approx(bounded_slowdown(expected).mean(), rel=1e-12)
