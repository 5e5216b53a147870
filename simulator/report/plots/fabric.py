"""Pictures of fabrics: small ones link by link, large ones as pods with numbers."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

from simulator import units
from simulator.network.fabric import (
    SCALE_UP,
    ClosShape,
    DragonflyShape,
    Fabric,
    Floats,
    GraphShape,
    HypercubeShape,
    TorusShape,
)
from simulator.network.facts import FabricFacts
from simulator.network.topologies import Ports, hypercube, torus
from simulator.report.style import FAINT, INK, PaperFigure, footnote, paper, variant_looks

MOST_DRAWN = 160
"""Hosts up to which every link is drawn."""

_MOST_PODS = 6
_MOST_LENGTH = 5
_MOST_DIMENSIONS = 5


def fabric_picture(fabric: Fabric, known: FabricFacts) -> PaperFigure:
    """Return a picture in which tiers, pods and rails can be seen.

    Up to ``MOST_DRAWN`` hosts every vertex and link of one plane is drawn, rails coloured. Beyond that pods and groups
    are boxes, and a corner stands for a large torus or hypercube.
    """
    shape = fabric.shape
    with paper():
        figure = PaperFigure(3.8)
        axes = figure.subplots()
        axes.set_axis_off()
        if fabric.hosts <= MOST_DRAWN or isinstance(shape, GraphShape):
            note = _draw_links(axes, fabric)
        elif isinstance(shape, ClosShape):
            note = _draw_pods(axes, fabric, shape)
        elif isinstance(shape, DragonflyShape):
            note = _draw_groups(axes, fabric, shape)
        else:
            note = _draw_corner(axes, shape)
        axes.set_title(f"{fabric.name}: {fabric.hosts:,} GPUs, {known.switches:,} switches, {known.cables:,} cables")
        footnote(figure, note)
    return figure


def _positions(fabric: Fabric) -> Floats:
    """Return where vertices lie, shape (vertices, 2)."""
    n, shape = fabric.hosts, fabric.shape
    place = np.zeros((fabric.vertices, 2))
    host = np.arange(n)
    match shape:
        case TorusShape(dims):
            x, y = host % dims[0], host // dims[0] % dims[1]
            z = host // (dims[0] * dims[1])
            place[:n, 0], place[:n, 1] = x + 0.35 * z, y + 0.3 * z
        case HypercubeShape(dimension):
            for axis in range(dimension):
                bit = (host >> axis) & 1
                turn = np.pi * axis / dimension
                place[:n] += bit[:, np.newaxis] * np.array([np.cos(turn), np.sin(turn)]) * 0.75 ** (axis // 2)
        case DragonflyShape():
            group = fabric.pod.astype(float)
            angle = 2.0 * np.pi * group / shape.groups
            inner = np.where(fabric.level == 0, 1.18, 1.0)
            member = np.arange(fabric.vertices) % (shape.routers * shape.hosts)
            spread = np.where(
                fabric.level == 0, member / (shape.routers * shape.hosts), (member % shape.routers) / shape.routers
            )
            angle += (spread - 0.5) * 1.6 * np.pi / shape.groups
            place[:, 0], place[:, 1] = inner * np.cos(angle), inner * np.sin(angle)
        case ClosShape():
            for level in range(4):
                mine = np.flatnonzero((fabric.level == level) & _in_first_plane(fabric))
                if len(mine):
                    place[mine, 0] = (np.arange(len(mine)) + 0.5) / len(mine)
                    place[mine, 1] = level
        case _:
            place = fabric.spring_positions()
    return place


def _in_first_plane(fabric: Fabric) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    inside = np.zeros(fabric.vertices, np.bool_)
    links = fabric.plane == 0
    inside[fabric.tail[links]] = inside[fabric.head[links]] = True
    return inside


def _draw_links(axes: Axes, fabric: Fabric) -> str:
    place = _positions(fabric)
    tiers = [tier for tier in fabric.tiers if tier != SCALE_UP]
    looks = variant_looks(tiers)
    for tier in tiers:
        chosen = (fabric.tier == fabric.tiers.index(tier)) & (fabric.plane == 0) & (fabric.tail < fabric.head)
        if not chosen.any():
            chosen = (fabric.tier == fabric.tiers.index(tier)) & (fabric.plane == 0)
        ends = np.stack((place[fabric.tail[chosen]], place[fabric.head[chosen]]), axis=1)
        if isinstance(fabric.shape, TorusShape):  # links round the edge would cross everything
            ends = ends[np.abs(ends[:, 0] - ends[:, 1]).sum(axis=1) < 2.0]
        width = 0.9 if len(ends) < 300 else 0.35
        axes.add_collection(
            LineCollection(list(ends), colors=looks[tier].colour, linewidths=width, alpha=0.7, label=tier)
        )
    visible = (fabric.level >= 0) & _in_first_plane(fabric)
    hosts = np.flatnonzero(visible & (fabric.level == 0))
    rails = fabric.rail[hosts]
    colours = [INK if rail < 0 else variant_looks([str(k) for k in range(8)])[str(rail % 8)].colour for rail in rails]
    axes.scatter(place[hosts, 0], place[hosts, 1], s=9, c=colours, zorder=3)
    switches = np.flatnonzero(visible & (fabric.level > 0))
    if len(switches):
        axes.scatter(place[switches, 0], place[switches, 1], s=26, marker="s", c=FAINT, zorder=3)
    axes.autoscale_view()
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=len(tiers))
    planes = int(fabric.plane.max()) + 1
    plane = f" One of {planes} planes." if planes > 1 else ""
    rail = " Colours of GPUs are rails." if (rails >= 0).any() else ""
    round_ = " Links round the edge are left out." if isinstance(fabric.shape, TorusShape) else ""
    return f"Dots are GPUs, squares switches.{rail}{plane}{round_}"


def _draw_pods(axes: Axes, fabric: Fabric, shape: ClosShape) -> str:
    """Draw one row of boxes for each level of switches, one box for each pod."""
    shown = min(shape.pods, _MOST_PODS)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    levels = 4 if shape.cores_per_spine else 3
    height = 0.56 / levels
    bottoms = [0.02 + level * (0.96 - height) / (levels - 1) for level in range(levels)]
    gpus_of_pod = min(shape.leaves_per_pod * shape.hosts_per_leaf, fabric.hosts)
    texts = (
        f"{gpus_of_pod:,} GPUs",
        f"{min(shape.leaves_per_pod, shape.leaves):,} leaves",
        f"{shape.spines_per_pod:,} spines",
    )
    for pod in range(shown):
        left, width = pod / shown + 0.01, 1.0 / shown - 0.02
        middle = left + width / 2
        for level, text in enumerate(texts):
            axes.add_patch(_box(left, bottoms[level], width, height))
            axes.text(middle, bottoms[level] + height / 2, text, ha="center", va="center", fontsize=8)
        if shape.is_rail:
            _draw_rails(axes, fabric, left, width, bottoms[:2], height)
        for level in range(levels - 1):
            axes.plot([middle] * 2, [bottoms[level] + height, bottoms[level + 1]], color=INK, linewidth=1.2)
    if shape.cores_per_spine:
        axes.add_patch(_box(0.01, bottoms[3], 0.98, height))
        cores = shape.spines_per_pod * shape.cores_per_spine
        axes.text(0.5, bottoms[3] + height / 2, f"{cores:,} cores", ha="center", va="center", fontsize=8)
    for level, text in enumerate(_rates(fabric, shape)):
        place = (bottoms[level] + height + bottoms[level + 1]) / 2
        paper_white = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
        axes.text(0.5 / shown + 0.02, place, text, fontsize=8, color=FAINT, va="center", bbox=paper_white)
    more = f" {shape.pods - shown} of {shape.pods} pods are not drawn." if shape.pods > shown else ""
    rails = " A leaf holds one rail (colours): the GPUs of one position of its nodes." if shape.is_rail else ""
    planes = f" One of {shape.planes} planes." if shape.planes > 1 else ""
    return f"Full pods.{rails}{planes}{more}"


def _rates(fabric: Fabric, shape: ClosShape) -> list[str]:
    """Return what joins a level to the next one, from the GPUs up."""

    def rate(tier: str) -> str:
        return units.show(float(fabric.capacity[fabric.tier == fabric.tiers.index(tier)][0]), "bytes/s")

    found = [f"{rate('host')} a GPU", f"{shape.spines_per_pod} x {rate('leaf_spine')} a leaf"]
    return [*found, f"{shape.cores_per_spine} x {rate('spine_core')} a spine"] if shape.cores_per_spine else found


def _draw_rails(axes: Axes, fabric: Fabric, left: float, width: float, bottoms: list[float], height: float) -> None:
    """Draw the rails of a pod as strips of colour along its GPUs and its leaves."""
    rails = fabric.gpus_per_node
    looks = variant_looks([str(k) for k in range(8)])
    for rail in range(rails):
        for bottom in bottoms:
            axes.add_patch(
                Rectangle(
                    (left + rail * width / rails, bottom),
                    width / rails,
                    0.18 * height,
                    facecolor=looks[str(rail % 8)].colour,
                    linewidth=0,
                )
            )


def _draw_groups(axes: Axes, fabric: Fabric, shape: DragonflyShape) -> str:
    """Draw the groups of a dragonfly as dots on a circle, each pair joined by its global link."""
    angle = 2.0 * np.pi * np.arange(shape.groups) / shape.groups
    place = np.stack((np.cos(angle), np.sin(angle)), axis=1)
    one, other = np.triu_indices(shape.groups, 1)
    ends = np.stack((place[one], place[other]), axis=1)
    looks = variant_looks(["global", "group"])
    axes.add_collection(LineCollection(list(ends), colors=looks["global"].colour, linewidths=0.3, alpha=0.6))
    axes.scatter(place[:, 0], place[:, 1], s=90, c=looks["group"].colour, zorder=3)
    axes.set_xlim(-1.85, 1.85)  # keeps the circle round on a wide sheet
    axes.set_ylim(-1.1, 1.1)
    group = f"{shape.routers} joined routers with {shape.hosts} GPUs each"
    return f"Dots are groups of {group}, lines global links: one for each pair of groups."


def _draw_corner(axes: Axes, shape: TorusShape | HypercubeShape) -> str:
    """Draw a corner of a torus, or a face of a hypercube, that is too large to be drawn whole."""
    ports = Ports(1.0)
    if isinstance(shape, HypercubeShape):
        _draw_links(axes, hypercube(_MOST_DIMENSIONS, ports))
        return (
            f"A face of {_MOST_DIMENSIONS} of the {shape.dimension} dimensions. Dots are GPUs, which are routers too."
        )
    corner = tuple(min(length, _MOST_LENGTH) for length in shape.dims)
    _draw_links(axes, torus(corner, ports))
    size, whole = (" x ".join(map(str, dims)) for dims in (corner, shape.dims))
    return f"A corner of {size} GPUs, also routers, of {whole}. Links round the edge are left out."


def _box(left: float, bottom: float, width: float, height: float) -> Rectangle:
    return Rectangle((left, bottom), width, height, facecolor="#EDEFF1", edgecolor=FAINT, linewidth=0.7)
