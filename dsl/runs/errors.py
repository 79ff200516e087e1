"""What can be wrong with a run; each message is one clear line."""

from dsl.system.messages import Failure


class RunError(Failure, RuntimeError):
    """A run folder cannot be used."""

    exit_code = 2


class DivergedError(Failure, ArithmeticError):
    """The loss of a run is no longer a number."""


class ResultError(Failure, ValueError):
    """A file of a run is missing or wrong."""
