"""Numbers as people read them: shown units, digits that follow the interval, durations, safe labels."""

from __future__ import annotations

import math
import unicodedata

from simulator import units
from simulator.accounting.columns import METRICS, Metric

MISSING = "–"
"""Shown where a number does not exist."""

FEW = 5
"""Below so many replications each is shown for itself: bars and shares would look like a distribution."""

_ROUNDING = 1e-9
"""Relative size below which a spread is rounding of floating-point sums."""

_MOST_DECIMALS = 7

_CONTROLS = {"Cc", "Cf", "Cs", "Co", "Cn"}

_BY_NAME: dict[str, Metric] = {metric.name: metric for metric in METRICS}

_TITLES: dict[str, str] = {
    "ettr": "ETTR",
    "slow_step_loss": "Loss by slow steps",
    "goodput": "Goodput",
    "utilisation": "Utilisation",
    "availability": "Availability",
    "interruptions": "Interruptions",
    "mtti_s": "Mean time to interruption",
    "lost_work_gpu_s": "Lost work",
    "mfu": "MFU",
    "step_slowdown": "Step slowdown",
    "network_stall_s": "Standstill for the network",
    "network_timeouts": "Network timeouts",
    "checkpoint_write_s": "Checkpoint write",
    "wait_for_nodes_s": "Wait for nodes",
    "wait_mean_s": "Mean queue wait",
    "wait_mean_lower_bound_s": "Mean queue wait, at least",
    "wait_p95_s": "Queue wait, 95th percentile",
    "wait_p95_lower_bound_s": "Queue wait, 95th percentile, at least",
    "jobs_waiting": "Jobs waiting at the end",
    "bounded_slowdown_mean": "Mean bounded slowdown",
    "bounded_slowdown_mean_lower_bound": "Mean bounded slowdown, at least",
    "makespan_s": "Makespan",
    "jobs_rejected": "Jobs rejected",
    "preemptions": "Preemptions",
    "second_order_preemptions": "Second-order preemptions",
    "second_order_lost_gpu_s": "Work lost to second-order preemptions",
    "requeues": "Requeues",
    "queue_gpus_mean": "Mean GPUs waited for",
    "fragmentation_mean": "Mean fragmentation of free GPUs",
    "fairness": "Fairness between users",
    "gang_deadlocks": "Deadlocks",
    "gang_deadlock_s": "Time in deadlock",
    "quarantines": "Nodes quarantined",
    "energy_j": "Energy of nodes",
    "jobs_completed": "Jobs completed",
    "detection_latency_mean_s": "Mean detection latency",
    "nodes_out_mean": "Mean nodes out of service",
    "spares_used_p99": "Replacements in use, 99th percentile",
    "uneven_placements": "Uneven placements",
    "cost_usd": "Cost",
    "cost_per_productive_gpu_s_usd": "Cost of productive time",
}


def metric_named(name: str) -> Metric:
    """Return the metric of that name; one that the data dictionary lacks has no unit, no direction and no bounds."""
    return _BY_NAME.get(name, Metric(name, "", name, "none", "", -math.inf))


def metric_title(name: str) -> str:
    """Return the name of a metric as it stands in headings, without unit."""
    return _TITLES.get(name, plain(name).replace("_", " "))


def metric_heading(name: str) -> str:
    """Return the title of a metric with its shown unit, as on an axis."""
    unit = metric_named(name).shown_unit
    return f"{metric_title(name)} ({unit})" if unit else metric_title(name)


def shown_factor(name: str) -> float:
    """Return the factor from the SI unit of a metric to the unit in which people read it."""
    metric = metric_named(name)
    return 1.0 if metric.unit == metric.shown_unit else units.in_unit(1.0, metric.shown_unit)


def number(value: float, digits: int = 4) -> str:
    """Return a number with that many significant digits, no exponent below 1e15, thousands parted by commas."""
    if not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if not -5 <= magnitude < 15:
        return f"{value:.{digits - 1}e}"
    # Rounding may carry into a new digit (9.9996 -> 10.00), which costs one decimal.
    magnitude = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    return fixed(value, max(0, digits - 1 - magnitude))


def fixed(value: float, decimals: int) -> str:
    """Return a number with that many decimals, never "-0"; with an exponent where that takes more than seven."""
    if not math.isfinite(value):
        return MISSING
    if decimals > _MOST_DECIMALS and value != 0:
        return f"{value:.1e}".replace("-", "−")
    text = f"{value:,.{decimals}f}"
    return text.lstrip("-") if not text.strip("-0.,") else text.replace("-", "−")


def decimals_for(half_width: float, value: float = math.nan) -> int:
    """Return how many decimals the half-width of an interval leaves meaningful: two of its own digits.

    A half-width that is rounding noise of the value counts as none; then the value keeps four significant digits.
    """
    noise = _ROUNDING * abs(value) if math.isfinite(value) else 0.0
    if math.isfinite(half_width) and half_width > noise:
        return min(12, max(0, 1 - math.floor(math.log10(half_width))))
    if not math.isfinite(value) or abs(value - round(value)) <= noise:
        return 0
    return min(12, max(0, 3 - math.floor(math.log10(abs(value)))))


def plus_minus(mean: float, low: float, high: float, decimals: int | None = None) -> str:
    """Return "mean ± half-width", digits chosen by the half-width; only the mean where there is no interval.

    "mean (low–high)" where the interval ends at a bound of the metric and so is no longer even.
    """
    half = (high - low) / 2
    decimals = decimals_for(half, mean) if decimals is None else decimals
    if not math.isfinite(mean):
        return MISSING
    if not math.isfinite(half):
        return fixed(mean, decimals)
    if abs(low + high - 2 * mean) > _ROUNDING * (abs(mean) + half):
        return f"{fixed(mean, decimals)} ({fixed(low, decimals)}\N{EN DASH}{fixed(high, decimals)})"
    return f"{fixed(mean, decimals)} ± {fixed(half, decimals)}"


def span(low: float, high: float, decimals: int, signed: bool = False) -> str:
    """Return "low to high" with equal decimals; a dash marks a missing interval."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return MISSING
    show = signed_fixed if signed else fixed
    return f"{show(low, decimals)} to {show(high, decimals)}"


def signed_fixed(value: float, decimals: int) -> str:
    """Return a number that always shows its sign, except for zero."""
    text = fixed(value, decimals)
    return f"+{text}" if value > 0 and text.strip("0.,") else text


def percent(share: float, decimals: int = 0) -> str:
    """Return a fraction as a percentage; a share between 0 and 1 is never rounded to 0 % or 100 %."""
    if not math.isfinite(share):
        return MISSING
    step = 10.0**-decimals
    if 0 < share * 100 < step:
        return f"<\N{NO-BREAK SPACE}{fixed(step, decimals)}\N{NO-BREAK SPACE}%"
    if 100 - step < share * 100 < 100:
        return f">\N{NO-BREAK SPACE}{fixed(100 - step, decimals)}\N{NO-BREAK SPACE}%"
    return f"{fixed(share * 100, decimals)}\N{NO-BREAK SPACE}%"


def duration(seconds: float, digits: int = 3) -> str:
    """Return a duration in its most readable unit ("4.2 min", "18.7 h", "54 days")."""
    if not math.isfinite(seconds):
        return MISSING
    amount, unit = units.show(seconds, "s").split(" ")
    return f"{compact(float(amount), digits)} {unit}"


def compact(value: float, digits: int = 3) -> str:
    """Return a number with at most that many significant digits and no trailing zeros."""
    text = number(value, digits)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def plain(text: object) -> str:
    """Return text on one line without control characters, so that a name cannot steer a terminal or a font."""
    cleaned = "".join(
        " " if unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Co", "Cn"} else letter for letter in str(text)
    )
    return " ".join(cleaned.split())


def shortened(text: str, width: int) -> str:
    """Return the text, cut in its middle with an ellipsis where it is longer than ``width`` letters."""
    if len(text) <= width:
        return text
    head = (width - 1 + 1) // 2
    return text[:head] + "…" + text[len(text) - (width - 1 - head) :]


def wrapped(name: str, width: int = 18, lines: int = 2) -> str:
    """Return a name broken into at most ``lines`` lines at underscores, hyphens or spaces, for axes."""
    rows = [""]
    for piece in _pieces(shortened(plain(name), width * lines)):
        if rows[-1] and len(rows[-1]) + len(piece.rstrip()) > width:
            rows.append("")
        rows[-1] += piece
    if len(rows) > lines or max(map(len, rows)) > width:
        flat = shortened(plain(name), width * lines)
        rows = [flat[at : at + width] for at in range(0, len(flat), width)]
    return "\n".join(row.strip() for row in rows)


def _pieces(name: str) -> list[str]:
    pieces = [""]
    for letter in name:
        pieces[-1] += letter
        if letter in "_- /,.":
            pieces.append("")
    return pieces
