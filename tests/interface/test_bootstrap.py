"""The set-up script: what it notices, what it says, what it returns."""

from __future__ import annotations

import ast
import importlib.util
import os
import stat
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bootstrap() -> ModuleType:
    specification = importlib.util.spec_from_file_location("bootstrap_under_test", ROOT / "bootstrap.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "toy"\n[tool.ruff]\nline-length = 110\n')
    (tmp_path / "constraints.txt").write_text("numpy==2.0\n")
    return tmp_path


class Recorded:
    """Stands in for venv and pip: makes the interpreter's file, notes what is installed, fails if told to."""

    def __init__(self, module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made = 0
        self.installed: list[tuple[str, ...]] = []
        self.fail_install = False
        self._module = module
        monkeypatch.setattr(module, "check", self._check)
        monkeypatch.setattr(module.Environment, "install", lambda _, extras: self._install(extras))

    def _check(self, command: list[str], problem: str) -> None:
        assert command[1:3] == ["-m", "venv"], problem
        folder = Path(command[3])
        scripts = folder / ("Scripts" if os.name == "nt" else "bin")
        scripts.mkdir()
        (scripts / ("python.exe" if os.name == "nt" else "python")).touch()
        self.made += 1

    def _install(self, extras: tuple[str, ...]) -> None:
        if self.fail_install:
            raise self._module.SetUpError("pip could not install")
        self.installed.append(extras)


@pytest.fixture
def recorded(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    return Recorded(bootstrap, monkeypatch)


def test_parses_under_the_old_pythons_it_must_speak_to() -> None:
    ast.parse((ROOT / "bootstrap.py").read_text(encoding="utf-8"), feature_version=(3, 6))


def test_uses_the_standard_library_only() -> None:
    tree = ast.parse((ROOT / "bootstrap.py").read_text(encoding="utf-8"))
    names = {alias.name.partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    names |= {(n.module or "").partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert names <= sys.stdlib_module_names


def test_second_set_up_does_nothing(bootstrap: ModuleType, project: Path, recorded: Recorded) -> None:
    for _ in range(2):
        bootstrap.Environment(project).set_up(("test",))
        bootstrap.Environment(project).set_up(())
    assert (recorded.made, recorded.installed) == (1, [("test",)])


def test_extras_are_added_to_those_installed(bootstrap: ModuleType, project: Path, recorded: Recorded) -> None:
    bootstrap.Environment(project).set_up(())
    bootstrap.Environment(project).set_up(("test",))
    assert (recorded.made, recorded.installed) == (1, [(), ("test",)])


@pytest.mark.parametrize(
    ("file", "text", "again"),
    [
        ("constraints.txt", "numpy==2.1\n", True),
        ("pyproject.toml", '[project]\nname = "toy"\ndependencies = ["scipy"]\n', True),
        ("pyproject.toml", '[project]\nname = "toy"\n[tool.ruff]\nline-length = 90\n', False),
    ],
)
def test_installs_again_when_requirements_or_pins_change(
    bootstrap: ModuleType, project: Path, recorded: Recorded, file: str, text: str, again: bool
) -> None:
    bootstrap.Environment(project).set_up(("test",))
    (project / file).write_text(text)
    bootstrap.Environment(project).set_up(())
    assert recorded.installed == [("test",)] * (1 + again)
    assert recorded.made == 1


def test_interrupted_set_up_is_redone_from_nothing(bootstrap: ModuleType, project: Path, recorded: Recorded) -> None:
    recorded.fail_install = True
    environment = bootstrap.Environment(project)
    with pytest.raises(bootstrap.SetUpError):
        environment.set_up(())
    (environment.folder / "half-installed").touch()
    recorded.fail_install = False
    environment.set_up(())
    assert recorded.made == 2
    assert not (environment.folder / "half-installed").exists()
    assert environment.is_ready(())


def test_environment_made_by_hand_is_built_upon(bootstrap: ModuleType, project: Path, recorded: Recorded) -> None:
    environment = bootstrap.Environment(project)
    environment.scripts.mkdir(parents=True)
    environment.python.touch()
    (environment.folder / "mine").touch()
    environment.set_up(())
    assert (recorded.made, recorded.installed) == (0, [()])
    assert (environment.folder / "mine").exists()


def test_moved_project_makes_its_environment_anew(
    bootstrap: ModuleType, project: Path, recorded: Recorded, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bootstrap.Environment(project).set_up(())
    moved = tmp_path_factory.mktemp("elsewhere") / "moved"
    project.rename(moved)
    bootstrap.Environment(moved).set_up(())
    assert recorded.made == 2


def test_unreadable_stamp_counts_as_none(bootstrap: ModuleType, project: Path, recorded: Recorded) -> None:
    environment = bootstrap.Environment(project)
    environment.set_up(())
    environment.stamp.write_text("{")
    assert not environment.is_ready(())
    environment.set_up(())
    assert environment.is_ready(())


@pytest.mark.parametrize(
    ("version", "suitable"),
    [((3, 10), False), ((3, 11), True), ((3, 15), True), ((3, 16), False), ((2, 7), False)],
)
def test_suitable_pythons(bootstrap: ModuleType, version: tuple[int, int], suitable: bool) -> None:
    assert bootstrap.is_suitable(version) is suitable


@pytest.mark.skipif(os.name == "nt", reason="makes executables that are shell scripts")
def test_finds_a_newer_python_and_passes_by_broken_ones(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(name: str, script: str) -> str:
        file = tmp_path / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        return str(file)

    command("python3.11", "echo 'command not found' >&2; exit 127")  # a version manager's empty shim
    command("python3.12", "echo something else")
    command("python3", "echo 3 9")
    wanted = command("python3.13", "echo 3 13")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bootstrap.find_python() == wanted
    Path(wanted).unlink()
    assert bootstrap.find_python() is None


def test_says_what_to_install_where_no_python_will_do(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 9, 1, "final", 0))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bootstrap.main(["test"]) == 1
    assert capsys.readouterr().err == (
        "bootstrap: Python 3.11 to 3.15 is needed and this is 3.9; "
        "no other suitable Python with venv is on PATH. Install one and call this again.\n"
    )


def test_says_which_package_brings_venv(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 12, 1, "final", 0))
    monkeypatch.setattr(bootstrap, "has_venv", lambda: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bootstrap.main(["run"]) == 1
    assert "has no venv module (Debian, Ubuntu: install python3.12-venv)" in capsys.readouterr().err


def test_all_steps_run_and_the_first_failure_is_returned(
    bootstrap: ModuleType,
    project: Path,
    recorded: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def made_up_steps(*_: object) -> list[tuple[str, list[str]]]:
        codes = {"first": 0, "second": 3, "third": 4, "fourth": 0}
        return [(name, [sys.executable, "-c", f"raise SystemExit({code})"]) for name, code in codes.items()]

    monkeypatch.setattr(bootstrap, "steps", made_up_steps)
    monkeypatch.chdir(project)  # the command changes the folder; this brings it back
    assert bootstrap.test(bootstrap.Environment(project), []) == 3
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[2:6]] == [
        ["first", "passed"],
        ["second", "FAILED"],
        ["third", "FAILED"],
        ["fourth", "passed"],
    ]


def test_slow_runs_the_slow_tests_only(bootstrap: ModuleType, project: Path) -> None:
    environment = bootstrap.Environment(project)
    (step,) = bootstrap.steps(environment, True, ["-n", "0"])
    assert step[1] == [str(environment.python), "-m", "pytest", "-n", "0", "-m", "slow"]
    names = [name for name, _ in bootstrap.steps(environment, False, [])]
    assert names == ["ruff check", "ruff format", "mypy", "lint-imports", "pytest"]


def test_run_compares_the_quickstart_by_default(
    bootstrap: ModuleType, project: Path, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []

    def note(command: list[str]) -> int:
        calls.append(command[1:])
        return 130

    monkeypatch.setattr(bootstrap, "call", note)
    environment = bootstrap.Environment(project)
    assert bootstrap.run(environment, []) == 130  # the exit code of the command is handed on
    bootstrap.run(environment, ["--workers", "1"])
    bootstrap.run(environment, ["my.yaml", "--workers", "1"])
    quickstart = str(ROOT / "scenarios" / "quickstart.yaml")
    assert calls == [
        ["-m", "simulator", "compare", quickstart],
        ["-m", "simulator", "compare", quickstart, "--workers", "1"],
        ["-m", "simulator", "compare", "my.yaml", "--workers", "1"],
    ]


def test_unknown_command_shows_the_usage(bootstrap: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.main(["tset"]) == 2
    assert "bootstrap.py test" in capsys.readouterr().err
