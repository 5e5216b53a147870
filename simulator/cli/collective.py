"""``simulator collective``: times of a collective by message size, as nccl-tests prints them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.options import OutputOption
from simulator.cli.screen import compiling_noted


@compiling_noted()
def collective(
    fabric: Annotated[
        str, typer.Option("--fabric", metavar="F.yaml|PRESET|SCENARIO", help="Fabric.", show_default=False)
    ],
    op: Annotated[str, typer.Option("--op", metavar="OP", help="all_reduce, all_gather, ...")] = "all_reduce",
    ranks: Annotated[
        int | None, typer.Option("--ranks", metavar="N", min=2, help="GPUs, hosts 0 to N-1.", show_default=False)
    ] = None,
    sizes: Annotated[str, typer.Option("--sizes", metavar="FROM:TO", help="K, M, G are powers of 1024.")] = "8:16G",
    algorithm: Annotated[str, typer.Option("--algorithm", metavar="NAME", help="ring, tree names, or auto.")] = "auto",
    measured: Annotated[
        Path | None,
        typer.Option("--measured", metavar="LOG", help="Output of nccl-tests to compare with.", show_default=False),
    ] = None,
    output: OutputOption = None,
) -> None:
    """Print time, algorithm and bus bandwidth of a collective on an otherwise idle fabric, as nccl-tests does."""
    from simulator.errors import InputError
    from simulator.experiments.collectives import collective as table
    from simulator.experiments.nccl_logs import HEADER, left_out_rows, read_nccl_log, row
    from simulator.experiments.store import demand_folder, write_atomically

    if output is not None:
        demand_folder(output)

    log = None if measured is None else read_nccl_log(measured)
    rows = table(fabric, op, ranks, sizes if log is None else log["bytes"].to_numpy(), algorithm)
    facts = rows.attrs
    if log is not None and log.attrs["ranks"] not in (None, facts["ranks"]):
        found, allowed = f"{facts['ranks']} ranks", f"--ranks {log.attrs['ranks']}, as measured"
        raise InputError(
            "the log is of another number of ranks", str(measured), key="ranks", found=found, allowed=allowed
        )
    where = f"{facts['hosts']} on {facts['fabric']}, routing {facts['routing']}, transport {facts['transport']}"
    print(f"# {op}, {facts['ranks']} ranks of {where}")
    print("# one rank is one GPU; sizes as nccl-tests counts them; busbw is ring-equivalent, not a link's rate")
    for text in [] if log is None else left_out_rows(log.attrs["left_out"]):
        print(f"# {measured}: {text}")
    for place, line in enumerate(HEADER.splitlines()):
        print(line + ("" if log is None else ("  measured   error", "      (us)        ")[place]))
    for k, (size, time_s, algbw, busbw, name, protocol) in enumerate(rows.to_numpy().tolist()):
        beside = ""
        if log is not None:
            real_s = float(log["time_s"].iloc[k])
            beside = f" {real_s * 1e6:9.2f} {time_s / real_s - 1.0:+7.1%}"
        print(f"{row(op, facts['ranks'], size, time_s, algbw, busbw)}{beside}  # {name} ({protocol})")
    print(f"# Avg bus bandwidth    : {rows['busbw'].mean() / 1e9:.4f}")
    if output is not None:
        from simulator.report.plots.collectives import busbw_picture

        picture = output / f"{op}_{facts['fabric']}_{facts['ranks']}.png"
        output.mkdir(parents=True, exist_ok=True)
        write_atomically(picture, busbw_picture(rows, log).png())
        print(f"# Picture: {picture}")
