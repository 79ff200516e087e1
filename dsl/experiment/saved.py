"""Runs that are there: their settings, their data, their best weights."""

import os

from dsl.experiment import output
from dsl.experiment.flags import CALL, MEASURING, SHOWING
from dsl.system.messages import short


def load(task, path, args, log=output.note):
    """Reads what a run was trained with.

    Args:
        task: The `Task` that it must be of.
        path: The run folder.
        args: The settings of this call, see `settings_of`.
        log: Receives a line that says which data these are, or None.

    Returns:
        The `dsl.runs.folder.RunFolder`, its settings and its data.

    Raises:
        RunError: If there is no such run, it is of another task, has no
            weights or other data, or a flag of this call says otherwise than
            its settings.
        DataError: If its data are not at hand.
    """
    from dsl.runs.folder import RunError, RunFolder

    run = RunFolder(path)
    run.check_task(task.name)
    run.check_best()
    model = run.config()["settings"].get("model")
    saved = run.settings(task.of_run(args), late(task, model))
    loaded = settings_of(task, saved, args, run.path / "config.json")
    if contrary := contradictions(task, loaded, args):
        raise RunError(
            f"{run.path}: was trained with other settings: "
            f"{'; '.join(contrary)}. Leave these flags out."
        )
    data = task.load(loaded, log)
    run.check_data(data.sha256)
    return run, loaded, data


def late(task, model):
    """The names of the settings that an older run may lack.

    What came later changes nothing where it is left out, or where the model
    does not read it.

    Args:
        task: The `Task`.
        model: That of the run.
    """
    unset = {k for k, v in task.flags.resolve({}).items() if v is None}
    return unset | task.flags.unread(model)


def free(task):
    """The names of the flags that may be others than those of the run."""
    return task.flags.free | task.flags.names(CALL, SHOWING, MEASURING)


def settings_of(task, saved, args, source):
    """Settings of an earlier run, checked as if they had been typed.

    Args:
        task: The `Task`.
        saved: Dict of settings, as a run keeps them.
        args: The settings of this call; those of the call itself and of
            measuring are taken from it. Where it has no `data_dir`, that of
            the run is used if it is still there.
        source: The file that they come from, named in errors.

    Returns:
        The settings, as `Task.parse` returns them.
    """
    now = free(task) | {"given"}
    words = []
    for key, value in task.effective(saved).items():
        if key not in now and key in task.flags.all:
            words += task.flags.all[key].typed(value)
    loaded = task.parse(words, source)
    for key in now:
        setattr(loaded, key, getattr(args, key))
    folder = saved.get("data_dir")
    if "data_dir" not in args.given and isinstance(folder, str):
        if os.path.isdir(folder):
            loaded.data_dir = folder
        elif hasattr(loaded, "download"):
            # What the search would fetch are not the run's data.
            loaded.download = False
    return loaded


def contradictions(task, loaded, args):
    """What flags of this call say otherwise than the run that it loads.

    Args:
        task: The `Task`.
        loaded: The settings of the run, see `settings_of`.
        args: Those of this call.

    Returns:
        List of texts, one a flag, with both values.
    """
    return [
        f"--{name} {short(getattr(loaded, name))}, now "
        f"{short(getattr(args, name))}"
        for name in sorted(args.given - free(task))
        if getattr(loaded, name) != getattr(args, name)
    ]


def show(task, args):
    """Measures the best weights of a run, as they are now, and shows them."""
    from dsl.system import startup

    run, loaded, data = load(task, args.load_model, args)
    task.check(loaded, data)
    startup.import_keras()
    show_model = (task.show or _show_splits(task))(loaded, data)
    model, _ = task.build(loaded, data)
    found = run.load_best(model)
    output.note(f"{run.path}: best weights, of epoch {found['epoch']}")
    show_model(model)


def _show_splits(task):
    def show_of(args, data):
        def show_model(model):
            for split in args.split:
                measured, _ = task.test(args, model, data, split)
                output.result(f"{split}: {task.words(measured)}")

        return show_model

    return show_of
