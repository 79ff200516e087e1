"""Trains a network to find the number that a pointer points to.

python number_prediction/train_RL10_1.py --produce --model dynamic_skip
"""

import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from number_prediction import settings  # noqa: E402
from scripts import program  # noqa: E402
from scripts.program import log_line, say  # noqa: E402

TASK = "number_prediction"
# The paper's, for --produce.
COUNTS = {"train": 100_000, "valid": 10_000, "test": 10_000}


def main(args, script=__file__):
    training = program.Program(script, TASK)
    return training.run(lambda: work(training, args))


def work(training, args):
    """Trains once, or once a seed."""
    if args.tensorboard:
        program.need("--tensorboard", "tensorboard", "tensorboard")
    splits = load(args)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    name = args.name or f"numbers-{args.model}-T{args.length + 1}-{stamp}"
    if args.seeds is None:
        return train(training, args, name, splits)
    for seed in args.seeds:
        say(f"Seed {seed}")
        of_seed = settings.of_seed(args, seed)
        code = train(training, of_seed, f"{name}-seed{seed}", splits)
        if code != 0:
            return code
    return 0


def load(args):
    """The examples of each split, made first if that was asked for."""
    from dsl.datasets import DataError, number_prediction

    wanted = number_prediction.Settings(
        args.length,
        args.index_from,
        args.symbols,
        *([] if args.data_seed is None else [args.data_seed]),
    )
    folder = Path(args.data_dir)
    if args.produce:
        produce(wanted, folder)
    splits = {
        split: number_prediction.load(folder, split, wanted)
        for split in ("train", "valid", "test")
    }
    for split, examples in splits.items():
        found = examples.settings.seed
        if args.data_seed not in (None, found):
            raise DataError(
                f"{folder / number_prediction.file_name(wanted, split)} must "
                f"hold examples of --data_seed {args.data_seed}. "
                f"Received: {found}"
            )
    if len(splits["train"]) < args.batch_size:
        raise DataError(
            "--batch_size must be at most the number of training examples, "
            f"{len(splits['train']):,}. Received: {args.batch_size:,}"
        )
    return splits


def produce(wanted, folder):
    """Makes the files that are not there, in the paper's sizes."""
    from dsl.datasets import number_prediction

    folder.mkdir(parents=True, exist_ok=True)
    for split, count in COUNTS.items():
        path = folder / number_prediction.file_name(wanted, split)
        if not path.exists():
            examples = number_prediction.draw(wanted, split, count)
            number_prediction.save(path, examples)
            say(f"made {path}: {count:,} examples")


def train(training, args, name, splits):
    """One run in its folder."""
    run_args = args
    if args.seeds is not None and not (Path(args.train_dir) / name).exists():
        # Of several seeds, some may not have been started.
        run_args = settings.without_resume(args)
    sha256 = {split: examples.sha256 for split, examples in splits.items()}
    run = training.open_run(
        name, run_args, settings.of_run(args), settings.FREE, sha256
    )
    say(f"Run folder: {run.path}")
    return training.run_in(
        run, lambda run: train_in(training, run, args, splits, sha256)
    )


def train_in(training, run, args, splits, sha256):
    """Trains, measures on the test examples once, and writes the record."""
    from dsl import provenance, results, startup

    if (run.path / results.FILE_NAME).exists():
        return program.show_finished(run, print_record)
    startup.import_keras().utils.set_random_seed(args.seed)
    from number_prediction import experiment

    classifier = experiment.build_model(args)
    trainer = experiment.build_trainer(args, classifier)
    log_line(f"{args.model}: {classifier.count_params():,} parameters")

    def fit(*callbacks):
        return experiment.train(args, trainer, splits, run, *callbacks)

    epochs = program.report_training(
        run,
        args.print_every,
        experiment.teller(args, trainer),
        experiment.describe,
        args.tensorboard,
        fit,
    )
    last_weights = provenance.weights_sha256(classifier)
    run.load_best(classifier)
    measured = experiment.measure(args, classifier, splits["test"])
    context = {
        "command": training.command(),
        "published": settings.published(args),
        "commit": program.commits(run),
        "last_weights_sha256": last_weights,
    }
    record = experiment.record(
        args, classifier, sha256, epochs, measured, context
    )
    results.save(record, run.path / results.FILE_NAME)
    print_record(record)
    return 0


def print_record(record):
    """Prints the test accuracy beside what it is held to."""
    from number_prediction import experiment

    log_line(f"test: {experiment.in_words(record['test'])}")
    published = record.get("published") or {}
    if published.get("test_accuracy") is not None:
        accuracy = 100 * published["test_accuracy"]
        say(f"published: accuracy {accuracy:.1f} % ({published['source']})")


if __name__ == "__main__":
    sys.exit(main(settings.parse_args()))
