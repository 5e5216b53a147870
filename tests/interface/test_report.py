"""The report of a results folder: self-contained, escaped, the same on every run, honest about what is missing."""

from __future__ import annotations

import base64
import json
import re
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from report_page import FIGURES, Page
from synthetic_results import write_results

from simulator.accounting.columns import METRICS, TABLES
from simulator.errors import InputError
from simulator.report import read_results, terminal_report, write_report
from simulator.report.tables import study_answer

# ---------------------------------------------------------------------------------------------------------- page


def test_page_says_everything_a_customer_needs(page: Page) -> None:
    for part in (
        "How much of 54 days on 16,384 GPUs is useful, by restart time and checkpoint kind?",
        "“restart_200s” has the highest ETTR, 0.97",
        "16,896",
        "54 days",
        "Differences from async_1s_restart_600s",
        "Goodput ledger",
        "was fed to the model, so agreement only checks the machinery",
        "phases are not printed in the paper",
        "simulator compare scenarios/llama3_54_days.yaml --output results/llama3",
        "simulator compare scenario.yaml --seed 1 --replications 30 --output ../llama3_54_days-again",
        "numpy 2.4.6",
        "llama3_2024 (faults)",
        "useful work destroyed by interruptions",
    ):
        assert part in page.text, part


def test_page_loads_nothing(folder: Path, page: Page) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    loading = {"src", "href", "srcset", "data", "action", "poster", "xlink:href"}
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            if name in loading:
                assert str(value).startswith("data:image/svg+xml;base64,"), (tag, name)
    assert not {"script", "link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.tags}
    assert not re.search(r"url\(|@import", text)
    assert "default-src 'none'" in text  # the browser is told to refuse anything else


def test_embedded_figures_load_nothing_either(page: Page) -> None:
    for image in page.named("img"):
        svg = base64.b64decode(str(image["src"]).split(",", 1)[1]).decode()
        targets = re.findall(r"(?:href|src)=\"([^\"]*)\"", svg) + re.findall(r"url\(([^)]*)\)", svg)
        assert targets
        assert all(target.startswith(("#", "data:image/png;base64,")) for target in targets)


def test_page_is_accessible(folder: Path, page: Page) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>") or text.lstrip().startswith("<!doctype html>")
    assert page.named("html")[0]["lang"] == "en-GB"
    assert len(page.named("img")) == len(FIGURES)
    assert all(len(str(image["alt"])) > 40 for image in page.named("img"))
    assert len(page.named("caption")) == len(page.named("table"))
    assert all(header.get("scope") in {"col", "row"} for header in page.named("th"))
    levels = [int(tag[1]) for tag, _ in page.tags if tag in {"h1", "h2", "h3"}]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_page_explains_every_column(page: Page) -> None:
    for table in TABLES.values():
        for column in table:
            assert column.meaning in page.text
    for metric in METRICS:
        assert metric.meaning in page.text


HOSTILE = '<script>alert("x")</script><img src=//evil.example/x onerror=alert(1)>'


def test_text_of_scenarios_cannot_become_markup(tmp_path: Path) -> None:
    published = {
        "metric": "ettr",
        "variant": HOSTILE,
        "value": 0.9,
        "kind": HOSTILE,
        "source": HOSTILE,
        "tolerance": None,
    }
    facts = {
        "name": HOSTILE,
        "question": HOSTILE,
        "assumptions": [{"key": HOSTILE, "value": HOSTILE, "source": "https://evil.example", "why": "{{ 7 * 7 }}"}],
        "published": [published],
        "presets": [{"name": HOSTILE, "kind": HOSTILE}],
        "per_class_published": [{"class": HOSTILE, "count": 3}],
    }
    folder = write_results(tmp_path, variants=[HOSTILE, "$x_1$ & \\frac"], replications=3, facts=facts)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest |= {"command": ["simulator", HOSTILE], "scenario_name": HOSTILE, "host": {HOSTILE: HOSTILE}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert not page.named("a")
    assert page.text.count('<script>alert("x")</script>') >= 8
    assert "{{ 7 * 7 }}" in page.text
    assert "https://evil.example" in page.text
    for path in (folder / "figures").glob("*.svg"):
        assert "<script" not in path.read_text(encoding="utf-8")


# -------------------------------------------------------------------------------------------------------- errors


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        write_report(tmp_path / "nothing")


def test_a_folder_that_holds_something_else(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a results folder: manifest\.json is missing; allowed: a folder that"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["report.json", "summary.csv", "differences.csv", "runs.parquet"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = write_results(tmp_path, replications=2)
    (folder / name).unlink()
    with pytest.raises(InputError, match=re.escape(f"{name} is missing")):
        terminal_report(folder)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("manifest.json", b"{", "damaged file"),
        ("manifest.json", b"[1]", "a JSON mapping is expected"),
        ("manifest.json", b'{"format": 1}', "missing key"),
        ("manifest.json", b'{"format": 9, "variants": [], "baseline": "", "replications": 1}', "another format"),
        ("report.json", b"\xff", "damaged file"),
        ("summary.csv", b"variant,mean\n", "missing column"),
        ("differences.csv", b"", "damaged table"),
        ("runs.parquet", b"PAR1", "damaged table"),
        ("incidents.parquet", b"PAR1", "damaged table"),
    ],
)
def test_damaged_files_are_input_errors(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    folder = write_results(tmp_path, replications=2)
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=problem):
        write_report(folder)


def test_a_table_without_a_column_is_an_input_error(tmp_path: Path) -> None:
    folder = write_results(tmp_path, replications=2)
    pd.read_parquet(folder / "phases.parquet").drop(columns="job_s").to_parquet(folder / "phases.parquet")
    with pytest.raises(InputError, match=r"phases\.parquet"):
        write_report(folder)


def test_a_bound_is_shown_but_does_not_win(tmp_path: Path) -> None:
    folder = write_results(tmp_path, variants=["low", "high"])
    facts = json.loads((folder / "report.json").read_text())
    best = study_answer(read_results(folder)).best
    (folder / "report.json").write_text(json.dumps(facts | {"answer_bounds": [best]}))
    found = study_answer(read_results(folder))
    assert found.best != best
    assert f"No one can buy the bound “{best}”" in found.sentence
