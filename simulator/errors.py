"""The one family of errors the simulator raises on purpose."""

from __future__ import annotations

from collections.abc import Sequence


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
    variant : str, optional
        Names of the variants of a scenario in which it is wrong, where it is not wrong in all of them.
    others : tuple of InputError
        What else is wrong with the same input.
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
        variant: str | None = None,
        others: tuple[InputError, ...] = (),
    ) -> None:
        # SimPy re-creates exceptions from args, so args must equal the constructor's arguments.
        super().__init__(problem, file, line, key, found, allowed, nearest, variant, others)
        self.problem = problem
        self.file = file
        self.line = line
        self.key = key
        self.found = found
        self.allowed = allowed
        self.nearest = nearest
        self.variant = variant
        self.others = others

    @property
    def each(self) -> tuple[InputError, ...]:
        """The error itself, and what else is wrong with the same input."""
        return (self, *self.others)

    @classmethod
    def together(cls, errors: Sequence[InputError]) -> InputError:
        """Return the first of several errors, which carries the rest."""
        first, *rest = errors
        problem, file, line, key, found, allowed, nearest, variant, _ = first.args
        return cls(problem, file, line, key, found, allowed, nearest, variant, tuple(rest))

    def moved(self, file: str | None, line: int | None, variant: str | None = None) -> InputError:
        """Return the same error with another place, of a variant."""
        return InputError(self.problem, file, line, self.key, self.found, self.allowed, self.nearest, variant)

    def __str__(self) -> str:
        """One line: where, key, variant, problem, found, allowed, nearest."""
        where = "" if self.file is None else self.file + (f":{self.line}" if self.line is not None else "") + ": "
        key = "" if self.key is None else f"{self.key}: "
        variant = "" if self.variant is None else f"variant {self.variant}: "
        text = f"{where}{key}{variant}{self.problem}"
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
