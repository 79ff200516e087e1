"""Writes the tables of README files from the runs kept in results/."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

import functools
import re

from dsl.experiment import command_line, output, plan, tables
from dsl.experiment.task import ROOT, find, names
from dsl.runs import results
from dsl.system import atomic, regular_files

PAGES = (
    "README.md",
    *(f"{name}/README.md" for name, at in names().items() if at.parent == ROOT),
    "results/RESULTS.md",
    *(
        str(page.relative_to(ROOT))
        for page in sorted(ROOT.glob("results/*/**/README.md"))
    ),
)
# What README.md shows of each task: tables, and rows of them.
SUMMARY = {
    "number_prediction": {
        "T11": ("lstm", "dynamic-1", "paper-1"),
        "T21": ("lstm", "dynamic-1"),
    },
    "language_modeling": {
        "small": ("lstm", "reinforce", "straight_through", "random"),
    },
}
UNREADABLE = (ValueError, KeyError, TypeError, RecursionError, OverflowError)
# Blocks of the benchmark: the record of each, and which of its tables stand in
# the block. Either task may have been timed again, and on another machine.
BENCHMARKS = {
    "benchmark": (
        "benchmark.json",
        lambda model, kind, size: model == "language_model",
    ),
    "benchmark_medium": (
        "benchmark.json",
        lambda model, kind, size: (
            model == "language_model"
            and kind == "step"
            and size["name"] == "medium"
        ),
    ),
    "benchmark_numbers": (
        "benchmark_numbers.json",
        lambda model, kind, size: model == "number_prediction",
    ),
}
MOST_PAGE = 2**24  # bytes
BLOCK = re.compile(
    r"(<!-- (?P<kind>results|brief): (?P<name>[\w/-]+) -->\n)"
    r"(?:(?!<!-- ).)*(?P<end><!-- end -->)",
    re.DOTALL,
)


def parse_args(arguments=None):
    parser = command_line.Parser(
        description=command_line.description(__file__),
        epilog="Exit codes: 0 done, 1 out of date (--check) or a record is "
        "wrong, 2 usage, 130 interrupted.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="change nothing; fail if a page is not what the records say",
    )
    return parser.parse_args(arguments)


@entry.program
def main(args):
    # Some tables stand on several pages.
    once = functools.cache(render)
    stale = [
        page for page in PAGES if not refresh(ROOT / page, args.check, once)
    ]
    for page in stale:
        output.result(f"{page}: {'out of date' if args.check else 'written'}")
    return int(args.check and bool(stale))


def refresh(page, check, render):
    """Renders the blocks of a page.

    Args:
        page: Its path.
        check: Whether to leave it as it is.
        render: Function from the kind and name of a block to its text.

    Returns:
        Whether it was up to date.
    """
    try:
        old = regular_files.read_regular(page, MOST_PAGE).decode()
    except UnicodeDecodeError as error:
        raise results.ResultError(f"{page}: must be UTF-8 text.") from error
    begun = len(re.findall("<!-- (?:results|brief): ", old))
    if begun != len(BLOCK.findall(old)):
        raise results.ResultError(
            f"{page}: every block of results must have an end before the next."
        )
    new = BLOCK.sub(
        lambda m: f"{m[1]}{render(m['kind'], m['name'])}\n{m['end']}", old
    )
    if new != old and not check:
        with atomic.replacing(page) as file:
            file.write(new.encode())
    return new == old


def render(kind, name):
    """The tables of one name: of the benchmark, or TASK/TABLE.

    Args:
        kind: "results" for all columns, "brief" for few.
        name: That of the block.
    """
    if name in BENCHMARKS:
        return benchmark(*BENCHMARKS[name], brief=kind == "brief")
    if name == "summary":
        return summary()
    folder, _, table = name.rpartition("/")
    try:
        task = find(folder)
    except results.ResultError as error:
        raise results.ResultError(f"{name}: {error}") from error
    if table not in task.tables:
        raise results.ResultError(
            f"{name}: must be a table, {', '.join(task.tables)}."
        )
    return plan.render(task, rows_of(task, table), brief=kind == "brief")


def summary():
    """The rows of `SUMMARY` in four columns."""
    rows = [
        (task, table, row)
        for task, wanted in ((find(x), some) for x, some in SUMMARY.items())
        for table, only in wanted.items()
        for row in rows_of(task, table, only)
    ]

    def what(one):
        task, table, row = one
        return f"{table}, {task.measure.heading}: {row.name}"

    def measured(one):
        task, _, row = one
        return task.measure.cell(row.records) if row.runs else "not run"

    columns = (
        ("table, measure: row", what),
        ("published", lambda one: plan.published(one[0].measure)(one[2])),
        ("measured", measured),
        ("seeds", lambda one: plan.seeds(one[2])),
    )
    return tables.table(rows, columns)


def rows_of(task, table, only=None):
    """The rows of a table with what is kept of them."""
    folder = ROOT / "results" / task.name / table
    return plan.load(task, folder, table, only=only)


def benchmark(file, wanted, brief):
    """The benchmark's tables that are wanted, below a second heading.

    Args:
        file: Name of the record that they stand in.
        wanted: Function of a table's model, kind and size that tells.
        brief: Whether few columns are enough.
    """
    from benchmarking import report

    path = ROOT / "results" / file
    try:
        record = results.read_json(path, "scripts/benchmark.py writes it")
        found = [
            table
            for table in record["tables"]
            if wanted(report.model(table), table["table"], table["size"])
        ]
        if not found:
            return "not measured"
        record = {**record, "tables": found}
        text = report.brief(record) if brief else report.render(record)
    except results.ResultError:
        raise
    except UNREADABLE as error:
        raise results.ResultError(
            f"{path}: not a record of scripts/benchmark.py."
        ) from error
    return text.replace("## ", "### ")
