"""What a job of the scenario file asks for."""

from __future__ import annotations

from simulator.scenario.schema import VariantSpec
from simulator.scenario.schema_workload import JobSection


def job_nodes(spec: VariantSpec, job: JobSection) -> int:
    """Return the whole nodes a job holds, 1 for one that shares a node."""
    if job.gpus is not None:
        return -(-job.gpus // spec.cluster.node.gpus)
    if job.nodes == "all":
        return spec.cluster.nodes - spec.cluster.spare_nodes
    assert isinstance(job.nodes, int), "checked before"
    return job.nodes


def job_names(job: JobSection) -> list[str]:
    """Return the names of a job and its copies."""
    return [job.name] if job.copies == 1 else [f"{job.name}-{copy}" for copy in range(job.copies)]


def unasked_nodes(spec: VariantSpec) -> int:
    """Return the nodes that are no spares and that all jobs together leave; 0 where jobs are drawn or logged."""
    workload, g = spec.workload, spec.cluster.node.gpus
    if workload.synthetic is not None or workload.trace is not None:
        return 0
    whole, parts = 0, 0
    for job in workload.jobs:
        if job.gpus is not None and job.gpus < g and spec.cluster.node_sharing:
            parts += job.copies * job.gpus
        else:
            widest = job_nodes(spec, job) if job.elastic is None else (job.elastic.most or job_nodes(spec, job))
            whole += job.copies * widest
    return max(spec.cluster.nodes - spec.cluster.spare_nodes - whole - -(-parts // g), 0)
