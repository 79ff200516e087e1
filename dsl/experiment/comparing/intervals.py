"""Runs side by side: settings that differ, perplexities and intervals."""

import json

from dsl.experiment import kinds
from dsl.experiment import tables as rendered
from dsl.experiment.comparing import accuracies, reading
from dsl.runs import results


def overview(runs):
    """Renders what was run, how far it got, and how well it did.

    Args:
        runs: What `reading.load` returns.

    Returns:
        A `tables.table` with a column for each setting that differs
        between the runs; "-" stands where a run has no such figure.

    Raises:
        ResultError: If a figure is not a number, or the runs are of tasks
            that are measured in different ways.
    """
    figures = _ACCURACIES if by_accuracy(runs) else _PERPLEXITIES
    settings = [
        (key, lambda run, key=key: _setting(run["config"]["settings"], key))
        for key in reading.differing(
            [run["config"]["settings"] for run in runs]
        )
    ]
    several = len({_corpus(run) for run in runs} - {"-"}) > 1
    corpora = [_CORPUS] if several else []
    finished = [run["record"] for run in runs if run["record"] is not None]
    if any(map(rendered.is_of_characters, finished)):
        figures = [*figures, _BITS]
    return rendered.table(
        runs, [_NAME, *corpora, *settings, *_REACHED, *figures, _SECONDS]
    )


def by_accuracy(runs):
    """Whether runs are measured by their accuracy, not their perplexity.

    Raises:
        ResultError: If some are and some are not.
    """
    first, *others = runs
    found = [run["config"].get("task") in accuracies.TASKS for run in runs]
    for run, other in zip(others, found[1:], strict=True):
        if other != found[0]:
            raise results.ResultError(
                f"{run['name']} is of {run['config'].get('task')} and cannot "
                f"be compared with {first['name']} of "
                f"{first['config'].get('task')}."
            )
    return found[0]


def intervals(runs, samples, level):
    """Renders how far the test perplexity of each run is from the first's.

    Args:
        runs: What `reading.load` returns.
        samples: Draws for each interval.
        level: Share of the draws inside of an interval.

    Returns:
        A `tables.table`, if at least two runs can be compared, then a
        line for each reason why others cannot; an empty string for one run.
    """
    first, *others = runs
    name, missing = first["name"], results.SCORES_NAME
    if not others:
        return ""
    if first["scores"] is None:
        return f"No intervals: {name}, the reference, has no {missing}."
    rows, refused = [_scored(first)], []
    for run in others:
        if run["scores"] is None:
            continue
        try:
            rows.append(_scored(run) | interval(first, run, samples, level))
        except ValueError as error:
            refused.append(f"{run['name']} cannot be compared: {error}")
    unscored = [run["name"] for run in others if run["scores"] is None]
    if unscored:
        refused.append(f"Not compared, no {missing}: {', '.join(unscored)}.")
    if len(rows) < 2:
        return "\n".join(refused)
    note = (
        f"Intervals: paired bootstrap, {samples:,} draws of all "
        f"{len(set(first['scores']['sentence'].tolist())):,} sentences; they "
        "speak of the test text, not of the seed."
    )
    columns = _columns(name, level)
    if any(len(row["each"]) > 1 for row in rows):
        columns.insert(2, _EACH)
    table = rendered.table(rows, columns)
    return "\n".join([table, "", note, *refused])


def interval(first, run, samples, level):
    """How far the test perplexity of a run is from that of another.

    Args:
        first: The other run, as `reading.load` or `reading.pooled` returns
            it, with scores.
        run: The run, likewise.
        samples: Draws for the interval.
        level: Share of the draws inside of it.

    Returns:
        What `dsl.metrics.paired_bootstrap` returns.

    Raises:
        ValueError: If they were scored on different texts, or a perplexity is
            not finite.
    """
    from dsl import metrics

    reading.check_texts(first, run)
    a, b = first["scores"], run["scores"]
    return metrics.paired_bootstrap(
        a["nll"], b["nll"], a["sentence"], samples=samples, level=level
    )


def difference(row):
    """The cell of the difference that `interval` returns."""
    return f"{row['difference']:+z.2f}"


def ends(row):
    """The cell of its interval."""
    return f"[{row['low']:+z.2f}, {row['high']:+z.2f}]"


def excludes(row):
    """The cell that tells whether 0 lies outside of it."""
    return "yes" if row["low"] > 0 or row["high"] < 0 else "no"


def _scored(run):
    """The row of a run in the table of intervals."""
    from dsl import metrics

    perplexity = metrics.perplexity(run["scores"]["nll"])
    return {
        "name": run["name"],
        "perplexity": perplexity,
        "each": run.get("each", [perplexity]),
    }


def _corpus(run):
    """The name of a run's corpus, "-" if the run does not tell."""
    data = run["config"].get("data") or {}
    name = data.get("name") if isinstance(data, dict) else None
    if name is None and run["record"] is not None:
        name = run["record"]["corpus"]
    return "-" if name is None else _cell(str(name))


def _setting(settings, key):
    """A setting in words, "-" if the run knows or reads no such setting."""
    value = kinds.effective(settings).get(key, "-")
    if value is None:
        return "none"
    return _cell(value if isinstance(value, str) else json.dumps(value))


def _cell(text):
    return text.replace("|", "\\|")


def _state(run):
    return "running or interrupted" if run["record"] is None else "finished"


def _best_valid(run):
    found = [
        entry["valid_perplexity"]
        for entry in run["epochs"]
        if "valid_perplexity" in entry
    ]
    return f"{min(found):.2f}" if found else "-"


def _train_seconds(run):
    return f"{sum(entry.get('seconds', 0) for entry in run['epochs']):.0f}"


def _of_record(cell):
    """A cell that a run has once it is finished."""
    return lambda run: "-" if run["record"] is None else cell(run["record"])


def _columns(reference, level):
    """Columns of the table of intervals; the reference itself has none."""

    def only(cell):
        return lambda row: cell(row) if "low" in row else "-"

    return [
        _NAME,
        ("perplexity", lambda row: f"{row['perplexity']:.2f}"),
        (_cell(f"difference to {reference}"), only(difference)),
        (f"{100 * level:g} % interval", only(ends)),
        ("excludes 0", only(excludes)),
    ]


_EACH = (
    "of each seed",
    lambda row: " ".join(f"{perplexity:.2f}" for perplexity in row["each"]),
)
_NAME = ("run", lambda run: _cell(run["name"]))
_CORPUS = ("corpus", _corpus)
_REACHED = (
    ("state", _state),
    ("epochs", lambda run: str(len(run["epochs"]))),
)
_PERPLEXITIES = (
    ("best valid perplexity", _best_valid),
    ("test perplexity, greedy", _of_record(rendered.greedy_perplexity)),
    ("test, sampled mean ± sd", _of_record(rendered.sampled_perplexity)),
)
_BITS = ("test bits per character", _of_record(rendered.bits_per_character))
_ACCURACIES = (
    ("best valid accuracy, %", accuracies.best_valid),
    ("test accuracy, greedy", _of_record(accuracies.test)),
    ("test, sampled mean ± sd", _of_record(rendered.sampled_accuracy)),
)
_SECONDS = ("training seconds", _train_seconds)
