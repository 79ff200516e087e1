"""Several rollouts, symbolic outputs, and calls that must be refused."""

import keras
import numpy as np
import pytest
from keras import ops

import dsl

X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")


def to_numpy(x):
    return np.array(ops.convert_to_numpy(x))


@pytest.mark.backend
@pytest.mark.parametrize("num_actions", [1, 3])
def test_rollouts_with_every_dropout_have_rows_of_their_own(num_actions):
    layer = dsl.DynamicSkipLSTM(
        6,
        num_actions=num_actions,
        dropout=0.2,
        recurrent_dropout=0.3,
        return_policy=True,
        return_state=True,
        seed=1,
    )
    *outputs, chosen = layer(X, num_rollouts=2, training=True)
    assert {x.shape[0] for x in outputs} == {6}
    assert {tuple(x.shape) for x in chosen.values()} == {(6, 5)}


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_symbolic_outputs_are_what_arrives(dtype):
    layer = dsl.DynamicSkipLSTM(
        6, num_actions=3, return_policy=True, return_state=True, dtype=dtype
    )
    symbolic = layer(keras.Input((5, 4), batch_size=3), num_rollouts=2)
    real = layer(X, num_rollouts=2)
    pairs = zip(
        keras.tree.flatten(symbolic), keras.tree.flatten(real), strict=True
    )
    for expected, found in pairs:
        assert tuple(expected.shape) == tuple(found.shape)
        assert expected.dtype == keras.backend.standardize_dtype(found.dtype)


@pytest.mark.backend
def test_a_backward_run_is_replayed_from_its_reversed_look_back():
    layer = dsl.DynamicSkipLSTM(
        6, num_actions=3, go_backwards=True, return_policy=True, seed=1
    )
    output, chosen = layer(X, action_selection="sampled")
    look_back = to_numpy(chosen["look_back"])
    assert len(np.unique(look_back)) > 1
    replayed, _ = layer(X, look_back=look_back[:, ::-1])
    np.testing.assert_allclose(to_numpy(output), to_numpy(replayed), atol=1e-6)


@pytest.mark.parametrize(
    "call, message",
    [
        ({"action_selection": "smapled"}, "`action_selection` must be one of"),
        ({"num_rollouts": 0}, "`num_rollouts` is the number of rollouts"),
        ({"initial_state": [X[:, 0]]}, "sizes \\[6, 6, 12, 12, 1\\]"),
        ({"look_back": np.ones((3, 4))}, "shape \\(batch, time\\)"),
    ],
)
def test_impossible_calls_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        dsl.DynamicSkipLSTM(6, num_actions=3)(X, **call)
