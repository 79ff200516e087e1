"""The runs of a table that are kept, by row."""

import dataclasses
from pathlib import Path

from dsl.experiment import reproduction
from dsl.runs import results
from number_prediction import plan, settings


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a table.

    Args:
        name: Its name in the table.
        settings: Dict of what all its runs have in common, and the seeds of
            the first.
        published: What it is held to, see `settings.published`.
        seeds: Those that it should have.
        records: The records of those that are kept, in the same order.
    """

    name: str
    settings: dict
    published: dict
    seeds: tuple
    records: tuple


def load(folder, table, wanted=lambda row, seed: True):
    """Reads the runs of a table.

    Args:
        folder: Where they are kept; it need not exist.
        table: Name of the table.
        wanted: Function of a row and a seed that says whether to read it.

    Returns:
        List of a `Row` for each row of which a seed is wanted, in the order
        of the plan, be it kept or not.

    Raises:
        ResultError: If a run is wrong, or has not the settings of the table.
    """
    found = {}
    for row, seed, flags in plan.runs(table):
        if wanted(row, seed):
            found.setdefault(row, []).append((seed, flags))
    return [_row(Path(folder), name, runs) for name, runs in found.items()]


def _row(folder, name, runs):
    args = settings.parse_args(runs[0][1])
    records = []
    for seed, flags in runs:
        run = folder / plan.run_name(name, seed)
        if (run / results.FILE_NAME).exists():
            reproduction.check_settings(run, flags, settings)
            records.append(results.load(run))
    return Row(
        name,
        settings.of_run(args),
        settings.published(args),
        tuple(seed for seed, _ in runs),
        tuple(records),
    )
