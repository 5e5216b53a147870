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
class WallClock:
    """The clock on the wall where a trace was made, with changes to and from summer time.

    Parameters
    ----------
    monday_s : float
        What it showed at the first submission, seconds from a Monday, 00:00; 0 where that is not known.
    changes_s : tuple of float
        When it was changed, seconds after the first submission, ascending from 0.
    shifts_s : tuple of float
        By how much it has been ahead of the first submission's time since then.
    is_known : bool
        Whether the trace tells when it began.
    """

    monday_s: float = 0.0
    changes_s: tuple[float, ...] = (0.0,)
    shifts_s: tuple[float, ...] = (0.0,)
    is_known: bool = True

    def at(self, since_first_s: Floats) -> Floats:
        """Return what it shows at times after the first submission, seconds from the same Monday."""
        since = np.searchsorted(self.changes_s, since_first_s, side="right") - 1
        shown: Floats = self.monday_s + since_first_s + np.array(self.shifts_s)[since]
        return shown


@dataclass(frozen=True)
class Sample:
    """The jobs of a trace that can be replayed.

    Parameters
    ----------
    jobs : Submissions
        After the rules of `workload.traces.to_processors`; the first submission is at 0.
    group : int array, shape (n,)
        Number of the user, where no user is known of the partition; jobs of a batch have the same.
    clock : WallClock
    """

    jobs: Submissions
    group: Ints
    clock: WallClock
