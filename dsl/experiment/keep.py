"""What is kept of a finished run: all that it tells, without its weights."""

import io
import os
import shlex

from dsl.experiment.comparing import reading
from dsl.experiment.flags import DATA
from dsl.runs import configurations, results
from dsl.system import atomic

NAMES = (
    results.CONFIG_NAME,
    results.METRICS_NAME,
    results.FILE_NAME,
    results.SCORES_NAME,
)


def keep(run, folder):
    """Copies what a run tells, and not where on a machine it was made.

    Args:
        run: Path of a finished run.
        folder: Path of the copy.

    Raises:
        ResultError: If the run is not finished, a file of it is wrong, or the
            copy exists already or cannot be written.
    """
    record, config = results.load(run), results.load_config(run)
    if not results.is_complete(record, config):
        raise results.ResultError(
            f"{run}: must be finished. Received: a run that goes on beyond "
            f"its {results.FILE_NAME}"
        )
    epochs = results.load_metrics(run)
    scores = None
    task = reading.task_of(record, run)
    if task.measure.over == "sentences":
        results.check_scores(run, record)
        scores = by_sentence(results.load_scores(run))
    del record["run_folder"]
    ignored = reading.ignored(task)
    for one in (record, config):
        one["settings"] = {
            key: value
            for key, value in one["settings"].items()
            if key not in ignored
        }
    try:
        # Which data, and what makes it, is the same on all machines; and of
        # several seeds this is one.
        record["command"] = without(
            record["command"], ignored - task.flags.names(DATA) - {"seeds"}
        )
    except ValueError as error:
        raise results.ResultError(
            f"{run / results.FILE_NAME}: `command` must be that of a shell: "
            f"{error}."
        ) from error
    record["run"] = configurations.identity(config)
    if os.path.lexists(folder):
        raise results.ResultError(f"{folder}: exists already.")
    try:
        lock = atomic.make_folder(
            folder,
            NAMES,
            lambda copy: write(copy, config, epochs, scores, record),
        )
        lock.release(remove=True)
    except OSError as error:
        raise results.ResultError(
            f"{folder}: must be a folder that can be made. "
            f"Received: {error.strerror}"
        ) from error


def write(folder, config, epochs, scores, record):
    """Writes the files of a run into an empty folder; no scores if None."""
    import numpy as np

    if scores is not None:
        content = io.BytesIO()
        np.savez_compressed(content, **scores)
        record["scores_sha256"] = results.save_scores(
            folder / results.SCORES_NAME, content.getbuffer()
        )
    results.save_metrics(epochs, folder / results.METRICS_NAME)
    results.save(config, folder / results.CONFIG_NAME)
    results.save(record, folder / results.FILE_NAME)


def by_sentence(scores):
    """The scores with each token's replaced by the mean of its sentence."""
    import numpy as np

    _, index, counts = np.unique(
        scores["sentence"], return_inverse=True, return_counts=True
    )
    mean = np.bincount(index, scores["nll"]) / counts
    return {
        "nll": mean[index],
        "look_back": scores["look_back"].astype(np.int32),
        "sentence": scores["sentence"].astype(np.int32),
    }


def without(command, names):
    """A command without the options of these names and their values."""
    left, dropping = [], False
    for word in shlex.split(command):
        if word.startswith("--"):
            option = word[2:].split("=")[0]
            dropping = option.removeprefix("no-") in names
        if not dropping:
            left.append(word)
    return shlex.join(left)
