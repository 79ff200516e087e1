"""How a program starts: memory, and Keras without the backend's chatter."""

import contextlib
import ctypes
import logging
import os
import sys
import tempfile

# As in glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def import_keras():
    """Imports Keras and its backend, with nothing on stderr.

    TensorFlow writes lines about processors and missing GPUs to stderr
    before any log level is heard. They are held back while it is imported,
    and shown after all if the import fails. `TF_CPP_MIN_LOG_LEVEL`, if set,
    is respected afterwards. Its warnings that a function is compiled again are
    not shown.

    Returns:
        The module `keras`.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _held_back_stderr():
        import keras
    logging.getLogger("tensorflow").addFilter(_is_of_one_model)
    return keras


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
def _held_back_stderr():
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
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
