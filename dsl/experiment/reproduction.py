"""Running tables: each run is kept as it is done, then the table is shown.

A run that is kept already is passed over, one that was stopped goes on: the
same command again continues wherever it was.
"""

import argparse
import contextlib
import dataclasses
import sys
from pathlib import Path

from dsl.experiment import command_line, entry, jobs, keep, output, plan
from dsl.experiment.task import ROOT, find, names
from dsl.runs import provenance, results
from dsl.system import messages, pictures

DPI = 200
PROGRAM = "reproduce.py"


def make_parser():
    """The parser of the program that runs tables."""
    parser = command_line.Parser(
        prog=PROGRAM,
        description="Runs a table of a task, or all of a budget, and shows "
        "it: measured beside published. What is kept is not run again, what "
        "was stopped goes on.",
        epilog="Exit codes: 0 all runs asked for are kept, 1 a run cannot be "
        "kept, or one that is kept is wrong, 2 usage; else that of the run "
        "that failed or was interrupted.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("task", choices=sorted(names()), help="folder of the task")
    tables = parser.add_mutually_exclusive_group(required=True)
    tables.add_argument("--budget", help="all tables of this much computing")
    tables.add_argument("table", nargs="?", help="name of the table")
    add(
        "--only",
        nargs="+",
        metavar="NAME",
        help="rows of the table, ROW, or runs, ROW-SEED (default: all)",
    )
    add(
        "--seeds",
        type=command_line.seed,
        nargs="+",
        metavar="N",
        help="seeds in place of those of the table",
    )
    add(
        "--train_dir",
        type=command_line.name,
        default="runs",
        metavar="DIR",
        help="where the run folders go (default: %(default)s)",
    )
    add(
        "--results",
        type=command_line.name,
        metavar="DIR",
        help="where runs are kept, in a folder of the table's name (default: "
        "results/TASK)",
    )
    add(
        "--data_dir",
        type=command_line.name,
        metavar="DIR",
        help="where data are, or are made (default: as of the task)",
    )
    add(
        "--processes",
        type=processes,
        default=1,
        metavar="N",
        help="runs at once, or `cores`: as many as cores; each on its "
        "share of them, with its output in a file in --train_dir (default: "
        "1, on all cores)",
    )
    add(
        "--shard",
        type=shard,
        default=(1, 1),
        metavar="I/N",
        help="every Nth run from the Ith on, for one of N machines that "
        "share --results",
    )
    add(
        "--figures",
        type=command_line.name,
        metavar="DIR",
        help="train nothing, and draw the runs of a table that are kept",
    )
    return parser


def parse_args(arguments=None):
    """Reads the flags; `tables` are the names of the tables to run."""
    parser = make_parser()
    args = parser.parse_args(arguments)
    task = find(args.task)
    if args.table is not None:
        _check_known(parser, "table", [args.table], task.tables)
        args.tables = [args.table]
    else:
        _check_known(parser, "--budget", [args.budget], task.budgets)
        args.tables = list(task.budgets[args.budget])
    known = [
        name
        for table in args.tables
        for name in task.tables[table].names(args.seeds)
    ]
    _check_known(parser, "--only", args.only, dict.fromkeys(known))
    if args.results is None:
        args.results = str(ROOT / "results" / task.name)
    if args.figures:
        if args.table is None:
            parser.error(
                "argument --figures: draws one table. "
                f"Received: --budget {args.budget}"
            )
        command_line.need_package(parser, "--figures", "matplotlib", "plots")
    return args


def _check_known(parser, flag, given, known):
    """Ends with an error unless all names given are known ones."""
    unknown = [name for name in given or [] if name not in known]
    if unknown:
        names = ", ".join(map(str, known)) or "those of the task, none"
        parser.error(
            f"argument {flag}: must be among {names}. Received: {unknown[0]!r}"
        )


def main(args):
    """Runs tables, or draws one; returns the exit code."""
    output.set_verbosity("info")
    task = find(args.task)
    if args.figures:
        return draw(task, args)
    works = {}
    for table in args.tables:
        for run in task.tables[table].runs(args.seeds, args.only):
            one = job(task, args, table, run)
            # A run of two tables is run once.
            works.setdefault(one.name, one)
    code = run_all(args, list(works.values()))
    return show(task, args, code)


def job(task, args, table, run):
    """Trains, or goes on with, one run and keeps it.

    Args:
        task: The `task.Task`.
        args: Holds `train_dir`, `results` and `data_dir`.
        table: Name of the table.
        run: The `plan.Run`.

    Returns:
        A `jobs.Job`. A run that is kept already is not trained. Its start
        and its end raise ResultError if the run has other settings, or cannot
        be kept.
    """
    folder = Path(args.results) / table
    home = plan.home(task, folder, table, run.row)
    copy = home / run.name
    path = Path(args.train_dir) / f"{home.name}-{run.name}"

    def flags():
        return plan.fill(task, folder, table, run)

    def start():
        if (copy / results.FILE_NAME).exists():
            plan.check_settings(task, copy, flags())
            output.note(f"{run.name}: kept in {copy}")
            return None
        if results.is_finished(path) and not plan.is_short(task, path, flags()):
            return None
        where = ["--train_dir", args.train_dir, "--name", path.name]
        where += task.where(args.data_dir, table, run.seed)
        script = str(task.path)
        resume = ["--resume"] * path.exists()
        return [sys.executable, script, *where, *flags(), *resume]

    def finish():
        if not (copy / results.FILE_NAME).exists():
            plan.check_settings(task, path, flags())
            keep.keep(path, copy)

    needs = (
        f"{plan.home(task, folder, table, x.row).name}-{x.name}"
        for x in task.tables[table].needs(run.row)
    )
    return jobs.Job(path.name, start, finish, tuple(needs))


def run_all(args, works):
    """Runs the jobs of this shard; see `jobs.run_all`."""
    number, shards = args.shard
    works = with_what_is_missing_last(works[number - 1 :: shards])
    logs = Path(args.train_dir) / "logs"
    return jobs.run_all(PROGRAM, works, args.processes, logs)


def show(task, args, code):
    """Prints tables with what is kept of them, be they complete or not.

    Args:
        task: The `task.Task`.
        args: Holds `results`, `tables` and `seeds`.
        code: Exit code of their runs.

    Returns:
        The exit code; 1 in the place of 0 if a run that is kept is wrong.
    """

    def work():
        for name in args.tables:
            rows = plan.load(task, Path(args.results, name), name, args.seeds)
            output.result(f"\n{name}\n\n{plan.render(task, rows)}")
        return code

    if code == 0:
        return entry.in_words(PROGRAM, work)
    # What went wrong has been said.
    said = (results.ResultError, OSError, KeyboardInterrupt)
    with contextlib.suppress(*said):
        work()
    return code


def draw(task, args):
    """Draws the pictures of a table."""
    (name,) = args.tables
    folder = Path(args.results) / name
    rows = plan.load(task, folder, name, args.seeds, args.only)
    found = {run["name"] for row in rows for run in row.runs}
    if not found:
        raise results.ResultError(
            f"{args.results}: no run of {name} is kept there that was asked "
            "for."
        )
    missing = [x for row in rows for x in row.names if x not in found]
    if missing:
        output.note(f"not run: {', '.join(missing)}")
    _make_folder(args.figures)
    for file, figure in _figures(task, name, rows).items():
        if figure is None:
            continue
        path = Path(args.figures) / file
        lacking = pictures.in_words(pictures.save(figure, path, dpi=DPI))
        output.result(messages.one_line(f"Figure: {path}{lacking}"))
    return 0


def _figures(task, name, rows):
    """By the name of its file, each picture of a table; None of nothing."""
    from dsl.experiment.comparing import learning_curves, sweep

    table, measure = task.tables[name], task.measure
    found = {f"{measure.name}.png": learning_curves.draw(rows, measure)}
    if isinstance(table, plan.Sweep):
        found[f"{name}.png"] = sweep.draw(
            table.axis,
            sweep.points(table, rows, measure),
            table.flags,
            measure,
        )
    return found | task.figures(name, rows)


def _make_folder(folder):
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise results.ResultError(
            "argument --figures: must be a folder, made if missing. "
            f"Received: {folder}: {error.strerror}"
        ) from error


def with_what_is_missing_last(works):
    """Jobs whose needs are not all among them come after all others.

    Another machine may keep until then what they need; and if it does not,
    all that can be run has been.
    """
    inside = {job.name for job in works}
    first = [job for job in works if {*job.needs} <= inside]
    others = tuple(job.name for job in first)
    last = [
        dataclasses.replace(job, needs=(*job.needs, *others))
        for job in works
        if not {*job.needs} <= inside
    ]
    return [*first, *last]


def processes(text):
    """An argparse type: a number of processes, or as many as cores."""
    if text == "cores":
        return provenance.cores()
    try:
        return command_line.count(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(
            f"must be `cores` or an integer at least 1. Received: {text!r}"
        ) from error


def shard(text):
    """An argparse type: I/N, the Ith of N parts."""
    parts = text.split("/")
    if len(parts) == 2 and all(part.isdecimal() for part in parts):
        which, count = map(int, parts)
        if 1 <= which <= count:
            return which, count
    raise argparse.ArgumentTypeError(
        f"must be I/N with I from 1 to N. Received: {text!r}"
    )
