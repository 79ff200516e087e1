"""Compares runs: settings that differ, perplexities, and how sure they are."""

import argparse
import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from comparing import tables

from dsl import results

SUFFIXES = (".png", ".pdf", ".svg")


def parse_args(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Exit codes: 0 done, 1 a run is missing or wrong, or the "
        "picture cannot be written, 2 usage.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="run folder, finished or not; differences are to the first",
    )
    parser.add_argument(
        "--figure",
        type=picture,
        metavar="FILE",
        help="draw perplexity by epoch; suffix .png, .pdf or .svg",
    )
    parser.add_argument(
        "--level",
        type=level,
        default=0.95,
        help="share of the draws inside of an interval (default: %(default)s)",
    )
    parser.add_argument(
        "--samples",
        type=samples,
        default=10_000,
        metavar="N",
        help="draws of an interval (default: %(default)s)",
    )
    args = parser.parse_args(arguments)
    if args.figure and importlib.util.find_spec("matplotlib") is None:
        parser.error("--figure needs matplotlib: pip install '.[plots]'")
    return args


def picture(text):
    path = Path(text)
    if path.suffix.lower() not in SUFFIXES:
        raise argparse.ArgumentTypeError(
            f"must end in {', '.join(SUFFIXES)}. Received: {text!r}"
        )
    return path


def level(text):
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(
            f"must be a number between 0 and 1. Received: {text!r}"
        )
    return value


def samples(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"must be an integer of at least 1. Received: {text!r}"
        )
    return int(text)


def main(args):
    try:
        runs = tables.load(args.runs)
        parts = [
            tables.overview(runs),
            tables.intervals(runs, args.samples, args.level),
        ]
    except results.ResultError as error:
        return fail(error)
    print("\n\n".join(filter(None, parts)))
    return draw(runs, args.figure) if args.figure else 0


def draw(runs, path):
    from comparing import figure

    drawn = figure.draw([(run["name"], run["epochs"]) for run in runs])
    if not drawn.axes[0].lines:
        return fail(f"{path}: not written, no epoch has a perplexity yet.")
    try:
        drawn.savefig(path, dpi=200)
    except OSError as error:
        return fail(f"{path}: cannot be written: {error.strerror}.")
    print(f"\nFigure: {path}")
    return 0


def fail(message):
    print(f"compare: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(parse_args()))
