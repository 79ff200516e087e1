"""Trains the models of scripts/demo, and shows them beside what is known.

scripts/demo sets up what this needs, and says which options there are. What is
trained are the rows of the tables `demo` of both tasks.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

import argparse
import functools
import shlex
import textwrap
import time
from pathlib import Path

from dsl.datasets import EOS
from dsl.experiment import command_line, jobs, output, plan, reproduction
from dsl.experiment.comparing import intervals
from dsl.experiment.task import ROOT, find
from dsl.system import messages

TABLE, SENTENCES = "demo", 4
# What is trained, in this order, and the table of the same rows at their end.
NUMBERS, WORDS = "number_prediction", "language_modeling"
ROWS = {NUMBERS: ("lstm", "dynamic-1"), WORDS: ("lstm", "straight_through")}
TO_THE_END = {NUMBERS: "T11", WORDS: TABLE}


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
    folder = Path(args.train_dir)
    # Faults of flags and data are found before anything is trained.
    runs = {name: runs_of(args, name) for name in ROWS}
    sentences = some_sentences(runs[WORDS][0])
    code = jobs.run_all("demo.py", trainings(args, runs))
    if code == 0:
        (folder / "sentences.txt").write_text(sentences, "utf-8")
        code = jobs.run_all("demo.py", [drawing(folder, runs)], 2, folder)
    if code == 0:
        show(args, runs, (time.monotonic() - started) / 60)
    return code


def runs_of(args, name):
    """The runs of a task, a list of `plan.Run`, with what the user adds."""
    further = []
    if args.max_steps is not None:
        further = [f"--max_steps={args.max_steps}"]
    if name == WORDS:
        further = [*args.flags, *further]
    task = find(name)
    runs = task.tables[TABLE].runs([1], ROWS[name])
    runs = [run._replace(flags=[*run.flags, *further]) for run in runs]
    if name == WORDS and "data_dir" in task.parse(runs[0].flags).given:
        # Another text takes the place of the one that comes along.
        runs = [run._replace(flags=without_corpus(run.flags)) for run in runs]
    for run in runs:
        task.parse(run.flags)
    return runs


def without_corpus(flags):
    """The flags without the corpus of the table."""
    where = flags.index("--corpus")
    return [*flags[:where], *flags[where + 2 :]]


def some_sentences(run):
    """Some sentences of the test text of a run, a line each."""
    task = find(WORDS)
    corpus = task.load(task.parse(run.flags), None)
    text = " ".join(corpus.vocabulary[token] for token in corpus.test[:1000])
    lines = [line.strip() for line in text.split(EOS)]
    lines = [line for line in lines if " " in line][:SENTENCES]
    return "".join(f"{line}\n" for line in lines)


def places(args, name):
    """Where the runs of a task are trained, for `reproduction.job`."""
    folder = Path(args.train_dir) / name
    return argparse.Namespace(
        train_dir=str(folder),
        results=str(folder / "kept"),
        data_dir=str(ROOT / "data" / name) if name == NUMBERS else None,
    )


def path_of(folder, name, run):
    """The folder of a run, `folder` that of the demo."""
    return Path(folder) / name / f"{TABLE}-{run.name}"


def trainings(args, runs):
    """The jobs that train, those of number prediction first."""
    count, found = sum(map(len, runs.values())), []
    for name, some in runs.items():
        for run in some:
            title = f"{len(found) + 1} of {count}: {name}, {run.row}"
            job = reproduction.job(find(name), places(args, name), TABLE, run)
            path = path_of(args.train_dir, name, run)
            check = functools.partial(
                plan.check_settings, find(name), path, run.flags
            )
            found.append(say_first(title, job, f"{name}-{run.name}", check))
    return found


def say_first(title, job, name, check):
    """A job that says what it is about to do, and keeps no copy.

    A run that is there already must be what was asked for: `check` tells.
    """

    def start():
        output.note(f"== {title}")
        return job.start()

    return jobs.Job(name, start, check)


def drawing(folder, runs):
    """The job that draws sentences by the best weights of the skip model."""
    command = [
        *(sys.executable, find(WORDS).path),
        *("--load_model", path_of(folder, WORDS, runs[WORDS][-1])),
        *("--text", folder / "sentences.txt", "--sentences", SENTENCES),
        *("--figure", folder / "sentences.png", "--eval_samples", 2),
    ]
    return jobs.Job("sentences", lambda: [str(word) for word in command])


def show(args, runs, minutes):
    """Prints the tables, where the picture lies, and what to run next."""
    for name, some in runs.items():
        task = find(name)
        paths = [path_of(args.train_dir, name, run) for run in some]
        rows = [
            plan.row_of(task, run.row, run.flags, [path], [run.name])
            for run, path in zip(some, paths, strict=True)
        ]
        steps = f"{rows[0].records[0]['steps']:,} steps"
        output.result(
            f"\n{task.measure.heading}, {rows[0].records[0]['corpus']}, after "
            f"{steps}, one seed:\n\n{plan.render(task, rows, brief=True)}"
        )
        output.result(f"\n{to_the_end(task)}")
    if args.max_steps is not None:
        output.result(
            f"\nEnded after {args.max_steps:,} steps each, this run is a smoke "
            "test and judges nothing."
        )
    words = path_of(args.train_dir, WORDS, runs[WORDS][-1])
    picture = str(Path(args.train_dir) / "sentences.png")
    command = [
        *(".venv/bin/python", find(WORDS).program),
        *("--load_model", str(words)),
    ]
    output.result(
        "\nWhich past word each word was connected to, by "
        f"{runs[WORDS][-1].row}:\n{messages.printable(picture)}\n\n"
        f"{minutes:.1f} minutes after set-up. Next, all that it tells of the "
        f"words that it connects:\n{messages.printable(shlex.join(command))}"
    )


def to_the_end(task):
    """The rows of more seeds, or of longer training, that are kept."""
    name = TO_THE_END[task.name]
    folder = ROOT / "results" / task.name / name
    if name == TABLE:
        rows = plan.load(task, folder, name)
        table = plan.render(task, rows, brief=True)
        return f"With more seeds ({name}):\n\n{table}\n\n{verdict(rows)}"
    rows = plan.load(task, folder, name, only=ROWS[task.name])
    cells = [f"{row.name} {task.measure.cell(row.records)}" for row in rows]
    seeds = len(rows[0].runs)
    text = f"Trained to the end, {seeds} seeds ({name}): {', '.join(cells)}."
    return textwrap.fill(text, 80)


def verdict(rows):
    """What the seeds of the kept rows say of each, beside the first one."""
    said = []
    for name, found in intervals.of_rows(rows, 10_000, 0.95).items():
        each = found["each"]
        shown = ", ".join(f"{difference:+.2f}" for difference in each)
        if len(each) == 1:
            how = "one seed, which says nothing of the next"
        elif max(each) < 0 or min(each) > 0:
            how = f"{'better' if max(each) < 0 else 'worse'} with every seed"
        else:
            how = (
                "seeds differ more than the models do, and no gain can be "
                "claimed at this size and time"
            )
        said.append(f"{name} to {rows[0].name}, by seed: {shown}: {how}.")
    return "\n".join(textwrap.fill(one, 80) for one in said)
