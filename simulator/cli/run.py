"""``simulator run``: one world of one variant."""

from __future__ import annotations

from typing import Annotated

import typer

from simulator.cli.options import OutputOption, ScenarioArgument, SeedOption, SetOption
from simulator.cli.screen import compiling_noted


@compiling_noted()
def run(
    scenario: ScenarioArgument,
    variant: Annotated[
        str | None, typer.Option("--variant", help="Variant to run [default: the first].", show_default=False)
    ] = None,
    seed: SeedOption = None,
    settings: SetOption = None,
    output: OutputOption = None,
) -> None:
    """Simulate one random world of one variant and print its metrics."""
    from simulator.cli.screen import note, print_pairs, warn
    from simulator.experiments import results, store
    from simulator.scenario.resolved import load
    from simulator.scenario.workloads import trace_notes

    loaded = load(scenario, settings=settings or ())
    warn(loaded.warnings)
    if variant is not None:
        loaded.variant(variant)  # an unknown one is refused before anything else
    if output is not None:
        store.demand_replaceable(output.absolute())
    result = results.run(loaded, seed=seed, variant=variant)
    saved = None if output is None else result.save(output, loaded)  # first of all: a closed pipe ends the printing
    print(f"{loaded.name}, variant {result.task.variant}, seed {result.seed}, one replication")
    spec = loaded.variant(result.task.variant)
    if spec.workload.trace is not None:
        for left_out in trace_notes(spec.workload.trace, spec.cluster.node.gpus):
            note(f"left out or changed: {left_out}")
    _print_metrics(result.summary)
    total = sum(result.ledger["gpu_s"])
    shares = zip(result.ledger["bucket"], result.ledger["gpu_s"], strict=True)
    print_pairs("GPU time", [(bucket, f"{gpu_s / total:7.2%}") for bucket, gpu_s in shares if gpu_s > 0])
    if saved is not None:
        print(f"\nTables: {saved}")


def _print_metrics(summary: dict[str, float]) -> None:
    from simulator.accounting.columns import METRICS
    from simulator.cli.screen import number, print_table

    rows = []
    for metric in METRICS:
        value = summary[metric.name]
        if value == value:
            rows.append(
                (metric.name, number(_shown(value, metric.unit, metric.shown_unit)), metric.shown_unit, metric.meaning)
            )
    print_table(("metric", "value", "unit", "meaning"), rows, right=frozenset({1}))


def _shown(value: float, unit: str, shown_unit: str) -> float:
    """Convert a metric from its SI unit to the one people read."""
    from simulator import units

    return value if unit == shown_unit else units.in_unit(value, shown_unit)
