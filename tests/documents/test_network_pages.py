"""Tables of docs/network.md and docs/training-step.md: published beside simulated, made from the presets.

``python tests/documents/test_network_pages.py`` writes them into the pages again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from documents.test_reference_pages import DOCS, renewed, span, table
from measured_collectives import MEASURED, Rate, c06, c06_notes, c06_switch_bytes, c08, named_transport
from shown_rows import P12, SHOWN_STACKS, Run, left_out, narrowed, neighbours, p05, p06, p07
from tables import published
from training_rows import STACKS, Row, doubled_hops, efficiency, p02, without_reduction

from simulator.workload.plans import ParallelPlan, memory

MIB = 2.0**20


def collectives() -> str:
    parts = []
    for name, benches in MEASURED.items():
        transport = named_transport(name)
        for bench in benches:
            sizes, seconds = bench.rows()
            result = bench.modelled(transport, sizes)
            rows = [("Bytes", "Measured (us)", "Modelled (us)", "Error", "Row", "Algorithm, protocol")]
            for i, size in enumerate(sizes.tolist()):
                fitted = bench.fitted >= 0 and i % 2 == bench.fitted
                rows.append(
                    (
                        f"{size:,.0f}",
                        f"{seconds[i] * 1e6:,.1f}",
                        f"{result.time_s[i] * 1e6:,.1f}",
                        f"{result.time_s[i] / seconds[i] - 1.0:+.1%}",
                        "fitted" if fitted else "judged",
                        f"{result.algorithm[i]}, {result.protocol[i]}",
                    )
                )
            error = np.abs(result.time_s / seconds - 1.0)[sizes >= MIB]
            head = f"### {bench.table}, preset `{name}`\n\nMedian error from 1 MB up: {np.median(error):.1%}."
            parts.append(f"{head}\n\n{table(*rows)}")
    return "\n\n".join([*parts, in_network(), experts()])


def rates(found: list[Rate], tolerance: str) -> str:
    rows = [("Row", "Measured (GB/s)", "Modelled (GB/s)", "Error", "Tolerance", "Row is", "Algorithm, protocol")]
    for rate in found:
        error = rate.modelled_gbps / rate.measured_gbps - 1.0
        kind = "fitted" if rate.fitted else "judged"
        numbers = (f"{rate.measured_gbps:.1f}", f"{rate.modelled_gbps:.1f}", f"{error:+.1%}")
        rows.append((rate.label, *numbers, tolerance, kind, rate.how))
    return table(*rows)


def median_of(found: list[Rate]) -> str:
    return f"{np.median([abs(rate.modelled_gbps / rate.measured_gbps - 1.0) for rate in found]):.1%}"


def in_network() -> str:
    return "\n\n".join(
        (
            "### c06_nvls_vs_ring_h200, preset `nccl_hopper_nvswitch`",
            f"Bus bandwidth of an 8 GiB all-reduce on one node. Median error {median_of(c06())}.",
            rates(c06(), "±10 %"),
            f"On 8 GPUs NCCL goes over to NVLS at 2 MiB, the model at {c06_switch_bytes() / MIB:.1f} MiB "
            "(tolerance: one doubling). From the head of the table, 16 GiB on 8 GPUs:",
            rates(c06_notes(), "shown"),
        )
    )


def experts() -> str:
    return "\n\n".join(
        (
            "### c08_moe_alltoall_deepep, preset `deepep`",
            f"Message bytes over time of large messages. Median error {median_of(c08())}.",
            rates(c08(), "±10 %"),
        )
    )


# --- the training step --------------------------------------------------------------------------------------------


def beside(name: str, rows: list[Row]) -> str:
    """Return a section: the rows of a stack, published beside simulated."""
    cells = [("Row", "Published step (s)", "Simulated (s)", "Error", "Kind", "Inside its tolerance")]
    errors = []
    for row in rows:
        ours = row.simulated(efficiency(name))
        errors.append(ours / row.step_s - 1.0)
        inside = "yes" if abs(errors[-1]) <= row.tolerance else f"no (±{row.tolerance:.0%})"
        kind = "fitted" if row.fitted else "judged"
        cells.append((row.label, f"{row.step_s:.3f}", f"{ours:.3f}", f"{errors[-1]:+.1%}", kind, inside))
    head = f"### `{name}`\n\nMedian error {np.median(np.abs(errors)):.1%} over {len(errors)} rows."
    return f"{head}\n\n{table(*cells)}"


def training() -> str:
    parts = [beside(stack, load()) for stack, load in STACKS.items()]
    rows = [("Row", "Published step (s)", "Simulated over published, first row of its series = 1")]
    first: dict[str, float] = {}
    for system, row in p02():
        ratio = row.simulated(efficiency("a100_bf16_megatron")) / row.step_s
        base = first.setdefault(f"{system} {row.plan.global_batch}", ratio)
        rows.append((f"{row.label}, batch {row.plan.global_batch}", f"{row.step_s:.2f}", f"{ratio / base:.3f}"))
    return "\n\n".join([*parts, f"### p02, strong scaling\n\n{table(*rows)}", a100(), bytes_counted()])


def a100() -> str:
    """Return what the constants of Hopper's switches are worth to the rows on A100."""
    loads = {name: load() for name, load in STACKS.items() if name.startswith("a100")}
    loads["a100_bf16_megatron"] = loads["a100_bf16_megatron"] + [row for _, row in p02()]
    rows = [
        ("Change of the transport", "Steps longer by more than 0.1 %", "Longest", "Rows that leave their tolerance")
    ]
    for title, change in (("hop latencies doubled", doubled_hops), ("no reduction in the switches", without_reduction)):
        longer, leave = {}, 0
        for name, found in loads.items():
            for row in found:
                before, after = row.simulated(efficiency(name)), row.simulated(efficiency(name), change)
                longer[row.label] = after / before - 1.0
                inside = [abs(seconds / row.step_s - 1.0) <= row.tolerance for seconds in (before, after)]
                leave += inside == [True, False] and not row.label.startswith("p02")
        worst = max(longer, key=lambda label: longer[label])
        many = f"{sum(more > 1e-3 for more in longer.values())} of {len(longer)}"
        rows.append((title, many, f"{longer[worst]:+.2%} ({worst})", f"{leave}"))
    return f"### A100 with the transport of Hopper\n\n{table(*rows)}"


def bytes_counted() -> str:
    rows = [("Row", "Counted (GB)", "Of the GPU (GB)", "Counted / GPU")]
    for load in (STACKS | SHOWN_STACKS).values():
        for row in load():
            ratio = memory(row.shape, row.plan).total / row.gpu.memory_bytes
            if ratio > 1.0:
                sizes = (f"{ratio * row.gpu.memory_bytes / 1e9:.0f}", f"{row.gpu.memory_bytes / 1e9:.0f}")
                rows.append((row.label, *sizes, f"{ratio:.2f}"))
    measured = [("Row", "Counted (GB)", "Measured (GB)", "Counted / measured")]
    peaks = {(r["model"], r["gpus"], r["technique"]): float(r["memory_GiB"]) for r in published("p10_torchtitan")}
    for name in (name for name in STACKS if name.startswith("h100_500w")):
        for row in STACKS[name]():
            size, gpus, technique = row.label.removeprefix("p10 ").split(" ", 2)
            counted, peak = memory(row.shape, row.plan).total, peaks[size, gpus[1:], technique] * 2.0**30
            measured.append((row.label, f"{counted / 1e9:.0f}", f"{peak / 1e9:.0f}", f"{counted / peak:.2f}"))
    heads = ("### Plans that ran and count more memory than there is", "### Memory counted and measured")
    return f"{heads[0]}\n\n{table(*rows)}\n\n{heads[1]}\n\n{table(*measured)}"


def shown_plan(plan: ParallelPlan) -> str:
    sizes = {"tp": plan.tp, "pp": plan.pp, "cp": plan.cp, "ep": plan.ep, "v": plan.interleave}
    return " ".join(f"{key}{size}" for key, size in sizes.items() if size > 1) or "data parallel"


def throughput(title: str, unit: str, runs: list[Run], of: Callable[[Row], float]) -> str:
    head = ("Submitter, GPU", "GPUs", "Batch", "Plan", f"Published ({unit})", f"Simulated ({unit})", "Ratio", "Scaling")
    rows = [head]
    first: dict[str, float] = {}
    errors = []
    for run in runs:
        if math.isnan(run.row.step_s):
            continue
        ratio = run.row.step_s / run.simulated_s
        base = first.setdefault(run.group, ratio)
        plan, amount = run.row.plan, of(run.row)
        errors.append(abs(ratio - 1.0))
        numbers = (f"{amount / run.row.step_s:,.1f}", f"{amount / run.simulated_s:,.1f}", f"{ratio:.3f}")
        scaling = f"{ratio / base:.3f}"
        rows.append((run.group, f"{plan.gpus:,}", f"{plan.global_batch:,}", shown_plan(plan), *numbers, scaling))
    return f"### {title}\n\nMedian error {np.median(errors):.1%} over {len(errors)} rows.\n\n{table(*rows)}"


def minutes(runs: list[Run]) -> str:
    head = ("Table, submitter, GPU", "GPUs", "Batch", "Plan", "Minutes", "Minutes, first = 1")
    rows = [(*head, "Simulated time of a sequence, first = 1", "Simulated step (s)")]
    first: dict[str, tuple[float, float]] = {}
    for run in runs:
        plan, ours = run.row.plan, run.simulated_s
        who = f"{run.row.label.split()[0]} {run.group}"
        minutes, sequence_s = first.setdefault(who, (run.minutes, ours / plan.global_batch))
        size = (f"{plan.gpus:,}", f"{plan.global_batch:,}", shown_plan(plan), f"{run.minutes:.1f}")
        ratios = (f"{run.minutes / minutes:.3f}", f"{ours / plan.global_batch / sequence_s:.3f}")
        rows.append((who, *size, *ratios, f"{ours:.3f}"))
    return f"### p06 and p07, minutes only\n\n{table(*rows)}"


def products() -> str:
    head = ("GPU", "Precision", "Achieved share (p12)", "Preset", "`matmul`", "Difference (points)")
    rows = [(*head, "At the width of its first fitted row", "Difference (points)")]
    for r in published("p12_matmul_efficiency"):
        share = float(r["percent"]) / 100.0
        for name in P12.get((r["gpu"], r["dtype"]), ("",)):
            cells = ("none", "", "", "", "")
            if name:
                found = (efficiency(name).matmul, narrowed(name))
                points = [f"{100.0 * (value - share):+.1f}" for value in found]
                cells = (f"`{name}`", f"{found[0]:.1%}", points[0], f"{found[1]:.1%}", points[1])
            rows.append((r["gpu"], r["dtype"], f"{share:.1%}", *cells))
    return f"### p12, achievable matrix products\n\n{table(*rows)}"


def side_by_side() -> str:
    rows = [("Table", "Pairs", "Inside ±5 %", "Median", "Worst pair")]
    found = [(name, row) for name, load in (STACKS | SHOWN_STACKS).items() for row in load() if row.series]
    for start, title in (
        ("p08", "p08, releases"),
        ("p09", "p09, same model and sequence"),
        ("p10", "p10, GPUs or technique"),
        ("H200", "TorchTitan on H200"),
    ):
        pairs = neighbours([(name, row) for name, row in found if row.label.startswith(start)])
        worst = max(pairs, key=lambda pair: abs(pair[1]))
        errors = np.abs([error for _, error in pairs])
        inside = f"{np.count_nonzero(errors <= 0.05)}"
        rows.append((title, f"{len(pairs)}", inside, f"{np.median(errors):.1%}", f"{worst[0]}: {worst[1]:+.1%}"))
    return f"### Between neighbours\n\n{table(*rows)}"


def missing() -> str:
    rows = [("Table", "Rows", "What", "Why not simulated")]
    rows += [(name, f"{count}", what, why) for (name, what, why), count in sorted(left_out().items())]
    return f"### Not simulated\n\n{table(*rows)}"


def shown() -> str:
    logged = "p05, GPT-3 175B of MLPerf Training 3.1, `h100_fp8_megatron`"
    large = "p06, Llama 3.1 405B of MLPerf Training 5.0, `h100_fp8_megatron` and `gb200_fp8_megatron`"
    timed = [run for run in p06() if math.isnan(run.row.step_s)] + p07()
    parts = [
        throughput(logged, "1,000 tokens/s", p05(), lambda row: row.plan.global_batch * row.shape.sequence / 1e3),
        throughput(large, "sequences/s", p06(), lambda row: row.plan.global_batch),
        minutes(timed),
        *(beside(name, load()) for name, load in SHOWN_STACKS.items()),
        products(),
        side_by_side(),
        missing(),
    ]
    return "\n\n".join(parts)


def judged() -> str:
    """Return how well rows are met that no constant was fitted to, by published table."""
    errors: dict[str, list[tuple[bool, float, float]]] = {}
    for stack, load in STACKS.items():
        for row in load():
            error = row.simulated(efficiency(stack)) / row.step_s - 1.0
            errors.setdefault(row.label.split()[0], []).append((row.fitted, error, row.tolerance))
    for name, benches in MEASURED.items():
        for bench in benches:
            sizes, seconds = bench.rows()
            result = bench.modelled(named_transport(name), sizes)
            for i in np.flatnonzero(sizes >= MIB).tolist():
                is_fitted = bench.fitted >= 0 and i % 2 == bench.fitted
                row = (is_fitted, float(result.time_s[i] / seconds[i] - 1.0), 0.10)
                errors.setdefault(f"{bench.table}, from 1 MiB", []).append(row)
    for table_name, found in (("c06_nvls_vs_ring_h200", c06()), ("c08_moe_alltoall_deepep", c08())):
        errors[table_name] = [(rate.fitted, rate.modelled_gbps / rate.measured_gbps - 1.0, 0.10) for rate in found]
    rows = [("Table", "Rows fitted", "Rows judged", "Judged inside tolerance", "Median error", "Worst")]
    for name in sorted(errors):
        fair = [(error, tolerance) for fitted, error, tolerance in errors[name] if not fitted]
        cells = ("", "", "")
        if fair:
            inside = sum(abs(error) <= tolerance for error, tolerance in fair)
            worst = max((error for error, _ in fair), key=abs)
            cells = (f"{inside}", f"{np.median([abs(error) for error, _ in fair]):.1%}", f"{worst:+.1%}")
        rows.append((name, f"{len(errors[name]) - len(fair)}", f"{len(fair)}", *cells))
    fair = [
        (e, t) for table_name, found in errors.items() for fitted, e, t in found if not fitted and table_name[0] == "p"
    ]
    inside = sum(abs(error) <= tolerance for error, tolerance in fair)
    total = (
        f"All training rows together: {len(fair)} judged, {inside} inside their tolerance ({inside / len(fair):.0%})"
    )
    return f"{table(*rows)}\n\n{total}, median error {np.median([abs(error) for error, _ in fair]):.1%}."


GENERATED: list[tuple[str, str, Callable[[], str]]] = [
    ("validation.md", "judged", judged),
    ("network.md", "collectives", collectives),
    ("training-step.md", "training", training),
    ("training-step.md", "shown", shown),
]


@pytest.mark.parametrize(("page", "name", "make"), GENERATED, ids=[name for _, name, _ in GENERATED])
def test_tables_of_the_pages_are_those_of_the_presets(page: str, name: str, make: Callable[[], str]) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert span(name).search(text), f"{page} has no place for the table {name!r}"
    assert text == renewed(text, name, make), f"{page} is out of date: run python {Path(__file__).name}"


if __name__ == "__main__":
    for page, name, make in GENERATED:
        path = DOCS / page
        path.write_text(renewed(path.read_text(encoding="utf-8"), name, make), encoding="utf-8")
