"""The copy task as a task: see `dsl.experiment.task.Task`."""

import dataclasses
import math

from copy_task import settings, tables
from copy_task.tables import BITS, EXACT
from dsl.experiment import kinds, output
from dsl.experiment.program import check_memory
from dsl.experiment.task import Task

_SPLITS = {"train": 1, "valid": 2, "test": 3}
"""Numbers of the streams of sequences; that of training itself is 0."""


@dataclasses.dataclass(frozen=True)
class Data:
    """The sequences of each split, `dsl.datasets.copying.Examples`.

    Those of training are new at each step: `train` are others of their kind.
    `lengths` are those to test each length on.
    """

    train: object
    valid: object
    test: object
    lengths: dict

    @property
    def sha256(self):
        """Their hashes, a dict; those of lengths may be asked anew."""
        return {key: getattr(self, key).sha256 for key in ("valid", "test")}

    def describe(self):
        """The settings tell all that there is to tell."""
        return {}


def sequence_settings(args, most=None):
    """The settings of the sequences, `dsl.datasets.copying.Settings`.

    Args:
        args: The settings of a run.
        most: The most vectors, if they are not `--max_length`.
    """
    from dsl.datasets import copying

    return copying.Settings(
        most or args.max_length,
        args.min_length,
        args.bits,
        args.low,
        args.high,
        args.delay,
    )


def check_size(args):
    """Raises a RunError if sequences, weights and states exceed the memory."""
    kind = sequence_settings(args)
    numbers = kind.channels + kind.bits
    longest = max(args.eval_lengths)
    steps = sum(kind.of_length(x).steps for x in args.eval_lengths)
    drawn = numbers * args.eval_sequences * (3 * kind.steps + steps)
    # While they are drawn, eight bytes a bit more.
    drawn += 2 * kind.bits * args.eval_sequences * max(args.max_length, longest)
    units, layers = args.rnn_size, args.rnn_layers
    states = kinds.num_states(args)
    weights = 4 * units * (units + kind.channels)
    weights += (layers - 1) * 8 * units * units
    weights += args.policy_units * (3 * units + states)
    rows = args.batch_size * (args.rollouts if kinds.chooses(args) else 1)
    trained = rows * units * (states + 10 * layers * kind.steps)
    check_memory(
        4 * (4 * weights + 2 * trained + drawn),
        "--rnn_size, --rnn_layers, --n_actions, --policy_units, --batch_size, "
        "--rollouts, --bits, --delay, --max_length, --eval_lengths and "
        "--eval_sequences",
    )


def load(args, log):
    """Draws the sequences of validation and test."""
    from dsl.datasets import copying

    check_size(args)
    count, kind = args.eval_sequences, sequence_settings(args)
    return Data(
        **{
            split: copying.stream(kind, count, args.data_seed, number)
            for split, number in _SPLITS.items()
        },
        lengths={
            length: copying.stream(
                kind.of_length(length), count, args.data_seed, 4, length
            )
            for length in args.eval_lengths
        },
    )


def build(args, data):
    """The transducer of the settings, and what trains it."""
    from copy_task import model
    from dsl.system import startup

    startup.keep_freed_memory()
    built = model.build_model(args)
    return built, model.build_trainer(args, built)


class Fresh:
    """The batches of an epoch, each drawn when it is asked for.

    A batch is that of the seed, the epoch and its own number.
    """

    def __init__(self, args, epoch):
        self.args = args
        self.epoch = epoch
        self.settings = sequence_settings(args, longest(args, epoch))

    def __len__(self):
        return self.args.steps_per_epoch

    def __getitem__(self, n):
        from dsl.datasets import copying

        found = copying.stream(
            self.settings,
            self.args.batch_size,
            self.args.seed,
            0,
            self.epoch,
            n,
        )
        return found.inputs, found.targets


def longest(args, epoch):
    """The most vectors of the patterns of an epoch, from 1.

    min(max_length, first_length + ceil((epoch - first_epochs) / length_epochs))
    """
    if args.first_length is None:
        return args.max_length
    later = max(epoch - args.first_epochs, 0)
    grown = args.first_length + math.ceil(later / args.length_epochs)
    return min(args.max_length, grown)


def validate(args, model, data):
    """What copies of the validation's sequences are worth."""
    from copy_task import measuring

    scorer = measuring.make_scorer(args, model)

    def found(trained):
        scored = scorer.score(data.valid.inputs, seed=args.seed)
        measured = measuring.measure(scored["logits"], data.valid)
        return {
            "train_loss": trained["loss"],
            "recent_loss": trained["recent_loss"],
            "max_length": longest(args, trained["epoch"]),
            **{
                f"valid_{key}": measured[key]
                for key in (
                    "bits_per_sequence",
                    "exact",
                    "bit_errors",
                    "loss",
                    "published_loss",
                )
            },
            **({"entropy": trained["entropy"]} if kinds.learns(args) else {}),
        }

    return found


def test(args, model, data, split):
    """What was measured of a split; no scores are kept."""
    from copy_task import measuring

    return measuring.measure_all(args, model, data, split), None


def show(args, data):
    """Measures a model, and draws what it puts out."""

    def show_model(model):
        from copy_task import figures

        for split in args.split:
            measured, _ = test(args, model, data, split)
            output.result(f"{split}: {in_words(measured)}")
            for length in data.lengths if split == "test" else ():
                part = tables.of_length(measured, length)
                output.result(f"  length {length}: {in_words(part)}")
        if args.figure is not None:
            for path in figures.save(args, model, data):
                output.result(f"drawn: {path}")

    return show_model


def in_words(measured):
    """What was measured, in a line."""
    return (
        f"{EXACT.in_words(measured)}, "
        f"bit errors {100 * measured['bit_errors']:.2f} %, "
        f"{BITS.in_words(measured)}, loss {measured['loss']:.5f}"
    )


def schedule(args):
    """A rate that stays, or falls along half a cosine."""
    from dsl.training.schedules import Schedule

    return Schedule(
        args.learning_rate,
        factor=1.0,
        constant_epochs=1,
        floor=args.final_learning_rate or 0.0,
        cosine_epochs=args.decay_epochs,
    )


def is_done(args, entry):
    """Whether the last batches of an epoch have the loss that is asked for."""
    return args.stop_loss is not None and entry["recent_loss"] <= args.stop_loss


TASK = Task(
    name="copy_task",
    program="copy_task/train.py",
    description="Trains a network to put out once more what it has read "
    "between two marks, and tests it on longer patterns too.",
    flags=settings.FLAGS,
    measures=(BITS, EXACT),
    throughput="sequences",
    count=lambda args: args.batch_size,
    load=load,
    build=build,
    batches=lambda args, data: lambda epoch: Fresh(args, epoch),
    validate=validate,
    test=test,
    reference=lambda args, data: tables.reference(args),
    published=lambda args, record: tables.reference(args)["published"],
    show=show,
    schedule=schedule,
    is_done=is_done,
    describe=lambda entry: (
        f"exact {EXACT.text(entry['valid_exact'])} %  "
        f"train loss {entry['recent_loss']:.5f}"
    ),
    in_words=in_words,
    run_name=lambda args: f"copy-{args.model}",
    tables=tables.TABLES,
    columns=tables.columns,
    where=lambda folder, table, seed: [],
    figures=tables.figures,
)
