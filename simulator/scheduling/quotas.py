"""Quotas: which jobs an account may run on its own GPUs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel


@kernel
def within_quota(
    account: NDArray[np.int64], gpus: NDArray[np.int64], used: NDArray[np.float64], quota: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return which jobs are within the quota of their account, served in order.

    Parameters
    ----------
    account, gpus : int arrays, shape (jobs,)
        Account and GPUs of every job.
    used, quota : float arrays, shape (accounts,)
        GPUs each account uses already, and may use.

    Returns
    -------
    bool array, shape (jobs,)
        A job that is not leaves the quota to those after it.
    """
    left = quota - used
    inside = np.zeros(len(account), dtype=np.bool_)
    for i in range(len(account)):
        if gpus[i] <= left[account[i]]:
            left[account[i]] -= gpus[i]
            inside[i] = True
    return inside
