"""Tables of runs: what is run for each row, what is kept of it, how it reads.

    TABLES = {"small": Table("--preset small", {"lstm": Plan("--model lstm")})}

The runs of a table are kept in results/<task>/<table>/<row>-<seed>.
"""

import dataclasses
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from dsl.experiment import kinds, tables
from dsl.experiment.comparing import reading
from dsl.runs import configurations, results
from dsl.system import messages

SEED = "{seed}"
"""In flags, stands for the seed of the run."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is run for one row of a table.

    Args:
        flags: Flags of all its runs, beside those of the table.
        seeds: The seeds that it is run with.
        home: The table in whose folder its runs are kept, if it is another.
        source: The row whose runs come first, and tell what `fill` reads.
        fill: Function of the folders of these runs to a word that takes the
            place of `{source}` in the flags.
    """

    flags: str
    seeds: tuple[int, ...] = (1,)
    home: str | None = None
    source: str | None = None
    fill: Callable | None = None


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of runs.

    Args:
        flags: Flags of all its runs.
        plans: Dict of `Plan`, by the name of the row.
    """

    flags: str
    plans: dict[str, Plan]

    def seeds(self):
        """The seeds that any of its rows has, in order."""
        return sorted({x for plan in self.plans.values() for x in plan.seeds})

    def runs(self, seeds=None, only=None):
        """The runs of a table: every row of a seed before the next seed.

        Args:
            seeds: Those of each row, in place of its own.
            only: Names of rows and of runs; all by default.

        Returns:
            List of `Run`.
        """
        found = [
            Run(row, seed, self._flags(plan, seed))
            for seed in seeds or self.seeds()
            for row, plan in self.plans.items()
            if seeds or seed in plan.seeds
        ]
        return [
            run for run in found if not only or {run.row, run.name} & {*only}
        ]

    def _flags(self, plan, seed):
        text = f"{self.flags} {plan.flags} --seed {SEED}"
        return text.replace(SEED, str(seed)).split()

    def names(self, seeds=None):
        """The names of its rows and of its runs."""
        return [*self.plans, *(run.name for run in self.runs(seeds))]

    def needs(self, row):
        """The runs that come before those of a row, a list of `Run`."""
        source = self.plans[row].source
        return [] if source is None else self.runs(only=[source])


@dataclasses.dataclass(frozen=True)
class Sweep(Table):
    """A table whose rows are the values of one setting.

    Args:
        axis: What is swept over, in words.
        points: The name of the row of each value, ascending.
    """

    axis: str = ""
    points: dict = dataclasses.field(default_factory=dict)


class Run(NamedTuple):
    """One run of a table.

    Attributes:
        row: Name of its row.
        seed: Its seed.
        flags: List of its flags, in which `{source}` may stand.
    """

    row: str
    seed: int
    flags: list[str]

    @property
    def name(self):
        """Its name in the table."""
        return f"{self.row}-{self.seed}"


SOURCE = "{source}"


class Column(NamedTuple):
    """A column of a table of rows.

    Attributes:
        heading: What stands above it.
        cell: Function of a `Row`.
        brief: Whether it also stands in the short form of the table; or what
            stands above it there.
        full: Whether it stands in the table of all columns.
        best: The measure whose best row is in bold there, or None.
    """

    heading: str
    cell: Callable
    brief: bool | str = False
    full: bool = True
    best: object = None

    @property
    def in_brief(self):
        """The column of the short form."""
        if isinstance(self.brief, str):
            return self._replace(heading=self.brief)
        return self


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a table, with the runs of it that are kept.

    Args:
        name: Its name in the table.
        settings: Dict of what all its runs have in common, and the seed of
            the first.
        published: What it is held to, see `task.Task.reference`; may be empty.
        names: Those of the runs that it should have.
        runs: Those that are kept, in the same order, as
            `comparing.reading.load` returns them.
    """

    name: str
    settings: dict
    published: dict
    names: tuple
    runs: tuple

    @property
    def records(self):
        """The records of the runs that are kept."""
        return [run["record"] for run in self.runs]

    @property
    def model(self):
        """The model in words."""
        return kinds.in_words(self.settings["model"], self.settings)


def load(task, folder, table, seeds=None, only=None) -> list[Row]:
    """Reads the runs of a table.

    Args:
        task: The `task.Task`.
        folder: Where they are kept, with those of other tables beside it; it
            need not exist.
        table: Name of the table.
        seeds: Those in place of the table's own.
        only: Names of the rows and runs to read; all by default.

    Returns:
        List of a `Row` for each row with such a run, in the order of the
        plan, be it kept or not.

    Raises:
        ResultError: If a run is wrong, or has not the settings of the table.
    """
    folder, plans = Path(folder), task.tables[table].plans
    rows = {name: [] for name in plans}
    for run in task.tables[table].runs(seeds, only):
        rows[run.row].append(run)
    return [_row(task, folder, table, *one) for one in rows.items() if one[1]]


def _row(task, folder, table, name, runs):
    found = []
    for run in runs:
        path = home(task, folder, table, name) / run.name
        if (path / results.FILE_NAME).exists():
            flags = fill(task, folder, table, run)
            check_settings(task, path, flags)
            found.append(path)
    flags = runs[0].flags
    if found:
        flags = fill(task, folder, table, runs[0])
    # What is not known yet, for nothing is run, says so.
    unknown = "1" if SOURCE in flags else None
    args = task.parse([unknown if word == SOURCE else word for word in flags])
    settings = task.of_run(args)
    if unknown:
        place = flags[flags.index(SOURCE) - 1].removeprefix("--")
        settings[place] = ["as learned"]
    return _with_runs(task, name, args, settings, found, [x.name for x in runs])


def row_of(task, name, flags, paths, names):
    """A row of runs wherever they are, finished and of these flags.

    Args:
        task: The `task.Task`.
        name: Name of the row.
        flags: List of their flags.
        paths: Paths of the runs.
        names: Names of the runs that there should be.
    """
    args = task.parse(flags)
    return _with_runs(task, name, args, task.of_run(args), paths, names)


def _with_runs(task, name, args, settings, paths, names):
    loaded = reading.load(paths)
    for run in loaded:
        if run["record"] is None:
            raise results.ResultError(f"{run['name']}: must be finished.")
        _check(task, run["record"])
    record = loaded[0]["record"] if loaded else None
    published = task.published(args, record) or {}
    return Row(name, settings, published, tuple(names), tuple(loaded))


def _check(task, record):
    """Raises ResultError unless a run has what every row shows."""
    measure = task.measure
    for part in ("valid", "test"):
        if tables.number(record, part, measure.name) is None:
            raise results.ResultError(
                f"{record['run_folder']}: must hold the {measure.name} of "
                "valid and test."
            )


def home(task, folder, table, row):
    """The folder in which the runs of a row are kept."""
    return folder.with_name(task.tables[table].plans[row].home or table)


def fill(task, folder, table, run):
    """The flags of a run, with what other runs of its table tell.

    Args:
        task: The `task.Task`.
        folder: Where the runs of the table are kept.
        table: Name of the table.
        run: The `Run`.

    Returns:
        List of flags without `SOURCE`.

    Raises:
        ResultError: If a run that is needed is not kept, or tells nothing.
    """
    if SOURCE not in run.flags:
        return run.flags
    plan, found = task.tables[table].plans[run.row], task.tables[table]
    where = home(task, Path(folder), table, plan.source)
    word = plan.fill([where / one.name for one in found.needs(run.row)])
    return [word if flag == SOURCE else flag for flag in run.flags]


def check_settings(task, run, flags):
    """Raises ResultError unless a run has the settings of its flags.

    Args:
        task: The `task.Task`.
        run: Path of the run.
        flags: List of flags.
    """
    others = differences(task, run, flags)
    if others:
        raise results.ResultError(
            f"{run}: was made with other settings: "
            f"{'; '.join(others.values())}."
        )


def differences(task, run, flags):
    """What `check_settings` finds: a dict of names, and the rest in words."""
    wanted = task.effective(task.of_run(task.parse(flags)))
    config = reading.with_rates(results.load_config(run))
    found = task.effective(config["settings"])
    ignored = reading.ignored(task)
    return {
        key: f"--{key} {found.get(key)!r}, here {value!r}"
        for key, value in wanted.items()
        if key not in ignored and found.get(key) != value
    }


def is_short(task, run, flags):
    """Whether nothing but more epochs is asked of a run that is done."""
    others = differences(task, run, flags)
    may_grow = configurations.growing_names(results.load_config(run))
    return bool(others) and set(others) <= set(may_grow)


def render(task, rows: Sequence[Row], brief=False) -> str:
    """Renders a table: measured beside published, the seeds together.

    Args:
        task: The `task.Task`.
        rows: List of `Row`.
        brief: Whether to leave out all columns but the short form's.

    Returns:
        A `tables.table` without the columns that no row fills, then where the
        published figures come from, then the command of a seed of each row
        that is kept. In the short form there are no commands, and what is the
        same in all rows stands above.

    Raises:
        ResultError: If a figure is not a number, or the runs were scored on
            different texts.
    """
    columns = [one for one in task.columns(rows) if one.full or brief]
    if brief:
        columns = [one.in_brief for one in columns if one.brief]
    columns = tables.filled(rows, columns)
    parts = []
    if brief:
        columns = [_with_best(rows, column) for column in columns]
    if brief and len(rows) > 1:
        columns, caption = tables.with_caption(rows, columns)
        parts += [caption] if caption else []
    parts.append(tables.table(rows, columns))
    sources = tables.sources([{"published": row.published} for row in rows])
    parts += [f"Published: {source}." for source in sources]
    commands = [
        f"    {messages.printable(row.records[0]['command'])}"
        for row in rows
        if row.runs and not brief
    ]
    if commands:
        parts.append("\n".join(commands))
    return "\n\n".join(parts)


def _with_best(rows, column):
    """A column in which the cells of the best rows are bold, if some differ."""
    measure = column.best
    if measure is None:
        return column

    def mean(row):
        values = [one["test"][measure.name] for one in row.records]
        return statistics.fmean(values)

    means = {row.name: mean(row) for row in rows if row.runs}
    shown = {name: measure.text(value) for name, value in means.items()}
    if len(set(shown.values())) < 2:
        return column
    best = shown[min(means, key=lambda name: measure.loss(means[name]))]

    def cell(row):
        text = column.cell(row)
        return f"**{text}**" if shown.get(row.name) == best else text

    return column._replace(cell=cell)


# Cells that tables of every task have.


def of_records(cell, otherwise="-"):
    """A cell of the records of a row, where there are any."""
    return lambda row: cell(row.records) if row.runs else otherwise


def published(measure, part="test"):
    """A cell of the published figure of a row."""
    return lambda row: measure.published_cell(row.published, part)


def seeds(row):
    """The cell of how many seeds are kept, of how many."""
    return f"{len(row.runs)}/{len(row.names)}"


def epochs(records):
    """The mean number of epochs that runs have."""
    return statistics.fmean(len(one.get("epochs") or []) for one in records)


def minutes(records):
    """The cell of the mean wall time of a run, and its cores."""
    seconds = statistics.fmean(record["seconds"] for record in records)
    cores = {str(record.get("cores", "-")) for record in records}
    return f"{seconds / 60:.0f} min ({' or '.join(sorted(cores))})"
