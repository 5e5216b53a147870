"""Runs tasks in this process or in a pool of worker processes, and survives the death of a worker.

Rules of the pool: a short window of tasks per worker, each result handed on as soon as it is there; a dead worker is
replaced and what it had not finished is done again; workers never outlive their parent, ignore Ctrl-C (the parent
decides) and share nothing. Which worker does a task never changes its result.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import multiprocessing.process
import os
import signal
import sys
import threading
import traceback
import types
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from multiprocessing.reduction import ForkingPickler
from typing import Any, Generic, Literal, Protocol, TypeVar

from simulator import compiled
from simulator.errors import SimulatorError

TASKS_PER_WORKER = 2
"""Tasks a worker has at once: the one it does and the next, so that it never waits for the parent."""

DEATHS_OVER_ONE_TASK = 3
"""Workers that may die over the same task before the study gives up."""

Answer = Literal["done", "failed", "compiling"]
"""What a worker says: the result of a task, its error, or that it begins to compile kernels."""

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

    def __init__(self, work: Work[T, R], on_compiling: Callable[[], None]) -> None:
        self._work = work
        self._on_compiling = on_compiling

    def run(self, tasks: Iterable[T], on_result: Callable[[T, R], None]) -> None:
        """Do all tasks in order."""
        with compiled.told(self._on_compiling):
            for task in tasks:
                on_result(task, self._work(task))


class ProcessPool(Generic[T, R]):
    """Does the tasks in worker processes, started when they are first needed.

    Parameters
    ----------
    work : picklable function of a task
        Sent to each worker once.
    workers : int
        Number of processes.
    on_compiling : function
        Called when a worker begins to compile kernels.

    Notes
    -----
    Each worker has a pipe of its own. A worker that dies in the middle of a message then ends that pipe, and nothing
    else; in the pool of the standard library, whose workers share one, the parent waits for the rest without end.
    """

    def __init__(self, work: Work[T, R], workers: int, on_compiling: Callable[[], None]) -> None:
        self._work = work
        self._on_compiling = on_compiling
        self._number = workers
        self._workers: list[_Worker[T]] = []

    def run(self, tasks: Iterable[T], on_result: Callable[[T, R], None]) -> None:
        """Do all tasks; the order of ``on_result`` calls is the order of completion.

        Raises
        ------
        SimulatorError
            When worker processes die again and again over the same task.
        """
        again: deque[T] = deque()
        waiting = _Source(again, iter(tasks))
        deaths: Counter[T] = Counter()
        while True:
            self._hire()
            self._feed(waiting)
            busy = {worker.connection: worker for worker in self._workers if worker.tasks}
            if not busy:
                return
            for connection in multiprocessing.connection.wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]  # wait returns what it was given
                try:
                    answer, value = worker.connection.recv()
                except (EOFError, OSError):
                    self._bury(worker, again, deaths)
                    continue
                if answer == "failed":
                    raise value
                if answer == "compiling":
                    self._on_compiling()
                    continue
                on_result(worker.tasks.popleft(), value)

    def _hire(self) -> None:
        """Start workers until the pool is full."""
        while len(self._workers) < self._number:
            self._workers.append(_start_worker(self._work))

    def _feed(self, waiting: Iterator[T]) -> None:
        """Give each worker its window of tasks, one to each before a second to any."""
        for depth in range(TASKS_PER_WORKER):
            for worker in self._workers:
                if len(worker.tasks) > depth:
                    continue
                for task in islice(waiting, 1):
                    worker.tasks.append(task)
                    # A worker that is already dead is noticed when its answer is read.
                    with contextlib.suppress(OSError):
                        worker.connection.send(task)

    def _bury(self, worker: _Worker[T], again: deque[T], deaths: Counter[T]) -> None:
        """Take a dead worker out; its tasks are done again."""
        culprit = worker.tasks[0]
        deaths[culprit] += 1
        again.extend(worker.tasks)
        self._workers.remove(worker)
        worker.end()
        if deaths[culprit] >= DEATHS_OVER_ONE_TASK:
            raise SimulatorError(
                f"{DEATHS_OVER_ONE_TASK} worker processes died over the same task, {culprit}; "
                "often the memory of the machine is too small: try fewer workers"
            )

    def close(self) -> None:
        """End the workers at once, whatever they are doing."""
        while self._workers:
            self._workers.pop().end()


class _Source(Iterator[T]):
    """Gives what has to be done again before anything new."""

    def __init__(self, again: deque[T], tasks: Iterator[T]) -> None:
        self._again = again
        self._tasks = tasks

    def __next__(self) -> T:
        return self._again.popleft() if self._again else next(self._tasks)


@dataclass
class _Worker(Generic[T]):
    """A worker process, the pipe to it, and the tasks it was given and has not answered, in order."""

    process: multiprocessing.process.BaseProcess
    connection: multiprocessing.connection.Connection[Any, Any]
    tasks: deque[T]

    def end(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.join()
        self.process.close()
        self.connection.close()


@contextlib.contextmanager
def executor(
    work: Work[T, R], workers: int, on_compiling: Callable[[], None] = lambda: None
) -> Iterator[InProcess[T, R] | ProcessPool[T, R]]:
    """Return the executor for a number of workers; 1 runs in this process."""
    if workers == 1:
        yield InProcess(work, on_compiling)
        return
    pool: ProcessPool[T, R] = ProcessPool(work, workers, on_compiling)
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


def _serve(work: Work[Any, Any], connection: multiprocessing.connection.Connection[Any, Any]) -> None:
    """Answer tasks until the parent is gone; deaf to Ctrl-C, because the parent decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    with compiled.told(lambda: connection.send_bytes(_packed("compiling", None))):
        while True:
            try:
                task = connection.recv()
            except EOFError:
                return
            connection.send_bytes(_answer(work, task))


def _answer(work: Work[Any, Any], task: Any) -> bytes:
    """Return the result or error of a task, pickled."""
    try:
        return _packed("done", work(task))
    except SimulatorError as error:
        return _packed("failed", error)
    except Exception as error:  # a fault of ours: told to the parent with its traceback
        text = traceback.format_exc()
        failure = RuntimeError(f"{type(error).__name__}: {error}")
        failure.add_note(f"in a worker process, doing {task}:\n{text}")
        return _packed("failed", failure)


def _packed(answer: Answer, value: Any) -> bytes:
    return bytes(ForkingPickler.dumps((answer, value)))


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


# --- starting workers --------------------------------------------------------------------------------------------

_PRELOADED = ["simulator.experiments.replicate", "simulator.engine", "simulator.scenario.assembly"]


def _start_worker(work: Work[T, Any]) -> _Worker[T]:
    methods = multiprocessing.get_all_start_methods()
    # Forked from a clean process that has our modules loaded: a quick start, and no threads or locks of the parent.
    context: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    with _without_main(), _interrupts_blocked():
        if "forkserver" in methods:
            context.set_forkserver_preload(_PRELOADED)
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(work, theirs), daemon=True)
        process.start()
    # MUST HOLD: only the worker has its end of the pipe, so that the pipe ends with it.
    theirs.close()
    return _Worker(process, ours, deque())


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block Ctrl-C while a worker starts.

    The mask is inherited by the process that workers are forked from and so by them: none is hit between its birth
    and its first own line. Here an interrupt is delivered at the end of the block.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
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
