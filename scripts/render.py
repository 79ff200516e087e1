"""Writes the tables of README files from the run records in results/."""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from dsl import messages, results, tables  # noqa: E402
from scripts import command_line  # noqa: E402

PAGES = ("README.md", "language_modeling/README.md", "results/RESULTS.md")
UNREADABLE = (ValueError, KeyError, TypeError, RecursionError, OverflowError)
BLOCK = re.compile(
    r"(<!-- results: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL
)


def parse_args(arguments=None):
    parser = command_line.Parser(
        description=__doc__,
        epilog="Exit codes: 0 done, 1 out of date (--check) or a record is "
        "wrong, 2 usage.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="change nothing; fail if a page is not what the records say",
    )
    return parser.parse_args(arguments)


def main(args):
    try:
        stale = [page for page in PAGES if not refresh(ROOT / page, args.check)]
    except (results.ResultError, OSError) as error:
        print(f"render: {messages.one_line(error)}", file=sys.stderr)
        return 1
    for page in stale:
        print(f"{page}: {'out of date' if args.check else 'written'}")
    return int(args.check and bool(stale))


def refresh(page, check):
    """Renders the blocks of a page; returns whether it was up to date."""
    old = page.read_text(encoding="utf-8")
    new = BLOCK.sub(lambda m: f"{m[1]}{render(m['name'])}\n{m[3]}", old)
    if new != old and not check:
        page.write_text(new, encoding="utf-8")
    return new == old


def render(name):
    """The tables of one name, from its record or folder of records."""
    if name == "benchmark":
        return benchmark(lambda table: True)
    if name == "benchmark_medium":
        return benchmark(
            lambda table: (
                table["table"] == "step" and table["size"]["name"] == "medium"
            )
        )
    if name.startswith("comparison_"):
        return comparison(name.removeprefix("comparison_"))
    paths = sorted((ROOT / "results" / name).glob("*.json"))
    return tables.language_models([results.load(path) for path in paths])


def comparison(name):
    """The table of a record that scripts/compare wrote."""
    from comparing import report

    path = ROOT / "results" / "comparisons" / f"{name}.json"
    try:
        return report.render(json.loads(path.read_text(encoding="utf-8")))
    except UNREADABLE as error:
        raise results.ResultError(
            f"{path}: not a record of scripts/compare."
        ) from error


def benchmark(wanted):
    """The benchmark's tables that are wanted, below a second heading."""
    from benchmarking import report

    path = ROOT / "results" / "benchmark.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        tables = [table for table in record["tables"] if wanted(table)]
        text = report.render({**record, "tables": tables})
    except UNREADABLE as error:
        raise results.ResultError(
            f"{path}: not a record of scripts/benchmark.py."
        ) from error
    return text.replace("## ", "### ")


if __name__ == "__main__":
    sys.exit(main(parse_args()))
