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


def slurm_word(text: str, key: str) -> str:
    """Return Slurm's word in a state such as ``CANCELLED by 1001`` or, cut to the width of a column, ``OUT_OF_ME+``.

    Raises
    ------
    RowError
        There is no such word, or a cut one begins several.
    """
    shown_word = text.split()[0] if text.split() else ""
    word = shown_word.rstrip("+")
    if word in SLURM_STATES:
        return word
    allowed = "COMPLETED, FAILED, CANCELLED, … (see docs/traces.md)"
    starts = [known for known in SLURM_STATES if known.startswith(word)] if word and shown_word.endswith("+") else []
    if len(starts) == 1:
        return starts[0]
    if starts:
        raise RowError(key, "state cut too short", shown(text), f"one word: {' or '.join(starts)}")
    near = get_close_matches(word, SLURM_STATES, 1)
    raise RowError(key, "unknown state", shown(text), f"{allowed}; did you mean {near[0]}?" if near else allowed)


def slurm_state(text: str, key: str) -> str | None:
    """Return the state of a job by Slurm's words; raises RowError as `slurm_word` does."""
    return SLURM_STATES[slurm_word(text, key)]
