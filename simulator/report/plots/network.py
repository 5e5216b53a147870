"""Training steps and the load of links: what the network makes of each variant."""

from __future__ import annotations

import numpy as np

from simulator.report.numbers import plain
from simulator.report.plots.common import Missing, Plot, equals_together, label_end, name_rows, row_inches, stacked_rows
from simulator.report.results import Results
from simulator.report.style import FAINT, Look, PaperFigure, clean_value_axis, footnote, paper, variant_looks
from simulator.units import count_of

PART_LOOK: dict[str, Look] = {
    "compute": Look("#1F5A7A"),
    "tp": Look("#A9D3EA", "////"),
    "cp": Look("#D9C8E8", "----"),
    "ep": Look("#8E2B56"),
    "bubble": Look("#DFE3E7"),
    "pp": Look("#8CBF98", "||||"),
    "dp": Look("#DE8A33"),
    "optimiser": Look("#2B2F33"),
    "data": Look("#F2D16B", "...."),
}
"""Fixed look of each part of a training step."""

_UNNOTICED = 0.001


def steps_plot(results: Results) -> Plot | Missing:
    """Return stacked bars of the parts of a training step, for the job with the most GPU time of each variant."""
    name, heading = "steps", "Where the time of a training step goes"
    table = results.table("steps", ["job", "part", "nominal_s", "mean_s"])
    if table.empty:
        return Missing(name, heading, "no job has a training model")
    job = str(table.groupby("job")["nominal_s"].sum().idxmax())
    mine = table[table["job"] == job]
    parts = [part for part in PART_LOOK if part in set(mine["part"])]
    means = mine.groupby(["variant", "part"])["mean_s"].mean().unstack().reindex(results.variants)[parts].dropna()
    nominal = mine.groupby("part")["nominal_s"].mean()[parts]
    alike = equals_together({str(name): means.loc[[name]].round(9).reset_index(drop=True) for name in means.index})
    shown = means.loc[list(alike)].set_axis(list(alike.values()))
    shown.loc["idle network, no tiers"] = nominal
    shown = shown.loc[:, shown.max() > 0.002 * shown.sum(axis=1).max()]
    if list(shown.columns) == ["compute"]:
        return Missing(name, heading, f"compute hides all communication of job {plain(job)}")
    with paper():
        figure = PaperFigure(1.25 + row_inches(len(shown)) * len(shown))
        axes = figure.subplots()
        stacked_rows(axes, shown, PART_LOOK)
        for row, total in enumerate(shown.sum(axis=1)):
            label_end(axes, float(total), row, f"{total:.2f} s")
        axes.set_xlim(0.0, float(shown.sum(axis=1).max()) * 1.15)
        axes.set_xlabel("Mean step time (s)")
        name_rows(axes, [str(row) for row in shown.index])
        clean_value_axis(axes)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=4)
        sample = count_of(results.replications, "replication")
        footnote(figure, f"Job {job}; communication that compute does not hide; mean of {sample}.")
    words = "; ".join(f"{plain(row)} {total:.2f} s" for row, total in shown.sum(axis=1).items())
    return Plot(
        name,
        heading,
        f"Parts of a training step of job {job} that follow one another, mean of {sample}: compute with recomputation, "
        "exposed communication by group (tensor, context, expert, pipeline and data parallel), pipeline bubble and "
        "optimiser. The last bar is the step on an idle network without oversubscription.",
        f"Stacked bars of the parts of a training step by variant. Step times: {words}.",
        figure,
    )


def slowdown_plot(results: Results) -> Plot | Missing:
    """Return how much slower than alone every training job steps, one row of dots for each variant."""
    name, heading = "slowdown", "How much slower jobs step where they are placed"
    table = results.table("jobs", ["job", "gpus", "step_slowdown"])
    table = table[table["step_slowdown"].notna()] if not table.empty else table
    if table.empty:
        return Missing(name, heading, "no job has a training model")
    first = table[table["replication"] == table["replication"].min()]
    if (first["step_slowdown"] - 1.0).abs().max() < _UNNOTICED:
        return Missing(name, heading, f"no job steps more than {_UNNOTICED:.1%} slower")
    variants = [variant for variant in results.variants if variant in set(first["variant"])]
    looks = variant_looks(results.variants)
    with paper():
        figure = PaperFigure(1.1 + row_inches(len(variants)) * len(variants))
        axes = figure.subplots()
        for row, variant in enumerate(variants):
            mine = first[first["variant"] == variant]
            area = 18.0 + 90.0 * (mine["gpus"] / first["gpus"].max()).to_numpy()
            place = row + np.linspace(-0.18, 0.18, len(mine)) if len(mine) > 1 else np.array([row])
            axes.scatter(mine["step_slowdown"], place, s=area, color=looks[variant].colour, alpha=0.75, linewidths=0)
        axes.axvline(1.0, color=FAINT, linewidth=0.8)
        name_rows(axes, variants)
        axes.set_xlabel("Step time divided by that on an idle network without tiers")
        clean_value_axis(axes)
        footnote(figure, "A dot for each training job, its area by its GPUs; one replication.")
    groups = first.groupby("variant")["step_slowdown"]
    words = "; ".join(
        f"{plain(v)} {groups.get_group(v).min():.3g} to {groups.get_group(v).max():.3g}" for v in variants
    )
    return Plot(
        name,
        heading,
        "Mean step time of each training job divided by its step time on an idle network without oversubscription; "
        "larger dots are jobs with more GPUs, one replication.",
        f"Dots of the slowdown of every training job by variant: {words}.",
        figure,
    )


def links_plot(results: Results) -> Plot | Missing:
    """Return heat maps of the load of the busiest link by tier and pod, one panel for each variant."""
    name, heading = "links", "Which links are busy"
    table = results.table("links", ["tier", "group", "links", "load_mean", "load_max"])
    if table.empty:
        return Missing(name, heading, "the machine has no fabric")
    first = table[table["replication"] == table["replication"].min()]
    variants = [variant for variant in results.variants if variant in set(first["variant"])]
    tiers = list(dict.fromkeys(first["tier"]))
    groups = sorted(set(first["group"]))
    most = max(float(first["load_max"].max()), 1e-9)
    with paper():
        figure = PaperFigure(0.9 + (0.45 + 0.22 * len(tiers)) * len(variants))
        panels = figure.subplots(len(variants), 1, squeeze=False, sharex=True)[:, 0]
        for axes, variant in zip(panels, variants, strict=True):
            mine = first[first["variant"] == variant].pivot_table(index="tier", columns="group", values="load_max")
            picture = mine.reindex(index=tiers, columns=groups).to_numpy(dtype=float)
            image = axes.imshow(picture * 100.0, vmin=0.0, vmax=most * 100.0, cmap="YlGnBu", aspect="auto")
            axes.set_title(plain(variant), fontsize=9)
            axes.set_yticks(range(len(tiers)), [tier.replace("_", " - ") for tier in tiers])
            axes.tick_params(length=0)
            for row, column in np.argwhere(~np.isnan(picture)) if len(groups) <= 12 else []:
                value = picture[row, column] * 100.0
                ink = "white" if value > 60.0 * most else "#1C2733"
                axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=8, color=ink)
        step = max(1, len(groups) // 12)
        panels[-1].set_xticks(range(0, len(groups), step), [str(groups[k]) for k in range(0, len(groups), step)])
        panels[-1].set_xlabel("Pod of the lower end of the links (-1: none)")
        figure.colorbar(image, ax=panels, label="Load (%)", fraction=0.04)
        footnote(figure, "Mean load in time of the busiest link, share of its capacity; one replication.")
    words = "; ".join(
        f"{plain(v)}: {t.replace('_', ' ')} {100 * float(rows['load_max'].max()):.0f} %"
        for (v, t), rows in first.groupby(["variant", "tier"], sort=False)
    )
    return Plot(
        name,
        heading,
        "Mean load in time of the busiest link of each tier and pod, in percent of its capacity (protocol overhead "
        "included), one replication.",
        f"Heat maps of link load. Busiest links: {words}.",
        figure,
    )
