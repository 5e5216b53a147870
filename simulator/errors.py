"""The one family of errors the simulator raises on purpose."""

from __future__ import annotations


class SimulatorError(Exception):
    """Base of every error the simulator raises on purpose."""


class InputError(SimulatorError):
    """The user's input is wrong; the message says where, what was found, what is allowed.

    Parameters
    ----------
    problem : str
        What is wrong, in one short clause ("unknown key", "negative duration").
    file : str, optional
        File as the user named it.
    line : int, optional
        Line in that file, counted from 1.
    key : str, optional
        Dotted path of the key ("cluster.nodes").
    found : str, optional
        What stands there, quoted as the user wrote it.
    allowed : str, optional
        What may stand there, with an example.
    nearest : str, optional
        Nearest valid spelling, where there is one.
    """

    def __init__(
        self,
        problem: str,
        file: str | None = None,
        line: int | None = None,
        key: str | None = None,
        found: str | None = None,
        allowed: str | None = None,
        nearest: str | None = None,
    ) -> None:
        # SimPy re-creates exceptions from args, so args must equal the constructor's arguments.
        super().__init__(problem, file, line, key, found, allowed, nearest)
        self.problem = problem
        self.file = file
        self.line = line
        self.key = key
        self.found = found
        self.allowed = allowed
        self.nearest = nearest

    def __str__(self) -> str:
        """One line: where, key, problem, found, allowed, nearest."""
        where = "" if self.file is None else self.file + (f":{self.line}" if self.line is not None else "") + ": "
        key = "" if self.key is None else f"{self.key}: "
        text = f"{where}{key}{self.problem}"
        if self.found is not None:
            text += f"; found {self.found}"
        if self.allowed is not None:
            text += f"; allowed: {self.allowed}"
        if self.nearest is not None:
            text += f"; did you mean {self.nearest!r}?"
        return " ".join(text.split())


class UnitError(InputError):
    """A quantity cannot be read: unknown unit, missing unit, or the wrong kind of quantity."""


class PolicyError(SimulatorError):
    """A policy returned a decision the engine cannot carry out.

    Parameters
    ----------
    policy : str
        Registry name of the policy.
    time_s : float
        Simulated time of the decision.
    reason : str
        Why the decision is illegal.
    """

    def __init__(self, policy: str, time_s: float, reason: str) -> None:
        super().__init__(policy, time_s, reason)
        self.policy = policy
        self.time_s = time_s
        self.reason = reason

    def __str__(self) -> str:
        """Policy, time and reason in one line."""
        return f"policy {self.policy!r} at t = {self.time_s:.3f} s: {self.reason}"


class InvariantError(SimulatorError):
    """The simulation broke one of its own promises (for example the ledger does not sum); a fault of ours."""
