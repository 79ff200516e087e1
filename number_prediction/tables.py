"""The tables of number prediction: what is run for them, and their columns."""

import argparse
import statistics
from pathlib import Path

from dsl.experiment import plan, tables
from dsl.experiment.kinds import learns
from dsl.experiment.measures import ACCURACY as measure
from dsl.experiment.plan import SEED, Column, Plan, Table
from dsl.runs.results import ResultError
from number_prediction import settings

# Trained until the dev set gets no better.
PATIENT = "--epoch 60 --patience 5"
# The paper's table.
PUBLISHED = {
    "lstm": f"--model lstm {PATIENT}",
    "attention": f"--model attention {PATIENT}",
    "dynamic-1": "--lamda 1",
    "dynamic-0.5": "--lamda 0.5",
}
# What stands beside it.
CONTROLS = {
    "straight_through-1": "--estimator straight_through --lamda 1",
    "straight_through-0.5": "--estimator straight_through --lamda 0.5",
    "paper-1": "--recipe paper --lamda 1",
    "paper-0.5": "--recipe paper --lamda 0.5",
    # It has no lambda.
    "published_code": "--recipe published_code --lamda 1 --epoch 20",
    "oracle-1": "--policy oracle --lamda 1 --epoch 2",
    "uniform-1": "--policy uniform --lamda 1 --epoch 20 --patience 5",
}
# A curriculum: ten digits for an epoch, which one hop reaches, then all twenty,
# of which the first ten are two hops away.
GROWN = "--first_length 10 --length_step 10"
ONE, THREE, FIVE = (1,), (1, 2, 3), (1, 2, 3, 4, 5)


def _plans(seeds, rows):
    return {name: Plan(flags, seeds) for name, flags in rows.items()}


def _table(flags, *plans):
    """A table each seed of which has data of its own, made where missing."""
    rows = {name: one for some in plans for name, one in some.items()}
    return Table(f"{flags} --produce --data_seed {SEED}", rows)


TABLES = {
    "T11": _table(
        "--length 10", _plans(FIVE, PUBLISHED), _plans(ONE, CONTROLS)
    ),
    # Ablation: `dynamic-1` with one slip, or choice, of the published code.
    "T11_slips": _table(
        "--length 10 --lamda 1",
        _plans(
            ONE,
            {
                "probability_offset": "--probability_offset 1",
                "task_weight": "--task_weight 0.1",
                "empty_slots": "--empty_slots zeros",
                "observation": "--observation mean",
                "reward": "--reward correct",
            },
        ),
    ),
    "T21": _table(
        "--length 20", _plans(FIVE, PUBLISHED), _plans(ONE, CONTROLS)
    ),
    "T21_start": _table(
        "--length 20 --index_from start",
        _plans(
            ONE,
            {
                "lstm": "--model lstm --mark_pointer --epoch 20",
                "dynamic-1": "--lamda 1",
                "dynamic-1-K20": "--lamda 1 --n_actions 20",
            },
        ),
        _plans(THREE, {"dynamic-1-grown": f"--lamda 1 --mark_pointer {GROWN}"}),
    ),
    # Ablation: `dynamic-1-grown` without one part, or with another instead.
    "T21_start_parts": _table(
        "--length 20 --index_from start --lamda 1",
        _plans(
            ONE,
            {
                "without_mark": GROWN,
                "positions": f"{GROWN} --policy_positions 21",
                "without_growth": "--mark_pointer",
                "digit_by_digit": "--mark_pointer --first_length 10 --epoch 16",
                "without_path": f"--mark_pointer {GROWN} --credit all",
                "rollouts": "--mark_pointer --rollouts 4 "
                "--baseline leave_one_out",
                "straight_through": "--mark_pointer "
                "--estimator straight_through",
            },
        ),
    ),
    "T51": _table(
        "--length 50 --symbols 50 --index_from start",
        _plans(
            ONE,
            {
                "lstm": "--model lstm",
                # Fifty pointers to tell apart, and to try fifty distances for.
                "dynamic-1": "--lamda 1 --n_actions 50 --policy_units 100 "
                "--final_entropy_weight 0.01 --entropy_steps 8000",
            },
        ),
    ),
    "T101": _table(
        "--length 100",
        _plans(ONE, {"lstm": "--model lstm", "dynamic-1": "--lamda 1"}),
    ),
    # What scripts/demo trains: one epoch.
    "demo": _table(
        "--length 10 --epoch 1",
        _plans(ONE, {"lstm": "--model lstm", "dynamic-1": "--lamda 1"}),
    ),
}
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


def where(folder, table, seed):
    """The flags that say where the examples of a run are, or are made.

    Args:
        folder: The folder of all of them, or None for the usual one.
        table: Name of the table: the names of the files hold no more of it
            than its length.
        seed: That of the run.
    """
    folder = folder or settings.FLAGS.all["data_dir"].default
    return ["--data_dir", str(Path(folder, table, f"seed-{seed}"))]


def columns(rows):
    """The columns of a table, see `plan.render`; accuracies in percent."""
    records = plan.of_records
    return [
        Column("row", lambda row: row.name, brief=True),
        Column("model", model_in_words),
        Column("published test", plan.published(measure), "published"),
        Column(
            "test, %",
            records(measure.cell, "not run"),
            brief=True,
            best=measure,
        ),
        Column("worst seed", records(measure.worst_cell), brief="worst"),
        Column("test, sampled actions", records(_sampled), brief="sampled"),
        Column("digit reached, %", records(_digit_reached)),
        Column("hops", records(_hops)),
        Column("published dev", plan.published(measure, "valid")),
        Column("dev", records(lambda some: measure.cell(some, "valid"))),
        Column("seeds", plan.seeds, brief=True),
        Column("epochs run (published code: 200)", records(_epochs)),
        Column("best epoch", records(_best_epoch)),
        Column("training time a run, min", records(_minutes), "minutes"),
    ]


def model_in_words(row):
    """The model, and what its agent learns by that is not of its recipe."""
    words = [row.model]
    usual = settings.FLAGS.resolve(
        {key: row.settings[key] for key in ("recipe", "estimator")}
    )
    acts = learns(argparse.Namespace(**row.settings))
    for key in (*READ, *(INGREDIENTS if acts else ())):
        value = row.settings[key]
        if value != usual[key]:
            words.append(key if value is True else f"{key} {value}")
    return ", ".join(words)


def _sampled(records):
    return measure.cell(records, suffix="_sampled_mean")


def _digit_reached(records):
    return tables.over_seeds(records, "test", "digit_reached", scale=100)


def _hops(records):
    return tables.over_seeds(records, "test", "hops")


def _epochs(records):
    return f"{plan.epochs(records):.1f}"


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


def _figure(record, part, key):
    """A figure that every run has."""
    value = tables.number(record, part, key)
    if value is None:
        raise ResultError(f"{record['run_folder']}: `{part}.{key}` is missing.")
    return value


def figures(name, rows):
    """The pictures of a table, see `task.Task`."""
    from number_prediction import figures

    return {
        "policy.png": figures.policies(rows),
        "policy_by_step.png": figures.policies_by_step(rows),
    }
