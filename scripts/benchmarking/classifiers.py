"""The training step of number prediction, as its program takes it."""

import keras

import dsl
from number_prediction import model as building
from number_prediction.task import TASK


def batch(size, draw):
    """Symbols, int32 `(batch, steps)`, and labels, int32 `(batch,)`.

    Args:
        size: A `plan.NumberSize`.
        draw: Function `(high, shape, dtype)` that draws integers.
    """
    symbols = draw(size.symbols, (size.batch, size.steps), "int32")
    return symbols, draw(size.symbols, (size.batch,), "int32")


def trainer(contender, size):
    """What `number_prediction/train_RL10_1.py` trains.

    Model, learning signal and optimizers are the program's own; in the place
    of its layer, the contender "keras" has that of Keras.

    Args:
        contender: A `plan.Contender` of any kind but "torch".
        size: Its `plan.NumberSize`.

    Returns:
        A compiled `dsl.training.sequences.ClassifierTrainer`.
    """
    args = TASK.parse(flags(contender, size))
    if contender.kind == "keras":
        classifier = keras_classifier(size)
    else:
        classifier = building.build_model(args)
    return building.build_trainer(args, classifier)


def flags(contender, size):
    """The command line of the program, a list of strings."""
    given = {
        "--seed": 0,
        "--model": "lstm",
        "--rnn_size": size.units,
        "--length": size.steps - 1,
        "--symbols": size.symbols,
        "--batch_size": size.batch,
    }
    if contender.kind == "dynamic":
        given |= {
            "--model": "dynamic_skip",
            "--lamda": 1,
            "--estimator": contender.estimator,
            "--rollouts": contender.rollouts,
            "--n_actions": contender.num_actions,
            "--policy_units": size.policy_units,
        }
    words = [str(word) for pair in given.items() for word in pair]
    return [*words, "--no-jit" if contender.compiled is False else "--jit"]


def keras_classifier(size):
    """The classifier of the program with a layer of Keras."""
    layer = keras.layers.LSTM(
        size.units, return_sequences=True, return_state=True
    )
    return dsl.SequenceClassifier(size.symbols, size.symbols, [layer])
