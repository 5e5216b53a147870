"""Times of a collective on a fabric by name, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import pandas as pd

    from simulator.network.collectives import Op
    from simulator.network.fabric import Fabric


def collective(
    fabric: str | Fabric,
    op: str = "all_reduce",
    ranks: int | None = None,
    sizes: str | Any = "8:16G",
    algorithm: str = "auto",
) -> pd.DataFrame:
    """Return the time of a collective by message size on an otherwise idle fabric.

    Parameters
    ----------
    fabric : str or Fabric
        Name of a preset, or a YAML file: the keys of a scenario's ``cluster.fabric``, or a whole scenario; or a fabric,
        for example of ``sim.network.from_networkx``, with the usual routing of its kind and an ideal transport.
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
    from simulator.network.fabric import Fabric
    from simulator.network.placed import collective_times, more_ranks
    from simulator.network.routing import Routing, usual_policy
    from simulator.network.transport import IDEAL
    from simulator.scenario.fabrics import load_fabric

    check_op(op)
    message = parse_sizes(sizes) if isinstance(sizes, str) else np.atleast_1d(np.asarray(sizes, dtype=np.float64))
    if isinstance(fabric, Fabric):
        links, routing, transport = fabric, Routing(usual_policy(fabric)), IDEAL
    else:
        network, _ = load_fabric(fabric, ranks, "ranks")
        links, routing, transport = network.fabric, network.routing, network.transport
    n = links.hosts if ranks is None else ranks
    if n > links.hosts:
        raise more_ranks(n, links.hosts)
    times = collective_times(links, np.arange(n), cast("Op", op), message, algorithm, routing, transport)
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
        "hosts": links.hosts,
        "fabric": links.name,
        "routing": routing.policy,
        "transport": transport.name,
    }
    return table
