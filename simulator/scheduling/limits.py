"""Limits on what accounts and users may run at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class LimitColumns(NamedTuple):
    """Limits, and whom each of them holds.

    Parameters
    ----------
    gpus, jobs : float arrays, shape (limits,)
        Most GPUs and most jobs that may run at once, infinite for no limit.
    account_first, account_limits, user_first, user_limits : int arrays
        Limits of each account and of each user in CSR form: those of account a are
        ``account_limits[account_first[a]:account_first[a + 1]]``.
    """

    gpus: Floats
    jobs: Floats
    account_first: Ints
    account_limits: Ints
    user_first: Ints
    user_limits: Ints


@kernel
def _count(limits: LimitColumns, account: int, user: int, gpus: int, used_gpus: Floats, used_jobs: Floats) -> None:
    for k in range(limits.account_first[account], limits.account_first[account + 1]):
        used_gpus[limits.account_limits[k]] += gpus
        used_jobs[limits.account_limits[k]] += 1
    for k in range(limits.user_first[user], limits.user_first[user + 1]):
        used_gpus[limits.user_limits[k]] += gpus
        used_jobs[limits.user_limits[k]] += 1


@kernel
def never_within(limits: LimitColumns, account: Ints, user: Ints, gpus: Ints) -> Bools:
    """Return which jobs a limit keeps from starting though nothing else runs, shape (jobs,)."""
    never = np.zeros(len(gpus), np.bool_)
    for job in range(len(gpus)):
        for at in range(limits.account_first[account[job]], limits.account_first[account[job] + 1]):
            one = limits.account_limits[at]
            never[job] |= gpus[job] > limits.gpus[one] or limits.jobs[one] < 1
        for at in range(limits.user_first[user[job]], limits.user_first[user[job] + 1]):
            one = limits.user_limits[at]
            never[job] |= gpus[job] > limits.gpus[one] or limits.jobs[one] < 1
    return never


@kernel
def within_limits(
    limits: LimitColumns, running_account: Ints, running_user: Ints, running_gpus: Ints, account: Ints, user: Ints,
    gpus: Ints, order: Ints,
) -> Bools:  # fmt: skip
    """Return which queued jobs no limit keeps from starting, shape (ordered,).

    Parameters
    ----------
    limits : LimitColumns
        The limits.
    running_account, running_user, running_gpus : int arrays, shape (running,)
        What runs.
    account, user, gpus : int arrays, shape (queued,)
        What waits.
    order : int array, shape (ordered,)
        Positions in the queue, the first to be served first. A job within all limits counts against them for those
        behind it, whether it finds room or not; one that is not leaves them to the others.
    """
    used_gpus, used_jobs = np.zeros(len(limits.gpus)), np.zeros(len(limits.gpus))
    for k in range(len(running_gpus)):
        _count(limits, running_account[k], running_user[k], running_gpus[k], used_gpus, used_jobs)
    inside = np.ones(len(order), np.bool_)
    for k in range(len(order)):
        job = order[k]
        for at in range(limits.account_first[account[job]], limits.account_first[account[job] + 1]):
            one = limits.account_limits[at]
            inside[k] &= used_gpus[one] + gpus[job] <= limits.gpus[one] and used_jobs[one] + 1 <= limits.jobs[one]
        for at in range(limits.user_first[user[job]], limits.user_first[user[job] + 1]):
            one = limits.user_limits[at]
            inside[k] &= used_gpus[one] + gpus[job] <= limits.gpus[one] and used_jobs[one] + 1 <= limits.jobs[one]
        if inside[k]:
            _count(limits, account[job], user[job], gpus[job], used_gpus, used_jobs)
    return inside
