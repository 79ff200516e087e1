"""Runs a table of language models, and keeps each run as it is done.

A run that is kept already is passed over, one that was stopped goes on: the
same command again continues wherever it was.
"""

import signal
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import keep  # noqa: E402
from comparing import tables  # noqa: E402

from dsl import messages, results  # noqa: E402
from language_modeling import settings  # noqa: E402
from scripts import command_line  # noqa: E402

SCRIPT = ROOT / "language_modeling" / "RL_train.py"
# {shares} stands for the distances that the agents of the table have learned.
MODELS = {
    "lstm": "--model lstm",
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
    parser = command_line.Parser(
        description=__doc__.splitlines()[0],
        epilog="Exit codes: 0 all runs of the table are kept, 2 usage; else "
        "that of the run that failed or was interrupted.",
        allow_abbrev=False,
    )
    parser.add_argument("table", choices=list(TABLES))
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        help="runs of the table, MODEL-SEED (default: all)",
    )
    parser.add_argument(
        "--train_dir",
        type=command_line.name,
        default="runs",
        metavar="DIR",
        help="where the run folders go (default: %(default)s)",
    )
    parser.add_argument(
        "--results",
        type=command_line.name,
        default=str(ROOT / "results" / "language_modeling"),
        metavar="DIR",
        help="where runs are kept, in a folder of the table's name (default: "
        "results/language_modeling)",
    )
    return parser


def parse_args(arguments=None):
    parser = make_parser()
    args = parser.parse_args(arguments)
    known = [name for name, _ in plan(args.table)]
    unknown = [name for name in args.only or [] if name not in known]
    if unknown:
        parser.error(
            f"argument --only: must be among {', '.join(known)}. "
            f"Received: {unknown[0]!r}"
        )
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
    try:
        for name, flags in plan(args.table):
            if args.only and name not in args.only:
                continue
            code = reproduce(args, name, flags)
            if code != 0:
                return code
    except results.ResultError as error:
        return fail(error)
    except OSError as error:
        return fail(f"{error.filename}: {error.strerror}.")
    return 0


def reproduce(args, name, flags):
    """Trains, or goes on with, one run and keeps it.

    Returns:
        The exit code of the training, 0 for a run that was kept already.
    """
    folder = Path(args.results) / args.table
    if "{shares}" in flags:
        shares = learned_shares(folder, args.table)
        flags = [shares if flag == "{shares}" else flag for flag in flags]
    if (folder / name / results.FILE_NAME).exists():
        check_settings(folder / name, flags)
        print(f"{name}: kept in {folder / name}", flush=True)
        return 0
    run = Path(args.train_dir) / f"{args.table}-{name}"
    if not (run / results.FILE_NAME).exists():
        place = ["--train_dir", args.train_dir, "--name", run.name]
        resume = ["--resume"] * run.exists()
        code = call([sys.executable, str(SCRIPT), *place, *flags, *resume])
        if code != 0:
            return code
    check_settings(run, flags)
    keep.keep(run, folder / name)
    return 0


def call(command):
    """Runs a command to its end; Ctrl-C and SIGTERM are passed on to it.

    Returns:
        Its exit code, above 128 if a signal ended it.
    """
    # In a session of its own it hears Ctrl-C once, from here.
    with subprocess.Popen(command, start_new_session=True) as process:
        before = {
            number: signal.signal(
                number, lambda number, frame: process.send_signal(number)
            )
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            code = process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def learned_shares(folder, table):
    """The mean over seeds of how often each distance was taken in training.

    At the best epoch of each run, which the validation text has chosen.
    """
    histograms = []
    for seed in TABLES[table][1]:
        record = results.load(folder / f"reinforce-{seed}")
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


def check_settings(run, flags):
    """Raises ResultError unless a run has the settings of the table."""
    wanted = settings.effective(settings.of_run(settings.parse_args(flags)))
    found = settings.effective(results.load_config(run)["settings"])
    differing = [
        f"--{key} {found.get(key)!r}, here {value!r}"
        for key, value in wanted.items()
        if key not in tables.IGNORED and found.get(key) != value
    ]
    if differing:
        raise results.ResultError(
            f"{run}: was made with other settings: {'; '.join(differing)}."
        )


def fail(message):
    line = messages.one_line(message)
    print(f"reproduce_language_modeling.py: {line}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(parse_args()))
