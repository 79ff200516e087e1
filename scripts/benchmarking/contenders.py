"""The training steps that are compared, each as a function to call."""

import keras
import numpy as np
from benchmarking import classifiers, language_models, text

TRAINERS = {
    "language_model": language_models.trainer,
    "number_prediction": classifiers.trainer,
}
BATCHES = {
    "language_model": text.batch,
    "number_prediction": classifiers.batch,
}


def build(contender, size, cores):
    """Makes the whole training step of a contender.

    Args:
        contender: A `plan.Contender`.
        size: Its `plan.Size` or `plan.NumberSize`.
        cores: Cores that this process is held to.

    Returns:
        Function without arguments that takes one step, waits for its end and
        returns the loss: of a language model the mean over streams of the
        summed nats, of a classifier the mean over sequences; and the agent's.
    """
    x, y = batch(contender, size)
    if contender.kind == "torch":
        return language_models.torch_step(size, x, y, cores)
    trainer = keras_trainer(contender, size)
    return lambda: float(trainer.train_on_batch(x, y))


def batch(contender, size):
    """What a step trains on: inputs and targets, drawn at random."""
    x, y = BATCHES[size.model](size, text.integers())
    return text.listed(x) if contender.characters else x, y


def keras_trainer(contender, size):
    """A model ready to be trained, compiled.

    Args:
        contender: A `plan.Contender` of any kind but "torch".
        size: Its size.

    Returns:
        A Keras model with `train_on_batch`.
    """
    keras.utils.set_random_seed(0)
    return TRAINERS[size.model](contender, size)


def matmul(shape):
    """A float32 matrix product on the backend.

    Args:
        shape: m, k and n.

    Returns:
        Function without arguments that multiplies and waits for the end.
    """
    rows, inner, columns = shape
    draw = np.random.default_rng(0).standard_normal
    a, b = (
        keras.ops.convert_to_tensor(draw(sizes), "float32")
        for sizes in ((rows, inner), (inner, columns))
    )

    def multiply():
        c = keras.ops.matmul(a, b)
        return keras.ops.convert_to_numpy(c[:1, :1])

    return multiply
