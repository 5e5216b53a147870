"""Pictures of fabrics: small ones link by link, large ones as pods with numbers."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

from simulator import units
from simulator.network.fabric import SCALE_UP, ClosShape, DragonflyShape, Fabric, Floats, HypercubeShape, TorusShape
from simulator.network.facts import FabricFacts
from simulator.report.style import FAINT, INK, PaperFigure, footnote, paper, variant_looks

MOST_DRAWN = 160
"""Hosts up to which every link is drawn."""

_MOST_PODS = 6


def fabric_picture(fabric: Fabric, known: FabricFacts) -> PaperFigure:
    """Return a picture in which tiers, pods and rails can be seen.

    Up to ``MOST_DRAWN`` hosts every vertex and link of one plane is drawn, rails coloured; beyond that pods are boxes.
    """
    with paper():
        figure = PaperFigure(3.8)
        axes = figure.subplots()
        axes.set_axis_off()
        if fabric.hosts <= MOST_DRAWN or not isinstance(fabric.shape, ClosShape):
            note = _draw_links(axes, fabric)
        else:
            note = _draw_pods(axes, fabric, fabric.shape)
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
    shown = min(shape.pods, _MOST_PODS)
    port = float(fabric.capacity[fabric.tier == fabric.tiers.index("host")][0])
    up = float(fabric.capacity[fabric.tier == fabric.tiers.index("leaf_spine")][0])
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    width = 1.0 / shown
    for pod in range(shown):
        left = pod * width + 0.01
        for bottom, height, text in (
            (0.02, 0.16, f"{shape.leaves_per_pod * shape.hosts_per_leaf:,} GPUs"),
            (0.28, 0.16, f"{min(shape.leaves_per_pod, shape.leaves):,} leaves"),
            (0.54, 0.16, f"{shape.spines_per_pod:,} spines"),
        ):
            axes.add_patch(_box(left, bottom, width - 0.02, height))
            axes.text(left + width / 2 - 0.01, bottom + height / 2, text, ha="center", va="center", fontsize=7.5)
        middle = left + width / 2 - 0.01
        axes.plot([middle, middle], [0.18, 0.28], color=INK, linewidth=1.2)
        axes.plot([middle, middle], [0.44, 0.54], color=INK, linewidth=1.2)
        if shape.cores_per_spine:
            axes.plot([middle, middle], [0.70, 0.82], color=INK, linewidth=1.2)
    labels = [
        (0.23, f"{units.show(port, 'bytes/s')} a GPU"),
        (0.49, f"{shape.spines_per_pod} x {units.show(up, 'bytes/s')} a leaf"),
    ]
    if shape.cores_per_spine:
        core = float(fabric.capacity[fabric.tier == fabric.tiers.index("spine_core")][0])
        cores = shape.spines_per_pod * shape.cores_per_spine
        axes.add_patch(_box(0.01, 0.82, 0.98, 0.14))
        axes.text(0.5, 0.89, f"{cores:,} cores", ha="center", va="center", fontsize=8)
        labels.append((0.76, f"{shape.cores_per_spine} x {units.show(core, 'bytes/s')} a spine"))
    for height, text in labels:
        axes.text(0.5 * width + 0.02, height, text, fontsize=7, color=FAINT, va="center")
    more = f" {shape.pods - shown} of {shape.pods} pods are not drawn." if shape.pods > shown else ""
    rails = " A leaf holds one rail: the GPUs of one position of its nodes." if shape.is_rail else ""
    planes = f" One of {shape.planes} planes." if shape.planes > 1 else ""
    return f"Full pods.{rails}{planes}{more}"


def _box(left: float, bottom: float, width: float, height: float) -> Rectangle:
    return Rectangle((left, bottom), width, height, facecolor="#EDEFF1", edgecolor=FAINT, linewidth=0.7)
