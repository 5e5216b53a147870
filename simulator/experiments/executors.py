"""Runs tasks in this process or in a pool of worker processes, and survives the death of a worker.

Rules of the pool: a short window of tasks per worker, each result handed on as soon as it is there; a broken pool is
built again and what it had not finished is done again; workers never outlive their parent, ignore Ctrl-C (the parent
decides) and share nothing. Which worker does a task never changes its result.
"""

from __future__ import annotations

import concurrent.futures as futures
import contextlib
import multiprocessing
import multiprocessing.connection
import multiprocessing.context
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

from simulator.errors import SimulatorError

TASKS_PER_WORKER = 3
"""Tasks handed to the pool at once, per worker: enough to keep it busy, few to lose when it dies."""

DEATHS_IN_A_ROW = 3
"""Broken pools without one finished task in between after which the study gives up."""

T = TypeVar("T")
R = TypeVar("R")
T_contra = TypeVar("T_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Work(Protocol[T_contra, R_co]):
    """A picklable function of one task."""

    def __call__(self, task: T_contra, /) -> R_co:
        """Return the result of a task."""
        ...


class InProcess(Generic[T, R]):
    """Does the tasks one after the other in this process."""

    def __init__(self, work: Work[T, R]) -> None:
        self._work = work

    def run(self, tasks: Iterable[T], on_result: Callable[[T, R], None]) -> None:
        """Do all tasks in order."""
        for task in tasks:
            on_result(task, self._work(task))


class ProcessPool(Generic[T, R]):
    """Does the tasks in worker processes.

    Parameters
    ----------
    work : picklable function of a task
        Sent to each worker once.
    workers : int
        Number of processes.
    """

    def __init__(self, work: Work[T, R], workers: int) -> None:
        self._work = work
        self._workers = workers
        self._pool: futures.ProcessPoolExecutor | None = None

    def run(self, tasks: Iterable[T], on_result: Callable[[T, R], None]) -> None:
        """Do all tasks; the order of ``on_result`` calls is the order of completion.

        Raises
        ------
        SimulatorError
            When worker processes die again and again without finishing anything.
        """
        waiting = iter(tasks)
        again: list[T] = []
        pending: dict[futures.Future[R], T] = {}
        deaths = 0
        while True:
            try:
                self._fill(pending, again, waiting)
                if not pending:
                    return
                done, _ = futures.wait(pending, timeout=2.0, return_when=futures.FIRST_COMPLETED)
                for future in done:
                    result = future.result()
                    on_result(pending.pop(future), result)
                    deaths = 0
            except futures.BrokenExecutor:
                deaths += 1
                again += self._salvage(pending, on_result)
                self.close()
                if deaths >= DEATHS_IN_A_ROW:
                    raise SimulatorError(
                        f"worker processes died {deaths} times in a row while doing {again[0]}; "
                        "often the memory of the machine is too small: try fewer workers"
                    ) from None

    def _fill(self, pending: dict[futures.Future[R], T], again: list[T], waiting: Iterator[T]) -> None:
        if self._pool is None:
            self._pool = _new_pool(self._work, self._workers)
        while len(pending) < self._workers * TASKS_PER_WORKER:
            source = again or list(islice(waiting, 1))
            if not source:
                return
            task = source[0]
            if not again:
                again.append(task)  # stays there until the pool has taken it
            with _without_main():
                pending[self._pool.submit(_do, task)] = task
            again.pop(0)

    def _salvage(self, pending: dict[futures.Future[R], T], on_result: Callable[[T, R], None]) -> list[T]:
        """Hand on what was finished before the pool broke; return the rest."""
        lost = []
        for future, task in pending.items():
            if future.done() and not future.cancelled() and future.exception() is None:
                on_result(task, future.result())
            else:
                lost.append(task)
        pending.clear()
        return lost

    def close(self) -> None:
        """End the workers at once, whatever they are doing."""
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        processes = list((pool._processes or {}).values())
        for process in processes:
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def executor(work: Work[T, R], workers: int) -> Iterator[InProcess[T, R] | ProcessPool[T, R]]:
    """Return the executor for a number of workers; 1 runs in this process."""
    if workers == 1:
        yield InProcess(work)
        return
    pool: ProcessPool[T, R] = ProcessPool(work, workers)
    try:
        yield pool
    finally:
        pool.close()


def default_workers() -> int:
    """Return the number of processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# --- in the worker -----------------------------------------------------------------------------------------------

_work: Callable[[Any], Any] | None = None


def _start_worker(work: Callable[[Any], Any]) -> None:
    """Prepare a worker process: what to do with a task, deaf to Ctrl-C, gone when the parent is gone."""
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _do(task: Any) -> Any:
    assert _work is not None
    return _work(task)


# --- starting workers --------------------------------------------------------------------------------------------

_PRELOADED = ["simulator.experiments.replicate", "simulator.engine", "simulator.scenario.assembly"]


def _new_pool(work: Callable[[Any], Any], workers: int) -> futures.ProcessPoolExecutor:
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if "forkserver" in methods:
        _start_forkserver(context)
    return futures.ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(work,))


def _start_forkserver(context: multiprocessing.context.BaseContext) -> None:
    """Start the process that workers are forked from, with our modules loaded and Ctrl-C blocked.

    The signal mask is inherited, so no worker is hit by Ctrl-C between its birth and its initialiser.
    """
    from multiprocessing import forkserver

    context.set_forkserver_preload(_PRELOADED)
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _without_main():
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)


_main_lock = threading.Lock()


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hide the user's main module while a worker starts.

    A new worker would run the user's script again up to its ``if __name__ == "__main__"``, and without that guard
    the study would start itself without end. Workers need nothing from it.
    """
    with _main_lock:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
