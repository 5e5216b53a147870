"""The shipped scenarios load, describe themselves and start with their question and sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.scenario import load
from simulator.scenario.assembly import assemble
from simulator.scenario.describe import describe

FOLDER = Path(__file__).parents[2] / "scenarios"
FILES = sorted(FOLDER.glob("*.yaml"))


def test_the_five_scenarios_ship() -> None:
    assert {path.stem for path in FILES} >= {
        "quickstart",
        "spare_pool_16k",
        "checkpoint_ladder",
        "llama3_54_days",
        "trace_replay",
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario_loads_and_every_variant_assembles(path: Path) -> None:
    scenario = load(path)
    assert scenario.name == path.stem
    assert scenario.question.endswith("?")
    for variant in scenario.variants:
        world = assemble(scenario, variant, scenario.seed, 0)
        assert len(world.jobs) > 0
    assert describe(scenario)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_head_comment_has_schema_question_shape_and_sources(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# yaml-language-server: $schema=scenario.schema.json"
    head = "\n".join(line for line in lines[: lines.index(f"name: {path.stem}")])
    for word in ("Question:", "Expected shape:", "Sources:"):
        assert word in head


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_guess_of_the_author_shows_a_value(path: Path) -> None:
    own = [row for row in load(path).assumptions if row.source == "scenario"]
    assert all(row.value for row in own), own


def test_llama3_repeats_the_published_counts() -> None:
    report = load(FOLDER / "llama3_54_days.yaml").variant("async_1s_restart_600s").report
    assert sum(row.count for row in report.published_classes) == 419
    assert len(report.published_classes) == 18
