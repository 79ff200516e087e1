"""Trains a network to find the number that a pointer points to.

python number_prediction/train_RL10_1.py --produce --model dynamic_skip
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

from dsl.experiment import program
from number_prediction.task import TASK

parse_args, main = program.of(TASK)
