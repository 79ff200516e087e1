"""What the programs that run a whole table have in common.

A run that is kept already is passed over, one that was stopped goes on: the
same command again continues wherever it was.
"""

import importlib
import signal
import subprocess
import sys
from pathlib import Path

from dsl import interrupts, messages, results
from scripts import command_line, keep, program
from scripts.comparing import tables

ROOT = Path(__file__).resolve().parents[1]


class Task:
    """A task whose tables are run.

    Args:
        name: Name of its folder, in which a module `settings` has
            `parse_args`, `of_run` and `effective`.
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

    def make_parser(self, description, choices, only):
        """The parser of the flags that every table has.

        Args:
            description: What the program does.
            choices: Names of the tables.
            only: Help of `--only`.
        """
        parser = command_line.Parser(
            prog=self.program,
            description=description,
            epilog="Exit codes: 0 all runs of the table are kept, 1 a run "
            "cannot be kept, 2 usage; else that of the run that failed or was "
            "interrupted.",
            allow_abbrev=False,
        )
        parser.add_argument("table", choices=list(choices))
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
        return parser

    def reproduce(self, args, name, flags, places=()):
        """Trains, or goes on with, one run and keeps it.

        Args:
            args: Holds `table`, `train_dir` and `results`.
            name: Name of the run in its table.
            flags: List of its flags, which say what is run.
            places: List of those that only say where.

        Returns:
            The exit code of the training, 0 for a run that was kept already.

        Raises:
            ResultError: If the run has other settings, or cannot be kept.
        """
        copy = Path(args.results) / args.table / name
        if (copy / results.FILE_NAME).exists():
            check_settings(copy, flags, self.settings)
            print(messages.one_line(f"{name}: kept in {copy}"), flush=True)
            return 0
        run = Path(args.train_dir) / f"{args.table}-{name}"
        if not (run / results.FILE_NAME).exists():
            where = ["--train_dir", args.train_dir, "--name", run.name, *places]
            resume = ["--resume"] * run.exists()
            words = [sys.executable, str(self.script), *where, *flags, *resume]
            code = call(words)
            if code != 0:
                return code
        check_settings(run, flags, self.settings)
        keep.keep(run, copy)
        return 0


def check_settings(run, flags, settings):
    """Raises ResultError unless a run has the settings of its flags.

    Args:
        run: Path of the run.
        flags: List of flags.
        settings: The module of the task's settings, see `Task`.
    """
    args = settings.parse_args(flags)
    wanted = settings.effective(settings.of_run(args))
    found = settings.effective(results.load_config(run)["settings"])
    differing = [
        f"--{key} {found.get(key)!r}, here {value!r}"
        for key, value in wanted.items()
        if key not in tables.IGNORED and found.get(key) != value
    ]
    if differing:
        raise results.ResultError(
            f"{run}: was made with other settings: {'; '.join(differing)}."
        )


def check_names(parser, flag, names, known):
    """Ends with an error unless all names given are known ones."""
    unknown = [name for name in names or [] if name not in known]
    if unknown:
        parser.error(
            f"argument {flag}: must be among {', '.join(map(str, known))}. "
            f"Received: {unknown[0]!r}"
        )


def run_all(prog, works):
    """Does one after the other, until one fails.

    Args:
        prog: Name of the program, for errors.
        works: Functions without arguments that return an exit code.

    Returns:
        The exit code of the first that failed, else 0.
    """
    try:
        with interrupts.sigterm_as_ctrl_c():
            for work in works:
                code = work()
                if code != 0:
                    return code
    except results.ResultError as error:
        return fail(prog, error)
    except OSError as error:
        return fail(prog, f"{program.in_words(error)}.")
    except KeyboardInterrupt:
        return fail(prog, "interrupted.", 130)
    return 0


def call(command):
    """Runs a command to its end; Ctrl-C and SIGTERM are passed on to it.

    Returns:
        Its exit code, above 128 if a signal ended it.
    """
    # In a session of its own it hears Ctrl-C once, from here.
    with subprocess.Popen(command, start_new_session=True) as process:
        before = {
            number: signal.signal(
                number, lambda number, frame: process.send_signal(number)
            )
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            code = process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def fail(prog, message, code=1):
    """Says in one line what went wrong; returns the exit code."""
    print(f"{prog}: {messages.one_line(message)}", file=sys.stderr)
    return code
