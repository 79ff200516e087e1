"""Going back: what a run that diverged does with a lower learning rate.

That it diverged, and where, is noted in its configuration. It may then go on
with a lower rate: not from where it diverged, but from the end of its best
epoch, or from the start if no epoch was finished.
"""

from dsl.runs import configurations, files, records
from dsl.runs.errors import RunError
from dsl.system import atomic


class Restart:
    """The way back of one run.

    Args:
        run: The `dsl.runs.folder.RunFolder`.

    Attributes:
        path: Path of the checkpoint to go back to: `last.npz` of the end of
            the best epoch.
    """

    def __init__(self, run):
        self._run = run
        self.path = run.last.with_name("restart.npz")

    def note_divergence(self, **where):
        """Writes down that the run diverged, and where."""
        self._save_config({**self._run.config(), "diverged": where})

    def forget_divergence(self):
        """Takes `note_divergence` back: the epoch was validated after all."""
        config = self._run.config()
        if config.pop("diverged", None) is not None:
            self._save_config(config)

    def keep(self):
        """Makes the last checkpoint the one to go back to.

        Its epoch must have been validated.

        Raises:
            OSError: If the disk is full; the one before stays.
        """
        atomic.duplicate(self._run.last, self.path)

    def is_due(self):
        """Whether the last checkpoint is of a learning rate that diverged."""
        run = self._run
        changes = configurations.rate_changes(run.config())
        if not changes or not run.last.exists():
            return False
        schedule = run.read_progress(run.last).get("schedule")
        return self._initial_rate(schedule) != changes[-1]["learning_rate"]

    def load(self, trainer):
        """Restores the checkpoint of the best epoch.

        Args:
            trainer: A built and compiled Keras model.

        Returns:
            The dict of where the training stood, and the learning rate that
            it was started with; None and None if no epoch was finished, and
            all starts again.

        Raises:
            RunError: If the checkpoint is gone, damaged or of another run.
        """
        if not self._exists():
            return None, None
        saved = self._run.load_training(self.path, trainer)
        return saved, self._initial_rate(saved.get("schedule"))

    def start(self):
        """Where it goes back to.

        Returns:
            The number of the first epoch, and the steps in all before that.

        Raises:
            RunError: If the checkpoint is gone or damaged.
        """
        if not self._exists():
            return 1, 0
        progress = self._run.read_progress(self.path)
        return progress.get("epoch"), progress.get("steps")

    def describe(self, resume="--resume"):
        """What there is to go back to, in words.

        Args:
            resume: The flags that go on with the run.
        """
        try:
            epoch, _ = self.start()
        except RunError as error:
            return str(error).removesuffix(".")
        return (
            f"{resume} with a lower --learning_rate goes on from before epoch "
            f"{epoch}"
        )

    def _exists(self):
        if self.path.exists():
            return True
        if self._run.best.exists():
            raise RunError(
                f"{self._run.path}: has no checkpoint from before it diverged, "
                "for it was started with earlier code; a new run can have a "
                "lower --learning_rate."
            )
        return False

    def _initial_rate(self, schedule):
        # A schedule of earlier code does not tell, and had the first one.
        changes = configurations.rate_changes(self._run.config())
        state = schedule if isinstance(schedule, dict) else {}
        return state.get("initial_rate", changes[0]["before"])

    def _save_config(self, config):
        records.save(config, self._run.path / files.CONFIG_NAME)
