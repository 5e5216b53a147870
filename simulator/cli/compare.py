"""``simulator compare``: all variants in the same random worlds, and a report."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli.options import OutputOption, ScenarioArgument, SeedOption, SetOption

if TYPE_CHECKING:
    from simulator.api import Study


class Keep(StrEnum):
    """Of which replications jobs, incidents and series are kept."""

    first = "first"
    all = "all"


def compare(
    scenario: ScenarioArgument,
    replications: Annotated[
        int | None,
        typer.Option("--replications", min=1, help="Random worlds (default: the scenario's).", show_default=False),
    ] = None,
    precision: Annotated[
        float | None,
        typer.Option(
            "--precision",
            help="Instead of --replications: go on until the 95 % interval of the answer's metric is this narrow on "
            "either side (0.01: one point of a fraction, 1 % of any other).",
            show_default=False,
        ),
    ] = None,
    seed: SeedOption = None,
    settings: SetOption = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Worker processes (default: all processors).", show_default=False),
    ] = None,
    output: OutputOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Do only what an interrupted study in the same place has not finished.")
    ] = False,
    keep: Annotated[
        Keep, typer.Option("--keep", help="Replications whose jobs, incidents and series are written.")
    ] = Keep.first,
) -> None:
    """Compare all variants in the same random worlds, print what they differ in and write a report.

    The results go to results/NAME unless --output says otherwise.
    """
    from simulator.api import compare as compare_variants
    from simulator.cli.progress import shown
    from simulator.cli.screen import warn
    from simulator.report import terminal_report
    from simulator.scenario.resolved import load

    loaded = load(scenario, settings=settings or ())
    warn(loaded.warnings)
    folder = output or Path("results") / loaded.name
    with shown() as progress:
        study = compare_variants(
            loaded, replications, workers, seed, folder, resume, keep.value, precision, progress.update
        )
    print(terminal_report(study.folder))
    _say_precision(study)
    print(f"\nReport: {_short(study.folder / 'report.html')}")


def _say_precision(study: Study) -> None:
    own = study.manifest
    if own["precision"] is not None:
        verdict = "reached with" if own["precision_reached"] else "NOT reached after"
        print(f"\nA precision of {own['precision']:g} was {verdict} {own['replications']:,} replications.")


def _short(path: Path) -> str:
    """Return the path as seen from here where that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)
