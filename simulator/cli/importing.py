"""``simulator import``: traces of other systems to the common job table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def import_trace(
    format: Annotated[
        str, typer.Argument(metavar="FORMAT", help="swf, slurm, helios, philly, acme, alibaba or table.")
    ],
    file: Annotated[str, typer.Argument(metavar="FILE", help="Trace as published; may be gzipped.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="Table to write, .parquet or .csv."),
    ],
) -> None:
    """Read a job trace and write it as the common job table that scenarios replay."""
    from simulator.units import count_of
    from simulator.workload.traces import origin_of, read_trace, write_table

    table, account = read_trace(format, file)
    write_table(table, str(output), origin_of(account.header))
    for line in account.describe():
        print(line)
    print(f"{count_of(len(table), 'job')} written to {output}")
