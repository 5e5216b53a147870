"""From the state at the end of a run to its tables and metrics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulator.accounting.columns import BUCKETS
from simulator.accounting.groups import by_account, by_size
from simulator.accounting.ledger import RUNNING, STATES
from simulator.accounting.metrics import summarise, weighted_quantile
from simulator.accounting.outcome import Outcome
from simulator.engine.incidents import Incident
from simulator.engine.job_rows import OUTCOMES
from simulator.engine.sampling import QUEUE_COLUMNS
from simulator.network.parts import loads_by_tier

if TYPE_CHECKING:
    from simulator.engine.simulation import Simulation

Columns = dict[str, NDArray[Any]]
PHASES = (
    "detect",
    "wait_for_nodes",
    "tear_down",
    "reallocate",
    "image",
    "dependencies",
    "init",
    "load",
    "warm_up",
)


def outcome_of(simulation: Simulation) -> Outcome:
    """Return tables and metrics of a simulation that has reached its end."""
    end_s = simulation.now
    ledger = simulation.fleet.ledger.close(end_s)
    jobs = _jobs(simulation, end_s)
    incidents = _incidents(simulation, end_s)
    occupancy = _occupancy(simulation)
    tables = {
        "ledger": {
            "bucket": np.array(BUCKETS, dtype=object),
            "gpu_s": np.array([ledger[b] for b in BUCKETS]),
        },
        "jobs": jobs,
        "incidents": incidents,
        "series": _series(simulation),
        "queue": _queue(simulation),
        "classes": by_size(jobs, end_s),
        "accounts": by_account(jobs, end_s),
        "spans": simulation.spans.table(end_s),
        "phases": _phases(simulation),
        "occupancy": occupancy,
        "steps": _steps(simulation),
        "links": _links(simulation, end_s),
    }
    price = simulation.world.price_usd_per_gpu_s
    gpu_s = simulation.world.machine.gpus * end_s
    summary = summarise(jobs, incidents, ledger, math.nan if price is None else price * gpu_s, end_s)
    moves, fleet = simulation.moves, simulation.fleet
    summary["second_order_preemptions"] = float(moves.second_order)
    summary["second_order_lost_gpu_s"] = moves.second_order_gpu_s
    summary["gang_deadlocks"] = float(simulation.standstill.deadlocks)
    summary["gang_deadlock_s"] = simulation.standstill.deadlock_s
    summary["quarantines"] = float(simulation.incidents.quarantines)
    summary["uneven_placements"] = float(simulation.dispatcher.uneven_placements)
    summary["queue_gpus_mean"] = simulation.dispatcher.wanted_gpu_s / end_s if end_s > 0 else math.nan
    summary["fragmentation_mean"] = fleet.partly_free_gpu_s / fleet.free_gpu_s if fleet.free_gpu_s > 0 else math.nan
    power = simulation.world.power
    summary["energy_j"] = math.nan if power is None else power.energy_j(ledger)
    summary["wait_for_nodes_s"] = simulation.jobs.books.phase_s.get("wait_for_nodes", 0.0)
    summary["nodes_out_mean"] = _mean_level(occupancy, "nodes_out")
    summary["spares_used_p99"] = _quantile_level(occupancy, "replacements", 0.99)
    return Outcome(summary, tables)


def _jobs(simulation: Simulation, end_s: float) -> Columns:
    table, rows, known = simulation.world.jobs, simulation.rows, simulation.known
    n = len(table)
    reason = np.full(n, "", dtype=object)
    for job, why in rows.reason.items():
        reason[job] = why
    with np.errstate(invalid="ignore", divide="ignore"):
        kept_gpu_s = rows.productive_gpu_s + rows.degraded_gpu_s
        ettr = np.where(rows.wall_gpu_s > 0, np.minimum(kept_gpu_s / rows.wall_gpu_s, 1.0), math.nan)
    arrived = table.submit_s < end_s if simulation.world.horizon_s is not None else np.ones(n, dtype=bool)
    columns = {
        "job": table.job,
        "user": table.user,
        "account": np.array(known.accounts, dtype=object)[known.account] if n else table.account,
        "partition": table.partition,
        "gpus": table.gpus,
        "nodes": np.where(rows.nodes >= 0, rows.nodes, table.nodes),
        "requested_nodes": table.nodes,
        "priority": table.priority,
        "submit_s": table.submit_s,
        "requested_s": table.requested_s,
        "state": np.array(OUTCOMES, dtype=object)[rows.outcome],
        "reason": reason,
        "ending": table.ending,
        "wait_s": rows.start_s - table.submit_s,
        "start_s": rows.start_s,
        "last_start_s": simulation.dispatcher.started_s,
        "end_s": rows.end_s,
        "ettr": ettr,
        "work_s": table.work_s,
        "productive_s": rows.productive_s,
        "productive_gpu_s": rows.productive_gpu_s,
        "degraded_gpu_s": rows.degraded_gpu_s,
        "wall_gpu_s": rows.wall_gpu_s,
        "lost_work_gpu_s": rows.lost_gpu_s,
        **{name: column.astype(np.int64) for name, column in rows.counts.items()},
        **_of_steps(simulation),
    }
    return {name: column[arrived] for name, column in columns.items()}


def _of_steps(simulation: Simulation) -> Columns:
    """Return the columns of the jobs that use the fabric or the storage."""
    n, jobs = len(simulation.world.jobs), simulation.world.jobs
    names = ("step_s", "step_slowdown", "mfu", "checkpoint_write_s", "network_stall_s")
    columns: Columns = {name: np.full(n, math.nan) for name in names}
    columns["network_timeouts"] = np.zeros(n, dtype=np.int64)
    for job, record in simulation.interconnect.records.items():
        nominal_s = sum(record.nominal_s.values())
        columns["network_stall_s"][job] = record.stood_still_s
        columns["network_timeouts"][job] = record.timeouts
        if record.writes > 0:
            columns["checkpoint_write_s"][job] = record.written_s / record.writes
        if record.steps > 0:
            # Steps per second are what adds up in time, so the mean is harmonic.
            columns["step_s"][job] = record.stepped_s / record.steps
            columns["step_slowdown"][job] = columns["step_s"][job] / nominal_s
            step = simulation.world.profiles[int(jobs.profile[job])].step
            assert step is not None
            columns["mfu"][job] = (
                step.nominal_mfu * nominal_s * record.steps / (record.stepped_s + record.stood_still_s)
            )
    return columns


def _steps(simulation: Simulation) -> Columns:
    rows = [
        (str(simulation.world.jobs.job[job]), part, record.nominal_s[part], record.part_s[part] / record.steps)
        for job, record in sorted(simulation.interconnect.records.items())
        if record.steps > 0
        for part in record.nominal_s
    ]
    return {
        "job": np.array([row[0] for row in rows], dtype=object),
        "part": np.array([row[1] for row in rows], dtype=object),
        "nominal_s": np.array([row[2] for row in rows], dtype=np.float64),
        "mean_s": np.array([row[3] for row in rows], dtype=np.float64),
    }


def _links(simulation: Simulation, end_s: float) -> Columns:
    names = ("tier", "group", "links", "load_mean", "load_max")
    network, storage = simulation.world.network, simulation.world.storage
    rows: list[tuple[str, int, int, float, float]] = []
    load = simulation.interconnect.load_bytes / max(end_s, 1e-300)
    if network is not None and end_s > 0.0:
        rows += loads_by_tier(network.fabric, load[: network.fabric.links])
    if storage is not None and end_s > 0.0:
        shares = (load[-2:] / storage.rates).tolist()
        rows += [(f"storage_{way}", -1, 1, s, s) for way, s in zip(("write", "read"), shares, strict=True)]
    kinds = (object, np.int64, np.int64, np.float64, np.float64)
    return {name: np.array([row[i] for row in rows], dtype=kinds[i]) for i, name in enumerate(names)}


_TIMES = (
    "onset_s",
    "detected_s",
    "localised_s",
    "isolated_s",
    "repair_started_s",
    "repaired_s",
    "returned_s",
    "productive_again_s",
)


def _incidents(simulation: Simulation, end_s: float) -> Columns:
    rows: list[Incident] = simulation.incidents.rows
    names = simulation.world.jobs.job

    def text(values: list[str]) -> NDArray[np.object_]:
        return np.array(values, dtype=object)

    columns: Columns = {
        "incident": np.arange(len(rows), dtype=np.int64),
        "class": text([row.kind.name for row in rows]),
        "component": text([row.kind.component for row in rows]),
        "scope": text([row.kind.scope for row in rows]),
        "node": np.array([row.nodes[0] if len(row.nodes) else -1 for row in rows], dtype=np.int64),
        "nodes": np.array([len(row.nodes) for row in rows], dtype=np.int64),
        "repair_tier": text([row.repair_tier for row in rows]),
        "repair_visits": np.array([row.repair_visits for row in rows], dtype=np.int64),
        "job": text([",".join(str(names[run.job]) for run in row.hit) for row in rows]),
        "effect": text([row.effect for row in rows]),
        "lost_work_gpu_s": np.array([row.lost_work_gpu_s for row in rows], dtype=np.float64),
    }
    for name in _TIMES:
        times = np.array([getattr(row, name) for row in rows], dtype=np.float64)
        times[times >= end_s] = math.nan  # stages after the end have not happened
        columns[name] = times
    return columns


def _series(simulation: Simulation) -> Columns:
    sampler = simulation.sampler
    gpus = np.fromiter(sampler.gpus, np.int64).reshape(-1, len(STATES))
    hidden = ("productive", "checkpointing", "lost_work", "degraded")
    shown = [index for index, state in enumerate(STATES) if state not in hidden]
    shown.sort(key=lambda index: STATES[index] != RUNNING)
    return {
        "time_s": np.repeat(np.array(sampler.times), len(shown)),
        "state": np.tile(np.array([STATES[index] for index in shown], dtype=object), len(gpus)),
        "gpus": gpus[:, shown].reshape(-1),
    }


def _queue(simulation: Simulation) -> Columns:
    sampler = simulation.sampler
    rows = np.fromiter(sampler.queue, np.int64).reshape(-1, QUEUE_COLUMNS)
    names = ("waiting_jobs", "waiting_gpus", "running_jobs", "free_gpus", "partly_free_gpus")
    return {"time_s": np.array(sampler.times), **{name: rows[:, i] for i, name in enumerate(names)}}


def _phases(simulation: Simulation) -> Columns:
    seconds, times = simulation.jobs.books.phase_s, simulation.jobs.books.phase_times
    return {
        "phase": np.array(PHASES, dtype=object),
        "job_s": np.array([seconds.get(phase, 0.0) for phase in PHASES]),
        "times": np.array([times.get(phase, 0) for phase in PHASES], dtype=np.int64),
    }


def _occupancy(simulation: Simulation) -> Columns:
    rows = [
        (quantity, level, time_s)
        for quantity, levels in sorted(simulation.fleet.occupancy.items())
        for level, time_s in sorted(levels.items())
    ]
    return {
        "quantity": np.array([row[0] for row in rows], dtype=object),
        "level": np.array([row[1] for row in rows], dtype=np.int64),
        "time_s": np.array([row[2] for row in rows], dtype=np.float64),
    }


def _mean_level(occupancy: Columns, quantity: str) -> float:
    mine = occupancy["quantity"] == quantity
    time_s = occupancy["time_s"][mine]
    return float(np.sum(occupancy["level"][mine] * time_s) / np.sum(time_s)) if time_s.sum() > 0 else math.nan


def _quantile_level(occupancy: Columns, quantity: str, probability: float) -> float:
    mine = occupancy["quantity"] == quantity
    return weighted_quantile(occupancy["level"][mine], occupancy["time_s"][mine], probability)
