"""Fits the constants of the transport presets to half of the rows of measured tables and judges them on the rest."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from measured_collectives import MEASURED
from tables import published

from simulator.network.transport import Protocol, Transport, Wire

ALGORITHMS = ("ring", "in_network", "hierarchical", "hierarchical_tree", "pairwise", "binomial")
LL = Protocol("LL", False, 6.6e-6, 0.0, Wire(0.6e-6, 141.0 / 450.0), Wire(2.7e-6, 0.5))
SIMPLE = Protocol("Simple", False, 8.4e-6, 0.0, Wire(3.4e-6, 0.82), Wire(14e-6, 0.9))
NVLS = Protocol("NVLS", True, 25e-6, 4e-6, Wire(0.0, 0.68), Wire(14e-6, 0.9))

Path_ = tuple[str, ...]
CASES: dict[str, tuple[tuple[Protocol, ...], dict[Path_, float]]] = {
    "nccl_hopper_nvswitch": (
        (LL, SIMPLE, NVLS),
        {
            ("LL", "base_s"): 6.6e-6,
            ("LL", "scale_up", "efficiency"): 0.31,
            ("NVLS", "base_s"): 25e-6,
            ("NVLS", "chunk_s"): 4e-6,
            ("NVLS", "scale_up", "efficiency"): 0.68,
        },
    ),
    "nccl_a100_efa": (
        (
            replace(LL, scale_up=Wire(0.6e-6, 0.3), scale_out=Wire(70e-6, 0.3)),
            replace(SIMPLE, scale_up=Wire(3.4e-6, 0.76), scale_out=Wire(100e-6, 0.85), chunk_s=10e-6),
        ),
        {
            ("LL", "scale_out", "hop_s"): 70e-6,
            ("LL", "chunk_s"): 20e-6,
            ("LL", "scale_out", "efficiency"): 0.3,
            ("Simple", "scale_out", "hop_s"): 120e-6,
            ("Simple", "scale_out", "efficiency"): 0.85,
            ("Simple", "chunk_s"): 30e-6,
        },
    ),
    "nccl_b200_nvswitch": (
        (LL, replace(SIMPLE, base_s=39.3e-6, chunk_s=7.39e-6), NVLS),
        {
            ("LL", "base_s"): 40e-6,
            ("LL", "scale_up", "efficiency"): 0.31,
            ("NVLS", "base_s"): 60e-6,
            ("NVLS", "chunk_s"): 15e-6,
            ("NVLS", "scale_up", "efficiency"): 0.6,
        },
    ),
    "nccl_gb200_nvl72": (
        (replace(LL, base_s=37.5e-6), replace(SIMPLE, base_s=39.3e-6, chunk_s=19.9e-6), NVLS),
        {
            ("NVLS", "base_s"): 100e-6,
            ("NVLS", "chunk_s"): 15e-6,
            ("NVLS", "scale_up", "efficiency"): 0.5,
            ("NVLS", "scale_out", "hop_s"): 100e-6,
        },
    ),
}


def changed(protocol: Protocol, path: Path_, value: float) -> Protocol:
    if len(path) == 1:
        return replace(protocol, **{path[0]: value})
    return replace(protocol, **{path[0]: replace(getattr(protocol, path[0]), **{path[1]: value})})


def transport(name: str, protocols: tuple[Protocol, ...], values: dict[Path_, float]) -> Transport:
    result = {protocol.name: protocol for protocol in protocols}
    for (owner, *path), value in values.items():
        result[owner] = changed(result[owner], tuple(path), value)
    return Transport(name, tuple(result.values()), ALGORITHMS)


def fit(name: str) -> tuple[Transport, dict[Path_, float]]:
    protocols, start = CASES[name]
    benches = [bench for bench in MEASURED[name] if bench.fitted >= 0]
    keys = list(start)
    data = [(bench, *(column[bench.fitted :: 2] for column in bench.rows())) for bench in benches]

    def misses(logs: np.ndarray) -> np.ndarray:
        now = transport(name, protocols, dict(zip(keys, np.exp(logs), strict=True)))
        return np.concatenate([np.log(bench.modelled(now, size).time_s / time) for bench, size, time in data])

    low = np.log([value / 30.0 for value in start.values()])
    high = np.log([min(value * 30.0, 1.0) if "efficiency" in key else value * 30.0 for key, value in start.items()])
    found = least_squares(misses, np.log(list(start.values())), bounds=(low, high), diff_step=1e-3)
    values = dict(zip(keys, np.exp(found.x).tolist(), strict=True))
    return transport(name, protocols, values), values


def shares() -> dict[str, float]:
    """Return the share of the wire that tables of one size give: c06 for rings, c08 for the all-to-all of experts."""
    ring = next(float(r["busbw_nvls_off_GBps"]) for r in published("c06_nvls_vs_ring_h200") if r["gpus"] == "8")
    near, far = [], []
    for r in published("c08_moe_alltoall_deepep"):
        both = [float(r["dispatch_GBps"]), float(r["combine_GBps"])]
        nodes = int(r["topology"].rpartition("x")[2]) if "x" in r["topology"] else 1
        near += [rate * 7 / 8 / 900 for rate in both if nodes == 1]
        far += [rate * (nodes - 1) / nodes / 50 for rate in both if nodes > 1]
    return {
        "nccl_hopper_nvswitch Simple.scale_up": ring / 450,
        "deepep Simple.scale_up": float(np.exp(np.log(near).mean())),
        "deepep Simple.scale_out": float(np.exp(np.log(far).mean())),
    }


def main(names: list[str]) -> None:
    if not names:
        for key, share in shares().items():
            print(f"{key} {share:.3f}")
    for name, benches in MEASURED.items():
        if names and name not in names:
            continue
        fitted, values = fit(name)
        print(name)
        for key, value in values.items():
            print("   ", ".".join(key), f"{value:.4g}")
        for bench in benches:
            size, time = bench.rows()
            result = bench.modelled(fitted, size)
            error = result.time_s / time - 1.0
            for i in range(len(size)):
                mark = "fitted" if i % 2 == bench.fitted else "judged"
                print(
                    f"{size[i]:14.0f} {time[i] * 1e6:10.1f} {result.time_s[i] * 1e6:10.1f} {error[i]:+7.1%} {mark} "
                    f"{result.algorithm[i]} {result.protocol[i]}"
                )


if __name__ == "__main__":
    main(sys.argv[1:])
