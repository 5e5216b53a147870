"""Writes a results folder that looks like a real study without running one: Llama-3-like, 4 variants x 30."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from simulator.accounting.columns import BUCKETS, METRICS, TABLES

HORIZON_S = 54 * 86400.0
NODES, GPUS_PER_NODE = 2112, 8
VARIANTS = ("async_1s_restart_600s", "restart_200s", "restart_1200s", "blocking_60s")
# count of each class in 54 days: Llama 3, arXiv 2407.21783, Table 5
CLASSES: dict[str, tuple[str, int]] = {
    "faulty_gpu": ("GPU", 148),
    "gpu_hbm3": ("GPU", 72),
    "software_bug": ("software", 54),
    "network_switch_cable": ("switch", 35),
    "host_maintenance": ("host", 32),
    "gpu_sram": ("GPU", 19),
    "gpu_system_processor": ("GPU", 17),
    "nic": ("NIC", 7),
    "nccl_watchdog_timeout": ("software", 7),
    "silent_data_corruption": ("GPU", 6),
    "gpu_thermal_interface_sensor": ("GPU", 6),
    "ssd": ("SSD", 3),
    "power_supply": ("PSU", 3),
    "server_chassis": ("host", 2),
    "io_expansion_board": ("host", 2),
    "dependency": ("software", 2),
    "cpu": ("CPU", 2),
    "system_memory": ("DRAM", 2),
}
PHASES = {
    "detect": 10.0,
    "tear_down": 30.0,
    "wait_for_nodes": 8.0,
    "reallocate": 60.0,
    "image": 180.0,
    "dependencies": 90.0,
    "init": 37.0,
    "load": 120.0,
    "warm_up": 65.0,
}
"""Seconds of each restart phase."""

STEP_PARTS = {
    "compute": 8.0,
    "tp": 1.5,
    "cp": 0.0,
    "ep": 0.0,
    "bubble": 1.2,
    "pp": 0.3,
    "dp": 0.4,
    "optimiser": 0.1,
    "data": 0.0,
}


def write_results(
    folder: Path,
    variants: Sequence[str] = VARIANTS,
    replications: int = 30,
    seed: int = 1,
    facts: dict[str, Any] | None = None,
    tables: Sequence[str] = tuple(TABLES),
) -> Path:
    """Write a results folder and return it; ``facts`` changes keys of report.json, ``tables`` says which to write."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    worlds = [_world(generator) for _ in range(replications)]
    runs, frames = _tables(variants, worlds, generator)
    runs.to_parquet(folder / "runs.parquet", index=False)
    _summary(runs, variants).to_csv(folder / "summary.csv", index=False)
    _differences(runs, variants).to_csv(folder / "differences.csv", index=False)
    for name in tables:
        order = [column.name for column in TABLES[name]]
        frames[name][order].to_parquet(folder / f"{name}.parquet", index=False)
    (folder / "manifest.json").write_text(json.dumps(_manifest(variants, replications), indent=1), encoding="utf-8")
    (folder / "report.json").write_text(json.dumps(_facts(variants) | (facts or {}), indent=1), encoding="utf-8")
    (folder / "scenario.yaml").write_text("name: synthetic\n", encoding="utf-8")
    return folder


def _world(generator: np.random.Generator) -> pd.DataFrame:
    classes = np.concatenate([[name] * generator.poisson(count) for name, (_, count) in CLASSES.items()])
    onset_s = np.sort(generator.uniform(0, HORIZON_S, classes.size))
    return pd.DataFrame({"class": generator.permutation(classes), "onset_s": onset_s})


def _restart_s(place: int) -> float:
    return (600.0, 200.0, 1200.0, 600.0)[place % 4] * (1 + 0.05 * (place // 4))


def _blocking_share(place: int) -> float:
    return (0.0006, 0.0006, 0.0006, 0.026)[place % 4]


def _tables(variants: Sequence[str], worlds: list[pd.DataFrame], generator: np.random.Generator) -> Any:
    runs, rows = [], {name: [] for name in TABLES}
    for place, variant in enumerate(variants):
        for replication, world in enumerate(worlds):
            where = {"variant": variant, "replication": replication}
            shares = _shares(place, world, generator)
            rows["ledger"] += [
                where | {"bucket": b, "gpu_s": shares[b] * HORIZON_S * NODES * GPUS_PER_NODE} for b in BUCKETS
            ]
            for phase, base in PHASES.items():
                spent = len(world) * base * (_restart_s(place) / 600.0 if phase == "image" else 1.0)
                rows["phases"].append(where | {"phase": phase, "job_s": spent, "times": len(world)})
            rows["occupancy"] += _occupancy(where, generator)
            for part, seconds in STEP_PARTS.items():
                slow = 1.0 + 0.2 * place if part in ("dp", "tp") else 1.0
                rows["steps"].append(
                    where | {"job": "pretrain", "part": part, "nominal_s": seconds, "mean_s": seconds * slow}
                )
            rows["classes"] += [where | _size_class(place, size) for size in ("1 GPU", "2 to 7 GPUs")]
            rows["accounts"] += [where | _account(account) for account in ("team-a", "team-b")]
            runs.append(where | _metrics(shares, world, place))
            if replication == 0:
                rows["incidents"] += _incidents(where, world, generator)
                rows["series"] += _series(where, generator, place)
                rows["jobs"].append(where | _job(shares, world))
                rows["queue"] += _queue(where)
                span = where | {"node": 0, "gpus": 8}
                rows["spans"] += [span | {"job": "pretrain", "start_s": 0.0, "end_s": HORIZON_S / 2}]
                rows["spans"] += [span | {"job": "evaluation", "start_s": HORIZON_S / 2, "end_s": HORIZON_S}]
                for tier, pods in (("host", 4), ("leaf_spine", 4), ("spine_core", 4)):
                    for pod in range(pods):
                        load = (0.1 + 0.05 * pod) * (1.0 + place)
                        facts = {"tier": tier, "group": pod, "links": 1024, "load_mean": load, "load_max": 1.3 * load}
                        rows["links"].append(where | facts)
    return pd.DataFrame(runs), {name: pd.DataFrame(content) for name, content in rows.items()}


def _queue(where: dict[str, Any]) -> list[dict[str, Any]]:
    names = ("waiting_jobs", "waiting_gpus", "running_jobs", "free_gpus", "partly_free_gpus")
    return [where | {"time_s": t} | dict.fromkeys(names, 1) for t in np.arange(0, HORIZON_S, 86400.0)]


def _size_class(place: int, size: str) -> dict[str, Any]:
    names = ("mean", "p50", "p95", "mean_lower_bound", "p95_lower_bound")
    waits = {f"wait_{name}_s": 60.0 * (1 + place) for name in names}
    slow = {f"slowdown_{name}": 1.5 + place for name in names}
    rest = {"jobs": 20, "started": 20, "waiting": 0, "gpu_s": 1e9, "interrupted_fraction": 1.0}
    return {"size_class": size, **waits, **slow, **rest}


def _account(account: str) -> dict[str, Any]:
    rest = {"jobs": 1, "waiting": 0, "gpu_s": 1e9, "share": 0.5, "preemptions": 0}
    waits = {"wait_mean_s": 60.0, "wait_mean_lower_bound_s": 60.0}
    return {"account": account, **rest, **waits, "slowdown_mean": 1.5, "slowdown_mean_lower_bound": 1.5}


def _shares(place: int, world: pd.DataFrame, generator: np.random.Generator) -> dict[str, float]:
    job = 2048 / NODES
    restarting = job * len(world) * _restart_s(place) / HORIZON_S
    shares = dict.fromkeys(BUCKETS, 0.0)
    shares |= {
        "checkpointing": job * _blocking_share(place),
        "lost_work": job * len(world) * (55.0 + 200.0 * (place % 4 == 3)) / HORIZON_S * generator.uniform(0.95, 1.05),
        "detecting": job * len(world) * 10 / HORIZON_S,
        "restarting": restarting,
        "waiting_for_nodes": job * len(world) * 8 / HORIZON_S,
        "spare": 0.022,
        "testing": 0.0006,
        "draining": 0.00004,
        "down": 0.0065,
        "idle": 0.0002,
    }
    shares["productive"] = 1 - sum(shares.values())
    return shares


def _metrics(shares: dict[str, float], world: pd.DataFrame, place: int) -> dict[str, float]:
    gpu_s = HORIZON_S * NODES * GPUS_PER_NODE
    values = dict.fromkeys((metric.name for metric in METRICS), math.nan)
    values |= {
        "ettr": shares["productive"] / (2048 / NODES),
        "goodput": shares["productive"],
        "utilisation": 0.977,
        "availability": 1 - shares["down"],
        "interruptions": float(len(world)),
        "mtti_s": HORIZON_S / len(world),
        "lost_work_gpu_s": shares["lost_work"] * gpu_s,
        "wait_for_nodes_s": shares["waiting_for_nodes"] * HORIZON_S,
        "wait_mean_s": 0.0,
        "detection_latency_mean_s": 10.0,
        "nodes_out_mean": 6.0 + 0.01 * (len(world) - 419),
        "spares_used_p99": 14.0 + len(world) % 3,
        "cost_usd": gpu_s / 3600 * 2.95,
        "cost_per_productive_gpu_s_usd": 2.95 / 3600 / shares["productive"],
    }
    return values


def _incidents(where: dict[str, Any], world: pd.DataFrame, generator: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for number, (name, onset_s) in enumerate(zip(world["class"], world["onset_s"], strict=True)):
        component = CLASSES[name][0]
        takes_out = component != "software"
        detected = onset_s + generator.lognormal(2.2, 0.4)
        started = detected + generator.exponential(3600 * 1.5)
        repaired = started + generator.lognormal(10.2, 1.0)
        returned = repaired + 1800.0
        late = [math.nan if not takes_out or at > HORIZON_S else at for at in (detected, started, repaired, returned)]
        rows.append(where | {
            "incident": number, "class": name, "component": component, "scope": "node",
            "node": number % NODES, "nodes": 1,
            "onset_s": onset_s, "detected_s": detected, "localised_s": detected, "isolated_s": late[0],
            "repair_started_s": late[1], "repaired_s": late[2], "returned_s": late[3],
            "repair_tier": "reboot" if takes_out else "", "repair_visits": int(takes_out), "job": "pretrain",
            "effect": "interrupted" if number % 33 else "lost_while_idle", "lost_work_gpu_s": 1e6,
            "productive_again_s": detected + 600,
        })  # fmt: skip
    return rows


def _series(where: dict[str, Any], generator: np.random.Generator, place: int) -> list[dict[str, Any]]:
    rows = []
    for time_s in np.arange(0, HORIZON_S, 6 * 3600.0):
        down = int(generator.poisson(6.5)) * 8
        restarting = 16384 if generator.random() < 0.05 else 0
        counts = {
            "down": down,
            "testing": int(generator.poisson(0.6)) * 8,
            "spare": max(0, 512 - down),
            "restarting": restarting,
        }
        counts["running"] = NODES * GPUS_PER_NODE - sum(counts.values())
        rows += [where | {"time_s": time_s, "state": state, "gpus": gpus} for state, gpus in counts.items()]
    return rows


def _occupancy(where: dict[str, Any], generator: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for quantity, mean in (("nodes_out", 6.5), ("replacements", 5.0)):
        levels = np.bincount(generator.poisson(mean, 500))
        rows += [
            where | {"quantity": quantity, "level": level, "time_s": count * HORIZON_S / 500}
            for level, count in enumerate(levels)
        ]
    return rows


def _job(shares: dict[str, float], world: pd.DataFrame) -> dict[str, Any]:
    return {
        "job": "pretrain", "user": "team-a", "account": "team-a", "partition": "", "priority": 0,
        "requested_s": math.inf,
        "requeues": 0, "preemptions": 0, "resizes": 0, "migrations": 0, "gpus": 16384, "nodes": 2048,
        "requested_nodes": 2048, "submit_s": 0.0,
        "start_s": 0.0, "last_start_s": 0.0, "end_s": math.nan,
        "state": "running", "reason": "", "ending": "", "wait_s": 0.0, "attempts": 1, "interruptions": len(world),
        "work_s": math.inf, "wall_gpu_s": HORIZON_S * 16384, "degraded_gpu_s": 0.0,
        "productive_gpu_s": shares["productive"] * HORIZON_S * NODES * GPUS_PER_NODE,
        "productive_s": shares["productive"] * HORIZON_S, "ettr": shares["productive"], "lost_work_gpu_s": 1e9,
        "step_s": 12.5, "step_slowdown": 1.08, "mfu": 0.4, "checkpoint_write_s": 12.0,
        "network_stall_s": 30.0, "network_timeouts": 1,
    }  # fmt: skip


def _half_width(values: pd.Series) -> float:
    known = values.dropna()
    if len(known) < 2:
        return math.nan
    return float(stats.t.ppf(0.975, len(known) - 1) * known.std(ddof=1) / math.sqrt(len(known)))


def _summary(runs: pd.DataFrame, variants: Sequence[str]) -> pd.DataFrame:
    rows = []
    for variant in variants:
        for metric in METRICS:
            values = runs.loc[runs["variant"] == variant, metric.name]
            half = _half_width(values)
            rows.append({
                "variant": variant, "metric": metric.name, "unit": metric.unit, "mean": values.mean(),
                "ci_low": max(values.mean() - half, metric.least), "ci_high": min(values.mean() + half, metric.most),
                "p05": values.quantile(0.05), "p50": values.quantile(0.5), "p95": values.quantile(0.95),
                "replications": values.notna().sum(),
            })  # fmt: skip
    return pd.DataFrame(rows)


def _differences(runs: pd.DataFrame, variants: Sequence[str]) -> pd.DataFrame:
    rows = []
    columns = ["variant", "baseline", "metric", "mean_difference", "ci_low", "ci_high", "probability_better"]
    wide = runs.set_index(["variant", "replication"])
    for variant in variants[1:]:
        for metric in METRICS:
            gap = wide.loc[variant, metric.name] - wide.loc[variants[0], metric.name]
            half, known = _half_width(gap), gap.dropna()
            sign = -1 if metric.goal == "min" else 1
            better = ((sign * known > 0) + 0.5 * (known == 0)).mean() if len(known) else math.nan
            numbers = (gap.mean(), gap.mean() - half, gap.mean() + half, better)
            rows.append(dict(zip(columns, (variant, variants[0], metric.name, *numbers), strict=True)))
    return pd.DataFrame(rows, columns=columns)


def _manifest(variants: Sequence[str], replications: int) -> dict[str, Any]:
    return {
        "format": 1, "simulator": "0.1.0", "python": "3.11.9", "packages": {"numpy": "2.4.6", "simpy": "4.1.1"},
        "command": ["simulator", "compare", "scenarios/llama3_54_days.yaml", "--output", "results/llama3"],
        "scenario_name": "llama3_54_days", "scenario_sha256": "ab" * 32, "seed": 1, "replications": replications,
        "variants": list(variants), "baseline": variants[0], "workers": 2, "keep": "first", "wall_s": 7.42,
        "started_utc": "2026-01-05T09:00:00Z", "host": {"platform": "Linux", "machine": "x86_64", "cpu_count": 2},
    }  # fmt: skip


def _facts(variants: Sequence[str]) -> dict[str, Any]:
    source = "Llama 3, arXiv 2407.21783, Table 5"
    return {
        "name": "llama3_54_days",
        "question": "How much of 54 days on 16,384 GPUs is useful, by restart time and checkpoint kind?",
        "answer_metric": "ettr", "answer_goal": "max",
        "assumptions": [
            {"key": "recovery.phases", "value": "600 s in all", "source": "scenario",
             "why": "phases are not printed in the paper"},
            {"key": "repairs.operator_mix_assumed.tiers.swap.time", "value": "24 h",
             "source": "assumption of this project",
             "why": "operators publish mean repair times without the mix behind them; 18.7 h is the mean of the mix"},
        ],
        "published": [
            {"metric": "interruptions", "variant": variants[0], "value": 419, "unit": "", "kind": "input",
             "source": source, "tolerance": 12.57},
            {"metric": "ettr", "variant": variants[0], "value": 0.935, "unit": "", "kind": "prediction",
             "source": "closed form, restart 600 s", "tolerance": 0.005},
            {"metric": "ettr", "variant": variants[-1], "value": 0.90, "unit": "", "kind": "prediction",
             "source": source + ": more than 90 %", "tolerance": None, "bound": "at_least"},
        ],
        "presets": [{"name": "llama3_2024", "kind": "faults"}, {"name": "h100_8gpu", "kind": "nodes"}],
        "metrics_shown": ["ettr", "goodput", "interruptions", "mtti_s", "lost_work_gpu_s", "nodes_out_mean",
                          "cost_per_productive_gpu_s_usd"],
        "per_class_published": [{"class": name, "count": count} for name, (_, count) in CLASSES.items()],
        "horizon_s": HORIZON_S, "gpus": NODES * GPUS_PER_NODE, "nodes": NODES,
    }  # fmt: skip
