"""Runs to compare: read, told apart and taken together."""

import json
import os
from pathlib import Path

from dsl.experiment.flags import CALL, DATA, SEED, SHOWING, WHERE
from dsl.experiment.task import find
from dsl.runs import configurations, results


def ignored(task):
    """Names of the settings that are no part of a comparison.

    Where a run reads and writes, and what it prints. Data are told apart by
    their hashes, not by how they were asked for.
    """
    return task.flags.names(WHERE, CALL, SHOWING, DATA)


def load(folders):
    """Reads runs, finished or not.

    Args:
        folders: Paths of run folders.

    Returns:
        One dict a run, in the same order: `name`, see `names`; `task`, the
        `task.Task`; `config`; `epochs`; `record`, None if the run is not
        finished; `scores`, None where there are none.

    Raises:
        ResultError: If a folder holds no run, or a file in it is wrong, or
            a folder is named twice.
    """
    runs = []
    for folder, name in zip(map(Path, folders), names(folders), strict=True):
        config = results.load_config(folder)
        written = (folder / results.FILE_NAME).exists()
        record = results.load(folder) if written else None
        scored = (folder / results.SCORES_NAME).exists()
        if written and not results.is_complete(record, config):
            # Both are of before it went on.
            record, scored = None, False
        elif written and scored:
            results.check_scores(folder, record)
        runs.append(
            {
                "name": name,
                "task": task_of(config, folder),
                "config": with_rates(config),
                "epochs": results.load_metrics(folder),
                "record": record,
                "scores": results.load_scores(folder) if scored else None,
            }
        )
    return runs


def task_of(config, folder):
    """The task of a configuration, or of a record.

    Raises:
        ResultError: If there is no such task; it names the folder.
    """
    name = config.get("task")
    try:
        return find(name if isinstance(name, str) else "")
    except results.ResultError as error:
        raise results.ResultError(f"{folder}: {error}") from error


def with_rates(config):
    """A configuration in which lower rates after divergence are a setting."""
    changes = configurations.rate_changes(config)
    if not changes:
        return config
    rates = [f"{changes[0]['before']}"] + [
        f"{one['learning_rate']} from epoch {one.get('epoch')}"
        for one in changes
    ]
    settings = {**config["settings"], "learning_rate": ", ".join(rates)}
    return {**config, "settings": settings}


def names(folders):
    """The name of each folder, its whole path where two have one name.

    Raises:
        ResultError: If a folder is named twice.
    """
    folders = [Path(folder) for folder in folders]
    # Unlike `Path.resolve`, this takes links that lead in a circle.
    whole = [os.path.abspath(folder) for folder in folders]
    for n, path in enumerate(whole):
        if path in whole[:n]:
            raise results.ResultError(f"{folders[n]}: named twice.")
    short = [os.path.basename(path) for path in whole]
    return [
        name if short.count(name) == 1 else str(folder)
        for folder, name in zip(folders, short, strict=True)
    ]


def differences(runs):
    """The names of the settings that are not equal in all runs, in order.

    In all that read them, that is. A run from before there was a setting has
    it as None.

    Args:
        runs: What `load` returns, of one task.
    """
    settings = [run["config"]["settings"] for run in runs]
    flags = runs[0]["task"].flags
    keys = dict.fromkeys(key for one in settings for key in one)
    unread = [flags.unread(one.get("model")) for one in settings]
    others = ignored(runs[0]["task"])

    def differs(key):
        found = [
            one.get(key)
            for one, ignored in zip(settings, unread, strict=True)
            if key not in ignored
        ]
        return any(value != found[0] for value in found)

    return [key for key in keys if key not in others and differs(key)]


def pooled(runs):
    """Takes runs together that differ in nothing they read but the seed.

    Args:
        runs: What `load` returns.

    Returns:
        List like `runs`, in the order of each group's first run; `seeds` is
        the number of its runs and `each` their perplexities. The scores of a
        group are the mean over its seeds of what each token costs, so that
        its perplexity is the geometric mean of theirs.

    Raises:
        ResultError: If runs of a group were scored on different texts.
    """
    groups = {}
    for run in runs:
        task = run["task"]
        settings = task.effective(run["config"]["settings"])
        free = ignored(task) | task.flags.names(SEED)
        # A run from before there was a setting has it as None.
        same = {
            key: value
            for key, value in settings.items()
            if key not in free and value is not None
        }
        key = task.name, json.dumps(same, sort_keys=True)
        groups.setdefault(key, []).append(run)
    return [together(group) for group in groups.values()]


def together(group):
    """Takes some runs together; see `pooled`.

    Args:
        group: A list like that of `pooled`, not empty.

    Returns:
        One item of what `pooled` returns.

    Raises:
        ResultError: If they were scored on different texts.
    """
    from dsl import metrics

    first, scores = group[0], [run["scores"] for run in group]
    found = {**first, "seeds": len(group), "runs": group}
    if len(group) > 1:
        found["name"] = f"{first['name']} and {len(group) - 1} more"
    if any(one is None for one in scores):
        return {**found, "scores": None}
    for run in group[1:]:
        try:
            check_texts(first, run)
        except ValueError as error:
            raise results.ResultError(
                f"{run['name']} cannot be pooled: {error}"
            ) from error
    nll = [one["nll"] for one in scores]
    found["each"] = [metrics.perplexity(one) for one in nll]
    found["scores"] = {**scores[0], "nll": sum(nll) / len(nll)}
    return found


def check_texts(first, run):
    """Raises a ValueError unless two runs were scored on the same text."""
    a, b, name = first["scores"], run["scores"], first["name"]
    if len(b["nll"]) != len(a["nll"]):
        raise ValueError(
            f"it was scored on {len(b['nll']):,} tokens, {name} on "
            f"{len(a['nll']):,}."
        )
    if (b["sentence"] != a["sentence"]).any():
        raise ValueError(f"its sentences end elsewhere than those of {name}.")
    hashes = _sha256(first), _sha256(run)
    if None in (hashes[0].get("test"), hashes[1].get("test")):
        return
    # Where words were replaced, what was scored depends on which ones.
    for key, what in (("test", "test text"), ("vocabulary", "vocabulary")):
        if hashes[0].get(key) != hashes[1].get(key):
            raise ValueError(f"its {what} is another one than that of {name}.")


def _sha256(run):
    hashes = run["config"].get("data_sha256")
    return hashes if isinstance(hashes, dict) else {}
