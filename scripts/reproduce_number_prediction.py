"""Runs a table of number prediction, keeps each run as it is done, prints it.

A run that is kept already is passed over, one that was stopped goes on: the
same command again continues wherever it was. The rows are those of
number_prediction/plan.py; all rows of a seed read the same examples, and each
seed has its own.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

import functools
from pathlib import Path

from dsl.experiment import command_line, reproduction
from dsl.experiment.program import ROOT
from dsl.runs import results
from dsl.system import messages, pictures
from number_prediction import plan

SCRIPT = ROOT / "number_prediction" / "train_RL10_1.py"
TASK = reproduction.Task("number_prediction", SCRIPT)


def make_parser():
    parser = TASK.make_parser(
        command_line.description(__file__, 1),
        plan.TABLES,
        "rows of the table, ROW, or runs, ROW-SEED (default: all)",
    )
    parser.add_argument(
        "--seeds",
        type=command_line.seed,
        nargs="+",
        metavar="N",
        help="some of the table's seeds (default: all that a row has)",
    )
    parser.add_argument(
        "--data_dir",
        type=command_line.name,
        default="data/number_prediction",
        metavar="DIR",
        help="where examples are made, in TABLE/seed-N (default: %(default)s)",
    )
    parser.add_argument(
        "--figures",
        type=command_line.name,
        metavar="DIR",
        help="train nothing, and draw the runs that are kept: accuracy.png "
        "and, if an agent has learned, policy.png and policy_by_step.png",
    )
    return parser


def parse_args(arguments=None):
    parser = make_parser()
    args = parser.parse_args(arguments)
    _, rows = plan.TABLES[args.table]
    seeds = plan.seeds(args.table)
    names = [plan.run_name(row, seed) for row, seed, _ in plan.runs(args.table)]
    reproduction.check_names(parser, "--only", args.only, [*rows, *names])
    reproduction.check_names(parser, "--seeds", args.seeds, seeds)
    runs = plan.runs(args.table)
    if not any(wanted(args, row, seed) for row, seed, _ in runs):
        parser.error(
            "argument --seeds: must be among those of a row of --only "
            f"{' '.join(args.only)}. Received: {args.seeds[0]!r}"
        )
    if args.figures:
        command_line.need_package(parser, "--figures", "matplotlib", "plots")
    return args


@entry.program
def main(args):
    if args.figures:
        return draw(args)
    works = [
        job(args, *run)
        for run in plan.runs(args.table)
        if wanted(args, *run[:2])
    ]
    code = TASK.run_all(args, works)
    return TASK.show(code, args.results, [args.table])


def wanted(args, row, seed):
    """Whether a run is among those that were asked for."""
    named = not args.only or {row, plan.run_name(row, seed)} & {*args.only}
    return bool(named) and (not args.seeds or seed in args.seeds)


def job(args, row, seed, flags):
    """One run, on the examples of its seed."""
    # The names of the files hold no more of a table than its length.
    folder = Path(args.data_dir) / args.table / f"seed-{seed}"
    places = ["--data_dir", str(folder)]
    return TASK.job(args, plan.run_name(row, seed), lambda: flags, places)


def draw(args):
    """The pictures of a table."""
    from number_prediction import figures, kept

    rows = kept.load(
        Path(args.results) / args.table,
        args.table,
        functools.partial(wanted, args),
    )
    drawn = {
        "accuracy.png": figures.accuracy(rows),
        "policy.png": figures.policies(rows),
        "policy_by_step.png": figures.policies_by_step(rows),
    }
    if drawn["accuracy.png"] is None:
        raise results.ResultError(
            f"{args.results}: no run of {args.table} is kept there that was "
            "asked for."
        )
    folder = Path(args.figures)
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn.items():
        if figure is not None:
            path = folder / name
            lacking = pictures.save(figure, path, dpi=figures.DPI)
            said = pictures.in_words(lacking)
            print(messages.one_line(f"Figure: {path}{said}"))
    return 0
