"""Broken scenario files, part 2: keys, quantities, types, names and rules, each with its one-line error."""

from __future__ import annotations

import pytest
from bad_scenarios import FILE, GOOD, Case, changed

from simulator import scenario
from simulator.accounting.columns import METRICS
from simulator.errors import InputError
from simulator.policies.registry import families
from simulator.scenario.policy_fields import keys_of
from simulator.scenario.presets import names

DURATION = 'a number with its unit, such as "10.8 s" or "7.9 h" or "54 days"'
SCHEDULERS = ", ".join(families()["scheduling"])
SCHEDULING_KEYS = ", ".join(
    sorted(
        {
            "policy",
            "preemption",
            "limits",
            *(key for policy in families()["scheduling"].values() for key in keys_of(policy)),
        }
    )
)
RATE = 'events / exposure, such as "3.79 / 1000 node-days" or "19.7 / 1e6 GPU-hours"'
FRACTION = '0 to 1, such as "0.97" or "97 %"'
TOP_KEYS = (
    "checkpoint, cluster, extends, faults, health, horizon, name, placement, question, recovery, "
    "repairs, replications, report, reservations, sample_every, scheduling, seed, variants, warm_up, "
    "workload"
)
METRIC_NAMES = ", ".join(metric.name for metric in METRICS)
NODE_TYPES = ", ".join(names("nodes"))
FAILURE_MIXES = ", ".join(names("faults"))
REPAIR_MIXES = ", ".join(sorted([*names("repairs"), "quick"]))

CASES = [
    # keys
    Case(
        "key_top",
        changed("replications: 4", "replicatons: 4"),
        f"s.yaml:3: replicatons: unknown key; allowed: {TOP_KEYS}; did you mean 'replications'?",
    ),
    Case(
        "key_cluster",
        changed("  nodes: 16", "  nodez: 16"),
        "s.yaml:6: cluster.nodez: unknown key; allowed: domains, fabric, node, node_sharing, nodes, "
        "partitions, price, spares, storage; "
        "did you mean 'nodes'?",
    ),
    Case(
        "key_node",
        changed("{gpus: 8, price", "{gpu_count: 8, price"),
        "s.yaml:7: cluster.node.gpu_count: unknown key; allowed: accelerator, domains, gpu, gpus, name, power, price",
    ),
    Case(
        "key_spares",
        changed("{count: 2, kind: warm}", "{number: 2, kind: warm}"),
        "s.yaml:9: cluster.spares.number: unknown key; allowed: count, kind, per",
    ),
    Case(
        "key_class",
        changed("component: GPU,", "componet: GPU,"),
        "s.yaml:12: faults.classes.gpu.componet: unknown key; allowed: capacity_left, clock, component, "
        "components_per_unit, detect, frailty, hazard, localise, mtbf, rate, repair, scope, "
        "stops_job, takes_node_out; did you mean 'component'?",
    ),
    Case(
        "key_tier",
        changed("time: 1 h}", "tme: 1 h}"),
        "s.yaml:17: repairs.mixes.quick.tiers.reset.tme: unknown key; allowed: needs_technician, "
        "probability, time; did you mean 'time'?",
    ),
    Case(
        "key_job",
        changed("submit: 0 s", "submitted: 0 s"),
        "s.yaml:20: workload.jobs.0.submitted: unknown key; allowed: account, checkpoint, copies, "
        "elastic, fails_after, gpus, name, nodes, partition, priority, recovery, requested, submit, submit_every, "
        "training, user, work; did you mean 'submit'?",
    ),
    Case(
        "key_checkpoint",
        changed("blocking: 30 s", "block: 30 s"),
        "s.yaml:26: checkpoint.tiers.0.block: unknown key; allowed: blocking, interval, load, "
        "name, persist, size, storage, survives; did you mean 'blocking'?",
    ),
    Case(
        "key_phase",
        changed("{image: 60 s}", "{imagee: 60 s}"),
        "s.yaml:27: recovery.phases.imagee: unknown key; allowed: dependencies, image, init, "
        "init_per_node, reallocate, tear_down, warm_up; did you mean 'image'?",
    ),
    Case(
        "key_report",
        GOOD + "report: {answers: {metric: ettr}}\n",
        "s.yaml:32: report.answers: unknown key; allowed: answer, assumptions, metrics, "
        "published, published_classes, spans; did you mean 'answer'?",
    ),
    Case("key_missing", changed("  nodes: 16\n", ""), "s.yaml:5: cluster.nodes: missing key"),
    Case(
        "key_missing_section",
        changed("workload:", "wrkload:"),
        f"s.yaml:18: wrkload: unknown key; allowed: {TOP_KEYS}; did you mean 'workload'?",
    ),
    Case(
        "key_missing_name",
        changed("    - name: probe\n      gpus: 8", "    - gpus: 8"),
        "s.yaml:21: workload.jobs.1.name: missing key",
    ),
    # quantities
    Case(
        "no_unit",
        changed("horizon: 10 days", "horizon: 10"),
        f"s.yaml:4: horizon: a duration needs its unit; found 10; allowed: {DURATION}",
    ),
    Case(
        "unknown_unit",
        changed("horizon: 10 days", "horizon: 10 dyas"),
        f"s.yaml:4: horizon: unknown unit 'dyas'; found '10 dyas'; allowed: {DURATION}; did you mean '10 days'?",
    ),
    Case(
        "month",
        changed("horizon: 10 days", "horizon: 2 months"),
        "s.yaml:4: horizon: a month has no fixed length; found '2 months'; allowed: days, such as \"30 days\"",
    ),
    Case(
        "wrong_kind",
        changed("horizon: 10 days", "horizon: 10 GB"),
        f"s.yaml:4: horizon: 'GB' is a unit of data size, not of duration; found '10 GB'; allowed: {DURATION}",
    ),
    Case(
        "negative",
        changed("blocking: 30 s", "blocking: -30 s"),
        f"s.yaml:26: checkpoint.tiers.0.blocking: negative duration; found '-30 s'; allowed: {DURATION}",
    ),
    Case(
        "zero_horizon",
        changed("horizon: 10 days", "horizon: 0 days"),
        "s.yaml:4: horizon: a duration of zero; found '0 days'; allowed: more than zero, such as \"10.8 s\"",
    ),
    Case(
        "nan",
        changed("seed: 1", "seed: .nan"),
        "s.yaml:2: seed: not a finite number; found .nan; allowed: a finite number",
    ),
    Case(
        "inf",
        changed("horizon: 10 days", "horizon: -.inf"),
        "s.yaml:4: horizon: not a finite number; found -.inf; allowed: a finite number",
    ),
    Case(
        "huge",
        changed("seed: 1", "seed: 1e30"),
        "s.yaml:2: seed: absurdly large number; found 1e30; allowed: at most 1e+18",
    ),
    Case(
        "huge_integer",
        changed("seed: 1", "seed: " + "9" * 5000),
        "s.yaml:2: seed: absurdly large number; found 9999999999999999999999999999999999999...; allowed: at most 1e+18",
    ),
    Case(
        "huge_duration",
        changed("horizon: 10 days", "horizon: 1e30 days"),
        "s.yaml:4: horizon: absurdly large duration; found '1e30 days'; allowed: at most 1e+18 s",
    ),
    Case(
        "nan_duration",
        changed("horizon: 10 days", "horizon: nan days"),
        f"s.yaml:4: horizon: not a finite number; found 'nan days'; allowed: {DURATION}",
    ),
    Case(
        "decimal_comma",
        changed("horizon: 10 days", 'horizon: "1,5 days"'),
        "s.yaml:4: horizon: the decimal mark is a point, and digits are not grouped; found '1,5 "
        f"days'; allowed: {DURATION}",
    ),
    Case(
        "euro",
        changed("2.95 USD/GPU/h", "2.95 EUR/GPU/h"),
        "s.yaml:7: cluster.node.price: only USD is read, and no currency is converted silently; "
        "found '2.95 EUR/GPU/h'; allowed: the amount in USD",
    ),
    Case(
        "price_per_node",
        changed("2.95 USD/GPU/h", "23.60 USD/node/h"),
        "s.yaml:7: cluster.node.price: the price is per node; found '23.60 USD/node/h'; allowed: "
        "a price per GPU: divide by the GPUs of the node",
    ),
    Case(
        "percent_without_sign",
        changed("25 %", "25"),
        "s.yaml:17: repairs.mixes.quick.tiers.swap.probability: fraction above 1; found 25; "
        f"allowed: {FRACTION}; did you mean '25 %'?",
    ),
    Case(
        "negative_probability",
        changed("25 %", "-25 %"),
        f"s.yaml:17: repairs.mixes.quick.tiers.swap.probability: negative fraction; found '-25 %'; allowed: {FRACTION}",
    ),
    Case(
        "clock_time",
        changed("horizon: 10 days", "horizon: 12:30:00"),
        "s.yaml:4: horizon: a time with colons is not read; found '12:30:00'; allowed: one number"
        ' and unit, such as "12.5 h"',
    ),
    Case(
        "rate_bare",
        changed("0.01 / rack-day", "0.01"),
        f"s.yaml:13: faults.classes.rack_power.rate: a rate needs its exposure; found 0.01; allowed: {RATE}",
    ),
    Case(
        "rate_without_population",
        changed("0.01 / rack-day", "0.01 / day"),
        f"s.yaml:13: faults.classes.rack_power.rate: a rate needs its population; found '0.01 / day'; allowed: {RATE}",
    ),
    Case(
        "rate_unit",
        changed("0.01 / rack-day", "0.01 / rack-dya"),
        "s.yaml:13: faults.classes.rack_power.rate: unknown unit of time 'dya'; found '0.01 / "
        f"rack-dya'; allowed: {RATE}; did you mean 'rack-day'?",
    ),
    Case(
        "rate_negative",
        changed("0.01 / rack-day", "-0.01 / rack-day"),
        f"s.yaml:13: faults.classes.rack_power.rate: negative rate; found '-0.01 / rack-day'; allowed: {RATE}",
    ),
    Case(
        "rate_zero_exposure",
        changed("0.01 / rack-day", "1 / 0 rack-days"),
        "s.yaml:13: faults.classes.rack_power.rate: an exposure of 0 or less; found '1 / 0 rack-"
        f"days'; allowed: {RATE}",
    ),
    Case(
        "rate_unknown_population",
        changed("0.01 / rack-day", "0.01 / rck-day"),
        "s.yaml:13: faults.classes.rack_power.rate: class 'rack_power' has an unknown population;"
        " found 'rck'; allowed: node, GPU, rack; did you mean 'rack'?",
    ),
    Case(
        "mtbf_without_population",
        changed("rate: 0.01 / rack-day", "mtbf: 42 days"),
        "s.yaml:13: faults.classes.rack_power.mtbf: a mean time between failures needs its "
        "population; found '42 days'; allowed: a duration per member of a population, such as \"42"
        ' days per node"',
    ),
    Case(
        "rate_and_mtbf",
        changed("rate: 0.01 / rack-day", "rate: 0.01 / rack-day, mtbf: 42 days per rack"),
        "s.yaml:13: faults.classes.rack_power: rate and mtbf are two ways of saying the same; allowed: one of the two",
    ),
    # types
    Case(
        "zero_nodes",
        changed("  nodes: 16", "  nodes: 0"),
        "s.yaml:6: cluster.nodes: too small; found 0; allowed: at least 1",
    ),
    Case(
        "negative_nodes",
        changed("  nodes: 16", "  nodes: -16"),
        "s.yaml:6: cluster.nodes: too small; found -16; allowed: at least 1",
    ),
    Case(
        "fraction_of_node",
        changed("  nodes: 16", "  nodes: 16.5"),
        "s.yaml:6: cluster.nodes: not a whole number; found 16.5; allowed: a whole number",
    ),
    Case(
        "nodes_as_text",
        changed("  nodes: 16", '  nodes: "16"'),
        "s.yaml:6: cluster.nodes: not a whole number; found '16'; allowed: a whole number",
    ),
    Case(
        "bool_for_number",
        changed("  nodes: 16", "  nodes: true"),
        "s.yaml:6: cluster.nodes: not a whole number; found true; allowed: a whole number",
    ),
    Case(
        "number_for_bool",
        changed("scope: rack,", "scope: rack, stops_job: 1,"),
        "s.yaml:13: faults.classes.rack_power.stops_job: neither true nor false; found 1; allowed: true or false",
    ),
    Case(
        "no_for_false",
        changed("scope: rack,", "scope: rack, stops_job: no,"),
        "s.yaml:13: faults.classes.rack_power.stops_job: neither true nor false; found 'no'; "
        "allowed: true or false; did you mean 'false'?",
    ),
    Case(
        "list_for_mapping",
        changed("{policy: replace, phases: {image: 60 s}}", "[replace]"),
        "s.yaml:27: recovery: not a mapping; found a list; allowed: a mapping of keys",
    ),
    Case(
        "mapping_for_list",
        changed("  tiers:\n    - {name: remote", "  tiers:\n    {name: remote"),
        "s.yaml:25: checkpoint.tiers: not a list; found a mapping; allowed: a list",
    ),
    Case("number_for_name", changed("name: small", "name: 7"), "s.yaml:1: name: not a text; found 7; allowed: a text"),
    Case(
        "name_with_space",
        changed("name: small", "name: a b"),
        "s.yaml:1: name: not a name; found 'a b'; allowed: letters, digits and _ . + -, no space,"
        " first a letter, a digit or _",
    ),
    Case(
        "too_many_replications",
        changed("replications: 4", "replications: 10000000"),
        "s.yaml:3: replications: too large; found 10000000; allowed: at most 1000000",
    ),
    # choices
    Case(
        "unknown_node_preset",
        changed("{gpus: 8, price: 2.95 USD/GPU/h}", "h100_8gpus"),
        f"s.yaml:7: cluster.node: unknown node type; found 'h100_8gpus'; allowed: {NODE_TYPES}; "
        "did you mean 'h100_8gpu'?",
    ),
    Case(
        "unknown_fault_mix",
        changed("  classes:\n    gpu:", "  mix: lama3_2024\n  classes:\n    gpu:"),
        "s.yaml:11: faults.mix: unknown failure mix; found 'lama3_2024'; allowed: "
        f"{FAILURE_MIXES}; did you mean 'llama3_2024'?",
    ),
    Case(
        "unknown_repair",
        changed("operator_mix_assumed", "operator_mix"),
        "s.yaml:15: repairs.mix: unknown repair mix; found 'operator_mix'; allowed: "
        f"{REPAIR_MIXES}; did you mean 'operator_mix_assumed'?",
    ),
    Case(
        "unknown_policy",
        changed("{policy: easy}", "{policy: eazy}"),
        f"s.yaml:28: scheduling.policy: not one of the choices; found 'eazy'; allowed: {SCHEDULERS}; "
        "did you mean 'easy'?",
    ),
    Case(
        "unknown_policy_key",
        changed("{policy: easy}", "{policy: easy, zzz: 4}"),
        f"s.yaml:28: scheduling.zzz: unknown key; allowed: {SCHEDULING_KEYS}",
    ),
    Case(
        "reservation_for_nobody",
        GOOD + "reservations: [{name: r, start: 1 h, duration: 1 h, nodes: 2}]\n",
        "s.yaml:32: reservations.0: a reservation is for an account, or for maintenance; "
        "allowed: account: team-a, or maintenance: true",
    ),
    Case(
        "reservation_off_the_machine",
        GOOD + "reservations: [{name: r, start: 1 h, duration: 1 h, nodes: 17, account: a}]\n",
        "s.yaml:32: reservations.0.nodes: these nodes do not exist; found 17; allowed: the machine has 16 nodes",
    ),
    Case(
        "reservation_repeats_too_soon",
        GOOD + "reservations: [{name: r, start: 1 h, duration: 2 h, nodes: 2, account: a, every: 1 h}]\n",
        "s.yaml:32: reservations.0.every: it repeats before it is over; found 3600 s; "
        "allowed: at least 7200 s, its duration",
    ),
    Case(
        "reservation_for_a_stranger",
        changed("submit: 0 s", "submit: 0 s, account: vision")
        + "reservations: [{name: r, start: 1 h, duration: 1 h, nodes: 2, account: visoin}]\n",
        "s.yaml:32: reservations.0.account: no job is on this account; found 'visoin'; allowed: vision; "
        "did you mean 'vision'?",
    ),
    Case(
        "reservations_meet",
        changed("submit: 0 s", "submit: 0 s, account: a")
        + "reservations:\n"
        + "  - {name: r, start: 1 h, duration: 2 h, nodes: 4, account: a}\n"
        + "  - {name: s, start: 2 h, duration: 2 h, nodes: 4, first_node: 3, maintenance: true}\n",
        "s.yaml:32: reservations: r and s want the same nodes at the same time; allowed: windows that do not overlap",
    ),
    Case(
        "unknown_partition",
        changed("submit: 0 s", "submit: 0 s, partition: man").replace(
            "cluster:\n", "cluster:\n  partitions: {main: 4}\n", 1
        ),
        "s.yaml:21: workload.jobs.0.partition: unknown partition; found 'man'; allowed: main; did you mean 'main'?",
    ),
    Case(
        "elastic_widths",
        changed("submit: 0 s", "submit: 0 s, elastic: {fewest: 40}"),
        "s.yaml:20: workload.jobs.0.elastic: these widths do not fit together; found 40, 12 and 12 of 14 nodes; "
        "allowed: fewest <= nodes <= most <= the machine without its spares",
    ),
    Case(
        "bug_without_end",
        changed("submit: 0 s", "submit: 0 s, work: 1 h, fails_after: 1 min").replace("horizon: 10 days\n", ""),
        "s.yaml:19: workload.jobs.0.fails_after: a bug of its own stops every attempt, and it comes back without end; "
        "allowed: a horizon, or recovery: {most_requeues: 3}, for example",
    ),
    Case(
        "share_of_nobody",
        changed("submit: 0 s", "submit: 0 s, account: vision").replace(
            "{policy: easy}", "{policy: multifactor, shares: {visio: 2}}"
        ),
        "s.yaml:28: scheduling.shares.visio: no job is on this account; found 'visio'; allowed: vision; "
        "did you mean 'vision'?",
    ),
    Case(
        "estimate_missing",
        changed("{policy: easy}", "{policy: conservative}"),
        "s.yaml:20: workload.jobs.0: policy 'conservative' needs an estimate of every job; "
        'allowed: requested: "12 h"',
    ),
    Case(
        "submit_every_of_one",
        changed("submit: 0 s", "submit: 0 s, submit_every: 1 h"),
        "s.yaml:20: workload.jobs.0.submit_every: there is one copy, which is submitted once; allowed: copies",
    ),
    Case(
        "key_of_other_policy",
        changed("{policy: replace, phases", "{policy: fail, give_up_after: 3, phases"),
        "s.yaml:27: recovery.give_up_after: policy 'fail' has no such key (a key of replace, requeue, "
        "replace_or_requeue, replace_or_shrink); found 'give_up_after'; allowed: none are defined here",
    ),
    Case(
        "unknown_interval",
        changed("interval: young", "interval: yung"),
        "s.yaml:26: checkpoint.tiers.0.interval: unknown checkpoint interval; found 'yung'; "
        'allowed: fixed, young, daly, exact, never, or a duration such as "10.8 s"; did you mean '
        "'young'?",
    ),
    Case(
        "unknown_spare_kind",
        changed("kind: warm", "kind: lukewarm"),
        "s.yaml:9: cluster.spares.kind: not one of the choices; found 'lukewarm'; allowed: hot, "
        "warm, cold; did you mean 'warm'?",
    ),
    Case(
        "unknown_scope",
        changed("scope: rack", "scope: rak"),
        "s.yaml:13: faults.classes.rack_power.scope: class 'rack_power' has an unknown scope; "
        "found 'rak'; allowed: node, rack; did you mean 'rack'?",
    ),
    Case(
        "unknown_clock",
        changed("component: rack,", "component: rack, clock: underload,"),
        "s.yaml:13: faults.classes.rack_power.clock: not one of the choices; found 'underload'; "
        "allowed: calendar, powered, under_load; did you mean 'under_load'?",
    ),
    Case(
        "unknown_metric",
        GOOD + "report: {answer: {metric: etr}}\n",
        f"s.yaml:32: report.answer.metric: unknown metric; found 'etr'; allowed: {METRIC_NAMES}; did you mean 'ettr'?",
    ),
    # rules between keys
    Case(
        "probabilities",
        changed("25 %", "20 %"),
        "s.yaml:17: repairs.mixes.quick.tiers: the probabilities of the tiers must sum to 1; found 0.95",
    ),
    Case(
        "job_too_large",
        changed("nodes: 12", "nodes: 15"),
        "s.yaml:20: workload.jobs.0.nodes: the job is larger than the machine; found 15 nodes; "
        "allowed: at most 14: 16 nodes less 2 spares",
    ),
    Case(
        "spares_take_all",
        changed("count: 2", "count: 16"),
        "s.yaml:9: cluster.spares.count: no node is left to work; found 16 spares of 16 nodes; "
        "allowed: fewer spares than nodes",
    ),
    Case(
        "job_without_size",
        changed("nodes: 12, ", ""),
        "s.yaml:20: workload.jobs.0: the size of a job is given once; allowed: nodes or gpus",
    ),
    Case(
        "job_with_two_sizes",
        changed("gpus: 8\n", "gpus: 8\n      nodes: 1\n"),
        "s.yaml:21: workload.jobs.1: the size of a job is given once; allowed: nodes or gpus",
    ),
    Case(
        "duplicate_jobs",
        changed("name: probe", "name: pretrain"),
        "s.yaml:21: workload.jobs.1.name: this name is taken by another job; found 'pretrain'; allowed: unique names",
    ),
    Case(
        "nothing_runs",
        GOOD.split("workload:")[0] + "workload: {}\n",
        "s.yaml:18: workload: nothing runs; allowed: jobs, trace or synthetic",
    ),
    Case(
        "warm_up_too_long",
        changed("seed: 1", "seed: 1\nwarm_up: 11 days"),
        "s.yaml:3: warm_up: must be shorter than the horizon; found 950400 s; allowed: less than 864000 s",
    ),
    Case(
        "no_end",
        changed("horizon: 10 days\n", ""),
        "s.yaml:19: workload.jobs.0: a job without work runs to the horizon, and there is none; "
        "allowed: work or horizon",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_value_is_one_exact_line(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    case.write(tmp_path)
    with pytest.raises(InputError) as caught:
        scenario.load(FILE, settings=case.settings)
    assert str(caught.value) == case.expected
