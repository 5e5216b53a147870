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
    """Print the jobs of replication 0 in the columns of sacct --parsable2; time 0 is Monday 2000-01-03."""
    import pandas as pd

    from simulator.errors import InputError
    from simulator.experiments.sacct import sacct_table

    path = folder / "jobs.parquet"
    if not path.is_file():
        raise InputError("no results folder", found=str(folder), allowed="a folder with jobs.parquet")
    jobs = pd.read_parquet(path)
    variants = list(dict.fromkeys(jobs["variant"]))
    chosen = variant if variant is not None else variants[0]
    if chosen not in variants:
        raise InputError("unknown variant", found=repr(chosen), allowed=", ".join(variants))
    mine = jobs[(jobs["variant"] == chosen) & (jobs["replication"] == jobs["replication"].min())]
    sacct_table(mine).to_csv(sys.stdout, sep="|", index=False, lineterminator="\n")
