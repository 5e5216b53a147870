"""Every page of the documents says what is true: its examples run, its links lead somewhere.

How a page is marked:

* ``python`` blocks of a page run in order in one namespace, in a folder that holds a copy of ``scenarios/``.
  A block under ``<!-- not run: REASON -->`` is left out.
* ``bash`` and ``console`` blocks run only under ``<!-- run -->``. In ``console`` blocks ``$ `` starts a command
  and the lines below are its expected output.
* A block under ``<!-- output -->`` is what the last Python block before it prints.
* Expected output may hold ``...`` for what differs from run to run; runs of blanks count as one.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")})
LIMIT_S = 120
COMPARE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<language>[\w+-]*)[^`]*$")
MARK = re.compile(r"^\s*<!--\s*(?P<mark>run|output|not run: .+?)\s*-->\s*$")
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: language, mark above it ("" for none), text, line of the page where the text begins."""

    language: str
    mark: str
    text: str
    line: int

    @property
    def runs(self) -> bool:
        if self.language == "python":
            return self.mark == ""
        return self.language in {"bash", "console"} and self.mark == "run"

    @property
    def is_output(self) -> bool:
        return self.mark == "output"


def blocks_of(text: str) -> list[Block]:
    """Return the fenced blocks of a page in order."""
    blocks: list[Block] = []
    lines = text.splitlines()
    mark, at = "", 0
    while at < len(lines):
        line = lines[at]
        at += 1
        opening = FENCE.match(line)
        if opening is None:
            found = MARK.match(line)
            # A mark holds for the block right below it; an empty line between the two is allowed.
            mark = found["mark"] if found else mark * (not line.strip())
            continue
        start, fence, indent = at, opening["fence"], len(opening["indent"])
        while at < len(lines) and not re.fullmatch(rf" *{fence[0]}{{{len(fence)},}} *", lines[at]):
            at += 1
        body = "".join(inner[min(indent, len(inner) - len(inner.lstrip())) :] + "\n" for inner in lines[start:at])
        blocks.append(Block(opening["language"], mark, body, start + 1))
        mark, at = "", at + 1
    return blocks


class Runner:
    """Runs the blocks of one page in a folder.

    Parameters
    ----------
    page : str
        Name shown in failures.
    folder : Path
        Where commands run and files are written.
    """

    def __init__(self, page: str, folder: Path) -> None:
        self.page = page
        self.folder = folder
        self.namespace: dict[str, object] = {"__name__": "__page__"}
        self.printed = ""

    def run(self, block: Block) -> None:
        if block.is_output:
            self.expect(block, self.printed, block.text)
        elif block.runs and block.language == "python":
            self.printed = self.python(block)
        elif block.runs and block.language == "bash":
            self.shell(block, block.text)
        elif block.runs:
            for command, expected in commands_of(block.text):
                output = self.shell(block, command)
                if expected:
                    self.expect(block, output, expected)

    def python(self, block: Block) -> str:
        """Execute a Python block and return what it prints."""
        # Leading empty lines make a traceback point at the line of the page.
        code = compile("\n" * (block.line - 1) + block.text, self.page, "exec")
        with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.chdir(self.folder):
            exec(code, self.namespace)
        return printed.getvalue()

    def shell(self, block: Block, script: str) -> str:
        """Run shell commands with the programs of this environment first and return what they print."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        environment = {**os.environ, "PATH": path, "COLUMNS": "100", "NO_COLOR": "1", "MPLBACKEND": "Agg"}
        process = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        where = f"{self.page}:{block.line}"
        assert process.returncode == 0, f"{where}: exit {process.returncode} of\n{script}\n{process.stdout}"
        return process.stdout

    def expect(self, block: Block, found: str, expected: str) -> None:
        """Compare output with what the page shows."""
        matches = doctest.OutputChecker().check_output(expected.strip() + "\n", found.strip() + "\n", COMPARE)
        assert matches, f"{self.page}:{block.line}: expected\n{expected}\nfound\n{found}"


def commands_of(text: str) -> Iterator[tuple[str, str]]:
    """Split a console block into pairs of command and expected output."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        n_continued = next((i for i, line in enumerate(lines) if not line.endswith("\\")), len(lines) - 1)
        yield "\n".join(lines[: n_continued + 1]), "\n".join(lines[n_continued + 1 :]).strip()


def run_all(blocks: list[Block], runner: Runner) -> None:
    for block in blocks:
        runner.run(block)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def page_blocks(page: Path) -> list[Block]:
    return blocks_of(page.read_text(encoding="utf-8"))


WITH_EXAMPLES = [page for page in PAGES if any(block.runs for block in page_blocks(page))]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place to work that looks like a clone to its examples."""
    if shutil.which("bash") is None:
        pytest.skip("no bash on PATH")
    shutil.copytree(ROOT / "scenarios", tmp_path / "scenarios")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    return tmp_path


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=name_of)
def test_examples_of_a_page_run(page: Path, folder: Path) -> None:
    run_all(page_blocks(page), Runner(name_of(page), folder))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_of_a_page_name_a_language_and_marks_fit(page: Path) -> None:
    blocks = page_blocks(page)
    assert [block.line for block in blocks if not block.language] == [], "lines of blocks that name no language"
    misplaced = [b.line for b in blocks if b.mark == "run" and b.language not in {"bash", "console"}]
    misplaced += [b.line for b in blocks if b.mark.startswith("not run") and b.language != "python"]
    assert misplaced == [], "lines of blocks whose mark does not fit their language"
    marks = sum(MARK.match(line) is not None for line in page.read_text(encoding="utf-8").splitlines())
    assert marks == sum(block.mark != "" for block in blocks), "a mark stands above no block"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_of_a_page_lead_somewhere(page: Path) -> None:
    outside = re.sub(r"^ *(`{3,}).*?^ *\1`*$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    targets = [match["target"].partition("#")[0] for match in LINK.finditer(outside)]
    relative = [target for target in targets if target and not re.match(r"[a-z]+:", target)]
    assert [target for target in relative if not (page.parent / target).exists()] == []


# The harness itself must be able to fail.

SAMPLE = """\
<!-- run -->
```console
$ echo one \\
  two
one two
$ echo $((3 + 4))
...
```

```python
x = 40
```

~~~~text
```python
raise RuntimeError("inside another block")
```
~~~~

<!-- not run: needs a cluster -->
```python
raise RuntimeError("not run")
```

- in a list:

  ```python
  print(x + 2)
  ```

  <!-- output -->
  ```text
  42
  ```

```bash
exit 3
```
"""


def test_sample_page_runs(tmp_path: Path) -> None:
    blocks = blocks_of(SAMPLE)
    assert [block.language for block in blocks] == [
        "console",
        "python",
        "text",
        "python",
        "python",
        "text",
        "bash",
    ]
    assert [block.runs for block in blocks] == [True, True, False, False, True, False, False]
    run_all(blocks, Runner("sample", tmp_path))


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("  42\n", "  43\n", "sample:33"),
        ("one two\n$", "one  three\n$", "sample:3"),
        ("```bash\nexit 3", "<!-- run -->\n```bash\nexit 3", "exit 3"),
        ("x = 40", "y = 40", "name 'x' is not defined"),
    ],
)
def test_sample_page_fails(tmp_path: Path, right: str, wrong: str, complaint: str) -> None:
    assert SAMPLE.count(right) == 1
    blocks = blocks_of(SAMPLE.replace(right, wrong))
    with pytest.raises((AssertionError, NameError), match=re.escape(complaint)):
        run_all(blocks, Runner("sample", tmp_path))
