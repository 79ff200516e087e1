"""The tables of language modeling: what is run for them, and their columns."""

import dataclasses
import statistics

from dsl.experiment import plan
from dsl.experiment.measures import PERPLEXITY as measure
from dsl.experiment.plan import Column, Plan, Sweep, Table
from dsl.experiment.tables import number
from dsl.runs import results
from dsl.runs.results import ResultError
from dsl.system.messages import short


def learned_shares(runs):
    """The mean over seeds of how often each distance was taken in training.

    At the best epoch of each run, which the validation text has chosen.

    Args:
        runs: Paths of the runs.

    Returns:
        The shares with commas between, as `--look_back_shares` takes them.
    """
    histograms = []
    for run in runs:
        shares = _best_shares(run)
        histograms.append(shares)
        if len(shares) != len(histograms[0]):
            raise ResultError(
                f"{run}: its look_back_histogram must be of as many distances "
                f"as that of the first run, {len(histograms[0])}. "
                f"Received: {len(shares)}"
            )
    means = map(statistics.fmean, zip(*histograms, strict=True))
    return ",".join(f"{mean:.3f}" for mean in means)


def _best_shares(run):
    """The look-back histogram of a run's best epoch."""
    record = results.load(run)
    try:
        best = record["valid"]["epoch"]
        (entry,) = (x for x in record["epochs"] if x["epoch"] == best)
        shares = entry["look_back_histogram"]
    except (KeyError, TypeError, ValueError):
        shares = None
    numbers = shares if isinstance(shares, list) else []
    fit = all(results.is_finite(x) and x >= 0 for x in numbers)
    if not numbers or not fit:
        raise ResultError(
            f"{run}: must hold the look_back_histogram of its best epoch, "
            f"numbers of at least 0. Received: {short(shares)}"
        )
    return numbers


_RANDOM = f"--policy random --look_back_shares {plan.SOURCE}"
PLANS = {
    "lstm": Plan("--model lstm"),
    "fixed_skip_3": Plan("--model fixed_skip --skip 3"),
    "fixed_skip_5": Plan("--model fixed_skip --skip 5"),
    "attention": Plan("--model attention"),
    "reinforce": Plan(""),
    "straight_through": Plan("--estimator straight_through"),
    # The control: distances of the shares that the agents have learned.
    "random": Plan(_RANDOM, source="reinforce", fill=learned_shares),
}
# The rows of the paper's table.
_PAPER = ("lstm", "fixed_skip_3", "fixed_skip_5", "attention", "reinforce")
# The models whose difference is measured over several seeds.
_REPEATED = ("lstm", "reinforce", "straight_through", "random")
_FOUR_EPOCHS = "--preset small --max_epochs 4 --constant_epochs 2"
# The encoder of words of CharLM small.
_CHARACTERS = (
    "--char --kernels 1,2,3,4,5,6 --kernel_features 25,50,75,100,125,150 "
    "--highway_layers 1"
)


def _plans(rows, seeds=1, repeated=_REPEATED):
    """As many seeds of the rows that are repeated, one of all others."""
    return {
        row: dataclasses.replace(
            PLANS[row],
            seeds=tuple(range(1, (seeds if row in repeated else 1) + 1)),
        )
        for row in rows
    }


# With K = 1, or with lambda = 0, the dynamic skip LSTM is the plain one. Both
# sweeps hold the settings of the paper, K = 5 and lambda = 1. These rows are
# those of the table that has the schedule of the sweeps.
_SCHEDULE, _SHARED = "small_4_epochs", ("lstm", "reinforce")


def _sweep(axis, points, flags):
    plans = {
        row: dataclasses.replace(PLANS[row], home=_SCHEDULE)
        if row in _SHARED
        else Plan(flags[row])
        for row in points.values()
    }
    return Sweep(_FOUR_EPOCHS, plans, axis, points)


SWEEPS = {
    "sweep_k": _sweep(
        "K, past states to choose from",
        {1: "lstm", **{k: f"k{k}" for k in range(2, 11)}, 5: "reinforce"},
        {f"k{k}": f"--n_actions {k}" for k in range(2, 11)},
    ),
    "sweep_lambda": _sweep(
        "λ, share of the chosen state",
        {
            0.0: "lstm",
            **{x / 10: f"lambda{x / 10}" for x in (2, 4, 6, 8)},
            1.0: "reinforce",
        },
        {f"lambda{x / 10}": f"--lamda {x / 10}" for x in (2, 4, 6, 8)},
    ),
}
TABLES = {
    "quick": Table("--preset quick", _plans((*_PAPER, "straight_through"))),
    "quick_char": Table(f"--preset quick {_CHARACTERS}", _plans(_PAPER)),
    "small_4_epochs": Table(_FOUR_EPOCHS, _plans(PLANS, 3)),
    "char_4_epochs": Table(f"{_FOUR_EPOCHS} {_CHARACTERS}", _plans(_PAPER, 2)),
    **SWEEPS,
    "small": Table("--preset small", _plans(_REPEATED)),
    # Its true perplexity is known, and which word each word hangs on.
    "generated": Table(
        "--preset small --corpus generated",
        _plans(PLANS, 2, ("lstm", "reinforce")),
    ),
    "medium": Table("--preset medium", _plans(_PAPER)),
    # As far as it has come. With more epochs its runs go on.
    "medium_start": Table(
        "--preset medium --max_epochs 1", _plans(("lstm", "reinforce"))
    ),
    "char_large": Table("--preset char_large", _plans(_PAPER)),
    # What scripts/demo trains, chosen on validation; see results.
    "demo": Table(
        "--preset quick --corpus generated --constant_epochs 3",
        {
            "lstm": Plan("--model lstm", (1, 2, 3)),
            "straight_through": Plan(
                "--estimator straight_through --agent_learning_rate 0.003 "
                "--eval_samples 2",
                (1, 2, 3),
            ),
            "random": Plan(
                "--policy random --look_back_shares 0.62,0.24,0.06,0.05,0.03 "
                "--eval_samples 2"
            ),
        },
    ),
}
# What can be had in minutes, and in hours, on a few cores; and the paper's
# own sizes and schedules, which take days there.
BUDGETS = {
    "minutes": ("demo", "quick", "quick_char"),
    "hours": (
        "small",
        "small_4_epochs",
        "char_4_epochs",
        "generated",
        "medium_start",
        *SWEEPS,
    ),
    "paper": ("medium", "char_large"),
}


def columns(rows, samples=10_000, level=0.95):
    """The columns of a table, see `plan.render`.

    Mean and standard deviation are over the seeds that are kept. A row is held
    to those runs of the first one whose seeds it has; see
    `comparing.intervals`.

    Args:
        rows: List of `plan.Row`, the first of which the others are set beside
            if it is kept.
        samples: Draws for each interval.
        level: Share of the draws inside of an interval.

    Raises:
        ResultError: If a figure is not a number, or the runs were scored on
            different texts.
    """
    from dsl.experiment.comparing import intervals

    found = intervals.of_rows(rows, samples, level)

    def beside(cell):
        return lambda row: cell(found[row.name]) if row.name in found else "-"

    records = plan.of_records
    return [
        Column("row", lambda row: row.name, brief=True),
        Column("model", lambda row: row.model),
        Column("published dev", plan.published(measure, "valid")),
        Column("published test", plan.published(measure), "published"),
        Column("dev", records(lambda some: measure.cell(some, "valid"))),
        Column(
            "test", records(measure.cell, "not run"), brief=True, best=measure
        ),
        Column("true test", records(_true), brief=True),
        Column("nats a word above the true", records(_excess)),
        *(
            Column(
                f"connections that hit what {words} hangs on, % (by chance)",
                _hits(words),
            )
            for words in ("the word read", "the next word")
        ),
        Column(
            "test, sampled actions ± sd over draws",
            records(measure.pooled_sampled_cell),
        ),
        Column(
            f"difference to {rows[0].name}",
            beside(intervals.seeds_difference),
        ),
        Column(
            f"{100 * level:g} % interval over sentences",
            beside(intervals.ends),
        ),
        Column("excludes 0", beside(intervals.excludes)),
        Column(
            f"to {rows[0].name} [{100 * level:g} % over sentences]",
            beside(intervals.in_one_cell),
            brief=f"to {rows[0].name} [{100 * level:g} % interval]",
            full=False,
        ),
        Column(
            "always the previous state", records(_mean("perplexity_previous"))
        ),
        Column(
            "random, same shares",
            records(_mean("perplexity_random_mean")),
            brief="random shares",
        ),
        Column("bits per character", records(_bits), brief=True),
        Column("seeds", plan.seeds, brief=True),
        Column("epochs run/recipe", records(_epochs)),
        Column("wall time a run (cores)", records(plan.minutes)),
    ]


def _true(records):
    value = number(records[0], "true_perplexity", "test")
    return "-" if value is None else f"{value:.2f}"


def _excess(records):
    """The mean over seeds of the excess over the true perplexity."""
    from dsl import metrics

    true = number(records[0], "true_perplexity", "test")
    if true is None:
        return "-"
    found = [number(one, "test", "perplexity") for one in records]
    try:
        excess = [metrics.excess_nll(one, true) for one in found]
    except ValueError as error:
        folder = records[0].get("run_folder", "record")
        raise ResultError(f"{folder}: {error}") from error
    return f"{statistics.fmean(excess):.3f}"


def _hits(words):
    """A cell of the connections from two words on that hit; see `findings`."""

    def cell(row):
        found = [_agreement(run, words) for run in row.runs]
        precision = [one and one.precision for one in found]
        if not found or None in precision:
            return "-"
        chance = statistics.fmean(one.chance_precision for one in found)
        return f"{100 * statistics.fmean(precision):.1f} ({100 * chance:.1f})"

    return cell


def _agreement(run, words):
    """Connections of a run beside those of a grammar, None without one."""
    from dsl.analysis import dependencies

    settings, scores = run["config"]["settings"], run["scores"]
    hashes = run["config"].get("data_sha256") or {}
    known = dependencies.grammar_distances(hashes, "test")
    if known is None or scores is None:
        return None
    return dependencies.agreement_of_all(
        scores["look_back"],
        known[words],
        settings.get("n_actions"),
        settings["skip"] if settings["model"] == "fixed_skip" else None,
    )


def _mean(key):
    """A cell of what else was measured on the test text."""

    def cell(records):
        values = [number(record, "test", key) for record in records]
        return "-" if None in values else f"{statistics.fmean(values):.2f}"

    return cell


def _bits(records):
    from dsl.experiment.measures import BITS_PER_CHARACTER

    return BITS_PER_CHARACTER.cell(records)


def _epochs(records):
    usual = records[0]["settings"].get("max_epochs")
    recipe = records[0].get("recipe_epochs", usual)
    return f"{plan.epochs(records):g}/{recipe}"
