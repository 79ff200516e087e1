"""What the trainers share: where their variables stand, and what they count."""

import keras
import numpy as np
import pytest

import dsl
from dsl.policy.signal import PolicySignal
from dsl.training.optimizers import GroupedOptimizer
from dsl.training.sequences import ClassifierTrainer
from dsl.training.streams import StreamTrainer

# Checkpoints know a variable by its path, and by its place among the others:
# with another one, runs of before would not go on.
CELL = "kernel recurrent_kernel bias policy_kernel policy_bias"
CELL = [*CELL.split(), "policy_output_kernel", "policy_output_bias"]
SEED = "seed_generator/seed_generator_state"
SIGNAL = [
    "policy_signal/updates",
    *(f"policy_signal/policy_value/dense/{x}" for x in ("kernel", "bias") * 2),
]


def cell_of(model):
    return [f"{model}/layer/dynamicskiplstmcell/{name}" for name in CELL]


OF_STREAMS = [
    "updates",
    "statistics",
    SEED,
    "language_model/softmax_kernel",
    "language_model/softmax_bias",
    "language_model/embedding/embeddings",
    *cell_of("language_model"),
    *[SEED] * 3,
    *SIGNAL,
    *["carried_states/state"] * 5,
]
OF_SEQUENCES = [
    "statistics",
    SEED,
    *cell_of("classifier"),
    SEED,
    "classifier/readout/kernel",
    "classifier/readout/bias",
    *SIGNAL,
]


def layer():
    return dsl.DynamicSkipLSTM(
        3,
        2,
        policy_units=2,
        estimator="reinforce",
        return_sequences=True,
        return_state=True,
        return_policy=True,
        name="layer",
    )


def signal():
    return PolicySignal(
        baseline="value",
        value_units=2,
        num_rollouts=2,
        final_entropy_weight=0.0,
        entropy_steps=3,
    )


def stream_trainer():
    model = dsl.LanguageModel(
        5, [layer()], 4, dropout=0.1, seed=1, name="language_model"
    )
    made = StreamTrainer(model, 2, signal(), policy_start=2, seed=3)
    compiled(made, (2, 6))
    return made


def classifier_trainer():
    model = dsl.SequenceClassifier(5, 3, [layer()], name="classifier")
    made = ClassifierTrainer(model, 2, signal(), seed=3)
    compiled(made, (2, 6))
    return made


def compiled(trainer, shape):
    trainer.compile(
        GroupedOptimizer(keras.optimizers.SGD(0.1), keras.optimizers.Adam(0.1)),
        run_eagerly=True,
    )
    trainer.build(shape)
    trainer.optimizer.build(trainer.trainable_variables)


def paths(variables):
    """Without the numbers that Keras gives to layers of one name."""
    parts = (
        [part.rstrip("0123456789").rstrip("_") for part in v.path.split("/")]
        for v in variables
    )
    return ["/".join(part) for part in parts]


@pytest.mark.parametrize(
    ("make", "wanted"),
    [(stream_trainer, OF_STREAMS), (classifier_trainer, OF_SEQUENCES)],
)
def test_variables_stand_where_checkpoints_look_for_them(make, wanted):
    trainer = make()
    at = f"{trainer.name}/"
    wanted = [path if path == SEED else at + path for path in wanted]
    assert paths(trainer.variables) == wanted


def test_statistics_are_means_over_the_batches_of_an_epoch():
    trainer = classifier_trainer()
    rng = np.random.default_rng(4)
    x, y = rng.integers(0, 5, (8, 2, 6)), rng.integers(0, 3, (8, 2))
    trainer.begin_epoch()
    single = []
    for n in range(3):
        before = np.array(trainer.statistics)
        trainer.train_on_batch(x[n], y[n])
        trainer.test_on_batch(x[7], y[7])  # Counts for nothing.
        single.append(np.array(trainer.statistics) - before)
    loss, accuracy, entropy = np.mean(single, axis=0)[1:]
    found = trainer.read_statistics()
    np.testing.assert_allclose(
        [found["loss"], found["accuracy"], found["entropy"]],
        [loss, accuracy, entropy],
        rtol=1e-5,
    )
    assert trainer.statistics[0] == 3
    trainer.begin_epoch()
    assert trainer.read_statistics() == dict.fromkeys(found, 0.0)
