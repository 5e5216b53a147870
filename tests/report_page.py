"""A report's page as tests read it, and the figures that it can have."""

from __future__ import annotations

from html.parser import HTMLParser

FIGURES = (
    "accounts",
    "answer",
    "failure_pareto",
    "gantt",
    "incident_anatomy",
    "ledger",
    "links",
    "metrics",
    "occupancy",
    "published",
    "queue",
    "restart_phases",
    "states",
    "steps",
    "slowdown",
    "slowdowns",
    "waits",
)


class Page(HTMLParser):
    """What a reader's program sees in a page: tags with attributes, and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())
