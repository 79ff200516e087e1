"""Run folders: what a run leaves behind, and where.

    config.json            every resolved setting, versions, data hashes
    metrics.jsonl, .csv    one line a finished epoch
    checkpoints/last.npz   everything that training goes on from
    checkpoints/best.npz   the weights that validated best
    checkpoints/restart.npz
                           `last.npz` of that epoch's end: what a run that
                           diverged goes back to
    test_scores.npz        the score of each word of the test text
    result.json            what was measured, once the run is done
    lock                   held by the process that writes here

Each file is replaced as a whole, and nothing is written through a link. The
lock ends with its process, however that ends. What was measured before a run
went on, or back, stays under another name: `result-1.json`.
"""

import copy
import io
import itertools
import os
from pathlib import Path

import numpy as np

from dsl import choices
from dsl.runs import (
    checkpoints,
    configurations,
    epochs,
    files,
    records,
    scores,
)
from dsl.runs.errors import DivergedError, ResultError, RunError
from dsl.runs.reader import CHECKPOINTS, RunReader, training_variables
from dsl.runs.restart import Restart
from dsl.system import atomic, locks

__all__ = ["DivergedError", "RunError", "RunFolder"]

# What there may be in a run folder that is being made.
PARTS = (
    CHECKPOINTS,
    files.CONFIG_NAME,
    files.METRICS_NAME,
    files.FILE_NAME,
    files.SCORES_NAME,
)
_TABLE_NAME = "metrics.csv"
_EVENTS = "events"


class RunFolder(RunReader):
    """The folder of one run; see the module for its files.

    Made by `create` or `resume`, the folder is locked until `close`; made
    directly, it is for reading.

    Args:
        path: The folder.

    Attributes:
        best: Path of the weights that validated best.
        last: Path of the last checkpoint.
        restart: What it goes back to if it diverged, a
            `dsl.runs.restart.Restart`.
    """

    def __init__(self, path):
        super().__init__(path)
        self.restart = Restart(self)
        self._lock = None
        # What it goes on with, until `begin` writes it.
        self._config = None

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
        _check_name(name)
        run = cls(Path(train_dir) / name)

        def fill(folder):
            (folder / CHECKPOINTS).mkdir()
            records.save(config, folder / files.CONFIG_NAME)

        if os.path.lexists(run.path):
            raise RunError(
                f"{run.path}: exists already; a run needs a new folder, "
                "and --resume goes on with an old one."
            )
        try:
            run._lock = atomic.make_folder(run.path, PARTS, fill)
        except OSError as error:
            raise RunError(
                f"{run.path}: cannot be made: {error.strerror}."
            ) from error
        return run

    @classmethod
    def resume(cls, train_dir, name, config, free=()):
        """Opens the folder of an earlier run to go on with it.

        Nothing but its lock changes before `begin`. A run that diverged may
        go on with a lower learning rate.

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
        _check_name(name)
        run, ready = cls(Path(train_dir) / name), False
        # Unlike `Path.exists`, this takes a name too long for the disk.
        if not os.path.exists(run.path):
            raise RunError(
                f"{run.path}: no such run to go on with; leave out --resume "
                "to start it."
            )
        # Before anything is touched, and then with nobody else at work.
        run._config_to_go_on_with(config, free)
        try:
            for part in (CHECKPOINTS, _EVENTS):
                atomic.check_no_link(run.path / part)
            run._lock = locks.Lock(run.path / locks.NAME)
            run._config = run._config_to_go_on_with(config, free)
            run._remove_unfinished()
            atomic.sweep(run.path.parent, PARTS)
            ready = True
        except locks.InUseError as error:
            raise RunError(
                f"{run.path}: in use by another process ({error.owner})."
            ) from None
        except OSError as error:
            raise RunError(
                f"{error.filename or run.path}: {error.strerror}."
            ) from error
        finally:
            if not ready:
                run.close()
        return run

    def _config_to_go_on_with(self, new, free):
        """Its configuration with what may differ of a new one.

        Raises:
            RunError: If anything else differs.
        """
        old = self.config()
        rate = configurations.lower_rate(old, new)
        growth = configurations.growth(old, new)
        differences = configurations.differences(
            old, new, {*free, *growth, *rate}
        )
        if differences:
            raise RunError(
                f"{self.path}: goes on with the settings that it was started "
                f"with only; differing: {'; '.join(differences)}."
            )
        self.check_data(new["data_sha256"])
        if rate:
            old = configurations.with_rate(
                old, rate["learning_rate"], *self.restart.start()
            )
        old["settings"].update(growth)
        return old

    def _remove_unfinished(self):
        names = (*PARTS, _TABLE_NAME)
        atomic.remove_unfinished(self.path, names)
        paths = (self.best, self.last, self.restart.path)
        atomic.remove_unfinished(self.last.parent, [x.name for x in paths])

    def config(self):
        """The configuration; until `begin`, the one that it goes on with.

        Raises:
            RunError: If it is missing, is no JSON or holds no settings.
        """
        if self._config is not None:
            return copy.deepcopy(self._config)
        return super().config()

    def begin(self, entries=None):
        """Writes what it goes on with, once nothing stands in its way.

        A result that is there was measured before that: it gets another name.

        Args:
            entries: The epochs that are left of a run that goes back; the
                metrics of all its epochs get another name too.
        """
        old = configurations.load_config(self.path)
        config, self._config = self._config or old, None
        if config != old or os.path.lexists(self.path / files.FILE_NAME):
            self._set_aside(files.FILE_NAME, files.SCORES_NAME)
        if entries is not None and self._has_other_metrics(entries):
            self._set_aside(files.METRICS_NAME)
        if config != old:
            records.save(config, self.path / files.CONFIG_NAME)

    def _has_other_metrics(self, entries):
        try:
            return epochs.load_metrics(self.path) not in ([], entries)
        except ResultError:  # Whatever they are, they stay.
            return True

    def _set_aside(self, *names):
        """Gives files another name each, with one number for all."""
        paths = [self.path / name for name in names]
        if not any(map(os.path.lexists, paths)):
            return
        for number in itertools.count(1):
            others = [x.with_stem(f"{x.stem}-{number}") for x in paths]
            if not any(map(os.path.lexists, others)):
                break
        for path, other in zip(paths, others, strict=True):
            if os.path.lexists(path):
                path.rename(other)

    def close(self):
        """Gives the folder free for other processes."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def write_metrics(self, entries):
        """Writes `metrics.jsonl` and `metrics.csv`.

        Args:
            entries: List of flat dicts, one an epoch; lists in them become
                one column an element.
        """
        epochs.save_metrics(entries, self.path / files.METRICS_NAME)
        epochs.save_table(entries, self.path / _TABLE_NAME)

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
        _check_finite(trainer)
        state = {"run": self.identity(), "progress": progress}
        checkpoints.save(self.last, training_variables(trainer), state)

    def save_best(self, model, entry):
        """Replaces the best weights.

        Args:
            model: A built Keras model.
            entry: What was measured of them, a flat dict.
        """
        state = {"run": self.identity(), "found": entry}
        checkpoints.save(self.best, model.weights, state)

    def save_scores(self, **arrays):
        """Writes `test_scores.npz`: `nll`, `look_back`, `sentence`.

        Returns:
            What `dsl.runs.scores.save_scores` returns.
        """
        content = io.BytesIO()
        np.savez(content, **arrays)
        path = self.path / files.SCORES_NAME
        return scores.save_scores(path, content.getbuffer())


def _check_name(name):
    """Raises a RunError unless the name can be that of a folder."""
    if not choices.is_folder_name(name):
        raise RunError(
            f"the name of a run must be a plain folder name. Received: {name!r}"
        )


def _check_finite(model):
    """Raises a DivergedError if a trained weight is NaN or infinite."""
    from keras import ops

    for variable in model.trainable_variables:
        if not np.isfinite(ops.convert_to_numpy(variable)).all():
            raise DivergedError(
                "the weights must stay finite; a lower learning rate may "
                f"help. Received: {variable.path} with NaN or infinity"
            )
