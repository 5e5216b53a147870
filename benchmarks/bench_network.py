"""Collectives and sharing on large fabrics, each row beside its bar: python benchmarks/bench_network.py."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

import numpy as np

from simulator.network.collectives import replicate
from simulator.network.hierarchical import hierarchical
from simulator.network.placed import PlacedCollective, collective_times, place, reroute
from simulator.network.routing import Routing
from simulator.network.sharing import Communication, Traffic, alone_times, shared_times
from simulator.network.topologies import Ports, ScaleUp, clos, fat_tree
from simulator.scenario.fabrics import transport_of
from simulator.scenario.schema_fabric import TransportSection
from simulator.scenario.schema_training import EfficiencySection, ModelSection, TrainingSection
from simulator.scenario.training import efficiency_of, model_of
from simulator.workload.placed_step import TrainingStep, reference
from simulator.workload.plans import ParallelPlan
from simulator.workload.training import Accelerator, demand

PORTS = Ports(50e9, 1e-6, 8, ScaleUp(8, 450e9, 1e-6))


def median_s(work: Callable[[], object], times: int = 5) -> float:
    walls = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        walls.append(time.perf_counter() - begin)
    return float(np.median(walls))


def traffic(placed: PlacedCollective, message: float, compute_s: float) -> Traffic:
    parts = tuple(Communication(p.links, p.weights, p.share * message, np.inf) for p in placed.phases)
    return Traffic(parts, (1.0,) * len(parts), compute_s)


def sharing() -> Callable[[], object]:
    """A 16,384-GPU hierarchical all-reduce and eight jobs of 1,024 GPUs between its nodes, after a link has died."""
    fabric = clos(24576, 16, PORTS, leaves_per_pod=192, oversubscription=(1.0, 7.0))
    routing = Routing("ecmp")
    nodes = np.random.default_rng(1).permutation(3072)

    def hosts(chosen: np.ndarray) -> np.ndarray:
        return (np.sort(chosen)[:, np.newaxis] * 8 + np.arange(8)).reshape(1, -1)

    large, plan = hosts(nodes[:2048]), hierarchical("all_reduce", 8, 2048)
    small = hierarchical("all_reduce", 8, 128)
    healthy, _ = place(fabric, plan, large, routing)
    flows = [replicate(phase, large) for phase in plan.phases]
    others = []
    for job in range(8):
        mine, _ = place(fabric, small, hosts(nodes[2048 + 128 * job : 2176 + 128 * job]), routing)
        others.append(traffic(mine, 1e9, 0.1))
    up = np.ones(fabric.links, np.bool_)
    used = healthy.phases[1].links
    up[used[fabric.tier[used] == fabric.tiers.index("leaf_spine")][0]] = False
    capacity = np.where(up, fabric.capacity, 0.0)

    def solve() -> object:
        moved = [reroute(fabric, f, old, routing, up)[0] for f, old in zip(flows, healthy.phases, strict=True)]
        return shared_times(capacity, [traffic(PlacedCollective(plan, tuple(moved)), 1e9, 0.1), *others])

    return solve


def megatron_1t() -> tuple[Callable[[], object], Callable[[], object]]:
    """A step of the 1T model on 3,072 A100: from the model and the plan, and again for a job in its place."""
    model = model_of(TrainingSection.model_construct(model=ModelSection.model_validate("gpt_1t")))
    efficiency = efficiency_of(EfficiencySection.model_validate("a100_bf16_megatron"))
    transport = transport_of(TransportSection.model_validate("nccl_hopper_nvswitch"))
    fabric = clos(3072, 64, Ports(25e9, 0.6e-6, 8, ScaleUp(8, 300e9)), layout="rail")
    plan = ParallelPlan(3072, tp=8, pp=64, global_batch=3072, recompute="full", sharding="none")
    a100 = Accelerator(312e12, 80e9, 2.0e12)

    def ready() -> TrainingStep:
        return TrainingStep(demand(model, plan, a100, efficiency), plan)

    placed = ready()
    nodes = np.arange(384)

    def again() -> object:
        where = placed.place(fabric, Routing("spray"), transport, nodes)
        return placed.parts(where, alone_times(fabric.capacity, where.traffic))

    return lambda: reference(ready(), fabric, Routing("spray"), transport), again


def main() -> None:
    tree = fat_tree(16, Ports(50e9))
    ring = np.arange(1024)

    def large() -> object:
        fabric = clos(131072, 64, PORTS, leaves_per_pod=64, layout="rail")
        return collective_times(fabric, np.arange(131072), "all_reduce", [1e9], "hierarchical")

    fresh, again = megatron_1t()
    eight = clos(8192, 64, PORTS, layout="rail")
    rows: list[tuple[str, Callable[[], object], float]] = [
        (
            "ring of 1,024 ranks as one activity",
            lambda: collective_times(tree, ring, "all_reduce", [1e9], "ring"),
            1e-3,
        ),
        (
            "1 GB hierarchical all-reduce, 8,192 GPUs",
            lambda: collective_times(eight, np.arange(8192), "all_reduce", [1e9], "hierarchical"),
            10e-3,
        ),
        (
            "1 GB flat ring all-reduce, 8,192 GPUs",
            lambda: collective_times(eight, np.arange(8192), "all_reduce", [1e9], "ring"),
            10e-3,
        ),
        ("16,384-GPU all-reduce and 8 jobs after a dead link", sharing(), 50e-3),
        ("131,072-GPU all-reduce from nothing", large, 2.0),
        ("step of Megatron 1T on 3,072 A100, placed", again, 1e-3),
        ("the same from model and plan, placement included", fresh, 0.68),
        ("65,536-host fat-tree", lambda: fat_tree(64, PORTS), 2.0),
    ]
    for name, work, bar in rows:
        work()  # compiles
        print(f"{name:52} {median_s(work) * 1e3:9.2f} ms  bar {bar * 1e3:.0f} ms", flush=True)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB, bar 4,000 MB")


if __name__ == "__main__":
    main()
