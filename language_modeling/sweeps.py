"""The paper's sweeps over K and lambda: their rows, and what they measured.

With K = 1, or with lambda = 0, the dynamic skip LSTM is the plain one, so that
both sweeps start from the same runs; and both hold the settings of the paper,
K = 5 and lambda = 1. These rows are those of another table.
"""

import dataclasses

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


def points(table, rows):
    """What is kept of a sweep, by value.

    Args:
        table: Name of the sweep.
        rows: List of `kept.Row`, of its rows or some of them.

    Returns:
        List of triples `(value, valid, test)`, the perplexities of the runs
        of a value, empty where none is kept.
    """
    records = {row.name: row.records for row in rows}
    return [
        (
            value,
            *(
                [record[part]["perplexity"] for record in records.get(row, ())]
                for part in ("valid", "test")
            ),
        )
        for value, row in SWEEPS[table].rows.items()
    ]
