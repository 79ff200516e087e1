"""Adding: the sum of numbers in [0, 1), judged by its squared error."""

import dataclasses
import hashlib
import time

import numpy as np

from dsl.experiment import plan, shared_flags
from dsl.experiment.command_line import count, positive
from dsl.experiment.flags import Flags, Group, flag
from dsl.experiment.measures import Measure
from dsl.experiment.task import Task

ERROR = Measure("mean_squared_error", "mean squared error", digits=4, floor=0.0)


class Training(Group):
    """Training."""

    model = flag("lstm", choices=("lstm", "mean"))
    """What reads the numbers: an LSTM, or their mean alone."""
    length = flag(4, count, "N")
    """Numbers to add."""
    units = flag(8, count, "N", ("lstm",))
    """LSTM units."""
    learning_rate = flag(0.01, positive, "R")
    """Rate of Adam."""
    epochs = flag(3, count, "N", grows=True)
    """Epochs."""


@dataclasses.dataclass(frozen=True)
class Data:
    """Numbers `(n, length, 1)` and sums `(n, 1)` of each split."""

    train: tuple
    valid: tuple
    test: tuple

    @property
    def sha256(self):
        """Their hashes."""
        return {
            name: hashlib.sha256(x.tobytes()).hexdigest()
            for name, (x, _) in vars(self).items()
        }

    def describe(self):
        """What else a run keeps of them."""
        return {"examples": len(self.train[0])}


def load(args, log):
    """Draws the examples: the same ones for the same length."""
    rng, found = np.random.default_rng(args.length), {}
    for split, size in (("train", 640), ("valid", 100), ("test", 100)):
        x = rng.random((size, args.length, 1), "float32")
        found[split] = x, x.sum(axis=1)
    return Data(**found)


def build(args, data):
    """The model, which trains itself."""
    import keras

    import dsl

    class Adder(keras.Sequential):
        def begin_epoch(self):
            self.reset_metrics()

        def read_statistics(self):
            return {}

    first = dsl.LSTM(args.units, seed=args.seed, name="reader")
    if args.model == "mean":
        first = keras.layers.GlobalAveragePooling1D()
    model = Adder([first, keras.layers.Dense(1, name="sum")], name="adder")
    model.compile(keras.optimizers.Adam(args.learning_rate), "mse")
    model.build((None, args.length, 1))
    model.optimizer.build(model.trainable_variables)
    return model, model


def batches(args, data):
    """Batches of 32, in the same order in every epoch."""
    x, y = (np.split(one, 20) for one in data.train)
    pairs = list(zip(x, y, strict=True))
    return lambda epoch: pairs


def validate(args, model, data):
    """The error after an epoch."""
    key = ERROR.monitor
    return lambda _: {key: test(args, model, data, "valid")[0][ERROR.name]}


def test(args, model, data, split):
    """The error of a split; no scores of single examples are kept."""
    started, (x, y) = time.perf_counter(), getattr(data, split)
    error = float(((np.asarray(model(x)) - y) ** 2).mean())
    return {ERROR.name: error, "seconds": time.perf_counter() - started}, None


TASK = Task(
    name="sums",
    program="sums/train.py",
    description="Trains a network to add numbers.",
    flags=Flags((shared_flags.Run, Training, shared_flags.Show)),
    measures=(ERROR,),
    throughput="sums",
    count=lambda args: 32,
    load=load,
    build=build,
    batches=batches,
    validate=validate,
    test=test,
    reference=lambda args, data: {"corpus": f"{args.length} numbers"},
    tables={
        "short": plan.Table(
            "--epochs 2",
            {
                "lstm": plan.Plan("--model lstm", (1, 2)),
                "mean": plan.Plan("--model mean"),
            },
        )
    },
    columns=lambda rows: [
        plan.Column("row", lambda row: row.name, brief=True),
        plan.Column("test", plan.of_records(ERROR.cell, "not run"), brief=True),
    ],
)
