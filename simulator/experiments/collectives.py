"""Times of a collective on a fabric by name, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import pandas as pd

    from simulator.network.collectives import Op


def collective(
    fabric: str,
    op: str = "all_reduce",
    ranks: int | None = None,
    sizes: str | Any = "8:16G",
    algorithm: str = "auto",
) -> pd.DataFrame:
    """Return the time of a collective by message size on an otherwise idle fabric.

    Parameters
    ----------
    fabric : str
        Name of a preset, or a YAML file: the keys of a scenario's ``cluster.fabric``, or a whole scenario.
    op : str
        all_reduce, all_gather, reduce_scatter, broadcast, all_to_all or send_recv.
    ranks : int, optional
        GPUs that take part, hosts 0 to N - 1; all of the machine by default.
    sizes : str or array
        ``"8:16G"`` as nccl-tests writes it, or bytes.
    algorithm : str
        Name of an algorithm, or ``auto`` for the fastest of the transport's for each size.

    Returns
    -------
    DataFrame
        ``bytes``, ``time_s``, ``algbw``, ``busbw`` (bytes/s), ``algorithm``, ``protocol``; ``attrs`` say on what.

    Raises
    ------
    InputError
        An unknown fabric, operation or algorithm, wrong sizes, or more ranks than the machine has GPUs.
    """
    import numpy as np
    import pandas as pd

    from simulator.network.collectives import check_op, parse_sizes
    from simulator.network.placed import collective_times
    from simulator.scenario.fabrics import load_fabric

    check_op(op)
    message = parse_sizes(sizes) if isinstance(sizes, str) else np.atleast_1d(np.asarray(sizes, dtype=np.float64))
    network, _ = load_fabric(fabric, ranks)
    n = network.fabric.hosts if ranks is None else ranks
    times = collective_times(
        network.fabric, np.arange(n), cast("Op", op), message, algorithm, network.routing, network.transport
    )
    table = pd.DataFrame(
        {
            "bytes": times.sizes,
            "time_s": times.time_s,
            "algbw": times.algbw,
            "busbw": times.busbw,
            "algorithm": times.algorithm,
            "protocol": times.protocol,
        }
    )
    table.attrs = {
        "op": op,
        "ranks": n,
        "hosts": network.fabric.hosts,
        "fabric": network.fabric.name,
        "routing": network.routing.policy,
        "transport": network.transport.name,
    }
    return table
