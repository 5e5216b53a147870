"""Policies given as objects: what is refused and how it is said, copies, packing, and what results say of them."""

import dataclasses
import io
import pickle
import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

import simulator as sim
from simulator.errors import InputError
from simulator.experiments.own_policies import OwnVariant, comment, own_variants
from simulator.policies.scheduling.easy import Easy

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def scenario():
    return sim.load(ROOT / "scenarios" / "trace_replay.yaml")


class Bare:
    """Has the method of a scheduler and no repr of its own."""

    def schedule(self, view):
        return []


WRONG = {
    "no mapping": (
        Bare(),
        "policies: not a mapping; found an object of ",
        "a name for a new variant and its policies, such as {'mine': {'scheduling': MyPolicy()}}",
    ),
    "what run takes": (
        {"scheduling": Easy()},
        "policies: a policy without a variant; found 'scheduling'",
        "a name for the new variant around it, such as {'mine': {'scheduling': ...}}",
    ),
    "a policy without its family": (
        {"mine": Easy()},
        "policies.mine: not a mapping; found Easy()",
        "a family and your policy, such as {'mine': {'scheduling': MyPolicy()}}",
    ),
    "a name that is taken": (
        {"easy": {"scheduling": Easy()}},
        "policies: the scenario has a variant of this name; found 'easy'",
        "none of fifo, easy",
    ),
    "a name that is no text": ({1: {"scheduling": Easy()}}, "policies: not a name for a variant; found 1", "printable"),
    "a name that would break a comment": (
        {"a\nb": {"scheduling": Easy()}},
        "policies: not a name for a variant; found 'a\\nb'",
        "printable text",
    ),
    "nothing to change": (
        {"mine": {}},
        "policies.mine: no policy",
        "a policy of scheduling, placement, recovery, checkpointing",
    ),
    "only a base": ({"mine": {"variant": "easy"}}, "policies.mine: no policy", "a policy of scheduling"),
    "an unknown base": (
        {"mine": {"variant": "eassy", "scheduling": Easy()}},
        "unknown variant; found 'eassy'",
        "did you mean 'easy'?",
    ),
    "a base that is no text": (
        {"mine": {"variant": 2, "scheduling": Easy()}},
        "policies.mine.variant: not the name of a variant; found 2",
        "text",
    ),
    "an unknown family": (
        {"mine": {"schedulling": Easy()}},
        "policies.mine: unknown family of policies; found 'schedulling'",
        "did you mean 'scheduling'?",
    ),
    "a class": (
        {"mine": {"scheduling": Bare}},
        "policies.mine.scheduling: a class, not an object; found Bare",
        "allowed: Bare(...)",
    ),
    "another family": (
        {"mine": {"placement": Easy()}},
        "policies.mine.placement: not a policy of this family; found Easy()",
        "an object with the method place(view)",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_refused_is_named(scenario, case):
    policies, *texts = WRONG[case]
    with pytest.raises(InputError) as caught:
        sim.compare(scenario, policies=policies, workers=1)
    for text in texts:
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("policies", "text"),
    [
        (Easy(), "policies: not a mapping; found Easy()"),
        ({"scheduling": Easy}, "policies.scheduling: a class, not an object; found Easy; allowed: Easy(...)"),
        ({"recovery": Easy()}, "policies.recovery: not a policy of this family; found Easy()"),
    ],
)
def test_run_refuses_the_same(scenario, policies, text):
    with pytest.raises(InputError) as caught:
        sim.run(scenario, policies=policies)
    assert text in str(caught.value)


def test_resume_is_refused(scenario, tmp_path):
    with pytest.raises(InputError) as caught:
        sim.compare(scenario, policies={"mine": {"scheduling": Easy()}}, output=tmp_path / "out", resume=True)
    assert str(caught.value) == (
        "resume: a study with policies of your own cannot be resumed; found policies of mine; "
        "allowed: resume=False: nothing says whether code is the same as before"
    )
    assert list(tmp_path.iterdir()) == []


class Locked(Bare):
    def __init__(self):
        self.lock = threading.Lock()


class OnlyCopied(Bare):
    """Can be copied and not pickled."""

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        raise TypeError("stays here")


def test_what_cannot_travel_is_refused_before_anything_is_done(scenario, tmp_path):
    with pytest.raises(InputError) as caught:
        sim.compare(scenario, policies={"mine": {"scheduling": Locked()}}, workers=1, output=tmp_path / "out")
    assert str(caught.value) == (
        "policies.mine: the policies cannot be copied; found TypeError: cannot pickle '_thread.lock' object; "
        "allowed: objects that copy.deepcopy can copy: every replication gets its own"
    )
    mine = {"mine": {"scheduling": OnlyCopied()}}
    with pytest.raises(InputError) as caught:
        sim.compare(scenario, policies=mine, workers=2, output=tmp_path / "out")
    assert str(caught.value) == (
        "policies.mine: the policies cannot be sent to worker processes; found TypeError: stays here; "
        "allowed: objects that can be pickled, of a notebook, a script or a module that can be imported; or workers=1"
    )
    assert list(tmp_path.iterdir()) == []
    assert sim.compare(scenario, policies=mine, workers=1).variants == ["fifo", "easy", "mine"]


def test_the_base_is_the_first_variant_unless_another_is_named(scenario):
    own = own_variants({"a": {"scheduling": Easy()}, "b": {"variant": "easy", "scheduling": Easy()}}, scenario)
    assert {name: variant.base for name, variant in own.items()} == {"a": "fifo", "b": "easy"}
    assert list(own["b"].policies) == ["scheduling"]
    assert own_variants(None, scenario) == own_variants({}, scenario) == {}


class Both(Bare):
    def __init__(self):
        self.seen = []

    def place(self, view):
        return []


def test_copies_are_fresh_and_one_object_stays_one_object():
    policy = Both()
    first = OwnVariant("mine", "base", {"scheduling": policy, "placement": policy}).fresh()
    assert first["scheduling"] is first["placement"]
    first["scheduling"].seen.append(1)
    assert policy.seen == []


def test_classes_that_nobody_can_import_travel_as_code():
    """As those of a notebook: their module is not there in a worker."""
    namespace = {"__name__": "__main__", "np": np, "OFFSET": 40}
    exec("class Mine:\n    def interval_s(self, view):\n        return float(np.float64(2)) + OFFSET\n", namespace)
    variant = OwnVariant("mine", "base", {"checkpointing": namespace["Mine"]()})
    arrived = pickle.loads(pickle.dumps(variant))
    assert (arrived.name, arrived.base) == ("mine", "base")
    assert arrived.policies["checkpointing"].interval_s(None) == 42.0
    assert arrived.fresh()["checkpointing"] is not arrived.policies["checkpointing"]


def test_a_module_that_a_worker_lacks_is_named(monkeypatch):
    module = types.ModuleType("only_here")
    exec("class Mine:\n    def schedule(self, view):\n        return []\n", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    packed = pickle.dumps(OwnVariant("mine", "base", {"scheduling": module.Mine()}))
    monkeypatch.delitem(sys.modules, "only_here")
    arrived = pickle.loads(packed)  # opens no code of the user
    with pytest.raises(InputError) as caught:
        arrived.fresh()
    assert str(caught.value) == (
        "policies.mine: the policies cannot be loaded in a worker process; "
        "found ModuleNotFoundError: No module named 'only_here'; "
        "allowed: objects that can be pickled, of a notebook, a script or a module that can be imported; or workers=1"
    )


@dataclasses.dataclass
class Told(Bare):
    text: str
    inner: object = None


def test_results_say_what_is_known_of_a_policy_and_no_address():
    rows = OwnVariant("mine", "fifo", {"scheduling": Bare(), "placement": Told("a\n# b: {c", Bare())}).described()
    assert [(row["variant"], row["of"], row["family"]) for row in rows] == [
        ("mine", "fifo", "scheduling"),
        ("mine", "fifo", "placement"),
    ]
    assert rows[0]["class"].endswith("test_own_policies.Bare")
    assert rows[0]["repr"] == ""
    assert rows[1]["repr"].startswith("Told(text='a\\n# b: {c', inner=<")
    assert " at 0x" not in rows[1]["repr"]
    assert len(OwnVariant("mine", "fifo", {"scheduling": Told("x" * 500)}).described()[0]["repr"]) == 200


class Vandal(Bare):
    def __repr__(self):
        return "broken: [\n\x00- {"


def test_comments_never_change_what_a_file_says():
    text = comment({"mine": OwnVariant("mine", "fifo", {"scheduling": Vandal(), "placement": Told("é")})})
    assert text.decode().splitlines() == [
        "# Not in this file, because their policies were given in code:",
        "#   mine: variant fifo with scheduling = broken: [ - {, placement = Told(text='é', inner=None)",
    ]
    assert YAML(typ="safe").load(io.BytesIO(text + b"a: 1\n")) == {"a": 1}
    assert comment({}) == b""
