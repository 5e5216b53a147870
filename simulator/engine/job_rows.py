"""What became of every job, as columns; a job that has ended leaves nothing else behind."""

from __future__ import annotations

import math

import numpy as np

from simulator.engine.runs import Run

OUTCOMES = ("pending", "running", "completed", "failed", "rejected")


class JobRows:
    """Columns by job index, filled when jobs end or the run does.

    Parameters
    ----------
    jobs : int
        How many jobs there are.
    """

    def __init__(self, jobs: int) -> None:
        self.outcome = np.zeros(jobs, dtype=np.int8)  # index into OUTCOMES
        self.reason: dict[int, str] = {}
        self.start_s, self.end_s = np.full(jobs, math.nan), np.full(jobs, math.nan)
        self.productive_s, self.lost_gpu_s = np.zeros(jobs), np.zeros(jobs)
        self.productive_gpu_s, self.degraded_gpu_s, self.wall_gpu_s = np.zeros(jobs), np.zeros(jobs), np.zeros(jobs)
        self.nodes = np.full(jobs, -1, dtype=np.int64)  # its last width, -1 for one that never ran
        names = ("attempts", "interruptions", "requeues", "preemptions", "resizes", "migrations")
        self.counts = {name: np.zeros(jobs, dtype=np.int32) for name in names}

    def write(self, run: Run) -> None:
        """Write down what a job has come to."""
        job = run.job
        self.outcome[job] = OUTCOMES.index(run.outcome)
        if run.reason:
            self.reason[job] = run.reason
        self.start_s[job], self.end_s[job] = run.start_s, run.end_s
        self.productive_s[job], self.lost_gpu_s[job] = run.done_s, run.lost_gpu_s
        self.productive_gpu_s[job], self.degraded_gpu_s[job] = run.busy_gpu_s, run.slowed_gpu_s
        self.wall_gpu_s[job] = run.wall_gpu_s
        self.nodes[job] = run.nodes
        self.counts["attempts"][job] = run.attempts
        if run.interruptions or run.preemptions or run.resizes or run.migrations:
            for name, column in self.counts.items():
                column[job] = getattr(run, name)

    def reject(self, job: int, reason: str) -> None:
        """Write down that a job can never run."""
        self.outcome[job] = OUTCOMES.index("rejected")
        self.reason[job] = reason
