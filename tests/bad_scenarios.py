"""A small good scenario, and what tests of broken ones need."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

FILE = "s.yaml"

GOOD = """\
name: small
seed: 1
replications: 4
horizon: 10 days
cluster:
  nodes: 16
  node: {gpus: 8, price: 2.95 USD/GPU/h}
  domains: {rack: 4}
  spares: {count: 2, kind: warm}
faults:
  classes:
    gpu: {component: GPU, rate: 19.7 / 1e6 GPU-hours, detect: 10 s}
    rack_power: {component: rack, rate: 0.01 / rack-day, scope: rack, repair: quick}
repairs:
  mix: operator_mix_assumed
  mixes:
    quick: {tiers: {reset: {probability: 0.75, time: 1 h}, swap: {probability: 25 %, time: 1 day}}}
workload:
  jobs:
    - {name: pretrain, nodes: 12, submit: 0 s}
    - name: probe
      gpus: 8
      work: 2 h
checkpoint:
  tiers:
    - {name: remote, blocking: 30 s, load: 60 s, interval: young}
recovery: {policy: replace, phases: {image: 60 s}}
scheduling: {policy: easy}
variants:
  now: {}
  more_spares: {cluster.spares.count: 4}
"""


@dataclass(frozen=True)
class Case:
    """A broken scenario file, what else is there and given, and the one line the user gets."""

    name: str
    text: str | bytes
    expected: str
    settings: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        for name, text in {FILE: self.text, **self.files}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())


def changed(old: str, new: str) -> str:
    """The good scenario with one place changed."""
    assert GOOD.count(old) == 1, f"{old!r} stands {GOOD.count(old)} times in the good scenario"
    return GOOD.replace(old, new)
