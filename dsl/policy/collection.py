"""Choices on their way from the layers that make them to what learns."""

import contextlib
import contextvars
import warnings

_LISTS = contextvars.ContextVar("lists of choices", default=None)


@contextlib.contextmanager
def collect():
    """Collects the choices from which REINFORCE learns, within the block.

    Yields:
        List of dicts of `log_prob`, `entropy` and `look_back`, each `(batch,
        time)` in order of execution: one of each call, in training, of a
        `DynamicSkipLSTM` whose estimator is "reinforce".
    """
    found = []
    token = _LISTS.set(found)
    try:
        yield found
    finally:
        _LISTS.reset(token)


def add(choices):
    """Adds what a layer chose, where choices are collected.

    Args:
        choices: Dict of `log_prob`, `entropy` and `look_back`.

    Returns:
        Whether they are.
    """
    found = _LISTS.get()
    if found is None:
        return False
    found.append(choices)
    return True


def warn_of_no_learning(name):
    """Warns that the policy of a cell or layer has nothing to learn from."""
    warnings.warn(
        f"the policy of {name!r} does not learn: estimator='reinforce' needs "
        "a dsl.Reinforce around a model with the layer, dsl.DynamicSkipLSTM, "
        "or a training loop that reads what `return_policy=True` returns",
        stacklevel=3,
    )
