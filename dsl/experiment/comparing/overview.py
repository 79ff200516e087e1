"""Runs side by side: what was run, how far it got, how well it did."""

import json

from dsl.experiment import kinds, tables
from dsl.experiment.comparing import reading
from dsl.experiment.task import find
from dsl.runs import results


def overview(runs):
    """Renders what was run, how far it got, and how well it did.

    Args:
        runs: What `reading.load` returns.

    Returns:
        A `tables.table` with a column for each setting that differs between
        the runs; "-" stands where a run has no such figure.

    Raises:
        ResultError: If a figure is not a number, or the runs are of tasks
            that are measured in different ways.
    """
    task = one_task(runs)
    settings = [
        (key, lambda run, key=key: _setting(run, key))
        for key in reading.differences(runs)
    ]
    several = len({_corpus(run) for run in runs} - {"-"}) > 1
    columns = [
        NAME,
        *([("corpus", _corpus)] if several else []),
        *settings,
        ("state", _state),
        ("epochs", lambda run: str(len(run["epochs"]))),
        *_of_measure(task.measure),
        # Some are of some data alone.
        *tables.filled(runs, [*map(_of_another, task.measures[1:])]),
        ("training seconds", _train_seconds),
    ]
    return tables.table(runs, columns)


def _of_measure(measure):
    """The columns of the first measure of a task."""
    yield (
        f"best valid {measure.heading}",
        lambda run: measure.best_valid(run["epochs"]),
    )
    yield f"test {measure.heading}", _of_record(lambda x: measure.cell([x]))
    yield "test, sampled mean ± sd", _of_record(measure.sampled_cell)


def _of_another(measure):
    """The column of another measure, which may be of some data alone."""
    cell = _of_record(lambda record: measure.cell([record]))
    return f"test {measure.heading}", cell


def one_task(runs):
    """The task of runs.

    Raises:
        ResultError: If some are of another one.
    """
    first, *others = runs
    for run in others:
        if run["task"] is not first["task"]:
            raise results.ResultError(
                f"{run['name']} is of {run['task'].name} and cannot be "
                f"compared with {first['name']} of {first['task'].name}."
            )
    return first["task"]


def seeds(groups):
    """Renders what groups of seeds reached on the test split.

    Args:
        groups: What `reading.pooled` returns.

    Returns:
        A `tables.table` of the finished runs of each group; an empty string
        if there are none.

    Raises:
        ResultError: If a figure is not a number.
    """
    measure = one_task(groups).measure
    rows = []
    for group in groups:
        records = [run["record"] for run in group["runs"]]
        done = [record for record in records if record is not None]
        if done:
            rows.append({**group, "records": done})
    if not rows:
        return ""
    return tables.table(
        rows,
        [
            NAME,
            (
                "runs finished",
                lambda row: f"{len(row['records'])} of {len(row['runs'])}",
            ),
            (
                f"test {measure.heading}, mean ± sd",
                lambda row: measure.cell(row["records"]),
            ),
            (
                "sampled",
                lambda row: measure.cell(
                    row["records"], suffix="_sampled_mean"
                ),
            ),
        ],
    )


def comparison(records):
    """Renders what was measured on the test split beside what it is held to.

    Args:
        records: Records of any task, as `results.load` returns them.

    Returns:
        A `tables.table` for each task: with greedy actions; mean and standard
        deviation over evaluations with sampled actions; the published figure,
        or for a generated corpus the exact one of its distribution. "-" stands
        where a record has no such figure.

    Raises:
        ResultError: If a figure is not a number.
    """
    by_task = {}
    for record in records:
        by_task.setdefault(record["task"], []).append(record)
    return "\n\n".join(
        tables.table(some, tables.filled(some, [*_comparison(find(name))]))
        for name, some in by_task.items()
    )


def _comparison(task):
    first, *others = task.measures
    yield "model", lambda one: kinds.in_words(one["model"], one["settings"])
    yield "corpus", lambda one: one["corpus"]
    yield f"test {first.heading}", lambda one: first.cell([one])
    yield "sampled mean ± sd", first.sampled_cell
    for other in others:
        yield other.heading, lambda one, other=other: other.cell([one])
    yield "to compare", lambda one: _reference(first, one)
    yield "seconds", lambda one: f"{one['seconds']:.0f}"
    yield "run folder", lambda one: one.get("run_folder", "-")


def _reference(measure, record):
    """The true value where it is known, else the published one."""
    value = tables.number(record, f"true_{measure.name}", "test")
    if value is not None:
        return f"{measure.text(value)} true"
    if tables.number(record, "published", f"test_{measure.name}") is None:
        return "-"
    return f"{measure.published_cell(record['published'])} published"


def _corpus(run):
    """The name of a run's corpus, "-" if the run does not tell."""
    data = run["config"].get("data") or {}
    name = data.get("name") if isinstance(data, dict) else None
    if name is None and run["record"] is not None:
        name = run["record"]["corpus"]
    return "-" if name is None else escape(str(name))


def _setting(run, key):
    """A setting in words, "-" if the run knows or reads no such setting."""
    settings = run["config"]["settings"]
    value = run["task"].effective(settings).get(key, "-")
    if value is None:
        return "none"
    return escape(value if isinstance(value, str) else json.dumps(value))


def escape(text):
    """A cell of a name, in which a bar ends no column."""
    return text.replace("|", "\\|")


def _state(run):
    return "running or interrupted" if run["record"] is None else "finished"


def _train_seconds(run):
    return f"{sum(entry.get('seconds', 0) for entry in run['epochs']):.0f}"


def _of_record(cell):
    """A cell that a run has once it is finished."""
    return lambda run: "-" if run["record"] is None else cell(run["record"])


NAME = ("run", lambda run: escape(run["name"]))
