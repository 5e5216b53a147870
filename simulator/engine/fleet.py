"""Nodes as columns: who holds them, which are spare, which are out, and what the ledger says about them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from simulator.accounting.ledger import Ledger
from simulator.cluster.inventory import Machine

Ids = NDArray[np.int64]
FREE = -1


class Fleet:
    """The nodes of the machine during a run.

    Parameters
    ----------
    machine : Machine
        The cluster; its last ``spare_nodes`` nodes start as spares.
    warm_up_s : float
        Start of the window in which occupancy is measured.

    Attributes
    ----------
    holder : int array, shape (nodes,)
        Index of the job that holds the node, or ``FREE``.
    free : bool array, shape (nodes,)
        Whether a job could start on the node: in service, not held, not spare.
    out : int array, shape (nodes,)
        Open outages of the node; in service when 0.
    """

    def __init__(self, machine: Machine, warm_up_s: float) -> None:
        n, spares = machine.nodes, machine.spare_nodes
        self.machine = machine
        self.holder = np.full(n, FREE, dtype=np.int64)
        self.spare = np.zeros(n, dtype=bool)
        self.spare[n - spares :] = True
        self.free = ~self.spare
        self._aside = np.zeros(n, dtype=bool)
        self.out = np.zeros(n, dtype=np.int64)
        self._under_repair = np.zeros(n, dtype=np.int64)
        self.n_free = n - spares
        self.n_spare = spares
        self.n_out = 0
        g = machine.gpus_per_node
        self.ledger = Ledger({"idle": (n - spares) * g, "spare": spares * g})
        self._warm_up_s = warm_up_s
        self._levels = {"nodes_out": (0, 0.0), "replacements": (0, 0.0)}
        self.occupancy: dict[str, dict[int, float]] = {key: defaultdict(float) for key in self._levels}
        self.watchers: list[Callable[[Ids, float], None]] = []

    def take(self, ids: Ids, job: int, now_s: float) -> None:
        """Give free nodes or spares to a job; the ledger is moved by the caller, who knows the job's state."""
        spares = self.spare[ids]
        n_spares = int(np.count_nonzero(spares))
        self.holder[ids] = job
        if n_spares:
            self.spare[ids[spares]] = False
            self.n_spare -= n_spares
            self._note("replacements", self.machine.spare_nodes - self.n_spare, now_s)
        self.free[ids] = False
        self.n_free -= len(ids) - n_spares
        self._tell(ids, now_s)

    def give_back(self, ids: Ids, now_s: float) -> None:
        """Take nodes in service from their job (ledger state ``idle`` already booked) and refill the spares."""
        self.holder[ids] = FREE
        self._shelve(ids, now_s)
        self._tell(ids, now_s)

    def take_out(self, ids: Ids, now_s: float) -> Ids:
        """Open an outage on nodes that no job holds any more; return those that were in service until now."""
        fresh: Ids = ids[self.out[ids] == 0]
        g = self.machine.gpus_per_node
        for node in fresh.tolist():
            if self.spare[node]:
                self.spare[node] = False
                self.n_spare -= 1
                self.ledger.move(g, "spare", "down", now_s)
            elif self.free[node]:
                self.free[node] = False
                self.n_free -= 1
                self.ledger.move(g, "idle", "down", now_s)
            elif self._aside[node]:
                self._aside[node] = False
                self.ledger.move(g, "idle", "down", now_s)
        tested = ids[(self.out[ids] > 0) & (self._under_repair[ids] == 0)]
        self.ledger.move(len(tested) * g, "testing", "down", now_s)
        self.out[ids] += 1
        self._under_repair[ids] += 1
        if len(fresh):
            self.n_out += len(fresh)
            self._note("nodes_out", self.n_out, now_s)
            self._note("replacements", self.machine.spare_nodes - self.n_spare, now_s)
            self._tell(fresh, now_s)
        return fresh

    def put_aside(self, ids: Ids, now_s: float) -> None:
        """Keep nodes in service that no job holds from everybody until they are taken out."""
        ids = ids[(self.out[ids] == 0) & (self.holder[ids] == FREE)]
        spares, free = ids[self.spare[ids]], ids[self.free[ids]]
        self.spare[spares] = False
        self.n_spare -= len(spares)
        self.ledger.move(len(spares) * self.machine.gpus_per_node, "spare", "idle", now_s)
        self.free[free] = False
        self.n_free -= len(free)
        self._aside[ids] = True
        self._note("replacements", self.machine.spare_nodes - self.n_spare, now_s)
        self._tell(ids, now_s)

    def start_test(self, ids: Ids, now_s: float) -> None:
        """Book nodes whose repair is done as testing, unless another outage keeps them down."""
        self._under_repair[ids] -= 1
        tested = np.count_nonzero(self._under_repair[ids] == 0)
        self.ledger.move(int(tested) * self.machine.gpus_per_node, "down", "testing", now_s)

    def fail_test(self, ids: Ids, now_s: float) -> None:
        """Send nodes back to repair after a failed verification."""
        tested = np.count_nonzero(self._under_repair[ids] == 0)
        self._under_repair[ids] += 1
        self.ledger.move(int(tested) * self.machine.gpus_per_node, "testing", "down", now_s)

    def put_back(self, ids: Ids, now_s: float) -> Ids:
        """Close an outage after its test; return the nodes that are back in service (idle, not yet shelved)."""
        self.out[ids] -= 1
        back: Ids = ids[self.out[ids] == 0]
        if len(back):
            self.ledger.move(len(back) * self.machine.gpus_per_node, "testing", "idle", now_s)
            self.n_out -= len(back)
            self._note("nodes_out", self.n_out, now_s)
            self._tell(back, now_s)
        return back

    def shelve(self, ids: Ids, now_s: float) -> None:
        """Put idle nodes on the spare shelf up to its target; the rest becomes free."""
        self._shelve(ids, now_s)
        self._tell(ids, now_s)

    def refill(self, now_s: float) -> None:
        """Fill the spare shelf up to its target from the free nodes, highest numbers first."""
        lacking = min(self.machine.spare_nodes - self.n_spare, self.n_free)
        if lacking > 0:
            ids = np.flatnonzero(self.free)[-lacking:]
            self.free[ids] = False
            self.n_free -= lacking
            self._shelve(ids, now_s)
            self._tell(ids, now_s)

    def spares(self, count: int) -> Ids:
        """Return up to ``count`` spare nodes, lowest ids first."""
        return np.flatnonzero(self.spare)[:count]

    def close(self, now_s: float) -> None:
        """Count the time at the last levels."""
        for quantity, (level, _) in list(self._levels.items()):
            self._note(quantity, level, now_s)

    def _shelve(self, ids: Ids, now_s: float) -> None:
        wanted = min(self.machine.spare_nodes - self.n_spare, len(ids))
        if wanted > 0:
            shelf = ids[len(ids) - wanted :]
            self.spare[shelf] = True
            self.n_spare += wanted
            self.ledger.move(wanted * self.machine.gpus_per_node, "idle", "spare", now_s)
            self._note("replacements", self.machine.spare_nodes - self.n_spare, now_s)
            ids = ids[: len(ids) - wanted]
        self.free[ids] = True
        self.n_free += len(ids)

    def _note(self, quantity: str, level: int, now_s: float) -> None:
        old, since_s = self._levels[quantity]
        since_s = max(since_s, self._warm_up_s)
        if now_s > since_s:
            self.occupancy[quantity][old] += now_s - since_s
        self._levels[quantity] = (level, now_s)

    def _tell(self, ids: Ids, now_s: float) -> None:
        for watcher in self.watchers:
            watcher(ids, now_s)
