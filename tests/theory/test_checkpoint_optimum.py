"""The simulated optimum of the checkpoint interval is the exact one of theory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from worlds import fault, job_table, machine, profile, world

from simulator import engine
from simulator.workload.checkpoints import exact_interval


@pytest.mark.parametrize(
    ("mtbf_s", "cost_s", "steps"),
    [
        (1800.0, 300.0, (-6, 0, 6)),
        pytest.param(1800.0, 300.0, range(-6, 7), marks=pytest.mark.slow),
        pytest.param(3600.0, 60.0, range(-6, 7), marks=pytest.mark.slow),
        pytest.param(11133.0, 60.0, range(-6, 7), marks=pytest.mark.slow),
    ],
)
def test_exact_interval_is_among_the_best_of_a_grid(mtbf_s: float, cost_s: float, steps: Sequence[int]) -> None:
    """Steps of 8 %; paired over 40 replications of 400 failures; the exact tau is not worse than the best (95 %)."""
    exact_s = exact_interval(cost_s, mtbf_s)
    grid_s = exact_s * 1.08 ** np.array(steps)
    kind = fault(1 / mtbf_s, takes_node_out=False)
    ettr = np.empty((len(grid_s), 40))
    for index, interval_s in enumerate(grid_s):
        base = world(
            machine(1),
            job_table([1], [math.inf]),
            profile(float(interval_s), cost_s, 300.0),
            kind,
            horizon_s=400 * mtbf_s,
            sample_every_s=1e12,
        )
        for k in range(40):
            ettr[index, k] = engine.run(replace(base, seed=21, replication=k)).summary["ettr"]
    best = int(np.argmax(ettr.mean(axis=1)))
    exact = ettr[list(steps).index(0)]
    difference = ettr[best] - exact
    half_width = 2.02 * difference.std(ddof=1) / math.sqrt(40)
    assert difference.mean() <= half_width
    # The curve is a real optimum: both ends of the grid are worse than the exact interval beyond doubt.
    for end in (0, -1):
        loss = exact - ettr[end]
        assert loss.mean() > 2.02 * loss.std(ddof=1) / math.sqrt(40)
