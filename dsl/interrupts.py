"""Ctrl-C and SIGTERM, heard between two steps and never within one."""

import contextlib
import signal
import threading

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Asked:
    """Whether a stop was asked for."""

    def __init__(self):
        self.stop = False

    def __bool__(self):
        return self.stop


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

    def note(number, frame):
        if asked:
            raise KeyboardInterrupt
        asked.stop = True

    with _handled_by(note):
        yield asked
    if asked:
        raise KeyboardInterrupt


@contextlib.contextmanager
def sigterm_as_ctrl_c():
    """Lets SIGTERM raise KeyboardInterrupt within the block."""

    def interrupt(number, frame):
        raise KeyboardInterrupt

    with _handled_by(interrupt):
        yield


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
