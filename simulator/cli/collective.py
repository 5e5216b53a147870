"""``simulator collective``: times of a collective by message size, as nccl-tests prints them."""

from __future__ import annotations

from typing import Annotated

import typer


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
) -> None:
    """Print time, algorithm and bus bandwidth of a collective on an otherwise idle fabric."""
    from simulator.experiments.collectives import collective as table

    rows = table(fabric, op, ranks, sizes, algorithm)
    facts = rows.attrs
    print(
        f"# {op}, {facts['ranks']} ranks of {facts['hosts']} on {facts['fabric']}, routing {facts['routing']}, ", end=""
    )
    print(f"transport {facts['transport']}")
    print("# one rank is one GPU; sizes as nccl-tests counts them; busbw is ring-equivalent, not a link's rate")
    print(f"{'size':>14} {'time':>12} {'algbw':>10} {'busbw':>10}  algorithm (protocol)")
    print(f"{'(B)':>14} {'(us)':>12} {'(GB/s)':>10} {'(GB/s)':>10}")
    for size, time_s, algbw, busbw, name, protocol in rows.to_numpy().tolist():
        print(f"{size:14.0f} {time_s * 1e6:12.2f} {algbw / 1e9:10.2f} {busbw / 1e9:10.2f}  {name} ({protocol})")
