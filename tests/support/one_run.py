"""A run folder, gone on with and refused."""

from dsl.runs.folder import RunFolder

SETTINGS = {"seed": 7, "lamda": None}
DATA = {"train": "1f", "test": "2e"}
CONFIG = {"settings": SETTINGS, "data_sha256": DATA, "task": "a task"}


def one_line(error):
    """The message, which is one line."""
    message = str(error.value)
    assert "\n" not in message and len(message) > 20
    return message


def resume(folder, config=CONFIG, free=()):
    folder.close()
    train_dir, name = folder.path.parent, folder.path.name
    return RunFolder.resume(train_dir, name, config, free)
