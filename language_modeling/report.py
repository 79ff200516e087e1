"""The runs of language modeling as tables for a page."""

import math
import statistics

import numpy as np

from dsl import metrics
from dsl.analysis import dependencies
from dsl.experiment import tables
from dsl.experiment.comparing import intervals as compared
from dsl.experiment.comparing import reading
from dsl.runs.results import ResultError
from dsl.system import messages
from language_modeling import findings


def table(rows, samples=10_000, level=0.95):
    """Renders perplexities, the seeds of a row together.

    Args:
        rows: List of `kept.Row`, the first of which the others are set beside
            if it is kept.
        samples: Draws for each interval.
        level: Share of the draws inside of an interval.

    Returns:
        A `tables.table` without the columns that no row fills, then where
        the published figures come from, then the command of a seed of each row
        that is kept. Mean and standard deviation are over the seeds that are
        kept; "not run" stands where there are none. A row is held to those
        runs of the first one whose seeds it has; intervals are those of
        `comparing.tables.interval`.

    Raises:
        ResultError: If a figure is not a number, or the runs were scored on
            different texts.
    """
    found = _intervals(rows, samples, level)

    def beside(cell):
        return lambda row: cell(found[row.name]) if row.name in found else "-"

    columns = [
        ("row", lambda row: row.name),
        ("model", _model),
        ("published dev", _published("valid_perplexity")),
        ("published test", _published("test_perplexity")),
        ("dev", _of_runs(_perplexity("valid"))),
        ("test", _of_runs(_perplexity("test"), "not run")),
        ("true test", _of_runs(_true)),
        ("nats a word above the true", _of_runs(_excess)),
        *(
            (
                f"connections that hit what {words} hangs on, % (by chance)",
                _of_runs(_hits(words), of="runs"),
            )
            for words in ("the word read", "the next word")
        ),
        ("test, sampled actions ± sd over draws", _of_runs(_sampled)),
        (f"difference to {rows[0].name}", beside(_difference)),
        (f"{100 * level:g} % interval over sentences", beside(compared.ends)),
        ("excludes 0", beside(compared.excludes)),
        ("always the previous state", _of_runs(_mean("perplexity_previous"))),
        ("random, same shares", _of_runs(_mean("perplexity_random_mean"))),
        ("bits per character", _of_runs(_bits)),
        ("seeds", lambda row: f"{len(row.runs)}/{len(row.names)}"),
        ("epochs run/recipe", _of_runs(_epochs)),
        ("wall time a run (cores)", _of_runs(_minutes)),
    ]
    rendered = tables.table(rows, tables.filled(rows, columns))
    commands = [
        f"    {messages.printable(row.records[0]['command'])}"
        for row in rows
        if row.runs
    ]
    sources = tables.sources([{"published": row.published} for row in rows])
    parts = [rendered, *(f"Published: {source}." for source in sources)]
    if commands:
        parts.append("\n".join(commands))
    return "\n\n".join(parts)


def _intervals(rows, samples, level):
    """By the name of a row, how far it is from the first one.

    What `comparing.tables.interval` returns, with `each`: the differences of
    the seeds that both rows have. Rows without such a seed are left out, and
    all where the text is one sentence, over which there is no interval.
    """
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
            interval = compared.interval(reference, measured, samples, level)
        except ValueError as error:
            raise ResultError(f"{row.name}: {error}") from error
        pairs = zip(measured["each"], reference["each"], strict=True)
        found[row.name] = {**interval, "each": [a - b for a, b in pairs]}
    return found


def _by_seed(row):
    return {run["config"]["settings"]["seed"]: run for run in row.runs}


def _difference(found):
    each, difference = found["each"], compared.difference(found)
    if len(each) == 1:
        return difference
    return f"{difference} ± {statistics.stdev(each):.2f}"


def _model(row):
    model = {"model": row.settings["model"], "settings": row.settings}
    return tables.model_in_words(model)


def _of_runs(cell, otherwise="-", of="records"):
    """A cell of the records of a row, where there are any."""
    return lambda row: cell(getattr(row, of)) if row.runs else otherwise


def _perplexity(part):
    return lambda records: tables.over_seeds(records, part, "perplexity")


def _true(records):
    value = tables.number(records[0], "true_perplexity", "test")
    return "-" if value is None else f"{value:.2f}"


def _excess(records):
    """The mean over seeds of the excess over the true perplexity."""
    true = tables.number(records[0], "true_perplexity", "test")
    if true is None:
        return "-"
    found = [tables.number(one, "test", "perplexity") for one in records]
    try:
        excess = [metrics.excess_nll(one, true) for one in found]
    except ValueError as error:
        folder = records[0].get("run_folder", "record")
        raise ResultError(f"{folder}: {error}") from error
    return f"{statistics.fmean(excess):.3f}"


def _hits(words):
    """A cell of the connections from two words on that hit; see `findings`."""

    def cell(runs):
        found = [_agreement(run, words) for run in runs]
        precision = [one and one.precision for one in found]
        if None in precision:
            return "-"
        chance = statistics.fmean(one.chance_precision for one in found)
        return f"{100 * statistics.fmean(precision):.1f} ({100 * chance:.1f})"

    return cell


def _agreement(run, words):
    """Connections of a run beside those of a grammar, None without one."""
    hashes = run["config"].get("data_sha256")
    known = findings.grammar_distances(hashes or {}, "test")
    look_back = run["scores"]["look_back"]
    if known is None or len(look_back) != len(known[words]):
        return None
    chosen = run["config"]["settings"]
    farthest = chosen.get("n_actions")
    if chosen["model"] == "fixed_skip":
        # It has no choice, and keeps none.
        farthest = chosen["skip"]
        look_back = np.full_like(look_back, farthest)
    if not look_back.any():
        return None
    distances = range(2, farthest + 1)
    return dependencies.agreement(look_back, known[words], distances)


def _published(key):
    def cell(row):
        figure = row.published[key]
        return "-" if figure is None else f"{figure:.1f}"

    return cell


def _mean(key):
    """A cell of what else was measured on the test text."""

    def cell(records):
        values = [tables.number(record, "test", key) for record in records]
        return "-" if None in values else f"{statistics.fmean(values):.2f}"

    return cell


def _sampled(records):
    mean = _mean("perplexity_sampled_mean")(records)
    deviations = [
        tables.number(record, "test", "perplexity_sampled_std")
        for record in records
    ]
    if mean == "-" or None in deviations:
        return mean
    # All seeds have the same number of draws.
    pooled = math.sqrt(statistics.fmean(each**2 for each in deviations))
    return f"{mean} ± {pooled:.2f}"


def _bits(records):
    """Of a text of characters, where they are what is predicted."""
    if not all(map(tables.is_of_characters, records)):
        return "-"
    return tables.over_seeds(records, "test", "bits_per_character")


def _epochs(records):
    run = statistics.fmean(len(one.get("epochs") or []) for one in records)
    usual = records[0]["settings"].get("max_epochs")
    return f"{run:g}/{records[0].get('recipe_epochs', usual)}"


def _minutes(records):
    seconds = statistics.fmean(record["seconds"] for record in records)
    cores = {str(record.get("cores", "-")) for record in records}
    return f"{seconds / 60:.0f} min ({' or '.join(sorted(cores))})"
