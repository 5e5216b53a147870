"""How jobs end: the closed set of the job table, and how the states of Slurm map to it."""

from __future__ import annotations

from difflib import get_close_matches

from simulator.workload.traces.values import RowError, shown

STATES = ("completed", "failed", "cancelled")
"""States of the job table; a job that had not ended when its log was taken has none."""

_COMPLETED = ("COMPLETED",)
_FAILED = (
    "FAILED",
    "TIMEOUT",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "BOOT_FAIL",
    "DEADLINE",
    "LAUNCH_FAILED",
    "RECONFIG_FAIL",
)
_CANCELLED = ("CANCELLED", "PREEMPTED", "REVOKED")
_NOT_ENDED = (
    "PENDING",
    "CONFIGURING",
    "RUNNING",
    "COMPLETING",
    "SUSPENDED",
    "STOPPED",
    "SIGNALING",
    "STAGE_OUT",
    "RESIZING",
    "REQUEUED",
    "REQUEUE_FED",
    "REQUEUE_HOLD",
    "RESV_DEL_HOLD",
    "SPECIAL_EXIT",
)

SLURM_STATES: dict[str, str | None] = {
    **dict.fromkeys(_COMPLETED, "completed"),
    **dict.fromkeys(_FAILED, "failed"),
    **dict.fromkeys(_CANCELLED, "cancelled"),
    **dict.fromkeys(_NOT_ENDED),
}
"""State of a job by Slurm's word (sacct(1), "JOB STATE CODES"); Helios and Acme use the same words."""


def slurm_state(text: str, key: str) -> str | None:
    """Return the state of a job by Slurm's words, such as ``CANCELLED by 1001``; raises RowError."""
    word = text.split()[0].rstrip("+") if text.split() else ""
    if word not in SLURM_STATES:
        allowed = "COMPLETED, FAILED, CANCELLED, … (see docs/traces.md)"
        near = get_close_matches(word, SLURM_STATES, 1)
        raise RowError(key, "unknown state", shown(text), f"{allowed}; did you mean {near[0]}?" if near else allowed)
    return SLURM_STATES[word]
