"""What is timed: plain data, read by every other part."""

import dataclasses


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
    """

    name: str
    units: int
    steps: int
    dropout: float
    batch: int = 20
    vocabulary: int = 10_000
    policy_units: int = 50


@dataclasses.dataclass(frozen=True)
class Contender:
    """One implementation of the training step.

    Attributes:
        name: How tables call it.
        kind: "dynamic" (a plain and a dynamic layer of the library), "plain"
            (two plain layers of the library), "keras" or "torch" (two of
            theirs).
        num_actions: K, how many past states the agent chooses among.
        estimator: How the agent learns.
        rollouts: R; two or more use the leave-one-out baseline, one the mean
            over the batch.
        steps: T if it differs from the size's, or None.
    """

    name: str
    kind: str
    num_actions: int = 5
    estimator: str = "reinforce"
    rollouts: int = 1
    steps: int | None = None

    def resized(self, size):
        """The size that this contender runs at."""
        steps = size.steps if self.steps is None else self.steps
        return dataclasses.replace(size, steps=steps)


@dataclasses.dataclass(frozen=True)
class Job:
    """A table: contenders that take turns in one process.

    Attributes:
        table: "step" or "growth".
        size: The `Size`.
        contenders: Tuple of `Contender`.
        cores: Cores that all of them share.
        rounds: Timed steps of each.
        matmul: Shape m, k, n of the matrix product whose rate is the limit.
    """

    table: str
    size: Size
    contenders: tuple
    cores: int
    rounds: int
    # The rate grows no further: on one core with AVX-512 it is within 2 % of
    # that of 2048 x 2048 x 2048, and a tenth above 1024 x 1024 x 1024.
    matmul: tuple = (1024, 1300, 2600)


# Zaremba et al. 2014, arXiv:1409.2329: their small and medium models.
SIZES = {
    "small": Size("small", units=200, steps=20, dropout=0.0),
    "medium": Size("medium", units=650, steps=35, dropout=0.5),
}

# All others are held to this one.
REFERENCE = "keras plain"

OURS = Contender("ours dynamic", "dynamic")

STEP = (
    OURS,
    Contender(
        "ours dynamic, straight-through",
        "dynamic",
        estimator="straight_through",
    ),
    Contender("ours dynamic, two rollouts", "dynamic", rollouts=2),
    Contender("ours plain", "plain"),
    Contender(REFERENCE, "keras"),
    Contender("torch plain", "torch"),
)


def growth(steps):
    """Contenders of the growth tables; the first is what both start from.

    Args:
        steps: T of the first.

    Returns:
        Tuple of `Contender`: K = 5, 10, 50 at T, then 2 T and 4 T at K = 5.
    """
    return (
        OURS,
        *(Contender(f"K = {k}", "dynamic", num_actions=k) for k in (10, 50)),
        *(
            Contender(f"T = {n * steps}", "dynamic", steps=n * steps)
            for n in (2, 4)
        ),
    )


def jobs(sizes, cores, rounds, with_growth, with_torch):
    """All tables of a run.

    Args:
        sizes: List of `Size`.
        cores: Numbers of cores.
        rounds: Timed steps of each contender.
        with_growth: Whether the growth tables are made, at the last size.
        with_torch: Whether PyTorch takes part.

    Returns:
        List of `Job`.
    """
    step = tuple(c for c in STEP if with_torch or c.kind != "torch")
    made = []
    for n in cores:
        made += [Job("step", size, step, n, rounds) for size in sizes]
        if with_growth:
            last = sizes[-1]
            made.append(Job("growth", last, growth(last.steps), n, rounds))
    return made
