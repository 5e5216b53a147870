"""``simulator fit``: from a trace to a workload model that scenarios draw jobs from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from simulator.workload.submissions import Submissions
    from simulator.workload.synthetic import WorkloadModel

_SEED = 1
_UNKNOWN_DAY = "The trace does not say when it began: days count alike, hours from the first submission."


def fit(
    format: Annotated[
        str, typer.Argument(metavar="FORMAT", help="swf, slurm, helios, philly, acme, alibaba or table.")
    ],
    file: Annotated[str, typer.Argument(metavar="FILE", help="Trace as published; may be gzipped.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Model to write, .yaml.", show_default=False)
    ],
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Figure of fit against trace, .png or .svg.")
    ] = None,
) -> None:
    """Fit a workload model to a job trace: arrivals, sizes, run times, users and requests."""
    import hashlib

    from simulator.errors import InputError
    from simulator.experiments.store import write_atomically
    from simulator.scenario.workload_models import model_text
    from simulator.units import count_of
    from simulator.workload.fitting import fit as fitted
    from simulator.workload.traces import origin_of, read_trace, sample_of

    for path, endings in ((output, (".yaml", ".yml")), (plot, (".png", ".svg"))):
        if path is not None and path.suffix not in endings:
            raise InputError("unknown kind of file", file=str(path), allowed=f"a name in {' or '.join(endings)}")
    table, account = read_trace(format, file)
    origin = origin_of(account.header)
    sample, cleaning = sample_of(table, origin)
    jobs = sample.jobs
    model = fitted(sample, output.stem)
    with open(file, "rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    note = f"Fitted by simulator fit to {len(jobs):,} jobs of {Path(file).name} (format {format}, sha256 {digest})."
    if origin is None:
        note += f" {_UNKNOWN_DAY}"
    write_atomically(output, model_text(model, f"fitted to {Path(file).name}", note).encode())
    for line in account.describe():
        print(line)
    left = {
        "without GPUs": cleaning.without_processors,
        "without a run time": cleaning.without_run_time,
    }
    for reason, count in left.items():
        if count:
            print(f"{count_of(count, 'job')} {reason} left out")
    if origin is None:
        print(_UNKNOWN_DAY)
    _print(model, jobs)
    print(f"\nModel: {output}")
    if plot is not None:
        from simulator.report.plots.workload import workload_plot

        figure = workload_plot(sample, _drawn(model, len(jobs)), model).figure
        write_atomically(plot, figure.svg() if plot.suffix == ".svg" else figure.png())
        print(f"Figure: {plot}")


def _drawn(model: WorkloadModel, jobs: int) -> Submissions:
    from simulator.streams import generator
    from simulator.workload.synthetic import draw

    return draw(
        model, lambda purpose: generator(_SEED, 0, f"workload/synthetic/{purpose}"), model.jobs_per_s, jobs=jobs
    )


def _print(model: WorkloadModel, jobs: Submissions) -> None:
    from simulator import units
    from simulator.cli.screen import print_pairs, print_table
    from simulator.scenario.workload_models import size_name
    from simulator.workload.synthetic import DAY_S

    hours, days = model.rhythm.hours, model.rhythm.days
    rows = [
        (
            "jobs",
            f"{len(jobs):,} in {units.show(float(jobs.submit_s[-1]), 's')}, {model.jobs_per_s * DAY_S:,.4g} a day",
        ),
        ("peak hour", f"{hours.index(max(hours)):02}:00, {max(hours):.3g} times the mean (least {min(hours):.3g})"),
        ("days, Monday first", ", ".join(f"{day:.3g}" for day in days)),
        ("jobs a batch", f"{model.batches.mean:.3g} on average, up to {max(model.batches.jobs)}"),
        ("users", "not in the trace"),
        ("requested times", "not in the trace"),
        ("GPU time", f"{units.show(model.mean_gpu_s, 'GPU-s')} a job"),
        ("GPUs in use", f"{model.mean_gpu_s * model.jobs_per_s:,.4g} on average if none waited"),
    ]
    found = dict(rows)
    if max(hours) == min(hours):
        found["peak hour"] = "none: the trace is shorter than a day"
    if max(days) == min(days):
        found["days, Monday first"] = "alike: the trace is shorter than a week, or tells no date"
    if model.users is not None:
        found["users"] = f"{model.users.count:,}; that of rank r submits as r^-{model.users.exponent:.3g}"
    if model.requests is not None:
        medians = ", ".join(f"{ratios.median:.3g}" for ratios in model.requests.ratios)
        found["requested times"] = f"median ratio to run time, from short runs to long ones: {medians}"
    print_pairs("Fitted", list(found.items()))
    print()
    table = []
    for each in model.sizes:
        for ending in each.endings:
            run = ending.run_s
            shown = [units.show(float(run.at(p)), "s") for p in (0.1, 0.5, 0.9, 0.99)]  # type: ignore[arg-type]
            part = f"{each.share * ending.share:.2%}"
            table.append((size_name(each), ending.state, part, *shown, units.show(run.mean, "s")))
    print_table(
        ("GPUs", "ending", "jobs", "p10", "median", "p90", "p99", "mean run time"), table, frozenset(range(2, 7))
    )
