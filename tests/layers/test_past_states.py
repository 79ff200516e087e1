"""LSTMs that read past states without choosing: fixed skip and attention."""

import cases
import keras
import numpy as np
import pytest
import readers
import reference
from gradients import gradients
from keras import ops
from keras.src import testing

import dsl

each_kind = pytest.mark.parametrize("kind", readers.KINDS)

# (kind, derivative by the framework)
WAYS = [(kind, way) for kind in readers.KINDS for way in (False, True)]

# (num_states, skip_weight, mask)
CASES = [
    (3, 1.0, "none"),
    (5, 0.3, "right"),
    pytest.param(2, 1.0, "left", marks=pytest.mark.backend),
    pytest.param(3, 0.3, "holes", marks=pytest.mark.backend),
    (8, 0.3, "none"),  # More than there are steps.
]


@pytest.mark.parametrize("num_states, skip_weight, mask", CASES)
@pytest.mark.parametrize("kind, autodiff", WAYS)
def test_layer_and_cell_equal_the_oracle(
    kind, autodiff, num_states, skip_weight, mask
):
    mask, inputs = cases.MASKS[mask], cases.random_inputs()
    state = cases.quiet_where_masked(cases.random_state(num_states), mask)
    options = {"skip_weight": skip_weight, "forget_bias": 0.7}
    expected = readers.oracle(
        kind,
        inputs,
        readers.random_weights(kind, num_states),
        state,
        num_states,
        mask=mask,
        **options,
    )
    for built in (
        readers.layer(kind, num_states, autodiff=autodiff, **options),
        readers.keras_layer(kind, num_states, **options),
    ):
        found = readers.call(built, inputs, state, mask=mask)
        readers.assert_agrees(found, expected)


@pytest.mark.backend
@pytest.mark.parametrize("kind, autodiff", WAYS)
def test_from_nothing_and_backwards(kind, autodiff):
    """Zero states and an empty buffer; the sequence read from its end."""
    mask, inputs = cases.MASKS["right"], cases.random_inputs()
    built = readers.layer(kind, 5, autodiff=autodiff, go_backwards=True)
    expected = readers.oracle(
        kind,
        inputs[:, ::-1],
        readers.random_weights(kind, 5),
        num_states=5,
        mask=mask[:, ::-1],
    )
    found = readers.call(built, inputs, mask=mask)
    readers.assert_agrees(found, expected)


@pytest.mark.backend
@pytest.mark.parametrize("kind, autodiff", WAYS)
def test_masked_steps_do_not_fill_the_buffer(kind, autodiff):
    """The second state back is stored at the third step that is taken."""
    inputs, mask = cases.random_inputs(), cases.MASKS["left"]
    expected = readers.oracle(
        kind, inputs, readers.random_weights(kind, 2), num_states=2, mask=mask
    )
    built = readers.layer(kind, 2, autodiff=autodiff)
    readers.assert_agrees(readers.call(built, inputs, mask=mask), expected)


def shapes(kind, num_states=3):
    """What a layer returns, but for the count, by name."""
    slots = (cases.BATCH, (num_states - 1) * cases.UNITS)
    found = {
        "outputs": (cases.BATCH, cases.STEPS, cases.UNITS),
        "h": (cases.BATCH, cases.UNITS),
        "c": (cases.BATCH, cases.UNITS),
        "past_h": slots,
        "past_c": slots,
    }
    if kind != "fixed":
        found["attention"] = (cases.BATCH, cases.STEPS, num_states)
        found["entropy"] = (cases.BATCH, cases.STEPS)
    return found


def random_loss(kind, num_states, mask, seed=51):
    """A loss with a random coefficient for every number that is returned.

    Returns:
        Function from a layer to the loss as a function of inputs and states;
        and the coefficients by name.
    """
    rng = np.random.default_rng(seed)
    coefficients = {
        name: rng.normal(size=shape)
        for name, shape in shapes(kind, num_states).items()
    }

    def of_layer(built):
        def loss(inputs, *states):
            results = built(inputs, initial_state=list(states), mask=mask)
            found = named(readers.by_name(results))
            return sum(
                ops.sum(ops.cast(x, built.compute_dtype) * found[key])
                for key, x in coefficients.items()
            )

        return loss

    return of_layer, coefficients


def named(found):
    """Results with the states, but for the count, by name."""
    return {**found, **dict(zip(readers.STATES, found["states"], strict=False))}


def all_gradients(built, loss, inputs, state):
    """Gradients of a loss of inputs and states, by name."""
    variables = built.trainable_variables
    tensors = cases.cast([inputs, *state], built.compute_dtype)
    _, by_variable, by_tensor = gradients(loss, variables, tensors)
    names = [variable.name for variable in variables]
    names += ["inputs", *readers.STATES]
    return dict(zip(names, by_variable + by_tensor[:-1], strict=True))


@pytest.mark.parametrize(
    "skip_weight, mask",
    [
        pytest.param(0.3, "holes", marks=pytest.mark.backend),
        (1.0, "none"),
    ],
)
@pytest.mark.parametrize("kind, autodiff", WAYS)
def test_gradient_equals_difference_quotients(
    kind, autodiff, skip_weight, mask
):
    """Independent of any framework: the oracle, moved a little."""
    rng = np.random.default_rng(51)
    options, mask = {"skip_weight": skip_weight}, cases.MASKS[mask]
    state = cases.random_state(3, counts=(4, 9, 5))
    point = {**readers.random_weights(kind), "inputs": cases.random_inputs()}
    point.update(zip(readers.STATES, state, strict=False))
    of_layer, coefficients = random_loss(kind, 3, mask)

    def expected(point):
        state_now = (*(point[name] for name in readers.STATES), state[4])
        found = named(
            readers.oracle(
                kind, point["inputs"], point, state_now, mask=mask, **options
            )
        )
        return sum(np.sum(x * found[key]) for key, x in coefficients.items())

    built = readers.layer(
        kind, autodiff=autodiff, dtype=cases.EXACT_DTYPE, **options
    )
    found = all_gradients(built, of_layer(built), point["inputs"], state)
    assert set(found) == set(point)
    for name, gradient in found.items():
        direction = {key: np.zeros_like(x) for key, x in point.items()}
        direction[name] = rng.normal(size=point[name].shape)
        np.testing.assert_allclose(
            np.sum(direction[name] * gradient),
            reference.directional_derivative(expected, point, direction),
            rtol=20.0 * cases.EXACT,
            atol=cases.EXACT,
            err_msg=name,
        )


@pytest.mark.parametrize("num_states, skip_weight, mask", CASES)
@each_kind
def test_fast_gradient_equals_autodiff(kind, num_states, skip_weight, mask):
    """Each number of it, with slots that are empty at the start."""
    inputs, state = cases.random_inputs(), cases.random_state(num_states)
    of_layer, _ = random_loss(kind, num_states, cases.MASKS[mask])
    found = []
    for autodiff in (False, True):
        built = readers.layer(
            kind, num_states, autodiff=autodiff, skip_weight=skip_weight
        )
        found.append(all_gradients(built, of_layer(built), inputs, state))
    for name, expected in found[1].items():
        np.testing.assert_allclose(
            found[0][name],
            expected,
            atol=2e-5 * max(1.0, np.abs(expected).max()),
            err_msg=name,
        )


@pytest.mark.parametrize("masked", [False, True])
@each_kind
def test_training_compiled_equals_the_eager_gradient(kind, masked):
    """One step of plain gradient descent subtracts the gradient."""
    x, mask = cases.random_inputs().astype("float32"), cases.MASKS["holes"]
    mask = mask if masked else np.ones_like(mask)
    options = {} if kind == "fixed" else {"return_attention": False}
    built = readers.layer(kind, return_state=False, **options)
    found = {}
    # The others do less of what content attention does, in the same loop.
    jit = ["jit"] if masked and kind == "content" else []
    for way in ("eager", "graph", *jit):
        cases.set_weights(built, readers.random_weights(kind))
        inputs = keras.Input((None, cases.FEATURES))
        masks = keras.Input((None,), dtype="bool")
        outputs = built(inputs, mask=masks if masked else None)
        model = keras.Model([inputs, masks], outputs)
        model.compile(
            keras.optimizers.SGD(1.0), "mse", jit_compile=way == "jit"
        )
        model.run_eagerly = way == "eager"
        model.train_on_batch([x, mask], np.zeros((3, 5, cases.UNITS)))
        found[way] = built.get_weights()
    expected = found.pop("eager")
    for weights in found.values():
        for left, right in zip(weights, expected, strict=True):
            np.testing.assert_allclose(left, right, atol=1e-6)


@pytest.mark.parametrize("mask", ["none", "left"])
@pytest.mark.parametrize("num_states, skip_weight", [(1, 1.0), (3, 0.0)])
@pytest.mark.parametrize("kind, autodiff", WAYS)
def test_reduces_to_keras_lstm(kind, autodiff, num_states, skip_weight, mask):
    inputs, mask = cases.random_inputs(), cases.MASKS[mask]
    state = cases.quiet_where_masked(cases.random_state(num_states), mask)
    plain = keras.layers.LSTM(
        cases.UNITS, return_sequences=True, return_state=True
    )
    plain.build(inputs.shape)
    cases.set_weights(plain, readers.random_weights("fixed"))
    expected = readers.call(plain, inputs, state[:2], mask=mask)
    options = {"skip_weight": skip_weight}
    for built in (
        readers.layer(kind, num_states, autodiff=autodiff, **options),
        readers.keras_layer(kind, num_states, **options),
    ):
        found = readers.call(built, inputs, state, mask=mask)
        found["states"] = found["states"][:2]
        for left, right in zip(
            [found["outputs"], *found["states"]],
            [expected["outputs"], *expected["states"]],
            strict=True,
        ):
            np.testing.assert_allclose(left, right, atol=1e-6)


@pytest.mark.parametrize("kind", readers.KINDS)
def test_with_one_state_the_weights_are_those_of_keras(kind):
    plain = keras.layers.LSTM(cases.UNITS)
    plain.build((None, None, cases.FEATURES))
    expected = [(w.name, w.shape) for w in plain.trainable_weights]
    for num_states in (1, 3) if kind == "fixed" else (1,):
        built = readers.layer(kind, num_states)
        assert [(w.name, w.shape) for w in built.weights] == expected


@pytest.mark.parametrize("mask", ["none", "holes"])
@pytest.mark.parametrize("num_actions", [3, 5])
def test_fixed_skip_is_a_dynamic_skip_without_a_choice(num_actions, mask):
    """From an empty buffer, and however many states could be chosen."""
    inputs, mask = cases.random_inputs(), cases.MASKS[mask]
    weights = cases.random_weights(num_actions)
    dynamic = cases.dynamic(num_actions, weights)
    look_back = np.full(inputs.shape[:2], 3, "int32")
    expected = cases.call(dynamic, inputs, mask=mask, look_back=look_back)
    fixed = dsl.FixedSkipLSTM(
        cases.UNITS, skip=3, skip_weight=0.3, return_sequences=True
    )
    fixed.build(inputs.shape)
    cases.set_weights(
        fixed, {name: weights[name] for name in reference.LSTM_WEIGHTS}
    )
    found = cases.to_numpy(fixed(inputs.astype("float32"), mask=mask))
    np.testing.assert_allclose(found, expected["outputs"], atol=1e-6)


@pytest.mark.parametrize("distance", [1, 2, 3])
def test_attention_on_one_slot_is_a_forced_choice(distance):
    inputs = cases.random_inputs()
    state = cases.random_state(3, counts=(4, 9, 3))
    attention = readers.layer("location")
    bias = attention.cell.attention_output_bias
    bias.assign(1e4 * np.eye(3)[distance - 1])
    found = readers.call(attention, inputs, state)
    np.testing.assert_allclose(
        found["attention"][1, 2], np.eye(3)[distance - 1], atol=1e-6
    )
    np.testing.assert_allclose(found["entropy"], 0.0, atol=1e-5)
    dynamic = cases.dynamic(3)
    dynamic.set_weights(
        [attention.get_weights()[n] for n in range(3)]
        + dynamic.get_weights()[3:]
    )
    look_back = np.full(inputs.shape[:2], distance, "int32")
    expected = cases.call(dynamic, inputs, state, look_back=look_back)
    np.testing.assert_allclose(found["outputs"], expected["outputs"], atol=1e-6)
    for left, right in zip(found["states"], expected["states"], strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)


@pytest.mark.parametrize("scoring", ["location", "content"])
def test_weights_of_the_attention(scoring):
    """They sum to one over what is stored, and are zero elsewhere."""
    inputs, mask = cases.random_inputs(), cases.MASKS["left"]
    found = readers.call(readers.layer(scoring, 5), inputs, mask=mask)
    attention = found["attention"]
    for row in range(cases.BATCH):
        taken = 0
        for t in range(cases.STEPS):
            stored = max(taken, 1) if mask[row, t] else 0
            assert np.all(attention[row, t, :stored] > 0.0)
            assert np.all(attention[row, t, stored:] == 0.0)
            total = attention[row, t].sum()
            np.testing.assert_allclose(total, float(stored > 0), rtol=1e-6)
            taken += int(mask[row, t])
    assert np.all(found["entropy"] >= 0.0)


@pytest.mark.parametrize("go_backwards", [False, True])
def test_one_state_reports_a_certain_attention(go_backwards):
    inputs, mask = cases.random_inputs(), cases.MASKS["left"]
    built = readers.layer("location", 1, go_backwards=go_backwards)
    found = readers.call(built, inputs, mask=mask)
    taken = mask[:, ::-1] if go_backwards else mask
    np.testing.assert_array_equal(found["attention"][..., 0], taken)
    np.testing.assert_array_equal(found["entropy"], 0.0)


def test_the_attention_starts_as_the_policy_does():
    """One seed, one network: only what is made of its scores differs."""
    made = []
    for layer in (
        dsl.AttentionLSTM(4, 3, seed=1),
        dsl.DynamicSkipLSTM(4, 3, seed=1),
    ):
        layer.build((None, None, 5))
        made.append(layer.get_weights()[3:])
    for left, right in zip(*made, strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("kind, autodiff", WAYS)
def test_unfilled_slots_and_padding_do_not_matter(kind, autodiff):
    inputs, mask = cases.random_inputs(), cases.MASKS["right"]
    state = cases.random_state(5, counts=(1, 3, 0))
    other = [np.array(part) for part in state]
    for part in other[2:4]:
        slots = part.reshape(3, 4, cases.UNITS)
        slots[0], slots[1, 2:], slots[2] = 7.0, 8.0, 9.0
    changed = np.where(mask[..., None], inputs, 1e4)
    built = readers.layer(kind, 5, autodiff=autodiff)
    found = readers.call(built, changed, other, mask=mask)
    expected = readers.call(built, inputs, state, mask=mask)
    for name in set(found) - {"states"}:
        np.testing.assert_array_equal(found[name], expected[name])


@each_kind
def test_h_and_c_alone_are_an_initial_state(kind):
    inputs, (h, c, *empty) = cases.random_inputs(), cases.random_state(3)
    built = readers.layer(kind)
    found = readers.call(built, inputs, (h, c))
    empty = [0.0 * part for part in empty]
    expected = readers.call(built, inputs, (h, c, *empty))
    np.testing.assert_array_equal(found["outputs"], expected["outputs"])


@each_kind
def test_graph_with_states_in_and_out_for_any_length(kind):
    built = readers.layer(kind)
    inputs = keras.Input((None, cases.FEATURES))
    mask = keras.Input((None,), dtype="bool")
    states = [keras.Input((size,)) for size in (4, 4, 8, 8, 1)]
    results = built(inputs, initial_state=states, mask=mask)
    assert [x.shape for x in results[:6]] == [
        (None, None, 4),
        *((None, size) for size in (4, 4, 8, 8, 1)),
    ]
    if kind != "fixed":
        kinds = {name: (x.shape, x.dtype) for name, x in results[6].items()}
        assert kinds == {
            "attention": ((None, None, 3), "float32"),
            "entropy": ((None, None), "float32"),
        }
    model = keras.Model([inputs, mask, *states], results)
    model.compile(jit_compile=False)
    state = cases.random_state(3)
    for steps in (4, 5):
        x, m = cases.random_inputs(steps=steps), cases.MASKS["holes"][:, :steps]
        found = model.predict_on_batch(
            [x.astype("float32"), m, *cases.cast(state, "float32")]
        )
        expected = readers.call(built, x, state, mask=m)
        readers.assert_agrees(readers.by_name(found), expected, 1e-6)


@each_kind
def test_what_is_returned(kind):
    x = cases.random_inputs().astype("float32")
    plain = {"return_sequences": False, "return_state": False}
    if kind != "fixed":
        output, read = readers.layer(kind, **plain)(x)
        assert output.shape == (3, 4)
        assert read["attention"].shape == (3, 5, 3)
        assert read["entropy"].shape == (3, 5)
        plain["return_attention"] = False
    assert readers.layer(kind, **plain)(x).shape == (3, 4)


@each_kind
def test_bidirectional(kind):
    x, mask = cases.random_inputs().astype("float32"), cases.MASKS["right"]
    options = {"return_state": False}
    if kind != "fixed":
        options["return_attention"] = False
    both = keras.layers.Bidirectional(readers.layer(kind, **options))
    found = cases.to_numpy(both(x, mask=mask))
    ahead = both.forward_layer(x, mask=mask)
    back = both.backward_layer(x, mask=mask)
    expected = np.concatenate([ahead, cases.to_numpy(back)[:, ::-1]], axis=-1)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(expected[..., :4] - expected[..., 4:]).max() > 1e-2


@pytest.mark.backend
@each_kind
def test_save_and_load(kind, tmp_path):
    x = cases.random_inputs().astype("float32")
    inputs = keras.Input((None, cases.FEATURES))
    options = {
        "forget_bias": 0.5,
        "go_backwards": True,
        "zero_output_for_mask": True,
        "dropout": 0.2,
        "recurrent_dropout": 0.1,
        "kernel_initializer": keras.initializers.RandomNormal(seed=1),
        "recurrent_regularizer": "l2",
        "autodiff": True,
        "seed": 3,
        "name": "reading",
    }
    if kind != "fixed":
        options["attention_bias_initializer"] = "ones"
    built = readers.layer(kind, 4, **options)
    cell = readers.keras_layer(kind, 2)
    hidden, *_ = built(inputs)
    outputs, *_ = keras.layers.RNN(
        type(cell.cell).from_config({**cell.cell.get_config(), "name": "cell"}),
        return_sequences=True,
        return_state=True,
        name="around",
    )(hidden)
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    again = loaded.get_layer("reading")
    assert again.get_config() == built.get_config()
    assert again.skip_weight == 0.3 and again.autodiff
    cells = [m.get_layer("around").cell for m in (loaded, model)]
    assert cells[0].get_config() == cells[1].get_config()
    for each in (model, loaded):
        each.compile(jit_compile=False)
    np.testing.assert_array_equal(
        loaded.predict_on_batch(x), model.predict_on_batch(x)
    )


@pytest.mark.parametrize("mask", ["none", "holes"])
@pytest.mark.parametrize(
    "dtype",
    [
        "mixed_float16",
        pytest.param("mixed_bfloat16", marks=pytest.mark.backend),
    ],
)
@each_kind
def test_mixed_precision(kind, dtype, mask):
    built = readers.layer(kind, dtype=dtype)
    inputs, state = cases.random_inputs(), cases.random_state(3)
    mask = cases.MASKS[mask]
    results = readers.by_name(
        built(
            inputs.astype("float32"),
            initial_state=cases.cast(state, "float32"),
            mask=mask,
        )
    )
    half = dtype.removeprefix("mixed_")
    for value in (results["outputs"], *results["states"]):
        assert keras.backend.standardize_dtype(value.dtype) == half
    expected = readers.call(readers.layer(kind), inputs, state, mask=mask)
    for name in set(results) - {"states"}:
        value = cases.to_numpy(ops.cast(results[name], "float32"))
        np.testing.assert_allclose(value, expected[name], atol=0.05)
        if name != "outputs":
            kind_of = keras.backend.standardize_dtype(results[name].dtype)
            assert kind_of == "float32"

    def loss(inputs):
        outputs = built(inputs, mask=mask)[0]
        return ops.mean(ops.cast(ops.square(outputs), "float32"))

    x = inputs.astype("float32")
    _, found, _ = gradients(loss, built.trainable_variables, [x])
    assert all(np.all(np.isfinite(gradient)) for gradient in found)
    assert all(np.abs(gradient).max() > 0.0 for gradient in found)


@each_kind
def test_dropout_in_the_cell_equals_the_layer(kind):
    """Same seed, same masks, whichever way the steps are run."""
    x = cases.random_inputs().astype("float32")
    options = {"dropout": 0.4, "recurrent_dropout": 0.4, "seed": 5}
    made = (
        readers.keras_layer(kind, unroll=True, **options),
        readers.layer(kind, **options),
    )
    found = [cases.to_numpy(built(x, training=True)[0]) for built in made]
    np.testing.assert_allclose(*found, atol=2e-6)
    quiet = cases.to_numpy(made[1](x)[0])
    assert np.abs(found[0] - quiet).max() > 1e-2


BAD_SKIPS = [
    ({"units": 0}, "units"),
    ({"skip": 0}, "`skip` is.*Received: skip=0"),
    ({"skip": 2.5}, "`skip` is.*Received: skip=2.5"),
    ({"skip_weight": 1.1}, "`skip_weight`.*Received: skip_weight=1.1"),
]
BAD_ATTENTIONS = [
    ({"num_states": 0}, "`num_states`.*Received: num_states=0"),
    ({"num_states": True}, "`num_states`.*Received: num_states=True"),
    ({"attention_units": 0}, "`attention_units`.*Received"),
    ({"skip_weight": -0.1}, "`skip_weight`.*Received: skip_weight=-0.1"),
    ({"scoring": "dot"}, "`scoring` must be one of.*'dot'"),
]


@pytest.mark.parametrize("arguments, message", BAD_SKIPS)
def test_bad_arguments_of_a_fixed_skip(arguments, message):
    for cls in (dsl.FixedSkipLSTMCell, dsl.FixedSkipLSTM):
        with pytest.raises(ValueError, match=message):
            cls(**{"units": 4, **arguments})


@pytest.mark.parametrize("arguments, message", BAD_ATTENTIONS)
def test_bad_arguments_of_an_attention(arguments, message):
    for cls in (dsl.AttentionLSTMCell, dsl.AttentionLSTM):
        with pytest.raises(ValueError, match=message):
            cls(**{"units": 4, **arguments})


def test_states_of_another_size():
    layer = readers.layer("content")
    with pytest.raises(ValueError, match=r"`initial_state`.*Received: sizes"):
        readers.call(layer, cases.random_inputs(), cases.random_state(5))


# Keras' own harness trains on a generator, about which Keras warns. What else
# it tests, `test_keras_suite` does.
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
class KerasHarnessTest(testing.TestCase):
    def test_attention_to_content(self):
        self.run_layer_test(
            dsl.AttentionLSTM,
            init_kwargs={
                "units": 4,
                **readers.arguments("content", 3, dropout=0.1),
            },
            input_shape=(3, 5, 2),
            call_kwargs={"training": True},
            expected_output_shape=(3, 4),
            expected_num_trainable_weights=6,
            expected_num_non_trainable_weights=0,
            supports_masking=True,
        )
