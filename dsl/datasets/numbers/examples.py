"""The examples of number prediction: the rule, and how they are drawn."""

import dataclasses
import functools
import hashlib
import json
import math

import numpy as np

from dsl import choices
from dsl.datasets.corpus import SPLITS

FORMAT = 1  # Of what is kept of the examples.

_DIGITS, _POINTERS = 0, 1  # Two streams of random numbers a split.
_CHUNK = 1 << 20  # numbers


@dataclasses.dataclass(frozen=True)
class Settings:
    """Which number prediction it is.

        label = a[first + b],  0 <= b < pointers,  a = x_0 .. x_{length - 1}

        pointers = min(symbols, length)
        first    = 0                          "start"
                   length - pointers          "last10"

    The pointer b = x_{T-1} is uniform over the positions that it can reach,
    and T = length + 1. Counting from the start is what the authors' picture
    and the formula of their README say; pointing into the last ten digits is
    what their program for the data does. With T = 11 both are the same.

    Attributes:
        length: Free symbols of a sequence, 1 to 1000; the paper has 10 and 20.
        index_from: `"last10"` (the last `symbols` positions) or `"start"`.
        symbols: Size of the alphabet, 2 to 256; the published code has 10.
        seed: Integer in [0, 2**31) that all examples come from.
    """

    length: int = 10
    index_from: str = "last10"
    symbols: int = 10
    seed: int = 3435

    def __post_init__(self):
        choices.check_choice("index_from", self.index_from, choices.INDEX_FROM)
        for name, low, high in (
            ("length", 1, choices.MOST_LENGTH),
            ("symbols", 2, choices.MOST_SYMBOLS),
            ("seed", 0, 2**31 - 1),
        ):
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise ValueError(
                    f"`{name}` must be an integer in [{low}, {high}]. "
                    f"Received: {name}={value!r}"
                )

    @property
    def pointers(self) -> int:
        """How many positions can be pointed to."""
        return min(self.symbols, self.length)

    @property
    def first(self) -> int:
        """The position that pointer 0 points to."""
        return 0 if self.index_from == "start" else self.length - self.pointers

    def distance(self, pointer):
        """How far back from the last step the digit pointed to was read.

            k = length - (first + b)

        Args:
            pointer: b, an integer or an array of integers.
        """
        return self.length - self.first - pointer

    def bytes_of(self, count: int) -> int:
        """How many bytes `count` examples take."""
        return count * (self.length + 2)


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """One split.

    Attributes:
        inputs: uint8 `(count, length + 1)`: symbols in [0, symbols), then the
            pointer in [0, pointers). Read-only.
        labels: uint8 `(count,)`, values in [0, symbols). Read-only.
        settings: What they are examples of.
        split: `"train"`, `"valid"` or `"test"`.
    """

    inputs: np.ndarray
    labels: np.ndarray
    settings: Settings
    split: str

    def __post_init__(self):
        self.inputs.setflags(write=False)
        self.labels.setflags(write=False)

    def __len__(self):
        return len(self.labels)

    @functools.cached_property
    def sha256(self) -> str:
        """Hash (hexadecimal) of settings, split, numbers and labels.

        Unlike that of a file, it does not depend on how zlib packs.
        """
        digest = hashlib.sha256(
            json.dumps(self.header(), sort_keys=True).encode()
        )
        digest.update(np.ascontiguousarray(self.inputs))
        digest.update(np.ascontiguousarray(self.labels))
        return digest.hexdigest()

    def shortened(self, length: int) -> "Examples":
        """The same examples with fewer symbols that nothing points to.

        What is left out comes right before the pointer ("start") or first
        ("last10"), so that each pointer finds the label where it says.

        Args:
            length: Free symbols that are left, from as many as can be pointed
                to up to all.

        Raises:
            ValueError: If it is another length.
        """
        settings = self.settings
        if not settings.pointers <= length <= settings.length:
            raise ValueError(
                f"`length` must be in [{settings.pointers}, "
                f"{settings.length}]. Received: {length}"
            )
        start = settings.index_from == "start"
        first = 0 if start else settings.length - length
        kept = [*range(first, first + length), settings.length]
        return dataclasses.replace(
            self,
            inputs=self.inputs[:, kept],
            settings=dataclasses.replace(settings, length=length),
        )

    def header(self) -> dict:
        """What a file holds beside the arrays, but for the hash."""
        return {
            "format": FORMAT,
            "split": self.split,
            "count": len(self),
            "settings": dataclasses.asdict(self.settings),
        }


def draw(settings: Settings, split: str, count: int) -> Examples:
    """Draws the examples of a split.

    The splits of a seed are independent, and so are those of two seeds. More
    examples of a split begin with the same ones. The numbers come from the
    raw bits of a Philox generator, which no version of NumPy changes.

    Args:
        settings: What to draw examples of.
        split: `"train"`, `"valid"` or `"test"`.
        count: How many.

    Returns:
        The examples.

    Raises:
        ValueError: If there is no such split or `count` is below 1.
    """
    choices.check_choice("split", split, SPLITS)
    choices.check_count("count", count, "the number of examples")
    shape = (count, settings.length)
    inputs = np.empty((count, settings.length + 1), np.uint8)
    inputs[:, :-1] = _uniform(
        _bits(settings.seed, split, _DIGITS), settings.symbols, math.prod(shape)
    ).reshape(shape)
    inputs[:, -1] = _uniform(
        _bits(settings.seed, split, _POINTERS), settings.pointers, count
    )
    return Examples(inputs, labels_of(inputs, settings), settings, split)


def labels_of(inputs: np.ndarray, settings: Settings) -> np.ndarray:
    """Returns what each sequence points to.

        label = a[first + b]

    Args:
        inputs: uint8 `(count, length + 1)`, as in `Examples`.
        settings: What they are examples of.

    Returns:
        uint8 `(count,)`, values in [0, symbols).
    """
    positions = settings.first + inputs[:, -1:].astype(np.intp)
    return np.take_along_axis(inputs, positions, axis=1)[:, 0]


def overlap(train: Examples, other: Examples) -> tuple[int, float]:
    """Counts the examples that also stand in the training set.

        expected = n (1 - (1 - p)^n_train),  p = 1 / (symbols^length pointers)

    Args:
        train: The training set.
        other: The examples to look for, of the same settings.

    Returns:
        How many of `other` stand in `train`, and how many chance gives.
    """
    wanted = {row.tobytes() for row in other.inputs}
    seen = wanted.intersection(row.tobytes() for row in train.inputs)
    count = sum(row.tobytes() in seen for row in other.inputs)
    settings = train.settings
    log_p = -settings.length * math.log(settings.symbols)
    p = math.exp(log_p - math.log(settings.pointers))
    return count, -len(other) * math.expm1(len(train) * math.log1p(-p))


def _bits(seed: int, split: str, stream: int) -> np.random.Philox:
    """Returns the source of one stream of a split."""
    key = (SPLITS.index(split), stream)
    return np.random.Philox(np.random.SeedSequence(seed, spawn_key=key))


def _uniform(bits: np.random.Philox, bound: int, count: int) -> np.ndarray:
    """Draws uint8 `(count,)`, uniform on [0, bound).

    A random byte modulo `bound` is uniform if the bytes from the largest
    multiple of `bound` upward are left out.
    """
    limit = 256 - 256 % bound
    drawn = np.empty(count, np.uint8)
    filled = 0
    while filled < count:
        words = bits.random_raw(min(count - filled, _CHUNK) // 8 + 1)
        octets = words.astype("<u8").view(np.uint8)
        kept = octets[octets < limit][: count - filled] % np.uint16(bound)
        drawn[filled : filled + len(kept)] = kept
        filled += len(kept)
    return drawn
