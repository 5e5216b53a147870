"""Published training runs as rows that the step model can redo: model, plan, machine, time of a step."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tables import published

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

A100 = Accelerator(312e12, 80e9, 2.0e12)
A100_40 = Accelerator(312e12, 40e9, 1.555e12)
H100 = Accelerator(989e12, 80e9, 3.35e12)
H100_FP8 = Accelerator(1979e12, 80e9, 3.35e12)
H100_500W = Accelerator(989e12, 96e9, 2.4e12)
H100_500W_FP8 = Accelerator(1979e12, 96e9, 2.4e12)


@functools.cache
def model(name: str, sequence: int | None = None) -> Transformer:
    body = preset("models", name).body()
    body |= {} if sequence is None else {"sequence": sequence}
    section = ModelSection.model_validate(body)
    return model_of(TrainingSection.model_construct(model=section))


@functools.cache
def network(gpus: int, kind: str) -> Any:
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
    for i, r in enumerate(published("p01_megatron_a100_step_time")):
        n = {k: int(r[k]) for k in ("gpus", "tp", "pp", "global_batch", "micro_batch", "interleave")}
        plan = ParallelPlan(
            n["gpus"],
            tp=n["tp"],
            pp=n["pp"],
            global_batch=n["global_batch"],
            micro_batch=n["micro_batch"],
            interleave=n["interleave"],
            recompute=r["recompute"],
            sequence_parallel=r["seq_parallel"] == "yes",
        )
        name = f"gpt_{r['model'].lower()}"
        found.append(
            Row(
                f"p01 {r['model']} {r['recompute']}",
                model(name),
                plan,
                A100,
                "a100",
                float(r["iteration_s"]),
                i < 2,
                0.10,
            )
        )
    return found


def p04() -> list[Row]:
    found = []
    for r, batch in zip(published("p04_sc21_megatron_anchor"), (512, 3072), strict=False):
        shape = model(f"gpt_{r['model'].lower()}")
        plan = ParallelPlan(
            int(r["gpus"]),
            tp=int(r["tp"]),
            pp=int(r["pp"]),
            global_batch=batch,
            micro_batch=1 if r["model"] == "1008B" else 16,
            recompute="full",
            sequence_parallel=False,
            sharding="none",
        )
        s, n, h, v = shape.sequence, shape.layers, shape.hidden, shape.vocabulary
        flops = 96.0 * batch * s * n * h * h * (1.0 + s / (6.0 * h) + v / (16.0 * n * h))
        found.append(
            Row(
                f"p04 {r['model']}",
                shape,
                plan,
                A100,
                "a100",
                flops / plan.gpus / float(r["tflops_per_gpu"]) / 1e12,
                r["model"] == "1.7B",
                0.10,
            )
        )
    return found


def p02() -> list[tuple[str, Row]]:
    found = []
    for r in published("p02_megascale_175b_strong_scaling"):
        plan = ParallelPlan(
            int(r["gpus"]),
            tp=8,
            pp=8,
            global_batch=int(r["global_batch"]),
            micro_batch=1,
            interleave=6,
            recompute="selective",
        )
        found.append(
            (
                r["system"],
                Row(
                    f"p02 {r['system']} {r['gpus']}",
                    model("gpt_175b"),
                    plan,
                    A100,
                    "a100",
                    float(r["iteration_s"]),
                    False,
                    0.05,
                ),
            )
        )
    return found


def p03() -> list[Row]:
    found = []
    for r in published("p03_llama3_405b_table4"):
        n = {k: int(r[k]) for k in ("gpus", "tp", "cp", "pp", "dp", "seq", "batch_per_dp")}
        shape = model("llama3_405b", n["seq"])
        plan = ParallelPlan(
            n["gpus"],
            tp=n["tp"],
            cp=n["cp"],
            pp=n["pp"],
            global_batch=n["dp"] * n["batch_per_dp"],
            micro_batch=1,
            interleave=4,
            sharding="optimiser",
        )
        flops = shape.model_flops(True) * plan.global_batch * n["seq"] / plan.gpus
        found.append(
            Row(
                f"p03 {n['gpus']} {n['seq']}",
                shape,
                plan,
                H100,
                "h100",
                flops / float(r["tflops_per_gpu"]) / 1e12,
                not found,
                0.05,
            )
        )
    return found


def p08() -> list[Row]:
    found = []
    for r in published("p08_megatron_bridge"):
        if "LLAMA" not in r["model"] or r["system"] != "DGX-H100" or "LoRA" in r["kind"]:
            continue
        name = {"LLAMA3.1_405B": "llama3_405b", "LLAMA3_70B": "llama3_70b"}[r["model"]]
        shape = model(name, int(r["seq"]))
        n = {k: int(r[k]) for k in ("gpus", "global_batch", "micro_batch", "tp", "pp", "cp", "vp")}
        plan = ParallelPlan(
            n["gpus"],
            tp=n["tp"],
            cp=n["cp"],
            pp=n["pp"],
            global_batch=n["global_batch"],
            micro_batch=n["micro_batch"],
            interleave=n["vp"],
        )
        step_s = n["global_batch"] * int(r["seq"]) / (float(r["tokens_per_s_per_gpu"]) * n["gpus"])
        found.append(
            Row(
                f"p08 {r['release']} {r['model']}",
                shape,
                plan,
                H100_FP8,
                "h100",
                step_s,
                r["release"] == "26.06" and "405" in r["model"],
                0.15,
            )
        )
    return found


def p09(gpu: str) -> list[Row]:
    found = []
    spec = {"h100_80gb": (H100, "h100"), "a100_80gb": (A100, "a100"), "a100_40gb": (A100_40, "a100")}[gpu]
    seen = set()
    for r in published("p09_mosaic_fsdp"):
        key = (r["model"], r["seq"], r["gpus"], r["micro_batch"], r["grad_accum"])
        if r["gpu"] != gpu or not r["tokens_per_s"]:
            continue
        shape = model(f"mpt_{r['model']}", int(r["seq"]))
        gpus = int(r["gpus"])
        plan = ParallelPlan(
            gpus,
            global_batch=int(r["global_batch"]),
            micro_batch=int(r["micro_batch"]),
            sharding="full" if r["sharding"] == "FULL_SHARD" else "optimiser",
            recompute="full" if r["activation_checkpointing"] == "True" else "none",
            sequence_parallel=False,
        )
        if plan.micro_batches < 1 or plan.global_batch % (gpus * plan.micro_batch):
            continue
        step_s = plan.global_batch * shape.sequence / float(r["tokens_per_s"])
        again = " (again)" if key in seen else ""
        seen.add(key)
        found.append(
            Row(
                f"p09 {gpu} {r['model']} {r['seq']} x{gpus}{again}",
                shape,
                plan,
                spec[0],
                spec[1],
                step_s,
                len(found) % 2 == 0,
                0.15,
            )
        )
    return found


def p10(technique: Callable[[str], bool], gpu: Accelerator) -> list[Row]:
    found = []
    for r in published("p10_torchtitan"):
        if not r["gpu"].startswith("H100") or not technique(r["technique"]):
            continue
        size = dict.fromkeys(("FSDP", "TP", "PP", "CP"), 1) | {
            word.rstrip("0123456789"): int(word[len(word.rstrip("0123456789")) :]) for word in r["parallelism"].split()
        }
        gpus = int(r["gpus"])
        shape = model({"8B": "llama3_8b", "70B": "llama3_70b", "405B": "llama3_405b"}[r["model"]], int(r["seq"]))
        batch, pp = int(r["global_batch"]), size["PP"]
        dp = gpus // (size["TP"] * pp)
        plan = ParallelPlan(
            gpus,
            tp=size["TP"],
            pp=pp,
            global_batch=batch,
            micro_batch=int(r["local_batch"]) if pp == 1 else int(r["local_batch"]) // pp,
            interleave=2 if "interleaved" in r["technique"] else 1,
            sharding="full" if pp == 1 else "optimiser",
            recompute="full" if r["model"] == "405B" else "selective",
        )
        if batch % (dp * plan.micro_batch):
            continue
        step_s = batch * shape.sequence / (float(r["tokens_per_s_per_gpu"]) * gpus)
        found.append(
            Row(f"p10 {r['model']} x{gpus} {r['technique']}", shape, plan, gpu, "h100", step_s, not found, 0.15)
        )
    return found


STACKS: dict[str, Callable[[], list[Row]]] = {
    "a100_bf16_megatron": lambda: p01() + p04(),
    "h100_bf16_megatron": p03,
    "h100_fp8_megatron": p08,
    "h100_bf16_mosaic": lambda: p09("h100_80gb"),
    "a100_bf16_mosaic": lambda: p09("a100_80gb") + p09("a100_40gb"),
    "h100_500w_bf16_eager": lambda: p10(lambda t: t == "bf16", H100_500W),
    "h100_500w_bf16_compile": lambda: p10(lambda t: t == "compile", H100_500W),
    "h100_500w_fp8_compile": lambda: p10(lambda t: "float8" in t, H100_500W_FP8),
    "h100_500w_fp8_pipeline": lambda: p10(lambda t: "1F1B" in t, H100_500W_FP8),
}
"""Rows of each GPU, precision and software stack, by the name of its preset."""
