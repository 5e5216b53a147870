"""The figures of a report: same bytes on every run, legible, honest about what they leave out."""

from __future__ import annotations

import hashlib
import re
import struct
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text
from report_page import FIGURES, Page
from synthetic_results import GPUS_PER_NODE, NODES, VARIANTS, write_results

from simulator.accounting.columns import BUCKETS, METRICS
from simulator.errors import InputError
from simulator.report import plot_metric, read_results, write_report
from simulator.report.plots import all_plots
from simulator.report.plots.common import (
    DURATIONS,
    Missing,
    Plot,
    equals_together,
    legible_end,
    log_axis,
    near_together,
    parts_up_to,
)
from simulator.report.plots.incidents import stage_means
from simulator.report.plots.ledger import _zoom
from simulator.report.plots.metrics import answer_plot
from simulator.report.plots.pareto import class_counts, poisson_interval
from simulator.report.plots.published import published_plot
from simulator.report.plots.queues import _load, placed_in_rows, queue_plot
from simulator.report.plots.states import exceedance
from simulator.report.style import _VARIANT_COLOURS, BUCKET_LOOK, WIDTH_INCHES, PaperFigure, variant_looks
from simulator.report.tables import ledger_shares


def digests(folder: Path) -> dict[str, str]:
    files = [folder / "report.html", *sorted((folder / "figures").iterdir())]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_figure_is_there_in_both_kinds(folder: Path) -> None:
    names = sorted(path.name for path in (folder / "figures").iterdir())
    assert names == sorted(f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg"))


def test_pictures_have_200_dots_per_inch(folder: Path) -> None:
    for path in (folder / "figures").glob("*.png"):
        content = path.read_bytes()
        dots_per_metre = struct.unpack(">II", content[content.index(b"pHYs") + 4 :][:8])
        assert dots_per_metre == (7874, 7874)


# Another process, in which strings hash to other numbers and the user has settings of their own.
AGAIN = """
import pathlib, sys
import matplotlib as mpl
from simulator.report import write_report

mine = {"font.size": 17.0, "axes.spines.top": True, "svg.hashsalt": "mine"}
mpl.rcParams.update(mine)
write_report(pathlib.Path(sys.argv[1]))
assert {key: mpl.rcParams[key] for key in mine} == mine, "the house style leaves them alone"
"""


def test_same_results_give_the_same_bytes_whatever_process_hash_seed_and_settings(folder: Path) -> None:
    before = digests(folder)
    assert set(before) == {"report.html", *(f"{n}.{k}" for n in FIGURES for k in ("png", "svg"))}
    environment = {"PYTHONHASHSEED": "7", "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    subprocess.run([sys.executable, "-c", AGAIN, str(folder)], check=True, env=environment)
    assert digests(folder) == before


def test_figures_carry_no_date_and_no_tool(folder: Path) -> None:
    for path in (folder / "figures").glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        assert "dc:date" not in text
        assert "matplotlib.org" not in text
    for path in (folder / "figures").glob("*.png"):
        assert b"tEXt" not in path.read_bytes()


def test_captions_name_the_sample(page: Page) -> None:
    assert page.text.count("30 replications") >= 8


def test_pyplot_is_not_used() -> None:
    code = "import sys, simulator.report; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_figure_without_data_is_not_written_and_the_page_says_why(tmp_path: Path) -> None:
    folder = write_results(tmp_path, variants=["base"], replications=1, facts={"published": []}, tables=())
    write_report(folder)
    assert list((folder / "figures").iterdir()) == []
    text = Page((folder / "report.html").read_text(encoding="utf-8")).text
    for reason in (
        "there is a single number, which stands in the table",
        "the results hold no ledger",
        "no incident happened in the replications whose incidents are kept",
        "no job spent time in a restart phase",
        "the results hold no samples over time",
        "no node was out of service",
        "the scenario names no published figures",
    ):
        assert reason in text, reason


def test_figures_of_an_earlier_report_do_not_stay(tmp_path: Path) -> None:
    folder = write_results(tmp_path, variants=["a", "b"], replications=2, tables=("ledger",))
    write_report(folder)
    assert (folder / "figures" / "ledger.png").exists()
    (folder / "ledger.parquet").unlink()
    write_report(folder)
    assert not (folder / "figures" / "ledger.png").exists()
    assert (folder / "figures" / "answer.png").exists()


@pytest.mark.parametrize("count", [1, 9])
def test_any_number_of_variants_and_long_names(tmp_path: Path, count: int) -> None:
    variants = [f"a_variant_whose_name_goes_on_and_on_and_never_ends_{i}" for i in range(count)]
    folder = write_results(tmp_path, variants=variants, replications=2)
    write_report(folder)
    assert (folder / "figures" / "ledger.svg").exists()
    text = Page((folder / "report.html").read_text(encoding="utf-8")).text
    assert all(name in text for name in variants)


def test_letters_of_figures_are_legible_on_a_telephone(folder: Path) -> None:
    plots = [plot for plot in all_plots(read_results(folder)) if isinstance(plot, Plot)]
    assert plots
    for plot in plots:
        points = [text.get_fontsize() for text in plot.figure.findobj(Text) if text.get_text()]
        screen = 420 / (WIDTH_INCHES * 96)  # pixels of a screen, to those of the figure
        assert min(points) * 96 / 72 * screen >= 8, plot.name


def test_of_many_variants_the_page_shows_what_decides_and_folds_the_rest(tmp_path: Path) -> None:
    facts = {"metrics_shown": [metric.name for metric in METRICS]}
    folder = write_results(tmp_path, variants=[f"v{i}" for i in range(9)], replications=6, facts=facts)
    write_report(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    results = read_results(folder)
    assert len(results.metrics_deciding) <= 7 < len(results.metrics_shown)
    assert results.answer_metric in results.metrics_deciding
    assert "<summary>Further metrics</summary>" in page
    assert "<summary>Differences of all metrics</summary>" in page


def test_metrics_in_which_no_variant_differs_do_not_decide(folder: Path) -> None:
    results = read_results(folder)
    same = results.differences["metric"].isin(["availability", "energy_j"])
    results.differences.loc[same, ["mean_difference", "ci_low", "ci_high"]] = 0.0
    assert {"availability", "energy_j"}.isdisjoint(results.metrics_deciding)


def test_variants_that_look_alike_share_a_picture() -> None:
    one, other = pd.DataFrame({"gpus": [1, 2]}), pd.DataFrame({"gpus": [1, 3]})
    assert equals_together({"a": one, "b": one}) == {"a": "all variants"}
    assert equals_together({"a": one, "b": other, "c": one}) == {"a": "a and 1 like it", "b": "b"}


def test_an_axis_ends_before_what_is_far_from_all_else() -> None:
    near = [(0.0, 1.0), (1.0, 2.0), (0.5, 3.0)]
    assert near_together([*near, (90.0, 110.0)]) == (0.0, 3.0)
    assert near_together([*near, (20.0, 25.0)]) is None  # not that far
    assert near_together([*near, (90.0, 110.0), (-200.0, -100.0)]) is None  # more than a quarter
    assert near_together([(1.0, 1.0)] * 4 + [(9.0, 9.0)]) is None  # the others are one point


def test_many_points_are_drawn_as_an_image(tmp_path: Path) -> None:
    folder = write_results(tmp_path, variants=["a", "b"], replications=900, tables=())
    write_report(folder)
    assert "data:image/png;base64" in (folder / "figures" / "answer.svg").read_text()
    assert (folder / "figures" / "answer.svg").stat().st_size < 400_000


# ------------------------------------------------------------------------------------------------------- colours


def lightness(colour: str) -> float:
    """CIE L* of "#rrggbb"."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 116 * luminance ** (1 / 3) - 16 if luminance > 0.008856 else 903.3 * luminance


def test_neighbouring_variants_differ_in_greyscale() -> None:
    levels = [lightness(colour) for colour in _VARIANT_COLOURS]
    assert all(abs(before - after) >= 15 for before, after in pairwise([*levels, levels[0]]))


def test_neighbouring_buckets_differ_in_greyscale_or_hatch() -> None:
    assert set(BUCKETS) <= set(BUCKET_LOOK)
    assert len({(BUCKET_LOOK[b].colour, BUCKET_LOOK[b].hatch) for b in BUCKETS}) == len(BUCKETS)
    for before, after in pairwise(BUCKETS):
        left, right = BUCKET_LOOK[before], BUCKET_LOOK[after]
        assert left.hatch != right.hatch or abs(lightness(left.colour) - lightness(right.colour)) >= 15


def test_a_variant_looks_the_same_in_every_figure() -> None:
    looks = variant_looks(VARIANTS)
    assert looks == variant_looks(VARIANTS)
    assert len({(look.colour, look.marker) for look in variant_looks([str(i) for i in range(88)]).values()}) == 88


# ------------------------------------------------------------------------------------- numbers behind the figures


def test_zoom_leaves_out_idle_time_that_would_hide_the_rest() -> None:
    shares = pd.DataFrame({"productive": [0.1], "idle": [0.85], "down": [0.04], "testing": [0.01]}, index=["a"])
    zoomed, left_out = _zoom(shares)
    assert list(zoomed.columns) == ["down", "testing"]
    assert left_out == ["productive", "idle"]


def test_zoom_keeps_idle_time_that_hides_nothing() -> None:
    shares = pd.DataFrame({"productive": [0.9], "idle": [0.05], "down": [0.05]}, index=["a"])
    assert list(_zoom(shares)[0].columns) == ["idle", "down"]


def test_bars_far_above_the_others_are_cut() -> None:
    assert legible_end(pd.Series([0.04, 0.05, 0.06])) == 0.06
    assert legible_end(pd.Series([0.04, 0.05, 0.06, 0.99])) == pytest.approx(0.09)
    assert legible_end(pd.Series([0.0, 0.0, 0.2])) == 0.2
    cut = parts_up_to(pd.DataFrame({"down": [0.02, 0.5], "idle": [0.02, 0.4]}), 0.09)
    assert np.allclose(cut, [[0.02, 0.02], [0.09, 0.0]])


def test_stage_means_leave_out_open_stages() -> None:
    nan = float("nan")
    incidents = pd.DataFrame(
        {
            "variant": ["a", "a"],
            "onset_s": [0.0, 100.0],
            "detected_s": [10.0, 120.0],
            "localised_s": [10.0, 120.0],
            "isolated_s": [10.0, 120.0],
            "repair_started_s": [20.0, nan],
            "repaired_s": [50.0, nan],
            "returned_s": [nan, nan],
        }
    )
    means = stage_means(incidents).loc["a"]
    assert means["detect"] == 15.0
    assert means["localise"] == 0.0
    assert means["repair"] == 30.0
    assert np.isnan(means["verify"])


def test_poisson_interval_holds_its_confidence() -> None:
    # Garwood's interval of 10: 4.795 to 18.39 (standard tables); of 0: 0 to 3.689
    assert poisson_interval(10) == pytest.approx((4.795, 18.39), abs=0.005)
    assert poisson_interval(0) == pytest.approx((0.0, 3.689), abs=0.001)


def test_exceedance_is_the_share_of_time_above_a_level() -> None:
    table = pd.DataFrame({"level": [0, 1, 3], "time_s": [50.0, 30.0, 20.0]})
    assert exceedance(table).to_list() == pytest.approx([0.5, 0.2, 0.2, 0.0])


def test_jobs_that_share_a_node_never_cover_each_other() -> None:
    spans = pd.DataFrame(
        [(0, "a", 1, 0.0, 1.0), (0, "b", 3, 0.0, 9.0), (0, "c", 4, 1.0, 9.0), (1, "d", 4, 0.0, 5.0)],
        columns=["node", "job", "gpus", "start_s", "end_s"],
    )
    bars = list(placed_in_rows(spans, 8))
    # c takes the GPU that a left and three behind b; its GPUs do not lie together, so it has two bars.
    assert [(node, job, (gpus.start, gpus.stop)) for node, job, gpus, _, _ in bars] == [
        (0, "a", (0, 1)),
        (0, "b", (1, 4)),
        (0, "c", (0, 1)),
        (0, "c", (4, 7)),
        (1, "d", (0, 4)),
    ]


@given(
    jobs=st.lists(st.tuples(st.integers(1, 8), st.integers(0, 20), st.integers(1, 9)), min_size=1, max_size=25),
)
@settings(max_examples=100, deadline=None)
def test_bars_of_a_node_hold_every_gpu_second_once(jobs: list[tuple[int, int, int]]) -> None:
    used, rows = np.zeros(30, dtype=int), []
    for number, (gpus, start, length) in enumerate(sorted(jobs, key=lambda job: job[1])):
        if (used[start : start + length] + gpus <= 8).all():
            used[start : start + length] += gpus
            rows.append((0, f"j{number}", gpus, float(start), float(start + length)))
    drawn = np.zeros((8, 30), dtype=int)
    spans = pd.DataFrame(rows, columns=["node", "job", "gpus", "start_s", "end_s"])
    for _, _, gpus, start_s, end_s in placed_in_rows(spans, 8):
        drawn[gpus.start : gpus.stop, int(start_s) : int(end_s)] += 1
    assert drawn.max() <= 1
    assert (drawn.sum(axis=0) == used).all()


@pytest.mark.parametrize(("least", "greatest"), [(1.0, 1.0), (59.0, 61.0), (1740.0, 36000.0), (1.0, 8.6e5), (3e7, 4e7)])
def test_axes_of_durations_have_a_few_labels_around_what_they_show(least: float, greatest: float) -> None:
    axes = PaperFigure(2.0).subplots()
    log_axis(axes, "y", least, greatest, DURATIONS)
    ticks, labels = axes.get_yticks(), [label.get_text() for label in axes.get_yticklabels()]
    assert ticks[0] <= least <= greatest <= ticks[-1]
    assert 2 <= len(ticks) <= 9
    assert all(re.fullmatch(r"\d+ (s|min|h|days?)", label) for label in labels)
    assert len(axes.get_yticks(minor=True)) == 0


def test_panels_of_the_queue_show_the_highest_of_all_variants(tmp_path: Path) -> None:
    folder = write_results(tmp_path, replications=1)
    queue = pd.read_parquet(folder / "queue.parquet")
    queue.loc[queue["variant"] == VARIANTS[2], "waiting_gpus"] = 9999
    queue.to_parquet(folder / "queue.parquet")
    plot = queue_plot(read_results(folder))
    assert isinstance(plot, Plot)
    assert {axes.get_ylim()[1] > 9999 for axes in plot.figure.axes[1::2]} == {True}
    assert {axes.get_ylim()[1] > NODES * GPUS_PER_NODE for axes in plot.figure.axes[::2]} == {True}


def test_a_few_samples_are_no_course_over_time(tmp_path: Path) -> None:
    folder = write_results(tmp_path, replications=1)
    queue = pd.read_parquet(folder / "queue.parquet")
    queue[queue["time_s"] < 5 * 86400.0].to_parquet(folder / "queue.parquet")
    assert queue_plot(read_results(folder)) == Missing(
        "queue",
        "How full the machine is, and what waits",
        "5 samples over time; 20 or more say how it went (set `sample_every`)",
    )


def test_load_is_all_gpus_of_the_machine(folder: Path) -> None:
    results = read_results(folder)
    queue = results.table("queue", ["time_s", "waiting_gpus", "free_gpus", "partly_free_gpus"])
    load = _load(queue, results.table("series", ["time_s", "state", "gpus"]), VARIANTS[0])
    parts = load.drop(columns="wanted")
    assert (parts.sum(axis=1) == NODES * GPUS_PER_NODE).all()
    assert (parts >= 0).all(axis=None)


def test_pareto_counts_every_incident_and_every_published_class(folder: Path) -> None:
    results = read_results(folder)
    counts, variant, kept = class_counts(results)
    incidents = results.table("incidents", ["class"])
    assert (variant, kept) == (VARIANTS[0], 1)
    assert counts["total"].sum() == (incidents["variant"] == VARIANTS[0]).sum()
    assert counts["published"].sum() == 419
    assert counts["total"].is_monotonic_decreasing


def test_ledger_figure_shows_the_shares_of_the_table(folder: Path) -> None:
    shares = ledger_shares(read_results(folder))
    expected = 1 - shares.loc["restart_200s", "productive"]
    ledger = pd.read_parquet(folder / "ledger.parquet")
    mine = ledger[ledger["variant"] == "restart_200s"]
    unproductive = mine.loc[mine["bucket"] != "productive", "gpu_s"].sum() / mine["gpu_s"].sum()
    assert expected == pytest.approx(unproductive, rel=1e-9)


def test_plot_metric_for_notebooks(folder: Path) -> None:
    figure = plot_metric(read_results(folder), "mtti_s")
    axes = figure.axes[0]
    assert axes.get_xlabel() == "Mean time to interruption (h)"
    assert [label.get_text().replace("\n", "") for label in axes.get_yticklabels()] == list(VARIANTS)
    assert figure._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="unknown metric; found 'slo_attainment'"):
        plot_metric(read_results(folder), "slo_attainment")


def bars_and_points(figure: PaperFigure) -> tuple[int, int]:
    """Return how many bars from one value to another a figure of metrics has, and how many marks."""
    lines = [line for axes in figure.axes for line in axes.lines]
    bars = [line for line in lines if line.get_linestyle() == "-" and len(set(line.get_ydata())) == 1]
    marks = [line for line in lines if line.get_linestyle() == "None" and line.get_marker() != "|"]
    return len(bars), sum(len(line.get_xdata()) for line in marks)


@pytest.mark.parametrize("replications", [1, 2, 4, 5])
def test_few_replications_are_points_and_no_bars(tmp_path: Path, replications: int) -> None:
    results = read_results(write_results(tmp_path, VARIANTS[:3], replications))
    for plot in (answer_plot(results), published_plot(results)):
        assert isinstance(plot, Plot)
        bars, points = bars_and_points(plot.figure)
        words = plot.caption + plot.figure.axes[0].figure.texts[0].get_text()
        if replications < 5:
            assert bars == 0
            assert points >= 3 * replications
            assert "interval" not in words.replace("no interval", "")
        else:
            assert bars >= 2
            assert "interval" in words
    assert len(answer_plot(results).figure.axes) == 2  # values, and 2 differences
    if replications < 5:
        assert bars_and_points(answer_plot(results).figure) == (0, 5 * replications)
