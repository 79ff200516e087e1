"""Trains a network to find the number that a pointer points to.

python number_prediction/train_RL10_1.py --produce --model dynamic_skip
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

import shlex
import time
from pathlib import Path

from dsl.experiment import kinds, program
from dsl.experiment.program import log_line, say
from number_prediction import recipes, settings
from number_prediction.settings import parse_args  # noqa: F401

TASK = "number_prediction"


@entry.program
def main(args):
    return work(program.Program(__file__, TASK), args)


def work(training, args):
    """Trains once, or once a seed."""
    from dsl.system import startup

    startup.check_keras()
    if args.tensorboard:
        program.need("--tensorboard", "tensorboard", "tensorboard")
    splits = load(args)
    name = args.name or default_name(args)
    check_size(args)
    if args.seeds is None:
        return train(training, args, name, splits)
    check_names(args, [f"{name}-seed{seed}" for seed in args.seeds])
    for seed in args.seeds:
        say(f"Seed {seed}")
        of_seed = settings.of_seed(args, seed)
        code = train(training, of_seed, f"{name}-seed{seed}", splits)
        if code != 0:
            return code
    return 0


def default_name(args):
    """Of one run its seed stands in the name; of several it is added."""
    seed = "" if args.seeds else f"-{args.seed}"
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return f"numbers-{args.model}-T{args.length + 1}{seed}-{stamp}"


def check_size(args):
    """Raises a RunError if weights and past states exceed the memory."""
    units, states = args.rnn_size, kinds.num_states(args)
    features = args.symbols * (2 if args.mark_pointer else 1)
    weights = 4 * units * (units + features)
    seen = units + features + args.policy_positions
    weights += args.policy_units * (seen + states)
    rows = args.rollouts * args.batch_size
    buffers = rows * units * (states + args.length)
    # Each weight, its gradient and two moments; h beside c; in float32.
    program.check_memory(
        4 * (4 * weights + 2 * buffers),
        "--rnn_size, --n_actions, --skip, --policy_units, --batch_size and "
        "--rollouts",
    )


def check_names(args, names):
    """Raises a RunError if a run of several would need a taken folder."""
    from dsl.runs.folder import RunError

    for name in names:
        path = Path(args.train_dir) / name
        if not args.resume and os.path.lexists(path):
            raise RunError(
                f"{path}: exists already; a run needs a new folder, and "
                "--resume goes on with an old one."
            )


def load(args):
    """The examples of each split, made first if that was asked for."""
    from dsl.datasets import DataError, numbers

    wanted = numbers.Settings(
        args.length,
        args.index_from,
        args.symbols,
        *([] if args.data_seed is None else [args.data_seed]),
    )
    folder = Path(args.data_dir)
    if args.produce:
        produce(wanted, folder)
    splits = numbers.load_splits(folder, wanted)
    for split, examples in splits.items():
        found = examples.settings.seed
        path = folder / numbers.file_name(wanted, split)
        if args.produce and len(examples) != recipes.COUNTS[split]:
            raise DataError(
                f"{path} is there and must hold {recipes.COUNTS[split]:,} "
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
    return splits


def produce(wanted, folder):
    """Makes the files that are not there, in the paper's sizes."""
    from dsl.datasets import numbers

    paths = {
        split: folder / numbers.file_name(wanted, split)
        for split in recipes.COUNTS
    }
    if all(path.exists() for path in paths.values()):
        return  # Even in a folder that cannot be written.
    with numbers.writing(folder, say):
        for split, path in paths.items():
            if not path.exists():
                count = recipes.COUNTS[split]
                examples = numbers.draw(wanted, split, count)
                numbers.save(path, examples)
                say(f"made {path}: {count:,} examples")


def train(training, args, name, splits):
    """One run in its folder."""
    run_args, resume = args, "--resume"
    if args.seeds is not None:
        # A lower rate is not one of the other seeds.
        alone = ["--seed", str(args.seed), "--name", name, "--resume"]
        resume = f"{shlex.join(alone)}, in place of --seeds,"
    if args.seeds is not None and not (Path(args.train_dir) / name).exists():
        # Of several seeds, some may not have been started.
        run_args = settings.without_resume(args)
    sha256 = {split: examples.sha256 for split, examples in splits.items()}
    run = training.open_run(
        name,
        run_args,
        settings.of_run(args),
        sha256,
        free={*settings.FREE, *kinds.unread(args.model)},
        growing=["epoch"],
    )
    say(f"Run folder: {run.path}")
    return training.run_in(
        run, lambda run: train_in(training, run, args, splits, sha256), resume
    )


def train_in(training, run, args, splits, sha256):
    """Trains, measures on the test examples once, and writes the record."""
    from dsl.runs import provenance, results
    from dsl.system import startup

    if program.show_finished(run, "epoch", print_record):
        return 0
    startup.keep_freed_memory()
    startup.import_keras().utils.set_random_seed(args.seed)
    from number_prediction import building, experiment, measuring

    classifier = building.build_model(args)
    trainer = building.build_trainer(args, classifier)
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
    log_line("measuring the best weights on the test examples")
    measured = measuring.measure(args, classifier, splits["test"])
    counts = {split: len(examples) for split, examples in splits.items()}
    context = {
        "command": training.command(),
        "published": settings.published(args, counts),
        "commit": program.commits(run),
        "run": run.provenance(),
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
    from number_prediction import measuring

    log_line(f"test: {measuring.in_words(record['test'])}")
    published = record.get("published") or {}
    if published.get("test_accuracy") is not None:
        accuracy = 100 * published["test_accuracy"]
        say(f"published: accuracy {accuracy:.1f} % ({published['source']})")
