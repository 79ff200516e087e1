"""Configurations of runs, and how one differs from another.

A configuration is the dict in a run's `config.json`: its `settings`, the
`backend`, and of which of the settings a run may go on with more, `growing`.

A run that diverged has `diverged`, where that was, and may go on with a lower
rate, which then stands in its settings. Its `rates` are the changes in order:

    {"learning_rate": 0.5, "before": 1.0, "epoch": 3, "steps": 66, ...}

for a rate of 0.5 from epoch 3 on, after 66 steps in all.
"""

import hashlib
import json
import os
from pathlib import Path

from dsl.runs import files
from dsl.runs.errors import ResultError
from dsl.system.messages import short


def load_config(run_folder: str | os.PathLike) -> dict:
    """Reads what a run was started with.

    Args:
        run_folder: The folder of a run.

    Returns:
        The object in `config.json`; its `settings` are a dict.

    Raises:
        ResultError: If there is none, or it is not JSON or holds no settings.
    """
    path = Path(run_folder) / files.CONFIG_NAME
    config = files.read_json(path, "every run folder has one")
    if not isinstance(config, dict) or not isinstance(
        config.get("settings"), dict
    ):
        raise ResultError(f'{path}: holds no "settings".')
    return config


def growing_names(config):
    """Names of the settings that may grow, of a file that may be damaged."""
    names = config.get("growing")
    if not isinstance(names, list):
        return []
    return [name for name in names if isinstance(name, str)]


def growth(old, new):
    """The settings that may grow and did.

    Args:
        old: The configuration that a run was started with.
        new: The configuration that a new run would have now.

    Returns:
        Dict of their new values.
    """
    pairs = {
        name: [config["settings"].get(name) for config in (old, new)]
        for name in growing_names(old)
    }
    return {
        name: after
        for name, (before, after) in pairs.items()
        if type(before) is type(after) is int and after > before
    }


def lower_rate(old, new):
    """The learning rate, if the run diverged and it is lower now.

    Args:
        old: The configuration of a run.
        new: The configuration that a new run would have now.

    Returns:
        Dict of its new value, or an empty one.
    """
    before, after = (
        config["settings"].get("learning_rate") for config in (old, new)
    )
    both = type(before) is type(after) is float
    if "diverged" in old and both and 0.0 < after < before:
        return {"learning_rate": after}
    return {}


def with_rate(config, rate, epoch, steps):
    """The configuration of a run that goes on with a lower rate.

    Args:
        config: The configuration of a run that diverged.
        rate: The learning rate.
        epoch: Number of the first epoch with it.
        steps: Steps in all before that.

    Returns:
        A configuration.
    """
    settings = config["settings"]
    change = {
        "learning_rate": rate,
        "before": settings["learning_rate"],
        "epoch": epoch,
        "steps": steps,
        "diverged": config["diverged"],
    }
    changes = [*rate_changes(config), change]
    settings = {**settings, "learning_rate": rate}
    config = {**config, "settings": settings, "rates": changes}
    del config["diverged"]
    return config


def rate_changes(config):
    """The changes of the learning rate, of a file that may be damaged."""
    changes = config.get("rates")
    if not isinstance(changes, list) or not all(
        isinstance(one, dict) and {"learning_rate", "before"} <= set(one)
        for one in changes
    ):
        return []
    return changes


def identity(config):
    """A short name for what is run: its hashed configuration.

    It is that of the start, whatever the run went on with.
    """
    left = {**config, "settings": {**config["settings"]}}
    for name in growing_names(config):
        left["settings"].pop(name, None)
    if changes := rate_changes(config):
        left["settings"]["learning_rate"] = changes[0]["before"]
    for name in ("rates", "diverged"):
        left.pop(name, None)
    text = json.dumps(left, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(old, new, free):
    """The settings, and the backend, that are not the same.

    Args:
        old: The configuration that a run was started with.
        new: The configuration that a new run would have now.
        free: Names of the settings that may differ.

    Returns:
        List of texts, one a setting, with both values.
    """
    before, after = (
        {**config["settings"], "(backend)": config.get("backend")}
        for config in (old, new)
    )
    # As JSON has them: the old ones were read from it.
    after = json.loads(json.dumps(after))
    texts = []
    for key in [*after, *(key for key in before if key not in after)]:
        # A setting of later code that is not given changes nothing.
        if key in free or before.get(key) == after.get(key):
            continue
        flag = key if key.startswith("(") else f"--{key}"
        old, new = (
            short(one[key]) if key in one else "unknown"
            for one in (before, after)
        )
        texts.append(f"{flag} {old}, now {new}")
    return texts


def hashes(value):
    """The beginnings of the hashes, if that is what it is, for a message."""
    if not isinstance(value, dict):
        return short(value)
    text = ", ".join(f"{key} {str(one)[:8]}" for key, one in value.items())
    return text if len(text) <= 120 else f"{text[:117]}..."
