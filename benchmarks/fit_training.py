"""Fits one set of efficiency constants per GPU, precision and software stack to a part of published rows, judges the rest."""

from __future__ import annotations

import csv
import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from simulator.network.routing import Routing
from simulator.network.topologies import Ports, ScaleUp, clos
from simulator.scenario.fabrics import transport_of
from simulator.scenario.presets import preset
from simulator.scenario.schema_fabric import TransportSection
from simulator.scenario.schema_training import ModelSection, TrainingSection
from simulator.scenario.training import model_of
from simulator.workload.models import Transformer
from simulator.workload.placed_step import TrainingStep, reference
from simulator.workload.plans import ParallelPlan
from simulator.workload.training import Accelerator, Efficiency, demand

DATA = Path(__file__).parent.parent / "tests" / "published" / "data"
A100 = Accelerator(312e12, 80e9, 2.0e12)
A100_40 = Accelerator(312e12, 40e9, 1.555e12)
H100 = Accelerator(989e12, 80e9, 3.35e12)
H100_FP8 = Accelerator(1979e12, 80e9, 3.35e12)
H100_500W = Accelerator(989e12, 96e9, 2.4e12)
H100_500W_FP8 = Accelerator(1979e12, 96e9, 2.4e12)


def rows(name: str) -> list[dict[str, str]]:
    lines = (DATA / f"{name}.csv").read_text().splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


@functools.cache
def model(name: str, sequence: int | None = None) -> Transformer:
    body = preset("models", name).body()
    body |= {} if sequence is None else {"sequence": sequence}
    section = ModelSection.model_validate(body)
    return model_of(TrainingSection.model_construct(model=section))


@functools.cache
def network(gpus: int, kind: str):
    up, nic = {"a100": (300e9, 25e9), "h100": (450e9, 50e9)}[kind]
    name = {"a100": "nccl_hopper_nvswitch", "h100": "nccl_hopper_nvswitch"}[kind]
    fabric = clos(max(gpus, 8), 64, Ports(nic, 0.6e-6, 8, ScaleUp(8, up)), layout="rail")
    return fabric, Routing("spray"), transport_of(TransportSection.model_validate(name))


@dataclass(frozen=True)
class Row:
    label: str
    shape: Transformer
    plan: ParallelPlan
    gpu: Accelerator
    machine: str
    step_s: float  # published, in seconds per step
    fitted: bool
    tolerance: float

    def simulated(self, efficiency: Efficiency) -> float:
        step = TrainingStep(demand(self.shape, self.plan, self.gpu, efficiency), self.plan)
        return sum(reference(step, *network(self.plan.gpus, self.machine)).values())


def p01() -> list[Row]:
    found = []
    for i, r in enumerate(rows("p01_megatron_a100_step_time")):
        n = {k: int(r[k]) for k in ("gpus", "tp", "pp", "global_batch", "micro_batch", "interleave")}
        plan = ParallelPlan(
            n["gpus"], tp=n["tp"], pp=n["pp"], global_batch=n["global_batch"], micro_batch=n["micro_batch"],
            interleave=n["interleave"], recompute=r["recompute"], sequence_parallel=r["seq_parallel"] == "yes",
        )  # fmt: skip
        name = f"gpt_{r['model'].lower()}"
        found.append(Row(f"p01 {r['model']} {r['recompute']}", model(name), plan, A100, "a100", float(r["iteration_s"]), i < 2, 0.10))
    return found


def p04() -> list[Row]:
    found = []
    for r, batch in zip(rows("p04_sc21_megatron_anchor"), (512, 3072), strict=False):
        shape = model(f"gpt_{r['model'].lower()}")
        plan = ParallelPlan(
            int(r["gpus"]), tp=int(r["tp"]), pp=int(r["pp"]), global_batch=batch, micro_batch=1 if r["model"] == "1008B" else 16,
            recompute="full", sequence_parallel=False, sharding="none",
        )  # fmt: skip
        s, l, h, v = shape.sequence, shape.layers, shape.hidden, shape.vocabulary
        flops = 96.0 * batch * s * l * h * h * (1.0 + s / (6.0 * h) + v / (16.0 * l * h))
        found.append(Row(f"p04 {r['model']}", shape, plan, A100, "a100", flops / plan.gpus / float(r["tflops_per_gpu"]) / 1e12, False, 0.10))
    return found


def p02() -> list[tuple[str, Row]]:
    found = []
    for r in rows("p02_megascale_175b_strong_scaling"):
        plan = ParallelPlan(int(r["gpus"]), tp=8, pp=8, global_batch=int(r["global_batch"]), micro_batch=1, interleave=6, recompute="selective")
        found.append((r["system"], Row(f"p02 {r['system']} {r['gpus']}", model("gpt_175b"), plan, A100, "a100", float(r["iteration_s"]), False, 0.05)))
    return found


def p03() -> list[Row]:
    found = []
    for r in rows("p03_llama3_405b_table4"):
        n = {k: int(r[k]) for k in ("gpus", "tp", "cp", "pp", "dp", "seq", "batch_per_dp")}
        shape = model("llama3_405b", n["seq"])
        plan = ParallelPlan(n["gpus"], tp=n["tp"], cp=n["cp"], pp=n["pp"], global_batch=n["dp"] * n["batch_per_dp"], micro_batch=1, interleave=4, sharding="optimiser")
        flops = shape.model_flops(True) * plan.global_batch * n["seq"] / plan.gpus
        found.append(Row(f"p03 {n['gpus']} {n['seq']}", shape, plan, H100, "h100", flops / float(r["tflops_per_gpu"]) / 1e12, not found, 0.05))
    return found


def p08() -> list[Row]:
    found = []
    for r in rows("p08_megatron_bridge"):
        if "LLAMA" not in r["model"] or r["system"] != "DGX-H100" or "LoRA" in r["kind"]:
            continue
        name = {"LLAMA3.1_405B": "llama3_405b", "LLAMA3_70B": "llama3_70b"}[r["model"]]
        shape = model(name, int(r["seq"]))
        n = {k: int(r[k]) for k in ("gpus", "global_batch", "micro_batch", "tp", "pp", "cp", "vp")}
        plan = ParallelPlan(n["gpus"], tp=n["tp"], cp=n["cp"], pp=n["pp"], global_batch=n["global_batch"], micro_batch=n["micro_batch"], interleave=n["vp"])
        step_s = n["global_batch"] * int(r["seq"]) / (float(r["tokens_per_s_per_gpu"]) * n["gpus"])
        found.append(Row(f"p08 {r['release']} {r['model']}", shape, plan, H100_FP8, "h100", step_s, r["release"] == "26.06" and "405" in r["model"], 0.15))
    return found


def p09(gpu: str) -> list[Row]:
    found = []
    spec = {"h100_80gb": (H100, "h100"), "a100_80gb": (A100, "a100"), "a100_40gb": (A100_40, "a100")}[gpu]
    seen = set()
    for r in rows("p09_mosaic_fsdp"):
        key = (r["model"], r["seq"], r["gpus"], r["micro_batch"], r["grad_accum"])
        if r["gpu"] != gpu or not r["tokens_per_s"]:
            continue
        shape = model(f"mpt_{r['model']}", int(r["seq"]))
        gpus = int(r["gpus"])
        plan = ParallelPlan(
            gpus, global_batch=int(r["global_batch"]), micro_batch=int(r["micro_batch"]),
            sharding="full" if r["sharding"] == "FULL_SHARD" else "optimiser",
            recompute="full" if r["activation_checkpointing"] == "True" else "none", sequence_parallel=False,
        )  # fmt: skip
        if plan.micro_batches < 1 or plan.global_batch % (gpus * plan.micro_batch):
            continue
        step_s = plan.global_batch * shape.sequence / float(r["tokens_per_s"])
        again = " (again)" if key in seen else ""
        seen.add(key)
        found.append(Row(f"p09 {gpu} {r['model']} {r['seq']} x{gpus}{again}", shape, plan, spec[0], spec[1], step_s, len(found) % 2 == 0, 0.15))
    return found


def p10(technique: Callable[[str], bool], gpu: Accelerator) -> list[Row]:
    found = []
    for r in rows("p10_torchtitan"):
        if not r["gpu"].startswith("H100") or not technique(r["technique"]):
            continue
        size = {key: 1 for key in ("FSDP", "TP", "PP", "CP")} | {
            word.rstrip("0123456789"): int(word[len(word.rstrip("0123456789")):]) for word in r["parallelism"].split()
        }
        gpus = int(r["gpus"])
        shape = model({"8B": "llama3_8b", "70B": "llama3_70b", "405B": "llama3_405b"}[r["model"]], int(r["seq"]))
        batch, pp = int(r["global_batch"]), size["PP"]
        dp = gpus // (size["TP"] * pp)
        plan = ParallelPlan(
            gpus, tp=size["TP"], pp=pp, global_batch=batch, micro_batch=int(r["local_batch"]) if pp == 1 else int(r["local_batch"]) // pp,
            interleave=2 if "interleaved" in r["technique"] else 1, sharding="full" if pp == 1 else "optimiser",
            recompute="full" if r["model"] == "405B" else "selective",
        )  # fmt: skip
        if batch % (dp * plan.micro_batch):
            continue
        step_s = batch * shape.sequence / (float(r["tokens_per_s_per_gpu"]) * gpus)
        found.append(Row(f"p10 {r['model']} x{gpus} {r['technique']}", shape, plan, gpu, "h100", step_s, not found, 0.15))
    return found


START = {"matmul": 0.7, "half_width": 300.0, "attention": 0.35, "elementwise": 20.0, "overlap": 0.7}
CASES: dict[str, tuple[Callable[[], list[Row]], tuple[str, ...]]] = {
    "a100_bf16_megatron": (lambda: p01() + p04(), ("matmul", "attention")),
    "h100_bf16_megatron": (p03, ("matmul",)),
    "h100_fp8_megatron": (p08, ("matmul",)),
    "h100_bf16_mosaic": (lambda: p09("h100_80gb"), ("matmul", "half_width", "attention", "elementwise", "overlap")),
    "a100_bf16_mosaic": (lambda: p09("a100_80gb") + p09("a100_40gb"), ("matmul", "half_width", "attention", "elementwise", "overlap")),
    "h100_500w_bf16_eager": (lambda: p10(lambda t: t == "bf16", H100_500W), ("matmul",)),
    "h100_500w_bf16_compile": (lambda: p10(lambda t: t == "compile", H100_500W), ("matmul",)),
    "h100_500w_fp8_compile": (lambda: p10(lambda t: "float8" in t, H100_500W_FP8), ("matmul",)),
    "h100_500w_fp8_pipeline": (lambda: p10(lambda t: "1F1B" in t, H100_500W_FP8), ("matmul",)),
}
FIXED: dict[str, dict[str, float]] = {
    "h100_fp8_megatron": {"attention": 0.2},
    "h100_500w_fp8_compile": {"attention": 0.2},
    "h100_500w_fp8_pipeline": {"attention": 0.2},
}


def fit(name: str) -> tuple[Efficiency, list[Row]]:
    load, free = CASES[name]
    found = load()
    base = START | FIXED.get(name, {})

    def build(logs: np.ndarray) -> Efficiency:
        now = base | dict(zip(free, np.exp(logs).tolist(), strict=True))
        return Efficiency(name, now["matmul"], now["half_width"], now["attention"], now["elementwise"], 0.0, now["overlap"], 0.0)

    fitted = [row for row in found if row.fitted]

    def misses(logs: np.ndarray) -> np.ndarray:
        efficiency = build(logs)
        return np.array([np.log(row.simulated(efficiency) / row.step_s) for row in fitted])

    start = np.log([base[key] for key in free])
    high = np.log([{"matmul": 1.0, "attention": 2.0, "overlap": 1.0}.get(key, base[key] * 20.0) for key in free])
    result = least_squares(misses, start, bounds=(start - 4.0, high), diff_step=1e-3, loss="soft_l1", f_scale=0.1)
    return build(result.x), found


def main(names: list[str]) -> None:
    for name in names or CASES:
        efficiency, found = fit(name)
        print(f"\n{efficiency}")
        errors = []
        for row in found:
            error = row.simulated(efficiency) / row.step_s - 1.0
            errors.append(abs(error))
            flag = "fitted" if row.fitted else "judged"
            print(f"{row.label:44s} {row.step_s:9.3f} {error:+7.1%} {flag} {'' if abs(error) <= row.tolerance else 'MISS'}")
        inside = np.mean([e <= r.tolerance for e, r in zip(errors, found, strict=True)])
        print(f"median {np.median(errors):.1%}, inside tolerance {inside:.0%} of {len(found)}")
        if name == "a100_bf16_megatron":
            base: dict[str, float] = {}
            for system, row in p02():
                ratio = row.simulated(efficiency) / row.step_s
                first = base.setdefault(f"{system}{row.plan.global_batch}", ratio)
                print(f"{row.label:44s} {row.step_s:9.3f} ratio to first {ratio / first - 1.0:+.1%}")


if __name__ == "__main__":
    main(sys.argv[1:])
