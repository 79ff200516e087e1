"""Compares runs: settings that differ, measurements, how sure they are."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

from dsl.experiment import command_line, output
from dsl.experiment.comparing import intervals, overview, reading
from dsl.runs import results
from dsl.system import messages, pictures


def make_parser():
    parser = command_line.Parser(
        description=command_line.description(__file__),
        epilog="Exit codes: 0 done, 1 a run is missing or wrong, or the "
        "picture cannot be written, 2 usage, 130 interrupted.",
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
        type=command_line.picture,
        metavar="FILE",
        help="draw what the task measures by epoch; suffix .png, .pdf or .svg",
    )
    parser.add_argument(
        "--look_back_figure",
        type=command_line.picture,
        metavar="FILE",
        help="draw the shares of the look-back distances by epoch, and their "
        "entropy; suffix .png, .pdf or .svg",
    )
    command_line.add_interval_flags(parser)
    parser.add_argument(
        "--pool_seeds",
        action="store_true",
        help="take runs together that differ in nothing but the seed",
    )
    return parser


def parse_args(arguments=None):
    parser = make_parser()
    args = parser.parse_args(arguments)
    for flag in ("figure", "look_back_figure"):
        if getattr(args, flag):
            command_line.need_package(
                parser, f"--{flag}", "matplotlib", "plots"
            )
    return args


@entry.program
def main(args):
    runs = reading.load(args.runs)
    groups = reading.pooled(runs) if args.pool_seeds else runs
    parts = [overview.overview(runs), together(args, groups)]
    output.result("\n\n".join(filter(None, parts)))
    if args.figure:
        draw(runs, args.figure)
    if args.look_back_figure:
        draw_look_backs(runs, args.look_back_figure)
    return 0


def together(args, groups):
    """What is said of runs, or seeds taken together, beside each other."""
    if groups[0]["task"].measure.over == "sentences":
        return intervals.intervals(groups, args.samples, args.level)
    return overview.seeds(groups) if args.pool_seeds else ""


def draw(runs, path):
    from dsl.experiment.comparing import figure

    measure = runs[0]["task"].measure
    curves = [(run["name"], run["epochs"]) for run in runs]
    drawn = figure.draw(curves, measure)
    if not drawn.axes[0].lines:
        raise results.ResultError(
            f"{path}: not written, no epoch has any {measure.name} yet."
        )
    save(drawn, path)


def draw_look_backs(runs, path):
    from dsl.experiment.comparing import look_backs

    drawn = look_backs.draw(runs)
    if drawn is None:
        raise results.ResultError(
            f"{path}: not written, no epoch has distances."
        )
    save(drawn, path)


def save(drawn, path):
    try:
        lacking = pictures.save(drawn, path, dpi=200)
    except OSError as error:
        raise results.ResultError(
            f"{path}: cannot be written: {error.strerror}."
        ) from error
    output.result(
        f"\nFigure: {messages.printable(path)}{pictures.in_words(lacking)}"
    )
