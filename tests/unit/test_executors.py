"""Worker processes: they are told the task functions by module name, so the tests put a module on the path."""

import os
import subprocess
import sys
import time

import pytest

from simulator.errors import InputError, SimulatorError
from simulator.experiments import executors

MODULE = """
import os, signal, stat, struct, time
from pathlib import Path
from simulator.errors import InputError

def square(task):
    return task * task, os.getpid()

def dies_once(task):
    folder, number = task
    mark = Path(folder) / "died"
    if number == 7 and not mark.exists():
        mark.write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return number

def dies_on_13(task):
    if task == 13:
        os._exit(3)

def large_then_dies_mid_message(task):
    folder, number = task
    if number == 3 and not (mark := Path(folder) / "died").exists():
        mark.write_text("")
        # a message is 4 bytes of length and then so many bytes; the pipe of this worker ends after 8 of 1,000
        for descriptor in range(3, 64):
            try:
                if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                    os.write(descriptor, struct.pack("!i", 1000) + b"half")
            except OSError:
                pass
        os._exit(0)
    return number, b"x" * 200_000

def breaks(task):
    return [][task]

def refuses(task):
    raise InputError("bad", file="f.yaml", line=3, key="a.b", found="1", allowed="2")

def deaf(task):
    os.kill(os.getpid(), signal.SIGINT)
    return task

def sleeps(task):
    time.sleep(task)

def compiles(task):
    import numba
    return numba.njit(lambda x: x + task)(1)
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    (tmp_path / "worktasks.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    import worktasks

    yield worktasks
    del sys.modules["worktasks"]


def results(function, tasks, workers):
    collected = {}
    with executors.executor(function, workers) as executor:
        executor.run(tasks, collected.__setitem__)
    return collected


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_is_done_once(work, workers):
    collected = results(work.square, range(30), workers)
    assert {task: value for task, (value, _) in collected.items()} == {task: task * task for task in range(30)}
    in_this_process = {pid for _, pid in collected.values()} == {os.getpid()}
    assert in_this_process == (workers == 1)


def test_a_pool_serves_several_batches_and_reads_tasks_lazily(work):
    taken = []

    def tasks():
        for number in range(100):
            taken.append(number)
            yield number

    done = {}

    def on_result(task, value):
        done[task] = value
        assert len(taken) <= len(done) + 2 * executors.TASKS_PER_WORKER

    with executors.executor(work.square, 2) as executor:
        executor.run(tasks(), on_result)
        executor.run([200], on_result)
    assert sorted(done) == [*range(100), 200]


def test_a_killed_worker_loses_nothing(work, tmp_path):
    collected = results(work.dies_once, [(str(tmp_path), number) for number in range(20)], 2)
    assert sorted(collected.values()) == list(range(20))
    assert (tmp_path / "died").exists()


def test_a_worker_that_dies_in_the_middle_of_its_answer_loses_nothing(work, tmp_path):
    tasks = [(str(tmp_path), number) for number in range(8)]
    collected = results(work.large_then_dies_mid_message, tasks, 2)
    assert sorted(number for number, _ in collected.values()) == list(range(8))
    assert (tmp_path / "died").exists()


def test_faults_of_ours_come_with_the_traceback_of_the_worker(work):
    with pytest.raises(RuntimeError, match="IndexError: list index out of range") as caught:
        results(work.breaks, [5], 2)
    assert "return [][task]" in caught.value.__notes__[0]


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_say_when_they_begin_to_compile_kernels(work, workers):
    told, collected = [], {}
    with executors.executor(work.compiles, workers, lambda: told.append(True)) as executor:
        executor.run(range(5), collected.__setitem__)
    assert collected == {task: task + 1 for task in range(5)}
    assert 1 <= len(told) <= workers
    told.clear()
    with executors.executor(work.square, workers, lambda: told.append(True)) as executor:
        executor.run(range(5), collected.__setitem__)
    assert told == []


def test_gives_up_when_workers_die_without_end(work):
    with pytest.raises(SimulatorError, match="3 worker processes died over the same task, 13"):
        results(work.dies_on_13, range(20), 2)


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_come_back_whole(work, workers):
    with pytest.raises(InputError) as caught:
        results(work.refuses, [1, 2, 3], workers)
    assert str(caught.value) == "f.yaml:3: a.b: bad; found 1; allowed: 2"


def test_workers_are_deaf_to_interrupts(work):
    assert results(work.deaf, [1, 2, 3], 2) == {1: 1, 2: 2, 3: 3}


def test_an_error_ends_busy_workers_at_once(work):
    started = time.monotonic()

    def stop(task, value):
        raise RuntimeError

    with pytest.raises(RuntimeError), executors.executor(work.sleeps, 2) as executor:
        executor.run([0.0, 60.0, 60.0], stop)
    assert time.monotonic() - started < 20.0


def test_a_script_without_main_guard_and_a_killed_parent(work, tmp_path):
    """The script is not run again by its workers, and they go when it is killed."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal, sys\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "import worktasks\n"
        "from simulator.experiments import executors\n"
        "print('started', flush=True)\n"
        "def show(task, result):\n"
        "    print(result[1], flush=True)\n"
        "    if task == 5: os.kill(os.getpid(), signal.SIGKILL)\n"
        "with executors.executor(worktasks.square, 2) as executor:\n"
        "    executor.run(range(6), show)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    lines = done.stdout.split()
    assert lines.count("started") == 1, done.stderr
    workers = {int(pid) for pid in lines[1:]}
    assert workers
    deadline = time.monotonic() + 10.0
    while (alive := {pid for pid in workers if _is_alive(pid)}) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive


def _is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split()[2] != "Z"
    except FileNotFoundError:
        return False
