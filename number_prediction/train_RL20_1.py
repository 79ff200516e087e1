"""As train_RL10_1.py, for sequences of twenty digits and a pointer."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

from dsl.experiment import program
from number_prediction import settings, task

parse_args, main = program.of(
    task.make(settings.make_flags(length=20), "train_RL20_1.py")
)
