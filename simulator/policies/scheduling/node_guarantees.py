"""Guarantees that are planned node by node: what conservative backfilling remembers of them, and the passes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from simulator.policies.decisions import Start, Wake
from simulator.policies.scheduling.counted_guarantees import wake_for_next
from simulator.policies.views import Bools, Ints, NodesView, QueuedJobs, SchedulerView
from simulator.scheduling.node_guarantees import Promises, QueueColumns, node_guarantee_pass
from simulator.scheduling.node_plan import NONE, SHARED, NodeColumns
from simulator.scheduling.windows import WindowColumns


@dataclass
class NodeGuarantees:
    """What the waiting jobs were promised, from pass to pass.

    Parameters
    ----------
    job : int array, shape (promised,)
        Jobs that wait and have been seen, ascending.
    promises : Promises
        What they were promised.
    kind : int array, shape (nodes,)
        Kind of every node: those of one kind lie in the same windows that are open or ahead.
    windows : int
        How many of these there were.
    sent : tuple of int, or None
        Job for a part of a node that was started last, and its box.
    could_open : bool array, shape (nodes,)
        Nodes that were then empty and of the kind of its box.
    """

    job: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    promises: Promises = field(default_factory=lambda: no_promises(0, 1))
    kind: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    windows: int = -1
    sent: tuple[int, int] | None = None
    could_open: Bools = field(default_factory=lambda: np.empty(0, dtype=np.bool_))

    def pass_over(self, view: SchedulerView, compresses: bool) -> list[Start | Wake]:
        """Return the jobs that start now, and when to ask again."""
        queue, nodes = view.queue, view.nodes
        self._see_where_it_went(nodes)
        compresses |= self._number_kinds(nodes)
        n_nodes, n_kinds = len(nodes.holder), int(self.kind.max()) + 1
        if len(queue) == 0:
            self.job, self.promises, self.sent = queue.job.copy(), no_promises(0, n_kinds), None
            return []
        promises = self._promises_of(queue, nodes, n_kinds)
        tenant_end_s, tenant_gpus = nodes.tenant_end_s, nodes.tenant_gpus
        if tenant_end_s is None or tenant_gpus is None:
            tenant_end_s, tenant_gpus = np.zeros((n_nodes, 1)), np.zeros((n_nodes, 1), np.int64)
        started, allowed, is_last_due, _ = node_guarantee_pass(
            view.now_s,
            NodeColumns(
                nodes.gpus_per_node,
                self.kind,
                nodes.holder,
                nodes.free_gpus,
                nodes.free_at_s,
                tenant_end_s,
                tenant_gpus,
                nodes.windows,
            ),
            QueueColumns(queue.nodes, queue.gpus, queue.shares, queue.requested_s, queue.account),
            promises,
            compresses,
        )
        self._note_sent(queue, nodes, promises, started)
        stays = np.ones(len(queue), dtype=np.bool_)
        stays[started] = False  # one that comes back to the queue is promised anew
        self.job = queue.job[stays]
        self.promises = Promises(promises.start_s[stays], promises.taken[stays], promises.box[stays])
        # The wake comes first: a placement policy that lets a job wait ends the list.
        starts = [Start(job, ~allowed[row]) for row, job in enumerate(queue.job[started].tolist())]
        decisions: list[Start | Wake] = [*wake_for_next(self.promises.start_s, view.now_s), *starts]
        return decisions if is_last_due else [*decisions, Wake(view.now_s)]

    def _note_sent(self, queue: QueuedJobs, nodes: NodesView, promises: Promises, started: Ints) -> None:
        """Remember a job for a part of a node that starts; it is the last of a pass."""
        self.sent = None
        if len(started) and queue.shares[started[-1]]:
            row = started[-1]
            self.sent = int(queue.job[row]), int(promises.box[row])
            is_empty = (nodes.holder < 0) & (nodes.free_gpus == nodes.gpus_per_node)
            self.could_open = is_empty & (promises.taken[row, self.kind] > 0)

    def _see_where_it_went(self, nodes: NodesView) -> None:
        """Let what is planned in a box lie on the node that the first job of it has got."""
        if self.sent is None or nodes.tenant_job is None:
            return
        job, box = self.sent
        place = np.flatnonzero((nodes.tenant_job == job).any(axis=1))
        if box >= len(nodes.holder) and len(place) and self.could_open[place[0]]:
            self.promises.box[self.promises.box == box] = place[0]

    def _number_kinds(self, nodes: NodesView) -> bool:
        """Find the kinds of nodes anew when a window is over; return whether there are fewer than before."""
        windows = nodes.windows
        if len(windows.begin_s) == self.windows:
            return False
        before, self.windows = self.kind, len(windows.begin_s)
        self.kind = kinds_of(windows, len(nodes.holder))
        n_kinds = int(self.kind.max()) + 1
        if len(before) == 0:
            return False
        # Nodes of one kind stay of one kind, so what was planned on several of them adds up.
        taken = np.zeros((len(self.job), n_kinds), dtype=np.int64)
        _, some = np.unique(before, return_index=True)
        np.add.at(taken.T, self.kind[some], self.promises.taken.T)
        self.promises = self.promises._replace(taken=taken)
        return len(some) > n_kinds

    def _promises_of(self, queue: QueuedJobs, nodes: NodesView, n_kinds: int) -> Promises:
        """Return what the jobs that wait now were promised; boxes on no node are numbered from the last node on."""
        n_nodes = len(nodes.holder)
        found = no_promises(len(queue), n_kinds)
        place = np.searchsorted(self.job, queue.job)
        seen = np.flatnonzero(place < len(self.job))
        seen = seen[self.job[place[seen]] == queue.job[seen]]
        for now, before in zip(found, self.promises, strict=True):
            now[seen] = before[place[seen]]
        box = found.box
        tenant_gpus = 0 if nodes.tenant_gpus is None else nodes.tenant_gpus.sum(axis=1)
        takes_more = (nodes.holder == SHARED) & (nodes.free_gpus + tenant_gpus == nodes.gpus_per_node)
        on_node = np.flatnonzero((box != NONE) & (box < n_nodes))
        lost = on_node[~takes_more[box[on_node]]]
        box[lost] += n_nodes + int(box.max(initial=0))  # nobody is on that node any more, so another will do as well
        loose = box >= n_nodes
        if loose.any():
            box[loose] = n_nodes + np.unique(box[loose], return_inverse=True)[1]
        return found


def no_promises(jobs: int, kinds: int) -> Promises:
    """Return the promises of jobs that have none."""
    return Promises(np.full(jobs, np.nan), np.zeros((jobs, kinds), dtype=np.int64), np.full(jobs, NONE, dtype=np.int64))


def kinds_of(windows: WindowColumns, nodes: int) -> Ints:
    """Return the kind of every node: nodes of one kind lie in the same of these windows."""
    members = windows.members[np.unique(windows.group)]
    if len(members) == 0:
        return np.zeros(nodes, dtype=np.int64)
    kinds: Ints = np.unique(members.T, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return kinds
