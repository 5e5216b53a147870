"""What is wrong with a scenario is told at once, with the variant and the line of its own change."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import typer

from simulator.cli.guard import MOST_ERRORS, guarded
from simulator.errors import InputError
from simulator.scenario import load

GOOD = """name: study
horizon: 2 days
cluster: {nodes: 16, node: h100_8gpu}
workload:
  jobs:
    - {name: a, nodes: 12, work: 1 day}
variants:
"""
LARGE = "the job is larger than the machine"


def errors_of(folder: Path, text: str) -> list[str]:
    """The errors, without the file and what is allowed."""
    path = folder / "s.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load(path)
    assert caught.value.each[0] is caught.value
    again = pickle.loads(pickle.dumps(caught.value))
    assert [str(one) for one in again.each] == [str(one) for one in caught.value.each]
    return [str(one).replace(f"{path}:", "").split("; ")[0] for one in caught.value.each]


def test_the_line_is_that_of_the_change_of_the_variant(tmp_path: Path) -> None:
    """Line 6 has the job; lines 10 and 11 change the machine that is too small for it, or the job."""
    changes = "  base: {}\n  small:\n    cluster.nodes: 8\n"
    changes += "  both: {workload: {jobs.0.work: 2 days},\n    cluster: {nodes: 9}}\n"
    assert errors_of(tmp_path, GOOD + changes) == [
        f"10: workload.jobs.0.nodes: variant 'small': {LARGE}",
        f"11: workload.jobs.0.nodes: variant 'both': {LARGE}",
    ]


def test_what_several_variants_share_names_them_once(tmp_path: Path) -> None:
    text = GOOD.rstrip() + " {base: {}, x: {cluster.nodes: 8}, y: {cluster.nodes: 8}}\n"
    assert errors_of(tmp_path, text) == [f"7: workload.jobs.0.nodes: variant 'x', 'y': {LARGE}"]


@pytest.mark.parametrize("changes", ["  x: {}\n  y: {horizon: 3 days}\n", "  x: {seed: 2}\n  y: {seed: 2}\n"])
def test_what_the_whole_scenario_has_wrong_names_no_variant(changes: str, tmp_path: Path) -> None:
    text = GOOD.replace("nodes: 12", "nodes: 17") + changes
    assert errors_of(tmp_path, text) == [f"6: workload.jobs.0.nodes: {LARGE}"]


def test_all_that_is_wrong_is_told(tmp_path: Path) -> None:
    """Misspelt, missing, of the wrong unit, broken rules of several sections; a misspelt key is not missing too."""
    text = (
        GOOD.replace("nodes: 16", "nodez: 16").replace("2 days", "2 parsecs") + "  base: {}\n  x: {clutser.nodes: 9}\n"
    )
    assert errors_of(tmp_path, text) == [
        "3: cluster.nodez: unknown key",
        "2: horizon: unknown unit 'parsecs'",
        "9: clutser: variant 'x': unknown key",
    ]
    rules = GOOD.replace("16,", "16, domains: {node: 2}, spares: {count: 16},") + "  base: {}\n  x: {warm_up: 9 days}\n"
    found = errors_of(tmp_path, rules)
    assert [line for line in found if "spares" in line] == ["3: cluster.spares.count: no node is left to work"]
    assert "3: cluster.domains.node: this name is reserved" in found
    assert "9: warm_up: variant 'x': must be shorter than the horizon" in found
    assert len(found) == len(set(found))


def test_two_missing_keys_of_a_mapping_are_two_errors(tmp_path: Path) -> None:
    text = GOOD.replace("{nodes: 16, node: h100_8gpu}", "{nodes: 16}").replace("name: study\n", "")
    assert sorted(error.partition(": ")[2] for error in errors_of(tmp_path, text + "  x: {}\n")) == [
        "cluster.node: missing key",
        "name: missing key",
    ]


@pytest.mark.parametrize(("count", "lines"), [(1, 1), (MOST_ERRORS, MOST_ERRORS), (MOST_ERRORS + 5, MOST_ERRORS + 1)])
def test_the_command_tells_twenty(count: int, lines: int, capsys: pytest.CaptureFixture[str]) -> None:
    def verb() -> None:
        raise InputError.together([InputError(f"problem {number}", "s.yaml", number) for number in range(count)])

    with pytest.raises(typer.Exit) as ended:
        guarded(verb)()
    told = capsys.readouterr().err.splitlines()
    assert ended.value.exit_code == 2  # wrong input
    assert len(told) == lines
    assert told[0] == "error: s.yaml:0: problem 0"
    assert told[-1] == (
        "and 5 more errors" if count > MOST_ERRORS else f"error: s.yaml:{count - 1}: problem {count - 1}"
    )


def test_a_key_that_nothing_knows_is_an_error_also_when_it_is_null(tmp_path: Path) -> None:
    text = "name: x\ncluster: {nodes: 4, node: a100_8gpu, spars: null}\nhorizon: 1 day\nchekpoint: null\n"
    text += "workload: {jobs: [{name: j, nodes: 1, wrok: null}]}\nscheduling: {polcy: null, backfill: null}\n"
    (tmp_path / "s.yaml").write_text(f"{text}variants: {{a: {{recovery.polisy: null}}, b: {{faults: null}}}}\n")
    with pytest.raises(InputError) as caught:
        load(tmp_path / "s.yaml")
    found = {(error.line, error.key, error.nearest) for error in caught.value.each}
    assert found == {
        (2, "cluster.spars", "spares"),
        (4, "chekpoint", "checkpoint"),
        (5, "workload.jobs.0.wrok", "work"),
        (6, "scheduling.polcy", "policy"),
        (7, "recovery.polisy", "policy"),
    }


def test_changes_to_null_and_to_list_items_are_blamed_at_their_own_lines(tmp_path: Path) -> None:
    base = "name: x\ncluster: {nodes: 4, node: a100_8gpu}\nhorizon: 1 day\nworkload: {jobs: [{name: j, nodes: 1}]}\n"
    for changes, lines in (
        ("  a: {cluster.node: null}\n  b: {workload: null}\n", [6, 7]),
        ("  a: {workload.jobs.3.nodes: 7}\n  b: {workload.jobs.4.nodes: 7}\n", [6, 7]),
    ):
        (tmp_path / "s.yaml").write_text(f"{base}variants:\n{changes}")
        with pytest.raises(InputError) as caught:
            load(tmp_path / "s.yaml")
        assert [error.line for error in caught.value.each] == lines
        assert [error.variant for error in caught.value.each] == ["'a'", "'b'"]
