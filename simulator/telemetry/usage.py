"""What each account has used of the machine, with a memory that fades."""

from __future__ import annotations

import math

import numpy as np

from simulator.workload.job import Floats


class UsageMeter:
    """GPU-seconds of every account, each second worth half as much after every half-life.

    Parameters
    ----------
    accounts : int
        How many accounts there are.
    half_life_s : float
        Infinite: nothing is forgotten.

    Notes
    -----
    With decay rate ``k = ln 2 / half-life`` an account that holds ``g`` GPUs gains ``g (1 - exp(-k dt)) / k`` in ``dt``
    and keeps ``exp(-k dt)`` of what it had, which is exact between changes.
    """

    def __init__(self, accounts: int, half_life_s: float) -> None:
        self._rate = 0.0 if math.isinf(half_life_s) else math.log(2.0) / half_life_s
        self._gpu_s = np.zeros(accounts)
        self._since_s = np.zeros(accounts)
        self._gpus = np.zeros(accounts)

    def change(self, account: int, gpus: int, now_s: float) -> None:
        """Note that an account holds more GPUs from now on, or fewer when ``gpus`` is negative."""
        elapsed_s = now_s - float(self._since_s[account])
        faded = math.exp(-self._rate * elapsed_s)
        gained = elapsed_s if self._rate == 0.0 else (1.0 - faded) / self._rate
        self._gpu_s[account] = self._gpu_s[account] * faded + self._gpus[account] * gained
        self._since_s[account] = now_s
        self._gpus[account] += gpus

    def read(self, now_s: float) -> Floats:
        """Return the decayed GPU-seconds of every account now."""
        elapsed_s = now_s - self._since_s
        faded = np.exp(-self._rate * elapsed_s)
        gained = elapsed_s if self._rate == 0.0 else (1.0 - faded) / self._rate
        return np.asarray(self._gpu_s * faded + self._gpus * gained)
