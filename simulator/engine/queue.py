"""The waiting jobs and the running jobs as sorted columns for the scheduler."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np
from numpy.typing import NDArray

from simulator.workload.job import JobTable


class WaitingJobs:
    """Queued jobs in order of (submission, row), which is the order of their index in the job table.

    Parameters
    ----------
    jobs : JobTable
        The workload.
    """

    def __init__(self, jobs: JobTable) -> None:
        self._jobs = jobs
        size = max(len(jobs), 1)
        self._job = np.empty(2 * size, dtype=np.int64)
        self._nodes = np.empty(2 * size, dtype=np.int64)
        self._requested_s = np.empty(2 * size)
        self._low = self._high = 0

    def __len__(self) -> int:
        return self._high - self._low

    def add(self, job: int) -> None:
        """Insert a job at its place; at the end in the usual case."""
        if self._high == len(self._job):
            self._slide_to_front()
        low, high = self._low, self._high
        place = (
            high if high == low or self._job[high - 1] < job else low + int(np.searchsorted(self._job[low:high], job))
        )
        for column, value in self._row(job):
            column[place + 1 : high + 1] = column[place:high]
            column[place] = value
        self._high += 1

    def remove(self, jobs: list[int]) -> None:
        """Take jobs out; cheap when they are at the head."""
        for job in jobs:
            low = self._low
            if self._job[low] != job:
                place = low + int(np.searchsorted(self._job[low : self._high], job))
                for column in (self._job, self._nodes, self._requested_s):
                    column[low + 1 : place + 1] = column[low:place]
            self._low += 1

    def columns(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return job index, nodes and estimate of the waiting jobs, as views."""
        window = slice(self._low, self._high)
        return self._job[window], self._nodes[window], self._requested_s[window]

    def _row(self, job: int) -> tuple[tuple[NDArray[np.int64] | NDArray[np.float64], float], ...]:
        jobs = self._jobs
        return (self._job, job), (self._nodes, jobs.nodes[job]), (self._requested_s, jobs.requested_s[job])

    def _slide_to_front(self) -> None:
        n = len(self)
        for column in (self._job, self._nodes, self._requested_s):
            column[:n] = column[self._low : self._high].copy()
        self._low, self._high = 0, n


class RunningJobs:
    """Jobs that hold nodes, in order of their expected end.

    Parameters
    ----------
    capacity : int
        Most jobs that can run at once.
    """

    def __init__(self, capacity: int) -> None:
        self._nodes = np.empty(capacity, dtype=np.int64)
        self._end_s = np.empty(capacity)
        self._ends: list[float] = []
        self._jobs: list[int] = []

    def add(self, job: int, nodes: int, expected_end_s: float) -> None:
        """Insert a job."""
        n = len(self._jobs)
        place = bisect_right(self._ends, expected_end_s)
        self._ends.insert(place, expected_end_s)
        self._jobs.insert(place, job)
        self._nodes[place + 1 : n + 1] = self._nodes[place:n]
        self._end_s[place + 1 : n + 1] = self._end_s[place:n]
        self._nodes[place] = nodes
        self._end_s[place] = expected_end_s

    def remove(self, job: int, expected_end_s: float) -> None:
        """Take a job out."""
        n = len(self._jobs)
        place = bisect_left(self._ends, expected_end_s)
        while self._jobs[place] != job:
            place += 1
        del self._ends[place], self._jobs[place]
        self._nodes[place : n - 1] = self._nodes[place + 1 : n]
        self._end_s[place : n - 1] = self._end_s[place + 1 : n]

    def columns(self, now_s: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return nodes and expected ends; a job past its estimate is expected to end now."""
        n = len(self._jobs)
        end_s = self._end_s[:n]
        if n and self._ends[0] < now_s:
            end_s = np.maximum(end_s, now_s)
        return self._nodes[:n], end_s
