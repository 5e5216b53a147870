"""From a scenario to the world of one replication: the only place that knows both."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simulator.accounting.energy import PowerModel
from simulator.cluster.inventory import NO_TIERS, Machine, contiguous_domains
from simulator.engine.world import World
from simulator.network.parts import groups_of_nodes
from simulator.scenario.fabrics import fabric_parts, network_of, storage_of
from simulator.scenario.policy_fields import build, build_scheduling
from simulator.scenario.resolution import fault_classes
from simulator.scenario.resolved import Scenario
from simulator.scenario.schema import VariantSpec
from simulator.scenario.synthetic import synthetic_jobs
from simulator.scenario.windows import windows_of
from simulator.scenario.workloads import as_recorded, in_order, jobs_of, stamp_of
from simulator.workload.job import JobTable


def assemble(scenario: Scenario, variant: str, seed: int, replication: int) -> World:
    """Return the world of one variant in one replication.

    Parameters
    ----------
    scenario : Scenario
        The loaded scenario.
    variant : str
        Name of the variant.
    seed, replication : int
        Key of all random streams.

    Returns
    -------
    World

    Raises
    ------
    InputError
        If there is no such variant, or its trace cannot be read.

    Notes
    -----
    Nothing but the key of the streams and the jobs drawn by them depends on the replication, so everything else is
    made once per process for each (scenario, variant) and shared; it is never changed.
    """
    spec = scenario.variant(variant)
    world = replace(_prepared(scenario, variant, stamp_of(spec.workload.trace)), seed=seed, replication=replication)
    return world if spec.workload.synthetic is None else replace(world, jobs=_with_synthetic(spec, world))


def _with_synthetic(spec: VariantSpec, world: World) -> JobTable:
    """Return the jobs of a world and those drawn for its replication, whose profile is the last."""
    section, gpus = spec.workload.synthetic, spec.cluster.node.gpus
    assert section is not None
    drawn = synthetic_jobs(section, gpus, spec.cluster.working_gpus, spec.horizon, world.seed, world.replication)
    return in_order([world.jobs, as_recorded(drawn, spec, section, len(world.profiles) - 1, list(world.curves))])


@functools.lru_cache(maxsize=64)
def _prepared(scenario: Scenario, variant: str, stamp: tuple[int, int]) -> World:
    spec = scenario.variant(variant)
    jobs, profiles, curves = jobs_of(spec)
    return World(
        machine=_machine(spec),
        faults=fault_classes(spec),
        technicians=spec.repairs.technicians,
        jobs=jobs,
        profiles=profiles,
        scheduling=build_scheduling(spec.scheduling),
        placement=build("placement", spec.placement),
        health=None if spec.health is None else build("health", spec.health),
        network=network_of(spec.cluster),
        storage=storage_of(spec.cluster),
        windows=windows_of(spec),
        partitions=dict(spec.cluster.partitions) or None,
        curves=curves,
        power=_power(spec),
        price_usd_per_gpu_s=spec.cluster.price_usd_per_gpu_s,
        horizon_s=spec.horizon,
        warm_up_s=spec.warm_up,
        sample_every_s=spec.sample_every,
        seed=0,
        replication=0,
        keeps_spans=spec.report.spans,
    )


def _machine(spec: VariantSpec) -> Machine:
    cluster, network = spec.cluster, network_of(spec.cluster)
    domains = {kind: contiguous_domains(cluster.nodes, size) for kind, size in cluster.domain_sizes.items()}
    return Machine(
        nodes=cluster.nodes,
        gpus_per_node=cluster.node.gpus,
        node_type=cluster.node.name,
        spare_nodes=cluster.spare_nodes,
        spare_kind=cluster.spares.kind,
        spare_domain=None if cluster.spares.per is None else domains[cluster.spares.per],
        domains=domains,
        tiers=NO_TIERS if network is None else groups_of_nodes(network.fabric, cluster.nodes),
        fabric_units=fabric_parts(cluster),
        scale_up=_scale_up(spec),
    )


def _scale_up(spec: VariantSpec) -> NDArray[np.int64]:
    """Return the scale-up domain of every node: several nodes share one where it has more GPUs than a node."""
    section, cluster = spec.cluster.fabric, spec.cluster
    wide = 1 if section is None or section.scale_up is None else section.scale_up.gpus // cluster.node.gpus
    return contiguous_domains(cluster.nodes, max(wide, 1))


def _power(spec: VariantSpec) -> PowerModel | None:
    node = spec.cluster.node
    if node.power is None:
        return None
    busy_w, idle_w, off_w = (watts / node.gpus for watts in (node.power.busy, node.power.idle, node.power.off))
    return PowerModel(busy_w, idle_w, off_w, spec.cluster.spares.kind == "cold")
