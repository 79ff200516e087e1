"""From times to ratios, and from a record to tables."""

import statistics

from benchmarking import operations, plan

from dsl.experiment import tables


def summarize(measured):
    """Adds medians and ratios to what was timed.

    A ratio is the median over rounds of the ratio within a round, so that a
    load on the machine hits both of its sides.

    Args:
        measured: What `timing.measure` returns.

    Returns:
        The same with, in `matmul`, `flops_per_second` (median) and
        `best_flops_per_second`; and in each row `median`, `min` and `limit`
        (seconds; the limit is `flops` over the rate of the round, median),
        `x_limit`, `x_limit_best` (fastest step over the limit at the best
        rate), `x_first` (to the first row) and `x_reference` (to
        `plan.REFERENCE`, of several rows to that of the smallest median;
        None where it did not take part).
    """
    flops = operations.product(*measured["matmul"]["shape"])
    rates = [flops / t for t in measured["matmul"]["seconds"]]
    rows = measured["rows"]
    references = [row["seconds"] for row in rows if row["kind"] == "keras"]
    reference = min(references, key=statistics.median, default=None)
    summaries = [
        _summary(row, rates, rows[0]["seconds"], reference) for row in rows
    ]
    matmul = {
        **measured["matmul"],
        "flops_per_second": statistics.median(rates),
        "best_flops_per_second": max(rates),
    }
    return {**measured, "matmul": matmul, "rows": summaries}


def _summary(row, rates, first, reference):
    seconds = row["seconds"]
    limits = [row["flops"] / rate for rate in rates]
    return {
        **row,
        "median": statistics.median(seconds),
        "min": min(seconds),
        "limit": statistics.median(limits),
        "x_limit": _ratio(seconds, limits),
        "x_limit_best": min(seconds) / min(limits),
        "x_first": _ratio(seconds, first),
        "x_reference": reference and _ratio(seconds, reference),
    }


def _ratio(seconds, others):
    pairs = zip(seconds, others, strict=True)
    return statistics.median(a / b for a, b in pairs)


def brief(record):
    """Renders the training steps of a record in few columns.

    Args:
        record: What `benchmark.py` writes.

    Returns:
        A table for each size of a model, a row an implementation, and columns
        for each number of cores; without a final line end.
    """
    by_size = {}
    for table in record["tables"]:
        if table["table"] == "step":
            by_size.setdefault(str(table["size"]), []).append(table)
    versions = ", ".join(f"{k} {v}" for k, v in record["versions"].items())
    parts = [f"{record['machine']['cpu']}; {versions}."]
    return "\n\n".join([*parts, *map(_brief_table, by_size.values())])


def _brief_table(steps):
    """The steps of one size, a group of columns for each number of cores."""
    rows = list(zip(*(table["rows"] for table in steps), strict=True))
    columns = [("implementation", lambda row: row[0]["name"])]
    for n, table in enumerate(steps):
        cores = f"{table['cores']} core{'s' * (table['cores'] > 1)}"

        def of(cell, n=n):
            return lambda row: cell(row[n])

        columns += [
            (f"ms, {cores}", of(_milliseconds("median"))),
            ("x keras", of(_times("x_reference"))),
            ("x limit", of(_times("x_limit"))),
        ]
    return tables.table(rows, columns)


def render(record):
    """Renders a record as Markdown.

    Args:
        record: What `benchmark.py` writes.

    Returns:
        Text without a final line end.
    """
    machine = record["machine"]
    versions = ", ".join(f"{k} {v}" for k, v in record["versions"].items())
    parts = [
        f"{machine['cpu']}, {machine['cores']} cores; "
        f"Keras on {record['backend']}; {versions}.",
        "x keras plain, x limit: medians over rounds of the ratio within a "
        "round. Limit: floating-point operations of the step's matrix "
        "products at the rate of one large product, measured in the same "
        "round.",
    ]
    renderers = {"step": _step_tables, "growth": _growth_tables}
    for table in record["tables"]:
        parts += renderers[table["table"]](table)
    parts.append(f"    {record['command']}")
    return "\n\n".join(parts)


def model(table):
    """Of which model a table of a record is; older ones do not say."""
    return table.get("model", "language_model")


def _heading(table, title):
    matmul, cores = table["matmul"], table["cores"]
    shape = " x ".join(map(str, matmul["shape"]))
    return (
        f"## {title}, {cores} core{'s' * (cores > 1)}\n\n"
        f"{DESCRIPTIONS[model(table)].format(**table['size'])}; "
        f"median of {len(matmul['seconds'])} rounds; product {shape} at "
        f"{matmul['flops_per_second'] / 1e9:.0f} GFLOP/s."
    )


def _step_tables(table):
    size, rows = table["size"], table["rows"]
    title = f"Training step, {size['name']}, {size['steps']} steps"
    heading = _heading(table, title)
    if model(table) == "number_prediction":
        heading += (
            f" K = {rows[0]['num_actions']}; compiled with XLA, unless a row "
            f"says not. x {plan.REFERENCE}: to the faster of its rows."
        )
    return [heading, tables.table(rows, STEP_COLUMNS)]


def _growth_tables(table):
    first, *others = table["rows"]
    by_actions = [r for r in others if r["num_actions"] != first["num_actions"]]
    by_steps = [r for r in others if r["steps"] != first["steps"]]
    per_step = [
        {**row, "x_per_step": row["x_first"] * first["steps"] / row["steps"]}
        for row in [first, *by_steps]
    ]
    name = table["size"]["name"]
    made = []
    if by_actions:
        made += [
            _heading(table, f"Growth with K, {name}, T = {first['steps']}"),
            tables.table([first, *by_actions], ACTION_COLUMNS),
        ]
    if by_steps:
        k = first["num_actions"]
        made += [
            _heading(table, f"Growth with T, {name}, K = {k}"),
            tables.table(per_step, LENGTH_COLUMNS),
        ]
    return made


def _milliseconds(key):
    return lambda row: f"{1e3 * row[key]:.1f}"


def _times(key):
    return lambda row: "-" if row[key] is None else f"{row[key]:.2f}"


DESCRIPTIONS = {
    "language_model": "2 x {units} units, {batch} streams, {vocabulary:,} "
    "words, dropout {dropout:g}",
    "number_prediction": "Classifier of 1 x {units} units, {batch} sequences, "
    "{symbols} one-hot symbols, agent of {policy_units} units, Adam",
}

TIME_COLUMNS = (
    ("median ms", _milliseconds("median")),
    ("min ms", _milliseconds("min")),
)

STEP_COLUMNS = (
    ("implementation", lambda row: row["name"]),
    *TIME_COLUMNS,
    (f"x {plan.REFERENCE}", _times("x_reference")),
    ("x limit", _times("x_limit")),
    ("limit ms", _milliseconds("limit")),
    ("GFLOP", lambda row: f"{row['flops'] / 1e9:.2f}"),
    ("first step s", lambda row: f"{row['first_seconds']:.1f}"),
)

ACTION_COLUMNS = (
    ("K", lambda row: str(row["num_actions"])),
    *TIME_COLUMNS,
    ("x first", _times("x_first")),
    ("x limit", _times("x_limit")),
    ("first step s", lambda row: f"{row['first_seconds']:.1f}"),
)

LENGTH_COLUMNS = (
    ("T", lambda row: str(row["steps"])),
    *TIME_COLUMNS,
    ("time per T, x first", _times("x_per_step")),
    ("x limit", _times("x_limit")),
    ("first step s", lambda row: f"{row['first_seconds']:.1f}"),
)
