"""The program of a task: it trains in run folders, or shows what was trained.

It can be stopped at any moment, and goes on with `--resume`.
"""

import argparse
import os
import shlex
import sys
import time
from pathlib import Path

from dsl.experiment import command_line, entry, output, saved
from dsl.experiment.task import ROOT, train
from dsl.system import interrupts, messages


class MissingPackageError(messages.Failure, ImportError):
    """A flag needs a package that is not installed."""

    exit_code = 2


def of(task):
    """What a program file has to have, for `entry.run`.

    Args:
        task: The `task.Task`.

    Returns:
        `parse_args(arguments=None)`, and `main(args)`, which gives an exit
        code.
    """

    def main(args):
        return _main(task, args)

    return task.parse, entry.with_name(os.path.basename(task.program), main)


def _main(task, args):
    """Trains once, or once a seed; or shows an earlier run."""
    from dsl.system import startup

    output.set_verbosity(args.verbosity)
    startup.check_keras()
    if args.tensorboard:
        need("--tensorboard", "tensorboard", "tensorboard")
    if getattr(args, "figure", None) is not None:
        need("--figure", "matplotlib", "plots")
    if args.load_model is not None:
        saved.show(task, args)
        return 0
    data = task.load(args, output.note)
    task.check(args, data)
    name = args.name or _default_name(task, args)
    if args.seeds is None:
        return _run(task, args, name, data, "--resume")
    names = {seed: f"{name}-seed{seed}" for seed in args.seeds}
    _check_names(args, names.values())
    for seed, name in names.items():
        output.note(f"Seed {seed}")
        # A lower rate is not one of the other seeds.
        alone = shlex.join(["--seed", str(seed), "--name", name, "--resume"])
        alone = f"{alone}, in place of --seeds,"
        code = _run(task, _of_seed(args, seed, name), name, data, alone)
        if code != 0:
            return code
    return 0


def _default_name(task, args):
    """Of one run its seed stands in the name; of several it is added."""
    begin = (task.run_name or _run_name(task))(args)
    seed = "" if args.seeds else f"-{args.seed}"
    return f"{begin}{seed}-{time.strftime('%Y%m%d-%H%M%S')}"


def _run_name(task):
    return lambda args: f"{task.name}-{args.model}"


def _of_seed(args, seed, name):
    """The settings of one of `--seeds`, which may not have been started."""
    started = os.path.lexists(Path(args.train_dir) / name)
    changes = {"seed": seed, "resume": args.resume and started}
    return argparse.Namespace(**{**vars(args), **changes})


def _check_names(args, names):
    """Raises a RunError if a run of several would need a taken folder."""
    from dsl.runs.folder import RunError

    for name in names:
        path = Path(args.train_dir) / name
        if not args.resume and os.path.lexists(path):
            raise RunError(
                f"{path}: exists already; a run needs a new folder, and "
                "--resume goes on with an old one."
            )


def _run(task, args, name, data, resume):
    """One run in its folder; `resume` are the flags that go on with it."""
    run = open_run(task, args, name, data)
    output.note(f"Run folder: {run.path}")

    def work(run):
        if not _is_finished(task, run):
            record = train(task, args, run, data, command(task.program))
            _show_record(task, record)
        return 0

    return run_in(run, os.path.basename(task.program), work, resume)


def open_run(task, args, name, data):
    """The folder of a new run, or of the one to go on with.

    Args:
        task: The `task.Task`.
        args: The settings.
        name: Name of the run.
        data: What the task has loaded.

    Returns:
        The `dsl.runs.folder.RunFolder`, locked.

    Raises:
        RunError: If it cannot be made, or is another run.
    """
    from dsl.runs import provenance
    from dsl.runs.folder import RunFolder
    from dsl.system import locks, startup

    if not locks.available():
        output.warn(
            "this system has no locks: take care that no other process "
            "works on the same run"
        )
    config = {
        "task": task.name,
        "settings": task.of_run(args),
        "backend": startup.import_keras().backend.backend(),
        "versions": provenance.versions(),
        "commit": provenance.commit(ROOT),
        "data_sha256": data.sha256,
        "growing": task.flags.growing,
    }
    if described := data.describe():
        config["data"] = described
    if not args.resume:
        return RunFolder.create(args.train_dir, name, config)
    free = task.flags.free | task.flags.unread(args.model)
    run = RunFolder.resume(args.train_dir, name, config, free)
    old = run.config()
    for key in ("commit", "versions"):
        if old.get(key) != config[key]:
            output.warn(
                f"{run.path}: was started with {key} {old.get(key)} and "
                f"goes on with {config[key]}; the bits may differ from "
                "those of either"
            )
    return run


def run_in(run, name, work, resume="--resume"):
    """Calls `work(run)`, and closes the run folder.

    Args:
        run: The run folder.
        name: Name of the program, for errors.
        work: Function of it that gives an exit code.
        resume: The flags that go on with this run alone.

    Returns:
        The exit code. What can be said of the run is said here.
    """
    from dsl.runs.folder import DivergedError

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


def command(script):
    """What was typed, from the project's root; nothing that resumes.

    Args:
        script: Path of the program from there.
    """
    typed = [word for word in sys.argv[1:] if word != "--resume"]
    return shlex.join(["python", script, *typed])


def _is_finished(task, run):
    """Whether a run is done; then its record is shown.

    The epochs in all may have grown since the record was written.

    Raises:
        ResultError: If the record is damaged or holds something else.
    """
    from dsl.runs import results

    if not (run.path / results.FILE_NAME).exists():
        return False
    record, now = results.load(run.path), run.config()["settings"]
    try:
        if any(
            record["settings"][name] != now[name] for name in task.flags.growing
        ):
            return False
        output.note("finished already")
        _show_record(task, record)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise results.ResultError(
            f"{run.path / results.FILE_NAME}: must hold what this program "
            f"measured. Received: no or another {error}"
        ) from error
    return True


def _show_record(task, record):
    """Prints what was measured on the test split, and what it is held to."""
    output.result(f"test: {task.words(record['test'])}")
    measure, published = task.measure, record.get("published") or {}
    if published.get(f"test_{measure.name}") is not None:
        figure = measure.published_cell(published)
        unit = f" {measure.unit}" if measure.unit else ""
        output.result(
            messages.one_line(
                f"published: {measure.name} {figure}{unit} "
                f"({published['source']})"
            )
        )
    if record.get(f"true_{measure.name}") is not None:
        true = measure.text(record[f"true_{measure.name}"]["test"])
        output.result(f"true: {true}")


def need(flag, package, extra):
    """Raises a MissingPackageError unless what a flag needs is installed."""
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
