"""Measures: what a task is judged by, and all that a table says of it."""

import dataclasses
import statistics
from collections.abc import Sequence

from dsl.experiment.tables import number, over_seeds
from dsl.runs.results import Record, ResultError


@dataclasses.dataclass(frozen=True)
class Measure:
    """What is measured of a model.

    Args:
        name: Its key in a record, e.g. "perplexity"; beside it there may be
            "<name>_sampled_mean" and "<name>_sampled_std" over "sampled_n"
            passes with actions that are drawn.
        words: What it is called in a line, "accuracy 97.00 %" say.
        unit: What stands behind a number, e.g. "%".
        scale: What a number is multiplied by before it is shown.
        digits: Digits after the point.
        ceiling: The best value that there can be, for a measure of which more
            is better; None if less is better.
        floor: The value that nothing can better, for one of which less is
            better; None if there is none.
        over: What an interval draws anew, "sentences" say; None for a measure
            of a whole text.
        where: Key of what a record holds of its data: it is shown where that
            is true, and everywhere if None.
    """

    name: str
    words: str = ""
    unit: str = ""
    scale: float = 1.0
    digits: int = 2
    ceiling: float | None = None
    floor: float | None = None
    over: str | None = None
    where: str | None = None

    @property
    def monitor(self):
        """Key of an epoch whose smallest value tells the best weights."""
        return f"valid_{'error' if self.ceiling is not None else self.name}"

    @property
    def least(self):
        """The value of the monitor that nothing can better, or None."""
        return self.floor if self.ceiling is None else 0.0

    @property
    def heading(self):
        """Its name in words, and its unit."""
        name = self.words or self.name
        return f"{name}, {self.unit}" if self.unit else name

    def loss(self, value):
        """What the monitor of a value is: it falls as the value betters."""
        return value if self.ceiling is None else self.ceiling - value

    def text(self, value):
        """A value in the scale of its unit, e.g. "97.00"."""
        return f"{self.scale * value:.{self.digits}f}"

    def in_words(self, measured):
        """What was measured in a line, e.g. "accuracy 97.00 % (sampled ...)".

        Args:
            measured: Dict of its value, and of the sampled ones if there are.
        """
        text = f"{self.words or self.name} {self.text(measured[self.name])}"
        if self.unit:
            text += f" {self.unit}"
        sampled = self.sampled_in_words(measured)
        return f"{text} ({sampled})" if sampled else text

    def sampled_in_words(self, measured):
        """The sampled values in a line; an empty one if there are none."""
        if "sampled_n" not in measured:
            return ""
        mean = self.text(measured[f"{self.name}_sampled_mean"])
        deviation = self.text(measured[f"{self.name}_sampled_std"])
        return f"sampled {mean} +- {deviation}, n={measured['sampled_n']}"

    def cell(self, records: Sequence[Record], part="test", suffix="") -> str:
        """The cell of runs, their mean and deviation; see `tables.over_seeds`.

        Args:
            records: Those of the seeds of one model.
            part: "test" or "valid".
            suffix: What is behind the name of the figure, if it is another.
        """
        if not all(map(self._is_shown, records)):
            return "-"
        return over_seeds(
            records, part, self.name + suffix, self.scale, self.digits
        )

    def _is_shown(self, record):
        return self.where is None or bool(
            (record.get("data") or {}).get(self.where)
        )

    def sampled_cell(self, record: Record) -> str:
        """The cell of the mean and deviation with sampled actions, or "-"."""
        mean = number(record, "test", f"{self.name}_sampled_mean")
        deviation = number(record, "test", f"{self.name}_sampled_std")
        if mean is None:
            return "-"
        if deviation is None:
            return self.text(mean)
        return f"{self.text(mean)} ± {self.text(deviation)}"

    def pooled_sampled_cell(self, records: Sequence[Record]) -> str:
        """As `sampled_cell`, of several seeds with as many draws each."""
        if None in (
            means := [
                number(one, "test", f"{self.name}_sampled_mean")
                for one in records
            ]
        ):
            return "-"
        mean = self.text(statistics.fmean(means))
        deviations = [
            number(one, "test", f"{self.name}_sampled_std") for one in records
        ]
        if None in deviations:
            return mean
        pooled = statistics.fmean(each**2 for each in deviations) ** 0.5
        return f"{mean} ± {self.text(pooled)}"

    def worst_cell(self, records: Sequence[Record]) -> str:
        """The cell of the worst seed on the test split."""
        values = [number(one, "test", self.name) for one in records]
        if None in values:
            folder = records[values.index(None)].get("run_folder", "record")
            raise ResultError(f"{folder}: `test.{self.name}` is missing.")
        return self.text(max(values, key=self.loss))

    def published_cell(self, published, part="test", digits=1) -> str:
        """The cell of what is published, or "-".

        Args:
            published: Dict with "test_<name>" and "valid_<name>", or an empty
                one or None.
            part: "test" or "valid".
            digits: Digits after the point.
        """
        record = {"published": published}
        value = number(record, "published", f"{part}_{self.name}")
        return "-" if value is None else f"{self.scale * value:.{digits}f}"

    def best_valid(self, epochs) -> str:
        """The cell of the best value on the validation split so far, or "-"."""
        key = f"valid_{self.name}"
        found = [entry[key] for entry in epochs if key in entry]
        return self.text(min(found, key=self.loss)) if found else "-"


PERPLEXITY = Measure("perplexity", over="sentences")
ACCURACY = Measure(
    "accuracy", unit="%", scale=100, ceiling=1.0, over="examples"
)
BITS_PER_CHARACTER = Measure(
    "bits_per_character", "bits per character", digits=3, where="of_characters"
)
