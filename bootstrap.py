"""Set the project up and run it: needs git's clone and a Python, nothing else.

    python3 bootstrap.py run [SCENARIO] [options of `simulator compare`]
    python3 bootstrap.py test [--slow] [options of pytest]

Both make the virtual environment ``.venv`` first when it is missing, incomplete or out of date; a second call
starts at once.
"""

# Standard library only. This file must parse under Python 3.6 and run up to its message there, because its
# first task is to tell an old Python what to do: hence the quoted annotations.

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
OLDEST = (3, 11)
NEWEST = (3, 15)  # the last one for which the pinned Numba has wheels
QUICKSTART = ROOT / "scenarios" / "quickstart.yaml"
INTERRUPTED = 130
RELAUNCHED = "SIMULATOR_BOOTSTRAP_RELAUNCHED"
PROBE = "import sys, venv, ensurepip; print(sys.version_info[0], sys.version_info[1])"


class SetUpError(Exception):
    """The environment cannot be made; the message says what to do."""


def is_suitable(version: "tuple[int, int]") -> bool:
    """Return whether the pinned packages have wheels for this Python."""
    return OLDEST <= version <= NEWEST


def has_venv() -> bool:
    """Return whether the running Python can make virtual environments with pip in them."""
    return all(importlib.util.find_spec(module) is not None for module in ("venv", "ensurepip"))


def probe(command: str) -> "tuple[int, int] | None":
    """Return the version of the Python behind a command, or None where it does not run or lacks venv."""
    path = shutil.which(command)
    if path is None:
        return None
    try:
        # universal_newlines, check_output: this part also runs under a Python that is too old.
        output = subprocess.check_output([path, "-c", PROBE], stderr=subprocess.DEVNULL, universal_newlines=True)
        major, minor = map(int, output.split())
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None
    return major, minor


def find_python() -> "str | None":
    """Return the path of a suitable Python on PATH, the oldest first: its packages are the best tested."""
    names = [f"python{OLDEST[0]}.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)]
    for name in [*names, "python3", "python"]:
        version = probe(name)
        if version is not None and is_suitable(version):
            return shutil.which(name)
    return None


def missing_python_message() -> str:
    """Return what is wrong with the running Python and what to install."""
    found = f"{sys.version_info[0]}.{sys.version_info[1]}"
    span = f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    if is_suitable(sys.version_info[:2]):
        problem = f"this Python {found} has no venv module (Debian, Ubuntu: install python{found}-venv)"
    else:
        problem = f"Python {span} is needed and this is {found}"
    return f"{problem}; no other suitable Python with venv is on PATH. Install one and call this again."


def relaunch_if_needed() -> None:
    """Go on under another Python where the running one is not suitable; does not return in that case."""
    if is_suitable(sys.version_info[:2]) and has_venv():
        return
    python = None if RELAUNCHED in os.environ else find_python()
    if python is None:
        raise SetUpError(missing_python_message())
    print(f"bootstrap: going on with {python}", flush=True)
    environment = dict(os.environ)
    environment[RELAUNCHED] = "1"
    sys.exit(call([python, str(ROOT / "bootstrap.py"), *sys.argv[1:]], environment=environment))


class Environment:
    """The virtual environment in one folder, and what it was made from.

    Two files in the folder keep set-up atomic: ``bootstrap.unfinished`` is there while packages are being
    installed, ``bootstrap.json`` (the stamp) only after all went well.

    Parameters
    ----------
    root : Path
        Folder of the project.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".venv"
        self.scripts = self.folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.scripts / ("python.exe" if os.name == "nt" else "python")
        self.stamp = self.folder / "bootstrap.json"
        self.unfinished = self.folder / "bootstrap.unfinished"

    def recipe(self) -> "dict[str, str]":
        """Return what the environment depends on: where it is, the Python, the requirements and the pins."""
        import tomllib  # here: an old Python must get as far as its message

        project = tomllib.loads((self.root / "pyproject.toml").read_text(encoding="utf-8"))
        wanted = json.dumps([project.get("build-system"), project.get("project")], sort_keys=True)
        pins = (self.root / "constraints.txt").read_text(encoding="utf-8")
        return {
            "folder": str(self.folder),
            "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
            "requirements": hashlib.sha256((wanted + "\n" + pins).encode()).hexdigest(),
        }

    def read_stamp(self) -> "dict[str, object]":
        """Return the stamp; empty where there is none or it cannot be read."""
        try:
            stamp = json.loads(self.stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return stamp if isinstance(stamp, dict) else {}

    def is_ready(self, extras: "tuple[str, ...]") -> bool:
        """Return whether the last set-up finished, from the present recipe, with at least these extras."""
        stamp = self.read_stamp()
        has = stamp.get("extras")
        return (
            self.python.exists()
            and not self.unfinished.exists()
            and stamp.get("recipe") == self.recipe()
            and isinstance(has, list)
            and set(extras) <= set(has)
        )

    def must_start_afresh(self) -> bool:
        """Return whether what is in the folder cannot be built upon.

        An environment that somebody made by hand has no stamp and is kept.
        """
        if not self.python.exists() or self.unfinished.exists():
            return True
        recipe = self.read_stamp().get("recipe")
        mine = self.recipe()
        return isinstance(recipe, dict) and any(recipe.get(key) != mine[key] for key in ("folder", "python"))

    def set_up(self, extras: "tuple[str, ...]") -> None:
        """Make the environment and install the project with these extras, unless that was done before."""
        if self.is_ready(extras):
            return
        started = time.monotonic()
        print("bootstrap: setting up .venv (once; a minute or two) ...", flush=True)
        has = self.read_stamp().get("extras")
        everything = tuple(sorted({*extras, *(has if isinstance(has, list) else [])}))
        if self.must_start_afresh():
            self.discard()
            self.folder.mkdir(parents=True)
            self.unfinished.touch()
            check([sys.executable, "-m", "venv", str(self.folder)], "the virtual environment could not be made")
        self.unfinished.touch()
        self.stamp.unlink(missing_ok=True)
        self.install(everything)
        draft = self.stamp.with_suffix(".draft")
        draft.write_text(json.dumps({"recipe": self.recipe(), "extras": list(everything)}), encoding="utf-8")
        os.replace(draft, self.stamp)
        self.unfinished.unlink()
        print(f"bootstrap: .venv is ready ({time.monotonic() - started:.0f} s)", flush=True)

    def discard(self) -> None:
        """Remove the environment; moved away first, so that half of it never passes for a whole one."""
        leftover = self.folder.with_name(".venv.discarded")
        shutil.rmtree(leftover, ignore_errors=True)
        if self.folder.exists():
            os.replace(self.folder, leftover)
            shutil.rmtree(leftover)

    def install(self, extras: "tuple[str, ...]") -> None:
        """Install the project, editable, at the pinned versions: by uv where it is on PATH, else by pip."""
        project = str(self.root) + (f"[{','.join(extras)}]" if extras else "")
        what = ["--quiet", "--constraint", str(self.root / "constraints.txt"), "--editable", project]
        uv = shutil.which("uv")
        if uv is not None and runs([uv, "--version"]):
            command = [uv, "pip", "install", "--python", str(self.python), "--compile-bytecode"]
            code = call([*command, *what])
            if code == INTERRUPTED:
                raise KeyboardInterrupt
            if code == 0:
                return
            print("bootstrap: uv could not install; trying pip", flush=True)
        check(
            [str(self.python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *what],
            "pip could not install the project (its message stands above); call this again to retry",
        )


def call(command: "list[str]", environment: "dict[str, str] | None" = None, quiet: bool = False) -> int:
    """Run a command and return its exit code; 130 when interrupted.

    Parameters
    ----------
    command : list of str
        Program and arguments.
    environment : dict, optional
        Its environment; ours by default.
    quiet : bool
        Whether its output is shown only when it fails.
    """
    output, errors = (subprocess.PIPE, subprocess.STDOUT) if quiet else (None, None)
    with subprocess.Popen(command, env=environment, stdout=output, stderr=errors) as child:
        try:
            text, _ = child.communicate()
        except KeyboardInterrupt:
            # The terminal has sent the interrupt to the child too: let it save what it has.
            child.wait()
            return INTERRUPTED
    if quiet and child.returncode != 0:
        sys.stdout.write(text.decode("utf-8", "replace"))
    return child.returncode


def check(command: "list[str]", problem: str) -> None:
    """Run a command that set-up cannot do without."""
    code = call(command)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code != 0:
        raise SetUpError(problem)


def runs(command: "list[str]") -> bool:
    """Return whether a command can be run at all (a version manager's shim may stand for nothing)."""
    try:
        return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def steps(environment: Environment, slow: bool, pytest_arguments: "list[str]") -> "list[tuple[str, list[str]]]":
    """Return name and command of each step of the test command, in order."""
    python = str(environment.python)
    pytest = ("pytest", [python, "-m", "pytest", *workers(pytest_arguments), *pytest_arguments])
    if slow:
        pytest[1].extend(["-m", "slow"])
        return [pytest]
    return [
        ("ruff check", [python, "-m", "ruff", "check", "."]),
        ("ruff format", [python, "-m", "ruff", "format", "--check", "."]),
        ("mypy", [python, "-m", "mypy", "simulator", "bootstrap.py"]),
        ("lint-imports", [str(environment.scripts / "lint-imports")]),
        pytest,
    ]


def workers(pytest_arguments: "list[str]") -> "list[str]":
    """Return pytest's options for parallel runs, unless the caller chose their own or has one core.

    Four at most: each worker compiles the kernels that are not cached yet. A worker that has nothing left takes over
    half of what another has; until then neighbours stay together, so that a file's fixtures are made once.
    """
    chosen = any(argument.startswith(("-n", "--numprocesses", "--pdb")) for argument in pytest_arguments)
    cores = os.cpu_count() or 1
    return [] if chosen or cores == 1 else ["-n", str(min(cores, 4)), "--dist", "worksteal"]


def run(environment: Environment, arguments: "list[str]") -> int:
    """Compare the variants of a scenario; ends by printing where the report is."""
    environment.set_up(())
    scenario = str(QUICKSTART)
    if arguments and not arguments[0].startswith("-"):
        scenario, arguments = arguments[0], arguments[1:]
    return call([str(environment.python), "-m", "simulator", "compare", scenario, *arguments])


def test(environment: Environment, arguments: "list[str]") -> int:
    """Run every step and return the exit code of the first that failed."""
    environment.set_up(("test",))
    os.chdir(environment.root)
    slow = "--slow" in arguments
    pytest_arguments = [argument for argument in arguments if argument != "--slow"]
    first_failure = 0
    lines = []
    for name, command in steps(environment, slow, pytest_arguments):
        started = time.monotonic()
        code = call(command, quiet=name != "pytest")
        verdict = "passed" if code == 0 else f"FAILED (exit code {code})"
        lines.append(f"{name:<14}{verdict:<24}{time.monotonic() - started:7.1f} s")
        print(lines[-1], flush=True)
        first_failure = first_failure or code
        if code == INTERRUPTED:
            break
    if first_failure and len(lines) > 1:
        print("\nSome steps failed:\n" + "\n".join(lines), flush=True)
    return first_failure


COMMANDS = {"run": run, "test": test}


def main(arguments: "list[str]") -> int:
    """Run one of the two commands and return the exit code."""
    if not arguments or arguments[0] not in COMMANDS:
        print((__doc__ or "").strip(), file=sys.stderr)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    try:
        relaunch_if_needed()
        return COMMANDS[arguments[0]](Environment(ROOT), arguments[1:])
    except SetUpError as error:
        print(f"bootstrap: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bootstrap: interrupted", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
