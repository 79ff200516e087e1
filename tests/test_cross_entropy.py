"""The cross-entropy and its gradient, against float64 NumPy."""

import cases
import numpy as np
import pytest
from gradients import gradients
from keras import ops

from dsl import cross_entropy

pytestmark = pytest.mark.backend

B, T, V = 3, 5, 7


def reference(logits, targets):
    """-log softmax(z)_y and its derivative in z, float64."""
    logits = logits.astype("float64")
    shifted = logits - logits.max(axis=-1, keepdims=True)
    exp = np.exp(shifted)
    total = exp.sum(axis=-1, keepdims=True)
    onehot = np.eye(logits.shape[-1])[targets]
    nll = (np.log(total) - shifted)[onehot > 0].reshape(targets.shape)
    return nll, exp / total - onehot


def random_case(scale):
    generator = np.random.default_rng(3)
    logits = scale * generator.normal(size=(B, T, V)).astype("float32")
    return logits, generator.integers(0, V, (B, T)).astype("int32")


# 100 lets the probability of nearly every target underflow.
@pytest.mark.parametrize("scale", [0.0, 1.0, 10.0, 100.0, 1e6])
def test_equals_the_equation(scale):
    logits, targets = random_case(scale)
    expected, derivative = reference(logits, targets)
    found = cross_entropy.token_nll(logits, targets)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-6)
    upstream = np.random.default_rng(4).normal(size=(B, T)).astype("float32")

    def weighted(logits):
        return ops.sum(cross_entropy.token_nll(logits, targets) * upstream)

    _, _, (gradient,) = gradients(weighted, [], [logits])
    np.testing.assert_allclose(
        gradient, derivative * upstream[..., None], atol=1e-6
    )


def test_half_precision_is_summed_in_float32():
    logits, targets = random_case(1.0)
    logits = logits.astype("float16")
    found = cross_entropy.token_nll(ops.array(logits), targets)
    assert ops.dtype(found) == "float32"
    expected, _ = reference(logits, targets)
    np.testing.assert_allclose(cases.to_numpy(found), expected, rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_so(value):
    logits, targets = random_case(1.0)
    logits[1, 2, 3] = value
    found = cases.to_numpy(cross_entropy.token_nll(logits, targets))
    assert not np.isfinite(found[1, 2])
    found[1, 2] = 0.0
    assert np.isfinite(found).all()
