"""Replications, variants and what they say together: statistics, process pool, results folder."""
