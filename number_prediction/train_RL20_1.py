"""As train_RL10_1.py, for sequences of twenty digits and a pointer."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

from dsl.experiment import program
from number_prediction import settings, train_RL10_1


def parse_args(arguments=None):
    return settings.parse_args(arguments, prog="train_RL20_1.py", length=20)


@entry.program
def main(args):
    training = program.Program(__file__, train_RL10_1.TASK)
    return train_RL10_1.work(training, args)
