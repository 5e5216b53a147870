"""Fair share: how well accounts have been served, given what each is entitled to.

Accounts form a tree that is written in their names: ``physics/theory`` lies in ``physics``. An account that has others
below it and jobs of its own is one more member of itself, with share 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AccountTree:
    """Accounts and the groups they belong to.

    Parameters
    ----------
    share : float array, shape (members,)
        Share of every member among its siblings, as given.
    siblings : float array, shape (members,)
        Sum of the shares of its siblings and its own.
    path : int array, shape (accounts, depth)
        Members from the top of the tree down to every account, -1 behind its end.
    """

    share: Floats
    siblings: Floats
    path: Ints


def account_tree(accounts: tuple[str, ...], shares: Mapping[str, float]) -> AccountTree:
    """Return the tree of accounts.

    Parameters
    ----------
    accounts : tuple of str
        Names, with groups before a slash.
    shares : mapping of str to float
        Shares by name of an account or group, 0 or more; 1 for all others.
    """
    groups = {prefix for name in accounts for prefix in _prefixes(name)[:-1]}
    member: dict[tuple[str, bool], int] = {}  # by name, and whether it is the group's own jobs
    parent: list[int] = []
    share: list[float] = []

    def add(key: tuple[str, bool], above: int) -> int:
        if key not in member:
            member[key] = len(member)
            parent.append(above)
            share.append(1.0 if key[1] else float(shares.get(key[0], 1.0)))
        return member[key]

    paths = []
    for name in accounts:
        path: list[int] = []
        for prefix in _prefixes(name):
            path.append(add((prefix, False), path[-1] if path else -1))
        if name in groups:
            path.append(add((name, True), path[-1]))
        paths.append(path)
    depth = max(map(len, paths), default=0)
    padded = np.array([path + [-1] * (depth - len(path)) for path in paths], dtype=np.int64).reshape(-1, depth)
    weight = np.array(share, dtype=np.float64)
    above = np.array(parent, dtype=np.int64) + 1
    siblings = np.bincount(above, weight, len(weight) + 1).astype(np.float64)
    return AccountTree(weight, siblings[above], padded)


def _prefixes(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


def usage_of_members(tree: AccountTree, usage_gpu_s: Floats) -> Floats:
    """Return the usage of every member of the tree, its accounts added up.

    Parameters
    ----------
    tree : AccountTree
        The accounts.
    usage_gpu_s : float array, shape (accounts,)
        Usage, decayed or not.
    """
    usage = np.zeros(len(tree.share))
    for column in tree.path.T:
        there = column >= 0
        usage += np.bincount(column[there], usage_gpu_s[there], len(usage))
    return usage


def classic_factor(tree: AccountTree, usage_gpu_s: Floats) -> Floats:
    """Return the fair-share factor 2^(-usage / share) of every account, between 0 and 1; 1/2 where it got its share.

    Parameters
    ----------
    tree, usage_gpu_s
        As for ``usage_of_members``.

    Notes
    -----
    Both are fractions of the whole machine. The share is the product of the shares along the path. The usage is
    effective: an account answers for its siblings, ``E = U + (E_group - U) s`` with its share ``s`` among them, and
    ``E = U`` at the top. The factor of an account without a share is 0.

    References
    ----------
    Slurm, "Classic Fairshare Algorithm", slurm.schedmd.com/classic_fair_share.html.
    """
    usage = usage_of_members(tree, usage_gpu_s)
    usage /= float(usage_gpu_s.sum()) or 1.0
    share = _share_of_siblings(tree)
    entitled = np.ones(len(usage_gpu_s))
    effective = np.zeros(len(usage_gpu_s))
    for level, column in enumerate(tree.path.T):
        there = column >= 0
        mine = column[there]
        own = usage[mine]
        effective[there] = own if level == 0 else own + (effective[there] - own) * share[mine]
        entitled[there] *= share[mine]
    entitling = np.where(entitled > 0.0, entitled, 1.0)
    return np.where(entitled > 0.0, np.exp2(-effective / entitling), 0.0)


def _share_of_siblings(tree: AccountTree) -> Floats:
    """Return the fraction of its siblings' shares that each member has, 0 where none has any."""
    return np.divide(tree.share, tree.siblings, out=np.zeros(len(tree.share)), where=tree.siblings > 0.0)


def fair_tree_factor(tree: AccountTree, usage_gpu_s: Floats) -> Floats:
    """Return the fair-share factor of every account by its place in the Fair Tree: 1 for the first, above 0 for all.

    Parameters
    ----------
    tree, usage_gpu_s
        As for ``usage_of_members``.

    Notes
    -----
    Among siblings the one with the greatest share ÷ usage comes first, with everything below it; without usage the
    quotient is infinite, without a share it is 0. Groups that tie compare what is below them as if it were one
    group's; an account shares the place of the first account of a group it ties with. So accounts are ordered by the
    quotients along their paths, one level after the other. The factor of the account in place ``k`` (from 0) of ``n``
    is ``(n - k) / n``, and equal ones share the better place.

    References
    ----------
    Slurm, "Fair Tree Fairshare Algorithm", slurm.schedmd.com/fair_tree.html.
    """
    usage = usage_of_members(tree, usage_gpu_s)
    n, depth = tree.path.shape
    of_siblings = np.zeros(len(usage))
    for level in range(depth):
        # The usage of all siblings is that of the group above: of everybody at the top.
        column = tree.path[:, level]
        there = column >= 0
        above = usage_gpu_s.sum() if level == 0 else usage[tree.path[there, level - 1]]
        of_siblings[column[there]] = above
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = np.where(usage > 0.0, _share_of_siblings(tree) / (usage / of_siblings), np.inf)
    quotient[tree.share == 0.0] = 0.0
    keys = []
    for level in range(depth):
        column = tree.path[:, level]
        there = column >= 0
        is_group = (tree.path[:, level + 1] >= 0) if level + 1 < depth else np.zeros(n, dtype=np.bool_)
        keys += [np.where(there, -quotient[column], 0.0), is_group.astype(np.float64)]
    order = np.lexsort(keys[::-1])
    is_new, is_decided = np.zeros(n, dtype=np.bool_), np.zeros(max(n - 1, 0), dtype=np.bool_)
    for place, key in enumerate(keys):  # by the first key that differs from the neighbour's
        differs = (key[order][1:] != key[order][:-1]) & ~is_decided
        is_new[1:] |= differs & (place % 2 == 0)  # a quotient, not that one of them is a group
        is_decided |= differs
    ahead = np.maximum.accumulate(np.where(is_new, np.arange(n), 0))
    factor = np.empty(n)
    factor[order] = (n - ahead) / max(n, 1)
    return factor
