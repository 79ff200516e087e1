"""What the programs that run a whole table have in common.

A run that is kept already is passed over, one that was stopped goes on: the
same command again continues wherever it was.
"""

import argparse
import contextlib
import dataclasses
import importlib
import sys
from pathlib import Path

from dsl.experiment import command_line, entry, jobs, keep, kinds
from dsl.experiment.comparing import reading
from dsl.runs import configurations, provenance, results
from dsl.system import messages

ROOT = Path(__file__).resolve().parents[2]


class Task:
    """A task whose tables are run.

    Args:
        name: Name of its folder, in which a module `settings` has
            `parse_args` and `of_run`, `kept` has `load`, and `report` has
            `table`.
        script: Path of the program that trains.

    Attributes:
        program: Name of the program that runs its tables.
    """

    def __init__(self, name, script):
        self.name = name
        self.script = script
        self.program = f"reproduce_{name}.py"

    @property
    def settings(self):
        """The module of its settings, loaded late: it may need NumPy."""
        return importlib.import_module(f"{self.name}.settings")

    def make_parser(self, description, choices, only, budgets=()):
        """The parser of the flags that every table has.

        Args:
            description: What the program does.
            choices: Names of the tables.
            only: Help of `--only`.
            budgets: Names of those that several tables make up.
        """
        parser = command_line.Parser(
            prog=self.program,
            description=description,
            epilog="Exit codes: 0 all runs asked for are kept, 1 a run "
            "cannot be kept, or one that is kept is wrong, 2 usage; else that "
            "of the run that failed or was interrupted.",
            allow_abbrev=False,
        )
        tables = parser
        if budgets:
            tables = parser.add_mutually_exclusive_group(required=True)
            tables.add_argument(
                "--budget",
                choices=list(budgets),
                help="all tables of this much computing",
            )
        tables.add_argument(
            "table", nargs="?" if budgets else None, choices=list(choices)
        )
        parser.add_argument("--only", nargs="+", metavar="NAME", help=only)
        parser.add_argument(
            "--train_dir",
            type=command_line.name,
            default="runs",
            metavar="DIR",
            help="where the run folders go (default: %(default)s)",
        )
        parser.add_argument(
            "--results",
            type=command_line.name,
            default=str(ROOT / "results" / self.name),
            metavar="DIR",
            help="where runs are kept, in a folder of the table's name "
            f"(default: results/{self.name})",
        )
        parser.add_argument(
            "--processes",
            type=processes,
            default=1,
            metavar="N",
            help="runs at once, or `cores`: as many as cores; each on its "
            "share of them, with its output in a file in --train_dir (default: "
            "1, on all cores)",
        )
        parser.add_argument(
            "--shard",
            type=shard,
            default=(1, 1),
            metavar="I/N",
            help="every Nth run from the Ith on, for one of N machines that "
            "share --results",
        )
        return parser

    def job(self, args, name, flags, places=(), needs=()):
        """Trains, or goes on with, one run and keeps it.

        Args:
            args: Holds `table`, `train_dir` and `results`.
            name: Name of the run in its table.
            flags: Function that gives the list of its flags, which say what
                is run; called when what it needs is there.
            places: List of those that only say where.
            needs: Names of runs that come first.

        Returns:
            A `jobs.Job`. A run that is kept already is not trained. Its start
            and its end raise ResultError if the run has other settings, or
            cannot be kept.
        """
        copy = Path(args.results) / args.table / name
        run = Path(args.train_dir) / f"{args.table}-{name}"

        def start():
            if (copy / results.FILE_NAME).exists():
                check_settings(copy, flags(), self.settings)
                print(messages.one_line(f"{name}: kept in {copy}"), flush=True)
                return None
            if results.is_finished(run) and not is_short(
                run, flags(), self.settings
            ):
                return None
            where = ["--train_dir", args.train_dir, "--name", run.name, *places]
            resume = ["--resume"] * run.exists()
            return [sys.executable, str(self.script), *where, *flags(), *resume]

        def finish():
            if not (copy / results.FILE_NAME).exists():
                check_settings(run, flags(), self.settings)
                keep.keep(run, copy)

        names = (f"{args.table}-{need}" for need in needs)
        return jobs.Job(run.name, start, finish, tuple(names))

    def run_all(self, args, works):
        """Runs the jobs of this shard; see `jobs.run_all`."""
        shard, shards = args.shard
        works = with_what_is_missing_last(works[shard - 1 :: shards])
        logs = Path(args.train_dir) / "logs"
        return jobs.run_all(self.program, works, args.processes, logs)

    def show(self, code, folder, names, **options):
        """Prints tables as `table` renders them.

        Args:
            code: Exit code of their runs.
            folder: Path of the folder of all tables.
            names: Their names.
            **options: Further arguments of the task's `kept.load`.

        Returns:
            The exit code; 1 in the place of 0 if a run that is kept is wrong.
        """

        def show():
            for name in names:
                text = table(self.name, folder, name, **options)
                print(f"\n{name}\n\n{text}", flush=True)
            return code

        if code == 0:
            return entry.in_words(self.program, show)
        # What went wrong has been said.
        said = (results.ResultError, OSError, KeyboardInterrupt)
        with contextlib.suppress(*said):
            show()
        return code


def table(task, folder, name, **options):
    """Renders a table with what is kept of it, be it complete or not.

    Args:
        task: Name of the task's folder.
        folder: Path of the folder of all its tables.
        name: Name of the table.
        **options: Further arguments of the task's `kept.load`.

    Returns:
        A string.

    Raises:
        ResultError: If a run that is kept is wrong.
    """
    kept, report = (
        importlib.import_module(f"{task}.{part}") for part in ("kept", "report")
    )
    return report.table(kept.load(Path(folder) / name, name, **options))


def with_what_is_missing_last(works):
    """Jobs whose needs are not all among them come after all others.

    Another machine may keep until then what they need; and if it does not,
    all that can be run has been.
    """
    names = {job.name for job in works}
    first = [job for job in works if {*job.needs} <= names]
    others = tuple(job.name for job in first)
    last = [
        dataclasses.replace(job, needs=(*job.needs, *others))
        for job in works
        if not {*job.needs} <= names
    ]
    return [*first, *last]


def check_settings(run, flags, settings):
    """Raises ResultError unless a run has the settings of its flags.

    Args:
        run: Path of the run.
        flags: List of flags.
        settings: The module of the task's settings, see `Task`.
    """
    others = differing(run, flags, settings)
    if others:
        raise results.ResultError(
            f"{run}: was made with other settings: "
            f"{'; '.join(others.values())}."
        )


def differing(run, flags, settings):
    """What `check_settings` finds: a dict of names, and the rest in words."""
    args = settings.parse_args(flags)
    wanted = kinds.effective(settings.of_run(args))
    config = reading.with_rates(results.load_config(run))
    found = kinds.effective(config["settings"])
    return {
        key: f"--{key} {found.get(key)!r}, here {value!r}"
        for key, value in wanted.items()
        if key not in reading.IGNORED and found.get(key) != value
    }


def is_short(run, flags, settings):
    """Whether nothing but more epochs is asked of a run that is done."""
    others = differing(run, flags, settings)
    may_grow = configurations.growing_names(results.load_config(run))
    return bool(others) and set(others) <= set(may_grow)


def check_names(parser, flag, names, known):
    """Ends with an error unless all names given are known ones."""
    unknown = [name for name in names or [] if name not in known]
    if unknown:
        parser.error(
            f"argument {flag}: must be among {', '.join(map(str, known))}. "
            f"Received: {unknown[0]!r}"
        )


def processes(text):
    """An argparse type: a number of processes, or as many as cores."""
    if text == "cores":
        return provenance.cores()
    try:
        return command_line.count(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(
            f"must be `cores` or an integer at least 1. Received: {text!r}"
        ) from error


def shard(text):
    """An argparse type: I/N, the Ith of N parts."""
    parts = text.split("/")
    if len(parts) == 2 and all(part.isdecimal() for part in parts):
        which, count = map(int, parts)
        if 1 <= which <= count:
            return which, count
    raise argparse.ArgumentTypeError(
        f"must be I/N with I from 1 to N. Received: {text!r}"
    )
