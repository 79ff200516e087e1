"""Starting Keras without the backend's chatter."""

import contextlib
import os
import sys
import tempfile


def import_keras():
    """Imports Keras and its backend, with nothing on stderr.

    TensorFlow writes lines about processors and missing GPUs to stderr
    before any log level is heard. They are held back while it is imported,
    and shown after all if the import fails. `TF_CPP_MIN_LOG_LEVEL`, if set,
    is respected afterwards.

    Returns:
        The module `keras`.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _held_back_stderr():
        import keras
    return keras


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
