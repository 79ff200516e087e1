"""A comparison as a table for a page."""

import statistics

from dsl import tables


def render(rows, level):
    """Renders models of several seeds beside the first of them.

    Args:
        rows: What `comparing.tables.rows` returns.
        level: Share of the draws inside of an interval.

    Returns:
        A `dsl.tables.table`, then the commands of the runs.
    """
    first = rows[0]["model"]
    table = tables.table(
        rows,
        [
            ("model", lambda row: row["model"]),
            ("epochs", lambda row: str(row["epochs"])),
            ("seeds", lambda row: " ".join(map(str, row["seeds"]))),
            ("test", _test),
            ("sampled", _way("perplexity_sampled_mean")),
            ("always the previous state", _way("perplexity_previous")),
            ("random, same shares", _way("perplexity_random_mean")),
            (f"difference to {first}", _difference),
            (f"{100 * level:g} % interval", _interval),
        ],
    )
    commands = [f"    {command}" for row in rows for command in row["commands"]]
    return "\n".join([table, "", *commands])


def _test(row):
    mean = statistics.fmean(row["test"])
    if len(row["test"]) == 1:
        return f"{mean:.2f}"
    return f"{mean:.2f} ± {statistics.stdev(row['test']):.2f}"


def _way(key):
    def cell(row):
        return f"{row['ways'][key]:.2f}" if key in row["ways"] else "-"

    return cell


def _difference(row):
    return f"{row['difference']:+z.2f}" if "low" in row else "-"


def _interval(row):
    if "low" not in row:
        return "-"
    return f"[{row['low']:+z.2f}, {row['high']:+z.2f}]"
