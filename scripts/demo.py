"""Trains the models of scripts/demo and prints a table of each task.

scripts/demo sets up what this needs, and says which options there are.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

import time
from pathlib import Path

from dsl.experiment import command_line, jobs
from dsl.experiment.task import ROOT
from scripts import table

WORDS = ROOT / "language_modeling" / "RL_train.py"
NUMBERS = ROOT / "number_prediction" / "train_RL10_1.py"


def parse_args(arguments=None):
    parser = command_line.Parser(
        description=command_line.description(__file__, 1),
        allow_abbrev=False,
    )
    parser.add_argument(
        "train_dir",
        type=command_line.name,
        metavar="DIR",
        help="where the run folders go",
    )
    parser.add_argument(
        "flags", nargs="*", help="of language_modeling/RL_train.py, after --"
    )
    return parser.parse_args(arguments)


@entry.program
def main(args):
    stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"

    def job(name, script, flags, further=()):
        name = f"demo-{name}-{stamp}"
        where = ["--train_dir", args.train_dir, "--name", name]
        command = [sys.executable, str(script), *flags, *where, *further]
        return jobs.Job(name, lambda: command)

    # Their flags may be wrong, which is said before anything is trained.
    works = [
        job(model, WORDS, ["--preset", "quick", "--model", model], args.flags)
        for model in ("lstm", "dynamic_skip")
    ]
    data = str(ROOT / "data" / "number_prediction")
    flags = ["--produce", "--epoch", "1", "--data_dir", data]
    works.append(job("numbers", NUMBERS, flags))
    code = jobs.run_all("demo.py", works)
    if code != 0:
        return code
    runs = [str(Path(args.train_dir, work.name)) for work in works]
    return table.main(table.parse_args(runs))
