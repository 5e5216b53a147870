"""Quotas against a slow program written from the definition."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.scheduling.quotas import within_quota


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), max_size=20),
    st.lists(st.integers(0, 20), min_size=3, max_size=3),
    st.lists(st.integers(0, 30), min_size=3, max_size=3),
)
def test_within_quota(jobs: list[tuple[int, int]], used: list[int], quota: list[int]) -> None:
    inside: list[bool] = []
    for i, (account, gpus) in enumerate(jobs):
        before = sum(g for (a, g), is_inside in zip(jobs[:i], inside, strict=True) if is_inside and a == account)
        inside.append(used[account] + before + gpus <= quota[account])
    accounts = np.array([account for account, _ in jobs], dtype=np.int64)
    sizes = np.array([gpus for _, gpus in jobs], dtype=np.int64)
    found = within_quota(accounts, sizes, np.array(used, dtype=float), np.array(quota, dtype=float))
    assert found.tolist() == inside
