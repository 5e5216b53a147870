"""Nodes as columns: who holds them, which are spare, which are out, and what the ledger says about them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from simulator.accounting.ledger import Ledger
from simulator.cluster.inventory import Machine, spares_at_first

Ids = NDArray[np.int64]
FREE = -1
SHARED = -2
"""Holder of a node on which several jobs may have GPUs."""


class Fleet:
    """The nodes of the machine during a run.

    Parameters
    ----------
    machine : Machine
        The cluster; its last ``spare_nodes`` nodes start as spares, or the last nodes of every domain that has some.
    warm_up_s : float
        Start of the window in which occupancy is measured.

    Attributes
    ----------
    holder : int array, shape (nodes,)
        Index of the job that holds the node as a whole, ``SHARED``, or ``FREE``.
    free : bool array, shape (nodes,)
        Whether a job could start on the node as a whole: in service, not held, not spare.
    free_gpus : int array, shape (nodes,)
        GPUs that a job could take: all of a free node, the rest of a shared one, else 0.
    free_at_s : float array, shape (nodes,)
        When the node is expected to be free as a whole; infinite while it is out of service or spare.
    tenant_end_s, tenant_gpus, tenant_job : arrays, shape (nodes, gpus_per_node), or None
        Expected end, GPUs and indices of the jobs on shared nodes; None where no job shares nodes.
    out : int array, shape (nodes,)
        Open outages of the node; in service when 0.
    """

    def __init__(self, machine: Machine, warm_up_s: float, shares_nodes: bool = False) -> None:
        n, spares = machine.nodes, machine.spare_nodes
        self.machine = machine
        self.holder = np.full(n, FREE, dtype=np.int64)
        self._spare_domain = np.zeros(n, np.int64) if machine.spare_domain is None else machine.spare_domain
        domains = int(self._spare_domain.max()) + 1
        self._spares_wanted = spares // domains  # in each of them
        self._spares_in = np.full(domains, self._spares_wanted)
        self.spare = spares_at_first(machine)
        self.free = ~self.spare
        self._aside = np.zeros(n, dtype=bool)
        self._reserved = np.zeros(n, dtype=np.int64)  # reservations that are open: 1, or 2 for an instant between two
        g = machine.gpus_per_node
        self.free_gpus = np.where(self.spare, 0, g)
        self.free_at_s = np.where(self.spare, np.inf, 0.0)
        self.tenants: dict[int, list[int]] = {}
        self._closed: set[int] = set()  # shared nodes that take nobody new
        self.tenant_end_s = np.zeros((n, g)) if shares_nodes else None
        self.tenant_gpus = np.zeros((n, g), dtype=np.int64) if shares_nodes else None
        self.tenant_job = np.full((n, g), FREE, dtype=np.int64) if shares_nodes else None
        self.out = np.zeros(n, dtype=np.int64)
        self._under_repair = np.zeros(n, dtype=np.int64)
        self.n_free = n - spares
        self.n_free_gpus = (n - spares) * g
        self.n_spare = spares
        self.n_out = 0
        self.ledger = Ledger({"idle": (n - spares) * g, "spare": spares * g})
        self._warm_up_s = warm_up_s
        self._levels = {"nodes_out": (0, 0.0), "replacements": (0, 0.0)}
        self.occupancy: dict[str, dict[int, float]] = {key: defaultdict(float) for key in self._levels}
        self.watchers: list[Callable[[Ids, float], None]] = []
        self.gpus_per_node = g
        self._room = (0.0, 0, self.n_free_gpus)  # since when so many GPUs are free on partly held nodes, and in all
        self.partly_free_gpu_s = self.free_gpu_s = 0.0

    def take(self, ids: Ids, job: int, end_s: float, now_s: float) -> None:
        """Give free nodes or spares to a job until its expected end; the caller books it."""
        n_spares = int(np.count_nonzero(self.spare[ids])) if self.n_spare else 0
        self.holder[ids] = job
        if n_spares:
            self._leave_shelf(ids[self.spare[ids]])
        self.free[ids] = False
        self.free_gpus[ids] = 0
        self.free_at_s[ids] = end_s
        n_free = len(ids) - n_spares
        self.n_free -= n_free
        self.n_free_gpus -= n_free * self.machine.gpus_per_node
        self._tell(ids, now_s)

    def take_part(self, node: int, job: int, gpus: int, end_s: float, now_s: float) -> None:
        """Give GPUs of a free or shared node to a job."""
        assert self.tenant_gpus is not None
        assert self.tenant_end_s is not None
        assert self.tenant_job is not None
        if self.holder[node] == FREE:
            self.holder[node] = SHARED
            self.free[node] = False
            self.n_free -= 1
            self.tenants[node] = []
            self.free_at_s[node] = end_s
        self.tenants[node].append(job)
        slot = int(np.flatnonzero(self.tenant_gpus[node] == 0)[0])
        self.tenant_gpus[node, slot], self.tenant_end_s[node, slot] = gpus, end_s
        self.tenant_job[node, slot] = job
        self.free_gpus[node] -= gpus
        self.n_free_gpus -= gpus
        self.free_at_s[node] = max(self.free_at_s[node], end_s)
        self._tell(np.array([node]), now_s)

    def give_back(self, ids: Ids, now_s: float) -> None:
        """Take nodes in service from their job (ledger state ``idle`` already booked) and refill the spares."""
        self.holder[ids] = FREE
        self._shelve(ids, now_s)
        self._tell(ids, now_s)

    def give_back_part(self, node: int, job: int, gpus: int, now_s: float) -> None:
        """Take the GPUs of one job on a shared node from it; the last one leaves a free node, or one put aside."""
        self._strike_off(node, job)
        if node not in self._closed:
            self.free_gpus[node] += gpus
            self.n_free_gpus += gpus
        if self.tenants[node]:
            self._tell(np.array([node]), now_s)
            return
        del self.tenants[node]
        self.holder[node] = FREE
        if node in self._closed:
            self._closed.remove(node)
            self._aside[node] = True
        else:
            self.n_free_gpus -= int(self.free_gpus[node])
            self.free_gpus[node] = 0
            self._shelve(np.array([node]), now_s)
        self._tell(np.array([node]), now_s)

    def lose_tenant(self, node: int, job: int) -> None:
        """Strike a job off a shared node that leaves service; the last one leaves it to nobody."""
        self._strike_off(node, job)
        self._close(node)
        if not self.tenants[node]:
            del self.tenants[node]
            self._closed.discard(node)
            self.holder[node] = FREE

    def _strike_off(self, node: int, job: int) -> None:
        assert self.tenant_gpus is not None
        assert self.tenant_end_s is not None
        assert self.tenant_job is not None
        self.tenants[node].remove(job)
        slot = self.tenant_job[node] == job
        self.tenant_gpus[node, slot], self.tenant_job[node, slot] = 0, FREE
        used = self.tenant_gpus[node] > 0
        self.free_at_s[node] = self.tenant_end_s[node][used].max(initial=0.0)

    def _close(self, node: int) -> None:
        """Let nobody new on a shared node."""
        if node not in self._closed:
            self._closed.add(node)
            self.n_free_gpus -= int(self.free_gpus[node])
            self.free_gpus[node] = 0

    def expect_end(self, ids: Ids, job: int, end_s: float) -> None:
        """Move the expected end of a job on its nodes, or on the one that it shares."""
        if len(ids) == 0 or self.holder[ids[0]] != SHARED:
            self.free_at_s[ids] = end_s
            return
        assert self.tenant_gpus is not None
        assert self.tenant_end_s is not None
        assert self.tenant_job is not None
        node = int(ids[0])
        self.tenant_end_s[node, self.tenant_job[node] == job] = end_s
        self.free_at_s[node] = self.tenant_end_s[node][self.tenant_gpus[node] > 0].max()

    def jobs_on(self, ids: Ids) -> list[int]:
        """Return the jobs that have GPUs on any of these nodes, ascending."""
        holders = set(self.holder[ids].tolist())
        if SHARED in holders:
            for node in ids[self.holder[ids] == SHARED].tolist():
                holders.update(self.tenants[node])
        return sorted(holders - {FREE, SHARED})

    def take_out(self, ids: Ids, now_s: float) -> Ids:
        """Open an outage on nodes that no job holds any more; return those that were in service until now."""
        fresh: Ids = ids[self.out[ids] == 0]
        g = self.machine.gpus_per_node
        for node in fresh.tolist():
            if self.spare[node]:
                self._leave_shelf(np.array([node]))
                self.ledger.move(g, "spare", "down", now_s)
            elif self.free[node]:
                self._withdraw(np.array([node]))
                self.ledger.move(g, "idle", "down", now_s)
            elif self._aside[node]:
                self._aside[node] = False
                self.ledger.move(g, "idle", "down", now_s)
        tested = ids[(self.out[ids] > 0) & (self._under_repair[ids] == 0)]
        self.ledger.move(len(tested) * g, "testing", "down", now_s)
        self.out[ids] += 1
        self.free_at_s[ids] = np.inf
        self._under_repair[ids] += 1
        if len(fresh):
            self.n_out += len(fresh)
            self._note("nodes_out", self.n_out, now_s)
            self._tell(fresh, now_s)
        return fresh

    def _withdraw(self, ids: Ids) -> None:
        """Take free nodes from the reach of jobs."""
        self.free[ids] = False
        self.free_gpus[ids] = 0
        self.free_at_s[ids] = np.inf
        self.n_free -= len(ids)
        self.n_free_gpus -= len(ids) * self.machine.gpus_per_node

    def put_aside(self, ids: Ids, now_s: float) -> None:
        """Keep nodes in service that no job holds from everybody until they are taken out; let nobody new on others."""
        for node in ids[self.holder[ids] == SHARED].tolist():
            self._close(node)
        ids = ids[(self.out[ids] == 0) & (self.holder[ids] == FREE)]
        free = ids[self.free[ids]]
        self._unshelve(ids[self.spare[ids]], now_s)
        self._withdraw(free)
        self._aside[ids] = True
        self._tell(ids, now_s)

    def reserve(self, ids: Ids, now_s: float) -> None:
        """Keep nodes off the spare shelf while they are reserved for an account."""
        self._reserved[ids] += 1
        spares = ids[self.spare[ids]]
        self._unshelve(spares, now_s)
        self.shelve(spares, now_s)  # reserved now, they become free
        self.refill(now_s)

    def release(self, ids: Ids) -> None:
        """Let nodes be spares again after a reservation."""
        self._reserved[ids] -= 1

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
        """Fill the spare shelf up to its target from the free nodes, highest numbers first.

        Not with cold spares: to switch an idle node off, which is ready sooner than they are, would help nobody. Their
        shelf is filled by nodes that come back from repair or from a job.
        """
        if self.is_shelf_full or self.n_free == 0 or self.machine.spare_kind == "cold":
            return
        for domain in np.flatnonzero(self._spares_in < self._spares_wanted).tolist():
            lacking = self._spares_wanted - int(self._spares_in[domain])
            able = self.free & (self._reserved == 0) & (self._spare_domain == domain)
            ids = np.flatnonzero(able)[-lacking:]
            if len(ids):
                self._withdraw(ids)
                self._shelve(ids, now_s)
                self._tell(ids, now_s)

    @property
    def is_shelf_full(self) -> bool:
        """Whether as many spares are ready as there shall be."""
        return self.n_spare >= self.machine.spare_nodes

    def close(self, now_s: float) -> None:
        """Count the time at the last levels."""
        self._note_room(now_s)
        for quantity, (level, _) in list(self._levels.items()):
            self._note(quantity, level, now_s)

    def _shelve(self, ids: Ids, now_s: float) -> None:
        """Put idle nodes on the shelf of spares where it lacks some, and let the queue have the others."""
        if not self.is_shelf_full:
            able = ids[self._reserved[ids] == 0]
            for domain in np.unique(self._spare_domain[able]).tolist():
                wanted = self._spares_wanted - int(self._spares_in[domain])
                shelf = able[self._spare_domain[able] == domain][-wanted:] if wanted > 0 else able[:0]
                self.spare[shelf] = True
                self.free_at_s[shelf] = np.inf
                self._spares_in[domain] += len(shelf)
                self.n_spare += len(shelf)
                self.ledger.move(len(shelf) * self.machine.gpus_per_node, "idle", "spare", now_s)
            ids = ids[~self.spare[ids]]
        g = self.machine.gpus_per_node
        self.free[ids] = True
        self.free_gpus[ids] = g
        self.free_at_s[ids] = now_s
        self.n_free += len(ids)
        self.n_free_gpus += len(ids) * g

    def _leave_shelf(self, spares: Ids) -> None:
        """Take spares off the shelf; the caller says what becomes of them."""
        self.spare[spares] = False
        self.n_spare -= len(spares)
        np.subtract.at(self._spares_in, self._spare_domain[spares], 1)

    def _unshelve(self, spares: Ids, now_s: float) -> None:
        """Take spares off the shelf; they are idle, and the caller says what becomes of them."""
        self._leave_shelf(spares)
        self.ledger.move(len(spares) * self.machine.gpus_per_node, "spare", "idle", now_s)

    def note_replacements(self, more: int, now_s: float) -> None:
        """Note that so many more nodes are held in place of lost ones, or fewer when ``more`` is negative."""
        self._note("replacements", self._levels["replacements"][0] + more, now_s)

    def _note(self, quantity: str, level: int, now_s: float) -> None:
        old, since_s = self._levels[quantity]
        since_s = max(since_s, self._warm_up_s)
        if now_s > since_s:
            self.occupancy[quantity][old] += now_s - since_s
        self._levels[quantity] = (level, now_s)

    def _note_room(self, now_s: float) -> None:
        since_s, partly, free = self._room
        self.partly_free_gpu_s += partly * (now_s - since_s)
        self.free_gpu_s += free * (now_s - since_s)
        self._room = (now_s, self.n_free_gpus - self.n_free * self.gpus_per_node, self.n_free_gpus)

    def _tell(self, ids: Ids, now_s: float) -> None:
        if self.n_free_gpus or self._room[2]:  # most of the time a full machine stays full
            self._note_room(now_s)
        for watcher in self.watchers:
            watcher(ids, now_s)
