"""How far runs are from the first one, and how sure that is."""

import statistics

from dsl.experiment import tables
from dsl.experiment.comparing import reading
from dsl.experiment.comparing.overview import NAME, escape
from dsl.runs import results


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
    text = tables.table(rows, columns)
    return "\n".join([text, "", note, *refused])


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


def _columns(reference, level):
    """Columns of the table of intervals; the reference itself has none."""

    def only(cell):
        return lambda row: cell(row) if "low" in row else "-"

    return [
        NAME,
        ("perplexity", lambda row: f"{row['perplexity']:.2f}"),
        (escape(f"difference to {reference}"), only(difference)),
        (f"{100 * level:g} % interval", only(ends)),
        ("excludes 0", only(excludes)),
    ]


_EACH = (
    "of each seed",
    lambda row: " ".join(f"{perplexity:.2f}" for perplexity in row["each"]),
)


def of_rows(rows, samples, level):
    """How far the rows of a table are from the first one, by their names.

    Args:
        rows: List of `plan.Row`.
        samples: Draws for each interval.
        level: Share of the draws inside of an interval.

    Returns:
        Dict of what `interval` returns, with `each`: the differences of the
        seeds that both rows have. Rows without such a seed are left out, and
        all where the text is one sentence, over which there is no interval.

    Raises:
        ResultError: If the runs were scored on different texts.
    """
    import numpy as np

    first, *others = rows
    references, found = _by_seed(first), {}
    for row in others:
        runs = _by_seed(row)
        seeds = [seed for seed in runs if seed in references]
        if not seeds:
            continue
        reference = reading.together([references[seed] for seed in seeds])
        if not np.ptp(reference["scores"]["sentence"]):
            continue
        measured = reading.together([runs[seed] for seed in seeds])
        try:
            between = interval(reference, measured, samples, level)
        except ValueError as error:
            raise results.ResultError(f"{row.name}: {error}") from error
        pairs = zip(measured["each"], reference["each"], strict=True)
        found[row.name] = {**between, "each": [a - b for a, b in pairs]}
    return found


def _by_seed(row):
    """The runs of a row that have scores, by seed.

    Raises:
        ResultError: If one has none.
    """
    for run in row.runs:
        if run["scores"] is None:
            raise results.ResultError(
                f"{run['record']['run_folder']}: must hold "
                f"{results.SCORES_NAME}."
            )
    return {run["config"]["settings"]["seed"]: run for run in row.runs}


def seeds_difference(row):
    """The cell of the difference of a row, with its deviation over seeds."""
    each, text = row["each"], difference(row)
    if len(each) == 1:
        return text
    return f"{text} ± {statistics.stdev(each):.2f}"


def in_one_cell(row):
    """The difference of a row and its interval."""
    return f"{seeds_difference(row)} {ends(row)}"
