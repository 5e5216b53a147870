"""Whether a waiting job would fit if some running ones were gone."""

from __future__ import annotations

import numpy as np

from simulator.policies.views import Bools, Ints, SchedulerView
from simulator.scheduling.windows import open_nodes


class Room:
    """GPUs of every node that a waiting job could take, now or when certain jobs are gone.

    Parameters
    ----------
    view : SchedulerView
        What the policy sees.
    position : int
        The waiting job's position in the queue.

    Attributes
    ----------
    wanted_gpus : int
        GPUs it wants in all.
    gpus : int
        GPUs there are for it.
    """

    def __init__(self, view: SchedulerView, position: int) -> None:
        queue, nodes = view.queue, view.nodes
        self._nodes, self._known = nodes, queue.known
        self._shares = bool(queue.shares[position])
        self._wanted = int(queue.nodes[position] - queue.held_nodes[position])
        self.wanted_gpus = int(queue.gpus[position]) if self._shares else self._wanted * nodes.gpus_per_node
        self._free = nodes.free_gpus.copy()
        self._open: Bools | None = None
        if view.has_windows:
            end_s = view.now_s + float(queue.requested_s[position])
            self._open = open_nodes(view.now_s, end_s, int(queue.account[position]), nodes.windows)
            self._free[~self._open] = 0
        self.gpus = int(self._free.sum())

    @property
    def whole_nodes(self) -> int:
        """Nodes that it could take as a whole."""
        return int(np.count_nonzero(self._free == self._nodes.gpus_per_node))

    def fits(self) -> bool:
        """Return whether there is room for the job."""
        if self._shares:
            return bool((self._free >= self.wanted_gpus).any())
        return self.whole_nodes >= self._wanted

    def add(self, job: int) -> None:
        """Count the nodes of a running job in."""
        self._change(job, 1)

    def take_back(self, job: int) -> None:
        """Count them out again."""
        self._change(job, -1)

    def _change(self, job: int, sign: int) -> None:
        ids, gpus = self._held_by(job)
        if self._open is not None:
            gpus = gpus * self._open[ids]
        self._free[ids] += sign * gpus
        self.gpus += sign * int(gpus.sum())

    def _held_by(self, job: int) -> tuple[Ints, Ints]:
        """Return the nodes of a running job and the GPUs it has on each."""
        nodes = self._nodes
        if not self._known.shares[job]:
            ids = np.flatnonzero(nodes.holder == job)
            return ids, np.full(len(ids), nodes.gpus_per_node)
        assert nodes.tenant_job is not None
        assert nodes.tenant_gpus is not None
        ids, slots = np.nonzero(nodes.tenant_job == job)
        return ids, nodes.tenant_gpus[ids, slots]
