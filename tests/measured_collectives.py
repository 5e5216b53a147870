"""Measured tables of collectives and the machines they were measured on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from tables import published

from simulator.network.collectives import Op
from simulator.network.placed import CollectiveTimes, collective_times
from simulator.network.topologies import Ports, ScaleUp, clos
from simulator.network.transport import Transport
from simulator.scenario.fabrics import transport_of
from simulator.scenario.schema_fabric import TransportSection


@dataclass(frozen=True)
class Bench:
    """A measured table and the machine it was measured on."""

    table: str
    ranks: int
    domain: int
    scale_up: float
    nic: float
    time: str = "time_us_in_place"
    busbw: str | None = None
    fitted: int = 0  # whether even (0) or odd (1) rows are fitted

    def rows(self) -> tuple[Any, Any]:
        table = published(self.table)
        size = np.array([float(row["bytes"]) for row in table])
        if self.busbw is not None:
            factor = 2.0 * (self.ranks - 1) / self.ranks
            return size, np.array([b * factor / (float(r[self.busbw]) * 1e9) for b, r in zip(size, table, strict=True)])
        return size, np.array([float(row[self.time]) * 1e-6 for row in table])

    def modelled(self, transport: Transport, sizes: Any, algorithm: str = "auto") -> Any:
        ports = Ports(self.nic, 0.0, min(self.domain, 8), ScaleUp(self.domain, self.scale_up))
        fabric = clos(max(self.ranks, 2 * self.domain), 2 * self.domain, ports)
        return collective_times(fabric, np.arange(self.ranks), "all_reduce", sizes, algorithm, transport=transport)


MEASURED: dict[str, list[Bench]] = {
    "nccl_hopper_nvswitch": [
        Bench("c01_nccl_allreduce_8xH100_1node", 8, 8, 450e9, 50e9),
        Bench("nccl_allreduce_8xH100_azure", 8, 8, 450e9, 50e9, busbw="busbw_GBps", fitted=-1),
    ],
    "nccl_a100_efa": [Bench("c02_nccl_allreduce_2xp4de_A100", 16, 8, 300e9, 6.25e9, fitted=1)],
    "nccl_b200_nvswitch": [Bench("c04_allreduce_8xB200_1node", 8, 8, 900e9, 50e9, time="time_us")],
    "nccl_gb200_nvl72": [
        Bench("nccl_allreduce_72xGB200", 72, 72, 900e9, 50e9),
        Bench("nccl_allreduce_144xGB200", 144, 72, 900e9, 50e9),
    ],
}
"""Tables by the preset whose constants are fitted to half of their rows; ``fitted=-1``: to none of them."""


# --- bandwidths of one size: c06 and c08 -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Rate:
    """A measured bandwidth and the collective that the model puts beside it.

    Parameters
    ----------
    label : str
        The row.
    measured_gbps, modelled_gbps : float
        GB/s.
    fitted : bool
        Whether a constant of the preset comes from this row.
    how : str
        Algorithm and protocol of the model.
    """

    label: str
    measured_gbps: float
    modelled_gbps: float
    fitted: bool
    how: str


C06_NOTES: list[tuple[str, Op, str, float]] = [
    ("all-reduce, NVLS", "all_reduce", "auto", 480.0),
    ("all-reduce, ring", "all_reduce", "ring", 367.2),
    ("all-gather", "all_gather", "auto", 361.4),
    ("reduce-scatter", "reduce_scatter", "auto", 362.9),
    ("copy of a pair, one way", "send_recv", "auto", 396.4),
]
"""Bandwidths in the head of table c06, GB/s: 16 GiB on 8 H200, a pair for the copy."""


def named_transport(name: str) -> Transport:
    return transport_of(TransportSection.model_validate(name))


def hopper(ranks: int, op: Op, sizes: Any, algorithm: str = "auto") -> CollectiveTimes:
    fabric = clos(8, 8, Ports(50e9, 0.0, 8, ScaleUp(8, 450e9)))
    transport = named_transport("nccl_hopper_nvswitch")
    return collective_times(fabric, np.arange(ranks), op, sizes, algorithm, transport=transport)


def _rate(label: str, measured_gbps: float, times: CollectiveTimes, bandwidth: Any, fitted: bool = False) -> Rate:
    return Rate(label, measured_gbps, bandwidth[0] / 1e9, fitted, f"{times.algorithm[0]}, {times.protocol[0]}")


def c06() -> list[Rate]:
    """Return the bus bandwidth of an 8 GiB all-reduce, as NCCL picks and with NVLS switched off."""
    found = []
    for r in published("c06_nvls_vs_ring_h200"):
        ranks = int(r["gpus"])
        picked, off = (hopper(ranks, "all_reduce", [8.0 * 2**30], algorithm) for algorithm in ("auto", "ring"))
        found.append(_rate(f"{ranks} GPUs, {r['algorithm_picked']}", float(r["busbw_GBps"]), picked, picked.busbw))
        label, measured = f"{ranks} GPUs, NVLS off", float(r["busbw_nvls_off_GBps"])
        found.append(_rate(label, measured, off, off.busbw, ranks == 8))
    return found


def c06_notes() -> list[Rate]:
    found = []
    for label, op, algorithm, measured in C06_NOTES:
        times = hopper(2 if op == "send_recv" else 8, op, [16.0 * 2**30], algorithm)
        found.append(_rate(label, measured, times, times.busbw))
    return found


def c06_switch_bytes() -> float:
    """Return the size from which the model prefers NVLS on 8 GPUs, to a hundredth of a doubling."""
    sizes = 2.0 ** np.arange(16.0, 34.0, 0.01)
    protocols = hopper(8, "all_reduce", sizes).protocol
    assert sorted(protocols, key=lambda name: name == "NVLS") == protocols  # once NVLS, always NVLS
    return float(sizes[protocols.index("NVLS")])


def c08() -> list[Rate]:
    """Return the bandwidth of the all-to-all of experts (message bytes over time), large messages."""
    found = []
    for r in published("c08_moe_alltoall_deepep"):
        per_node, nodes = (int(k) for k in [*r["topology"].split()[1].split("x"), "1"][:2])
        ranks, up = per_node * nodes, 900e9 if r["arch"] == "SM100" else 450e9
        fabric = clos(ranks, 8 * nodes, Ports(50e9, 0.0, 8, ScaleUp(8, up)))
        transport = named_transport("deepep")
        times = collective_times(fabric, np.arange(ranks), "all_to_all", [2.0**34], transport=transport)
        for way in ("dispatch", "combine"):
            label = f"{r['arch']}, {r['topology']}, {way}"
            found.append(_rate(label, float(r[f"{way}_GBps"]), times, times.algbw, fitted=True))
    return found
