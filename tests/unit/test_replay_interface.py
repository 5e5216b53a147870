"""The replay as users call it: order, index, kinds of numbers, small schedules by hand, and its errors."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simulator import scheduling
from simulator.errors import InputError
from simulator.scheduling import replay
from simulator.scheduling.backfill import easy_pass

COLUMNS = ["job", "submit_s", "run_s", "processors", "requested_s"]


def jobs(*rows: tuple[Any, ...]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=COLUMNS)


def test_the_package_gives_the_function_not_the_module_of_the_same_name() -> None:
    importlib.import_module("simulator.scheduling.replay")  # importing a module binds its name in the package
    assert scheduling.replay is replay
    assert callable(replay)


def test_result_keeps_order_labels_and_index_of_the_input() -> None:
    table = jobs(("late", 5, 10, 1, 10), ("early", 0, 10, 1, 10)).set_axis([7, 7])
    result = replay(table, 1, "fifo")
    assert result.to_dict("list") == {
        "job": ["late", "early"],
        "submit_s": [5.0, 0.0],
        "start_s": [10.0, 0.0],
        "end_s": [20.0, 10.0],
    }
    assert result.index.tolist() == [7, 7]


def test_equal_submissions_queue_in_row_order() -> None:
    table = jobs(("a", 3, 1, 1, 1), ("b", 3, 1, 1, 1), ("c", 3, 1, 1, 1))
    for policy in ("fifo", "easy", "conservative"):
        assert replay(table, 1, policy)["start_s"].tolist() == [3.0, 4.0, 5.0]


def test_easy_delays_a_later_job_and_conservative_keeps_its_guarantee() -> None:
    # The example of docs/scheduling-semantics.md, 10 processors.
    table = jobs(("a", 0, 10, 6, 10), ("b", 1, 10, 6, 10), ("c", 2, 30, 10, 30), ("d", 3, 40, 4, 40), ("e", 4, 6, 4, 6))
    assert replay(table, 10, "fifo")["start_s"].tolist() == [0, 10, 20, 50, 50]
    assert replay(table, 10, "easy")["start_s"].tolist() == [0, 10, 43, 3, 20]
    assert replay(table, 10, "conservative")["start_s"].tolist() == [0, 10, 20, 50, 4]


def test_extra_counts_every_end_at_the_shadow_instant() -> None:
    # Both running jobs end at 10 and the head needs only one of them, so the nodes of the other are extra.
    started = np.empty(2, dtype=np.int64)
    n_started = easy_pass(
        np.array([5, 1], dtype=np.int64),
        np.array([100.0, 100.0]),
        np.array([4, 4], dtype=np.int64),
        np.array([10.0, 10.0]),
        1,
        0.0,
        started,
    )
    assert (n_started, started[0]) == (1, 1)


def test_a_shrunken_machine_reserves_nothing() -> None:
    # The head wants 8 nodes; only 3 are left in all. Whatever fits may start, however long.
    started = np.empty(3, dtype=np.int64)
    n_started = easy_pass(
        np.array([8, 2, 1], dtype=np.int64),
        np.array([1.0, 1e9, math.inf]),
        np.array([1], dtype=np.int64),
        np.array([5.0]),
        2,
        0.0,
        started,
    )
    assert (n_started, started[0]) == (1, 1)


def test_an_empty_table_and_other_kinds_of_numbers() -> None:
    empty = jobs().astype(dict.fromkeys(COLUMNS[1:], "float64"))
    for policy in ("fifo", "easy", "conservative"):
        assert len(replay(empty, 1, policy)) == 0
    table = jobs(("a", 0, 2, 1, 2)).astype({"run_s": "Int64", "processors": "uint8", "requested_s": "float32"})
    assert replay(table, np.int32(1))["end_s"].tolist() == [2.0]  # type: ignore[arg-type]


def test_inputs_are_not_changed() -> None:
    table = jobs(("a", 5, 2, 1, 2), ("b", 0, 2, 1, 2))
    before = table.copy(deep=True)
    replay(table, 1, "conservative")
    pd.testing.assert_frame_equal(table, before)


GOOD = ("a", 0, 10, 2, 20)
BAD_ROWS: list[tuple[str, tuple[Any, ...], str]] = [
    (
        "easy",
        ("b", 0, 10, 5, 20),
        "jobs.processors: job larger than the machine (row 1, job b); found 5;"
        " allowed: whole numbers from 1 to the machine's 4",
    ),
    (
        "easy",
        ("b", math.nan, 10, 1, 20),
        "jobs.submit_s: missing value (row 1, job b); found nan; allowed: 0 to 1e12 s",
    ),
    ("easy", ("b", None, 10, 1, 20), "jobs.submit_s: missing value (row 1, job b); found nan; allowed: 0 to 1e12 s"),
    ("fifo", ("b", -1, 10, 1, 20), "jobs.submit_s: negative time (row 1, job b); found -1; allowed: 0 to 1e12 s"),
    ("fifo", ("b", 0, -10, 1, 20), "jobs.run_s: negative time (row 1, job b); found -10; allowed: 0 to 1e12 s"),
    (
        "fifo",
        ("b", 0, math.inf, 1, 20),
        "jobs.run_s: time out of range (row 1, job b); found inf; allowed: 0 to 1e12 s",
    ),
    (
        "easy",
        ("b", 0, 10, 1, math.nan),
        "jobs.requested_s: missing value (row 1, job b); found nan; allowed: 0 to 1e12 s, or infinite for no estimate",
    ),
    (
        "easy",
        ("b", 0, 10, 1.5, 20),
        "jobs.processors: not a number of processors (row 1, job b); found 1.5;"
        " allowed: whole numbers from 1 to the machine's 4",
    ),
    (
        "easy",
        ("b", 0, 10, 0, 20),
        "jobs.processors: not a number of processors (row 1, job b); found 0;"
        " allowed: whole numbers from 1 to the machine's 4",
    ),
    ("easy", ("b", 0, "ten", 1, 20), "jobs.run_s: not a number (row 1, job b); found 'ten'; allowed: numbers"),
    (
        "conservative",
        ("b", 0, 10, 1, 9),
        "jobs.requested_s: job runs longer than its estimate (row 1, job b); found 9; allowed: under conservative"
        " backfilling requested_s at least run_s: first cut run_s to requested_s",
    ),
    (
        "conservative",
        ("b", 0, 10, 1, math.inf),
        "jobs.requested_s: no usable estimate (row 1, job b); found inf;"
        " allowed: under conservative backfilling a positive, finite estimate",
    ),
]


@pytest.mark.parametrize(("policy", "row", "message"), BAD_ROWS)
def test_a_bad_value_is_one_clear_line(policy: str, row: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError) as error:
        replay(jobs(GOOD, row), 4, policy)
    assert str(error.value) == message


def test_a_bad_call_is_one_clear_line() -> None:
    calls: list[tuple[Any, Any, Any, str]] = [
        (
            jobs(GOOD),
            4,
            "eazy",
            "policy: unknown scheduling policy; found 'eazy'; allowed: fifo, easy, conservative; did you mean 'easy'?",
        ),
        (
            jobs(GOOD),
            0,
            "easy",
            "processors: the machine needs a whole number of processors; found 0; allowed: 1 or more",
        ),
        (
            jobs(GOOD),
            2.5,
            "easy",
            "processors: the machine needs a whole number of processors; found 2.5; allowed: 1 or more",
        ),
        (
            jobs(GOOD).rename(columns={"requested_s": "request_s"}),
            4,
            "easy",
            "jobs.requested_s: missing column; found job, submit_s, run_s, processors, request_s; allowed: the columns"
            " job, submit_s, run_s, processors, requested_s; did you mean 'request_s'?",
        ),
        (
            [1],
            4,
            "easy",
            "jobs: the jobs are not a DataFrame; found list; allowed: a DataFrame with columns"
            " job, submit_s, run_s, processors, requested_s",
        ),
    ]
    for table, processors, policy, message in calls:
        with pytest.raises(InputError) as error:
            replay(table, processors, policy)
        assert str(error.value) == message
