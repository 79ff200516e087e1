"""Where a training stands, written and read."""

import dataclasses

from dsl.runs.epochs import OF_EPOCHS
from dsl.runs.files import is_amount, is_finite
from dsl.system.messages import short


@dataclasses.dataclass
class Progress:
    """Where a training stands: what a checkpoint holds beside variables.

    Attributes:
        epoch: The epoch at hand, from 1.
        step: Steps of it that are done.
        steps: Steps of all epochs that are done.
        seconds: Spent on the epoch at hand.
        schedule: State of the learning rate's schedule.
        best: Best value of what is monitored, of any sign; None before the
            first.
        entries: What was measured, one dict a finished epoch.
    """

    epoch: int = 1
    step: int = 0
    steps: int = 0
    seconds: float = 0.0
    schedule: dict = dataclasses.field(default_factory=dict)
    best: float | None = None
    entries: list = dataclasses.field(default_factory=list)

    @classmethod
    def from_saved(cls, saved, measured=()):
        """Reads what `dataclasses.asdict` gave.

        Args:
            saved: That, or anything else.
            measured: Names of what each epoch must have a number for.

        Raises:
            ValueError: If it has other keys, values of other types or out of
                all bounds, or epochs and steps that do not fit each other.
        """
        fields = {field.name: field.type for field in dataclasses.fields(cls)}
        if not isinstance(saved, dict) or set(saved) != set(fields):
            raise ValueError(
                f"progress must have the fields {', '.join(fields)}. "
                f"Received: {short(saved)}"
            )
        for name, kind in fields.items():
            value = saved[name]
            if not isinstance(value, kind) or not _is_plain(value):
                raise ValueError(
                    f"progress: `{name}` is nothing that a training has. "
                    f"Received: {short(value)}"
                )
        progress = cls(**saved)
        if not (progress._has_numbers(measured) and progress._adds_up()):
            raise ValueError(
                "progress must be of so many epochs and steps, each epoch with "
                f"its {', '.join(('epoch', 'steps', *measured))}. "
                f"Received: {short(progress, 200)}"
            )
        return progress

    def _has_numbers(self, measured):
        """Whether each number is there, and of its kind."""
        entries, schedule = self.entries, self.schedule
        counts = [
            *(one.get(key) for one in entries for key in ("epoch", "steps")),
            *(self.epoch, self.step, self.steps, schedule.get("epoch")),
        ]
        amounts = [
            *(one.get(key, 0) for one in entries for key in OF_EPOCHS),
            *(self.step, self.seconds, schedule.get("rate")),
            schedule.get("initial_rate", 0.0),  # None in earlier code.
        ]
        numbers = [one.get(key) for one in entries for key in measured]
        return (
            all(type(value) is int for value in counts)
            and all(map(is_amount, amounts))
            and all(map(is_finite, numbers))
        )

    def _adds_up(self):
        """Whether epochs and steps fit each other."""
        entries = self.entries
        before = entries[-1]["steps"] if entries else 0
        return (
            self.epoch == len(entries) + 1
            and [one["epoch"] for one in entries] == [*range(1, self.epoch)]
            and self.steps == self.step + before
            and self.schedule["epoch"] == len(entries)
            and (self.best is None) == (not entries)
        )

    def finish_epoch(self, entry, schedule):
        """Moves on to the next epoch.

        Args:
            entry: What was measured of the one at hand.
            schedule: The `schedules.Schedule`, moved on already.
        """
        self.entries.append(entry)
        self.schedule = schedule.state()
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0.0


def _is_plain(value):
    """Whether it is a number, None, or a dict or list of such, or of those."""

    def flat(one):
        return one is None or is_finite(one)

    def shallow(one):
        values = one.values() if isinstance(one, dict) else one
        return flat(one) or (
            isinstance(one, list | dict) and all(map(flat, values))
        )

    if isinstance(value, list):
        return all(
            isinstance(one, dict) and all(map(shallow, one.values()))
            for one in value
        )
    return shallow(value)
