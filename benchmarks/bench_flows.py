"""Flow simulation on fat-trees, each row beside its bar: python benchmarks/bench_flows.py."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.network import simulate_flows

Arrays = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]


def fat_tree(
    k: int, s: NDArray[np.int64], d: NDArray[np.int64], sizes: NDArray[np.float64], t: NDArray[np.float64]
) -> Arrays:
    """Routes over a k-ary 3-tier fat-tree with hashed paths, as the baselines define them."""
    h = k // 2
    hosts, block = k * h * h, k * h * h
    z = (2654435761 * s + 40503 * d + 97 * (s ^ d)) % 2**32
    x = (z >> 7) ^ (z >> 15)
    a, c = x % h, x // h % h
    e, f, p, q = s // h, d // h, s // (h * h), d // (h * h)
    base = 2 * hosts
    columns = [s, base + e * h + a, base + 2 * block + (p * h + a) * h + c]
    columns += [base + 3 * block + (q * h + a) * h + c, base + block + f * h + a, hosts + d]
    used = np.ones((len(s), 6), np.bool_)
    used[:, 1] = used[:, 4] = e != f
    used[:, 2] = used[:, 3] = p != q
    indptr = np.concatenate((np.zeros(1, np.int64), np.cumsum(used.sum(axis=1))))
    return np.full(2 * hosts + 4 * block, 50e9), indptr, np.stack(columns, axis=1)[used], sizes, t


def perm(k: int) -> Arrays:
    rng, hosts = np.random.default_rng(1), k**3 // 4
    d = rng.permutation(hosts)
    for i in range(hosts):
        if d[i] == i:
            j = (i + 1) % hosts
            d[i], d[j] = d[j], d[i]
    sizes = np.rint(np.exp(rng.normal(np.log(100e6), 1.0, hosts)))
    return fat_tree(k, np.arange(hosts), d, sizes, np.zeros(hosts))


def poisson(k: int, n: int, load: float) -> Arrays:
    rng, hosts = np.random.default_rng(2), k**3 // 4
    t = np.cumsum(rng.exponential(1 / (load * hosts * 50e9 / 1e8), n))
    s = rng.integers(0, hosts, n)
    d = (s + 1 + rng.integers(0, hosts - 1, n)) % hosts
    sizes = np.maximum(1.0, np.rint(np.exp(rng.normal(np.log(1e8) - 0.5, 1.0, n))))
    return fat_tree(k, s, d, sizes, t)


def ring(n: int) -> tuple[Any, ...]:
    """Ring all-reduce of 1e9 bytes on hosts 0 to n - 1; a rank starts a step after its send and receive of the last."""
    rank, steps = np.arange(n), 2 * (n - 1)
    capacity, indptr, links, _, _ = fat_tree(16, rank, (rank + 1) % n, np.empty(0), np.empty(0))
    indptr = np.concatenate((np.zeros(1, np.int64), np.cumsum(np.tile(np.diff(indptr), steps))))
    step = np.arange(steps - 1).repeat(n) * n
    before = np.stack((step + np.tile(rank, steps - 1), step + np.tile((rank - 1) % n, steps - 1)), axis=1).ravel()
    after = np.concatenate((np.zeros(n, np.int64), np.arange(0, len(before) + 1, 2))), before
    sizes, starts = np.full(steps * n, float(10**9 // n)), np.zeros(steps * n)
    return capacity, indptr, np.tile(links, steps), sizes, starts, None, None, after


Row = tuple[str, Callable[[], tuple[Any, ...]], float | None, float | None, float | None]

ROWS: list[Row] = [
    ("perm_k8", partial(perm, 8), None, 0.689963574563, 0.0415259833233),
    ("perm_k16", partial(perm, 16), 0.01, 6.47244919822, 0.09204905138),
    ("perm_k32", partial(perm, 32), 0.1, 53.2073463752, 0.13768412574),
    ("poi_k8_10000_0.5", partial(poisson, 8, 10_000, 0.5), 0.5, 1621.58681168, 0.355399566774),
    ("poi_k16_10000_0.5", partial(poisson, 16, 10_000, 0.5), 0.7, 261.265915762, 0.109154023649),
    ("poi_k8_100000_0.5", partial(poisson, 8, 100_000, 0.5), 5.0, None, None),
    ("poi_k16_100000_0.5", partial(poisson, 16, 100_000, 0.5), 20.0, None, None),
    ("ring_64", partial(ring, 64), None, None, 0.039375),
    ("ring_1024", partial(ring, 1024), 2.0, None, 0.039960917),
]
WITH_SIMGRID = {"perm_k8": None, "perm_k32": 40.0, "poi_k8_10000_0.5": 5.0, "poi_k16_10000_0.5": 50.0}
"""How many times as fast as SimGrid we want to be."""


def simgrid(folder: Path) -> Path | None:
    """Return the compiled peer, None where SimGrid or a compiler is not installed."""
    program = folder / "flows"
    source = Path(__file__).parent / "simgrid" / "flows.cpp"
    try:
        done = subprocess.run(["g++", "-O2", "-o", program, source, "-lsimgrid"], capture_output=True)
    except FileNotFoundError:
        return None
    return program if done.returncode == 0 else None


def peer(program: Path, folder: Path, work: tuple[Any, ...]) -> tuple[float, float, float]:
    """Return SimGrid's seconds for the run and its check sums."""
    capacity, indptr, links, sizes, starts = work
    # A flow's first link names its source and its last one its target, so two hosts stand for each.
    with (folder / "flows.txt").open("w") as file:
        file.write(f"{int(links[indptr[1:] - 1].max()) + 1} {len(capacity)} {len(sizes)}\n")
        for f in np.argsort(starts, kind="stable").tolist():
            route = links[indptr[f] : indptr[f + 1]].tolist()
            file.write(f"{route[0]} {route[-1]} {sizes[f]:.17g} {starts[f]:.17g} {len(route)} ")
            file.write(" ".join(map(str, route)) + "\n")
    out = subprocess.run([program, folder / "flows.txt"], capture_output=True, text=True, check=True).stdout
    _, seconds, total, longest = next(line for line in out.splitlines() if line.startswith("RESULT")).split()
    return float(seconds), float(total), float(longest)


def main(names: list[str]) -> None:
    simulate_flows(*ROWS[0][1]())  # compiles
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = simgrid(folder)
        if program is None:
            print("SimGrid is not installed: its columns are left out")
        for row, make, bar, total, longest in ROWS:
            if names and row not in names:
                continue
            work = make()
            walls = []
            for _ in range(5):
                begin = time.perf_counter()
                finish = simulate_flows(*work)
                walls.append(time.perf_counter() - begin)
            wall_s = float(np.median(walls))
            line = f"{row:18} {wall_s:8.4f} s  bar {bar} s"
            for what, found, wanted in (("sum", finish.sum(), total), ("maximum", finish.max(), longest)):
                if wanted is not None:
                    line += f"  {what} off by {abs(found / wanted - 1):.1e}"
            if program is not None and row in WITH_SIMGRID:
                seconds, theirs, _ = peer(program, folder, work)
                line += f"  SimGrid {seconds:.2f} s, {seconds / wall_s:.0f} times as long (bar {WITH_SIMGRID[row]})"
                line += f", sums differ by {abs(finish.sum() / theirs - 1):.1e}"
            print(line, flush=True)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB, imports included")


if __name__ == "__main__":
    main(sys.argv[1:])
