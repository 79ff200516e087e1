"""The tables that the demo ends with, each with what it says in words."""

import textwrap

from dsl.experiment import tables
from dsl.experiment.comparing import intervals, reading
from dsl.runs import results
from number_prediction import recipes
from scripts.demonstration import plan

_SAMPLES, _LEVEL = 10_000, 0.95
_ROWS = {**plan.MODELS, plan.CONTROL: "random control"}


def numbers(records):
    """Number prediction, beside what is published.

    Args:
        records: Dict from model to its record.

    Returns:
        A caption, a table and what it says.

    Raises:
        ResultError: If a figure is missing, or a run that is kept is wrong.
    """
    kept = {
        model: [results.load(path) for path in plan.kept_numbers(model)]
        for model in records
    }
    columns = [
        ("model", lambda row: _ROWS[row[0]]),
        ("published", lambda row: _published(row[1])),
        ("here", lambda row: tables.accuracy([row[1]], "test", "accuracy")),
        ("steps", lambda row: f"{row[1]['steps']:,}"),
        ("seconds", lambda row: f"{row[1]['seconds']:.0f}"),
        (
            "trained to the end, 5 seeds",
            lambda row: tables.accuracy(kept[row[0]], "test", "accuracy"),
        ),
    ]
    plain, skip = (
        100 * tables.number(records[model], "test", "accuracy")
        for model in plan.MODELS
    )
    return "\n\n".join(
        [
            "Number prediction, T = 11: % of 10,000 test examples that are "
            "right.",
            tables.table(list(records.items()), columns),
            _prose(
                "After equal steps the dynamic skip is "
                f"{_lead(skip - plain)}. One seed is one seed.",
                "The last column is kept in results/number_prediction/T11.",
                f"Published: {recipes.SOURCE}.",
            ),
        ]
    )


def words(runs):
    """The language models of this run.

    Args:
        runs: Dict from model to its run, as `comparing.reading.load` reads it.

    Returns:
        A caption, a table and what it says.

    Raises:
        ResultError: If a figure is missing.
    """
    records = [runs[row]["record"] for row in plan.MODELS]
    plain, skip = (record["seconds"] for record in records)
    corpus, steps = records[0]["corpus"], records[0]["steps"]
    true = tables.number(records[0], "true_perplexity", "test")
    known = "" if true is None else f" The true one is {true:.2f}."
    runs = {row: {plan.SEED: run} for row, run in runs.items()}
    found = _distances(runs)
    columns = [
        ("model", lambda row: _ROWS[row]),
        ("valid", lambda row: _perplexity(runs[row], "valid")),
        ("test", lambda row: _perplexity(runs[row], "test")),
        *_beside_the_plain(found),
        ("always previous", lambda row: _of_test(runs[row], "previous")),
        ("random distances", lambda row: _of_test(runs[row], "random_mean")),
    ]
    return "\n\n".join(
        [
            f"Language model, corpus {corpus}: perplexity, lower is better."
            f"{known}",
            tables.table(list(runs), columns),
            _prose(
                _verdict("dynamic_skip", "lstm", found),
                f"Both took {steps:,} steps, in {plain:.0f} and in {skip:.0f} "
                "seconds. One seed is one seed: the interval speaks of the "
                "test sentences alone. The last two columns are the same "
                "weights, always with the previous state, and with random "
                "distances.",
            ),
        ]
    )


def kept():
    """The same language models with several seeds, and the control.

    Returns:
        A caption, a table and what it says.

    Raises:
        ResultError: If a run that is kept is missing or wrong.
    """
    runs = {}
    for row in _ROWS:
        folders = plan.kept_words(row)
        found = reading.load(folders.values())
        runs[row] = dict(zip(folders, found, strict=True))
    found = _distances(runs)
    columns = [
        ("model", lambda row: _ROWS[row]),
        ("valid", lambda row: _perplexity(runs[row], "valid")),
        ("test", lambda row: _perplexity(runs[row], "test")),
        *_beside_the_plain(found),
        ("seeds ahead", lambda row: _ahead(found.get(row))),
    ]
    control = _distances(runs, plan.CONTROL)
    return "\n\n".join(
        [
            _prose(
                "The same with several seeds (results/demo), "
                "beside a control that is trained with random distances, "
                "which have the shares of the learned ones:"
            ),
            tables.table(list(runs), columns),
            _prose(
                _verdict("dynamic_skip", "lstm", found),
                _verdict(plan.CONTROL, "lstm", found),
                _verdict("dynamic_skip", plan.CONTROL, control),
            ),
            _by_seed(found["dynamic_skip"]["each"]),
            _prose(
                "All of this is at equal steps; a step of the dynamic skip "
                "takes about twice as long. Other plain LSTMs, one seed each, "
                "in validation: with 500 more steps "
                f"{_valid(plan.LONGER)}, with a single layer "
                f"{_valid(plan.ONE_LAYER)}.",
            ),
        ]
    )


def _by_seed(differences):
    """Whether a gain is one with every seed, in words."""
    shown = ", ".join(f"{each:+.2f}" for each in differences)
    if all(each < 0 for each in differences):
        how = "the learned skip is ahead with every seed"
    else:
        how = (
            "seeds differ more than the models do, and no gain of the learned "
            "skip can be claimed for language models of this size and time. "
            "The intervals speak of the test sentences, not of the seeds"
        )
    return _prose(f"By seed, dynamic skip to plain LSTM: {shown}: {how}.")


def _valid(folder):
    value = tables.number(results.load(folder), "valid", "perplexity")
    return f"{value:.2f}"


def _prose(*sentences):
    """Lines of at most 80 columns."""
    return textwrap.fill(" ".join(sentences), 80)


def _published(record):
    share = tables.number(record, "published", "test_accuracy")
    return "-" if share is None else f"{100 * share:.1f}"


def _lead(points):
    """A difference of two shares in percent, in words."""
    if round(points, 2) == 0:
        return "level with the plain LSTM"
    where = "ahead of" if points > 0 else "behind"
    return f"{abs(points):.2f} points {where} the plain LSTM"


def _perplexity(runs, part):
    records = [run["record"] for run in runs.values()]
    return tables.over_seeds(records, part, "perplexity")


def _of_test(runs, way):
    record = runs[plan.SEED]["record"]
    value = tables.number(record, "test", f"perplexity_{way}")
    return "-" if value is None else f"{value:.2f}"


def _distances(runs, first="lstm"):
    """How far rows are from the first, over the seeds that both have.

    Args:
        runs: Dict from row to its runs, a dict from seed to run.
        first: Name of the first row.

    Returns:
        Dict from row to what `comparing.intervals.interval` returns, with
        `each`, the differences by seed.
    """
    found = {}
    for row in runs:
        seeds = [seed for seed in runs[row] if seed in runs[first]]
        a, b = (
            reading.together([runs[each][seed] for seed in seeds])
            for each in (first, row)
        )
        try:
            found[row] = intervals.interval(a, b, _SAMPLES, _LEVEL)
        except ValueError:
            continue  # The text is one sentence, over which there is none.
        pairs = zip(b["each"], a["each"], strict=True)
        found[row]["each"] = [one - other for one, other in pairs]
    found.pop(first, None)
    return found


def _beside_the_plain(found):
    """The columns of what `_distances` returned."""

    def cell(of):
        return lambda row: of(found[row]) if row in found else "-"

    return [
        ("to plain", cell(intervals.difference)),
        (f"{100 * _LEVEL:g} % interval", cell(intervals.ends)),
    ]


def _ahead(found):
    """With how many seeds a row is better than the first, of those of both."""
    if found is None:
        return "-"
    each = [difference < 0 for difference in found["each"]]
    return f"{sum(each)} of {len(each)}"


def _verdict(row, other, found):
    """What the interval of a row says, in words."""
    if row not in found:
        return "The test text is one sentence, which gives no interval."
    low, high = found[row]["low"], found[row]["high"]
    if low <= 0 <= high:
        how = "cannot be told from"
    else:
        better = "better" if high < 0 else "worse"
        how = f"is {abs(found[row]['difference']):.2f} {better} than"
        low, high = sorted([abs(low), abs(high)])
    seeds = len(found[row]["each"])
    count = "one seed" if seeds == 1 else f"{seeds} seeds"
    return (
        f"The {_ROWS[row]} {how} the {_ROWS[other]} ({count}; "
        f"{100 * _LEVEL:g} % interval {low:.2f} to {high:.2f})."
    )
