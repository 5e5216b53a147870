"""Numbers as people read them, and tables that fit a terminal."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_results import VARIANTS, write_results

from simulator.accounting.columns import BUCKETS, METRICS
from simulator.report import read_results
from simulator.report.numbers import (
    duration,
    metric_title,
    number,
    percent,
    plus_minus,
    shortened,
    shown_factor,
    wrapped,
)
from simulator.report.results import Results
from simulator.report.tables import (
    Table,
    comparisons,
    constants_text,
    differences_table,
    ledger_shares,
    published_table,
    study_answer,
    summary_table,
)
from simulator.report.terminal import cells_wide, render, terminal_text

NBSP = "\N{NO-BREAK SPACE}"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return read_results(write_results(tmp_path_factory.mktemp("tables") / "study"))


def widest(text: str) -> int:
    return max(cells_wide(line) for line in text.splitlines())


# ------------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("mean", "half", "text"),
    [
        (0.93472, 0.00061, "0.93472 ± 0.00061"),
        (421.13, 8.31, "421.1 ± 8.3"),
        (105487.2, 2273.4, "105,487 ± 2,273"),
        (64596787.2, 0.0, "64,596,787 ± 0"),
        (60.0, 1e-14, "60 ± 0"),  # rounding noise of a constant is no interval
        (0.93472, math.nan, "0.9347"),
        (-0.5, 0.012, "−0.500 ± 0.012"),
        (math.nan, math.nan, "–"),
    ],
)
def test_digits_follow_the_interval(mean: float, half: float, text: str) -> None:
    assert plus_minus(mean, mean - half, mean + half) == text


def test_an_interval_that_a_bound_cuts_is_written_with_its_ends() -> None:
    assert plus_minus(0.975, 0.947, 1.0) == "0.975 (0.947–1.000)"
    assert plus_minus(1040.0, 0.0, 7583.0) == "1,040 (0–7,583)"


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100 %"), (0.9999, "> 99 %"), (0.0, "0 %"), (0.001, "< 1 %"), (0.5, "50 %"), (math.nan, "–")],
)
def test_percent_never_turns_nearly_into_certain(share: float, text: str) -> None:
    assert percent(share).replace(NBSP, " ") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(10.0, "10 s"), (252.0, "4.2 min"), (18.7 * 3600, "18.7 h"), (5000.0, "1.39 h"), (54 * 86400.0, "54 days")],
)
def test_durations_in_readable_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (9.9996, "10.00"), (1234567.0, "1,234,567"), (0.001234, "0.001234")]
)
def test_significant_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_every_metric_has_a_title_and_a_conversion() -> None:
    for metric in METRICS:
        assert shown_factor(metric.name) > 0
        assert "_" not in metric_title(metric.name)
    assert shown_factor("mtti_s") == pytest.approx(1 / 3600)
    # a price per GPU-second grows when it is told per GPU-hour
    assert shown_factor("cost_per_productive_gpu_s_usd") == pytest.approx(3600)


@given(st.text(max_size=80), st.integers(4, 30), st.integers(1, 3))
def test_axis_names_keep_their_room(name: str, width: int, lines: int) -> None:
    rows = wrapped(name, width, lines).split("\n")
    assert len(rows) <= lines
    assert all(len(row) <= width for row in rows)


def test_shortened_names_keep_head_and_tail() -> None:
    assert shortened("a_long_variant_name_1", 10) == "a_lon…me_1"
    assert shortened("short", 10) == "short"


# -------------------------------------------------------------------------------------------------------- tables


def test_terminal_report_fits_100_columns_and_says_it_all(results: Results) -> None:
    text = terminal_text(results)
    assert widest(text) <= 100
    for part in (
        "Question: How much of 54 days",
        "Answer: “restart_200s”",
        "Differences from",
        "Published beside",
        "Assumptions",
    ):
        assert part in text


@pytest.mark.parametrize("count", [1, 2, 6, 12])
@pytest.mark.parametrize("name", ["v{}", "a_variant_whose_name_goes_on_and_on_{}", "無限に長い名前の変種_{}"])
def test_any_number_and_length_of_variants_fits(tmp_path: Path, count: int, name: str) -> None:
    variants = [name.format(i) for i in range(count)]
    text = terminal_text(read_results(write_results(tmp_path, variants=variants, replications=3)))
    assert widest(text) <= 100


def test_few_metrics_stand_upright_and_many_variants_lie_down(tmp_path: Path) -> None:
    facts = {"metrics_shown": ["ettr", "goodput"]}
    two = read_results(write_results(tmp_path / "2", variants=["a", "b"], replications=3, facts=facts))
    nine = read_results(
        write_results(tmp_path / "9", variants=[f"variant_{i}" for i in range(9)], replications=3, facts=facts)
    )
    assert "metric" in terminal_text(two).split("Results\n")[1].splitlines()[0]
    assert "variant " in terminal_text(nine).split("Results\n")[1].splitlines()[0]


@given(st.lists(st.lists(st.text(max_size=60), min_size=3, max_size=3), min_size=1, max_size=4), st.integers(40, 120))
def test_rendered_tables_never_exceed_the_width(rows: list[list[str]], width: int) -> None:
    cleaned = tuple(tuple("".join(c for c in cell if c.isprintable()) for cell in row) for row in rows)
    table = Table("t", ("one", "two", "three"), cleaned, frozenset({2}))
    assert widest(render(table, width)) <= width


def test_wrapping_loses_no_letter() -> None:
    cell = "a_long_name_without_spaces/and.dots and some words after it"
    text = render(Table("t", ("cell",), ((cell,),)), 20)
    joined = "".join(text.splitlines()[3:])
    assert joined.replace(" ", "") == cell.replace(" ", "")


def test_summary_shows_hours_for_seconds(results: Results) -> None:
    row = next(row for row in summary_table(results).rows if row[0] == "Mean time to interruption (h)")
    mean_h = results.statistic("mtti_s")["mean"].iloc[0] / 3600
    assert row[1].startswith(f"{mean_h:.3f} ± ")


def test_summary_by_rows_holds_the_same_cells(results: Results) -> None:
    upright = summary_table(results)
    lying = summary_table(results, variants_as_rows=True)
    assert tuple(zip(*upright.rows, strict=True))[1:] == tuple(row[1:] for row in lying.rows)


def test_means_over_fewer_replications_say_so(tmp_path: Path) -> None:
    folder = write_results(tmp_path, variants=["a", "b"], replications=4)
    path = folder / "summary.csv"
    lines = path.read_text().splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("a,mtti_s"))
    lines[place] = lines[place].rsplit(",", 1)[0] + ",3"
    path.write_text("\n".join(lines) + "\n")
    row = next(row for row in summary_table(read_results(folder)).rows if row[0].startswith("Mean time to int"))
    assert row[1].endswith("(n=3)")
    assert "(n=" not in row[2]


def test_differences_leave_out_what_never_differs(results: Results) -> None:
    table = differences_table(results)
    assert {row[0] for row in table.rows} >= {"ETTR", "Goodput"}
    assert "Interruptions" not in {row[0] for row in table.rows}
    assert "In no replication different from the baseline: Interruptions" in table.note
    place = next(i for i, row in enumerate(table.rows) if row[:2] == ("ETTR", "restart_200s"))
    assert place in table.emphasised
    assert table.rows[place][2].startswith("+0.03")
    assert table.rows[place][4] == f"100{NBSP}%"


@pytest.mark.parametrize(("replications", "better"), [(4, "4 of 4"), (5, f"100{NBSP}%")])
def test_few_pairs_are_counted(tmp_path: Path, replications: int, better: str) -> None:
    table = differences_table(read_results(write_results(tmp_path, VARIANTS[:2], replications)), ["ettr"])
    assert table.rows[0][4] == better


def test_differences_of_many_variants_are_cut_to_the_answer_in_the_terminal(tmp_path: Path) -> None:
    variants = [f"v{i}" for i in range(12)]
    text = terminal_text(read_results(write_results(tmp_path, variants=variants, replications=3)))
    assert "differences.csv holds the other" in text.replace("\n", " ")


def test_constant_metrics_are_told_once(tmp_path: Path) -> None:
    facts = {"metrics_shown": ["ettr", "cost_usd", "utilisation"]}
    results = read_results(write_results(tmp_path, replications=3, facts=facts))
    assert constants_text(results) == "The same in every run: Cost (USD) 64,596,787; Utilisation 0.9770."
    assert [row[0] for row in summary_table(results).rows] == ["ETTR"]


def test_published_figures_say_kind_bound_and_verdict(results: Results) -> None:
    rows = published_table(results).rows
    assert rows[0][2:3] + rows[0][4:5] == ("419", "input")
    assert rows[0][5].startswith("within tolerance (")
    assert rows[1][4] == "prediction"
    assert rows[2][2] == "≥ 0.9"
    assert rows[2][5].startswith("breaks the bound (−")


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"tolerance": 0.0001}, "outside tolerance"),
        ({"tolerance": 0.01}, "within tolerance"),
        ({"tolerance": None, "value": 0.9396}, "inside the interval"),
        ({"tolerance": None, "value": 0.5}, "+87.9 % from the published value"),
        ({"bound": "at_most", "value": 0.99}, "meets the bound"),
        ({"bound": "at_least", "value": 0.99}, "breaks the bound"),
        ({"metric": "makespan_s"}, "not simulated"),
    ],
)
def test_verdicts(tmp_path: Path, change: dict[str, object], verdict: str) -> None:
    entry = {
        "metric": "ettr",
        "variant": None,
        "value": 0.935,
        "unit": "",
        "kind": "prediction",
        "source": "s",
        "tolerance": None,
    }
    results = read_results(write_results(tmp_path, facts={"published": [entry | change]}))
    assert comparisons(results)[0].verdict.replace(NBSP, " ").startswith(verdict)


def test_ledger_shares_add_up(results: Results) -> None:
    shares = ledger_shares(results)
    assert list(shares.index) == list(VARIANTS)
    assert list(shares.columns) == list(BUCKETS)
    assert np.allclose(shares.sum(axis=1), 1.0, atol=1e-12)


def test_study_answer_reads_the_folder(results: Results) -> None:
    assert study_answer(results).best == "restart_200s"


def test_answer_metric_that_the_runs_lack_is_no_value(tmp_path: Path) -> None:
    results = read_results(write_results(tmp_path, replications=2, facts={"answer_metric": "mfu"}))
    assert study_answer(results).kind == "no_value"


@pytest.mark.parametrize(("has_bounds", "said"), [(True, "It counts the wait so far of"), (False, "It leaves out")])
def test_an_answer_about_waits_counts_jobs_that_had_not_started(tmp_path: Path, has_bounds: bool, said: str) -> None:
    """Variants differ in the lower bound of the wait, and not in the wait of the jobs that started."""
    write_results(tmp_path, VARIANTS, replications=2, facts={"answer_metric": "wait_mean_s", "answer_goal": "min"})
    runs, summary = pd.read_parquet(tmp_path / "runs.parquet"), pd.read_csv(tmp_path / "summary.csv")
    counts = dict(zip(VARIANTS, (1.0, 2003.0, 0.0, 7.5), strict=True))
    bounds = dict(zip(VARIANTS, (100.0, 900.0, 300.0, 200.0), strict=True))
    for metric, values in (("jobs_waiting", counts), ("wait_mean_lower_bound_s", bounds)):
        runs[metric] = runs["variant"].map(values) + 0.001 * runs["replication"]
        mine = summary["metric"] == metric
        summary.loc[mine, "mean"] = summary.loc[mine, "variant"].map(values)
    if not has_bounds:
        runs = runs.drop(columns="wait_mean_lower_bound_s")  # a folder of an earlier version
    runs.to_parquet(tmp_path / "runs.parquet")
    summary.to_csv(tmp_path / "summary.csv", index=False)
    results = read_results(tmp_path)
    answer = study_answer(results)
    left_out = f"2,003 in “{VARIANTS[1]}”, 7.5 in “{VARIANTS[3]}”, 1 in “{VARIANTS[0]}”."
    assert f"{said} jobs that still waited at the end (means): {left_out}" in answer.sentence
    assert results.answer_metric == ("wait_mean_lower_bound_s" if has_bounds else "wait_mean_s")
    if has_bounds:
        assert answer.best == VARIANTS[0]
        assert "mean queue wait, at least" in answer.sentence
        assert results.metrics_shown[:3] == ["wait_mean_lower_bound_s", "wait_mean_s", "jobs_waiting"]
        assert results.metrics_drawn[:2] == ["wait_mean_lower_bound_s", "jobs_waiting"]


def test_names_that_look_like_missing_values_stay_names(tmp_path: Path) -> None:
    results = read_results(write_results(tmp_path, variants=["nan", "None", "1"], replications=3))
    assert [row[1] for row in differences_table(results, ["ettr"]).rows] == ["None", "1"]
    assert json.loads((tmp_path / "manifest.json").read_text())["variants"] == results.variants


def test_means_of_counts_keep_decimals_beside_a_count_that_never_varies(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "study", VARIANTS[:3], 3)
    summary = pd.read_csv(folder / "summary.csv")
    mine = summary["metric"] == "interruptions"
    summary.loc[mine, ["mean", "ci_low", "ci_high"]] = [[1.0, 1.0, 1.0], [2.335, 0.9, 3.77], [6.3, 0.1, 12.5]]
    summary.to_csv(folder / "summary.csv", index=False)
    (row,) = summary_table(read_results(folder), ["interruptions"]).rows
    assert row == ("Interruptions", "1.0 ± 0.0", "2.3 ± 1.4", "6.3 ± 6.2")
