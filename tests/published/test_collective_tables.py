"""Collectives against measured tables; constants fitted to half of the rows of some, judged on all."""

from __future__ import annotations

import numpy as np
import pytest
from measured_collectives import MEASURED, c06, c06_switch_bytes, c08, named_transport

MIB = 2.0**20
CASES = [(name, bench) for name, benches in MEASURED.items() for bench in benches]


@pytest.mark.parametrize(("name", "bench"), CASES, ids=[bench.table for _, bench in CASES])
def test_times_of_all_reduce_by_size(name, bench):
    sizes, seconds = bench.rows()
    error = np.abs(bench.modelled(named_transport(name), sizes).time_s / seconds - 1.0)
    judged = np.arange(len(sizes)) % 2 != bench.fitted
    assert np.median(error[(sizes >= MIB) & judged]) <= 0.15
    assert (error[sizes >= 64 * MIB] <= 0.10).all()
    if "azure" not in bench.table:  # that machine starts a collective in 26 us, the fitted one in 16
        assert (error[sizes <= 65536] <= 0.30).all()


@pytest.mark.parametrize("rate", [*c06(), *c08()], ids=lambda rate: rate.label)
def test_bandwidths_of_in_network_reduction_of_rings_and_of_all_to_all(rate):
    assert rate.modelled_gbps == pytest.approx(rate.measured_gbps, rel=0.10)


def test_c06_rings_give_way_to_in_network_reduction_within_a_doubling_of_2_mib():
    assert 1 * MIB <= c06_switch_bytes() <= 4 * MIB
