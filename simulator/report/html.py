"""One self-contained HTML page for people who were not there: nothing is loaded, everything is escaped."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from simulator.report.numbers import MISSING, duration, number, plain
from simulator.report.plots import Missing, Plot
from simulator.report.results import Results
from simulator.report.tables import (
    KIND_WORDS,
    Table,
    assumptions_table,
    constants_text,
    dictionary_tables,
    differences_by_variant,
    differences_table,
    ledger_table,
    published_table,
    split_metrics,
    study_answer,
    summary_table,
)

_TEMPLATES = Path(__file__).parent / "templates"
_WIDE = 5
_METRICS_ABREAST = 4
_MOST_DIFFERENCES = 24


def report_page(results: Results, plots: Sequence[tuple[Plot, bytes]], missing: Sequence[Missing]) -> str:
    """Return the page.

    Parameters
    ----------
    results : Results
    plots : sequence of (Plot, bytes)
        Figures in order, each with its SVG.
    missing : sequence of Missing
        Figures that could not be drawn; the page says why.
    """
    # MUST HOLD: autoescape is on for every template, since names, questions and sources come from scenario files.
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["breakable"] = breakable
    tables = {
        "differences": _differences(results),
        "all_differences": differences_table(results),
        "ledger": _upright_ledger(results),
        "published": published_table(results),
        "assumptions": assumptions_table(results),
    }
    summaries, further = _summaries(results)
    return environment.get_template("report.html.j2").render(
        title=plain(results.facts.get("name") or "Study"),
        question=plain(results.facts.get("question") or MISSING),
        answer=study_answer(results),
        facts=_key_facts(results),
        tables=tables,
        summaries=summaries,
        further=further,
        constants=constants_text(results),
        kinds=KIND_WORDS,
        has_published=bool(tables["published"].rows),
        figures={plot.name: {"plot": plot, "source": _embedded(svg)} for plot, svg in plots},
        missing=missing,
        own_policies=_own_policies(results),
        provenance=_provenance(results.manifest),
        presets=[(plain(p.get("kind", "")), plain(p.get("name", ""))) for p in results.facts.get("presets") or []],
        command=_command(results.manifest),
        dictionary=dictionary_tables(),
    )


def _summaries(results: Results) -> tuple[list[Table], list[Table]]:
    """Return the summary, metrics as rows; of many variants these as rows, and apart what does not decide."""
    metrics = split_metrics(results)[0]
    if len(results.variants) <= _WIDE:
        return [summary_table(results)] if metrics else [], []
    deciding = [name for name in metrics if name in results.metrics_deciding]
    others = [name for name in metrics if name not in deciding]
    return _blocks(results, deciding), _blocks(results, others)


def _blocks(results: Results, metrics: Sequence[str]) -> list[Table]:
    starts = range(0, len(metrics), _METRICS_ABREAST)
    return [summary_table(results, metrics[at : at + _METRICS_ABREAST], variants_as_rows=True) for at in starts]


def _differences(results: Results) -> Table:
    """Return the differences from the baseline, of many variants or metrics only those that decide."""
    if len(results.variants) > _WIDE:
        return differences_by_variant(results, results.metrics_deciding)
    table = differences_table(results)
    if len(table.rows) <= _MOST_DIFFERENCES:
        return table
    short = differences_table(results, results.metrics_deciding)
    return replace(short, note=f"{short.note} differences.csv holds the other metrics.")


def breakable(text: str) -> Markup:
    """Return escaped text that a browser may break after an underscore, a slash or a dot, and not inside "GPU-h"."""
    text = re.sub(r"GPU-([hs])\b", "GPU\N{NON-BREAKING HYPHEN}\\1", text)
    pieces = re.split(r"(?<=[_/.])(?=[^\W\d_])", text)
    return Markup("<wbr>").join(escape(piece) for piece in pieces)


def _embedded(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii")


def _upright_ledger(results: Results) -> Table:
    """Return the ledger with variants as rows where they would not fit side by side."""
    table = ledger_table(results)
    if len(table.headers) - 2 <= _WIDE:
        return table
    columns = list(zip(*table.rows, strict=True))
    headers = ("variant", *columns[0])
    rows = tuple((name, *cells) for name, cells in zip(table.headers[2:], columns[2:], strict=True))
    note = f"{table.note.replace('columns add', 'rows add')} " + "; ".join(
        f"{bucket}: {meaning}" for bucket, meaning in zip(columns[0], columns[1], strict=True)
    )
    return Table(table.title, headers, rows, frozenset(range(1, len(headers))), f"{note}.")


def _key_facts(results: Results) -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = []
    for key, label in (("gpus", "GPUs"), ("nodes", "Nodes")):
        if isinstance(results.facts.get(key), int | float):
            facts.append((label, f"{results.facts[key]:,}"))
    if isinstance(results.facts.get("horizon_s"), int | float):
        facts.append(("Simulated time", duration(float(results.facts["horizon_s"]))))
    facts.append(("Variants", f"{len(results.variants):,}"))
    facts.append(("Replications", f"{results.replications:,}" + (" each" if results.replications > 1 else "")))
    return facts


def _own_policies(results: Results) -> list[tuple[str, str]]:
    """Return each variant whose policies were given in code, and what is known of them."""
    rows = results.facts.get("own_policies") or []
    of = {str(row["variant"]): str(row["of"]) for row in rows}
    return [
        (
            plain(variant),
            f"variant {plain(base)} with "
            + ", ".join(
                f"{plain(row['family'])} = {plain(row['repr'] or row['class'])}"
                for row in rows
                if row["variant"] == variant
            ),
        )
        for variant, base in of.items()
    ]


def _command(manifest: Mapping[str, Any]) -> str:
    """Return the command that, in the folder of the results, simulates them again; empty where there is none.

    ``scenario.yaml`` holds every setting of the study but where its files are. A setting cannot reach those that
    variants name for themselves.
    """
    files = manifest.get("files") or {}
    if any(str(key).startswith("variants.") for key in files):
        return ""
    words = ["simulator", "compare", "scenario.yaml"]
    words += ["--seed", str(manifest.get("seed")), "--replications", str(manifest["replications"])]
    words += ["--keep", "all"] if manifest.get("keep") == "all" else []
    for key, path in files.items():
        words += ["--set", f"{key}={json.dumps(path, ensure_ascii=False)}"]
    return plain(shlex.join([*words, "--output", f"../{manifest.get('scenario_name')}-again"]))


def _provenance(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    host = manifest.get("host") or {}
    rows = [
        ("Called as", shlex.join(str(word) for word in manifest.get("command") or [])),
        ("Scenario", manifest.get("scenario_name")),
        ("Scenario SHA-256", manifest.get("scenario_sha256")),
        ("Seed", manifest.get("seed")),
        ("Replications", manifest.get("replications")),
        ("Simulator", manifest.get("simulator")),
        ("Python", manifest.get("python")),
        ("Packages", ", ".join(f"{k} {v}" for k, v in (manifest.get("packages") or {}).items())),
        ("Started (UTC)", manifest.get("started_utc")),
        ("Wall time", _wall_time(manifest)),
        ("Workers", manifest.get("workers")),
        ("Host", ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in host.items())),
    ]
    return [(label, plain(value)) for label, value in rows if value not in (None, "")]


def _wall_time(manifest: Mapping[str, Any]) -> str | None:
    seconds = manifest.get("wall_s")
    return f"{number(float(seconds), 3)} s" if isinstance(seconds, int | float) else None
