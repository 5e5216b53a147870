"""What of every node a waiting job could take now."""

from __future__ import annotations

import numpy as np

from simulator.policies.views import Bools, SchedulerView
from simulator.scheduling.windows import open_nodes


def nodes_open_to(view: SchedulerView, position: int) -> Bools:
    """Return on which nodes the job at a position of the queue may run, windows considered."""
    queue, nodes = view.queue, view.nodes
    if not view.has_windows:
        return np.ones(len(nodes.free_gpus), dtype=np.bool_)
    end_s = view.now_s + float(queue.requested_s[position])
    return open_nodes(view.now_s, end_s, int(queue.account[position]), nodes.windows)


def whole_nodes(view: SchedulerView, position: int) -> int:
    """Return how many nodes the job at a position of the queue could take as a whole now."""
    nodes = view.nodes
    return int(np.count_nonzero(nodes_open_to(view, position) & (nodes.free_gpus == nodes.gpus_per_node)))
