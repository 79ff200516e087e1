"""How a classifier is trained, and the record of a run."""

import time

import keras
import numpy as np

from dsl.experiment.kinds import learns
from dsl.runs import provenance
from dsl.training import loop, schedules
from number_prediction import measuring, settings

# Of each epoch, what is read when a run goes on or ends.
_READ = ("valid_error", "valid_accuracy", "seconds", "valid_seconds")


class Batches:
    """The batches of one epoch: a sequence of pairs (symbols, labels).

    Args:
        symbols: What is read of the examples, integer `(n, time)`.
        labels: Theirs, integer `(n,)`.
        batch_size: Sequences a batch; what is left over is left out.
        order: The order of the examples, integer `(n,)`, or None.
    """

    def __init__(self, symbols, labels, batch_size, order=None):
        self.symbols = symbols
        self.labels = labels
        self.batch_size = batch_size
        self.order = np.arange(len(labels)) if order is None else order

    def __len__(self):
        return len(self.labels) // self.batch_size

    def __getitem__(self, n):
        start = n * self.batch_size
        rows = self.order[start : start + self.batch_size]
        symbols, labels = self.symbols[rows], self.labels[rows]
        return symbols.astype(np.int32), labels.astype(np.int32)


def epoch_data(args, examples):
    """Function of an epoch's number that gives its batches."""

    def batches(epoch):
        order = None
        if args.shuffle:
            seed = np.random.SeedSequence(args.seed, spawn_key=(epoch,))
            order = np.random.default_rng(seed).permutation(len(examples))
        shown = examples
        if args.first_length is not None:
            shown = examples.shortened(length_of(args, epoch))
        symbols = measuring.symbols_read(args, shown)
        return Batches(symbols, shown.labels, args.batch_size, order)

    return batches


def length_of(args, epoch):
    """Free digits of the examples that an epoch trains on.

    min(length, first_length + length_step ((epoch - 1) // length_epochs))
    """
    taken_in = (args.length_step or 1) * ((epoch - 1) // args.length_epochs)
    return min(args.length, args.first_length + taken_in)


def train(args, trainer, splits, run, on_resume, on_step, on_epoch):
    """Trains for the epochs or steps asked for, from the last checkpoint.

    Args:
        args: The settings.
        trainer: What `build_trainer` returned.
        splits: Dict of the examples `train` and `valid`.
        run: The `dsl.runs.folder.RunFolder`.
        on_resume: Called with the `dsl.training.loop.Progress` at the start.
        on_step: See `dsl.training.loop.fit`.
        on_epoch: Likewise.

    Returns:
        List of one dict of measurements an epoch.
    """
    schedule = schedules.Schedule(
        args.learning_rate, factor=1.0, constant_epochs=1
    )

    scorer = measuring.make_scorer(args, trainer.classifier, args.eval_actions)

    def finish_epoch(trained):
        started = time.perf_counter()
        found = measuring.evaluate(args, scorer, splits["valid"])
        return {
            "train_loss": trained["loss"],
            "train_accuracy": trained["accuracy"],
            "valid_loss": float(found["nll"].mean()),
            "valid_accuracy": float(found["correct"].mean()),
            "valid_error": float(1.0 - found["correct"].mean()),
            **({"entropy": trained["entropy"]} if learns(args) else {}),
            "sequences_per_second": trained["steps"]
            * args.batch_size
            / trained["seconds"],
            "valid_seconds": time.perf_counter() - started,
        }

    progress = loop.resume(trainer, run, schedule, _READ)
    on_resume(progress)
    loop.fit(
        trainer,
        trainer.classifier,
        epoch_data(args, splits["train"]),
        finish_epoch,
        schedule,
        run,
        progress,
        monitor="valid_error",
        max_epochs=args.epoch,
        max_steps=args.max_steps,
        patience=args.patience,
        checkpoint_every=args.checkpoint_every,
        on_step=on_step,
        on_epoch=on_epoch,
    )
    return progress.entries


def teller(args, trainer):
    """What to tell of an epoch while it goes on; see `ProgressReport`."""

    def tell(loss, pace):
        found = trainer.read_statistics()
        return (
            f"loss {found['loss']:.3f} nats  accuracy "
            f"{100 * found['accuracy']:.2f} %  "
            f"{pace * args.batch_size:,.0f} sequences/s"
        )

    return tell


def describe(entry):
    """One line about an epoch."""
    line = (
        f"epoch {entry['epoch']:2d}  train {100 * entry['train_accuracy']:.2f} "
        f"%  valid {100 * entry['valid_accuracy']:.2f} %  "
        f"{entry['sequences_per_second']:,.0f} sequences/s"
    )
    if "entropy" in entry:
        line += f"  entropy {entry['entropy']:.3f}"
    return line


def corpus(args):
    """The data in words."""
    words = f"T={args.length + 1}"
    if args.symbols != 10:
        words += f", {args.symbols} symbols"
    if args.index_from == "start" and args.length > args.symbols:
        words += ", index from the start"
    if args.mark_pointer:
        words += ", pointer marked"
    return words


def record(args, classifier, data_sha256, epochs, measured, context):
    """The run record that `result.json` holds."""
    best = min(epochs, key=lambda entry: entry["valid_error"])
    training_seconds = sum(entry["seconds"] for entry in epochs)
    valid_seconds = sum(entry["valid_seconds"] for entry in epochs)
    return {
        "task": "number_prediction",
        "model": args.model,
        "corpus": corpus(args),
        "settings": settings.of_run(args),
        "command": context["command"],
        "parameters": int(classifier.count_params()),
        "seconds": training_seconds + valid_seconds + measured["seconds"],
        "train_seconds": training_seconds,
        "steps": epochs[-1]["steps"],
        "epochs": epochs,
        "valid": {"accuracy": best["valid_accuracy"], "epoch": best["epoch"]},
        "test": measured,
        "published": context["published"],
        "weights_sha256": provenance.weights_sha256(classifier),
        "last_weights_sha256": context["last_weights_sha256"],
        "versions": provenance.versions(),
        "commit": context["commit"],
        **context["run"],
        "data_sha256": data_sha256,
        "backend": keras.backend.backend(),
        "cores": provenance.cores(),
    }
