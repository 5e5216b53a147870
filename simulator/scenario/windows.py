"""Reservations and maintenance of the scenario as windows of the machine."""

from __future__ import annotations

import numpy as np

from simulator.engine.world import Window
from simulator.scenario.schema import VariantSpec


def windows_of(spec: VariantSpec) -> tuple[Window, ...]:
    """Return every window before the horizon; one that repeats has a number behind its name."""
    found = []
    for section in spec.reservations:
        count = spec.cluster.nodes - section.first_node if section.nodes == "all" else section.nodes
        nodes = section.first_node + np.arange(count, dtype=np.int64)
        starts = [section.start]
        if section.every is not None:
            assert spec.horizon is not None, "checked before"
            starts = np.arange(section.start, spec.horizon, section.every).tolist()
        for number, start_s in enumerate(starts):
            name = section.name if section.every is None else f"{section.name}-{number}"
            end_s = start_s + section.duration
            found.append(Window(name, start_s, end_s, nodes, section.account, section.maintenance))
    return tuple(sorted(found, key=lambda window: (window.start_s, window.name)))
