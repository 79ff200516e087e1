"""Renders run records as tables: measured beside published."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dsl import messages, results, tables
from scripts import command_line


def parse_args(arguments=None):
    parser = command_line.Parser(
        description=__doc__,
        epilog="Exit codes: 0 done, 1 a record is missing or wrong, 2 usage.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="run folder (with a result.json), or a record file",
    )
    return parser.parse_args(arguments)


def main(args):
    try:
        records = [results.load(run) for run in args.runs]
        rendered = tables.comparison(records)
    except results.ResultError as error:
        print(f"table: {messages.one_line(error)}", file=sys.stderr)
        return 1
    print(rendered)
    for source in tables.sources(records):
        print(f"\nPublished: {source}")
    return 0


if __name__ == "__main__":
    sys.exit(main(parse_args()))
