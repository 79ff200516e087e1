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
from dsl.runs import checkpoints, configurations, epochs, results
from dsl.runs.errors import DivergedError, RunError
from dsl.system import atomic, locks
from dsl.system.messages import short

CHECKPOINTS, EVENTS = "checkpoints", "events"
# What there may be in a run folder that is being made.
PARTS = (
    CHECKPOINTS,
    results.CONFIG_NAME,
    results.METRICS_NAME,
    results.FILE_NAME,
    results.SCORES_NAME,
)
_TABLE_NAME = "metrics.csv"


class RunFolder:
    """The folder of one run; see the module for its files.

    Made by `create` or `resume`, the folder is locked until `close`; made
    directly, it is for reading.

    Args:
        path: The folder.

    Attributes:
        best: Path of the weights that validated best.
        last: Path of the last checkpoint.
        restart: Path of the checkpoint that a run that diverged goes back to.
    """

    def __init__(self, path):
        self.path = Path(path)
        folder = self.path / CHECKPOINTS
        self.best, self.last, self.restart = (
            folder / f"{name}.npz" for name in ("best", "last", "restart")
        )
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
        check_name(name)
        run = cls(Path(train_dir) / name)

        def fill(folder):
            (folder / CHECKPOINTS).mkdir()
            results.save(config, folder / results.CONFIG_NAME)

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
        check_name(name)
        run, ready = cls(Path(train_dir) / name), False
        # Unlike `Path.exists`, this takes a name too long for the disk.
        if not os.path.exists(run.path):
            raise RunError(
                f"{run.path}: no such run to go on with; leave out --resume "
                "to start it."
            )
        # Before anything is touched, and then with nobody else at work.
        run._continued(config, free)
        try:
            for part in (CHECKPOINTS, EVENTS):
                atomic.check_no_link(run.path / part)
            run._lock = locks.Lock(run.path / locks.NAME)
            run._config = run._continued(config, free)
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

    def _continued(self, config, free):
        """The configuration to go on with, if it may go on with this one."""
        old = self.config()
        lower = configurations.lower_rate(old, config)
        growth = configurations.growth(old, config)
        differences = configurations.differences(
            old, config, {*free, *growth, *lower}
        )
        if differences:
            raise RunError(
                f"{self.path}: goes on with the settings that it was started "
                f"with only; differing: {'; '.join(differences)}."
            )
        self.check_data(config["data_sha256"])
        if lower:
            rate = lower["learning_rate"]
            old = configurations.with_rate(old, rate, *self._restart_at())
        old["settings"].update(growth)
        return old

    def _remove_unfinished(self):
        names = (*PARTS, _TABLE_NAME)
        atomic.remove_unfinished(self.path, names)
        paths = (self.best, self.last, self.restart)
        atomic.remove_unfinished(self.last.parent, [x.name for x in paths])

    def begin(self, entries=None):
        """Writes what it goes on with, once nothing stands in its way.

        A result that is there was measured before that: it gets another name.

        Args:
            entries: Those of the epochs that are left of a run that goes back;
                the metrics of all get another name too.
        """
        old = results.load_config(self.path)
        config, self._config = self._config or old, None
        if config != old or os.path.lexists(self.path / results.FILE_NAME):
            self._set_aside(results.FILE_NAME, results.SCORES_NAME)
        if entries is not None and self._has_other_metrics(entries):
            self._set_aside(results.METRICS_NAME)
        if config != old:
            results.save(config, self.path / results.CONFIG_NAME)

    def _has_other_metrics(self, entries):
        try:
            return results.load_metrics(self.path) not in ([], entries)
        except results.ResultError:  # Whatever they are, they stay.
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

    def config(self):
        """The configuration, read if it is not about to change.

        Raises:
            RunError: If it is missing, is no JSON or holds no settings.
        """
        if self._config is not None:
            return copy.deepcopy(self._config)
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
        epochs.save_metrics(entries, self.path / results.METRICS_NAME)
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
        return self._load_progress(self.last, trainer)

    def _load_progress(self, path, trainer):
        self._progress(path)
        return self._load(path, _everything(trainer))["progress"]

    def _progress(self, path):
        progress = self._state(path).get("progress")
        if not isinstance(progress, dict):
            raise RunError(
                f"{path}: must hold where the training stands. "
                "Received: a checkpoint without it"
            )
        return progress

    def note_diverged(self, **where):
        """Writes down that it diverged, and where, so that it may go back."""
        config = {**self.config(), "diverged": where}
        results.save(config, self.path / results.CONFIG_NAME)

    def note_sound(self):
        """Takes `note_diverged` back: the epoch was validated after all."""
        config = self.config()
        if config.pop("diverged", None) is not None:
            results.save(config, self.path / results.CONFIG_NAME)

    def keep_restart(self):
        """Makes the last checkpoint the one to go back to; see `load_restart`.

        Its epoch must have been validated.

        Raises:
            OSError: If the disk is full; the one before stays.
        """
        atomic.duplicate(self.last, self.restart)

    def follows_best(self, epoch):
        """Whether what is best is of this epoch, so far as is known."""
        if not self.best.exists():
            return False
        found = self._state(self.best).get("found")
        return isinstance(found, dict) and found.get("epoch") == epoch

    def goes_back(self):
        """Whether the last checkpoint is of a learning rate that diverged."""
        changes = configurations.rate_changes(self.config())
        if not changes or not self.last.exists():
            return False
        schedule = self._progress(self.last).get("schedule")
        return self._initial_rate(schedule) != changes[-1]["learning_rate"]

    def load_restart(self, trainer):
        """Restores the checkpoint of the best epoch.

        Returns:
            As `load_last`, and the learning rate that it was started with;
            None and None if no epoch was finished, and all starts again.

        Raises:
            RunError: As `load_last`.
        """
        if not self._has_restart():
            return None, None
        saved = self._load_progress(self.restart, trainer)
        return saved, self._initial_rate(saved.get("schedule"))

    def _initial_rate(self, schedule):
        # A schedule of earlier code does not tell, and had the first one.
        first = configurations.rate_changes(self.config())[0]["before"]
        found = schedule if isinstance(schedule, dict) else {}
        return found.get("initial_rate", first)

    def _has_restart(self):
        if self.restart.exists():
            return True
        if self.best.exists():
            raise RunError(
                f"{self.path}: has no checkpoint from before it diverged, for "
                "it was started with earlier code; a new run can have a lower "
                "--learning_rate."
            )
        return False

    def _restart_at(self):
        """The epoch that a run that diverged goes back to, and the steps."""
        if not self._has_restart():
            return 1, 0
        progress = self._progress(self.restart)
        return progress.get("epoch"), progress.get("steps")

    def describe_restart(self, resume="--resume"):
        """What a run that diverged can go back to, in words.

        Args:
            resume: The flags that go on with it.
        """
        try:
            epoch, _ = self._restart_at()
        except RunError as error:
            return str(error).removesuffix(".")
        return (
            f"{resume} with a lower --learning_rate goes on from before epoch "
            f"{epoch}"
        )

    def describe_last(self):
        """What there is to go on from, in words."""
        if not self.last.exists():
            return "no checkpoint was written yet"
        try:
            progress = checkpoints.read_state(self.last)["progress"]
            epoch, step = progress["epoch"], progress["step"]
        except (checkpoints.CheckpointError, KeyError, TypeError):
            return "its last checkpoint cannot be read"
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
        found = self._load(self.best, model.weights).get("found")
        epoch = found.get("epoch") if isinstance(found, dict) else None
        if type(epoch) is not int or not 1 <= epoch < 2**31:
            raise RunError(
                f"{self.best}: must hold what was found of its weights. "
                f"Received: {short(found)}"
            )
        return found

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
        return configurations.identity(self.config())

    def provenance(self):
        """What its record holds of the run that it is the record of."""
        config = self.config()
        changes = configurations.rate_changes(config)
        return {"run": self._id(), **({"rates": changes} if changes else {})}

    def save_scores(self, **arrays):
        """Writes `test_scores.npz`: `nll`, `look_back`, `sentence`.

        Returns:
            What `dsl.runs.results.save_scores` returns.
        """
        content = io.BytesIO()
        np.savez(content, **arrays)
        path = self.path / results.SCORES_NAME
        return results.save_scores(path, content.getbuffer())


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


def _everything(trainer):
    """All variables that training reads, those of the optimizer included."""
    return [*trainer.variables, *trainer.optimizer.variables]
