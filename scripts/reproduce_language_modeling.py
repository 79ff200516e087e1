"""Runs tables of language models, keeps each run as it is done, prints them.

A run that is kept already is passed over, one that was stopped goes on: the
same command again continues wherever it was.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

import argparse
from pathlib import Path

from dsl.experiment import command_line, reproduction
from dsl.experiment.program import ROOT
from dsl.runs import results
from dsl.system import messages, pictures
from language_modeling import kept, plan, sweeps

SCRIPT = ROOT / "language_modeling" / "RL_train.py"
TASK = reproduction.Task("language_modeling", SCRIPT)


def make_parser():
    parser = TASK.make_parser(
        command_line.description(__file__, 1),
        plan.TABLES,
        "runs of the table, MODEL-SEED (default: all)",
        plan.BUDGETS,
    )
    parser.add_argument(
        "--seeds",
        type=command_line.seed,
        nargs="+",
        metavar="N",
        help="seeds in place of those of the table",
    )
    parser.add_argument(
        "--figures",
        type=command_line.name,
        metavar="DIR",
        help="train nothing, and draw the runs of a sweep that are kept: "
        "TABLE.png",
    )
    return parser


def parse_args(arguments=None):
    parser = make_parser()
    args = parser.parse_args(arguments)
    tables = [args.table] if args.table else plan.BUDGETS[args.budget]
    runs = [run for table in tables for run in plan.runs(table, args.seeds)]
    reproduction.check_names(parser, "--only", args.only, dict(runs))
    if args.figures and args.table not in sweeps.SWEEPS:
        parser.error(
            f"argument --figures: draws {', '.join(sweeps.SWEEPS)}. "
            f"Received: {args.table or f'--budget {args.budget}'}"
        )
    if args.figures:
        command_line.need_package(parser, "--figures", "matplotlib", "plots")
    return args


@entry.program
def main(args):
    if args.figures:
        return draw(args)
    tables = [args.table] if args.table else plan.BUDGETS[args.budget]
    works = {}
    for table in tables:
        placed = argparse.Namespace(**{**vars(args), "table": table})
        for run in wanted(args, table):
            one = job(placed, *run)
            # A run of two tables is run once.
            works.setdefault(one.name, one)
    code = TASK.run_all(args, list(works.values()))
    return TASK.show(code, args.results, tables, seeds=args.seeds)


def wanted(args, table):
    """The runs of a table that were asked for."""
    return [
        (name, flags)
        for name, flags in plan.runs(table, args.seeds)
        if not args.only or name in args.only
    ]


def job(args, name, flags):
    """One run, with the distances that were learned where it needs them."""
    home = sweeps.home(args.table, name.rpartition("-")[0])
    folder = Path(args.results) / args.table
    needs = plan.learned_runs(args.table) if plan.SHARES in flags else ()
    return TASK.job(
        argparse.Namespace(**{**vars(args), "table": home}),
        name,
        lambda: kept.with_shares(flags, folder, args.table),
        needs=needs,
    )


def draw(args):
    """The picture of a sweep."""
    from language_modeling import figures

    folder = Path(args.results) / args.table
    rows = kept.load(folder, args.table, args.seeds, args.only)
    found = {run["name"] for row in rows for run in row.runs}
    if not found:
        raise results.ResultError(
            f"{args.results}: no run of {args.table} is kept there that was "
            "asked for."
        )
    missing = [
        name for name, _ in wanted(args, args.table) if name not in found
    ]
    if missing:
        print(f"not run: {', '.join(missing)}")
    figure = figures.sweep(
        sweeps.SWEEPS[args.table].axis,
        sweeps.points(args.table, rows),
        plan.TABLES[args.table][0],
    )
    folder = Path(args.figures)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise results.ResultError(
            "argument --figures: must be a folder, made if missing. "
            f"Received: {args.figures}: {error.strerror}"
        ) from error
    path = folder / f"{args.table}.png"
    lacking = pictures.save(figure, path, dpi=figures.DPI)
    said = pictures.in_words(lacking)
    print(messages.one_line(f"Figure: {path}{said}"))
    return 0
