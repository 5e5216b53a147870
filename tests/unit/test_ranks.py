"""Which rank goes where: however a job came by its nodes, it steps as fast as one that starts on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import simulator as sim
from simulator.engine.simulation import Simulation
from simulator.network.sharing import alone_times
from simulator.policies.views import PlacementView
from simulator.scenario.assembly import assemble

SCENARIO = """
name: ranks
horizon: 40 days
cluster: {nodes: 72, node: gb200_nvl72, fabric: nvl72_800g, spares: {count: 2, kind: warm}}
faults: {classes: {tray: {component: tray, rate: 5 / 1000 node-days}}}
repairs: {mix: tray_swap_nvl72}
workload:
  jobs:
    - name: training
      nodes: 64
      training: {model: llama3_70b, efficiency: gb200_fp8_megatron, global_batch: 256, tp: 4}
checkpoint: {tiers: [{name: remote, blocking: 1 s, interval: 10 min}]}
"""


def simulation(tmp_path: Path, **changes: object) -> Simulation:
    path = tmp_path / "ranks.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    scenario = sim.load(path, overrides=changes)
    return Simulation(assemble(scenario, "base", 2, 0), guards=True)


@pytest.mark.parametrize("placement", ["scale_up_aligned", "topology_aware", "best_fit", "spread", "first_fit"])
@pytest.mark.parametrize("recovery", ["replace", "replace_or_requeue"])
def test_ranks_after_a_replacement_are_those_of_a_fresh_start(tmp_path: Path, placement: str, recovery: str) -> None:
    found = simulation(tmp_path, **{"placement.policy": placement, "recovery.policy": recovery})
    world, network = found.world, found.world.network
    assert network is not None
    seen = []
    admit = found.interconnect.admit

    def compared(run: Any) -> None:
        free = np.zeros(world.machine.nodes, dtype=np.bool_)
        free[run.ids] = True
        view = PlacementView(
            free, np.where(free, 4, 0), len(run.ids), 0, run.job, np.empty(0, np.int64), world.machine.tiers,
            world.machine.scale_up,
        )  # fmt: skip
        step = run.profile.step
        times = []
        for ids in (run.ids, world.placement.place(view)):
            placed = step.place(network.fabric, network.routing, network.transport, ids)
            times.append(sum(step.parts(placed, alone_times(network.fabric.capacity, placed.traffic)).values()))
        seen.append((run.interruptions, *times))
        admit(run)

    found.interconnect.admit = compared  # type: ignore[method-assign]
    found.run()
    assert len({interruptions for interruptions, _, _ in seen}) > 5
    for _, mine_s, fresh_s in seen:
        assert mine_s <= fresh_s * (1 + 1e-9)


@pytest.mark.parametrize("recovery", ["replace", "requeue"])
def test_a_tray_that_comes_back_to_its_job_leaves_the_step_as_it_was(tmp_path: Path, recovery: str) -> None:
    """One tray of 72 fails, is repaired and comes back to the same job, which holds all of them."""
    whole = {
        "cluster.spares.count": 0,
        "workload.jobs": [
            {
                "name": "training",
                "nodes": "all",
                "training": {"model": "llama3_70b", "efficiency": "gb200_fp8_megatron", "global_batch": 288, "tp": 4},
            }
        ],
        "faults.classes.tray.rate": "0.5 / 1000 node-days",
        "placement.policy": "scale_up_aligned",
        "recovery.policy": recovery,
    }
    outcome = simulation(tmp_path, **whole).run()
    assert outcome.summary["interruptions"] == 1
    assert outcome.summary["step_slowdown"] == pytest.approx(1.0, rel=1e-9)
