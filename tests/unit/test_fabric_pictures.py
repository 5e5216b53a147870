"""Every kind of fabric has a picture and facts, small or large."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_results import VARIANTS, write_results

from simulator.network.facts import facts
from simulator.network.topologies import Ports, clos, dragonfly, hypercube, torus
from simulator.report import read_results
from simulator.report.plots.fabric import MOST_DRAWN, fabric_picture
from simulator.report.plots.network import links_plot

PORTS = Ports(50e9, 0.0, 8)
FABRICS = {
    "small rails": lambda: clos(64, 4, PORTS, layout="rail"),
    "large rails": lambda: clos(1024, 32, PORTS, layout="rail"),
    "large pods": lambda: clos(4096, 16, PORTS, leaves_per_pod=32, oversubscription=(1, 3)),
    "small dragonfly": lambda: dragonfly(4, 2, 2, PORTS),
    "large dragonfly": lambda: dragonfly(8, 4, 4, PORTS),
    "small torus": lambda: torus((4, 4), PORTS),
    "large torus": lambda: torus((16, 16, 4), PORTS),
    "large hypercube": lambda: hypercube(9, PORTS),
}


@pytest.mark.parametrize("name", FABRICS)
def test_a_picture_is_drawn_and_says_what_is_left_out(name: str) -> None:
    fabric = FABRICS[name]()
    figure = fabric_picture(fabric, facts(fabric))
    words = [text.get_text() for axes in figure.axes for text in axes.texts] + [t.get_text() for t in figure.texts]
    assert figure.png()[:4] == b"\x89PNG"
    assert (fabric.hosts <= MOST_DRAWN) == name.startswith("small")
    note = " ".join(words)
    for kind, said in (
        ("large torus", "corner"),
        ("hypercube", "face"),
        ("large pods", "not drawn"),
        ("rails", "rail"),
    ):
        if kind in name:
            assert said in note


@pytest.mark.parametrize("variants", [1, 2])
def test_headings_and_labels_of_the_heat_map_of_links_are_inside_its_frame(tmp_path: Path, variants: int) -> None:
    plot = links_plot(read_results(write_results(tmp_path / "study", VARIANTS[:variants], 1)))
    figure = plot.figure
    figure.draw_without_rendering()
    frame = figure.bbox.padded(1.0)
    texts = [*figure.texts, *(t for axes in figure.axes for t in (axes.title, axes.xaxis.label, axes.yaxis.label))]
    assert any(text.get_text() == "Load (%)" for text in texts)
    for text in texts:
        box = text.get_window_extent()
        assert frame.x0 <= box.x0 <= box.x1 <= frame.x1, text
        assert frame.y0 <= box.y0 <= box.y1 <= frame.y1, text
