"""Preset scenarios can be extended, and run."""

from __future__ import annotations

from pathlib import Path

import pytest

import simulator as sim

PRESETS = sorted((Path(sim.__file__).parent / "scenario" / "presets" / "scenarios").glob("*.yaml"))


@pytest.mark.parametrize("preset", [path.stem for path in PRESETS])
def test_a_scenario_extends_a_preset_scenario(preset: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        f"extends: {preset}\nname: mine\nhorizon: 5 days\nvariants:\n  a: {{}}\n  b: {{cluster.spares.count: 16}}\n"
    )
    scenario = sim.load(mine)
    assert scenario.name == "mine"
    assert 0.5 < sim.run(scenario, variant="b").summary["ettr"] < 1
