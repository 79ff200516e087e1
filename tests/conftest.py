"""Every test starts from the same random state; on JAX none compiles again."""

import os
import sys
import tempfile

import pytest


def pytest_configure(config):
    """What one test compiles, the next one reads (JAX forgets it with each)."""
    if os.environ.get("KERAS_BACKEND") != "jax":
        return
    import jax

    # Of this process alone: JAX writes without a lock.
    folder = tempfile.TemporaryDirectory(prefix="dsl-compiled-")
    config.add_cleanup(folder.cleanup)
    jax.config.update("jax_compilation_cache_dir", folder.name)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


@pytest.fixture(autouse=True)
def seeded():
    """Seeds Python, NumPy and the backend, if the test uses Keras."""
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)
