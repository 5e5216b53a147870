"""``simulator sacct``: the jobs of a results folder as Slurm would list them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def sacct(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Results folder.", show_default=False)],
    variant: Annotated[
        str | None, typer.Option("--variant", help="Variant [default: the first].", show_default=False)
    ] = None,
) -> None:
    """Print the jobs of replication 0 in the columns of sacct --parsable2, on the clock of their log if it has one."""
    from simulator.experiments.sacct import read_sacct, sacct_text

    sys.stdout.write(sacct_text(read_sacct(folder, variant)))
