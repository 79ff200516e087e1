"""What a comparison shows of runs that are measured by their accuracy."""

from dsl.experiment import tables
from dsl.runs.results import Record

# Tasks of such runs.
TASKS = ("number_prediction",)


def best_valid(run):
    """The best accuracy on the validation examples so far, in percent."""
    found = [
        entry["valid_accuracy"]
        for entry in run["epochs"]
        if "valid_accuracy" in entry
    ]
    return f"{100 * max(found):.2f}" if found else "-"


def test(record: Record) -> str:
    """The cell of a record's test accuracy with greedy actions."""
    return tables.accuracy([record], "test", "accuracy")


def pooled(groups):
    """Renders the test accuracies of groups of seeds.

    Args:
        groups: What `comparing.reading.pooled` returns.

    Returns:
        A `tables.table` of the finished runs of each group; an empty
        string if there are none.

    Raises:
        ResultError: If a figure is not a number.
    """
    rows = []
    for group in groups:
        records = [run["record"] for run in group["runs"]]
        done = [record for record in records if record is not None]
        if done:
            rows.append({**group, "records": done})
    if not rows:
        return ""

    def cell(key):
        return lambda row: tables.accuracy(row["records"], "test", key)

    return tables.table(
        rows,
        [
            ("run", lambda row: row["name"].replace("|", "\\|")),
            (
                "runs finished",
                lambda row: f"{len(row['records'])} of {len(row['runs'])}",
            ),
            ("test accuracy, %, mean ± sd", cell("accuracy")),
            ("sampled", cell("accuracy_sampled_mean")),
        ],
    )
