"""As train_RL10_1.py, for sequences of twenty digits and a pointer."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from number_prediction import settings, train_RL10_1

if __name__ == "__main__":
    args = settings.parse_args(prog="train_RL20_1.py", length=20)
    sys.exit(train_RL10_1.main(args, __file__))
