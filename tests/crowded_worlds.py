"""Worlds in which more jobs want nodes than there are, some of them reserved or in maintenance."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from worlds import job_table, machine

from simulator.engine.world import Window
from simulator.policies.placement.best_fit import BestFit
from simulator.policies.placement.first_fit import FirstFit
from simulator.policies.placement.scattered import Scattered
from simulator.policies.placement.spread import Spread

G = 4
"""GPUs of a node."""


@st.composite
def windows(draw: st.DrawFn, nodes: int) -> tuple[Window, ...]:
    """Return reservations and maintenance; those of a node do not overlap."""
    found: list[Window] = []
    for number in range(draw(st.integers(0, 4))):
        start_s = float(draw(st.integers(0, 40)))
        members = np.flatnonzero(np.array(draw(st.lists(st.booleans(), min_size=nodes, max_size=nodes))))
        is_maintenance = draw(st.booleans())
        account = "" if is_maintenance else draw(st.sampled_from(["a", "b", "c", ""]))
        end_s = start_s + draw(st.sampled_from([1, 5, 20]))
        if not any(
            start_s < other.end_s and other.start_s < end_s and len(np.intersect1d(members, other.nodes))
            for other in found
        ):
            found.append(Window(f"window-{number}", start_s, end_s, members, account, is_maintenance))
    return tuple(found)


@st.composite
def crowded(draw: st.DrawFn, overruns: bool = False) -> dict[str, Any]:
    """Return a machine, more jobs than it can run at once, and windows."""
    nodes, n_jobs = draw(st.integers(1, 6)), draw(st.integers(1, 25))

    def each(strategy: Any) -> Any:
        return draw(st.lists(strategy, min_size=n_jobs, max_size=n_jobs))

    shares = np.array(each(st.booleans())) & draw(st.booleans())
    sizes = np.where(shares, 1, np.array(each(st.integers(1, nodes))))
    work_s = np.array(each(st.integers(1, 12)), dtype=float)
    slack_s = np.array(each(st.sampled_from([0, 0, 1, 3, 10] + ([-4] if overruns else []))), dtype=float)
    jobs = job_table(
        sizes.tolist(),
        work_s.tolist(),
        sorted(float(s) for s in each(st.integers(0, 30))),
        gpus=np.where(shares, np.array(each(st.integers(1, G - 1))), sizes * G),
        shares=shares,
        requested_s=np.maximum(work_s + slack_s, 1.0),
        account=np.array(each(st.sampled_from(["a", "b", "c"])), dtype=object),
        gpus_per_node=G,
    )
    return {
        "machine": machine(nodes, G),
        "jobs": jobs,
        "windows": draw(windows(nodes)),
        "placement": draw(st.sampled_from([FirstFit(), BestFit(), Spread(), Scattered(1), Scattered(2)])),
    }
