"""Number prediction as a task: see `dsl.experiment.task.Task`."""

import dataclasses
from pathlib import Path

import numpy as np

from dsl.experiment import kinds
from dsl.experiment.measures import ACCURACY
from dsl.experiment.program import check_memory
from dsl.experiment.task import Task
from number_prediction import presets, settings, tables


@dataclasses.dataclass(frozen=True)
class Splits:
    """The examples of each split, `dsl.datasets.numbers.Examples`."""

    train: object
    valid: object
    test: object

    @property
    def sha256(self):
        """Their hashes, a dict."""
        return {split: one.sha256 for split, one in vars(self).items()}

    @property
    def counts(self):
        """How many there are, a dict."""
        return {split: len(one) for split, one in vars(self).items()}

    def describe(self):
        """The settings tell all that there is to tell."""
        return {}


def load(args, log):
    """The examples of each split, made first if that was asked for."""
    from dsl.datasets import DataError, numbers

    wanted = _wanted(args)
    folder = Path(args.data_dir)
    if args.produce:
        produce(wanted, folder, log or (lambda line: None))
    splits = numbers.load_splits(folder, wanted)
    for split, examples in splits.items():
        found = examples.settings.seed
        path = folder / numbers.file_name(wanted, split)
        if args.produce and len(examples) != presets.COUNTS[split]:
            raise DataError(
                f"{path} is there and must hold {presets.COUNTS[split]:,} "
                f"examples with --produce. Received: {len(examples):,}; "
                "others can be made in another --data_dir"
            )
        if args.data_seed not in (None, found):
            raise DataError(
                f"{path} must hold examples of --data_seed {args.data_seed}. "
                f"Received: {found}; others can be made in another --data_dir"
            )
    if len(splits["train"]) < args.batch_size:
        raise DataError(
            "--batch_size must be at most the number of training examples, "
            f"{len(splits['train']):,}. Received: {args.batch_size:,}"
        )
    return Splits(**splits)


def _wanted(args):
    from dsl.datasets import numbers

    seed = {} if args.data_seed is None else {"seed": args.data_seed}
    return numbers.Settings(args.length, args.index_from, args.symbols, **seed)


def produce(wanted, folder, log):
    """Makes the files that are not there, in the paper's sizes."""
    from dsl.datasets import numbers

    paths = {
        split: folder / numbers.file_name(wanted, split)
        for split in presets.COUNTS
    }
    if all(path.exists() for path in paths.values()):
        return  # Even in a folder that cannot be written.
    with numbers.writing(folder, log):
        for split, path in paths.items():
            if not path.exists():
                count = presets.COUNTS[split]
                numbers.save(path, numbers.draw(wanted, split, count))
                log(f"made {path}: {count:,} examples")


def check(args, splits):
    """Raises a RunError if weights and past states exceed the memory."""
    units, states = args.rnn_size, kinds.num_states(args)
    features = args.symbols * (2 if args.mark_pointer else 1)
    weights = 4 * units * (units + features)
    seen = units + features + args.policy_positions
    weights += args.policy_units * (seen + states)
    rows = args.rollouts * args.batch_size
    buffers = rows * units * (states + args.length)
    # Each weight, its gradient and two moments; h beside c; in float32.
    check_memory(
        4 * (4 * weights + 2 * buffers),
        "--rnn_size, --n_actions, --skip, --policy_units, --batch_size and "
        "--rollouts",
    )


def build(args, splits):
    """The classifier of the settings, and what trains it."""
    from dsl.system import startup
    from number_prediction import model

    startup.keep_freed_memory()
    built = model.build_model(args)
    return built, model.build_trainer(args, built)


def batches(args, splits):
    """The batches of an epoch, in an order of its own, by a curriculum."""
    from dsl.datasets.batches import Batches
    from number_prediction import measuring

    examples = splits.train

    def of_epoch(epoch):
        order = None
        if args.shuffle:
            seed = np.random.SeedSequence(args.seed, spawn_key=(epoch,))
            order = np.random.default_rng(seed).permutation(len(examples))
        shown = examples
        if args.first_length is not None:
            shown = examples.shortened(length_of(args, epoch))
        symbols = measuring.symbols_read(args, shown)
        return Batches(symbols, shown.labels, args.batch_size, order)

    return of_epoch


def length_of(args, epoch):
    """Free digits of the examples that an epoch trains on.

    min(length, first_length + length_step ((epoch - 1) // length_epochs))
    """
    taken_in = (args.length_step or 1) * ((epoch - 1) // args.length_epochs)
    return min(args.length, args.first_length + taken_in)


def validate(args, model, splits):
    """Accuracy and loss on the validation examples, beside training's."""
    from number_prediction import measuring

    scorer = measuring.make_scorer(args, model, args.eval_actions)

    def found(trained):
        scores = measuring.evaluate(args, scorer, splits.valid)
        return {
            "train_loss": trained["loss"],
            "train_accuracy": trained["accuracy"],
            "valid_loss": float(scores["nll"].mean()),
            "valid_accuracy": float(scores["correct"].mean()),
            "valid_error": float(1.0 - scores["correct"].mean()),
            **({"entropy": trained["entropy"]} if kinds.learns(args) else {}),
        }

    return found


def test(args, model, splits, split):
    """What was measured of the examples of a split; no scores are kept."""
    from number_prediction import measuring

    return measuring.measure(args, model, getattr(splits, split)), None


def reference(args, splits):
    """The data in words, and what accuracies on them are held to."""
    words = f"T={args.length + 1}"
    if args.symbols != 10:
        words += f", {args.symbols} symbols"
    if args.index_from == "start" and args.length > args.symbols:
        words += ", index from the start"
    if args.mark_pointer:
        words += ", pointer marked"
    held_to = presets.published(args, splits.counts)
    return {"corpus": words, "published": held_to}


def make(flags=settings.FLAGS, program="train_RL10_1.py"):
    """The task, of one of its two programs."""
    return Task(
        name="number_prediction",
        program=f"number_prediction/{program}",
        description="Trains a network to find the digit that the last number "
        "of a sequence points to.",
        flags=flags,
        measures=(ACCURACY,),
        throughput="sequences",
        count=lambda args: args.batch_size,
        load=load,
        build=build,
        batches=batches,
        validate=validate,
        test=test,
        reference=reference,
        published=lambda args, record: presets.published(args),
        check=check,
        run_name=lambda args: f"numbers-{args.model}-T{args.length + 1}",
        tables=tables.TABLES,
        columns=tables.columns,
        where=tables.where,
        figures=tables.figures,
    )


TASK = make()
