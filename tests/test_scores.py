"""The scores of past states, against the oracle and enumeration."""

import cases
import numpy as np
import pytest
import reference
from gradients import gradients
from keras import ops

from dsl import scores

pytestmark = pytest.mark.backend

K, UNITS, QUERY = 5, 4, 3


def weights(by_key=False, relative=True):
    """Random weights of the scores, by their names."""
    rng = np.random.default_rng(70)
    located = 1 if by_key else K
    shapes = {
        "query_kernel": (UNITS, QUERY),
        "output_kernel": (QUERY, located),
        "output_bias": (located,),
    }
    if by_key:
        shapes["key_kernel"] = (UNITS, QUERY)
    if relative:
        shapes |= {"move_kernel": (QUERY, 3), "move_bias": (3,)}
    return {
        name: rng.normal(size=shape).astype("float32")
        for name, shape in shapes.items()
    }


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("by_key", [False, True])
def test_equal_the_oracle(by_key, relative):
    rng = np.random.default_rng(71)
    given = weights(by_key, relative)
    query = rng.normal(size=(2, QUERY)).astype("float32")
    past_h = rng.normal(size=(K, 2, UNITS)).astype("float32")
    read = rng.dirichlet(np.ones(K), size=2).astype("float32")
    found = scores.scores(
        ops.convert_to_tensor(query),
        given,
        [scores.key(h, given) for h in past_h] if by_key else None,
        ops.convert_to_tensor(read) if relative else None,
    )
    named = {f"policy_{name}": x for name, x in given.items()}
    for row in range(2):
        expected = reference.scores_of_query(
            query[row],
            list(past_h[:, row]),
            read[row] if relative else None,
            K,
            named,
            "policy",
        )
        np.testing.assert_allclose(
            cases.to_numpy(found)[row], expected, atol=1e-5
        )


def test_after_a_state_is_the_one_that_was_read_right_after_it():
    """Read 3 back: a step later that state is 4 back, the next one 3."""
    read = np.eye(K, dtype="float32")[2][None]
    for move, distance in enumerate([3, 4, 5]):
        moves = np.eye(3, dtype="float32")[move][None]
        found = cases.to_numpy(scores.of_moves(moves, read))[0]
        assert found.tolist() == np.eye(K)[distance - 1].tolist()


def test_what_moves_away_from_the_states_is_lost():
    read = np.eye(K, dtype="float32")[K - 1][None]
    moves = np.array([[0.0, 1.0, 2.0]], "float32")
    assert not cases.to_numpy(scores.of_moves(moves, read)).any()


def test_going_on_from_the_previous_state_leaves_the_pointer():
    """Skipped to 3 back, then two plain steps, then to 2 back."""
    pointer, found = np.zeros((1, K), "float32"), []
    for distance in (1, 1, 3, 1, 1, 2, 1):
        read = np.eye(K, dtype="float32")[distance - 1][None]
        pointer = cases.to_numpy(scores.point(read, pointer, 1.0))
        found.append(int(pointer[0].argmax()) + 1)
        assert pointer.sum() == 1.0
    assert found == [1, 2, 3, 4, 5, 2, 3]


def test_a_pointer_that_is_lost_begins_anew():
    pointer = np.eye(K, dtype="float32")[K - 1][None]
    for distance in (1, 1):
        read = np.eye(K, dtype="float32")[distance - 1][None]
        pointer = cases.to_numpy(scores.point(read, pointer, 1.0))
    assert pointer[0].tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]


def test_the_derivative_of_a_pointer_is_that_of_the_framework():
    rng = np.random.default_rng(73)
    read, pointer, upstream = (
        rng.random(size=(2, K)).astype("float32") for _ in range(3)
    )
    begun = np.array([[1.0], [0.0]], "float32")

    def loss(read, pointer):
        return ops.sum(scores.point(read, pointer, begun) * upstream)

    _, _, expected = gradients(loss, [], [read, pointer])
    found = scores.point_gradient(upstream, read, pointer, begun)
    for one, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(cases.to_numpy(one), right, atol=1e-5)


def test_the_derivative_of_moves_is_that_of_the_framework():
    rng = np.random.default_rng(72)
    moves, read, upstream = (
        rng.normal(size=(2, n)).astype("float32") for n in (3, K, K)
    )

    def loss(moves, read):
        return ops.sum(scores.of_moves(moves, read) * upstream)

    _, _, expected = gradients(loss, [], [moves, read])
    found = scores.moves_gradient(upstream, moves, read)
    for one, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(cases.to_numpy(one), right, atol=1e-5)
