"""Runs a table of language models, and keeps each run as it is done.

A run that is kept already is passed over, one that was stopped goes on: the
same command again continues wherever it was.
"""

import argparse
import importlib.util
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from dsl import messages, results  # noqa: E402
from language_modeling import sweeps  # noqa: E402
from scripts import command_line, reproduction  # noqa: E402

SCRIPT = ROOT / "language_modeling" / "RL_train.py"
TASK = reproduction.Task("language_modeling", SCRIPT)
# {shares} stands for the distances that the agents of the table have learned.
MODELS = {
    "lstm": "--model lstm",
    "fixed_skip_3": "--model fixed_skip --skip 3",
    "fixed_skip_5": "--model fixed_skip --skip 5",
    "attention": "--model attention",
    "reinforce": "",
    "straight_through": "--estimator straight_through",
    "random": "--policy random --look_back_shares {shares}",
    "previous": "--policy random --look_back_shares 1",
}
FOUR_EPOCHS = "--preset small --max_epochs 4 --constant_epochs 2"
# Flags, seeds and models of each table.
TABLES = {
    "small_4_epochs": (FOUR_EPOCHS, (1, 2, 3), tuple(MODELS)),
    "small": (
        "--preset small",
        (1,),
        ("lstm", "reinforce", "straight_through", "random"),
    ),
    **{
        name: (FOUR_EPOCHS, (1,), tuple(sweep.rows.values()))
        for name, sweep in sweeps.SWEEPS.items()
    },
}


def make_parser():
    parser = TASK.make_parser(
        __doc__.splitlines()[0],
        TABLES,
        "runs of the table, MODEL-SEED (default: all)",
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
    known = [name for name, _ in plan(args.table, args.seeds)]
    reproduction.check_names(parser, "--only", args.only, known)
    if args.figures and args.table not in sweeps.SWEEPS:
        parser.error(
            f"argument --figures: draws {', '.join(sweeps.SWEEPS)}. "
            f"Received: {args.table}"
        )
    if args.figures and importlib.util.find_spec("matplotlib") is None:
        parser.error("--figures needs matplotlib: pip install '.[plots]'")
    return args


def plan(table, seeds=None):
    """The runs of a table in order: names, and flags but for {shares}."""
    flags, usual, models = TABLES[table]
    known = MODELS
    if table in sweeps.SWEEPS:
        known = {**MODELS, **sweeps.SWEEPS[table].flags}
    return [
        (f"{model}-{seed}", f"{flags} {known[model]} --seed {seed}".split())
        for model in models
        for seed in seeds or usual
    ]


def main(args):
    runs = [
        (name, flags)
        for name, flags in plan(args.table, args.seeds)
        if not args.only or name in args.only
    ]
    if args.figures:
        return TASK.attempt(lambda: draw(args, runs))
    return TASK.run_all(args, [job(args, *run) for run in runs])


def job(args, name, flags):
    """One run, with the distances that were learned where it needs them."""
    if "{shares}" not in flags:
        home = sweeps.home(args.table, name.rpartition("-")[0])
        placed = argparse.Namespace(**{**vars(args), "table": home})
        return TASK.job(placed, name, lambda: flags)

    def filled():
        shares = learned_shares(Path(args.results) / args.table, args.table)
        return [shares if flag == "{shares}" else flag for flag in flags]

    return TASK.job(args, name, filled, needs=learned_runs(args.table))


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
        sweeps.SWEEPS[args.table].axis, points, TABLES[args.table][0]
    )
    folder = Path(args.figures)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{args.table}.png"
    figure.savefig(path, dpi=figures.DPI)
    print(messages.one_line(f"Figure: {path}"))
    return 0


def learned_runs(table):
    """The runs of a table whose distances its control has."""
    return [f"reinforce-{seed}" for seed in TABLES[table][1]]


def learned_shares(folder, table):
    """The mean over seeds of how often each distance was taken in training.

    At the best epoch of each run, which the validation text has chosen.
    """
    histograms = []
    for name in learned_runs(table):
        record = results.load(folder / name)
        try:
            best = record["valid"]["epoch"]
            (entry,) = (x for x in record["epochs"] if x["epoch"] == best)
            histograms.append(entry["look_back_histogram"])
        except (KeyError, TypeError, ValueError) as error:
            raise results.ResultError(
                f"{record['run_folder']}: must hold the look_back_histogram "
                "of its best epoch."
            ) from error
    means = map(statistics.fmean, zip(*histograms, strict=True))
    return ",".join(f"{mean:.3f}" for mean in means)


if __name__ == "__main__":
    sys.exit(main(parse_args()))
