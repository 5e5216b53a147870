"""What is allowed in a scenario and yet probably not meant, in a sentence each."""

from __future__ import annotations

from collections.abc import Iterator

from simulator.scenario.schema import VariantSpec
from simulator.scenario.sizes import job_nodes
from simulator.scenario.training import model_of, plan_of
from simulator.workload.plans import memory


def warnings_of(spec: VariantSpec) -> Iterator[str]:
    """Yield what a variant probably does not mean."""
    yield from _idle_preemption(spec)
    yield from _tight_memory(spec)
    yield from _other_generation(spec)


def _idle_preemption(spec: VariantSpec) -> Iterator[str]:
    if spec.scheduling.chosen() != "preemptive" and spec.scheduling.preemption is None:
        return
    workload = spec.workload
    classes = {job.priority for job in workload.jobs}
    for recorded in (workload.trace, workload.synthetic):
        if recorded is not None:
            classes |= {0, *(step.priority for step in recorded.priorities)}
    if len(classes) == 1:
        yield "scheduling: all jobs are of one class of priority, so nobody can be preempted; give jobs a priority"


def _tight_memory(spec: VariantSpec) -> Iterator[str]:
    accelerator = spec.cluster.node.accelerator
    for job in spec.workload.jobs:
        if job.training is None or accelerator is None:
            continue
        needed = memory(model_of(job.training), plan_of(job.training, job_nodes(spec, job) * spec.cluster.node.gpus))
        if needed.total > accelerator.memory:
            least = f"more than its {accelerator.memory / 1e9:.0f} GB, if nothing is freed early or moved to the host"
            yield f"job {job.name!r}: its plan counts {needed.in_words}, {least}"


def _other_generation(spec: VariantSpec) -> Iterator[str]:
    """Yield where rates or latencies of the network are those of other GPUs than the nodes have."""
    fabric, node = spec.cluster.fabric, spec.cluster.node
    if fabric is None or "gpu" not in node.model_fields_set:
        return
    for key, section, allowed in (
        ("cluster.fabric", fabric, "rate and scale_up of those nodes"),
        ("cluster.fabric.transport", fabric.transport, "a preset for those nodes, or a mapping"),
    ):
        if section.gpu_models and not node.gpu.startswith(section.gpu_models):
            meant = " and ".join(section.gpu_models)
            yield f"{key}: {section.name} is for {meant}, but the nodes have {node.gpu}; write {allowed}"
