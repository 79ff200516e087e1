"""Runs a table of a task, keeps each run as it is done, and shows it.

python scripts/reproduce.py language_modeling small
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

from dsl.experiment import reproduction

parse_args = reproduction.parse_args
main = entry.with_name("reproduce.py", reproduction.main)
