"""The copy task: what is read between two marks is to be put out once more.

    step                    input                     target
    0                       start mark                silence
    1 .. L                  the pattern, L vectors    silence
    L + 1                   end mark                  silence
    L + 2 + delay ..        silence                   the pattern, in order
    then, up to the end     silence                   silence

Of the input's channels the first is the end mark, the second the start mark,
and the others are the bits of the pattern; the target has these alone. A
sequence is as long as the longest of its kind needs: 2 M + 2 + delay steps.

Reference: Graves, Wayne and Danihelka, "Neural Turing Machines", 2014,
arXiv:1410.5401; marks and lengths as in github.com/ajithcodesit/lstm_copy_task.
"""

import dataclasses
import functools
import hashlib

import numpy as np

from dsl.choices import MOST_VECTORS, check_count, check_number

END, START = 0, 1
"""Channels of the marks."""
MARKS = 2


@dataclasses.dataclass(frozen=True)
class Settings:
    """Which copy task it is.

    Attributes:
        max_length: M, the most vectors of a pattern.
        min_length: The fewest; the length of each is uniform in between.
        bits: Fair bits of a vector.
        low: The value of a bit that is 0, and of silence; the published code
            has 0.001.
        high: The value of a bit that is 1, and of a mark.
        delay: Steps of silence between the end mark and the answer.

    Raises:
        ValueError: If one is out of its range, or `low` is not below `high`.
    """

    max_length: int = 20
    min_length: int = 1
    bits: int = 8
    low: float = 0.0
    high: float = 1.0
    delay: int = 0

    def __post_init__(self):
        check_count("max_length", self.max_length, "the most vectors")
        check_count("min_length", self.min_length, "the fewest vectors")
        check_count("bits", self.bits, "the bits of a vector")
        check_number("low", self.low, "a target", 0, 1)
        check_number("high", self.high, "a target", 0, 1)
        check_number("delay", self.delay, "a number of steps", 0, MOST_VECTORS)
        if self.min_length > self.max_length:
            raise ValueError(
                "`min_length` must be at most `max_length`. Received: "
                f"min_length={self.min_length!r}, "
                f"max_length={self.max_length!r}"
            )
        if self.low >= self.high:
            raise ValueError(
                "`low` must be below `high`. Received: "
                f"low={self.low!r}, high={self.high!r}"
            )

    @property
    def steps(self):
        """Steps of each sequence."""
        return 2 * self.max_length + 2 + self.delay

    @property
    def channels(self):
        """Channels of the input."""
        return MARKS + self.bits

    def of_length(self, length):
        """The same task, all patterns of one length."""
        return dataclasses.replace(self, min_length=length, max_length=length)


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """Sequences of the copy task.

    Attributes:
        inputs: float32 `(count, steps, channels)`.
        targets: float32 `(count, steps, bits)`.
        lengths: L of each, integer `(count,)`.
        settings: What they are examples of.
    """

    inputs: np.ndarray
    targets: np.ndarray
    lengths: np.ndarray
    settings: Settings

    def __len__(self):
        return len(self.lengths)

    @property
    def answer(self):
        """The steps of the answers, bool `(count, steps)`."""
        length = self.lengths[:, None]
        step = np.arange(self.settings.steps) - self.settings.delay
        return (step >= length + 2) & (step < 2 * length + 2)

    @property
    def ones(self):
        """Which bits of the targets are 1, bool `(count, steps, bits)`."""
        middle = (self.settings.low + self.settings.high) / 2
        return self.targets > middle

    @functools.cached_property
    def sha256(self):
        """Hash (hexadecimal) of the sequences."""
        digest = hashlib.sha256(repr(self.settings).encode())
        digest.update(np.ascontiguousarray(self.inputs))
        digest.update(np.ascontiguousarray(self.targets))
        return digest.hexdigest()


def draw(settings, count, rng):
    """Draws sequences.

    Args:
        settings: The `Settings`.
        count: How many.
        rng: A `numpy.random.Generator`.

    Returns:
        `Examples`.
    """
    longest = settings.max_length
    lengths = rng.integers(settings.min_length, longest + 1, count)
    pattern = rng.integers(0, 2, (count, longest, settings.bits))
    pattern[np.arange(longest) >= lengths[:, None]] = 0
    inputs = np.zeros((count, settings.steps, settings.channels), bool)
    targets = np.zeros((count, settings.steps, settings.bits), bool)
    rows, places = np.arange(count)[:, None], np.arange(longest)
    inputs[:, 0, START] = 1
    inputs[:, 1 : longest + 1, MARKS:] = pattern
    inputs[rows[:, 0], lengths + 1, END] = 1
    answer = lengths[:, None] + 2 + settings.delay + places
    targets[rows, answer] = pattern
    low, high = np.float32(settings.low), np.float32(settings.high)
    return Examples(
        np.where(inputs, high, low),
        np.where(targets, high, low),
        lengths,
        settings,
    )


def stream(settings, count, *seeds):
    """Draws the sequences that seeds stand for, the same ones each time.

    Args:
        settings: The `Settings`.
        count: How many.
        *seeds: Integers, not negative: a seed and, say, epoch and step.

    Returns:
        `Examples`.
    """
    first, *others = seeds
    sequence = np.random.SeedSequence(first, spawn_key=tuple(others))
    return draw(settings, count, np.random.default_rng(sequence))
