"""The paper's sweeps over K and lambda: their rows and what is kept of them.

With K = 1, or with lambda = 0, the dynamic skip LSTM is the plain one, so that
both sweeps start from the same runs; and both hold the settings of the paper,
K = 5 and lambda = 1. These rows are those of another table.
"""

import dataclasses
from pathlib import Path

from dsl import results, tables
from language_modeling import settings
from scripts import reproduction

# The table that has the schedule of the sweeps, and the rows that it shares.
SCHEDULE, SHARED = "small_4_epochs", ("lstm", "reinforce")


@dataclasses.dataclass(frozen=True)
class Sweep:
    """One sweep.

    Attributes:
        axis: What is swept over, in words.
        rows: The name of the row of each value, ascending.
        flags: The flags of each row that is not `SHARED`.
    """

    axis: str
    rows: dict
    flags: dict


SWEEPS = {
    "sweep_k": Sweep(
        "K, past states to choose from",
        {1: "lstm", **{k: f"k{k}" for k in range(2, 11)}, 5: "reinforce"},
        {f"k{k}": f"--n_actions {k}" for k in range(2, 11) if k != 5},
    ),
    "sweep_lambda": Sweep(
        "λ, share of the chosen state",
        {
            0.0: "lstm",
            **{x / 10: f"lambda{x / 10}" for x in (2, 4, 6, 8)},
            1.0: "reinforce",
        },
        {f"lambda{x / 10}": f"--lamda {x / 10}" for x in (2, 4, 6, 8)},
    ),
}


def home(table, row):
    """The table in whose folder the runs of a row are kept."""
    return SCHEDULE if table in SWEEPS and row in SHARED else table


def load(folder, table, runs):
    """Reads what is kept of a sweep.

    Args:
        folder: The folder of all tables.
        table: Name of the sweep.
        runs: Pairs of the name of a run, ROW-SEED, and its flags.

    Returns:
        List of triples `(value, valid, test)`, the perplexities of the runs
        of a value, empty where none is kept; and the names of the runs that
        are not.

    Raises:
        ResultError: If a run is wrong, or has not the settings of the table.
    """
    found = {row: [] for row in SWEEPS[table].rows.values()}
    missing = []
    for name, flags in runs:
        row = name.rpartition("-")[0]
        run = Path(folder) / home(table, row) / name
        if not (run / results.FILE_NAME).exists():
            missing.append(name)
            continue
        reproduction.check_settings(run, flags, settings)
        record = results.load(run)
        pair = [
            tables.number(record, part, "perplexity")
            for part in ("valid", "test")
        ]
        if None in pair:
            raise results.ResultError(
                f"{run}: must hold the perplexities of valid and test."
            )
        found[row].append(pair)
    points = []
    for value, row in SWEEPS[table].rows.items():
        pairs = found[row]
        points.append((value, *([p[n] for p in pairs] for n in (0, 1))))
    return points, missing
