"""Every test starts from the same random state."""

import sys

import pytest


@pytest.fixture(autouse=True)
def seeded():
    """Seeds Python, NumPy and the backend, if the test uses Keras."""
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)
