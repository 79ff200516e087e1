"""Run folders: what a run leaves behind, and where."""

import hashlib
import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from dsl import results

PACKAGES = ("keras", "tensorflow", "jax", "numpy")


class RunError(RuntimeError):
    """A run folder cannot be used; the message is one clear line."""


class DivergedError(ArithmeticError):
    """The loss of a run is no longer a number."""


class RunFolder:
    """The folder of one run: `config.json`, `metrics.jsonl`, checkpoints.

    Args:
        path: The folder.

    Attributes:
        best: Path of the weights that validated best.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.best = self.path / "checkpoints" / "best.weights.h5"

    @classmethod
    def create(cls, train_dir, name, config):
        """Makes a new folder and writes its configuration.

        Args:
            train_dir: Folder of all runs, made if missing.
            name: Name of this run, a single path component.
            config: JSON-like dict of every resolved setting.

        Returns:
            The `RunFolder`.

        Raises:
            RunError: If the name is no plain name, the folder exists already
                or cannot be written.
        """
        if name in ("", ".", "..") or Path(name).name != name:
            raise RunError(
                "the name of a run must be a plain folder name. "
                f"Received: {name!r}"
            )
        run = cls(Path(train_dir) / name)
        try:
            run.path.mkdir(parents=True)
            run.best.parent.mkdir()
            results.save(config, run.path / "config.json")
        except FileExistsError:
            raise RunError(
                f"{run.path}: exists already; a run needs a new folder."
            ) from None
        except OSError as error:
            raise RunError(
                f"{run.path}: cannot be made: {error.strerror}."
            ) from error
        return run

    def settings(self, known, data_sha256):
        """Reads the settings of the run from its configuration.

        Args:
            known: Names of the settings that there must be.
            data_sha256: Hashes of the data at hand, which must be those that
                the run was trained on.

        Returns:
            Dict of settings.

        Raises:
            RunError: If the configuration is missing, is not JSON, or has
                other settings or other data.
        """
        path = self.path / "config.json"
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not valid JSON"
            raise RunError(f"{path}: cannot be read: {reason}.") from error
        found = config.get("settings") if isinstance(config, dict) else None
        if not isinstance(found, dict):
            raise RunError(f'{path}: holds no "settings".')
        differing = sorted(set(found) ^ set(known))
        if differing:
            raise RunError(
                f"{path}: its settings are not those of this program; "
                f"differing: {', '.join(differing)}."
            )
        if config.get("data_sha256") != data_sha256:
            raise RunError(
                f"{path}: this run was trained on another corpus than the one "
                "at hand."
            )
        return found

    def log_metrics(self, entry):
        """Appends one line to `metrics.jsonl`."""
        with open(self.path / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(entry, allow_nan=False) + "\n")
            file.flush()

    def save_best(self, model):
        """Replaces the best weights; a crash leaves old or new ones."""
        temporary = self.best.with_name("next.weights.h5")
        model.save_weights(temporary)
        os.replace(temporary, self.best)

    def load_best(self, model):
        """Loads the best weights into a built model.

        Raises:
            RunError: If there are none, or they belong to another model.
        """
        if not self.best.is_file():
            raise RunError(
                f"{self.best}: no such file; a run writes it after its first "
                "epoch."
            )
        try:
            model.load_weights(self.best)
            stored = _count_arrays(self.best)
        except (ValueError, OSError, KeyError) as error:
            raise RunError(
                f"{self.best}: damaged, or not the weights of this model."
            ) from error
        if stored != len(model.weights):
            raise RunError(
                f"{self.best}: must hold the {len(model.weights)} arrays of "
                f"this model. Received: {stored}"
            )


def _count_arrays(path):
    """Number of arrays in an HDF5 file."""
    import h5py

    found = []
    with h5py.File(path) as file:
        file.visititems(
            lambda _, item: found.append(isinstance(item, h5py.Dataset))
        )
    return sum(found)


def weights_sha256(model):
    """sha256 over the names and bytes of all trainable weights, in order."""
    from keras import ops

    digest = hashlib.sha256()
    for variable in model.trainable_variables:
        digest.update(variable.path.encode())
        digest.update(ops.convert_to_numpy(variable).tobytes())
    return digest.hexdigest()


def versions():
    """Versions of Python and of the installed packages that matter."""
    found = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit(root):
    """The git commit of the code at `root`, or None outside of a clone."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
