"""Run folders: what a run leaves behind, and where.

    config.json            every resolved setting, versions, data hashes
    metrics.jsonl, .csv    one line a finished epoch
    checkpoints/last.npz   everything that training goes on from
    checkpoints/best.npz   the weights that validated best
    test_scores.npz        the score of each word of the test text
    result.json            what was measured, once the run is done
    lock                   held by the process that writes here

Each file is replaced as a whole. The lock ends with its process, however that
ends.
"""

import contextlib
import csv
import fcntl
import hashlib
import io
import json
import os
import secrets
import shutil
from pathlib import Path

import numpy as np

from dsl import atomic, checkpoints, choices, configurations, results
from dsl.messages import Failure, short


class RunError(Failure, RuntimeError):
    """A run folder cannot be used; the message is one clear line."""

    exit_code = 2


class DivergedError(Failure, ArithmeticError):
    """The loss of a run is no longer a number."""


class RunFolder:
    """The folder of one run; see the module for its files.

    Made by `create` or `resume`, the folder is locked until `close`; made
    directly, it is for reading.

    Args:
        path: The folder.

    Attributes:
        best: Path of the weights that validated best.
        last: Path of the last checkpoint.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.best = self.path / "checkpoints" / "best.npz"
        self.last = self.path / "checkpoints" / "last.npz"
        self._lock = None

    @classmethod
    def create(cls, train_dir, name, config):
        """Makes a new folder with its configuration, whole or not at all.

        Args:
            train_dir: Folder of all runs, made if missing.
            name: Name of this run, a single path component.
            config: JSON-like dict: every resolved setting under "settings",
                and under "growing" the names of those integers that may be
                larger when the run goes on.

        Returns:
            The `RunFolder`, locked.

        Raises:
            RunError: If the name is no plain name, the folder exists already
                or cannot be written.
            ResultError: If the configuration has no JSON form.
        """
        check_name(name)
        run = cls(Path(train_dir) / name)
        # Another name at each start: what a killed one left is in no way.
        unfinished = run.path.with_name(f".{name}.{secrets.token_hex(8)}.new")
        made = False
        missing = _missing_folders(run.path.parent)
        try:
            if os.path.lexists(run.path):
                raise RunError(
                    f"{run.path}: exists already; a run needs a new folder, "
                    "and --resume goes on with an old one."
                )
            (unfinished / "checkpoints").mkdir(parents=True)
            results.save(config, unfinished / "config.json")
            run._take_lock(unfinished / "lock")
            unfinished.rename(run.path)
            made = True
        except OSError as error:
            raise RunError(
                f"{run.path}: cannot be made: {error.strerror}."
            ) from error
        finally:
            if not made:
                run.close()
                shutil.rmtree(unfinished, ignore_errors=True)
                _remove_empty(missing)
        return run

    @classmethod
    def resume(cls, train_dir, name, config, free=()):
        """Opens the folder of an earlier run to go on with it.

        Args:
            train_dir: Folder of all runs.
            name: Name of the run.
            config: The configuration that a new run would have now.
            free: Names of the settings that may differ.

        Returns:
            The `RunFolder`, locked.

        Raises:
            RunError: If there is no such run, another process works on it,
                or its settings, backend or data differ; the message lists
                what does.
        """
        check_name(name)
        run = cls(Path(train_dir) / name)
        # Unlike `Path.exists`, this takes a name too long for the disk.
        if not os.path.exists(run.path):
            raise RunError(
                f"{run.path}: no such run to go on with; leave out --resume "
                "to start it."
            )
        old = run.config()
        grown = configurations.grown(old, config)
        differing = configurations.differing(old, config, {*free, *grown})
        if differing:
            raise RunError(
                f"{run.path}: goes on with the settings that it was started "
                f"with only; differing: {'; '.join(differing)}."
            )
        run.check_data(config["data_sha256"])
        try:
            run._take_lock(run.path / "lock")
            atomic.remove_unfinished(run.path)
            if grown:
                old["settings"].update(grown)
                results.save(old, run.path / "config.json")
        except OSError as error:
            run.close()
            raise RunError(
                f"{run.path}: cannot be written: {error.strerror}."
            ) from error
        return run

    def _take_lock(self, path):
        # Opened before it is locked: a lock belongs to an open file.
        self._lock = open(path, "a+b", buffering=0)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            owner = self._lock.read(20).decode("ascii", "replace").strip()
            self.close()
            owner = owner or "unknown"
            raise RunError(
                f"{self.path}: in use by another process ({owner})."
            ) from None
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n".encode())

    def close(self):
        """Gives the folder free for other processes."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def config(self):
        """Reads the configuration.

        Raises:
            RunError: If it is missing, is no JSON or holds no settings.
        """
        try:
            return results.load_config(self.path)
        except results.ResultError as error:
            raise RunError(str(error)) from error

    def settings(self, known, optional=()):
        """Reads the settings of the run from its configuration.

        Args:
            known: Names of the settings that there must be.
            optional: Names of those of them that an older run may lack.

        Returns:
            Dict of settings.

        Raises:
            RunError: As `config`; or if the settings are others.
        """
        config = self.config()
        saved = set(config["settings"])
        differing = sorted((saved ^ set(known)) - (set(optional) - saved))
        if differing:
            raise RunError(
                f"{self.path / 'config.json'}: its settings are not those of "
                f"this program; differing: {', '.join(differing)}."
            )
        return config["settings"]

    def check_task(self, task):
        """Raises a RunError unless it is a run of this task."""
        received = self.config().get("task")
        if received != task:
            raise RunError(
                f"{self.path}: must be a run of {task}. "
                f"Received: one of {short(received)}"
            )

    def check_data(self, data_sha256):
        """Raises a RunError unless the run was trained on this data.

        Args:
            data_sha256: Hashes of the data at hand.
        """
        old = self.config().get("data_sha256")
        if old != data_sha256:
            first, now = map(configurations.hashes, (old, data_sha256))
            raise RunError(
                f"{self.path}: must be used with the data that it was trained "
                f"on, --data_dir tells where; sha256 {first}. Received: {now}"
            )

    def write_metrics(self, entries):
        """Writes `metrics.jsonl` and `metrics.csv`.

        Args:
            entries: List of flat dicts, one an epoch; lists in them become
                one column an element.
        """
        lines = [json.dumps(entry, allow_nan=False) for entry in entries]
        with atomic.replacing(self.path / results.METRICS_NAME) as file:
            file.write("".join(f"{line}\n" for line in lines).encode())
        with atomic.replacing(self.path / "metrics.csv") as file:
            file.write(_as_csv(entries).encode())

    def save_last(self, trainer, progress):
        """Saves all that training goes on from.

        Args:
            trainer: A built and compiled Keras model.
            progress: Dict of where the training stands.

        Raises:
            DivergedError: If a weight is NaN or infinite; the checkpoint
                before stays.
            OSError: If the file cannot be written; likewise.
        """
        check_finite(trainer)
        state = {"run": self._id(), "progress": progress}
        checkpoints.save(self.last, _everything(trainer), state)

    def load_last(self, trainer):
        """Restores what `save_last` saved.

        Returns:
            The dict of where the training stands, or None if there is no
            checkpoint yet.

        Raises:
            RunError: If the checkpoint is damaged, of another run, or gone
                although the run has been further than its first one.
        """
        if not self.last.exists():
            for later in (self.best, self.path / results.METRICS_NAME):
                if later.exists():
                    raise RunError(
                        f"{self.last}: no such file; the run got as far as "
                        f"{later.name}, and cannot go on without its last "
                        "checkpoint."
                    )
            return None
        if "progress" not in self._state(self.last):
            raise RunError(
                f"{self.last}: must hold where the training stands. "
                "Received: a checkpoint without it"
            )
        return self._load(self.last, _everything(trainer))["progress"]

    def describe_last(self):
        """What there is to go on from, in words."""
        if not self.last.exists():
            return "no checkpoint was written yet"
        try:
            progress = checkpoints.read_state(self.last)["progress"]
        except (checkpoints.CheckpointError, KeyError):
            return "its last checkpoint cannot be read"
        epoch, step = progress.get("epoch"), progress.get("step")
        at = (
            f"of epoch {epoch}, step {step},"
            if step
            else f"before epoch {epoch}"
        )
        return f"the checkpoint {at} is kept; --resume goes on from it"

    def save_best(self, model, found):
        """Replaces the best weights.

        Args:
            model: A built Keras model.
            found: What was found of them, a flat dict.
        """
        state = {"run": self._id(), "found": found}
        checkpoints.save(self.best, model.weights, state)

    def load_best(self, model):
        """Loads the best weights into a built model; all or nothing.

        Returns:
            What was found of them, as `save_best` got it.

        Raises:
            RunError: If there are none, they are damaged, or they belong to
                another model or run.
        """
        self.check_best()
        return self._load(self.best, model.weights).get("found")

    def check_best(self):
        """Raises a RunError unless there are best weights to load."""
        if not self.best.exists():
            raise RunError(
                f"{self.best}: no such file; a run writes it after its first "
                "epoch, and one that was kept without its weights has none."
            )

    def _load(self, path, variables):
        owner = self._state(path).get("run")
        if owner != self._id():
            raise RunError(
                f"{path}: belongs to another run: must be of run "
                f"{self._id()}. Received: {short(owner)}"
            )
        try:
            return checkpoints.load(path, variables)
        except checkpoints.CheckpointError as error:
            raise RunError(str(error)) from error

    def _state(self, path):
        try:
            return checkpoints.read_state(path)
        except checkpoints.CheckpointError as error:
            raise RunError(str(error)) from error

    def _id(self):
        """A short name for what is run: its hashed configuration."""
        config = self.config()
        for name in configurations.growing(config):
            config["settings"].pop(name, None)
        text = json.dumps(config, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def save_scores(self, **arrays):
        """Writes `test_scores.npz`: `nll`, `look_back`, `sentence`."""
        with atomic.replacing(self.path / results.SCORES_NAME) as file:
            np.savez(file, **arrays)


def check_name(name):
    """Raises a RunError unless the name can be that of a folder."""
    if not choices.is_folder_name(name):
        raise RunError(
            f"the name of a run must be a plain folder name. Received: {name!r}"
        )


def check_finite(model):
    """Raises a DivergedError if a trained weight is NaN or infinite."""
    from keras import ops

    for variable in model.trainable_variables:
        if not np.isfinite(ops.convert_to_numpy(variable)).all():
            raise DivergedError(
                "the weights must stay finite; a lower learning rate may "
                f"help. Received: {variable.path} with NaN or infinity"
            )


def _missing_folders(folder):
    """The folders on the way that are not there yet, the innermost first."""
    return [
        one for one in (folder, *folder.parents) if not os.path.lexists(one)
    ]


def _remove_empty(folders):
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _everything(trainer):
    """All variables that training reads, those of the optimizer included."""
    return [*trainer.variables, *trainer.optimizer.variables]


def _as_csv(entries):
    rows = [dict(_cells(entry)) for entry in entries]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _cells(entry):
    for key, value in entry.items():
        if isinstance(value, list):
            for n, one in enumerate(value, 1):
                yield f"{key}_{n}", one
        else:
            yield key, value
