"""``simulator report``: the report of a results folder, again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Results folder of a comparison.", show_default=False)],
) -> None:
    """Build figures and report.html of a results folder again and print its tables."""
    from simulator.report import terminal_report, write_report

    page = write_report(folder)
    print(terminal_report(folder))
    print(f"\nReport: {page}")
