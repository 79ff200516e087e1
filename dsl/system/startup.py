"""How a program starts: memory, and Keras without the backend's chatter."""

import contextlib
import ctypes
import importlib
import importlib.util
import logging
import os
import sys
import tempfile
import warnings

from dsl.system import interrupts
from dsl.system.messages import Failure

# Those that models are trained on, the default first.
BACKENDS = ("tensorflow", "jax")
# As in glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


class StartupError(Failure, ImportError):
    """Keras cannot be used; the message is one clear line."""


class BackendError(StartupError):
    """The backend that was chosen cannot be used."""

    exit_code = 2


def check_keras():
    """Checks that Keras and its backend are there, and imports neither.

    Returns:
        The name of the backend.

    Raises:
        StartupError: If Keras is not installed.
        BackendError: If KERAS_BACKEND is none of `BACKENDS`, or the backend
            is not installed.
    """
    backend = os.environ.get("KERAS_BACKEND") or BACKENDS[0]
    if backend not in BACKENDS:
        raise BackendError(
            f"KERAS_BACKEND must be {' or '.join(BACKENDS)}. "
            f"Received: {backend!r}"
        )
    if importlib.util.find_spec("keras") is None:
        raise StartupError(
            f"Keras is not installed for {sys.executable}; run scripts/setup "
            "and then .venv/bin/python."
        )
    if importlib.util.find_spec(backend) is None:
        raise BackendError(
            f"KERAS_BACKEND must be a backend that is installed for "
            f"{sys.executable}. Received: {backend!r}, the default being "
            f"{BACKENDS[0]!r}"
        )
    return backend


def import_keras():
    """Imports Keras and its backend, with nothing on stderr.

    TensorFlow writes lines about processors and missing GPUs to stderr
    before any log level is heard. They are held back while it is imported,
    and shown after all if the import fails. `TF_CPP_MIN_LOG_LEVEL`, if set,
    is respected afterwards. Its warnings that a function is compiled again are
    not shown.

    The user's keras.json is not read: its `floatx` and `epsilon` would change
    what is computed, and no run tells of them. KERAS_BACKEND alone chooses the
    backend.

    Returns:
        The module `keras`.

    Raises:
        StartupError: If it cannot be imported.
    """
    if "keras" not in sys.modules:
        check_keras()
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        try:
            with _held_back_stderr() as stderr, interrupts.ending(stderr):
                with _without_configuration():
                    importlib.import_module("keras")
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            raise StartupError(f"Keras cannot be imported: {error}") from error
    # Keras 3.15 copies TensorFlow 2.21 variables the way of NumPy 1.
    warnings.filterwarnings(
        "ignore", "__array__ implementation", DeprecationWarning
    )
    logging.getLogger("tensorflow").addFilter(_is_of_one_model)
    return sys.modules["keras"]


def _is_of_one_model(record):
    """Not TensorFlow's advice to the owner of one model, compiled again.

    A program that trains or scores several models compiles for each of them.
    """
    return "triggered tf.function retracing" not in record.getMessage()


def keep_freed_memory():
    """Has this process keep the memory that it frees, for its next use.

    A compiled training step frees what it worked with, and the next one asks
    for as much again. Of large buffers, glibc gives the pages back to the
    system each time, which then clears them again. What is kept serves no
    other process. Threads beside the main one keep no buffer of more than 64
    MiB; without glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)  # No pages of their own for large buffers.
        mallopt(_M_TRIM_THRESHOLD, -1)  # Nothing is given back.


@contextlib.contextmanager
def _without_configuration():
    """Lets Keras find no keras.json, and write none."""
    before = os.environ.get("KERAS_HOME")
    os.environ["KERAS_HOME"] = os.devnull
    try:
        yield
    finally:
        if before is None:
            del os.environ["KERAS_HOME"]
        else:
            os.environ["KERAS_HOME"] = before


@contextlib.contextmanager
def _held_back_stderr():
    """Keeps from stderr what is written there; yields what leads there."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield kept
        except KeyboardInterrupt:
            raise
        except BaseException:
            os.dup2(kept, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
