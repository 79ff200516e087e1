"""Trains a network to put out once more what it has read.

python copy_task/train.py --preset best
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

from copy_task.task import TASK
from dsl.experiment import program

parse_args, main = program.of(TASK)
