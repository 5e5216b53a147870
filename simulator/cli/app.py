"""All verbs put together."""

from __future__ import annotations

import typer

from simulator.cli import check, collective, compare, fabric, fit, importing, presets, report, run, sacct, schema
from simulator.cli.guard import guarded

app = typer.Typer(
    name="simulator",
    help="Discrete-event simulator of GPU clusters: failures, recovery, scheduling and what each policy is worth.",
    epilog="Exit codes: 0 done, 1 failed while running, 2 the input is wrong, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"simulator {version('simulator')}")
        raise typer.Exit


@app.callback()
def _simulator(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version and leave."
    ),
) -> None:
    """Take the options that hold for all verbs."""


for _name, _verb in (
    ("run", run.run),
    ("collective", collective.collective),
    ("fabric", fabric.fabric),
    ("compare", compare.compare),
    ("check", check.check),
    ("report", report.report),
    ("sacct", sacct.sacct),
    ("presets", presets.presets),
    ("import", importing.import_trace),
    ("fit", fit.fit),
    ("schema", schema.schema),
):
    app.command(_name)(guarded(_verb))
