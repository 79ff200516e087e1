"""A task: what it declares, and the one function that trains every task.

A task's folder has a module `task` with a `TASK`. Its program is made of that
by `program.of`, its tables by `plan`. See README.md in this folder.
"""

import dataclasses
import functools
import importlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from dsl.experiment import output
from dsl.experiment.flags import CALL, SHOWING, Flags
from dsl.experiment.measures import Measure
from dsl.runs import provenance, results

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = "DSL_TASKS"
"""Environment variable: further folders that hold task folders."""


def no_words(entry):
    """A line of an epoch without a word of the task's own."""
    return ""


def in_data_dir(folder, table, seed):
    """The data of all tables in one folder, if one is given."""
    return ["--data_dir", folder] if folder else []


def constant_rate(args):
    """The schedule of a learning rate that stays as it is."""
    from dsl.training.schedules import Schedule

    return Schedule(args.learning_rate, factor=1.0, constant_epochs=1)


@dataclasses.dataclass(frozen=True)
class Task:
    """A task, as data and plain functions.

    In these, `args` are the settings, an `argparse.Namespace`, and `data` is
    what `load` returned. What needs Keras imports it within the function:
    `--help` must not wait for it.

    Args:
        name: That of its folder, as it stands in run records.
        program: Path of the program that trains, from the project's root.
        description: What that does, for its help.
        flags: Its `Flags`.
        measures: What its models are judged by. The first one chooses the
            best weights.
        throughput: What is counted a second, e.g. "tokens".
        count: Function of the settings to how many of these a step has.
        load: Function `(args, log)` to the data, with `sha256`, the hashes of
            its parts, a dict, and `describe()`, what else a run keeps of it, a
            dict. `log` takes a line, or is None.
        build: Function `(args, data)` to a built Keras model, and to what
            trains it; see `training.loop.fit`.
        batches: Function `(args, data)` to a function of an epoch's number,
            from 1, that gives its batches.
        validate: Function `(args, model, data)` to a function of what training
            found, a dict, to what is kept of an epoch, a flat dict with
            "valid_<measure>" of the first measure and, if that has a ceiling,
            "valid_error", the ceiling less it.
        test: Function `(args, model, data, split)` to what was measured, a
            dict with each measure and `seconds`; and to the scores behind it,
            arrays as `runs.results.load_scores` gives them, or None.
        reference: Function `(args, data)` to what a record holds of the data,
            a dict with their name, `corpus`, and of what the run is held to:
            `published`, with "test_<measure>", "valid_<measure>" and `source`.
        published: Function of the settings, and of a run's record or None, to
            what these are held to, likewise.
        check: Function `(args, data)` that raises a `Failure` where the data,
            or the memory of this machine, are too small to train or to show.
        show: Function `(args, data)` to a function of a trained model that
            shows it, for `--load_model`; the first one raises a `Failure`
            where that cannot be. By default, what is measured of each split.
        schedule: Function of the settings to the learning rate's `Schedule`.
        is_done: Function of the settings and of an epoch's entry to whether
            training ends with it, before its last epoch.
        describe: Function of an epoch's entry to further words of its line.
        in_words: Function of what was measured to a line; that of the first
            measure by default.
        run_name: Function of the settings to the beginning of a run's name.
        tables: Dict of `plan.Table`.
        budgets: Dict of tuples of names of tables.
        columns: Function of a table's rows to its columns; see `plan.render`.
        where: Function `(folder, table, seed)` to the flags that say where a
            run of a table has its data; `folder` may be None.
        figures: Function `(name, rows)` to further pictures of a table, a
            dict from a file's name to a Matplotlib figure, or to None.
    """

    name: str
    program: str
    description: str
    flags: Flags
    measures: tuple[Measure, ...]
    throughput: str
    count: Callable
    load: Callable
    build: Callable
    batches: Callable
    validate: Callable
    test: Callable
    reference: Callable
    published: Callable = lambda args, record: {}
    check: Callable = lambda args, data: None
    show: Callable | None = None
    schedule: Callable = constant_rate
    is_done: Callable = lambda args, entry: False
    describe: Callable = no_words
    in_words: Callable | None = None
    run_name: Callable | None = None
    tables: dict = dataclasses.field(default_factory=dict)
    budgets: dict = dataclasses.field(default_factory=dict)
    columns: Callable | None = None
    where: Callable = in_data_dir
    figures: Callable = lambda name, rows: {}

    @property
    def measure(self):
        """What chooses the best weights."""
        return self.measures[0]

    @property
    def path(self):
        """Path of the program that trains."""
        return names()[self.name].parent / self.program

    def parse(self, arguments=None, source=None):
        """Reads the flags; explicit ones override those of a recipe.

        Args:
            arguments: List of strings; those of the command line by default.
            source: What to name in an error, if not the command line.

        Returns:
            The settings, with the names of the flags that were `given`.
        """
        parser = self.flags.make_parser(
            source,
            prog=os.path.basename(self.program),
            description=self.description,
            epilog="Exit codes: 0 done, 1 the run failed, 2 usage, 3 data "
            "missing or wrong, 130 interrupted; --resume goes on.",
        )
        return self.flags.parse(parser, arguments)

    def of_run(self, args):
        """The settings that a run keeps, a dict."""
        passing = {"given", *self.flags.names(CALL, SHOWING)}
        return {k: v for k, v in vars(args).items() if k not in passing}

    def effective(self, saved):
        """Of the settings that a run keeps, those that its model reads."""
        unread = self.flags.unread(saved.get("model"))
        return {k: v for k, v in saved.items() if k not in unread}

    def words(self, measured):
        """What was measured, in a line."""
        return (self.in_words or self.measure.in_words)(measured)


def train(task, args, run, data, command):
    """Trains a run to its end, tests its best weights, and writes its record.

    Args:
        task: The `Task`.
        args: The settings.
        run: The `runs.folder.RunFolder`, from whose last checkpoint it goes on.
        data: What the task has loaded.
        command: What was typed, for the record.

    Returns:
        The record, as `result.json` holds it.
    """
    from dsl.system import startup

    keras = startup.import_keras()
    keras.utils.set_random_seed(args.seed)
    model, trainer = task.build(args, data)
    output.note(f"{args.model}: {model.count_params():,} parameters")
    epochs = fit(task, args, run, data, model, trainer)
    last_weights = provenance.weights_sha256(model)
    run.load_best(model)
    output.note("measuring the best weights on the test split")
    measured, scores = task.test(args, model, data, "test")
    hashes = {}
    if scores is not None:
        hashes["scores_sha256"] = run.save_scores(**scores)
    record = {
        "task": task.name,
        "model": args.model,
        "settings": task.of_run(args),
        "command": command,
        "parameters": int(model.count_params()),
        **_times(epochs, measured),
        "epochs": epochs,
        "valid": _best(task, epochs),
        "test": measured,
        **task.reference(args, data),
        "weights_sha256": provenance.weights_sha256(model),
        "last_weights_sha256": last_weights,
        "versions": provenance.versions(),
        "commit": _commits(run),
        **run.provenance(),
        **hashes,
        "data_sha256": data.sha256,
        "backend": keras.backend.backend(),
        "cores": provenance.cores(),
    }
    if described := data.describe():
        record["data"] = described
    results.save(record, run.path / results.FILE_NAME)
    return record


def fit(task, args, run, data, model, trainer):
    """Trains from the last checkpoint on, for the epochs or steps asked for.

    Returns:
        List of one dict of measurements an epoch.
    """
    from dsl.experiment.report import Report
    from dsl.training import loop

    measure, schedule = task.measure, task.schedule(args)
    validate = task.validate(args, model, data)

    def finish_epoch(trained):
        started = time.perf_counter()
        done = trained["steps"] * task.count(args)
        return {
            **validate(trained),
            f"{task.throughput}_per_second": done / trained["seconds"],
            "valid_seconds": time.perf_counter() - started,
        }

    read = (measure.monitor, f"valid_{measure.name}", *_CLOCKS)
    progress = loop.resume(trainer, run, schedule, dict.fromkeys(read))
    with Report(task, args, run, trainer, progress) as report:
        loop.fit(
            trainer,
            model,
            task.batches(args, data),
            finish_epoch,
            schedule,
            run,
            progress,
            monitor=measure.monitor,
            floor=measure.least,
            is_done=lambda entry: task.is_done(args, entry),
            max_epochs=_epochs(task, args),
            max_steps=args.max_steps,
            patience=args.patience,
            checkpoint_every=args.checkpoint_every,
            on_step=report.on_step,
            on_epoch=report.on_epoch,
        )
    return progress.entries


_CLOCKS = ("seconds", "valid_seconds")


def _epochs(task, args):
    """The setting that may grow is the number of epochs in all."""
    (name,) = task.flags.growing
    return getattr(args, name)


def _times(epochs, measured):
    """What a record tells of time: wall time, validation and test included."""
    training, valid = (sum(one[key] for one in epochs) for key in _CLOCKS)
    return {
        "seconds": training + valid + measured["seconds"],
        "train_seconds": training,
        "steps": epochs[-1]["steps"],
    }


def _best(task, epochs):
    """What was measured of the best weights on the validation split."""
    best = min(epochs, key=lambda entry: entry[task.measure.monitor])
    found = {one.name: best.get(f"valid_{one.name}") for one in task.measures}
    found = {key: value for key, value in found.items() if value is not None}
    return {**found, "epoch": best["epoch"]}


def _commits(run):
    """The commit that a run was started with, and the one it ended with."""
    first, last = run.config()["commit"], provenance.commit(ROOT)
    return first if first == last else f"{first}, then {last}"


def names():
    """The names of the tasks that there are, and the folder of each.

    A task is a folder with a file task.py, in the project's root or in a
    folder that `ELSEWHERE` names.
    """
    folders = os.environ.get(ELSEWHERE, "").split(os.pathsep)
    return {
        path.parent.name: path.parent
        for folder in [ROOT, *map(Path, filter(None, folders))]
        for path in sorted(folder.glob("*/task.py"))
    }


@functools.cache
def find(name):
    """The task of this name.

    Raises:
        ResultError: If there is none.
    """
    known = names()
    if name not in known:
        raise results.ResultError(
            f"a task must be one of {', '.join(known)}. Received: {name!r}"
        )
    above = str(known[name].parent)
    if above not in sys.path:
        sys.path.append(above)
    return importlib.import_module(f"{name}.task").TASK
