"""The JSON Schema beside the scenarios is the one the code generates, and the scenarios satisfy it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from simulator.scenario.schema import SCHEMA_FILE, json_schema

FOLDER = Path(__file__).parents[2] / "scenarios"


def test_schema_file_is_current() -> None:
    # To renew it: simulator schema > scenarios/scenario.schema.json
    assert json.loads((FOLDER / SCHEMA_FILE).read_text(encoding="utf-8")) == json_schema()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_scenarios_satisfy_the_schema(path: Path) -> None:
    document = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(json_schema()).validate(document)
