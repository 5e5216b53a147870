"""Measured tables of collectives and the machines they were measured on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from tables import published

from simulator.network.placed import collective_times
from simulator.network.topologies import Ports, ScaleUp, clos
from simulator.network.transport import Transport


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
