"""Moments on the simulated clock, met exactly."""

from __future__ import annotations

import math


def delay_until(now_s: float, at_s: float) -> float:
    """Return the delay after which the clock shows exactly ``at_s``; ``now_s`` is before it.

    SimPy adds the delay to its clock. With the plain difference the sum can miss the moment by a rounding: a job would
    come before its submission, or a guarantee would lie in the past when it falls due.
    """
    delay_s = at_s - now_s
    # A delay is no coarser than the moment, so that one of its neighbours gives the sum.
    while now_s + delay_s < at_s:
        delay_s = math.nextafter(delay_s, math.inf)
    while now_s + delay_s > at_s:
        delay_s = math.nextafter(delay_s, 0.0)
    return delay_s
