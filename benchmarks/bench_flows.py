"""Flow simulation on fat-trees, each row beside its bar: python benchmarks/bench_flows.py."""

from __future__ import annotations

import time

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


ROWS = [
    ("perm_k8", perm(8), None, 0.689963574563, 0.0415259833233),
    ("perm_k16", perm(16), 0.01, 6.47244919822, 0.09204905138),
    ("perm_k32", perm(32), 0.1, 53.2073463752, 0.13768412574),
    ("poi_k8_10000_0.5", poisson(8, 10_000, 0.5), 0.5, 1621.58681168, 0.355399566774),
    ("poi_k16_10000_0.5", poisson(16, 10_000, 0.5), 0.7, 261.265915762, 0.109154023649),
]

if __name__ == "__main__":
    simulate_flows(*ROWS[0][1])  # compiles
    for name, work, bar, total, longest in ROWS:
        begin = time.perf_counter()
        finish = simulate_flows(*work)
        wall_s = time.perf_counter() - begin
        error = max(abs(finish.sum() / total - 1), abs(finish.max() / longest - 1))
        print(f"{name:18} {wall_s:8.4f} s  bar {bar} s  check sums off by {error:.1e}", flush=True)
