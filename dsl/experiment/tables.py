"""Tables, in text that is also Markdown."""

import statistics
from collections.abc import Callable, Sequence

from dsl.runs.results import Record, ResultError, is_finite
from dsl.system.messages import printable, short

Columns = Sequence[tuple[str, Callable[[Record], str], ...]]


def table(records: Sequence[Record], columns: Columns) -> str:
    """Renders one row per record as aligned text that is also Markdown.

    Args:
        records: The records, in the order of the rows.
        columns: Sequences that begin with a heading and a function from a
            record to its cell. A column whose cells all begin with a digit or
            are "-" is aligned to the right.

    Returns:
        The lines of the table, joined, without a final line end.
    """
    headings = [heading for heading, *_ in columns]
    rows = [
        [printable(cell(record)) for _, cell, *_ in columns]
        for record in records
    ]
    headings = [printable(heading) for heading in headings]
    rules, widths, numeric = [], [], []
    for heading, *cells in zip(headings, *rows, strict=True):
        bare = [cell.removeprefix("**") for cell in cells]
        right = all(cell[:1].isdigit() or cell == "-" for cell in bare)
        width = max(3, *map(len, [heading, *cells]))
        rules.append("-" * (width - right) + ":" * right)
        widths.append(width)
        numeric.append(right)

    def line(cells):
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        )
        return f"| {' | '.join(padded)} |"

    return "\n".join(map(line, [headings, rules, *rows]))


def filled(records: Sequence[Record], columns: Columns) -> Columns:
    """The columns of a `table` in which not every cell is "-"."""
    return [
        column
        for column in columns
        if any(column[1](record) != "-" for record in records)
    ]


def number(record: Record, part: str, key: str) -> int | float | None:
    """Looks up `record[part][key]`: a finite number, or None if absent.

    Args:
        record: A record, as `load` returns it.
        part: Name of one of its dicts.
        key: Name of the figure there.

    Raises:
        ResultError: If it is something else.
    """
    value = (record.get(part) or {}).get(key)
    if value is None:
        return None
    if not is_finite(value):
        raise ResultError(
            f"{record.get('run_folder', 'record')}: `{part}.{key}` must be a "
            f"finite number. Received: {short(value)}"
        )
    return value


def over_seeds(
    records: Sequence[Record],
    part: str,
    key: str,
    scale: float = 1,
    digits: int = 2,
) -> str:
    """The cell of a figure of several runs, or "-" where one has none.

    Args:
        records: Those of the seeds of one model, at least one.
        part: Name of one of their dicts.
        key: Name of the figure there.
        scale: What it is multiplied by.
        digits: Digits after the point.

    Returns:
        The mean, and with several records their standard deviation, of a
        sample (n - 1).

    Raises:
        ResultError: If a figure is not a number.
    """
    values = [number(record, part, key) for record in records]
    if None in values:
        return "-"
    mean = f"{scale * statistics.fmean(values):.{digits}f}"
    if len(values) == 1:
        return mean
    return f"{mean} ± {scale * statistics.stdev(values):.{digits}f}"


def with_caption(
    records: Sequence[Record], columns: Columns
) -> tuple[Columns, str]:
    """The columns that tell rows apart, and what all rows have in common.

    Args:
        records: The records, several of them.
        columns: As for `table`; the first one stays.

    Returns:
        The columns, and a sentence, empty if there is nothing to say.
    """
    apart, common = [columns[0]], []
    for column in columns[1:]:
        cells = {column[1](record) for record in records}
        if len(cells) > 1:
            apart.append(column)
        else:
            common.append(f"{column[0]} {printable(cells.pop())}")
    return apart, f"All rows: {', '.join(common)}." if common else ""


def sources(records: Sequence[Record]) -> list[str]:
    """Says where the published figures of the records come from.

    Args:
        records: The records, as `load` returns them.

    Returns:
        One line for each different source, in the order of the records.
    """
    found = {}
    for record in records:
        published = record.get("published") or {}
        figures = [key for key in published if key.startswith("test_")]
        given = any(published[key] is not None for key in figures)
        if given and published.get("source"):
            found[printable(str(published["source"]))] = None
    return list(found)
