"""Renders run records as tables: measured beside published."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

from dsl.experiment import command_line, output, tables
from dsl.experiment.comparing import overview
from dsl.runs import results


def parse_args(arguments=None):
    parser = command_line.Parser(
        description=command_line.description(__file__),
        epilog="Exit codes: 0 done, 1 a record is missing or wrong, 2 usage, "
        "130 interrupted.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="run folder (with a result.json), or a record file",
    )
    return parser.parse_args(arguments)


@entry.program
def main(args):
    records = [results.load(run) for run in args.runs]
    output.result(overview.comparison(records))
    for source in tables.sources(records):
        output.result(f"\nPublished: {source}")
    return 0
