"""Jobs as their users submit them, in columns: of a trace, or drawn from a model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Submissions:
    """Jobs as their users submit them, in order of submission; of a trace, or drawn.

    Parameters
    ----------
    submit_s : float array, shape (n,)
        Ascending, from the start of the trace or of the scenario.
    gpus : int array, shape (n,)
    run_s : float array, shape (n,)
        Run time, seconds, positive.
    requested_s : float array, shape (n,)
        Time asked for, at least the run time; NaN where none was.
    user : int array, shape (n,)
        Number of the user from 0; -1 where it is not known.
    state : int array, shape (n,)
        Index into ``states``.
    states : tuple of str
        How jobs end.
    """

    submit_s: Floats
    gpus: Ints
    run_s: Floats
    requested_s: Floats
    user: Ints
    state: Ints
    states: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.submit_s)


@dataclass(frozen=True)
class Sample:
    """The jobs of a trace that can be replayed.

    Parameters
    ----------
    jobs : Submissions
        After the rules of `workload.traces.to_processors`; the first submission is at 0.
    group : int array, shape (n,)
        Number of the user, where no user is known of the partition; jobs of a batch have the same.
    monday_s : float
        Seconds from a Monday, 00:00 of the trace's clock to the first submission; 0 where that is not known.
    """

    jobs: Submissions
    group: Ints
    monday_s: float
