"""Trains a language model whose top LSTM learns where to connect.

python language_modeling/RL_train.py --preset small --model dynamic_skip
"""

import importlib.util
import shlex
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from language_modeling import settings  # noqa: E402


def main(args):
    if importlib.util.find_spec("keras") is None:
        return fail(
            1,
            f"Keras is not installed for {sys.executable}; run scripts/setup "
            "and then .venv/bin/python.",
        )
    from dsl import datasets, results, runs

    try:
        corpus = datasets.language_model_corpus(
            args.data_dir, log=print, download=args.download
        )
        if args.load_model is not None:
            return evaluate_run(args, corpus)
        return train(args, corpus)
    except datasets.DataError as error:
        return fail(3, error)
    except runs.RunError as error:
        return fail(2, error)
    except (runs.DivergedError, results.ResultError, OSError) as error:
        return fail(1, error)
    except KeyboardInterrupt:
        return fail(130, "interrupted.")


def train(args, corpus):
    """Trains, measures on the test text once, and writes the record."""
    from dsl import results, runs, startup

    started = time.perf_counter()
    check_lengths(args, corpus)
    config = {
        "task": "language_modeling",
        "settings": vars(args),
        "versions": runs.versions(),
        "commit": runs.commit(ROOT),
        "data_sha256": corpus.sha256,
    }
    run = runs.RunFolder.create(args.train_dir, run_name(args), config)
    print(f"Run folder: {run.path}", flush=True)
    startup.import_keras().utils.set_random_seed(args.seed)
    from language_modeling import experiment

    model = experiment.build_model(args, len(corpus.vocabulary))
    trainer = experiment.build_trainer(args, model)
    print(f"{args.model}: {model.count_params():,} parameters", flush=True)
    epochs = experiment.train(
        args, trainer, corpus, run, log_line, progress(args)
    )
    run.load_best(model)
    measured = experiment.measure(args, model, corpus.test)
    figure, source, recipe_epochs = settings.reference(args, corpus.name)
    context = {
        "command": shlex.join(["python", *sys.argv]),
        "seconds": time.perf_counter() - started,
        "published": {"test_perplexity": figure, "source": source},
        "commit": config["commit"],
        "recipe_epochs": recipe_epochs,
    }
    record = experiment.record(args, model, corpus, epochs, measured, context)
    results.save(record, run.path / results.FILE_NAME)
    report(measured, record)
    return 0


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


def evaluate_run(args, corpus):
    """Measures the best weights of a run, as they are now."""
    from dsl import runs, startup

    run = runs.RunFolder(args.load_model)
    loaded = settings.from_saved(run.settings(vars(args), corpus.sha256), args)
    check_lengths(loaded, corpus)
    startup.import_keras()
    from language_modeling import experiment

    model = experiment.build_model(loaded, len(corpus.vocabulary))
    run.load_best(model)
    for split in ("valid", "test"):
        measured = experiment.measure(loaded, model, getattr(corpus, split))
        print(f"{split}: {perplexities(measured)}", flush=True)
    return 0


def report(measured, record):
    """Prints the test perplexity beside what it is held to."""
    print(f"test: {perplexities(measured)}")
    published = record["published"]
    if published["test_perplexity"] is not None:
        print(
            f"published: {published['test_perplexity']} ({published['source']})"
        )
    if record["true_perplexity"] is not None:
        print(f"true: {record['true_perplexity']['test']:.2f}")


def perplexities(measured):
    """The perplexities of a measurement in words."""
    text = f"perplexity {measured['perplexity']:.2f}"
    if "sampled_n" in measured:
        text += (
            f" (sampled {measured['perplexity_sampled_mean']:.2f}"
            f" +- {measured['perplexity_sampled_std']:.2f},"
            f" n={measured['sampled_n']})"
        )
    return text


def run_name(args):
    """The name asked for, or one of task, model, seed and time."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return args.name or f"lm-{args.model}-{args.seed}-{stamp}"


def log_line(line):
    """Prints a line past a progress bar."""
    from tqdm import tqdm

    tqdm.write(line)
    sys.stdout.flush()


def progress(args):
    """A bar on a terminal, a line every --print_every steps elsewhere."""
    from tqdm import tqdm

    def start(epoch):
        bar = tqdm(
            desc=f"epoch {epoch}", disable=not sys.stderr.isatty(), leave=False
        )
        started = time.perf_counter()

        def on_step(step, steps, loss):
            bar.total = steps
            bar.set_postfix(loss=f"{loss:.1f}", refresh=False)
            bar.update()
            if bar.disable and step % args.print_every == 0:
                pace = (time.perf_counter() - started) / step
                print(
                    f"epoch {epoch}  step {step}/{steps}  "
                    f"loss {loss:.2f} nats a segment  "
                    f"{pace * (steps - step):.0f} s left",
                    flush=True,
                )
            if step == steps:
                bar.close()

        return on_step

    return start


def fail(code, error):
    """Says in one line what went wrong."""
    print(f"RL_train.py: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(settings.parse_args()))
