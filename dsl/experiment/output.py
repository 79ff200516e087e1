"""What programs say: results on standard output, all else through absl.

Progress, notes and warnings are lines on standard error, which `--verbosity`
thins out. A result is what somebody would send on to another program.
"""

import logging
import sys

from dsl.system import messages


class _Lines(logging.Handler):
    """Writes the text of each record, and nothing else, on standard error."""

    def emit(self, record):
        try:
            print(record.getMessage(), file=sys.stderr, flush=True)
        except OSError:
            pass  # There is nobody to tell.


def set_verbosity(name):
    """Says from which severity on lines are shown.

    Args:
        name: "debug", "info", "warning" or "error".
    """
    from absl import logging as absl_logging

    if not _ours():
        logger = absl_logging.get_absl_logger()
        logger.handlers = [_Lines()]
        logger.propagate = False
    absl_logging.set_verbosity(name)


def _ours():
    """Whether lines already go the way of this module."""
    from absl import logging as absl_logging

    handlers = absl_logging.get_absl_logger().handlers
    return any(isinstance(one, _Lines) for one in handlers)


def note(line):
    """Tells what a program does. A name in it commands no terminal."""
    _log("info", messages.printable(line))


def warn(line):
    """Tells what somebody should know who did not ask."""
    _log("warning", messages.one_line(line))


def _log(severity, line):
    from absl import logging as absl_logging

    if not _ours():
        set_verbosity("info")
    getattr(absl_logging, severity)("%s", line)


def result(text=""):
    """Prints what was asked for, at once."""
    print(text, flush=True)
