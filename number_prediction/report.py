"""The runs of number prediction as tables for a page."""

import argparse
import statistics

from dsl.experiment import tables
from dsl.experiment.kinds import learns
from dsl.runs.results import ResultError, is_finite
from number_prediction import settings

# Settings that a row's words name where they differ from its recipe's: those of
# the sequences that are read, and those of an agent.
READ = ("mark_pointer", "first_length", "length_step", "length_epochs")
INGREDIENTS = (
    "reward",
    "baseline",
    "credit",
    "final_entropy_weight",
    "entropy_steps",
    "task_weight",
    "probability_offset",
    "observation",
    "empty_slots",
    "policy_positions",
    "policy_units",
)


def table(rows):
    """Renders accuracies in percent, the seeds of a row together.

    Args:
        rows: List of `kept.Row`.

    Returns:
        A `tables.table`: mean and standard deviation over seeds, of
        those that are kept; "not run" where there are none.

    Raises:
        ResultError: If a figure is not a number.
    """
    return tables.table(
        rows,
        [
            ("row", lambda row: row.name),
            ("model", _model),
            ("published test", _published("test_accuracy")),
            ("test, %", _of_runs(_accuracy("test", "accuracy"), "not run")),
            ("worst seed", _of_runs(_worst)),
            (
                "test, sampled actions",
                _of_runs(_accuracy("test", "accuracy_sampled_mean")),
            ),
            (
                "digit reached, %",
                _of_runs(_accuracy("test", "digit_reached")),
            ),
            ("hops", _of_runs(_hops)),
            ("published dev", _published("valid_accuracy")),
            ("dev", _of_runs(_accuracy("valid", "accuracy"))),
            ("seeds", lambda row: f"{len(row.records)}/{len(row.seeds)}"),
            ("epochs run (published code: 200)", _of_runs(_epochs)),
            ("best epoch", _of_runs(_best_epoch)),
            ("training time a run, min", _of_runs(_minutes)),
            ("command of a seed", _of_runs(_command)),
        ],
    )


def summary(rows):
    """Renders what the paper has rows of too, each once.

    Args:
        rows: List of `kept.Row`, of several tables.

    Returns:
        A `tables.table` of the rows by the best recipe.

    Raises:
        ResultError: If a figure is not a number.
    """
    return tables.table(
        [
            row
            for row in rows
            if row.published and row.settings["recipe"] == "best"
        ],
        [
            ("T", lambda row: str(row.settings["length"] + 1)),
            ("model", _model),
            ("published", _published("test_accuracy")),
            ("measured", _of_runs(_accuracy("test", "accuracy"), "not run")),
            ("worst seed", _of_runs(_worst)),
            ("seeds", lambda row: f"{len(row.records)}/{len(row.seeds)}"),
        ],
    )


def _model(row):
    """The model, and what its agent learns by that is not of its recipe."""
    model = {"model": row.settings["model"], "settings": row.settings}
    words = [tables.model_in_words(model)]
    chosen = {key: row.settings[key] for key in ("recipe", "estimator")}
    usual = settings.parse_args([f"--{k}={v}" for k, v in chosen.items()])
    acts = learns(argparse.Namespace(**row.settings))
    for key in (*READ, *(INGREDIENTS if acts else ())):
        value = row.settings[key]
        if value != getattr(usual, key):
            words.append(key if value is True else f"{key} {value}")
    return ", ".join(words)


def _of_runs(cell, otherwise="-"):
    """A cell of the records of a row, where there are any."""
    return lambda row: cell(row.records) if row.records else otherwise


def _accuracy(part, key):
    return lambda records: tables.accuracy(records, part, key)


def _published(key):
    def cell(row):
        share = row.published.get(key)
        return "-" if share is None else f"{100 * share:.1f}"

    return cell


def _worst(records):
    worst = min(records, key=lambda record: _figure(record, "test", "accuracy"))
    return tables.accuracy([worst], "test", "accuracy")


def _hops(records):
    return tables.over_seeds(records, "test", "hops")


def _epochs(records):
    runs = [len(record.get("epochs") or []) for record in records]
    return f"{statistics.fmean(runs):.1f}"


def _best_epoch(records):
    epochs = [_figure(record, "valid", "epoch") for record in records]
    return f"{statistics.fmean(epochs):.1f}"


def _minutes(records):
    """Epochs times an undisturbed one, by the quarter that took the least."""

    def seconds(record):
        each = sorted(
            _figure({**record, "epoch": entry}, "epoch", "seconds")
            for entry in record.get("epochs") or [{}]
        )
        return each[len(each) // 4] * len(each)

    return f"{statistics.mean(map(seconds, records)) / 60:.1f}"


def _command(records):
    return f"`{records[0]['command']}`".replace("|", "\\|")


def _figure(record, part, key):
    """A figure that every run has."""
    value = tables.number(record, part, key)
    if value is None:
        raise ResultError(f"{record['run_folder']}: `{part}.{key}` is missing.")
    return value


def curve(record):
    """The accuracy on the dev set after each epoch of a run.

    Args:
        record: Its record.

    Returns:
        Dict from the epoch to the share.

    Raises:
        ResultError: If the record holds no such figures.
    """
    found = {}
    for entry in record.get("epochs") or []:
        try:
            epoch, share = entry["epoch"], entry["valid_accuracy"]
        except (KeyError, TypeError):
            epoch = share = None
        if type(epoch) is not int or not is_finite(share):
            raise ResultError(
                f"{record['run_folder']}: each of `epochs` must have an "
                "`epoch` and its `valid_accuracy`."
            )
        found[epoch] = share
    return found


def policy(record):
    """How often each distance was chosen, by the pointer.

    Args:
        record: A record.

    Returns:
        A list for each symbol, of the shares of the distances 1..K; None of a
        run without an agent that learned.

    Raises:
        ResultError: If the record holds something else.
    """
    symbols = record["settings"].get("symbols")
    return _shares(record, "policy", symbols, "symbol")


def policy_by_step(record):
    """How often each distance was chosen at each step; see `policy`."""
    length = record["settings"].get("length")
    count = length + 1 if type(length) is int else None
    return _shares(record, "policy_by_step", count, "step")


def _shares(record, key, count, what):
    """Shares of the distances for each of a number of things, checked."""
    found = record["test"].get(key)
    if found is None:
        return None
    distances = record["settings"].get("n_actions")
    fits = (
        isinstance(found, list)
        and len(found) == count
        and all(
            isinstance(row, list) and len(row) == distances for row in found
        )
        and all(is_finite(share) for row in found for share in row)
    )
    if not fits:
        raise ResultError(
            f"{record['run_folder']}: `test.{key}` must hold a share for each "
            f"{what} and distance."
        )
    return found
