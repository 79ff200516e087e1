"""How a program starts."""

import ctypes
import importlib.util
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dsl.system import startup

ROOT = Path(__file__).resolve().parents[2]

BUFFERS = """
import resource
import numpy as np
from dsl.system import startup

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(2**24)  # 128 MiB, or 32,768 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

{call}
faults()
print(faults())
"""


def page_faults(call):
    """Pages that the system has to give for the second of two buffers."""
    done = subprocess.run(
        [sys.executable, "-c", BUFFERS.format(call=call)],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        # Huge pages would be few.
        env={**os.environ, "NUMPY_MADVISE_HUGEPAGE": "0"},
    )
    return int(done.stdout)


@pytest.mark.backend
@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc has the switch"
)
def test_freed_memory_is_used_again():
    if page_faults("") < 16_384:
        pytest.skip("this C library keeps large buffers by itself")
    assert page_faults("startup.keep_freed_memory()") < 1_000


def test_several_models_are_no_reason_for_a_warning():
    startup.import_keras()
    logger = logging.getLogger("tensorflow")

    def shown(message):
        record = logger.makeRecord("", 30, "", 0, message, ("f",), None)
        return bool(logger.filter(record))

    assert not shown("5 of 9 calls to %s triggered tf.function retracing.")
    assert shown("%s is slow.")


# The backend.


@pytest.mark.parametrize("name", ["tensorflw", "torch", "numpy", "Jax", " "])
def test_a_backend_that_is_none_is_one_line(name, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", name)
    with pytest.raises(startup.BackendError) as caught:
        startup.check_keras()
    assert caught.value.exit_code == 2
    assert str(caught.value) == (
        f"KERAS_BACKEND must be tensorflow or jax. Received: {name!r}"
    )


@pytest.mark.parametrize("name", [None, "", *startup.BACKENDS])
def test_a_backend_that_is_installed_is_named(name, monkeypatch):
    set_backend(name, monkeypatch)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    assert startup.check_keras() == (name or "tensorflow")


@pytest.mark.parametrize("name", [None, *startup.BACKENDS])
@pytest.mark.parametrize("installed", [(), ("keras",)])
def test_what_is_not_installed_is_one_line(name, installed, monkeypatch):
    set_backend(name, monkeypatch)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: name in installed or None
    )
    with pytest.raises(startup.StartupError) as caught:
        startup.check_keras()
    missing = name or "tensorflow" if installed else "Keras"
    assert missing in str(caught.value) and sys.executable in str(caught.value)
    assert caught.value.exit_code == (2 if installed else 1)


def set_backend(name, monkeypatch):
    if name is None:
        monkeypatch.delenv("KERAS_BACKEND", raising=False)
    else:
        monkeypatch.setenv("KERAS_BACKEND", name)


# The import, in a process of its own.

IMPORT = "from dsl.system import startup\nkeras = startup.import_keras()\n"


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


@pytest.mark.backend
def test_a_configuration_of_the_users_changes_nothing(tmp_path):
    """Neither what is computed, nor which backend does."""
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras/keras.json").write_text(
        '{"floatx": "float16", "epsilon": 0.5, "backend": "torch", '
        '"image_data_format": "channels_first"}'
    )
    code = IMPORT + (
        "import os; from keras import config as c\n"
        "print(c.floatx(), c.epsilon(), c.image_data_format(), "
        "c.dtype_policy().name, c.backend(), os.environ.get('KERAS_HOME'))"
    )
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    chosen = "" if backend == "tensorflow" else backend  # It is the default.
    done = python(code, HOME=str(tmp_path), KERAS_BACKEND=chosen)
    assert (done.stdout, done.stderr) == (
        f"float32 1e-07 channels_last float32 {backend} None\n",
        "",
    )


def fake(folder, code):
    """Environment in which another package is taken for Keras."""
    (folder / "keras").mkdir()
    (folder / "keras/__init__.py").write_text(code)
    return {"PYTHONPATH": str(folder)}


SLOW = """
import os, time
os.write(2, b"chatter\\n")
open(os.environ["READY"], "w").close()
for _ in range(1000):
    try:
        time.sleep(0.01)
    except BaseException:
        pass
"""


@pytest.mark.backend
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_keras_is_imported(number, tmp_path):
    """Packages that catch all that is raised keep none of it."""
    ready = tmp_path / "ready"
    with subprocess.Popen(
        [sys.executable, "-c", IMPORT],
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, **fake(tmp_path, SLOW), "READY": str(ready)},
    ) as process:
        while not ready.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        err = process.communicate(timeout=60)[1]
    assert (process.returncode, err) == (130, b"-c: interrupted.\n")


@pytest.mark.backend
def test_a_keras_that_cannot_be_imported(tmp_path):
    broken = "import os; os.write(2, b'chatter\\n'); raise ImportError('no')"
    done = python(IMPORT, **fake(tmp_path, broken))
    assert done.stderr.startswith("chatter\n")
    last = done.stderr.splitlines()[-1]
    assert (
        last == "dsl.system.startup.StartupError: Keras cannot be imported: no"
    )
