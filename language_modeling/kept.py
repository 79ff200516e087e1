"""The runs of a table that are kept, by row."""

import dataclasses
import statistics
from pathlib import Path

from dsl.experiment import reproduction, tables
from dsl.experiment.comparing import reading
from dsl.runs import results
from dsl.system.messages import short
from language_modeling import plan, settings, sweeps


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a table.

    Args:
        name: Its name in the table.
        settings: Dict of what all its runs have in common, and the seed of
            the first.
        published: What it is held to, see `settings.reference`.
        names: Those of the runs that it should have.
        runs: Those that are kept, in the same order, as
            `comparing.reading.load` returns them.
    """

    name: str
    settings: dict
    published: dict
    names: tuple
    runs: tuple

    @property
    def records(self):
        """The records of the runs that are kept."""
        return [run["record"] for run in self.runs]


def load(folder, table, seeds=None, only=None):
    """Reads the runs of a table.

    Args:
        folder: Where they are kept, with those of other tables beside it; it
            need not exist.
        table: Name of the table.
        seeds: Those in place of the table's own.
        only: Names of the runs to read; all by default.

    Returns:
        List of a `Row` for each row with such a run, in the order of the
        plan, be it kept or not.

    Raises:
        ResultError: If a run is wrong, or has not the settings of the table.
    """
    folder = Path(folder)
    rows = {}
    for name, flags in plan.runs(table, seeds):
        if not only or name in only:
            row = name.rpartition("-")[0]
            rows.setdefault(row, []).append((name, flags))
    return [_row(folder, table, *row) for row in rows.items()]


def _row(folder, table, name, runs):
    home = folder.with_name(sweeps.home(table, name))
    found = []
    for run, flags in runs:
        if (home / run / results.FILE_NAME).exists():
            flags = with_shares(flags, folder, table)
            reproduction.check_settings(home / run, flags, settings)
            found.append(home / run)
    flags = runs[0][1]
    if found:
        flags = with_shares(flags, folder, table)
    args = settings.parse_args(
        ["1" if flag == plan.SHARES else flag for flag in flags]
    )
    common = settings.of_run(args)
    if plan.SHARES in flags:  # Not run, so they need not be known yet.
        common["look_back_shares"] = ["as learned"]
    loaded = reading.load(found)
    for run in loaded:
        _check(run)
    corpus = loaded[0]["record"]["corpus"] if loaded else args.corpus or "ptb"
    published, _ = settings.reference(args, corpus)
    names = tuple(run for run, _ in runs)
    return Row(name, common, published, names, tuple(loaded))


def _check(run):
    """Raises ResultError unless a run has what every row shows."""
    for part in ("valid", "test"):
        if tables.number(run["record"], part, "perplexity") is None:
            raise results.ResultError(
                f"{run['record']['run_folder']}: must hold the perplexities "
                "of valid and test."
            )
    if run["scores"] is None:
        raise results.ResultError(
            f"{run['record']['run_folder']}: must hold {results.SCORES_NAME}."
        )


def with_shares(flags, folder, table):
    """The flags of a run, with the distances that its table has learned.

    Args:
        flags: List of them, as `plan.runs` has them.
        folder: Where the runs of the table are kept.
        table: Name of the table.

    Returns:
        List of flags without `plan.SHARES`.

    Raises:
        ResultError: If they are needed and a run that has learned them is
            not kept.
    """
    if plan.SHARES not in flags:
        return flags
    shares = learned_shares(folder, table)
    return [shares if flag == plan.SHARES else flag for flag in flags]


def learned_shares(folder, table):
    """The mean over seeds of how often each distance was taken in training.

    At the best epoch of each run, which the validation text has chosen.
    """
    histograms = []
    for name in plan.learned_runs(table):
        shares = best_shares(folder / name)
        histograms.append(shares)
        if len(shares) != len(histograms[0]):
            raise results.ResultError(
                f"{folder / name}: its look_back_histogram must be of as many "
                f"distances as that of the first run, {len(histograms[0])}. "
                f"Received: {len(shares)}"
            )
    means = map(statistics.fmean, zip(*histograms, strict=True))
    return ",".join(f"{mean:.3f}" for mean in means)


def best_shares(run):
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
        raise results.ResultError(
            f"{run}: must hold the look_back_histogram of its best epoch, "
            f"numbers of at least 0. Received: {short(shares)}"
        )
    return numbers
