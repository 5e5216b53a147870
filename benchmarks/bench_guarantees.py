"""Times passes of conservative backfilling where jobs share nodes: 1,000 and more waiting jobs on 256 nodes of 8 GPUs.

    python benchmarks/bench_guarantees.py [--nodes 256] [--waiting 1000] [--windows 0 4]

A pass is one call of ``node_guarantee_pass`` as the engine makes it. Half of the jobs want a part of a node. A third of
the windows is maintenance, the others are reservations, each of an eighth of the nodes, drawn at random. Estimates are
one to three times the run time, so that every end moves guarantees forward; or half to twice, so that jobs outlive them
and all guarantees are made anew. Times are those of the processor.
"""

from __future__ import annotations

import argparse
import platform
import resource
import statistics
import time
from importlib.metadata import version
from typing import Any

import numpy as np

from simulator import engine
from simulator.cluster.inventory import Machine
from simulator.engine import JobProfile, World
from simulator.engine.world import Window
from simulator.policies.placement.best_fit import BestFit
from simulator.policies.recovery.ladder import RequeueJob
from simulator.policies.scheduling import node_guarantees
from simulator.policies.scheduling.conservative import Conservative
from simulator.workload.job import job_table
from simulator.workload.restart import RestartPhases

GPUS_PER_NODE = 8


def crowd(nodes: int, n_jobs: int, n_windows: int, estimates: tuple[float, float]) -> World:
    """Jobs that come within a quarter of an hour to a machine that they keep busy for hours."""
    rng = np.random.default_rng(1)
    parts = rng.random(n_jobs) < 0.5
    sizes = np.where(parts, 1, np.minimum(2 ** rng.integers(0, 6, n_jobs), nodes))
    run_s = rng.lognormal(np.log(3600.0), 1.0, n_jobs) + 900.0
    jobs = job_table(
        job=np.arange(n_jobs).astype(str).astype(object),
        submit_s=np.sort(rng.uniform(0, 900.0, n_jobs)),
        nodes=sizes,
        gpus=np.where(parts, rng.integers(1, GPUS_PER_NODE, n_jobs), sizes * GPUS_PER_NODE),
        shares=parts,
        work_s=run_s,
        requested_s=run_s * rng.uniform(*estimates, n_jobs),
        account=rng.choice(["a", "b", "c"], n_jobs).astype(object),
    )
    windows = tuple(
        Window(
            f"window-{k}",
            3600.0 * (k + 1),
            3600.0 * (k + 2),
            np.sort(rng.choice(nodes, nodes // 8, replace=False)),
            ("", "a", "b")[k % 3],
            is_maintenance=k % 3 == 0,
        )
        for k in range(n_windows)
    )
    quiet: dict[str, Any] = {"network": None, "storage": None, "price_usd_per_gpu_s": None, "sample_every_s": None}
    return World(
        Machine(nodes, GPUS_PER_NODE, "flat"), (), None, jobs,
        (JobProfile("trace", (), (), RestartPhases(), RequeueJob()),), Conservative(), BestFit(), horizon_s=4000.0,
        warm_up_s=0.0, seed=1, replication=0, windows=windows, **quiet,
    )  # fmt: skip


def timed(world: World, waiting: int) -> dict[str, list[float]]:
    """Run it and return how long passes over long queues took, by what they did."""
    found: dict[str, list[float]] = {"kept": [], "moved forward": [], "made anew": []}
    plain = node_guarantees.node_guarantee_pass

    def measured(*arguments: Any) -> bool:
        queued, compresses = len(arguments[5]), arguments[-1]
        begin = time.process_time()
        is_anew = plain(*arguments)
        if queued >= waiting:
            said = "made anew" if is_anew else "moved forward" if compresses else "kept"
            found[said].append(time.process_time() - begin)
        return is_anew

    node_guarantees.node_guarantee_pass = measured
    try:
        engine.run(world)
    finally:
        node_guarantees.node_guarantee_pass = plain
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=256)
    parser.add_argument("--waiting", type=int, default=1000)
    parser.add_argument("--windows", type=int, nargs="+", default=[0, 4], help="0 for none")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, Numba {version('numba')}\n")
    print(f"{options.waiting:,} or more waiting jobs, {options.nodes} nodes")
    print(f"{'windows':>7}  {'estimates':<10} {'guarantees':<14} {'passes':>6}  {'median ms':>9} {'most ms':>9}")
    for n_windows in options.windows:
        timed(crowd(8, 40, n_windows, (0.5, 3.0)), 0)  # compiles
    for n_windows in options.windows:
        for estimates in ((1.0, 3.0), (0.5, 2.0)):
            found = timed(crowd(options.nodes, 3 * options.waiting // 2, n_windows, estimates), options.waiting)
            for name, pass_s in found.items():
                if pass_s:
                    said = f"{estimates[0]:g} to {estimates[1]:g}"
                    row = f"{n_windows:>7}  {said:<10} {name:<14} {len(pass_s):>6}"
                    print(f"{row}  {1e3 * statistics.median(pass_s):>9.2f} {1e3 * max(pass_s):>9.2f}")
    print(f"\npeak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
