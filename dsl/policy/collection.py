"""Choices on their way from the layers that make them to what learns."""

import contextlib
import contextvars

_COLLECTED = contextvars.ContextVar("collected choices", default=None)


@contextlib.contextmanager
def collected_choices():
    """Collects the choices from which REINFORCE learns, within the block.

    Yields:
        List of dicts of `log_prob`, `entropy` and `look_back`, each `(batch,
        time)` in order of execution: one of each call, in training, of a
        `DynamicSkipLSTM` whose estimator is "reinforce".
    """
    found = []
    token = _COLLECTED.set(found)
    try:
        yield found
    finally:
        _COLLECTED.reset(token)


def add(choices):
    """Adds what a layer chose, where choices are collected.

    Args:
        choices: Dict of `log_prob`, `entropy` and `look_back`.

    Returns:
        Whether they are.
    """
    found = _COLLECTED.get()
    if found is None:
        return False
    found.append(choices)
    return True
