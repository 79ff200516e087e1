"""How a training tells what it is doing."""

import json
import os
import re
import sys
from pathlib import Path

from tqdm import tqdm

from dsl.system import atomic
from dsl.system.regular_files import read_regular

# In the folder of the event files, the names of those that are written here.
_WRITTEN = "written.json"
_MOST_WRITTEN = 2**20  # bytes
_EVENT_FILE = re.compile(r"events\.out\.tfevents\.[^/\\]+")


class ProgressReport:
    """A bar on a terminal; elsewhere a line every so many steps.

    Args:
        log: Function that takes a line.
        every: Steps between two lines, and between two readings of the
            statistics.
        tell: Function of a step's loss and of the pace, in steps a second,
            that tells in words how the epoch goes.
        terminal: Whether there is a terminal to draw a bar on; looked up by
            default.
    """

    def __init__(self, log, every, tell, terminal=None):
        self.every = every
        self.tell = tell
        self._log = log
        self._terminal = sys.stderr.isatty() if terminal is None else terminal
        self._bar = None

    def log(self, line):
        """Passes a line on, past the bar."""
        if self._bar is not None:
            self._bar.clear()
        self._log(line)

    def on_step(self, progress, steps, loss):
        """See `dsl.training.loop.fit`."""
        if self._terminal:
            self._advance(progress, steps)
        due = progress.step % self.every == 0
        if due or (self._terminal and progress.step % 20 == 0):
            self._show(progress, steps, loss, due)
        if progress.step == steps:
            self.close()

    def _advance(self, progress, steps):
        if self._bar is None:
            self._bar = tqdm(
                desc=f"epoch {progress.epoch}",
                total=steps,
                initial=progress.step - 1,
                unit="step",
                leave=False,
            )
        self._bar.update()

    def _show(self, progress, steps, loss, due):
        pace = progress.step / progress.seconds
        told = self.tell(loss, pace)
        if self._terminal:
            self._bar.set_postfix_str(told)
        elif due:
            self._log(
                f"epoch {progress.epoch}  step {progress.step}/{steps}  "
                f"{told}  {(steps - progress.step) / pace:.0f} s left"
            )

    def close(self):
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class EventLog:
    """Scalars for TensorBoard, one point an epoch.

    Its own event files from before are removed: a resumed run writes its
    finished epochs again. Those of others in the folder stay.

    Args:
        folder: Folder of the event files, made if it is missing.

    Raises:
        ImportError: If the package tensorboard is missing.
        OSError: If the folder is a link, or cannot be written.
    """

    def __init__(self, folder):
        from tensorboard.summary import Writer

        folder = Path(folder)
        atomic.check_no_link(folder)
        folder.mkdir(parents=True, exist_ok=True)
        atomic.remove_unfinished(folder, [_WRITTEN])
        for name in _written(folder) & _event_files(folder):
            (folder / name).unlink()
        before = _event_files(folder)
        self._writer = Writer(str(folder))
        # Another process's may have appeared meanwhile.
        names = [
            name
            for name in _event_files(folder) - before
            if f".{os.getpid()}." in name
        ]
        with atomic.replacing(folder / _WRITTEN) as file:
            file.write(json.dumps(names).encode())

    def write(self, entry):
        """Writes one epoch's entry; lists become one curve an element."""
        for key, value in entry.items():
            values = value if isinstance(value, list) else [value]
            for n, one in enumerate(values, 1):
                tag = f"{key}/{n}" if isinstance(value, list) else key
                self._writer.add_scalar(tag, float(one), step=entry["epoch"])
        self._writer.flush()

    def close(self):
        """Closes the event file."""
        self._writer.close()


def _event_files(folder):
    """Names of the event files in a folder that are no links."""
    with os.scandir(folder) as entries:
        return {
            entry.name
            for entry in entries
            if _EVENT_FILE.fullmatch(entry.name)
            and entry.is_file(follow_symlinks=False)
        }


def _written(folder):
    """Names of those that an earlier process wrote here, as far as is known."""
    try:
        found = json.loads(read_regular(folder / _WRITTEN, _MOST_WRITTEN))
    except (FileNotFoundError, ValueError, RecursionError):
        return set()
    names = found if isinstance(found, list) else []
    return {name for name in names if isinstance(name, str)}
