"""The ledger against a slow twin that walks every GPU's history; what it refuses; what it books."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.accounting.columns import BUCKETS
from simulator.accounting.ledger import Ledger
from simulator.errors import InvariantError

STATES = ("idle", "restarting", "down", "spare")
MOVES = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 3), st.sampled_from(STATES), st.sampled_from(STATES)), max_size=20
)


@given(MOVES)
def test_ledger_is_the_sum_over_gpus_of_their_histories(moves: list[tuple[int, int, str, str]]) -> None:
    ledger = Ledger({"idle": 6})
    history = [[(0, "idle")] for _ in range(6)]
    for time_s, gpus, source, target in sorted(moves, key=lambda move: move[0]):
        mine = [gpu for gpu in history if gpu[-1][1] == source][:gpus]
        if len(mine) == gpus:
            ledger.move(gpus, source, target, time_s)
            for gpu in mine:
                gpu.append((time_s, target))
    expected: dict[str, float] = defaultdict(float)
    for gpu in history:
        for (start, state), (end, _) in zip(gpu, [*gpu[1:], (60, "")], strict=True):
            expected[state] += end - start
    assert ledger.close(60.0) == {bucket: expected[bucket] for bucket in BUCKETS}


def test_a_state_cannot_hold_fewer_than_no_gpus() -> None:
    with pytest.raises(InvariantError, match="idle would hold -1 GPUs"):
        Ledger({"idle": 2}).move(3, "idle", "down", 1.0)


def test_running_time_that_nobody_booked_is_found() -> None:
    ledger = Ledger({"idle": 2})
    ledger.move(2, "idle", "running", 1.0)
    with pytest.raises(InvariantError, match=r"sums to 2\.0 GPU-s instead of 20"):
        ledger.close(10.0)


def test_booking_moves_time_between_buckets() -> None:
    ledger = Ledger({"idle": 2})
    ledger.book(4.0, "idle", "lost_work")
    buckets = ledger.close(10.0)
    assert (buckets["idle"], buckets["lost_work"]) == (16.0, 4.0)
