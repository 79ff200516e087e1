"""Trains the models of scripts/demo and prints a table of each task.

scripts/demo sets up what this needs, and says which options there are.
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

from dsl.datasets import EOS
from dsl.experiment import command_line, jobs
from dsl.runs import results
from dsl.system import messages
from scripts.demonstration import plan

SENTENCES = 4


def parse_args(arguments=None):
    parser = command_line.Parser(
        description=command_line.description(__file__, 1),
        allow_abbrev=False,
    )
    parser.add_argument(
        "train_dir",
        type=command_line.name,
        metavar="DIR",
        help="where the run folders and the picture go",
    )
    parser.add_argument(
        "--max_steps",
        type=command_line.count,
        metavar="N",
        help="end each training after N steps",
    )
    parser.add_argument(
        "flags", nargs="*", help="of language_modeling/RL_train.py, after --"
    )
    return parser.parse_args(arguments)


@entry.program
def main(args):
    started = time.monotonic()
    # Faults of flags and data are found before anything is trained.
    flags, sentences = check(args)
    paths = make_paths(Path(args.train_dir))
    paths["sentences"].write_text(sentences, "utf-8")
    code = jobs.run_all("demo.py", trainings(args, paths, flags))
    if code == 0:
        folder = paths["picture"].parent
        code = jobs.run_all("demo.py", [drawing(paths)], 2, folder)
    if code == 0:
        show(args, paths, (time.monotonic() - started) / 60)
    return code


def check(args):
    """Reads the flags and the data of the language models.

    Returns:
        Dict from model to its flags; and some sentences of the test text, a
        line each.
    """
    from language_modeling import saved_runs, settings

    further = [*args.flags, *steps(args)]
    # Another text than that of the demo takes its place.
    bare = plan.of_words("lstm", given=["corpus"])
    given = settings.parse_args([*bare, *further]).given
    flags = {
        model: [*plan.of_words(model, given=given), *further]
        for model in plan.MODELS
    }
    parsed = [settings.parse_args(each) for each in flags.values()]
    corpus = saved_runs.read_corpus(parsed[0], log=None)
    text = " ".join(corpus.vocabulary[token] for token in corpus.test[:1000])
    lines = [line.strip() for line in text.split(EOS)]
    lines = [line for line in lines if " " in line][:SENTENCES]
    return flags, "".join(f"{line}\n" for line in lines)


def steps(args):
    """The flag that ends a training early, if it was given."""
    return [] if args.max_steps is None else [f"--max_steps={args.max_steps}"]


def make_paths(folder):
    """Names everything that the demo leaves; nothing is there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"

    def path(name, suffix=""):
        return folder / f"demo-{name}-{stamp}{suffix}"

    return {
        "numbers": {model: path(f"numbers-{model}") for model in plan.MODELS},
        "words": {model: path(f"words-{model}") for model in plan.MODELS},
        "sentences": path("sentences", ".txt"),
        "picture": path("sentences", ".png"),
    }


def trainings(args, paths, flags):
    """The jobs that train, those of number prediction first."""
    each = [
        (
            f"number prediction, {name}",
            plan.NUMBERS,
            paths["numbers"][model],
            [*plan.of_numbers(model), *steps(args)],
        )
        for model, name in plan.MODELS.items()
    ] + [
        (
            f"language model, {name}",
            plan.WORDS,
            paths["words"][model],
            flags[model],
        )
        for model, name in plan.MODELS.items()
    ]
    return [
        training(f"{number} of {len(each)}: {title}", script, path, its)
        for number, (title, script, path, its) in enumerate(each, start=1)
    ]


def training(title, script, path, flags):
    """The job of one training, which says when it begins."""

    def start():
        print(f"\n== {title}", flush=True)
        where = ["--train_dir", str(path.parent), "--name", path.name]
        return [sys.executable, str(script), *flags, *where]

    return jobs.Job(path.name, start)


def drawing(paths):
    """The job that draws sentences by the best weights of the skip model."""
    command = [
        *(sys.executable, plan.WORDS),
        *("--load_model", paths["words"]["dynamic_skip"]),
        *("--text", paths["sentences"], "--sentences", SENTENCES),
        *("--figure", paths["picture"], "--eval_samples", 2),
    ]
    name = paths["sentences"].stem
    return jobs.Job(name, lambda: [str(word) for word in command])


def show(args, paths, minutes):
    """Prints the tables, where the picture lies, and what to run next."""
    from dsl.experiment.comparing import reading
    from scripts.demonstration import tables

    numbers = {m: results.load(path) for m, path in paths["numbers"].items()}
    words = reading.load(paths["words"].values())
    parts = [
        tables.numbers(numbers),
        tables.words(dict(zip(paths["words"], words, strict=True))),
        tables.kept(),
    ]
    if args.max_steps is not None:
        parts.append(
            f"Ended after {args.max_steps:,} steps each, this run is a smoke "
            "test and judges nothing."
        )
    next_line = [
        *(".venv/bin/python", "language_modeling/RL_train.py"),
        *("--load_model", str(paths["words"]["dynamic_skip"])),
    ]
    parts += [
        "Which past word each word was connected to, by the dynamic skip "
        f"model:\n{messages.printable(str(paths['picture']))}",
        f"{minutes:.1f} minutes after set-up. Next, all that it tells of the "
        f"words that it connects:\n{messages.printable(shlex.join(next_line))}",
    ]
    print("", *parts, sep="\n\n")
