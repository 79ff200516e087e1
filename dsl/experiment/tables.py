"""Run records as tables: measured beside published."""

import statistics
from collections.abc import Callable, Sequence

from dsl.runs.results import Record, ResultError, is_finite
from dsl.system.messages import printable, short

Columns = Sequence[tuple[str, Callable[[Record], str]]]


def table(records: Sequence[Record], columns: Columns) -> str:
    """Renders one row per record as aligned text that is also Markdown.

    Args:
        records: The records, in the order of the rows.
        columns: Pairs of a heading and a function from a record to its cell.
            A column whose cells all begin with a digit or are "-" is aligned
            to the right.

    Returns:
        The lines of the table, joined, without a final line end.
    """
    headings = [heading for heading, _ in columns]
    rows = [
        [printable(cell(record)) for _, cell in columns] for record in records
    ]
    headings = [printable(heading) for heading in headings]
    rules, widths, numeric = [], [], []
    for heading, *cells in zip(headings, *rows, strict=True):
        right = all(cell[:1].isdigit() or cell == "-" for cell in cells)
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
        (heading, cell)
        for heading, cell in columns
        if any(cell(record) != "-" for record in records)
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
    records: Sequence[Record], part: str, key: str, scale: float = 1
) -> str:
    """The cell of a figure of several runs, or "-" where one has none.

    Args:
        records: Those of the seeds of one model, at least one.
        part: Name of one of their dicts.
        key: Name of the figure there.
        scale: What it is multiplied by.

    Returns:
        The mean, and with several records their standard deviation, of a
        sample (n - 1).

    Raises:
        ResultError: If a figure is not a number.
    """
    values = [number(record, part, key) for record in records]
    if None in values:
        return "-"
    mean = f"{scale * statistics.fmean(values):.2f}"
    if len(values) == 1:
        return mean
    return f"{mean} ± {scale * statistics.stdev(values):.2f}"


def accuracy(records: Sequence[Record], part: str, key: str) -> str:
    """The cell of an accuracy in percent, see `over_seeds`."""
    return over_seeds(records, part, key, scale=100)


def greedy_perplexity(record: Record) -> str:
    """The cell of a record's test perplexity with greedy actions, or "-".

    Args:
        record: A record, as `load` returns it.

    Raises:
        ResultError: If the figure is not a number.
    """
    value = number(record, "test", "perplexity")
    return "-" if value is None else f"{value:.2f}"


def bits_per_character(record: Record) -> str:
    """The cell of the bits per character of a text of characters, or "-".

    Args:
        record: A record, as `load` returns it.

    Raises:
        ResultError: If the figure is not a number.
    """
    value = number(record, "test", "bits_per_character")
    if value is None or not is_of_characters(record):
        return "-"
    return f"{value:.3f}"


def is_of_characters(record: Record) -> bool:
    """Whether the tokens of a record's text are characters."""
    return bool((record.get("data") or {}).get("of_characters"))


def with_bits(columns: Columns, records: Sequence[Record]) -> Columns:
    """The columns, and one for bits where a record's text has characters."""
    if not any(map(is_of_characters, records)):
        return columns
    return [*columns, ("test bits per character", bits_per_character)]


def sampled_perplexity(record: Record) -> str:
    """The cell of its mean and deviation with sampled actions, or "-".

    Args:
        record: A record, as `load` returns it.

    Raises:
        ResultError: If a figure is not a number.
    """
    mean = number(record, "test", "perplexity_sampled_mean")
    deviation = number(record, "test", "perplexity_sampled_std")
    if mean is None:
        return "-"
    if deviation is None:
        return f"{mean:.2f}"
    return f"{mean:.2f} ± {deviation:.2f}"


def comparison(records: Sequence[Record]) -> str:
    """Renders what was measured on the test split beside what it is held to.

    Args:
        records: Records of any task, as `load` returns them.

    Returns:
        A `table` of those that are measured by their perplexity, and one of
        those by their accuracy: with greedy actions; mean and standard
        deviation over evaluations with sampled actions; the published figure,
        or for a generated corpus the exact one of its distribution. "-"
        stands where a record has no such figure.

    Raises:
        ResultError: If a figure is not a number.
    """
    accurate = [r for r in records if "accuracy" in r["test"]]
    others = [r for r in records if "accuracy" not in r["test"]]
    rendered = []
    if others:
        rendered.append(table(others, with_bits(_COMPARISON, others)))
    if accurate:
        rendered.append(table(accurate, _ACCURACIES))
    return "\n\n".join(rendered)


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
        figures = ("test_perplexity", "test_accuracy")
        given = any(published.get(key) for key in figures)
        if given and published.get("source"):
            found[printable(str(published["source"]))] = None
    return list(found)


def _reference(record):
    """The true perplexity where it is known, else the published one."""
    value = number(record, "true_perplexity", "test")
    if value is not None:
        return f"{value:.2f} true"
    value = number(record, "published", "test_perplexity")
    return "-" if value is None else f"{value:g} published"


_COMPARISON: Columns = (
    ("model", lambda record: model_in_words(record)),
    ("corpus", lambda record: record["corpus"]),
    ("parameters", lambda record: f"{record['parameters']:,}"),
    ("test perplexity", greedy_perplexity),
    ("sampled mean ± sd", sampled_perplexity),
    ("to compare", _reference),
    ("seconds", lambda record: f"{record['seconds']:.0f}"),
    ("run folder", lambda record: record.get("run_folder", "-")),
)


def sampled_accuracy(record: Record) -> str:
    """The cell of an accuracy's mean and deviation with sampled actions.

    Args:
        record: A record, as `load` returns it.

    Returns:
        Per cent, or "-" where the record has none.

    Raises:
        ResultError: If a figure is not a number.
    """
    mean = accuracy([record], "test", "accuracy_sampled_mean")
    deviation = number(record, "test", "accuracy_sampled_std")
    return mean if deviation is None else f"{mean} ± {100 * deviation:.2f}"


def _published_accuracy(record):
    value = number(record, "published", "test_accuracy")
    return "-" if value is None else f"{100 * value:.1f} published"


_ACCURACIES: Columns = (
    ("model", lambda record: model_in_words(record)),
    ("corpus", lambda record: record["corpus"]),
    ("parameters", lambda record: f"{record['parameters']:,}"),
    (
        "test accuracy, %",
        lambda record: accuracy([record], "test", "accuracy"),
    ),
    ("sampled mean ± sd", sampled_accuracy),
    ("to compare", _published_accuracy),
    ("seconds", lambda record: f"{record['seconds']:.0f}"),
    ("run folder", lambda record: record.get("run_folder", "-")),
)


def model_in_words(record: Record) -> str:
    """The model of a record, how its agent learned, and what it reads.

    Args:
        record: A record, as `load` returns it.
    """
    words = _layers_in_words(record)
    return f"{words}, characters" if record["settings"].get("char") else words


def _layers_in_words(record):
    """The recurrent layers of a record, and how their agent learned."""
    settings = record["settings"]
    parts = [f"K={settings.get('n_actions')}", f"λ={settings.get('lamda')}"]
    if record["model"] == "attention":
        return f"attention ({', '.join(parts)})"
    if record["model"] == "fixed_skip":
        return f"fixed_skip ({settings.get('skip')}, {parts[1]})"
    if record["model"] != "dynamic_skip":
        return str(record["model"])
    if settings.get("policy") == "random":
        shares = settings.get("look_back_shares")
        words = "uniform" if shares is None else " ".join(map(str, shares))
        parts.append(f"random distances, shares {words}")
    elif settings.get("policy") not in (None, "learned"):
        parts.append(f"{settings['policy']} policy")
    else:
        parts.append(str(settings.get("estimator")).replace("_", "-"))
    if settings.get("random_share") is not None:
        parts.append(f"random at {settings['random_share']} of the steps")
    if settings.get("rollouts") not in (None, 1):
        parts.append(f"{settings['rollouts']} rollouts")
        if settings.get("task_rollouts") not in (None, settings["rollouts"]):
            parts.append(f"words from {settings['task_rollouts']}")
    if settings.get("recipe") not in (None, "best"):
        parts.append(f"recipe {settings['recipe']}")
    return f"{record['model']} ({', '.join(parts)})"
