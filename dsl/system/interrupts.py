"""Ctrl-C and SIGTERM: when they are heard, and how a process ends by them.

They end a program at once while nothing is lost by it, raise
KeyboardInterrupt while it works, and are heard between two steps of a training
and never within one.
"""

import contextlib
import os
import signal
import sys
import threading
import time

EXIT_CODE = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Variable of the environment: the process without which this one stops.
_PARENT = "DSL_PARENT"
_PAUSE = 0.5  # Seconds between two looks at whether it is there.


class Asked:
    """Whether a stop was asked for; a handler of the signals that ask."""

    def __init__(self):
        self.stop = False

    def __bool__(self):
        return self.stop

    def __call__(self, number, frame):
        if self.stop:
            raise KeyboardInterrupt
        self.stop = True


@contextlib.contextmanager
def held_back():
    """Holds Ctrl-C and SIGTERM back until the end of the block.

    The block looks at what it is given, and ends in good order. A second
    signal is not held back. Outside of the main thread, which alone hears
    signals, nothing changes.

    Yields:
        An `Asked`, true once a stop was asked for.

    Raises:
        KeyboardInterrupt: At the end of the block, if a signal came; at once,
            at the second one.
    """
    asked = Asked()
    with _handled_by(asked):
        yield asked
    if asked:
        raise KeyboardInterrupt


@contextlib.contextmanager
def raised():
    """Lets SIGTERM, as Ctrl-C, raise KeyboardInterrupt within the block."""

    def interrupt(number, frame):
        raise KeyboardInterrupt

    with _handled_by(interrupt):
        yield


@contextlib.contextmanager
def ending(stderr=2):
    """Lets Ctrl-C and SIGTERM end this process within the block.

    While modules are imported, an exception can be lost or come out as
    another one; and there is nothing to save.

    Args:
        stderr: The open file that gets the line about it.
    """
    with _handled_by(lambda number, frame: end(stderr)):
        yield


def end_at_once(code=None):
    """As `ending`, until something else is said.

    Args:
        code: The exit code of work that is done, which then ends unsaid; by
            default it was interrupted.
    """
    for number in _SIGNALS:
        signal.signal(
            number, lambda *_: end() if code is None else os._exit(code)
        )


def end(stderr=2):
    """Ends this process as one that was interrupted, at once."""
    line = f"{os.path.basename(sys.argv[0])}: interrupted.\n"
    with contextlib.suppress(OSError):
        os.write(stderr, line.encode(errors="backslashreplace"))
    os._exit(EXIT_CODE)


@contextlib.contextmanager
def _handled_by(handler):
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def environment_of_child():
    """Variables that make a child stop once this process is gone."""
    return {**os.environ, _PARENT: str(os.getpid())}


def stop_with_parent(parent=None):
    """Sends this process a SIGTERM once its parent is gone.

    Args:
        parent: Number of the parent; by default what its
            `environment_of_child` told, and without that nothing is done.
            Children of this process are not told.
    """
    told = os.environ.pop(_PARENT, None)
    parent = told if parent is None else str(parent)
    if parent is None:
        return

    def watch():
        while str(os.getppid()) == parent:
            time.sleep(_PAUSE)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
