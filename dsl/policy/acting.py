"""How the layers that choose are to act in one call."""

import dataclasses
from typing import Any

from dsl.choices import check_count


@dataclasses.dataclass(frozen=True, eq=False)
class Acting:
    """How the top layer of a model acts: what `dsl.DynamicSkipLSTM` is told.

    Attributes:
        num_rollouts: R, how often it is run from the same state.
        task_rollouts: How many of these, from the first on, the task is
            learned from; None for all.
        action_selection: "sampled", "greedy" or "auto"; None for the layer's
            own.
        look_back: Optional distances to take, integer `(batch, time)`; 0
            leaves the choice to the layer.

    Raises:
        ValueError: If a number of rollouts is not one.
    """

    num_rollouts: int = 1
    task_rollouts: int | None = None
    action_selection: str | None = None
    look_back: Any = None

    def __post_init__(self):
        check_count("num_rollouts", self.num_rollouts, "the number of rollouts")
        if self.task_rollouts is None:
            object.__setattr__(self, "task_rollouts", self.num_rollouts)
        check_count("task_rollouts", self.task_rollouts, "a number of rollouts")
        if self.task_rollouts > self.num_rollouts:
            raise ValueError(
                "`task_rollouts` are some of the rollouts. Received: "
                f"task_rollouts={self.task_rollouts} of {self.num_rollouts}"
            )

    def taking(self, look_back):
        """The same, with other distances to take."""
        return dataclasses.replace(self, look_back=look_back)

    def call_arguments(self):
        """Call arguments of a layer that chooses, a dict."""
        return {
            "num_rollouts": self.num_rollouts,
            "action_selection": self.action_selection,
            "look_back": self.look_back,
        }


ONCE = Acting()
"""A single run, in which the layer acts as it was made to."""
