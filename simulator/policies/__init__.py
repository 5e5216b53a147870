"""Policies: one contract each, frozen dataclasses whose fields are their scenario keys, found by name."""
