"""Trains a network to add numbers."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

from dsl.experiment import program
from sums.task import TASK

parse_args, main = program.of(TASK)
