"""Trains a language model whose top LSTM learns where to connect.

python language_modeling/RL_train.py --preset small --model dynamic_skip
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

import time

from dsl.experiment import kinds, program
from dsl.experiment.program import log_line, say
from language_modeling import character_flags, settings
from language_modeling.settings import parse_args  # noqa: F401

PROGRAM = program.Program(__file__, settings.TASK)


@entry.program
def main(args):
    """Trains, or shows an earlier run."""
    from dsl.system import startup

    startup.check_keras()
    if args.tensorboard:
        program.need("--tensorboard", "tensorboard", "tensorboard")
    if args.figure is not None:
        program.need("--figure", "matplotlib", "plots")
    if args.load_model is not None:
        return inspect(args)
    from language_modeling import saved_runs

    corpus = saved_runs.read_corpus(args)
    check_lengths(args, corpus)
    check_size(args, len(corpus.vocabulary))
    name = args.name
    if name is None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        name = f"lm-{args.model}-{args.seed}-{stamp}"
    run = PROGRAM.open_run(
        name,
        args,
        settings.of_run(args),
        corpus.sha256,
        free={*settings.FREE, *kinds.unread(args.model)},
        growing=["max_epochs"],
        data=corpus.describe(),
    )
    say(f"Run folder: {run.path}")
    return PROGRAM.run_in(run, lambda run: train_in(run, args, corpus))


def train_in(run, args, corpus):
    """Trains, measures on the test text once, and writes the record."""
    from dsl.runs import provenance, results
    from dsl.system import startup

    if program.show_finished(run, "max_epochs", print_record):
        return 0
    startup.import_keras().utils.set_random_seed(args.seed)
    from language_modeling import building, experiment, measuring

    model = building.build_model(
        args, len(corpus.vocabulary), corpus.vocabulary
    )
    trainer = building.build_trainer(args, model)
    log_line(f"{args.model}: {model.count_params():,} parameters")
    epochs = train_epochs(run, args, trainer, corpus)
    last_weights = provenance.weights_sha256(model)
    run.load_best(model)
    log_line("measuring the best weights on the test text")
    measured, scores = measuring.measure(args, model, corpus.test)
    measured |= measuring.bits(scores, corpus, corpus.unknown["test"])
    scores = measuring.scores_by_sentence(scores, corpus)
    scores_sha256 = run.save_scores(**scores)
    published, recipe_epochs = settings.reference(args, corpus.name)
    context = {
        "command": PROGRAM.command(),
        "published": published,
        "commit": program.commits(run),
        "run": {**run.provenance(), "scores_sha256": scores_sha256},
        "recipe_epochs": recipe_epochs,
        "last_weights_sha256": last_weights,
    }
    record = experiment.record(args, model, corpus, epochs, measured, context)
    results.save(record, run.path / results.FILE_NAME)
    print_record(record)
    return 0


def train_epochs(run, args, trainer, corpus):
    """Trains with progress on the terminal and on disk."""
    from language_modeling import experiment

    def train(*callbacks):
        return experiment.train(args, trainer, corpus, run, *callbacks)

    return program.report_training(
        run,
        args.print_every,
        experiment.teller(args, trainer),
        experiment.describe,
        args.tensorboard,
        train,
    )


def check_lengths(args, corpus):
    """Raises a RunError unless each split fills one segment of its use."""
    from dsl.runs.folder import RunError

    segment = args.batch_size * (args.num_unroll_steps + 1)
    evaluated = segment if args.eval_protocol == "batched" else 2
    for split, needed in (
        ("train", segment),
        ("valid", evaluated),
        ("test", evaluated),
    ):
        received = len(getattr(corpus, split))
        if received < needed == 2:
            raise RunError(
                f"the {split} text must hold a token to read and one to "
                f"predict, ends of lines counted. Received: {received} in all"
            )
        if received < needed:
            raise RunError(
                "--batch_size times --num_unroll_steps plus one must fit "
                f"into the {split} text of {received:,} tokens. "
                f"Received: {args.batch_size} x {args.num_unroll_steps + 1}"
            )


def check_size(args, words):
    """Raises a RunError if weights and past states exceed the memory."""
    units, past = args.rnn_size, kinds.num_states(args)
    weights = words * units + args.rnn_layers * 8 * units**2
    weights += character_flags.count_weights(args, words)
    states = args.batch_size * units * (past + args.rnn_layers)
    if args.model in kinds.READERS["policy_units"]:
        weights += args.policy_units * (2 * units + past)
    named = "--rnn_size, --rnn_layers, --n_actions, --skip and --policy_units"
    if args.char:
        named = f"--kernel_features, --highway_layers, {named}"
    # Each weight and its gradient, and h beside c, in float32.
    program.check_memory(4 * (2 * weights + 2 * states), named)


def inspect(args):
    """Measures the best weights of a run, as they are now, and shows them."""
    from dsl.experiment import tables
    from dsl.runs.folder import RunError
    from dsl.system import startup
    from language_modeling import saved_runs

    run, loaded, corpus = saved_runs.load(args.load_model, args)
    check_lengths(loaded, corpus)
    startup.import_keras()
    from language_modeling import building, inspection

    if args.figure is not None and not kinds.connects(loaded):
        record = {"model": loaded.model, "settings": vars(loaded)}
        raise RunError(
            "argument --figure: needs a model that chooses among past states, "
            "or attends to some. Received: --load_model "
            f"{args.load_model}, {tables.model_in_words(record)}"
        )
    texts = inspection.texts_to_show(loaded, corpus, log_line)
    model = building.build_model(
        loaded, len(corpus.vocabulary), corpus.vocabulary
    )
    found = run.load_best(model)
    say(f"{run.path}: best weights, of epoch {found['epoch']}")
    inspection.show(loaded, model, texts, corpus, log_line)
    return 0


def print_record(record):
    """Prints the test perplexity beside what it is held to."""
    from language_modeling import measuring

    print(f"test: {measuring.perplexities(record['test'])}")
    published = record.get("published") or {}
    if published.get("test_perplexity") is not None:
        say(
            f"published: {published['test_perplexity']} ({published['source']})"
        )
    if record.get("true_perplexity") is not None:
        print(f"true: {record['true_perplexity']['test']:.2f}")
