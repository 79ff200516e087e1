"""`Recurrent` over a cell that the library does not know."""

import cases
import keras
import numpy as np
import pytest
from gradients import gradients
from keras import ops

import dsl
from dsl.layers import Recurrent

pytestmark = pytest.mark.backend

MASK = cases.MASKS["holes"]


@keras.saving.register_keras_serializable(package="tests")
class Elman(keras.layers.Layer):
    """h_t = tanh(x_t W + h_{t-1} U), and nothing else that it need not have."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape):
        shapes = {"kernel": input_shape[-1], "recurrent_kernel": self.units}
        for name, rows in shapes.items():
            weight = self.add_weight(shape=(rows, self.units), name=name)
            setattr(self, name, weight)

    def project(self, inputs, training=False):
        return ops.matmul(inputs, self.kernel)

    def step(self, projected_t, states, training=False):
        h_t = ops.tanh(
            projected_t + ops.matmul(states[0], self.recurrent_kernel)
        )
        return h_t, [h_t], {}

    def call(self, inputs, states, training=False):
        output, states, _ = self.step(self.project(inputs), states)
        return output, states

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="tests")
class Leaky(Elman):
    """Has all that a cell may have: more states, a start, noise, extras.

    Its output is another size than its states: the leaky mean, and h.
    """

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.state_size = [units, units]
        self.output_size = 2 * units
        self.asked = []

    def get_initial_state(self, batch_size):
        ones = ops.ones((batch_size, self.units))
        return [0.0 * ones, ones]

    def fill_states(self, states, batch_size):
        return [*states, *self.get_initial_state(batch_size)[len(states) :]]

    def get_dropout_mask(self, x):
        self.asked.append(("x", tuple(x.shape)))

    def get_recurrent_dropout_mask(self, state):
        self.asked.append(("h", tuple(state.shape)))

    def reset_dropout_mask(self):
        self.asked.append("reset x")

    def reset_recurrent_dropout_mask(self):
        self.asked.append("reset h")

    def step(self, projected_t, states, training=False):
        h_t, _, _ = super().step(projected_t, states[:1])
        mean_t = 0.5 * states[1] + 0.5 * h_t
        output = ops.concatenate([mean_t, h_t], axis=-1)
        return output, [h_t, mean_t], {"size": ops.sum(h_t, axis=-1)}


def by_hand(layer, inputs, mask=None, mean=None):
    """Outputs and last states of either cell, by a loop over NumPy."""
    kernel, recurrent_kernel = (np.array(w) for w in layer.cell.get_weights())
    h = np.zeros((len(inputs), layer.cell.units))
    mean = np.ones_like(h) if mean is None else mean
    last, outputs = np.zeros((len(inputs), 2 * layer.cell.units)), []
    for t in range(inputs.shape[1]):
        counts = np.ones(len(inputs), bool) if mask is None else mask[:, t]
        new = np.tanh(inputs[:, t] @ kernel + h @ recurrent_kernel)
        mean = np.where(counts[:, None], 0.5 * mean + 0.5 * new, mean)
        h = np.where(counts[:, None], new, h)
        put = np.concatenate([mean, h], axis=-1)
        last = np.where(counts[:, None], put, last)
        outputs.append(last)
    return np.stack(outputs, axis=1), [h, mean]


def floats():
    return cases.random_inputs().astype("float32")


@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "holes"])
@pytest.mark.parametrize("cell", [Elman, Leaky])
def test_outputs_and_states_are_those_of_a_loop(cell, mask):
    layer = Recurrent(
        cell(cases.UNITS), return_sequences=True, return_state=True
    )
    output, *states = layer(floats(), mask=mask)
    right, last = by_hand(layer, floats(), mask)
    if cell is Elman:
        right, last = right[:, :, cases.UNITS :], last[:1]
    np.testing.assert_allclose(cases.to_numpy(output), right, atol=1e-5)
    for found, wanted in zip(states, last, strict=True):
        np.testing.assert_allclose(cases.to_numpy(found), wanted, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"go_backwards": True}])
def test_it_is_rnn_of_the_same_cell(options):
    ours = Recurrent(Elman(cases.UNITS), **options)
    theirs = keras.layers.RNN(Elman(cases.UNITS), **options)
    theirs.build((None, None, cases.FEATURES))
    ours.build((None, None, cases.FEATURES))
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(
        cases.to_numpy(ours(floats(), mask=MASK)),
        cases.to_numpy(theirs(floats(), mask=MASK)),
        atol=1e-6,
    )


def test_the_cell_is_asked_for_its_noise_around_the_loop():
    layer = Recurrent(Leaky(cases.UNITS))
    layer(floats(), training=True)
    assert layer.cell.asked == [
        ("x", (cases.BATCH, cases.FEATURES)),
        ("h", (cases.BATCH, cases.UNITS)),
        "reset x",
        "reset h",
    ]


def test_states_that_are_not_given_are_filled():
    layer = Recurrent(Leaky(cases.UNITS), return_sequences=True)
    zeros = np.zeros((cases.BATCH, cases.UNITS), "float32")
    output = cases.to_numpy(layer(floats(), initial_state=[zeros]))
    right, _ = by_hand(layer, floats())
    np.testing.assert_allclose(output, right, atol=1e-5)
    zeros_too = cases.to_numpy(layer(floats(), initial_state=[zeros, zeros]))
    right, _ = by_hand(layer, floats(), mean=zeros)
    np.testing.assert_allclose(zeros_too, right, atol=1e-5)


def test_symbolic_sizes_are_the_real_ones():
    layer = Recurrent(Leaky(3), return_sequences=True, return_state=True)
    symbolic = layer(keras.Input((cases.STEPS, 2), batch_size=4))
    real = layer(ops.ones((4, cases.STEPS, 2)))
    assert [x.shape for x in symbolic] == [tuple(x.shape) for x in real]


def test_it_learns_and_survives_saving(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((cases.STEPS, cases.FEATURES)),
            Recurrent(Leaky(3), return_sequences=True, go_backwards=True),
            Recurrent(Elman(2), autodiff=True, name="second"),
        ]
    )
    model.compile("sgd", "mse", jit_compile=False)
    before = [np.array(weight) for weight in model.get_weights()]
    model.fit(floats(), np.ones((cases.BATCH, 2)), verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.any(old != new)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        loaded.predict_on_batch(floats()), model.predict_on_batch(floats())
    )
    assert type(loaded.layers[-1]) is Recurrent
    assert loaded.layers[-1].autodiff and not loaded.layers[0].autodiff
    assert loaded.layers[0].go_backwards
    assert type(loaded.layers[-1].cell) is Elman


def test_gradients_are_those_of_rnn():
    ours, theirs = Recurrent(Elman(3)), keras.layers.RNN(Elman(3), unroll=True)
    for layer in (ours, theirs):
        layer.build((None, cases.STEPS, cases.FEATURES))
    ours.set_weights(theirs.get_weights())
    found, right = (
        gradients(
            lambda x, layer=layer: ops.sum(layer(x) ** 2),
            layer.trainable_variables,
            [floats()],
        )
        for layer in (ours, theirs)
    )
    for left, wanted in zip(
        found[1] + found[2], right[1] + right[2], strict=True
    ):
        np.testing.assert_allclose(left, wanted, atol=1e-5)


def test_a_layer_of_the_library_is_recurrent_over_its_cell():
    own = dsl.FixedSkipLSTM(4, skip=2, return_sequences=True)
    own.build((None, None, cases.FEATURES))
    other = Recurrent(dsl.FixedSkipLSTMCell(4, skip=2), return_sequences=True)
    other.build((None, None, cases.FEATURES))
    other.set_weights(own.get_weights())
    np.testing.assert_allclose(
        cases.to_numpy(other(floats(), mask=MASK)),
        cases.to_numpy(own(floats(), mask=MASK)),
        atol=1e-6,
    )


@pytest.mark.parametrize(
    "cell", [keras.layers.LSTMCell(4), [dsl.LSTMCell(4), dsl.LSTMCell(4)]]
)
def test_what_is_no_cell_is_refused(cell):
    with pytest.raises(ValueError, match="`cell` must .*without 'project'"):
        Recurrent(cell)
