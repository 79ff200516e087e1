"""How a program starts."""

import ctypes
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dsl import startup

ROOT = Path(__file__).resolve().parents[1]

BUFFERS = """
import resource
import numpy as np
from dsl import startup

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
