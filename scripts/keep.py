"""Keeps what a finished run tells, without its weights.

python scripts/keep.py runs/NAME results/language_modeling/small/NAME

The copy is a run folder that scripts/compare reads: config.json,
metrics.jsonl, result.json and, of a language model, a small test_scores.npz, in
which each token has the mean of its sentence. An interval over sentences asks
for no more.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

from pathlib import Path

from dsl.experiment import command_line
from dsl.experiment.keep import keep


def make_parser():
    parser = command_line.Parser(
        description=command_line.description(__file__, 1),
        epilog="Exit codes: 0 done, 1 a run is missing, unfinished or wrong, "
        "or the folder cannot be written, 2 usage, 130 interrupted.",
        allow_abbrev=False,
    )
    parser.add_argument("run", type=command_line.name, metavar="RUN")
    parser.add_argument(
        "folder",
        type=command_line.name,
        metavar="FOLDER",
        help="the copy, which must not exist",
    )
    return parser


def parse_args(arguments=None):
    return make_parser().parse_args(arguments)


@entry.program
def main(args):
    keep(Path(args.run), Path(args.folder))
    return 0
