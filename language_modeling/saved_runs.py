"""Runs that are there, with the corpus that they were trained on."""

from dsl.experiment.program import say
from dsl.runs.folder import RunError, RunFolder
from language_modeling import settings


def load(path, args, log=say):
    """Reads what a run was trained with.

    Args:
        path: The run folder.
        args: The settings of this call, see `settings.from_saved`.
        log: Receives a line that says which corpus it is, or None.

    Returns:
        The `dsl.runs.folder.RunFolder`, its settings and its corpus.

    Raises:
        RunError: If there is no such run, it is of another task, has no
            weights or other data, or a flag of this call says otherwise than
            its settings.
        DataError: If its corpus is not at hand.
    """
    run = RunFolder(path)
    run.check_task(settings.TASK)
    run.check_best()
    model = run.config()["settings"].get("model")
    saved = run.settings(settings.of_run(args), settings.optional(model))
    loaded = settings.from_saved(saved, args, run.path / "config.json")
    if changed := settings.contradicted(loaded, args):
        raise RunError(
            f"{run.path}: was trained with other settings: "
            f"{'; '.join(changed)}. Leave these flags out."
        )
    corpus = read_corpus(loaded, log)
    run.check_data(corpus.sha256)
    return run, loaded, corpus


def read_corpus(args, log=say):
    """The corpus that the settings name; `log` is told which one it is."""
    from dsl import datasets

    return datasets.language_model_corpus(
        args.data_dir,
        name=args.corpus,
        vocabulary_size=args.vocabulary_size,
        log=log,
        download=args.download,
    )
