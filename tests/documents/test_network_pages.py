"""Tables of docs/network.md and docs/training-step.md: published beside simulated, made from the presets.

``python tests/documents/test_network_pages.py`` writes them into the pages again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from documents.test_reference_pages import DOCS, renewed, span, table
from measured_collectives import MEASURED
from training_rows import STACKS, p02

from simulator.scenario.fabrics import transport_of
from simulator.scenario.schema_fabric import TransportSection
from simulator.scenario.schema_training import EfficiencySection
from simulator.scenario.training import efficiency_of

MIB = 2.0**20


def collectives() -> str:
    parts = []
    for name, benches in MEASURED.items():
        transport = transport_of(TransportSection.model_validate(name))
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
    return "\n\n".join(parts)


def training() -> str:
    parts = []
    for stack, load in STACKS.items():
        efficiency = efficiency_of(EfficiencySection.model_validate(stack))
        rows = [("Row", "Published step (s)", "Simulated (s)", "Error", "Kind", "Inside its tolerance")]
        errors = []
        for row in load():
            ours = row.simulated(efficiency)
            errors.append(ours / row.step_s - 1.0)
            inside = "yes" if abs(errors[-1]) <= row.tolerance else f"no (±{row.tolerance:.0%})"
            kind = "fitted" if row.fitted else "judged"
            rows.append((row.label, f"{row.step_s:.3f}", f"{ours:.3f}", f"{errors[-1]:+.1%}", kind, inside))
        head = f"### `{stack}`\n\nMedian error {np.median(np.abs(errors)):.1%} over {len(errors)} rows."
        parts.append(f"{head}\n\n{table(*rows)}")
    efficiency = efficiency_of(EfficiencySection.model_validate("a100_bf16_megatron"))
    rows = [("Row", "Published step (s)", "Simulated over published, first row of its series = 1")]
    first: dict[str, float] = {}
    for system, row in p02():
        ratio = row.simulated(efficiency) / row.step_s
        base = first.setdefault(f"{system} {row.plan.global_batch}", ratio)
        rows.append((f"{row.label}, batch {row.plan.global_batch}", f"{row.step_s:.2f}", f"{ratio / base:.3f}"))
    parts.append(f"### p02, strong scaling\n\n{table(*rows)}")
    return "\n\n".join(parts)


GENERATED: list[tuple[str, str, Callable[[], str]]] = [
    ("network.md", "collectives", collectives),
    ("training-step.md", "training", training),
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
