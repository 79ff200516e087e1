"""The cross-entropy and its gradient, against float64 NumPy."""

import cases
import numpy as np
import pytest
from gradients import gradients
from keras import ops

from dsl.models import cross_entropy

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


@pytest.mark.backend
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


@pytest.mark.backend
def test_half_precision_is_summed_in_float32():
    logits, targets = random_case(1.0)
    logits = logits.astype("float16")
    found = cross_entropy.token_nll(ops.array(logits), targets)
    assert ops.dtype(found) == "float32"
    expected, _ = reference(logits, targets)
    np.testing.assert_allclose(cases.to_numpy(found), expected, rtol=1e-6)


FEATURES = 4


def hidden_case():
    """What logits are made from, all of it random, and targets."""
    rng = np.random.default_rng(5)
    hidden = rng.normal(size=(B, T, FEATURES))
    kernel = rng.normal(size=(FEATURES, V))
    _, targets = random_case(1.0)
    return (hidden, kernel, rng.normal(size=V)), targets


def blocked_reference(hidden, kernel, bias, targets):
    """-log p, and the derivative of its sum in all three, float64."""
    nll, dz = reference(hidden @ kernel + bias, targets)
    return nll, (
        dz @ kernel.T,
        np.einsum("bth,btv->hv", hidden, dz),
        dz.sum(axis=(0, 1)),
    )


# 15 rows in one block; in 2 and in 4 of unequal sizes; in one a row.
@pytest.mark.parametrize("most", [15 * V, 14 * V, 4 * V + 1, V, 1])
def test_blocks_take_turns(most):
    arrays, targets = hidden_case()
    expected, derivatives = blocked_reference(*arrays, targets)
    arrays = [array.astype("float32") for array in arrays]

    def loss(*tensors):
        _, loss = cross_entropy.blocked_nll(*tensors, targets, 0.25, most)
        return 3.0 * loss

    value, _, found = gradients(loss, [], arrays)
    np.testing.assert_allclose(value, 0.75 * expected.sum(), rtol=1e-6)
    for one, right in zip(found, derivatives, strict=True):
        np.testing.assert_allclose(one, 0.75 * right, rtol=1e-4, atol=1e-5)
    tensors = [ops.array(array) for array in arrays]
    for scale in (0.25, None):
        nll, loss = cross_entropy.blocked_nll(*tensors, targets, scale, most)
        np.testing.assert_allclose(nll, expected, rtol=1e-5, atol=1e-6)
    assert loss is None


@pytest.mark.backend
def test_blocks_of_half_precision_are_summed_in_float32():
    arrays, targets = hidden_case()
    half = [ops.cast(array, "bfloat16") for array in arrays]
    rounded = [cases.to_numpy(ops.cast(x, "float32")) for x in half]
    expected, derivatives = blocked_reference(*rounded, targets)
    nll, loss = cross_entropy.blocked_nll(*half, targets, 1.0, 4 * V)
    assert ops.dtype(nll) == ops.dtype(loss) == "float32"
    np.testing.assert_allclose(nll, expected, atol=0.05)

    def run(*tensors):
        half = [ops.cast(tensor, "bfloat16") for tensor in tensors]
        return cross_entropy.blocked_nll(*half, targets, 1.0, 4 * V)[1]

    _, _, found = gradients(run, [], rounded)
    for one, right in zip(found, derivatives, strict=True):
        np.testing.assert_allclose(one, right, atol=0.1)


@pytest.mark.backend
def test_the_weight_of_a_word_is_not_rounded():
    """1 / 60 in bfloat16 is 0.28 % too much, for every word alike."""
    arrays, targets = hidden_case()
    arrays = [array.astype("float32") for array in arrays]

    def found(scale):
        def run(*tensors):
            half = [ops.cast(tensor, "bfloat16") for tensor in tensors]
            return cross_entropy.blocked_nll(*half, targets, scale, 4 * V)[1]

        return gradients(run, [], arrays)[2][0]

    whole, weighted = found(1.0), 60.0 * found(1 / 60)
    mean = np.sum(weighted * whole) / np.sum(whole**2)
    assert mean == pytest.approx(1.0, abs=1e-3)


@pytest.mark.backend
def test_only_a_block_of_logits_is_ever_there():
    """No tensor of the graph, backward pass included, has more elements."""
    tf = pytest.importorskip("tensorflow")
    arrays, targets = hidden_case()

    def sizes(loss):
        @tf.function
        def step(*tensors):
            with tf.GradientTape() as tape:
                tape.watch(tensors)
                value = loss(*tensors)
            return tape.gradient(value, tensors)

        tensors = [tf.constant(array, "float32") for array in arrays]
        graph = step.get_concrete_function(*tensors).graph
        return max(
            output.shape.num_elements() or 0
            for operation in graph.get_operations()
            for output in operation.outputs
        )

    def whole(hidden, kernel, bias):
        logits = hidden @ kernel + bias
        return ops.sum(cross_entropy.token_nll(logits, targets))

    def blocked(*tensors):
        return cross_entropy.blocked_nll(*tensors, targets, 1.0, 8 * V)[1]

    assert sizes(whole) == B * T * V
    # Hidden states are more than a block of logits here.
    assert sizes(blocked) == B * T * FEATURES


@pytest.mark.backend
def test_a_block_waits_for_the_one_before_it():
    """Side by side, both would need their memory at once."""
    tf = pytest.importorskip("tensorflow")
    arrays, targets = hidden_case()

    @tf.function
    def loss(*tensors):
        return cross_entropy.blocked_nll(*tensors, targets, 1.0, 8 * V)[1]

    tensors = [tf.constant(array, "float32") for array in arrays]
    graph = loss.get_concrete_function(*tensors).graph
    logits, softmaxes = (
        [
            operation
            for operation in graph.get_operations()
            if operation.type == kind
            and operation.outputs[0].shape.as_list() in ([7, V], [8, V])
        ]
        for kind in ("MatMul", "Softmax")
    )
    assert len(logits) == len(softmaxes) == 2
    assert softmaxes[0] in _needed(logits[1])


def _needed(operation):
    """All operations of a graph that one waits for."""
    found, left = set(), [operation]
    while left:
        one = left.pop()
        earlier = [tensor.op for tensor in one.inputs] + one.control_inputs
        left += [other for other in earlier if other not in found]
        found.update(earlier)
    return found


@pytest.mark.backend
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_so(value):
    logits, targets = random_case(1.0)
    logits[1, 2, 3] = value
    found = cases.to_numpy(cross_entropy.token_nll(logits, targets))
    assert not np.isfinite(found[1, 2])
    found[1, 2] = 0.0
    assert np.isfinite(found).all()
