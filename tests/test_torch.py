"""The layers on PyTorch, which only runs where it is installed.

KERAS_BACKEND=torch python -m pytest tests/test_torch.py
"""

import cases
import keras
import numpy as np
import pytest

import dsl

LAYERS = [dsl.LSTM, dsl.DynamicSkipLSTM, dsl.FixedSkipLSTM, dsl.AttentionLSTM]

on_torch = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="the backend is another"
)


class Parts:
    """Finds its parts as a module of PyTorch does."""

    def __getattr__(self, name):
        if name == "part":
            return "found"
        raise AttributeError(f"no {name}")


class Mixed(dsl.LSTM, Parts):
    """A layer whose base class keeps attributes elsewhere."""


@pytest.mark.backend
@pytest.mark.skipif(
    keras.config.backend() == "torch", reason="it has another such base class"
)
def test_what_the_backend_keeps_elsewhere_is_found():
    layer = Mixed(4)
    assert (layer.part, layer.units) == ("found", 4)
    with pytest.raises(AttributeError, match="no such"):
        _ = layer.such
    with pytest.raises(AttributeError, match="'such'"):
        _ = dsl.LSTM(4).such


@on_torch
@pytest.mark.parametrize("make", LAYERS)
def test_it_learns_and_is_saved(make, tmp_path):
    x = cases.random_inputs(batch=8, steps=4).astype("float32")
    options = {}
    if make is dsl.DynamicSkipLSTM:
        options["estimator"] = "straight_through"
    model = keras.Sequential([make(8, **options), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.05), "mse", jit_compile=False)
    history = model.fit(x, x[:, 0, :1], epochs=15, batch_size=8, verbose=0)
    losses = history.history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        loaded.predict_on_batch(x), model.predict_on_batch(x)
    )


@on_torch
def test_a_derivative_by_hand_has_none_itself():
    import torch

    def twice(**options):
        layer = dsl.LSTM(4, **options)
        x = torch.ones(2, 3, 5, requires_grad=True)
        (dx,) = torch.autograd.grad((layer(x) ** 2).sum(), x, create_graph=True)
        return torch.autograd.grad(dx.sum(), x)

    with pytest.raises(RuntimeError, match="autodiff=True.*create_graph"):
        twice()
    assert torch.any(twice(autodiff=True)[0] != 0)
