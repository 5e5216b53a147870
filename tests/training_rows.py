"""Published training runs as rows that the step model can redo: model, plan, machine, time of a step."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tables import published

from simulator.network.routing import Routing
from simulator.network.topologies import Ports, ScaleUp, clos, torus
from simulator.network.transport import Transport, Wire
from simulator.scenario.fabrics import transport_of
from simulator.scenario.presets import preset
from simulator.scenario.schema_fabric import TransportSection
from simulator.scenario.schema_training import EfficiencySection, ModelSection, TrainingSection
from simulator.scenario.training import efficiency_of, model_of
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
H200_FP8 = Accelerator(1979e12, 141e9, 4.8e12)
B200_FP8 = Accelerator(4500e12, 180e9, 8.0e12)
GB200_FP8 = Accelerator(5000e12, 186e9, 8.0e12)
GB300_FP8 = Accelerator(5000e12, 279e9, 8.0e12)  # verda.com/blog/gb300-nvl72-architecture; the others: node presets
V6E = Accelerator(918e12, 32e9, 1.638e12)  # docs.cloud.google.com/tpu/docs/v6e


@dataclass(frozen=True)
class Machine:
    """Bytes/s one way of a GPU inside its scale-up domain and of its NIC; GPUs of a domain and of a node."""

    scale_up: float
    nic: float
    domain: int
    node: int
    transport: str


MACHINES = {
    "a100": Machine(300e9, 25e9, 8, 8, "nccl_hopper_nvswitch"),
    "h100": Machine(450e9, 50e9, 8, 8, "nccl_hopper_nvswitch"),
    "b200": Machine(900e9, 50e9, 8, 8, "nccl_b200_nvswitch"),
    # 64 of the 72 GPUs of a rack: the sizes of the runs, 256 to 2,496 GPUs, are multiples of 64 and not of 72.
    "gb200": Machine(900e9, 50e9, 64, 4, "nccl_gb200_nvl72"),
    "gb300": Machine(900e9, 100e9, 64, 4, "nccl_gb200_nvl72"),
}


@functools.cache
def model(name: str, sequence: int | None = None) -> Transformer:
    body = preset("models", name).body()
    body |= {} if sequence is None else {"sequence": sequence}
    section = ModelSection.model_validate(body)
    return model_of(TrainingSection.model_construct(model=section))


@functools.cache
def efficiency(name: str) -> Efficiency:
    return efficiency_of(EfficiencySection.model_validate(name))


def doubled_hops(transport: Transport) -> Transport:
    def wire(each: Wire) -> Wire:
        return replace(each, hop_s=2.0 * each.hop_s)

    changed = [replace(p, scale_up=wire(p.scale_up), scale_out=wire(p.scale_out)) for p in transport.protocols]
    return replace(transport, protocols=tuple(changed))


def without_reduction(transport: Transport) -> Transport:
    """Return a transport on switches that do not reduce."""
    return replace(transport, protocols=transport.serving(False))


@functools.cache
def network(gpus: int, kind: str, change: Callable[[Transport], Transport] | None = None) -> Any:
    if (
        kind == "v6e"
    ):  # 800 GB/s both ways over four ports; links are as they are, for no collective of a TPU is measured
        ideal = transport_of(TransportSection.model_validate("ideal"))
        return torus((16, 16), Ports(400e9, 1e-6, 8)), Routing("dimension_order"), ideal
    m = MACHINES[kind]
    fabric = clos(max(gpus, m.domain), 64, Ports(m.nic, 0.6e-6, m.node, ScaleUp(m.domain, m.scale_up)), layout="rail")
    transport = transport_of(TransportSection.model_validate(m.transport))
    return fabric, Routing("spray"), change(transport) if change else transport


@dataclass(frozen=True)
class Row:
    label: str
    shape: Transformer
    plan: ParallelPlan
    gpu: Accelerator
    machine: str
    step_s: float  # published, in seconds per step; nan where only the time to train is
    fitted: bool
    tolerance: float
    series: str = ""  # rows of one series are neighbours, in this order

    def simulated(self, efficiency: Efficiency, change: Callable[[Transport], Transport] | None = None) -> float:
        step = TrainingStep(demand(self.shape, self.plan, self.gpu, efficiency), self.plan)
        return sum(reference(step, *network(self.plan.gpus, self.machine, change)).values())


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


BRIDGE = {"DGX-H100": (H100_FP8, "h100"), "DGX-GB200": (GB200_FP8, "gb200"), "DGX-GB300": (GB300_FP8, "gb300")}
LLAMA = {"LLAMA3.1_405B": "llama3_405b", "LLAMA3_70B": "llama3_70b"}


def bridge(r: dict[str, str]) -> Row:
    """Return a row of a dense Llama in table p08."""
    n = {k: int(r[k]) for k in ("gpus", "global_batch", "micro_batch", "seq", "tp", "pp", "cp", "vp")}
    plan = ParallelPlan(
        n["gpus"],
        tp=n["tp"],
        cp=n["cp"],
        pp=n["pp"],
        global_batch=n["global_batch"],
        micro_batch=n["micro_batch"],
        interleave=n["vp"],
    )
    return Row(
        f"p08 {r['release']} {r['model']}",
        model(LLAMA[r["model"]], n["seq"]),
        plan,
        *BRIDGE[r["system"]],
        n["global_batch"] * n["seq"] / (float(r["tokens_per_s_per_gpu"]) * n["gpus"]),
        r["release"] == "26.06" and "405" in r["model"],
        0.15,
        f"p08 {r['system']} {r['precision']} {r['kind']}",
    )


def p08(system: str = "DGX-H100", precision: str = "FP8") -> list[Row]:
    return [
        bridge(r)
        for r in published("p08_megatron_bridge")
        if r["model"] in LLAMA and (r["system"], r["precision"]) == (system, precision) and "LoRA" not in r["kind"]
    ]


def p09(gpu: str, peak: float) -> list[Row]:
    """Return the rows of a GPU whose printed MFU is of this peak: the table tells its precisions by nothing else."""
    found = []
    spec = {"h100_80gb": (H100, "h100"), "a100_80gb": (A100, "a100"), "a100_40gb": (A100_40, "a100")}[gpu]
    for r in published("p09_mosaic_fsdp"):
        of = float(r["model_tflops_per_gpu"]) * 1e12 / (float(r["mfu_percent"]) / 100.0)
        if r["gpu"] != gpu or abs(of / peak - 1.0) > 0.02:
            continue
        shape = model(f"mpt_{r['model']}", int(r["seq"]))
        plan = ParallelPlan(
            int(r["gpus"]),
            global_batch=int(r["global_batch"]),
            micro_batch=int(r["micro_batch"]),
            sharding="full" if r["sharding"] == "FULL_SHARD" else "optimiser",
            recompute="full" if r["activation_checkpointing"] == "True" else "none",
            sequence_parallel=False,
        )
        series = f"p09 {gpu} {r['model']} {r['seq']}"
        found.append(
            Row(
                f"{series} x{plan.gpus}, micro {plan.micro_batch}",
                shape,
                plan,
                replace(spec[0], peak_flops=peak),
                spec[1],
                plan.global_batch * shape.sequence / float(r["tokens_per_s"]),
                len(found) % 2 == 0,
                0.15,
                series,
            )
        )
    return found


def p09_fp8() -> list[Row]:
    return [replace(row, fitted=row.shape.sequence == 2048) for row in p09("h100_80gb", 1979e12)]


def p10(technique: Callable[[str], bool], gpu: Accelerator, fitted: tuple[int, ...] = (0,)) -> list[Row]:
    found = []
    for r in published("p10_torchtitan"):
        if not technique(r["technique"]):
            continue
        size = dict.fromkeys(("FSDP", "TP", "PP"), 1) | {
            word.rstrip("0123456789"): int(word[len(word.rstrip("0123456789")) :]) for word in r["parallelism"].split()
        }
        shape = model({"8B": "llama3_8b", "70B": "llama3_70b", "405B": "llama3_405b"}[r["model"]], int(r["seq"]))
        pp = size["PP"]
        plan = ParallelPlan(
            int(r["gpus"]),
            tp=size["TP"],
            pp=pp,
            global_batch=int(r["global_batch"]),
            micro_batch=int(r["local_batch"]) // pp,
            interleave=2 if "interleaved" in r["technique"] else 1,
            sharding="full" if pp == 1 else "optimiser",
            # As the benchmark's page says of each of its tables.
            recompute="selective" if r["model"] == "8B" else "full",
        )
        step_s = plan.global_batch * shape.sequence / (float(r["tokens_per_s_per_gpu"]) * plan.gpus)
        label = f"p10 {r['model']} x{plan.gpus} {r['technique']}"
        series = f"p10 8B {r['technique']}" if r["model"] == "8B" else f"p10 {r['model']}"
        found.append(Row(label, shape, plan, gpu, "h100", step_s, len(found) in fitted, 0.15, series))
    return found


def is_float8(technique: str) -> bool:
    return "float8" in technique or "1F1B" in technique


STACKS: dict[str, Callable[[], list[Row]]] = {
    "a100_bf16_megatron": lambda: p01() + p04(),
    "h100_bf16_megatron": p03,
    "h100_fp8_megatron": p08,
    "h100_bf16_mosaic": lambda: p09("h100_80gb", 989e12),
    "h100_fp8_mosaic": p09_fp8,
    "a100_bf16_mosaic": lambda: p09("a100_80gb", 312e12) + p09("a100_40gb", 312e12),
    "h100_500w_bf16_eager": lambda: p10(lambda t: t == "bf16", H100_500W),
    "h100_500w_bf16_compile": lambda: p10(lambda t: t == "compile", H100_500W),
    "h100_500w_fp8_compile": lambda: p10(is_float8, H100_500W_FP8, fitted=(0, 2)),
}
"""Rows of each GPU, precision and software stack, by the name of its preset."""
