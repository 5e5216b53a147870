"""Jobs that can never run, whoever else is there."""

from __future__ import annotations

import numpy as np

from simulator.engine.world import World
from simulator.telemetry.submissions import Submissions
from simulator.units import count_of


def impossible(world: World, known: Submissions) -> dict[int, str]:
    """Return why jobs can never run, by index.

    They are larger than the machine or than their partition, of no partition, or refused by the scheduling policy.
    """
    most = world.machine.nodes - world.machine.spare_nodes
    least = np.minimum(known.nodes, known.fewest)
    reasons = {
        job: f"asks for {count_of(int(least[job]), 'node')}; the machine has {most} without its spares"
        for job in np.flatnonzero(least > most).tolist()
    }
    partitions = world.partitions
    for number, name in enumerate(known.partitions):
        if partitions is None or not name:
            continue
        room = partitions.get(name)
        for job in np.flatnonzero(known.partition == number).tolist():
            if room is None:
                reasons.setdefault(job, f"asks for partition {name!r}; there are {', '.join(partitions)}")
            elif known.nodes[job] > room:
                wants = f"asks for {count_of(int(known.nodes[job]), 'node')} of partition {name!r}"
                reasons.setdefault(job, f"{wants}, which has {room}")
    refuses = getattr(world.scheduling, "refuses", None)
    return reasons if refuses is None else {**refuses(known), **reasons}
