"""Trainings of a moment: flags, data, and how they are run."""

import contextlib

import keras
import numpy as np

from dsl import datasets
from dsl.datasets.corpus import Corpus

TINY = [
    "--no-download",
    *"--preset quick --rnn_size 8 --max_steps 5".split(),
    *"--num_unroll_steps 6 --batch_size 3".split(),
]


def corpus(length=200, words=12):
    """A small text of repeated words."""
    rng = np.random.default_rng(0)
    text = np.repeat(rng.integers(0, words, length), 3).astype("int32")
    return Corpus(
        name="generated",
        vocabulary=(datasets.EOS, *(f"word{n}" for n in range(1, 12))),
        train=text,
        valid=text[:100],
        test=text[100:200],
        sha256={},
        true_perplexity={"valid": 2.0, "test": 2.0},
    )


@contextlib.contextmanager
def uncompiled():
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow

    before = tensorflow.config.functions_run_eagerly()
    tensorflow.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tensorflow.config.run_functions_eagerly(before)
