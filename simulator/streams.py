"""Random streams keyed by (seed, replication, purpose): a draw belongs to its cause, never to its consumer."""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, replication: int, purpose: str, *indices: int) -> np.random.Generator:
    """Return the generator that belongs to one purpose of one replication.

    Two calls with equal arguments give generators that draw the same numbers, in any process. Creating one costs
    about 20 us, so draw arrays indexed by entity from one generator instead of one generator per entity.

    Parameters
    ----------
    seed : int
        Seed of the study, zero or positive.
    replication : int
        Index of the replication, zero or positive.
    purpose : str
        What the numbers decide, for example ``"faults/gpu_hbm3/times"``.
    *indices : int
        Further keys, for example the index of a block.

    Returns
    -------
    numpy.random.Generator
    """
    key = (replication, zlib.crc32(purpose.encode()), *indices)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))
