"""Alibaba's GPU cluster of 2023, filled with its tasks until none fits: they come one by one and never leave.

That is how its paper uses the trace, which in time leaves the cluster empty. Here the placement policies are asked as
the engine asks them, node by node of the published list. A share of a GPU counts as a whole one, because the engine
knows no smaller unit; what that costs is shown by a packing of shares that the test itself does, with and without the
cores and memory that the paper counts too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tables import published

from simulator.policies.registry import families
from simulator.policies.views import PlacementView
from simulator.workload.traces import read_trace

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
FOLDER = "gpu_jobs_alibaba_openb2023"
CLUSTER_GPUS = 6212


def given(name: str) -> Path:
    path = SHARED / FOLDER / name
    if not path.exists():
        pytest.skip(f"the original trace is not part of this project; put it at shared/data/{FOLDER}/{name}")
    return path


def node_list() -> pd.DataFrame:
    return pd.read_csv(given("openb_node_list_gpu_node.csv"))


def tasks() -> tuple[Any, Any]:
    """GPUs of every task that wants one, rounded up, and what it really wants of them."""
    table, _ = read_trace("alibaba", given("openb_pod_list_default.csv.gz"))
    table = table[table["gpus"] > 0]
    gpus = table["gpus"].to_numpy(dtype=np.int64)
    return gpus, gpus * table["gpu_share"].fillna(1.0).to_numpy()


@dataclass
class Filled:
    held: int
    wanted: float
    refused: dict[int, int]
    held_at_first_refusal: int


def fill(policy: Any, order: Any) -> Filled:
    """Place the tasks in this order as parts of nodes."""
    capacity = node_list()["gpu"].to_numpy(dtype=np.int64)
    gpus, wanted = tasks()
    free, none = capacity.copy(), np.empty(0, dtype=np.int64)
    tiers, scale_up = np.empty((0, len(free)), dtype=np.int64), np.arange(len(free))
    done, refused = np.zeros(len(gpus), dtype=np.bool_), []
    first: int | None = None
    for task in order:
        if not (free >= gpus[task]).any():
            refused.append(int(gpus[task]))
            first = int(gpus[done].sum()) if first is None else first
            continue
        view = PlacementView(free == capacity, free, 1, int(gpus[task]), int(task), none, tiers, scale_up)
        (node,) = policy.place(view)
        free[node] -= gpus[task]
        assert free[node] >= 0
        done[task] = True
    counts = {size: refused.count(size) for size in (1, 2, 4, 8)}
    return Filled(int(gpus[done].sum()), float(wanted[done].sum()), counts, -1 if first is None else first)


def test_rounding_shares_up_turns_a_full_cluster_into_an_overfull_one() -> None:
    """98 % of the cluster is asked for; 120 % when every share is a GPU."""
    gpus, wanted = tasks()
    assert node_list()["gpu"].sum() == CLUSTER_GPUS
    assert wanted.sum() / CLUSTER_GPUS == pytest.approx(0.980, abs=0.001)
    assert gpus.sum() / CLUSTER_GPUS == pytest.approx(1.197, abs=0.001)


@pytest.mark.parametrize("name", ["best_fit", "first_fit", "pack", "spread", "scattered"])
def test_filled_in_the_order_of_the_trace(name: str) -> None:
    """All fill the last GPU, because most tasks want one; they differ in who finds no node.

    Those that pack refuse nobody before the last GPU is held; the emptiest node first leaves no whole node to a task of
    eight GPUs once a fifth is in use, and refuses nine in ten of them.
    """
    gpus, _ = tasks()
    filled = fill(families()["placement"][name](), range(len(gpus)))
    assert filled.held == CLUSTER_GPUS
    packs = name in ("best_fit", "first_fit", "pack")
    if packs:
        assert filled.held_at_first_refusal == CLUSTER_GPUS
        assert filled.refused == {1: 1165, 2: 4, 4: 8, 8: 2}
    expected = {"spread": (0.234, 0.808, 40), "scattered": (0.715, 0.818, 11)}.get(name, (1.0, 0.820, 2))
    assert filled.held_at_first_refusal / CLUSTER_GPUS == pytest.approx(expected[0], abs=0.001)
    assert filled.wanted / CLUSTER_GPUS == pytest.approx(expected[1], abs=0.001)
    assert filled.refused[8] == expected[2]


# --- with shares, cores and memory ------------------------------------------------------------------------------------


def shared_fill(rule: str, seed: int, counts_hosts: bool) -> float:
    """Allocated part of the GPUs when tasks in random order have asked for 130 % of them.

    ``best``: the node with least left over of cores, memory and GPUs together, each as a part of the largest node's.
    ``random``: any node that has room. On the node the fullest GPU that has room.
    """
    nodes, pods = node_list(), pd.read_csv(given("openb_pod_list_default.csv.gz"))
    rng = np.random.default_rng(seed)
    count = pods["num_gpu"].to_numpy()
    milli = np.where(count == 1, pods["gpu_milli"], 1000 * (count > 1)).astype(np.int64)
    wants = pods[["cpu_milli", "memory_mib"]].to_numpy(dtype=np.float64)
    left = nodes[["cpu_milli", "memory_mib"]].to_numpy(dtype=np.float64).copy()
    largest = left.max(axis=0)
    gpus = np.where(np.arange(8) < nodes["gpu"].to_numpy()[:, None], 1000, -1)
    order = np.concatenate((rng.permutation(len(pods)), rng.integers(len(pods), size=len(pods))))
    arrived = np.cumsum((count * milli)[order]) / 1000
    allocated = 0
    for task in order[: np.searchsorted(arrived, 1.3 * CLUSTER_GPUS)]:
        has_room = (gpus >= max(milli[task], 0)).sum(axis=1) >= count[task]
        if counts_hosts:
            has_room &= (left >= wants[task]).all(axis=1)
        fits = np.flatnonzero(has_room)
        if len(fits) == 0:
            continue
        over = ((left[fits] - wants[task]) / largest).sum(axis=1) + np.maximum(gpus[fits], 0).sum(axis=1) / 8000
        node = fits[np.argmin(over)] if rule == "best" else rng.choice(fits)
        room = np.where(gpus[node] >= max(milli[task], 1), gpus[node], 9999)
        gpus[node, np.argsort(room, kind="stable")[: count[task]]] -= milli[task]
        left[node] -= wants[task]
        allocated += int(count[task] * milli[task])
    return allocated / 1000 / CLUSTER_GPUS


@pytest.mark.parametrize(("rule", "policy"), [("best", "BestFit"), ("random", "Random")])
def test_shares_cores_and_memory_explain_the_published_ratios(rule: str, policy: str) -> None:
    """Within 1 point of the paper for best fit and random, where the whole GPUs of the engine are 11 and 6 away.

    Without cores and memory 4 and 6 points more would fit: they strand GPUs, which the engine does not know either.
    """
    (row,) = [row for row in published("s03_openb_gpu_allocation") if row["policy"] == policy]
    with_hosts = np.mean([shared_fill(rule, seed, True) for seed in range(4)])
    without = np.mean([shared_fill(rule, seed, False) for seed in range(2)])
    assert 100 * with_hosts == pytest.approx(float(row["allocation_mean_percent"]), abs=1.0)
    assert without > with_hosts + 0.025
