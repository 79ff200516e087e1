"""What a run leaves behind of itself, read, checked and written.

A finished run leaves a record of what was measured, `result.json`. Beside it
lie `config.json` from the start, `metrics.jsonl` with a line of each finished
epoch, and `test_scores.npz` with each test token. Each has a module of its own;
here is all that programs and tables read of a run.
"""

from dsl.runs.configurations import load_config
from dsl.runs.epochs import OF_EPOCHS, load_metrics, save_metrics
from dsl.runs.errors import ResultError
from dsl.runs.files import (
    CONFIG_NAME,
    FILE_NAME,
    METRICS_NAME,
    SCORES_NAME,
    is_finite,
    read_json,
)
from dsl.runs.records import Record, is_complete, is_finished, load, save
from dsl.runs.scores import check_scores, load_scores, save_scores

__all__ = [
    "CONFIG_NAME",
    "FILE_NAME",
    "METRICS_NAME",
    "OF_EPOCHS",
    "SCORES_NAME",
    "Record",
    "ResultError",
    "check_scores",
    "is_complete",
    "is_finished",
    "is_finite",
    "load",
    "load_config",
    "load_metrics",
    "load_scores",
    "read_json",
    "save",
    "save_metrics",
    "save_scores",
]
