"""What protocols make of links: latencies, the share of a wire that arrives, and the cost of filling a pipeline."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Wire:
    """What a protocol makes of one kind of link.

    Parameters
    ----------
    hop_s : float
        Latency of one step of an algorithm.
    efficiency : float
        Share of the wire rate that carries data, 0 to 1.
    """

    hop_s: float
    efficiency: float


@dataclass(frozen=True)
class Protocol:
    """One way in which a library moves data.

    Parameters
    ----------
    name : str
        For tables ("LL", "Simple", "NVLS").
    in_network : bool
        Whether it belongs to algorithms in which switches reduce, or to all others.
    base_s : float
        Time of starting a collective.
    chunk_s : float
        Overhead of one piece of a pipelined message.
    scale_up, scale_out : Wire
        Inside and between scale-up domains.
    """

    name: str
    in_network: bool
    base_s: float
    chunk_s: float
    scale_up: Wire
    scale_out: Wire

    def time(self, steps_up: float, steps_out: float, carried_s: float, path_s: float = 0.0) -> float:
        """Return the time of a collective.

        Parameters
        ----------
        steps_up, steps_out : float
            Latency steps inside and between domains.
        carried_s : float
            Time of the bytes at the rate the links give, efficiency included.
        path_s : float
            Latencies of the links and switches themselves, all steps together.

        Notes
        -----
        A message that is cut into the best number of pieces takes ``L + X + 2 sqrt(c X)``: with m pieces it takes
        ``L + X + m c + (X / m)`` up to constants, whose minimum over m is that. L are the latencies, X the time of
        the bytes and c the overhead of a piece that must be filled into the pipeline.
        """
        fixed_s = self.base_s + steps_up * self.scale_up.hop_s + steps_out * self.scale_out.hop_s + path_s
        return fixed_s + carried_s + 2.0 * math.sqrt(self.chunk_s * carried_s)


@dataclass(frozen=True)
class Transport:
    """The protocols of a library on a kind of machine.

    Parameters
    ----------
    name : str
        For reports.
    protocols : tuple of Protocol
        The library takes the fastest for each size.
    algorithms : tuple of str
        Algorithms that the library has; empty for all.
    """

    name: str
    protocols: tuple[Protocol, ...]
    algorithms: tuple[str, ...] = ()

    def serving(self, in_network: bool) -> tuple[Protocol, ...]:
        """Return the protocols of algorithms in which switches reduce, or of all others."""
        return tuple(each for each in self.protocols if each.in_network == in_network)


IDEAL = Transport("ideal", (Protocol("wire", False, 0.0, 0.0, Wire(0.0, 1.0), Wire(0.0, 1.0)),))
"""Links as they are: no overhead, no latency but their own."""
