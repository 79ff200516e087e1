"""What is timed: plain data, read by every other part."""

import dataclasses
from typing import ClassVar


@dataclasses.dataclass(frozen=True)
class Encoder:
    """What makes the vector of a word from its characters.

    Attributes:
        widths: w, of each convolution.
        feature_maps: Outputs of each.
        highway_layers: How many follow.
        characters: Size of the alphabet, with what pads a word.
        embedding_units: E, width of a character's vector.
        longest: Characters of the longest word, with its start and end.
    """

    widths: tuple
    feature_maps: tuple
    highway_layers: int
    characters: int = 51
    embedding_units: int = 15
    longest: int = 21

    @property
    def units(self):
        """C, width of a word's vector."""
        return sum(self.feature_maps)


@dataclasses.dataclass(frozen=True)
class Size:
    """A language model and one batch of text.

    Attributes:
        name: How tables call it.
        units: H, width of the word vectors and of both layers.
        steps: T, length of a segment.
        dropout: Rate on word vectors and after each layer.
        batch: B, number of streams.
        vocabulary: V, number of words.
        policy_units: P, hidden units of the agent.
        encoder: The `Encoder` of those models that read characters.
    """

    model: ClassVar[str] = "language_model"

    name: str
    units: int
    steps: int
    dropout: float
    batch: int = 20
    vocabulary: int = 10_000
    policy_units: int = 50
    encoder: Encoder | None = None

    @property
    def features(self):
        """Width of what the agent's layer reads."""
        return self.units


@dataclasses.dataclass(frozen=True)
class NumberSize:
    """The classifier of number prediction and one batch of sequences.

    Attributes:
        name: How tables call it.
        units: H, width of its one layer.
        steps: T, length of a sequence.
        batch: B, number of sequences.
        symbols: S, size of the alphabet; as many are the classes.
        policy_units: P, hidden units of the agent.
    """

    model: ClassVar[str] = "number_prediction"

    name: str
    units: int = 200
    steps: int = 11
    batch: int = 100
    symbols: int = 10
    policy_units: int = 10

    @property
    def features(self):
        """Width of what the agent's layer reads: one-hot symbols."""
        return self.symbols


@dataclasses.dataclass(frozen=True)
class Contender:
    """One implementation of the training step.

    Attributes:
        name: How tables call it.
        kind: What the layers are: "dynamic", "fixed_skip" or "attention" (the
            top one a layer of the library that reads past states, what is
            below plain), "plain" (plain ones of the library), "keras" or
            "torch" (theirs).
        num_actions: K, how many past states the agent chooses among, or are
            attended to; of a fixed skip, how many steps back.
        estimator: How the agent learns.
        rollouts: R; two or more use the leave-one-out baseline, one the mean
            over the batch.
        steps: T if it differs from the size's, or None.
        compiled: Whether XLA compiles the step; None leaves it to the
            backend: JAX does, TensorFlow does not.
        characters: Whether words are read as characters.
    """

    name: str
    kind: str
    num_actions: int = 5
    estimator: str = "reinforce"
    rollouts: int = 1
    steps: int | None = None
    compiled: bool | None = None
    characters: bool = False

    def resized(self, size):
        """The size that this contender runs at."""
        steps = size.steps if self.steps is None else self.steps
        return dataclasses.replace(size, steps=steps)


@dataclasses.dataclass(frozen=True)
class Job:
    """A table: contenders that take turns in one process.

    Attributes:
        table: "step" or "growth".
        size: The `Size` or `NumberSize`.
        contenders: Tuple of `Contender`.
        cores: Cores that all of them share.
        rounds: Timed steps of each.
        matmul: Shape m, k, n of the matrix product whose rate is the limit.
    """

    table: str
    size: Size | NumberSize
    contenders: tuple
    cores: int
    rounds: int
    # The rate grows no further: on one core with AVX-512 it is within 2 % of
    # that of 2048 x 2048 x 2048, and a tenth above 1024 x 1024 x 1024.
    matmul: tuple = (1024, 1300, 2600)


SIZES = {
    # Zaremba et al. 2014, arXiv:1409.2329: their small and medium models; with
    # the small and the large encoder of Kim et al. 2016, arXiv:1508.06615.
    "small": Size(
        "small",
        units=200,
        steps=20,
        dropout=0.0,
        encoder=Encoder((1, 2, 3, 4, 5, 6), (25, 50, 75, 100, 125, 150), 1),
    ),
    "medium": Size(
        "medium",
        units=650,
        steps=35,
        dropout=0.5,
        encoder=Encoder(
            (1, 2, 3, 4, 5, 6, 7), (50, 100, 150, 200, 200, 200, 200), 2
        ),
    ),
    # Gui et al. 2019, and the agent of their published code.
    "numbers": NumberSize("number prediction"),
}

# All others are held to this one; where a table has it compiled and not
# compiled, to the row of the smaller median.
REFERENCE = "keras plain"

OURS = Contender("ours dynamic", "dynamic")

NUMBERS = (
    Contender("ours dynamic", "dynamic", num_actions=10, compiled=True),
    Contender("ours plain", "plain", compiled=True),
    Contender(REFERENCE, "keras", compiled=True),
)

# By the model of a size.
STEP = {
    "language_model": (
        OURS,
        Contender(
            "ours dynamic, straight-through",
            "dynamic",
            estimator="straight_through",
        ),
        Contender("ours dynamic, two rollouts", "dynamic", rollouts=2),
        Contender("ours fixed skip", "fixed_skip"),
        Contender("ours attention", "attention"),
        Contender("ours plain", "plain"),
        Contender("ours plain, characters", "plain", characters=True),
        Contender(REFERENCE, "keras"),
        Contender("torch plain", "torch"),
    ),
    "number_prediction": (
        *NUMBERS,
        *(
            dataclasses.replace(
                contender,
                name=f"{contender.name}, not compiled",
                compiled=False,
            )
            for contender in NUMBERS
        ),
    ),
}


def growth(size):
    """Contenders of the growth tables.

    Args:
        size: The `Size` or `NumberSize`.

    Returns:
        List of tuples of `Contender`, one a job, that grow from their first.
        Language models: K = 5, 10, 50 at the size's T, then 2 T and 4 T at
        K = 5. Number prediction: K = 10, 20, 50 at a T at which each distance
        can be chosen; and T = 11, 21, 51, 101 at K = 10.
    """
    if size.model == "number_prediction":
        first = NUMBERS[0]
        return [
            tuple(
                dataclasses.replace(
                    first, name=f"K = {k}", num_actions=k, steps=51
                )
                for k in (10, 20, 50)
            ),
            tuple(
                dataclasses.replace(first, name=f"T = {steps}", steps=steps)
                for steps in (11, 21, 51, 101)
            ),
        ]
    by_actions = (
        Contender(f"K = {k}", "dynamic", num_actions=k) for k in (10, 50)
    )
    by_steps = (
        Contender(f"T = {steps}", "dynamic", steps=steps)
        for steps in (2 * size.steps, 4 * size.steps)
    )
    return [(OURS, *by_actions, *by_steps)]


def jobs(
    sizes, cores, rounds, with_growth, with_torch=True, with_uncompiled=True
):
    """All tables of a run.

    Args:
        sizes: List of `Size` and `NumberSize`.
        cores: Numbers of cores.
        rounds: Timed steps of each contender.
        with_growth: Whether the growth tables are made, at the last size of
            each model.
        with_torch: Whether PyTorch takes part.
        with_uncompiled: Whether steps that XLA shall not compile take part.

    Returns:
        List of `Job`.
    """

    def takes_part(contender):
        return (with_torch or contender.kind != "torch") and (
            with_uncompiled or contender.compiled is not False
        )

    made = []
    for n in cores:
        for model in dict.fromkeys(size.model for size in sizes):
            same = [size for size in sizes if size.model == model]
            step = tuple(filter(takes_part, STEP[model]))
            made += [Job("step", size, step, n, rounds) for size in same]
            if with_growth:
                made += [
                    Job("growth", same[-1], contenders, n, rounds)
                    for contenders in growth(same[-1])
                ]
    return made
