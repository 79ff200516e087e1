"""What the training programs of all tasks have in common.

A program trains in a run folder, can be stopped at any moment and goes on
with `--resume`. Whatever goes wrong ends in one line on stderr and one of the
exit codes: 0 done, 1 the run failed, 2 usage, 3 data missing or wrong, 130
interrupted.
"""

import importlib.util
import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class MissingPackageError(ImportError):
    """A package that is not installed; holds the exit code.

    Args:
        code: 1 if nothing runs without it, 2 if a flag asked for it.
        message: One clear line.
    """

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Program:
    """One task's program.

    Args:
        script: Path of its file.
        task: Name of the task, as it stands in run records.
    """

    def __init__(self, script, task):
        self.script = Path(script).resolve()
        self.task = task

    def run(self, work):
        """Calls `work()` and turns what it raises into an exit code."""
        try:
            self._need_keras()
            from dsl import datasets, interrupts, results, runs
        except MissingPackageError as error:
            return self.fail(error.code, error)
        try:
            with interrupts.sigterm_as_ctrl_c():
                return work()
        except MissingPackageError as error:
            return self.fail(error.code, error)
        except datasets.DataError as error:
            return self.fail(3, error)
        except runs.RunError as error:
            return self.fail(2, error)
        except (results.ResultError, OSError) as error:
            return self.fail(1, in_words(error))
        except MemoryError:
            return self.fail(1, "more memory is needed than there is.")
        except KeyboardInterrupt:
            return self.fail(130, "interrupted.")

    def run_in(self, run, work):
        """As `run`, within an open run folder, which is closed at the end."""
        from dsl import runs

        try:
            return work(run)
        except runs.DivergedError as error:
            return self.fail(1, f"{error}; {run.describe_restart()}.")
        except OSError as error:
            what = in_words(error)
            return self.fail(1, f"{what}; {run.describe_last()}.")
        except KeyboardInterrupt:
            return self.fail(130, f"interrupted; {run.describe_last()}.")
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
            The `dsl.runs.RunFolder`, locked.

        Raises:
            RunError: If it cannot be made, or is another run.
        """
        from dsl import locks, provenance, runs, startup

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
            return runs.RunFolder.create(args.train_dir, name, config)
        run = runs.RunFolder.resume(args.train_dir, name, config, free)
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

    def fail(self, code, error):
        """Says in one line what went wrong; returns the exit code."""
        from dsl import messages

        line = messages.one_line(error)
        print(f"{self.script.name}: {line}", file=sys.stderr)
        return code

    def _need_keras(self):
        if importlib.util.find_spec("keras") is None:
            raise MissingPackageError(
                1,
                f"Keras is not installed for {sys.executable}; run "
                "scripts/setup and then .venv/bin/python.",
            )


def need(flag, package, extra):
    """Raises a MissingPackageError unless what a flag needs is installed."""
    from scripts import command_line

    message = command_line.missing_package(flag, package, extra)
    if message is not None:
        raise MissingPackageError(2, message)


def check_memory(needed, what):
    """Raises a RunError if more memory is needed than the machine has.

    Args:
        needed: Bytes, at least.
        what: The flags that it depends on, in words.
    """
    from dsl import provenance, runs

    memory = provenance.memory()
    if memory is not None and needed > memory:
        raise runs.RunError(
            f"a model of {what} must fit into {memory / 2**30:.0f} GiB of "
            f"memory. Received: what needs at least {needed / 2**30:.0f} GiB"
        )


def commits(run):
    """The commit that a run was started with, and the one it ended with."""
    from dsl import provenance

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
    from dsl import results

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
        tell: See `dsl.reporting.ProgressReport`.
        describe: Function of an epoch's entry that gives a line.
        tensorboard: Whether to write event files too.
        train: Function `(on_resume, on_step, on_epoch)` that trains; see
            `dsl.training.fit`. `on_resume` takes the progress at the start.

    Returns:
        What `train` returned.
    """
    from dsl import reporting

    report = reporting.ProgressReport(log_line, every, tell)
    events = reporting.EventLog(run.path / "events") if tensorboard else None

    def on_resume(at):
        if at.steps:
            report.log(f"resumed at epoch {at.epoch}, step {at.step}")
        for entry in at.entries if events is not None else []:
            events.write(entry)

    def on_epoch(entry):
        report.log(describe(entry))
        if events is not None:
            events.write(entry)

    try:
        return train(on_resume, report.on_step, on_epoch)
    finally:
        report.close()
        if events is not None:
            events.close()


def say(line):
    """Prints a line, in which a name may stand that commands a terminal."""
    from dsl import messages

    log_line(messages.one_line(line))


def log_line(line):
    """Prints a line at once."""
    print(line, flush=True)


def in_words(error):
    """What went wrong, with the file if there is one."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
