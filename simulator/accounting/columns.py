"""The data dictionary: every column of every result table and every metric, with unit, meaning and direction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

BUCKETS: tuple[str, ...] = (
    "productive",
    "checkpointing",
    "lost_work",
    "detecting",
    "restarting",
    "degraded",
    "waiting_for_nodes",
    "idle",
    "spare",
    "testing",
    "draining",
    "down",
)
"""Ledger buckets in the order in which reports stack them."""

BUCKET_MEANING: dict[str, str] = {
    "productive": "useful work that was kept",
    "checkpointing": "training stands still for a checkpoint",
    "lost_work": "useful work that an interruption destroyed",
    "detecting": "between a fault and its isolation",
    "restarting": "restart phases after detection",
    "degraded": "lost fraction of the time of a slow job",
    "waiting_for_nodes": "held by a gang that lacks nodes",
    "idle": "free, or not asked for by the job on the node",
    "spare": "kept free as a replacement",
    "testing": "verification after a repair",
    "draining": "letting go of current work",
    "down": "out of service: waiting for or under repair",
}


@dataclass(frozen=True)
class Column:
    """One column of a result table.

    Parameters
    ----------
    name, unit, meaning : str
        Unit "" for text, counts and fractions.
    kind : {"text", "int", "float"}
        Storage type; missing values are NaN in floats, -1 in ints, "" in text.
    """

    name: str
    unit: str
    meaning: str
    kind: Literal["text", "int", "float"]


@dataclass(frozen=True)
class Metric:
    """One number per replication.

    Parameters
    ----------
    name, unit, meaning : str
        Unit is the SI unit inside files ("" for fractions and counts).
    goal : {"max", "min", "none"}
        Direction in which more is better.
    shown_unit : str
        Unit in which people read it ("h", "GPU-h"), equal to ``unit`` where they read SI.
    least, most : float
        What it can be, in ``unit``; times, counts and costs are never below 0.
    """

    name: str
    unit: str
    meaning: str
    goal: Literal["max", "min", "none"]
    shown_unit: str
    least: float = 0.0
    most: float = math.inf

    @property
    def range(self) -> str:
        """What it can be, in words."""
        if math.isinf(self.most):
            return f"{self.least:g} or more"
        return f"{self.least:g} to {self.most:g}"


METRICS: tuple[Metric, ...] = (
    Metric(
        "ettr",
        "",
        "effective training time ratio: GPU-seconds in which jobs stepped and kept the work, slow steps included, "
        "divided by GPU-seconds between first start and end",
        "max",
        "",
        most=1.0,
    ),
    Metric("slow_step_loss", "", "GPU-seconds that slow steps cost, divided by the same", "min", "", most=1.0),
    Metric("goodput", "", "productive GPU-seconds divided by all GPU-seconds of the machine", "max", "", most=1.0),
    Metric("utilisation", "", "GPU-seconds held by jobs divided by GPU-seconds in service", "max", "", most=1.0),
    Metric("availability", "", "GPU-seconds in service divided by all GPU-seconds of the machine", "max", "", most=1.0),
    Metric("interruptions", "", "unplanned stops of jobs", "min", ""),
    Metric("mtti_s", "s", "wall time of jobs from first start to end divided by interruptions", "max", "h"),
    Metric("lost_work_gpu_s", "GPU-s", "useful work destroyed by interruptions", "min", "GPU-h"),
    Metric(
        "mfu",
        "",
        "model FLOPs divided by peak FLOPs of the GPUs while training jobs run; downtime is left out",
        "max",
        "",
        most=1.0,
    ),
    Metric("step_slowdown", "", "mean step time divided by the step time on an idle network without tiers", "min", ""),
    Metric(
        "network_stall_s", "s", "time in which jobs stood still because their traffic did not get through", "min", "s"
    ),
    Metric("network_timeouts", "", "interruptions because such a standstill lasted too long", "min", ""),
    Metric("checkpoint_write_s", "s", "mean time of writing one checkpoint to shared storage", "min", "s"),
    Metric("wait_for_nodes_s", "s", "time in which gangs held nodes but lacked some", "min", "h"),
    Metric("wait_mean_s", "s", "mean time from submission to first start, of jobs that started", "min", "s"),
    Metric("wait_mean_lower_bound_s", "s", "mean wait of all jobs; of those still queued the wait so far", "min", "s"),
    Metric("wait_p95_s", "s", "95th percentile of the time from submission to first start, likewise", "min", "s"),
    Metric("wait_p95_lower_bound_s", "s", "95th percentile of the wait of all jobs, likewise", "min", "s"),
    Metric("jobs_waiting", "", "jobs that had not started at the end, which waits and slowdowns leave out", "min", ""),
    Metric(
        "bounded_slowdown_mean",
        "",
        "mean of max(1, (wait + run) / max(run, 10 s)) of finished jobs",
        "min",
        "",
        least=1.0,
    ),
    Metric(
        "bounded_slowdown_mean_lower_bound",
        "",
        "the same of all jobs: with the wait so far, and the run that is known of, of those that have not finished",
        "min",
        "",
        least=1.0,
    ),
    Metric("makespan_s", "s", "last end minus first submission, when every job has ended", "min", "h"),
    Metric("jobs_rejected", "", "jobs that could never run", "min", ""),
    Metric("preemptions", "", "times a job was taken off its nodes for another one", "min", ""),
    Metric(
        "second_order_preemptions",
        "",
        "preemptions for a job that an unplanned stop had sent back to the queue",
        "min",
        "",
    ),
    Metric("second_order_lost_gpu_s", "GPU-s", "work that the latter destroyed", "min", "GPU-h"),
    Metric("requeues", "", "times a job went back to the queue after an unplanned stop", "min", ""),
    Metric("gang_deadlocks", "", "times all jobs that held nodes waited for each other's, and nothing ran", "min", ""),
    Metric("gang_deadlock_s", "s", "how long that lasted together", "min", "h"),
    Metric("quarantines", "", "times a repaired node was kept out of service as a suspected lemon", "none", ""),
    Metric("queue_gpus_mean", "", "GPUs that waiting jobs want, mean in time", "min", ""),
    Metric(
        "fragmentation_mean",
        "",
        "share of the free GPUs that lie on nodes of which others hold a part, mean in time",
        "min",
        "",
        most=1.0,
    ),
    Metric(
        "fairness", "", "Jain's index of the mean bounded slowdown of users: 1 when all fare alike", "max", "", most=1.0
    ),
    Metric("energy_j", "J", "energy of the nodes over the simulated time, from power by ledger state", "min", "MWh"),
    Metric("jobs_completed", "", "jobs that finished their work", "max", ""),
    Metric("detection_latency_mean_s", "s", "mean time from onset to alarm", "min", "s"),
    Metric("nodes_out_mean", "", "mean number of nodes out of service", "min", ""),
    Metric(
        "spares_used_p99",
        "",
        "99th percentile in time of the nodes held in place of lost ones that are not back, spares or idle before",
        "min",
        "",
    ),
    Metric(
        "uneven_placements",
        "",
        "starts and replacements in which a placement that wants equal parts of domains could not keep to them",
        "min",
        "",
    ),
    Metric("cost_usd", "USD", "price of all GPUs over the simulated time", "min", "USD"),
    Metric(
        "cost_per_productive_gpu_s_usd",
        "USD/GPU-s",
        "cost divided by productive GPU-seconds",
        "min",
        "USD/GPU-h",
    ),
)
"""Metrics in the order in which reports list them."""

LOWER_BOUNDS: dict[str, str] = {
    "wait_mean_s": "wait_mean_lower_bound_s",
    "wait_p95_s": "wait_p95_lower_bound_s",
    "bounded_slowdown_mean": "bounded_slowdown_mean_lower_bound",
    "slowdown_mean": "slowdown_mean_lower_bound",
    "slowdown_p95": "slowdown_p95_lower_bound",
}
"""What stands for a metric or a column that leaves jobs out, where some had not started at the end."""

LEDGER: tuple[Column, ...] = (
    Column("variant", "", "name of the variant", "text"),
    Column("replication", "", "index of the replication", "int"),
    Column("bucket", "", "ledger bucket", "text"),
    Column("gpu_s", "GPU-s", "GPU time in the bucket", "float"),
)

JOBS: tuple[Column, ...] = (
    Column("variant", "", "name of the variant", "text"),
    Column("replication", "", "index of the replication", "int"),
    Column("job", "", "name or trace id of the job", "text"),
    Column("user", "", "who submitted it", "text"),
    Column("account", "", "on whose account; the user's own where none is given", "text"),
    Column("partition", "", "where to it was submitted", "text"),
    Column("gpus", "", "GPUs it asked for", "int"),
    Column("nodes", "", "nodes it holds, its last width; 1 for a part of a node", "int"),
    Column("requested_nodes", "", "nodes it asked for; 1 for a part of a node", "int"),
    Column("priority", "", "class of priority, the higher the sooner", "int"),
    Column("submit_s", "s", "submission", "float"),
    Column("requested_s", "s", "run-time estimate that the scheduler saw; infinite for none", "float"),
    Column("start_s", "s", "first start", "float"),
    Column("last_start_s", "s", "start of the last time that it came from the queue", "float"),
    Column("end_s", "s", "end; NaN when still there at the horizon", "float"),
    Column("state", "", "pending, running, completed, failed or rejected at the end of the run", "text"),
    Column("reason", "", "why a job was rejected or failed", "text"),
    Column("ending", "", "how its log says that it ended: completed, failed, cancelled or timeout", "text"),
    Column("wait_s", "s", "first start minus submission", "float"),
    Column("attempts", "", "times it was started from the queue", "int"),
    Column("interruptions", "", "unplanned stops", "int"),
    Column("requeues", "", "times it went back to the queue after an unplanned stop", "int"),
    Column("preemptions", "", "times it was taken off its nodes for another job", "int"),
    Column("resizes", "", "changes of its width", "int"),
    Column("migrations", "", "moves to other nodes", "int"),
    Column("work_s", "s", "useful work to do at its nominal width and full rate; infinite without an end", "float"),
    Column("productive_s", "s", "useful work that was kept, at full rate", "float"),
    Column("productive_gpu_s", "GPU-s", "GPU time of that, at the widths it had", "float"),
    Column("degraded_gpu_s", "GPU-s", "GPU time that slow steps cost", "float"),
    Column("wall_gpu_s", "GPU-s", "GPU time from first start to end or horizon, at the width of each moment", "float"),
    Column("ettr", "", "productive and degraded GPU time divided by the last one", "float"),
    Column("lost_work_gpu_s", "GPU-s", "useful work destroyed", "float"),
    Column("step_s", "s", "mean step time while it stepped; NaN for a job without a training model", "float"),
    Column("step_slowdown", "", "that time divided by the step time on an idle network without tiers", "float"),
    Column("mfu", "", "model FLOPs of its steps divided by the peak FLOPs of its GPUs while it ran", "float"),
    Column("checkpoint_write_s", "s", "mean time of writing one checkpoint to shared storage; NaN without", "float"),
    Column("network_stall_s", "s", "time it stood still because its traffic did not get through", "float"),
    Column("network_timeouts", "", "interruptions because such a standstill lasted too long", "int"),
)

INCIDENTS: tuple[Column, ...] = (
    Column("variant", "", "name of the variant", "text"),
    Column("replication", "", "index of the replication", "int"),
    Column("incident", "", "number of the incident in its replication, by onset", "int"),
    Column("class", "", "fault class", "text"),
    Column("component", "", "component that failed", "text"),
    Column("scope", "", "node, the kind of domain or the kind of part of the fabric", "text"),
    Column("node", "", "node that failed; the first member of a failed domain; -1 for a link between switches", "int"),
    Column("nodes", "", "nodes it belongs to: those taken down together, or those right behind a link", "int"),
    Column("onset_s", "s", "fault happens", "float"),
    Column("detected_s", "s", "alarm", "float"),
    Column("localised_s", "s", "the unit is known", "float"),
    Column("isolated_s", "s", "the unit is out of service; NaN when it stays in", "float"),
    Column("repair_started_s", "s", "repair begins (a technician is there)", "float"),
    Column("repaired_s", "s", "repair done", "float"),
    Column("returned_s", "s", "back in service after verification", "float"),
    Column("repair_tier", "", "how it was repaired (the last visit)", "text"),
    Column("repair_visits", "", "repairs that this incident needed", "int"),
    Column("job", "", "job that was hit ('' for none)", "text"),
    Column("effect", "", "interrupted, slowed, cordoned, lost_while_idle or none", "text"),
    Column("lost_work_gpu_s", "GPU-s", "useful work destroyed", "float"),
    Column("productive_again_s", "s", "the interrupted job does useful work again", "float"),
)

SERIES: tuple[Column, ...] = (
    Column("variant", "", "name of the variant", "text"),
    Column("replication", "", "index of the replication", "int"),
    Column("time_s", "s", "time of the sample", "float"),
    Column(
        "state",
        "",
        "ledger state of GPUs at that time (running for productive, checkpointing and lost work)",
        "text",
    ),
    Column("gpus", "", "GPUs in that state", "int"),
)

QUEUE: tuple[Column, ...] = (
    Column("variant", "", "name of the variant", "text"),
    Column("replication", "", "index of the replication", "int"),
    Column("time_s", "s", "time of the sample", "float"),
    Column("waiting_jobs", "", "jobs in the queue", "int"),
    Column("waiting_gpus", "", "GPUs that they want", "int"),
    Column("running_jobs", "", "jobs that hold nodes", "int"),
    Column("free_gpus", "", "GPUs that a job could take", "int"),
    Column("partly_free_gpus", "", "those of them on nodes of which others hold a part", "int"),
)

CLASSES: tuple[Column, ...] = (
    Column("variant", "", "name of the variant", "text"),
    Column("replication", "", "index of the replication", "int"),
    Column("size_class", "", "jobs of so many GPUs", "text"),
    Column("jobs", "", "jobs submitted", "int"),
    Column("started", "", "jobs that started", "int"),
    Column("waiting", "", "jobs that had not started at the end", "int"),
    Column("gpu_s", "GPU-s", "useful work of the class that was kept", "float"),
    Column("wait_mean_s", "s", "mean time from submission to first start", "float"),
    Column("wait_p50_s", "s", "median of that time", "float"),
    Column("wait_p95_s", "s", "95th percentile of that time", "float"),
    Column("wait_mean_lower_bound_s", "s", "mean wait of all jobs; of those still queued the wait so far", "float"),
    Column("wait_p95_lower_bound_s", "s", "95th percentile of that", "float"),
    Column("slowdown_mean", "", "mean bounded slowdown of finished jobs", "float"),
    Column("slowdown_p50", "", "median of it", "float"),
    Column("slowdown_p95", "", "95th percentile of it", "float"),
    Column("slowdown_mean_lower_bound", "", "mean bounded slowdown of all jobs, likewise", "float"),
    Column("slowdown_p95_lower_bound", "", "95th percentile of that", "float"),
    Column("interrupted_fraction", "", "share of the started jobs that an unplanned stop hit", "float"),
)

ACCOUNTS: tuple[Column, ...] = (
    Column("variant", "", "name of the variant", "text"),
    Column("replication", "", "index of the replication", "int"),
    Column("account", "", "account, or user where none is given", "text"),
    Column("jobs", "", "jobs submitted", "int"),
    Column("waiting", "", "jobs that had not started at the end", "int"),
    Column("gpu_s", "GPU-s", "useful work that was kept", "float"),
    Column("share", "", "its share of that of all", "float"),
    Column("wait_mean_s", "s", "mean time from submission to first start", "float"),
    Column("wait_mean_lower_bound_s", "s", "mean wait of all jobs; of those still queued the wait so far", "float"),
    Column("slowdown_mean", "", "mean bounded slowdown of finished jobs", "float"),
    Column("slowdown_mean_lower_bound", "", "mean bounded slowdown of all jobs, likewise", "float"),
    Column("preemptions", "", "times its jobs were taken off their nodes for others", "int"),
)

SPANS: tuple[Column, ...] = (
    Column("variant", "", "name of the variant", "text"),
    Column("replication", "", "index of the replication", "int"),
    Column("node", "", "node", "int"),
    Column("job", "", "who had it: a job, or 'out of service'", "text"),
    Column("gpus", "", "GPUs of the node that it had", "int"),
    Column("start_s", "s", "from when", "float"),
    Column("end_s", "s", "until when", "float"),
)

PHASES: tuple[Column, ...] = (
    Column("variant", "", "name of the variant", "text"),
    Column("replication", "", "index of the replication", "int"),
    Column(
        "phase",
        "",
        "restart phase, in order: detect, tear_down, wait_for_nodes, reallocate, image, ...",
        "text",
    ),
    Column("job_s", "s", "wall time jobs spent in it", "float"),
    Column("times", "", "how often it was entered", "int"),
)

OCCUPANCY: tuple[Column, ...] = (
    Column("variant", "", "name of the variant", "text"),
    Column("replication", "", "index of the replication", "int"),
    Column(
        "quantity",
        "",
        "nodes_out (out of service) or replacements (nodes held in place of lost ones that are not back yet)",
        "text",
    ),
    Column("level", "", "number of nodes", "int"),
    Column("time_s", "s", "time at that level after the warm-up", "float"),
)

STEPS: tuple[Column, ...] = (
    Column("variant", "", "name of the variant", "text"),
    Column("replication", "", "index of the replication", "int"),
    Column("job", "", "name of the job", "text"),
    Column("part", "", "part of a training step: compute, bubble, optimiser, exposed communication by group", "text"),
    Column("nominal_s", "s", "on an idle network without tiers", "float"),
    Column("mean_s", "s", "mean over the time in which the job stepped", "float"),
)

LINKS: tuple[Column, ...] = (
    Column("variant", "", "name of the variant", "text"),
    Column("replication", "", "index of the replication", "int"),
    Column("tier", "", "tier of the fabric, from the hosts up; storage_write and storage_read", "text"),
    Column("group", "", "pod of the switch end of the links; -1 where they join no pod", "int"),
    Column("links", "", "directed links of the tier in the group", "int"),
    Column("load_mean", "", "mean load in time and over these links, divided by capacity", "float"),
    Column("load_max", "", "mean load in time of the busiest of these links, divided by capacity", "float"),
)

TABLES: dict[str, tuple[Column, ...]] = {
    "ledger": LEDGER,
    "jobs": JOBS,
    "incidents": INCIDENTS,
    "series": SERIES,
    "queue": QUEUE,
    "classes": CLASSES,
    "accounts": ACCOUNTS,
    "spans": SPANS,
    "phases": PHASES,
    "occupancy": OCCUPANCY,
    "steps": STEPS,
    "links": LINKS,
}
"""Columns of each table by the table's name."""

KEPT_FOR_ALL: frozenset[str] = frozenset({"ledger", "phases", "occupancy", "steps", "classes", "accounts"})
"""Tables that are always kept for every replication; the others only for replication 0 unless all are asked for."""
