"""The waiting jobs and the running jobs as sorted columns for the scheduler."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np
from numpy.typing import NDArray

from simulator.telemetry.submissions import Submissions

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class WaitingJobs:
    """Queued jobs in order of (submission, row), which is the order of their index in the job table.

    Parameters
    ----------
    known : Submissions
        The workload as the operator knows it.
    """

    def __init__(self, known: Submissions) -> None:
        self._known = known
        size = max(len(known.job), 1)
        self._job = np.empty(2 * size, dtype=np.int64)
        self._gpus = np.empty(2 * size, dtype=np.int64)
        self._requested_s = np.empty(2 * size)
        self._low = self._high = 0

    def __len__(self) -> int:
        return self._high - self._low

    def add(self, job: int) -> None:
        """Insert a job at its place; at the end in the usual case."""
        if self._high == len(self._job):
            self._slide_to_front()
        low, high = self._low, self._high
        known = self._known
        if high == low or self._job[high - 1] < job:
            place = high
        else:
            place = low + int(np.searchsorted(self._job[low:high], job))
            for column in (self._job, self._gpus, self._requested_s):
                column[place + 1 : high + 1] = column[place:high]
        self._job[place] = job
        self._gpus[place] = known.gpus[job]
        self._requested_s[place] = known.requested_s[job]
        self._high += 1

    def remove(self, job: int) -> None:
        """Take a job out; cheap near either end."""
        low, high = self._low, self._high
        if self._job[low] == job:
            self._low += 1
            return
        place = low + int(np.searchsorted(self._job[low:high], job))
        if place - low < high - place:
            for column in (self._job, self._gpus, self._requested_s):
                column[low + 1 : place + 1] = column[low:place]
            self._low += 1
        else:
            for column in (self._job, self._gpus, self._requested_s):
                column[place : high - 1] = column[place + 1 : high]
            self._high -= 1

    def has(self, job: int) -> bool:
        """Return whether a job waits."""
        if self._low < self._high and self._job[self._low] == job:
            return True
        window = self._job[self._low : self._high]
        place = int(np.searchsorted(window, job))
        return place < len(window) and int(window[place]) == job

    def columns(self) -> tuple[Ints, Ints, Floats]:
        """Return job index, GPUs and estimate of the waiting jobs, as views."""
        window = slice(self._low, self._high)
        return self._job[window], self._gpus[window], self._requested_s[window]

    def _slide_to_front(self) -> None:
        n = len(self)
        for column in (self._job, self._gpus, self._requested_s):
            column[:n] = column[self._low : self._high].copy()
        self._low, self._high = 0, n


class RunningColumns:
    """Jobs that run, in order of their expected end.

    Parameters
    ----------
    capacity : int
        Most jobs that can hold nodes at once; there is room for more when they are needed.
    """

    def __init__(self, capacity: int) -> None:
        self._job = np.empty(capacity, dtype=np.int64)
        self._gpus = np.empty(capacity, dtype=np.int64)
        self._end_s = np.empty(capacity)
        self._ends: list[float] = []
        self._jobs: list[int] = []

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, job: int, gpus: int, expected_end_s: float) -> None:
        """Insert a job."""
        n = len(self._jobs)
        if n == len(self._job):  # jobs that lost all their nodes and wait for others run, too
            self._job = np.resize(self._job, 2 * n + 1)
            self._gpus = np.resize(self._gpus, 2 * n + 1)
            self._end_s = np.resize(self._end_s, 2 * n + 1)
        place = bisect_right(self._ends, expected_end_s)
        self._ends.insert(place, expected_end_s)
        self._jobs.insert(place, job)
        if place < n:
            for column in (self._job, self._gpus, self._end_s):
                column[place + 1 : n + 1] = column[place:n]
        self._job[place] = job
        self._gpus[place] = gpus
        self._end_s[place] = expected_end_s

    def remove(self, job: int, expected_end_s: float) -> None:
        """Take a job out."""
        n = len(self._jobs)
        place = bisect_left(self._ends, expected_end_s)
        while self._jobs[place] != job:
            place += 1
        del self._ends[place], self._jobs[place]
        for column in (self._job, self._gpus, self._end_s):
            column[place : n - 1] = column[place + 1 : n]

    def columns(self, now_s: float) -> tuple[Ints, Ints, Floats]:
        """Return jobs, GPUs and expected ends; a job past its estimate is expected to end now."""
        n = len(self._jobs)
        end_s = self._end_s[:n]
        if n and self._ends[0] < now_s:
            end_s = np.maximum(end_s, now_s)
        return self._job[:n], self._gpus[:n], end_s
