"""Published training runs that stand beside the simulation without a gate, and those that are not simulated."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tables import published
from training_rows import (
    B200_FP8,
    GB200_FP8,
    GB300_FP8,
    H100_FP8,
    H200_FP8,
    STACKS,
    V6E,
    Row,
    efficiency,
    model,
    p08,
)

from simulator.workload.plans import ParallelPlan

NAN = float("nan")


@dataclass(frozen=True)
class Run:
    """A run of MLPerf: the row, who submitted it on which accelerator, and the preset that stands for its stack."""

    submitter: str
    accelerator: str
    row: Row
    preset: str
    minutes: float

    @property
    def simulated_s(self) -> float:
        return self.row.simulated(efficiency(self.preset))

    @property
    def group(self) -> str:
        return f"{self.submitter}, {self.accelerator}"


# --- MLPerf -------------------------------------------------------------------------------------------------------


def p05() -> list[Run]:
    """Return GPT-3 175B on H100; the plan is that of the submission's scripts (config_DGXH100_...x4x8_mbs1.sh)."""
    found = []
    for r in published("p05_mlperf_gpt3_175b_v3_1"):
        if "H100" not in r["accelerator"]:
            continue
        gpus, batch = int(r["nodes"]) * int(r["gpus_per_node"]), int(r["global_batch"])
        plan = ParallelPlan(gpus, tp=4, pp=8, global_batch=batch, interleave=12)
        shape = model("gpt_175b")
        step_s = batch * shape.sequence / float(r["median_throughput_per_s"])
        row = Row(f"p05 {gpus}", shape, plan, H100_FP8, "h100", step_s, False, 0.10)
        found.append(Run(r["submitter"], "H100", row, "h100_fp8_megatron", float(r["minutes_median"])))
    return _by_size(found)


def p06() -> list[Run]:
    """Return Llama 3.1 405B; the plans are those of the submissions' scripts (config_..._tp?pp8cp2.sh)."""
    found = []
    stacks = {
        "H100": (8, H100_FP8, "h100", "h100_fp8_megatron"),
        "H200": (4, H200_FP8, "h100", "h100_fp8_megatron"),
        "GB200": (4, GB200_FP8, "gb200", "gb200_fp8_megatron"),
    }
    for r in published("p06_mlperf_llama31_405b_v5_0"):
        name = next(key for key in ("GB200", "H200", "H100") if key in r["accelerator"])
        tp, gpu, machine, preset = stacks[name]
        gpus, batch = int(r["nodes"]) * int(r["gpus_per_node"]), int(r["global_batch"])
        plan = ParallelPlan(gpus, tp=tp, pp=8, cp=2, global_batch=batch, interleave=8)
        step_s = batch / float(r["median_throughput_per_s"] or NAN)
        row = Row(f"p06 {name} {gpus}", model("llama3_405b"), plan, gpu, machine, step_s, False, 0.10)
        found.append(Run(r["submitter"], name, row, preset, float(r["minutes_median"])))
    return _by_size(found)


P07 = {
    "H100": (H100_FP8, "h100", "h100_fp8_megatron"),
    "H200": (H200_FP8, "h100", "h100_fp8_megatron"),
    "B200": (B200_FP8, "b200", "gb200_fp8_megatron"),
    "GB200": (GB200_FP8, "gb200", "gb200_fp8_megatron"),
    "GB300": (GB300_FP8, "gb300", "gb300_fp8_megatron"),
}


def _short(r: dict[str, str]) -> str:
    return next((key for key in ("GB300", "GB200", "B300", "B200", "H200", "H100") if key in r["accelerator"]), "")


def p07() -> list[Run]:
    """Return Llama 3.1 8B where one submitter ran one accelerator in several sizes.

    The plan is ours: a replica for each sequence of the batch or for each GPU, and the GPUs of a replica split the
    sequence, as in the names of scripts of that round (config_DGXB200_4x8x1xtp1pp1cp2_8b.sh).
    """
    found = []
    for r in published("p07_mlperf_small_llm"):
        name = _short(r)
        if r["benchmark"] != "llama31_8b" or name not in P07:
            continue
        gpus, batch = int(r["nodes"]) * int(r["gpus_per_node"]), int(r["global_batch"])
        replicas = min(gpus, batch)
        plan = ParallelPlan(gpus, cp=gpus // replicas, global_batch=batch, micro_batch=batch // replicas)
        gpu, machine, preset = P07[name]
        row = Row(f"p07 {name} {gpus}", model("llama3_8b"), plan, gpu, machine, NAN, False, 0.15)
        found.append(Run(r["submitter"], name, row, preset, float(r["median_min"])))
    sizes = Counter(group for group, _ in {(run.group, run.row.plan.gpus) for run in found})
    return _by_size([run for run in found if sizes[run.group] > 1])


def _by_size(runs: list[Run]) -> list[Run]:
    first = list(dict.fromkeys(run.group for run in runs))
    return sorted(runs, key=lambda run: (first.index(run.group), run.row.plan.gpus))


# --- tables with a published time for each row --------------------------------------------------------------------


def p11() -> list[Row]:
    """Return MaxText on TPU v6e; sequences a chip are those of its maxtext_trillium_model_configs.py."""
    shapes = {
        "Llama 2 70B": ("llama2_70b", 3, 1),
        "Llama 3.1 8B": ("llama3_8b", 4, 1),
        "Llama 3.1 70B": ("llama3_70b", 5, 1),
        "Mixtral 8x7B": ("mixtral_8x7b", 12, 1),
        "Mixtral 8x22B": ("mixtral_8x22b", 8, 4),
    }
    found = []
    for r in published("p11_tpu_maxtext"):
        name, batch, experts = shapes[r["model"]]
        chips = int(r["chips"])
        plan = ParallelPlan(
            chips, ep=experts, global_batch=batch * chips, micro_batch=batch, sharding="full", recompute="full"
        )
        shape = model(name, int(r["seq"]))
        step_s = batch * shape.sequence / float(r["tokens_per_s_per_chip"])
        fitted = r["model"] == "Llama 3.1 8B"
        found.append(Row(f"p11 {r['model']} {r['seq']}", shape, plan, V6E, "v6e", step_s, fitted, 0.15))
    return found


def h200() -> list[Row]:
    found = []
    for r in published("torchtitan_h200"):
        gpus, batch = int(r["gpus"]), int(r["local_batch"])
        plan = ParallelPlan(gpus, global_batch=batch * gpus, micro_batch=batch, sharding="full", recompute="selective")
        step_s = batch * int(r["seq"]) / float(r["tokens_per_s_per_gpu"])
        row = Row(f"H200 8B x{gpus}", model("llama3_8b"), plan, H200_FP8, "h100", step_s, not found, 0.15, "H200 8B")
        found.append(row)
    return found


SHOWN_STACKS: dict[str, Callable[[], list[Row]]] = {
    "gb200_fp8_megatron": lambda: p08("DGX-GB200", "FP8"),
    "gb200_mxfp8_megatron": lambda: p08("DGX-GB200", "MXFP8"),
    "gb300_fp8_megatron": lambda: p08("DGX-GB300", "FP8"),
    "gb300_mxfp8_megatron": lambda: p08("DGX-GB300", "MXFP8"),
    "h200_fp8_torchtitan": h200,
    "tpu_v6e_bf16_maxtext": p11,
}


# --- neighbours, achievable products, and what is left out --------------------------------------------------------


def neighbours(rows: list[tuple[str, Row]]) -> list[tuple[str, float]]:
    """Return, for rows that follow one another in a series, how far the simulated ratio is from the published one."""
    series: dict[str, list[tuple[str, float]]] = {}
    for preset, row in rows:
        found = (row.label.removeprefix(row.series).strip(" ,"), row.simulated(efficiency(preset)) / row.step_s)
        series.setdefault(row.series, []).append(found)
    return [
        (f"{name}: {first} to {second}", after / before - 1.0)
        for name, found in series.items()
        for (first, before), (second, after) in itertools.pairwise(found)
    ]


P12 = {
    ("A100 SXM", "bf16"): ("a100_bf16_megatron", "a100_bf16_mosaic"),
    ("H100 SXM", "bf16"): ("h100_bf16_megatron", "h100_bf16_mosaic"),
    ("H100 SXM", "fp8"): ("h100_fp8_megatron", "h100_fp8_mosaic"),
}
"""Presets of the GPUs of table p12 at their full power."""


def narrowed(name: str) -> float:
    """Return the rate of matrix products in the first fitted row of a preset, as a share of the peak."""
    row = next(row for row in STACKS[name]() if row.fitted)
    width = row.shape.hidden / row.plan.tp
    return efficiency(name).matmul * width / (width + efficiency(name).half_width)


MIXTURES = {
    "DeepSeekV3": "latent attention, a shared expert, three dense layers",
    "DeepSeekV4 Flash": "compressed sparse attention, a shared expert",
    "Kimi_K2": "latent attention, a shared expert, one dense layer",
    "GPT OSS 120B": "64 heads of 64 on a width of 2,880; every second layer sees a window of 128 tokens",
    "Qwen3_30B_a3B": "32 heads of 128 on a width of 2,048: queries twice as wide as the model",
    "Nemotron_3_5_Lightning": "Mamba-2 layers between those of attention",
    "Nemotron_3_Super": "Mamba-2 layers between those of attention, latent experts",
    "Nemotron_3_Ultra": "Mamba-2 layers between those of attention, latent experts",
}
"""What the model of a transformer lacks for the mixtures of experts of table p08."""


def why_not(r: dict[str, str]) -> tuple[str, str] | None:
    """Return what a row of p08 is and why it is not simulated; None for those that are."""
    if "LoRA" in r["kind"]:
        return "Llama 3 70B, LoRA", "frozen weights have no gradients; a step of the model always has them"
    if r["model"] in MIXTURES:
        return r["model"], MIXTURES[r["model"]]
    if r["precision"] == "NVFP4":
        return "Llama 3.1 405B, NVFP4", "no source for the peak; the scenario format knows bf16 and fp8"
    return None


def left_out() -> dict[tuple[str, str, str], int]:
    """Return how many rows of each table are not simulated, by table, what they are, and why."""
    found: Counter[tuple[str, str, str]] = Counter()
    for r in published("p05_mlperf_gpt3_175b_v3_1"):
        if "Gaudi2" in r["accelerator"]:
            found["p05", "Gaudi2", "its vendor publishes no peak (ml-engineering handbook)"] += 1
        elif "TPU" in r["accelerator"]:
            found["p05", "TPU v5e", "minutes only, and of one size: no ratio"] += 1
    shown = Counter((run.submitter, run.accelerator) for run in p07())
    for r in published("p07_mlperf_small_llm"):
        if r["benchmark"] == "llama2_70b_lora":
            found["p07", "Llama 2 70B, LoRA", "minutes only, and LoRA as in p08"] += 1
        elif (r["submitter"], _short(r)) not in shown:
            found["p07", "Llama 3.1 8B, one size", "minutes only: no ratio"] += 1
    for r in published("p08_megatron_bridge"):
        reason = why_not(r)
        if reason is not None:
            found["p08", *reason] += 1
    return dict(found)
