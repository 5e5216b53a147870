"""Every built-in policy by family and scenario name."""

from __future__ import annotations

from simulator.policies.checkpointing.intervals import Daly, Exact, Fixed, Never, Young
from simulator.policies.health.strikes import Strikes
from simulator.policies.placement.best_fit import BestFit
from simulator.policies.placement.first_fit import FirstFit
from simulator.policies.placement.pack import Pack
from simulator.policies.placement.rail_aligned import RailAligned
from simulator.policies.placement.scale_up_aligned import ScaleUpAligned
from simulator.policies.placement.scattered import Scattered
from simulator.policies.placement.spread import Spread
from simulator.policies.placement.topology import TopologyAware
from simulator.policies.recovery.ladder import GiveUp, ReplaceNodes, ReplaceOrRequeue, ReplaceOrShrink, RequeueJob
from simulator.policies.scheduling.defragment import Defragment
from simulator.policies.scheduling.easy import Easy
from simulator.policies.scheduling.elastic import Elastic
from simulator.policies.scheduling.fifo import Fifo
from simulator.policies.scheduling.no_gang import NoGang
from simulator.policies.scheduling.preemptive import Preemptive
from simulator.policies.scheduling.quota import Quota

_FAMILIES: dict[str, dict[str, type]] = {
    "scheduling": {
        "fifo": Fifo,
        "easy": Easy,
        "preemptive": Preemptive,
        "quota": Quota,
        "elastic": Elastic,
        "no_gang": NoGang,
        "defragment": Defragment,
    },
    "placement": {
        "first_fit": FirstFit,
        "best_fit": BestFit,
        "pack": Pack,
        "spread": Spread,
        "scattered": Scattered,
        "topology_aware": TopologyAware,
        "rail_aligned": RailAligned,
        "scale_up_aligned": ScaleUpAligned,
    },
    "checkpointing": {"fixed": Fixed, "young": Young, "daly": Daly, "exact": Exact, "never": Never},
    "recovery": {
        "replace": ReplaceNodes,
        "requeue": RequeueJob,
        "replace_or_requeue": ReplaceOrRequeue,
        "replace_or_shrink": ReplaceOrShrink,
        "fail": GiveUp,
    },
    "health": {"strikes": Strikes},
}


def families() -> dict[str, dict[str, type]]:
    """Return family -> name -> policy class; each class is a frozen dataclass whose fields are its scenario keys."""
    return {family: dict(members) for family, members in _FAMILIES.items()}
