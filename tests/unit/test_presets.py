"""Presets: every number has a source, and the published tables come out of them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from simulator import load, units
from simulator.errors import InputError
from simulator.scenario import presets
from simulator.scenario.assembly import assemble
from simulator.scenario.expectations import job_expectation
from simulator.scenario.resolution import repair_mix
from simulator.scenario.schema_faults import FaultClassSection, FaultMix, RepairsSection
from simulator.scenario.schema_machine import NodeType

DAY_S = 86400.0

# Llama 3, arXiv 2407.21783, Table 5: unexpected interruptions in 54 days on 16,384 GPUs.
LLAMA3_COUNTS = {
    "faulty_gpu": 148,
    "gpu_hbm3": 72,
    "software_bug": 54,
    "network_switch_cable": 35,
    "host_maintenance": 32,
    "gpu_sram": 19,
    "gpu_system_processor": 17,
    "nic": 7,
    "nccl_watchdog": 7,
    "silent_data_corruption": 6,
    "gpu_thermal": 6,
    "ssd": 3,
    "power_supply": 3,
    "server_chassis": 2,
    "io_expansion_board": 2,
    "dependency": 2,
    "cpu": 2,
    "system_memory": 2,
}


def sections(name: str) -> dict[str, FaultClassSection]:
    mix = FaultMix.model_validate(name)
    return {key: mix.defaults.changed_by(section) for key, section in mix.classes.items()}


def per_1000_node_days(section: FaultClassSection) -> float:
    """Return the rate on nodes of 8 GPUs."""
    assert section.unit_rate is not None
    rate = section.unit_rate
    return rate.value_per_s * (8 if rate.population == "GPU" else 1) * DAY_S * 1000


@pytest.mark.parametrize("found", presets.list_presets(), ids=lambda found: f"{found.kind}-{found.name}")
def test_every_number_carries_source_and_confidence(found: presets.Preset) -> None:
    rows = found.rows()
    assert rows
    assert found.title
    assert found.note
    for row in rows:
        assert isinstance(row.source, str)
        assert len(row.source) > 5, row
        assert row.confidence in presets.CONFIDENCE, row


def numbers_without_evidence(node: object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(node, dict):
        if "value" in node and "source" in node:
            return []
        return [bad for key, value in node.items() for bad in numbers_without_evidence(value, (*path, key))]
    words = ("name", "title", "note", "gpu", "component")
    return [] if path and path[-1] in words else [path]


@pytest.mark.parametrize("found", presets.list_presets(), ids=lambda found: f"{found.kind}-{found.name}")
def test_nothing_but_names_stands_without_evidence(found: presets.Preset) -> None:
    assert numbers_without_evidence(found.document) == []


@pytest.mark.parametrize("found", presets.list_presets(), ids=lambda found: f"{found.kind}-{found.name}")
def test_low_value_and_high_are_in_order(found: presets.Preset) -> None:
    def size(text: object) -> float:
        if isinstance(text, dict):
            text = text["mean"]
        for kind in units.KINDS:
            try:
                return units.parse(text, kind)  # type: ignore[arg-type]
            except InputError:
                continue
        rate = units.parse_rate(str(text))
        return rate.value_per_s * (8 if rate.population == "GPU" else 1)

    ranged = [row for row in found.rows() if row.low is not None or row.high is not None]
    for row in ranged:
        if row.low is not None:
            assert size(row.low) <= size(row.value), row
        if row.high is not None:
            assert size(row.value) <= size(row.high), row


COUNTED_BY_NODE = {
    "llama3_2024": {
        "host_maintenance",
        "ssd",
        "power_supply",
        "server_chassis",
        "io_expansion_board",
        "cpu",
        "system_memory",
    },
    "byterobust_2025": {"os_kernel_panic", "disk_fault", "filesystem_mount", "hdfs_error"},
    "stepfun_2024": {"unknown_error", "stress_test_failure", "fan", "power_supply"},
}


@pytest.mark.parametrize("name", COUNTED_BY_NODE)
def test_rates_count_gpus_or_nodes_by_what_fails(name: str) -> None:
    rates = {key: section.unit_rate for key, section in sections(name).items()}
    assert {key for key, rate in rates.items() if rate and rate.population == "node"} == COUNTED_BY_NODE[name]
    assert {rate.population for rate in rates.values() if rate} == {"GPU", "node"}


def test_trays_of_four_gpus_fail_as_their_gpus_and_hosts_do(tmp_path: Path) -> None:
    """373 of the 419 interruptions of 54 days on 16,384 GPUs count GPUs, the other 46 nodes."""
    path = tmp_path / "rates.yaml"
    path.write_text(
        "name: rates\nhorizon: 10 days\ncluster: {nodes: 288, node: gb200_nvl72}\n"
        "faults: {mix: llama3_2024}\nrepairs: {mix: tray_swap_nvl72}\nworkload: {jobs: [{name: a, nodes: all}]}\n"
        "variants:\n  trays: {}\n  servers: {cluster: {nodes: 144, node: h100_8gpu}}\n"
    )
    scenario = load(path)
    mtti_h = {}
    for variant, nodes in (("trays", 288), ("servers", 144)):
        world = assemble(scenario, variant, 1, 0)
        mtti_h[variant] = job_expectation(world, world.profiles[0], nodes).mtti_s / 3600
        by_hand = 1152 * 373 / (16384 * 54 * 24) + nodes * 46 / (2048 * 54 * 24)
        assert mtti_h[variant] == pytest.approx(1 / by_hand, rel=1e-12)
    assert mtti_h == pytest.approx({"trays": 39.64, "servers": 43.99}, abs=0.005)
    (said,) = [row for row in scenario.assumptions if row.key == "faults.mix"]
    assert said.why.startswith("counted on nodes of 8 GPUs, these have 4: scaled by the GPUs of a node: faulty_gpu, ")
    by_node = (
        "host_maintenance",
        "ssd",
        "power_supply",
        "server_chassis",
        "io_expansion_board",
        "cpu",
        "system_memory",
    )
    assert said.why.endswith("as often on each node: " + ", ".join(by_node))


@pytest.mark.parametrize("name", presets.names("nodes"))
def test_facts_of_nodes_are_quantities(name: str) -> None:
    found = presets.preset("nodes", name)
    expected = {"peak": "flop_rate", "memory_bandwidth": "bandwidth", "memory": "size", "nvlink": "bandwidth"}
    for row in found.rows():
        if row.path[0] == "facts":
            kind = next((kind for start, kind in expected.items() if row.path[1].startswith(start)), "power")
            assert units.parse(row.value, kind) > 0
    assert NodeType.model_validate(name).price is not None


def test_node_sizes() -> None:
    assert {name: NodeType.model_validate(name).gpus for name in presets.names("nodes")} == {
        "a100_8gpu": 8,
        "b200_8gpu": 8,
        "gb200_nvl72": 4,
        "h100_8gpu": 8,
        "h200_8gpu": 8,
    }
    rack = NodeType.model_validate("gb200_nvl72")
    assert rack.domains["rack"] * rack.gpus == 72


def test_llama3_rates_reproduce_the_counts() -> None:
    found = sections("llama3_2024")
    exposure_s = {"GPU": 16384 * 54 * DAY_S, "node": 2048 * 54 * DAY_S}
    rates = {name: section.unit_rate for name, section in found.items() if section.unit_rate}
    counts = {name: rate.value_per_s * exposure_s[rate.population] for name, rate in rates.items()}
    assert counts == pytest.approx(LLAMA3_COUNTS, rel=1e-12)
    assert sum(counts.values()) == pytest.approx(419)


def test_llama3_software_takes_no_node_and_all_stop_the_job() -> None:
    found = sections("llama3_2024")
    assert all(section.stops_job for section in found.values())
    staying = {name for name, section in found.items() if not section.takes_node_out}
    assert staying == {"software_bug", "nccl_watchdog", "dependency"}


def test_rsc_presets_keep_the_two_definitions_apart() -> None:
    assert per_1000_node_days(sections("rsc1_fitted")["infrastructure"]) == pytest.approx(6.5)
    assert per_1000_node_days(sections("rsc2_fitted")["infrastructure"]) == pytest.approx(2.34)
    observed = sections("rsc1_observed")["infrastructure"]
    assert observed.unit_rate is not None
    # 7.9 h between failures of a job of 1,024 GPUs = 128 nodes.
    assert 1 / (128 * observed.unit_rate.value_per_s) == pytest.approx(7.9 * 3600)
    assert per_1000_node_days(observed) / 6.5 == pytest.approx(3.6, abs=0.1)


def test_byterobust_machine_failures_and_symptom_shares() -> None:
    found = sections("byterobust_2025")
    out = {name: per_1000_node_days(section) for name, section in found.items() if section.takes_node_out}
    # Table 5 pins the daily probability of a machine to 1.17e-3 .. 1.25e-3.
    assert 1.17 < sum(out.values()) < 1.25
    # Table 1: InfiniBand 1,599, kernel panic 203, GPU memory 188; CUDA 19,968 split 21 : 41 by Table 2.
    rate = {name: per_1000_node_days(section) for name, section in found.items()}
    assert rate["infiniband_error"] / rate["os_kernel_panic"] == pytest.approx(1599 / 203, rel=1e-3)
    assert rate["gpu_memory_error"] / rate["job_hang"] == pytest.approx(188 / 5506, rel=1e-3)
    cuda = rate["cuda_error_infrastructure"] + rate["cuda_error_user"]
    assert cuda / rate["infiniband_error"] == pytest.approx(19968 / 1599, rel=1e-3)
    assert rate["cuda_error_user"] / rate["cuda_error_infrastructure"] == pytest.approx(41 / 21, rel=1e-3)


def test_stepfun_rates() -> None:
    rate = {name: per_1000_node_days(section) for name, section in sections("stepfun_2024").items()}
    # InfiniteHBD-Trace, days 4-232, per 1,000 node-days (table f09).
    assert rate["gpu"] == pytest.approx(0.8768, abs=1e-3)
    assert rate["nic"] == pytest.approx(0.1754, abs=1e-3)
    # All 369 faults are 4.0443; five classes of one fault each are left out.
    assert sum(rate.values()) == pytest.approx(4.0443 * 364 / 369, rel=1e-3)


@pytest.mark.parametrize("name", presets.names("repairs"))
def test_repair_probabilities_sum_to_one(name: str) -> None:
    mix = repair_mix(RepairsSection(), name)
    assert math.fsum(tier.probability for tier in mix.tiers) == pytest.approx(1.0, abs=1e-12)


def test_repair_means() -> None:
    hours = {name: repair_mix(RepairsSection(), name).mean_time_s / 3600 for name in presets.names("repairs")}
    assert hours["operator_mix_assumed"] == pytest.approx(18.7)
    assert hours["stepfun_2024"] == pytest.approx(176.9)
    assert hours["instant"] == 0.0
    assert 1.0 <= hours["tray_swap_nvl72"] <= 4.0


def test_stepfun_repair_has_the_median_of_the_trace() -> None:
    time = repair_mix(RepairsSection(), "stepfun_2024").tiers[0].time
    assert time.family == "lognormal"
    assert time.mean_s / math.sqrt(1 + time.cv**2) == pytest.approx(32.9 * 3600)


def test_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown preset.*llama3_2042.*did you mean 'llama3_2024'"):
        presets.find_presets("llama3_2042")


def test_a_name_used_by_two_kinds_shows_both() -> None:
    assert [found.kind for found in presets.find_presets("stepfun_2024")] == ["faults", "repairs"]


def test_a_missing_reallocation_time_is_an_assumption(tmp_path: Path) -> None:
    scenario = tmp_path / "silent.yaml"
    scenario.write_text(
        "name: silent\nhorizon: 5 days\ncluster: {nodes: 8, node: h100_8gpu, spares: {count: 1, kind: cold}}\n"
        "faults: {mix: rsc1_fitted}\nrepairs: {mix: operator_mix_assumed}\nworkload: {jobs: [{name: a, nodes: all}]}\n"
        "recovery: {policy: replace_or_requeue, phases: {image: 10 s}}\nreport: {answer: {metric: ettr}}\n"
    )
    keys = [assumption.key for assumption in load(scenario).assumptions]
    assert "recovery.phases.reallocate.cold" in keys
    assert "recovery.phases.reallocate.queue" in keys
    assert "recovery.phases.reallocate.warm" not in keys
