"""``simulator presets``: named parameters and where each number comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from simulator.scenario.presets import Preset


def presets(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Preset to show with its sources.", show_default=False)
    ] = None,
) -> None:
    """List all presets, or show one with the source of every number."""
    from simulator.scenario.presets import find_presets, preset_scenarios

    if name is None:
        _print_list()
        return
    if name in preset_scenarios():
        print(preset_scenarios()[name])
        return
    for preset in find_presets(name):
        _print_one(preset)


def _print_list() -> None:
    from simulator.cli.screen import print_table
    from simulator.scenario.presets import KIND_MEANING, list_presets, preset_scenarios

    rows = [(KIND_MEANING[preset.kind], preset.name, preset.title) for preset in list_presets()]
    rows += [("scenario", name, f"to start from: extends: {name}") for name in preset_scenarios()]
    print_table(("kind", "name", "what it is"), rows)
    print("\nsimulator presets NAME shows one with the source of every number.")


def _print_one(preset: Preset) -> None:
    import textwrap

    from simulator.cli.screen import WIDTH, print_pairs
    from simulator.scenario.presets import KIND_MEANING, shown

    print(f"{preset.name} ({KIND_MEANING[preset.kind]}): {preset.title}")
    for line in textwrap.wrap(preset.note, WIDTH):
        print(line)
    rows = []
    for evidence in preset.rows():
        bounds = [shown(bound) for bound in (evidence.low, evidence.high)]
        within = f" ({bounds[0]} to {bounds[1]})" if all(bounds) else ""
        guess = "ASSUMPTION: " if evidence.is_assumption else ""
        source = f"{evidence.shown_value}{within} - {guess}{evidence.source} [{evidence.confidence}]"
        rows.append((".".join(evidence.path), source))
    print_pairs("Values, each with its source", rows)
    _print_letters({evidence.confidence for evidence in preset.rows()})


def _print_letters(used: set[str]) -> None:
    from simulator.cli.screen import print_pairs
    from simulator.scenario.presets import CONFIDENCE

    print_pairs("Letters", [(letter, meaning) for letter, meaning in CONFIDENCE.items() if letter in used])
