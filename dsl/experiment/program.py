"""What the training programs of all tasks have in common.

A program trains in a run folder, can be stopped at any moment and goes on
with `--resume`.
"""

import shlex
import sys
from pathlib import Path

from dsl.experiment import entry
from dsl.system import interrupts, messages

ROOT = Path(__file__).resolve().parents[2]


class MissingPackageError(messages.Failure, ImportError):
    """A flag needs a package that is not installed."""

    exit_code = 2


class Program:
    """One task's program.

    Args:
        script: Path of its file.
        task: Name of the task, as it stands in run records.
    """

    def __init__(self, script, task):
        self.script = Path(script).resolve()
        self.task = task

    def run_in(self, run, work, resume="--resume"):
        """Calls `work(run)`, and closes the run folder.

        Args:
            run: The run folder.
            work: Function of it that gives an exit code.
            resume: The flags that go on with this run alone.

        Returns:
            The exit code. What can be said of the run is said here.
        """
        from dsl.runs.folder import DivergedError

        name = self.script.name
        try:
            return work(run)
        except entry.OutputError:
            raise
        except DivergedError as error:
            restart = run.restart.describe(resume)
            return entry.fail(name, f"{error}; {restart}.")
        except OSError as error:
            what = entry.describe(error)
            return entry.fail(name, f"{what}; {run.describe_last()}.")
        except KeyboardInterrupt:
            what = f"interrupted; {run.describe_last()}."
            return entry.fail(name, what, interrupts.EXIT_CODE)
        finally:
            run.close()

    def open_run(
        self, name, args, settings, data_sha256, *, free, growing, **data
    ):
        """The folder of a new run, or of the one to go on with.

        Args:
            name: Name of the run.
            args: Holds `train_dir` and `resume`.
            settings: Dict of every setting that the run keeps.
            data_sha256: Hashes of the data.
            free: Names of the settings that may differ when it goes on.
            growing: List of the names of those that may be larger then.
            **data: What else the run is to keep of its data.

        Returns:
            The `dsl.runs.folder.RunFolder`, locked.

        Raises:
            RunError: If it cannot be made, or is another run.
        """
        from dsl.runs import provenance
        from dsl.runs.folder import RunFolder
        from dsl.system import locks, startup

        if not locks.available():
            say(
                "this system has no locks: take care that no other process "
                "works on the same run"
            )
        config = {
            "task": self.task,
            "settings": settings,
            "backend": startup.import_keras().backend.backend(),
            "versions": provenance.versions(),
            "commit": provenance.commit(ROOT),
            "data_sha256": data_sha256,
            "growing": growing,
            **data,
        }
        if not args.resume:
            return RunFolder.create(args.train_dir, name, config)
        run = RunFolder.resume(args.train_dir, name, config, free)
        old = run.config()
        for key in ("commit", "versions"):
            if old.get(key) != config[key]:
                say(
                    f"{run.path}: was started with {key} {old.get(key)} and "
                    f"goes on with {config[key]}; the bits may differ from "
                    "those of either"
                )
        return run

    def command(self):
        """What was typed, from the project's root; nothing that resumes."""
        typed = [word for word in sys.argv[1:] if word != "--resume"]
        script = self.script.relative_to(ROOT)
        return shlex.join(["python", str(script), *typed])


def need(flag, package, extra):
    """Raises a MissingPackageError unless what a flag needs is installed."""
    from dsl.experiment import command_line

    message = command_line.missing_package(flag, package, extra)
    if message is not None:
        raise MissingPackageError(message)


def check_memory(needed, what):
    """Raises a RunError if more memory is needed than the machine has.

    Args:
        needed: Bytes, at least.
        what: The flags that it depends on, in words.
    """
    from dsl.runs import provenance
    from dsl.runs.folder import RunError

    memory = provenance.memory()
    if memory is not None and needed > memory:
        raise RunError(
            f"a model of {what} must fit into {memory / 2**30:.0f} GiB of "
            f"memory. Received: what needs at least {needed / 2**30:.0f} GiB"
        )


def commits(run):
    """The commit that a run was started with, and the one it ended with."""
    from dsl.runs import provenance

    first, last = run.config()["commit"], provenance.commit(ROOT)
    return first if first == last else f"{first}, then {last}"


def show_finished(run, epochs, show):
    """Shows the record of a run that is done, by `show(record)`.

    Args:
        run: The run folder.
        epochs: Name of the setting that holds the epochs in all, which may
            have grown since the record was written.
        show: Function of a record.

    Returns:
        Whether the run is done.

    Raises:
        ResultError: If the record is damaged or holds something else.
    """
    from dsl.runs import results

    if not (run.path / results.FILE_NAME).exists():
        return False
    record = results.load(run.path)
    try:
        if record["settings"][epochs] != run.config()["settings"][epochs]:
            return False
        log_line("finished already")
        show(record)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise results.ResultError(
            f"{run.path / results.FILE_NAME}: must hold what this program "
            f"measured. Received: no or another {error}"
        ) from error
    return True


def report_training(run, every, tell, describe, tensorboard, train):
    """Trains with progress on the terminal and on disk.

    Args:
        run: The run folder.
        every: Steps between two lines.
        tell: See `dsl.training.reporting.ProgressReport`.
        describe: Function of an epoch's entry that gives a line.
        tensorboard: Whether to write event files too.
        train: Function `(on_resume, on_step, on_epoch)` that trains; see
            `dsl.training.loop.fit`. `on_resume` takes the progress at the
            start.

    Returns:
        What `train` returned.
    """
    from dsl.training import reporting

    lost = []

    def log(line):
        try:
            if not lost:
                log_line(line)
        except entry.OutputError as error:
            lost.append(error)
            # As after Ctrl-C, what has been trained is saved first.
            interrupts.ask()

    report = reporting.ProgressReport(log, every, tell)
    events = reporting.EventLog(run.path / "events") if tensorboard else None

    def on_resume(at):
        if at.steps:
            report.log(f"resumed at epoch {at.epoch}, step {at.step}")
        for measured in at.entries if events is not None else []:
            events.write(measured)

    def on_epoch(measured):
        report.log(describe(measured))
        if events is not None:
            events.write(measured)

    try:
        return train(on_resume, report.on_step, on_epoch)
    except KeyboardInterrupt:
        if lost:
            raise lost[0] from None
        raise
    finally:
        report.close()
        if events is not None:
            events.close()


def say(line):
    """Prints a line, in which a name may stand that commands a terminal."""
    log_line(messages.one_line(line))


def log_line(line):
    """Prints a line at once."""
    print(line, flush=True)
