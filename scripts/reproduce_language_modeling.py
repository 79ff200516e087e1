"""Runs tables of language models, and keeps each run as it is done.

A run that is kept already is passed over, one that was stopped goes on: the
same command again continues wherever it was.
"""

import argparse
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from dsl import messages, results  # noqa: E402
from language_modeling import plan, sweeps  # noqa: E402
from scripts import command_line, reproduction  # noqa: E402

SCRIPT = ROOT / "language_modeling" / "RL_train.py"
TASK = reproduction.Task("language_modeling", SCRIPT)


def make_parser():
    parser = TASK.make_parser(
        __doc__.splitlines()[0],
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


def main(args):
    if args.figures:
        return TASK.attempt(lambda: draw(args, wanted(args, args.table)))
    works = {}
    for table in [args.table] if args.table else plan.BUDGETS[args.budget]:
        placed = argparse.Namespace(**{**vars(args), "table": table})
        for run in wanted(args, table):
            one = job(placed, *run)
            # A run of two tables is run once.
            works.setdefault(one.name, one)
    return TASK.run_all(args, list(works.values()))


def wanted(args, table):
    """The runs of a table that were asked for."""
    return [
        (name, flags)
        for name, flags in plan.runs(table, args.seeds)
        if not args.only or name in args.only
    ]


def job(args, name, flags):
    """One run, with the distances that were learned where it needs them."""
    if "{shares}" not in flags:
        home = sweeps.home(args.table, name.rpartition("-")[0])
        placed = argparse.Namespace(**{**vars(args), "table": home})
        return TASK.job(placed, name, lambda: flags)

    def filled():
        shares = learned_shares(Path(args.results) / args.table, args.table)
        return [shares if flag == "{shares}" else flag for flag in flags]

    return TASK.job(args, name, filled, needs=plan.learned_runs(args.table))


def draw(args, runs):
    """The picture of a sweep."""
    from language_modeling import figures

    points, missing = sweeps.load(args.results, args.table, runs)
    if len(missing) == len(runs):
        raise results.ResultError(
            f"{args.results}: no run of {args.table} is kept there that was "
            "asked for."
        )
    if missing:
        print(f"not run: {', '.join(missing)}")
    figure = figures.sweep(
        sweeps.SWEEPS[args.table].axis, points, plan.TABLES[args.table][0]
    )
    folder = Path(args.figures)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{args.table}.png"
    figure.savefig(path, dpi=figures.DPI)
    print(messages.one_line(f"Figure: {path}"))
    return 0


def learned_shares(folder, table):
    """The mean over seeds of how often each distance was taken in training.

    At the best epoch of each run, which the validation text has chosen.
    """
    histograms = []
    for name in plan.learned_runs(table):
        shares = best_shares(folder / name)
        histograms.append(shares)
        if len(shares) != len(histograms[0]):
            raise results.ResultError(
                f"{folder / name}: its look_back_histogram must be of as many "
                f"distances as that of the first run, {len(histograms[0])}. "
                f"Received: {len(shares)}"
            )
    means = map(statistics.fmean, zip(*histograms, strict=True))
    return ",".join(f"{mean:.3f}" for mean in means)


def best_shares(run):
    """The look-back histogram of a run's best epoch."""
    record = results.load(run)
    try:
        best = record["valid"]["epoch"]
        (entry,) = (x for x in record["epochs"] if x["epoch"] == best)
        shares = entry["look_back_histogram"]
    except (KeyError, TypeError, ValueError):
        shares = None
    numbers = shares if isinstance(shares, list) else []
    fit = all(results.is_finite(x) and x >= 0 for x in numbers)
    if not numbers or not fit:
        raise results.ResultError(
            f"{run}: must hold the look_back_histogram of its best epoch, "
            f"numbers of at least 0. Received: {results.short(shares)}"
        )
    return numbers


if __name__ == "__main__":
    sys.exit(main(parse_args()))
