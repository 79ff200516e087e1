"""Runs a table of language models, and keeps each run as it is done.

A run that is kept already is passed over, one that was stopped goes on: the
same command again continues wherever it was.
"""

import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from dsl import results  # noqa: E402
from scripts import reproduction  # noqa: E402

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
# Flags, seeds and models of each table.
TABLES = {
    "small_4_epochs": (
        "--preset small --max_epochs 4 --constant_epochs 2",
        (1, 2, 3),
        tuple(MODELS),
    ),
    "small": (
        "--preset small",
        (1,),
        ("lstm", "reinforce", "straight_through", "random"),
    ),
}


def make_parser():
    return TASK.make_parser(
        __doc__.splitlines()[0],
        TABLES,
        "runs of the table, MODEL-SEED (default: all)",
    )


def parse_args(arguments=None):
    parser = make_parser()
    args = parser.parse_args(arguments)
    known = [name for name, _ in plan(args.table)]
    reproduction.check_names(parser, "--only", args.only, known)
    return args


def plan(table):
    """The runs of a table in order: names, and flags but for {shares}."""
    flags, seeds, models = TABLES[table]
    return [
        (f"{model}-{seed}", f"{flags} {MODELS[model]} --seed {seed}".split())
        for model in models
        for seed in seeds
    ]


def main(args):
    works = [
        job(args, name, flags)
        for name, flags in plan(args.table)
        if not args.only or name in args.only
    ]
    return TASK.run_all(args, works)


def job(args, name, flags):
    """One run, with the distances that were learned where it needs them."""
    if "{shares}" not in flags:
        return TASK.job(args, name, lambda: flags)

    def filled():
        shares = learned_shares(Path(args.results) / args.table, args.table)
        return [shares if flag == "{shares}" else flag for flag in flags]

    return TASK.job(args, name, filled, needs=learned_runs(args.table))


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
