"""How every program of the project begins and ends.

    from dsl.experiment import entry

    if __name__ == "__main__":
        entry.run(__file__)

stands before all other imports of a program, which has `parse_args()` and
`main(args)`. Whatever goes wrong, from then on, ends in one line on stderr and
one of the exit codes:

    0    done
    1    the run failed, or its output could not be written
    2    usage
    3    data missing or wrong
    130  interrupted, by Ctrl-C or SIGTERM
    141  nobody reads the output any more

A stream that is closed from the start counts as one to /dev/null. Characters
that a terminal lacks are spelled with others.
"""

import codecs
import contextlib
import errno
import functools
import io
import os
import sys

from dsl.system import interrupts, messages

_BROKEN_PIPE = 141


class OutputError(OSError):
    """The standard output cannot be written."""


def run(path):
    """Runs a program, and ends this process.

    Args:
        path: Its file.
    """
    interrupts.end_at_once()
    output = _open_streams()
    sys.unraisablehook = _say_unraisable
    interrupts.stop_with_parent()
    name = os.path.basename(path)
    try:
        code = in_words(name, functools.partial(_main, path))
    except SystemExit as end:  # After help, or a fault of the command line.
        code = end.code
    with contextlib.suppress(OutputError):
        sys.stdout.flush()
    if output.error is not None and code == 0:
        code = _fail_to_write(name, output.error)
    # What frameworks still take down is no work.
    interrupts.end_at_once(code or 0)
    sys.exit(code)


def program(main):
    """A decorator of `main`: what it raises becomes a line and an exit code.

    Ctrl-C and SIGTERM raise KeyboardInterrupt within it.
    """
    return with_name(os.path.basename(main.__globals__["__file__"]), main)


def with_name(name, main):
    """As `program`, with the name that the line begins with."""

    def work(*args):
        code = None
        try:
            with interrupts.raised():
                code = main(*args)
        except KeyboardInterrupt:
            if code is None:
                raise
        return code  # A signal that came after the work does not undo it.

    @functools.wraps(main)
    def call(*args):
        return in_words(name, functools.partial(work, *args))

    return call


def in_words(name, work):
    """Calls `work()`; what it raises becomes a line and an exit code.

    Args:
        name: What the line begins with.
        work: Function without arguments that gives an exit code.

    Returns:
        The exit code.
    """
    try:
        return work()
    except messages.Failure as error:
        return fail(name, error, error.exit_code)
    except OutputError as error:
        return _fail_to_write(name, error)
    except OSError as error:
        return fail(name, f"{describe(error)}.")
    except MemoryError:
        return fail(name, "more memory is needed than there is.")
    except ModuleNotFoundError as error:
        return fail(
            name,
            f"{error.name} is not installed for {sys.executable}; run "
            "scripts/setup and then .venv/bin/python.",
        )
    except Warning as error:
        return fail(name, f"a warning counts as an error here: {error}")
    except KeyboardInterrupt:
        return fail(name, "interrupted.", interrupts.EXIT_CODE)


def fail(name, error, code=1):
    """Says in one line what went wrong; returns the exit code."""
    try:
        print(f"{name}: {messages.one_line(error)}", file=sys.stderr)
    except OSError:
        pass  # There is nobody to tell.
    return code


def describe(error):
    """What went wrong, with the file if there is one."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _main(path):
    import importlib
    from pathlib import Path

    file = Path(path).resolve()
    # Its first lines have put the folder above its own on the path.
    module = importlib.import_module(f"{file.parent.name}.{file.stem}")
    return module.main(module.parse_args())


def _fail_to_write(name, error):
    # As the system ends what writes to a pipe that nobody reads: unheard.
    if error.errno == errno.EPIPE:
        return _BROKEN_PIPE
    return fail(name, f"{describe(error)}.")


class _Output(io.FileIO):
    """The standard output, which after an error takes all and writes nothing.

    Attributes:
        error: The OutputError, or None.
    """

    error = None

    def write(self, data):
        if self.error is not None:
            return len(data)
        try:
            return super().write(data)
        except OSError as error:
            self.error = OutputError(
                error.errno, error.strerror, "standard output"
            )
            raise self.error from error


def _open_streams():
    """Opens the standard streams that are closed; returns the `_Output`."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free. Another file would have it else.
            opened = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(opened, True)
    if sys.stderr is None:
        sys.stderr = open(2, "w", errors="backslashreplace", closefd=False)
    codecs.register_error("dsl.plain", messages.plain)
    before, output = sys.stdout, _Output(1, "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(output),
        encoding=getattr(before, "encoding", None),
        errors="dsl.plain",
        line_buffering=getattr(before, "line_buffering", False),
        write_through=getattr(before, "write_through", False),
    )
    return output


def _say_unraisable(found):
    """Heard where Python would print a traceback and go on."""
    if isinstance(found.exc_value, KeyboardInterrupt):
        interrupts.end()
    if not isinstance(found.exc_value, Warning):
        sys.__unraisablehook__(found)
