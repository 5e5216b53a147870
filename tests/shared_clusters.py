"""Small shared clusters for stories that can be told by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from worlds import job_table, machine, profile, world


def cluster(nodes: int, jobs: Any, *faults: Any, **more: Any) -> Any:
    """Return nodes of 8 GPUs with jobs that start at once and save all their work whenever they are told to go."""
    saves = more.pop("saves", profile(1e9))
    recovery = more.pop("recovery", None)
    if recovery is not None:
        saves = replace(saves, recovery=recovery)
    return world(machine(nodes, **more.pop("hardware", {})), jobs, saves, *faults, **more)


def times(outcome: Any, column: str) -> list[float]:
    return outcome.tables["jobs"][column].tolist()


def elastic(sizes: list[int], work_s: list[float], submit_s: list[float], spans: list[tuple[int, int]]) -> Any:
    fewest, most = (np.array(column) for column in zip(*spans, strict=True))
    return job_table(sizes, work_s, submit_s, fewest=fewest, most=most, width=np.where(fewest < most, 0, -1))
