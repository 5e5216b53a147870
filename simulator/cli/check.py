"""``simulator check``: what a scenario means, before it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from simulator.cli.options import ScenarioArgument, SetOption
from simulator.cli.screen import compiling_noted


@compiling_noted()
def check(
    scenario: ScenarioArgument,
    variant: Annotated[
        str | None,
        typer.Option("--variant", help="Variant to describe in full (default: the first).", show_default=False),
    ] = None,
    settings: SetOption = None,
) -> None:
    """Validate a scenario and print what it means: machine, jobs, expected failures and efficiency."""
    from simulator.cli.screen import print_pairs, warn
    from simulator.scenario.describe import describe
    from simulator.scenario.resolved import load

    loaded = load(scenario, settings=settings or ())
    sections = describe(loaded, variant)
    print(f"{scenario}: valid")
    warn(loaded.warnings)
    for heading, rows in sections:
        print_pairs(heading, rows)
