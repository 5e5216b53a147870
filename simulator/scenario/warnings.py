"""What is allowed in a scenario and yet probably not meant, in a sentence each."""

from __future__ import annotations

from collections.abc import Iterator

from simulator.scenario.schema import VariantSpec


def warnings_of(spec: VariantSpec) -> Iterator[str]:
    """Yield what a variant probably does not mean."""
    yield from _idle_preemption(spec)


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
