"""Reads the published tables that stand beside the tests; comment lines carry their sources."""

from __future__ import annotations

import csv
from pathlib import Path


def published(name: str) -> list[dict[str, str]]:
    lines = (Path(__file__).parent / "published" / "data" / f"{name}.csv").read_text().splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))
