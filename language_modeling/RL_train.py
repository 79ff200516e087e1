"""Trains a language model whose top LSTM learns where to connect.

python language_modeling/RL_train.py --preset small --model dynamic_skip
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

from dsl.experiment import program
from language_modeling.task import TASK

parse_args, main = program.of(TASK)
