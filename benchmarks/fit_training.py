"""Fits the efficiency constants of each software stack to a part of published rows and judges them on the rest."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from shown_rows import SHOWN_STACKS
from training_rows import STACKS, Row

from simulator.workload.training import Efficiency

ALL = STACKS | SHOWN_STACKS
START = {"matmul": 0.7, "half_width": 300.0, "attention": 0.35, "elementwise": 20.0, "overlap": 0.7, "tp_overlap": 0.0}
FREE: dict[str, tuple[str, ...]] = {
    "a100_bf16_megatron": ("matmul", "attention", "elementwise"),
    "h100_bf16_mosaic": ("matmul", "attention", "elementwise"),
    "a100_bf16_mosaic": ("matmul", "half_width", "attention", "elementwise", "overlap"),
    "h100_500w_fp8_compile": ("matmul", "elementwise"),
}
"""Constants that are fitted; of a stack that is not here only ``matmul``."""
FIXED: dict[str, dict[str, float]] = {
    "a100_bf16_megatron": {"half_width": 100.0},
    "h100_fp8_megatron": {"attention": 0.2},
    "h100_fp8_mosaic": {"attention": 0.1604, "elementwise": 110.5},  # those of bf16, the peak being twice as high
    "h100_500w_fp8_compile": {"attention": 0.2},
    "h200_fp8_torchtitan": {"attention": 0.2, "elementwise": 246.5},  # as fitted on H100
    **{name: {"attention": 0.2, "tp_overlap": 0.8} for name in SHOWN_STACKS if "megatron" in name},
}
"""Constants that are assumed, where they are not those of ``START``."""


def fit(name: str) -> tuple[Efficiency, list[Row]]:
    free = FREE.get(name, ("matmul",))
    found = ALL[name]()
    base = START | FIXED.get(name, {})

    def build(logs: np.ndarray) -> Efficiency:
        return Efficiency(name=name, layer_s=0.0, **(base | dict(zip(free, np.exp(logs).tolist(), strict=True))))

    fitted = [row for row in found if row.fitted]

    def misses(logs: np.ndarray) -> np.ndarray:
        efficiency = build(logs)
        return np.array([np.log(row.simulated(efficiency) / row.step_s) for row in fitted])

    start = np.log([base[key] for key in free])
    high = np.log([{"matmul": 1.0, "attention": 2.0, "overlap": 1.0}.get(key, base[key] * 20.0) for key in free])
    result = least_squares(misses, start, bounds=(start - 4.0, high), diff_step=1e-3, loss="soft_l1", f_scale=0.1)
    return build(result.x), found


def main(names: list[str]) -> None:
    for name in names or ALL:
        efficiency, found = fit(name)
        print(f"\n{efficiency}")
        errors = []
        for row in found:
            error = row.simulated(efficiency) / row.step_s - 1.0
            errors.append(abs(error))
            flag = "fitted" if row.fitted else "judged"
            miss = "" if abs(error) <= row.tolerance else "MISS"
            print(f"{row.label:44s} {row.step_s:9.3f} {error:+7.1%} {flag} {miss}")
        inside = np.mean([e <= r.tolerance for e, r in zip(errors, found, strict=True)])
        print(f"median {np.median(errors):.1%}, inside tolerance {inside:.0%} of {len(found)}")


if __name__ == "__main__":
    main(sys.argv[1:])
