"""Workload family W: jobs of 1 to 64 nodes for an hour or so, one every two minutes, and the mean waits due to them."""

from __future__ import annotations

import numpy as np
import pandas as pd

NODES = 1000

MEAN_WAITS = [
    (1_000, 2294.634, 1134.921, 3, None),
    (10_000, 797.96, 373.39, 2, 1_280_186),
    (100_000, 1441.7, 626.7, 1, 11_988_412),
]
"""Jobs; mean wait under FIFO and EASY, s; digits of these; last end, s. FIFO is agreed on by three programs."""


def family_w(n: int) -> pd.DataFrame:
    """Every draw array-wise from one generator, in this order."""
    generator = np.random.default_rng(1)
    submit_s = np.cumsum(generator.exponential(120.0, n)).astype(np.int64)
    processors = 2 ** generator.integers(0, 7, n)
    run_s = np.clip(generator.lognormal(np.log(3600), 1.0, n), 60, 86400).astype(np.int64)
    requested_s = (run_s * generator.uniform(1, 3, n)).astype(np.int64) + 1
    columns = {"submit_s": submit_s, "run_s": run_s, "processors": processors, "requested_s": requested_s}
    return pd.DataFrame({"job": np.arange(n), **columns})
