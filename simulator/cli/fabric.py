"""``simulator fabric``: facts and a picture of a fabric."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.options import OutputOption


def fabric(
    name: Annotated[
        str, typer.Argument(metavar="SCENARIO|F.yaml|PRESET", help="What to describe.", show_default=False)
    ],
    gpus: Annotated[
        int | None, typer.Option("--gpus", min=1, help="Size, where the fabric has none.", show_default=False)
    ] = None,
    output: OutputOption = None,
) -> None:
    """Print what is known of a fabric by counting, and draw a picture of it."""
    from simulator import units
    from simulator.cli.screen import print_pairs
    from simulator.errors import InputError
    from simulator.experiments.store import demand_folder, write_atomically
    from simulator.network.facts import facts
    from simulator.network.parts import part_counts
    from simulator.report.plots.fabric import fabric_picture
    from simulator.scenario.describe import rate_between, rates_of_links
    from simulator.scenario.fabrics import load_fabric

    folder = Path() if output is None else output
    demand_folder(folder)
    network, section = load_fabric(name, gpus)
    links, known = network.fabric, facts(network.fabric)
    spare = links.gpus_per_node - 1 if section.topology == "clos" else 0  # the last node counts whole
    if gpus is not None and not gpus <= links.hosts <= gpus + spare:
        allowed = f"{links.hosts}, or no --gpus"
        raise InputError("this fabric has a size of its own", key="--gpus", found=str(gpus), allowed=allowed)
    no_form = "no closed form" + (", leaves or pods are unevenly filled" if section.topology == "clos" else "")
    ends = "switches" if known.switches else "hosts"
    rows = [
        ("topology", section.topology),
        ("GPUs", f"{known.hosts:,} in nodes of {links.gpus_per_node}, scale-up domains of {links.scale_up_size}"),
        ("rate of a GPU", rate_between(*known.host_rates)),
        ("rate of one link", rates_of_links(known)),
        ("planes", str(known.planes)),
        ("switches", f"{known.switches:,}" if known.switches else "none: hosts are routers"),
        ("cables", f"{known.cables:,}, of which {known.switch_cables:,} between {ends}"),
        ("optics", f"{2 * known.switch_cables:,}, two for each cable between {ends}"),
        ("diameter", "not searched" if known.diameter is None else f"{known.diameter} links"),
        ("mean distance", "not known" if known.mean_links is None else f"{known.mean_links:.4g} links"),
        ("bisection", no_form if known.bisection_cables is None else f"{known.bisection_cables:,.0f} cables"),
    ]
    if known.leaf_ports is not None and known.hosts < known.leaf_ports:
        filled = f"{known.hosts:,} of {known.leaf_ports:,}: spines and cores for all, other facts of those in use"
        rows.insert(3, ("leaf ports in use", filled))
    if known.bisection_rate is not None:
        rows.append(("bisection bandwidth", units.show(known.bisection_rate, "bytes/s")))
    rows += [(f"oversubscription {tier}", f"{ratio:.4g}:1") for tier, ratio in known.oversubscription.items()]
    bill = section.bill
    if bill.switch_power is not None and bill.optic_power is not None:
        power = known.switches * bill.switch_power + 2 * known.switch_cables * bill.optic_power
        rows.append(("power", f"{units.show(power, 'W')}, {units.show(power / known.hosts, 'W')} a GPU, NICs left out"))
    if bill.switch_price is not None and bill.cable_price is not None:
        price = known.switches * bill.switch_price + known.cables * bill.cable_price
        rows.append(
            ("price", f"{units.show(price, 'USD')}, {units.show(price / known.hosts, 'USD')} a GPU, NICs left out")
        )
    rows += [
        ("routing", f"{network.routing.policy}, reroute {units.show(network.routing.reroute_s, 's')}"),
        ("transport", network.transport.name),
    ]
    print_pairs(f"Fabric {links.name}", rows)
    print_pairs("Parts that can fail", [(kind, f"{count:,}") for kind, count in part_counts(links).items()])
    picture = folder / f"{links.name}.png"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(picture, fabric_picture(links, known).png())
    print(f"\nPicture: {picture}")
