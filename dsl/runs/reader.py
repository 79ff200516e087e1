"""A run as its folder tells it: its configuration and its checkpoints."""

from pathlib import Path

from dsl.runs import checkpoints, configurations, files
from dsl.runs.errors import ResultError, RunError
from dsl.system.messages import short

CHECKPOINTS = "checkpoints"


class RunReader:
    """Reads what a run has left in its folder.

    Args:
        path: The folder.

    Attributes:
        best: Path of the weights that validated best.
        last: Path of the last checkpoint.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.best, self.last = (
            self.path / CHECKPOINTS / f"{name}.npz" for name in ("best", "last")
        )

    def config(self):
        """The configuration.

        Raises:
            RunError: If it is missing, is no JSON or holds no settings.
        """
        try:
            return configurations.load_config(self.path)
        except ResultError as error:
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
        others = sorted((saved ^ set(known)) - (set(optional) - saved))
        if others:
            raise RunError(
                f"{self.path / files.CONFIG_NAME}: its settings are not those "
                f"of this program; differing: {', '.join(others)}."
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

    def identity(self):
        """The name under which its checkpoints and its record know it."""
        return configurations.identity(self.config())

    def provenance(self):
        """What its record holds of the run that it is the record of."""
        changes = configurations.rate_changes(self.config())
        return {
            "run": self.identity(),
            **({"rates": changes} if changes else {}),
        }

    def load_best(self, model):
        """Loads the best weights into a built model; all or nothing.

        Returns:
            What was measured of them, a flat dict with their `epoch`.

        Raises:
            RunError: If there are none, they are damaged, or they belong to
                another model or run.
        """
        self.check_best()
        entry = self._load(self.best, model.weights).get("found")
        epoch = entry.get("epoch") if isinstance(entry, dict) else None
        if type(epoch) is not int or not 1 <= epoch < 2**31:
            raise RunError(
                f"{self.best}: must hold what was found of its weights. "
                f"Received: {short(entry)}"
            )
        return entry

    def check_best(self):
        """Raises a RunError unless there are best weights to load."""
        if not self.best.exists():
            raise RunError(
                f"{self.best}: no such file; a run writes it after its first "
                "epoch, and one that was kept without its weights has none."
            )

    def is_best(self, epoch):
        """Whether the best weights are of this epoch, so far as is known."""
        if not self.best.exists():
            return False
        entry = self._state(self.best).get("found")
        return isinstance(entry, dict) and entry.get("epoch") == epoch

    def load_last(self, trainer):
        """Restores the last checkpoint.

        Args:
            trainer: A built and compiled Keras model; takes all that training
                goes on from.

        Returns:
            The dict of where the training stands, or None if there is no
            checkpoint yet.

        Raises:
            RunError: If the checkpoint is damaged, of another run, or gone
                although the run has been further than its first one.
        """
        if not self.last.exists():
            for later in (self.best, self.path / files.METRICS_NAME):
                if later.exists():
                    raise RunError(
                        f"{self.last}: no such file; the run got as far as "
                        f"{later.name}, and cannot go on without its last "
                        "checkpoint."
                    )
            return None
        return self.load_training(self.last, trainer)

    def load_training(self, path, trainer):
        """Restores a checkpoint that training goes on from.

        Args:
            path: The file.
            trainer: As for `load_last`.

        Returns:
            The dict of where the training stood.

        Raises:
            RunError: If it is missing, damaged or of another run.
        """
        self.read_progress(path)
        return self._load(path, training_variables(trainer))["progress"]

    def read_progress(self, path):
        """Where the training stood at a checkpoint; see `load_training`."""
        progress = self._state(path).get("progress")
        if not isinstance(progress, dict):
            raise RunError(
                f"{path}: must hold where the training stands. "
                "Received: a checkpoint without it"
            )
        return progress

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

    def _load(self, path, variables):
        owner, expected = self._state(path).get("run"), self.identity()
        if owner != expected:
            raise RunError(
                f"{path}: belongs to another run: must be of run "
                f"{expected}. Received: {short(owner)}"
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


def training_variables(trainer):
    """All variables that training reads, those of the optimizer included."""
    return [*trainer.variables, *trainer.optimizer.variables]
