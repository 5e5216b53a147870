"""The reference pages say what the product says: key and column tables are made from the code, the example runs.

After a change of the code, ``python tests/documents/test_reference_pages.py`` writes the tables into the pages again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import simulator as sim
from simulator.accounting.columns import BUCKET_MEANING, KEPT_FOR_ALL, METRICS, TABLES
from simulator.policies.registry import families
from simulator.scenario.schema import json_schema

DOCS = Path(__file__).resolve().parents[2] / "docs"
GOALS = {"max": "more", "min": "less", "none": ""}


def table(*rows: tuple[str, ...]) -> str:
    """Return a Markdown table; the first row is its head."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    cells.insert(1, ["---"] * len(rows[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def metrics() -> str:
    rows = [(f"`{m.name}`", m.unit, m.shown_unit, m.range, GOALS[m.goal], m.meaning) for m in METRICS]
    return table(("Metric", "In files", "Shown in", "Range", "Better", "Meaning"), *rows)


def columns() -> str:
    parts = []
    for name, content in TABLES.items():
        kept = "all replications" if name in KEPT_FOR_ALL else "replication 0, or all with `--keep all`"
        rows = [(f"`{c.name}`", c.unit, c.kind, c.meaning) for c in content]
        parts.append(f"### `{name}.parquet`\n\nKept: {kept}.\n\n{table(('Column', 'Unit', 'Type', 'Meaning'), *rows)}")
    return "\n\n".join(parts)


def buckets() -> str:
    return table(("Bucket", "GPU time"), *((f"`{name}`", meaning) for name, meaning in BUCKET_MEANING.items()))


def kind_of(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """Return in words what a value of a key may be."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return "duration" if name == "DurationSpec" else f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        kinds = [kind_of(part, definitions) for part in schema["anyOf"] if part.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {kind_of(schema['items'], definitions)}"
    values = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
    if isinstance(values[0], dict):
        return f"name → {kind_of(values[0], definitions)}"
    if schema.get("examples"):
        return f"text, such as `{schema['examples'][0]}`"
    return {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}.get(
        schema.get("type", ""), "mapping"
    )


def default_of(key: str, schema: dict[str, Any], required: list[str]) -> str:
    if key in required:
        return "required"
    default = schema.get("default")
    if default is None or default == "" or isinstance(default, dict | list):
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return "`0 s`" if default == 0.0 and "examples" in schema else f"`{default}`"


def key_table(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    required = schema.get("required", [])
    rows = []
    for key, value in schema["properties"].items():
        name = value.get("$ref", "").rpartition("/")[2]
        meaning = value.get("description") or (described(definitions[name]) if name else "")
        rows.append((f"`{key}`", kind_of(value, definitions), default_of(key, value, required), meaning))
    return table(("Key", "Value", "Default", "Meaning"), *rows)


def mapping_of(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the alternative of a definition that is a mapping with keys."""
    found: dict[str, Any] = next(part for part in schema.get("anyOf", [schema]) if "properties" in part)
    return found


def described(definition: dict[str, Any]) -> str:
    text: str = definition.get("description") or mapping_of(definition).get("description", "")
    return text


def keys() -> str:
    schema = json_schema()
    definitions = schema["$defs"]
    file = {**schema, "required": ["name", "cluster", "workload"]}
    parts = [f"### The file\n\n{key_table(file, definitions)}"]
    for name, definition in sorted(definitions.items()):
        section = mapping_of(definition)
        parts.append(f"### {name}\n\n{described(definition)}\n\n{key_table(section, definitions)}")
    return "\n\n".join(parts)


GENERATED: list[tuple[str, str, Callable[[], str]]] = [
    ("results.md", "metrics", metrics),
    ("results.md", "columns", columns),
    ("models.md", "buckets", buckets),
    ("scenario-format.md", "keys", keys),
]


def span(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- made from the code: {name} -->\n).*?(<!-- end of {name} -->)", re.S)


def renewed(text: str, name: str, make: Callable[[], str]) -> str:
    """Return a page with one of its tables made anew."""
    return span(name).sub(lambda match: f"{match[1]}\n{make()}\n\n{match[2]}", text)


@pytest.mark.parametrize(("page", "name", "make"), GENERATED, ids=[name for _, name, _ in GENERATED])
def test_tables_of_the_pages_are_those_of_the_code(page: str, name: str, make: Callable[[], str]) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert span(name).search(text), f"{page} has no place for the table {name!r}"
    assert text == renewed(text, name, make), f"{page} is out of date: run python {Path(__file__).name}"


def example() -> str:
    """Return the commented example of the format's page."""
    text = (DOCS / "scenario-format.md").read_text(encoding="utf-8")
    found = re.search(r"^```yaml\n(.*?)^```$", text, flags=re.M | re.S)
    assert found, "the page has no example"
    return found[1]


def test_the_commented_example_is_a_scenario_that_runs(tmp_path: Path) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(example(), encoding="utf-8")
    scenario = sim.load(path)
    for variant in scenario.variants:
        assert 0 < sim.run(scenario, variant=variant).summary["goodput"] < 1


def test_the_example_uses_every_section_and_its_comments_are_its_point() -> None:
    text = example()
    sections = set(json_schema()["properties"]) - {"extends", "sample_every"}
    assert {section for section in sections if not re.search(rf"^{section}:", text, flags=re.M)} == set()
    assert text.count("#") > 20


def test_every_policy_is_named_in_the_format() -> None:
    text = (DOCS / "scenario-format.md").read_text(encoding="utf-8")
    names = {name for members in families().values() for name in members}
    assert {name for name in names if f"`{name}`" not in text} == set()


def test_every_definition_names_a_test_that_exists() -> None:
    text = (DOCS / "models.md").read_text(encoding="utf-8")
    cited = set(re.findall(r"`(tests/[\w/]+(?:\.py)?)(?:::(\w+))?`", text))
    assert len(cited) > 10
    for path, name in cited:
        file = DOCS.parent / path
        assert file.exists(), path
        assert not name or f"def {name}(" in file.read_text(encoding="utf-8"), f"{path}::{name}"


if __name__ == "__main__":
    for page, name, make in GENERATED:
        path = DOCS / page
        text = path.read_text(encoding="utf-8")
        path.write_text(renewed(text, name, make), encoding="utf-8")
