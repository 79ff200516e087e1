"""Trains a language model whose top LSTM learns where to connect.

python language_modeling/RL_train.py --preset small --model dynamic_skip
"""

import importlib.util
import os
import shlex
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from language_modeling import settings  # noqa: E402


def main(args):
    missing = missing_package(args)
    if missing is not None:
        return fail(*missing)
    from dsl import datasets, interrupts, results, runs

    try:
        with interrupts.sigterm_as_ctrl_c():
            corpus = datasets.language_model_corpus(
                args.data_dir, log=say, download=args.download
            )
            if args.load_model is not None:
                return inspect(args, corpus)
            return train(args, corpus)
    except datasets.DataError as error:
        return fail(3, error)
    except runs.RunError as error:
        return fail(2, error)
    except (results.ResultError, OSError) as error:
        return fail(1, in_words(error))
    except KeyboardInterrupt:
        return fail(130, "interrupted.")


def missing_package(args):
    """Exit code and message if a package that is needed is not there."""

    def missing(name):
        return importlib.util.find_spec(name) is None

    if missing("keras"):
        return 1, (
            f"Keras is not installed for {sys.executable}; run scripts/setup "
            "and then .venv/bin/python."
        )
    for wanted, flag, package, extra in (
        (args.tensorboard, "--tensorboard", "tensorboard", "tensorboard"),
        (args.figure is not None, "--figure", "matplotlib", "plots"),
    ):
        if wanted and missing(package):
            return 2, (
                f"{flag} needs the package {package}: .venv/bin/pip install "
                f"'.[{extra}]'"
            )
    return None


def train(args, corpus):
    """Trains, measures on the test text once, and writes the record."""
    from dsl import runs

    check_lengths(args, corpus)
    check_size(args, len(corpus.vocabulary))
    run = open_run(args, corpus)
    say(f"Run folder: {run.path}")
    try:
        return train_in(run, args, corpus)
    except (runs.DivergedError, OSError) as error:
        return fail(1, f"{in_words(error)}; {run.describe_last()}.")
    except KeyboardInterrupt:
        return fail(130, f"interrupted; {run.describe_last()}.")
    finally:
        run.close()


def open_run(args, corpus):
    """The folder of a new run, or of the one to go on with."""
    from dsl import provenance, runs, startup

    name = args.name
    if name is None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        name = f"lm-{args.model}-{args.seed}-{stamp}"
    runs.check_name(name)
    config = {
        "task": "language_modeling",
        "settings": settings.of_run(args),
        "backend": startup.import_keras().backend.backend(),
        "versions": provenance.versions(),
        "commit": provenance.commit(ROOT),
        "data_sha256": corpus.sha256,
    }
    if not args.resume:
        return runs.RunFolder.create(args.train_dir, name, config)
    free = settings.FREE
    run = runs.RunFolder.resume(args.train_dir, name, config, free)
    old = run.config()
    for key in ("commit", "versions"):
        if old.get(key) != config[key]:
            say(
                f"{run.path}: was started with {key} {old.get(key)} and goes "
                f"on with {config[key]}; the bits may differ from those of "
                "either"
            )
    return run


def train_in(run, args, corpus):
    """Trains in a run folder, from its last checkpoint if there is one."""
    from dsl import provenance, results, startup

    if (run.path / results.FILE_NAME).exists():
        return show_finished(run)
    startup.import_keras().utils.set_random_seed(args.seed)
    from language_modeling import experiment

    model = experiment.build_model(args, len(corpus.vocabulary))
    trainer = experiment.build_trainer(args, model)
    print(f"{args.model}: {model.count_params():,} parameters", flush=True)
    epochs = train_epochs(run, args, trainer, corpus)
    last_weights = provenance.weights_sha256(model)
    run.load_best(model)
    measured, scores = experiment.measure(args, model, corpus.test)
    run.save_scores(**experiment.scores_by_sentence(scores, corpus))
    figure, source, recipe_epochs = settings.reference(args, corpus.name)
    context = {
        "command": command(),
        "published": {"test_perplexity": figure, "source": source},
        "commit": commits(run),
        "recipe_epochs": recipe_epochs,
        "last_weights_sha256": last_weights,
    }
    record = experiment.record(args, model, corpus, epochs, measured, context)
    results.save(record, run.path / results.FILE_NAME)
    print_record(record)
    return 0


def commits(run):
    """The commit that a run was started with, and the one it ended with."""
    from dsl import provenance

    first, last = run.config()["commit"], provenance.commit(ROOT)
    return first if first == last else f"{first}, then {last}"


def show_finished(run):
    """Prints what a run measured when it was done."""
    from dsl import results

    record = results.load(run.path)
    print("finished already", flush=True)
    try:
        print_record(record)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise results.ResultError(
            f"{run.path / results.FILE_NAME}: must hold what this program "
            f"measured. Received: no or another {error}"
        ) from error
    return 0


def train_epochs(run, args, trainer, corpus):
    """Trains with progress on the terminal and on disk."""
    from dsl import reporting
    from language_modeling import experiment

    report = reporting.ProgressReport(
        log_line,
        args.print_every,
        trainer.read_statistics,
        args.batch_size * args.num_unroll_steps,
    )
    events = (
        reporting.EventLog(run.path / "events") if args.tensorboard else None
    )

    def on_resume(at):
        if at.steps:
            report.log(f"resumed at epoch {at.epoch}, step {at.step}")
        for entry in at.entries if events is not None else []:
            events.write(entry)

    def on_epoch(entry):
        report.log(experiment.describe(entry))
        if events is not None:
            events.write(entry)

    try:
        return experiment.train(
            args, trainer, corpus, run, on_resume, report.on_step, on_epoch
        )
    finally:
        report.close()
        if events is not None:
            events.close()


def check_lengths(args, corpus):
    """Raises a RunError unless each split fills one segment of its use."""
    from dsl import runs

    segment = args.batch_size * (args.num_unroll_steps + 1)
    evaluated = segment if args.eval_protocol == "batched" else 2
    for split, needed in (
        ("train", segment),
        ("valid", evaluated),
        ("test", evaluated),
    ):
        received = len(getattr(corpus, split))
        if received < needed:
            raise runs.RunError(
                "--batch_size times --num_unroll_steps plus one must fit "
                f"into the {split} text of {received:,} tokens. "
                f"Received: {args.batch_size} x {args.num_unroll_steps + 1}"
            )


def check_size(args, words):
    """Raises a RunError if weights and past states exceed the memory."""
    from dsl import runs

    units, policy = args.rnn_size, args.policy_units
    weights = 2 * words * units + args.rnn_layers * 8 * units**2
    states = args.batch_size * units * (args.n_actions + args.rnn_layers)
    if args.model == "dynamic_skip":
        weights += policy * (2 * units + args.n_actions)
    # Each weight and its gradient, and h beside c, in float32.
    needed = 4 * (2 * weights + 2 * states)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        raise runs.RunError(
            "a model of --rnn_size, --rnn_layers, --n_actions and "
            f"--policy_units must fit into {memory / 2**30:.0f} GiB of "
            f"memory. Received: {units}, {args.rnn_layers}, {args.n_actions} "
            f"and {policy}, at least {needed / 2**30:.0f} GiB"
        )


def inspect(args, corpus):
    """Measures the best weights of a run, as they are now, and shows them."""
    from dsl import runs, startup

    run = runs.RunFolder(args.load_model)
    saved = run.settings(settings.of_run(args), corpus.sha256)
    source = run.path / "config.json"
    loaded = settings.from_saved(saved, args, source)
    check_lengths(loaded, corpus)
    startup.import_keras()
    from language_modeling import experiment, inspection

    if args.figure is not None and not experiment.chooses(loaded):
        raise runs.RunError(
            "argument --figure: draws what a model with past states to choose "
            f"from has chosen. Received: --load_model {args.load_model}, "
            f"--model {loaded.model} with --n_actions {loaded.n_actions}"
        )
    texts = inspection.texts_to_show(loaded, corpus, log_line)
    model = experiment.build_model(loaded, len(corpus.vocabulary))
    found = run.load_best(model)
    say(f"{run.path}: best weights, of epoch {found['epoch']}")
    inspection.show(loaded, model, texts, corpus.vocabulary, log_line)
    return 0


def print_record(record):
    """Prints the test perplexity beside what it is held to."""
    from language_modeling import experiment

    print(f"test: {experiment.perplexities(record['test'])}")
    published = record.get("published") or {}
    if published.get("test_perplexity") is not None:
        say(
            f"published: {published['test_perplexity']} ({published['source']})"
        )
    if record.get("true_perplexity") is not None:
        print(f"true: {record['true_perplexity']['test']:.2f}")


def say(line):
    """Prints a line, in which a name may stand that commands a terminal."""
    from dsl import messages

    log_line(messages.one_line(line))


def log_line(line):
    """Prints a line at once."""
    print(line, flush=True)


def command():
    """What was typed, from the project's root; not what goes on with a run."""
    typed = [word for word in sys.argv[1:] if word != "--resume"]
    script = Path(__file__).resolve().relative_to(ROOT)
    return shlex.join(["python", str(script), *typed])


def in_words(error):
    """What went wrong, with the file if there is one."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def fail(code, error):
    """Says in one line what went wrong."""
    from dsl import messages

    print(f"RL_train.py: {messages.one_line(error)}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(settings.parse_args()))
