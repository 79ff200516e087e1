"""The gradient by each hidden state, against difference quotients."""

import contextlib

import cases
import keras
import numpy as np
import pytest
import readers
import reference
import small_models
from small_models import ACTIONS, BATCH, LOWER, STEPS, WORDS
from small_runs import uncompiled

import dsl
from dsl.analysis import gradient_norms
from dsl.analysis import hidden_gradients as derivatives
from dsl.datasets import streams
from dsl.policy import credit

TOKENS = small_models.text().reshape(BATCH, STEPS)
TARGETS = small_models.text(seed=5).reshape(BATCH, STEPS)
STEP = 1e-5


def assert_gradients(found, last_nll):
    """g_t u_t = (L(e u_t) - L(-e u_t)) / 2e for random directions u_t.

    Args:
        found: g_t, `(batch, time, units)`.
        last_nll: Function from what is added to each h_t, of that shape, to
            the loss of the last step, `(batch,)`, in float64.
    """
    directions = np.random.default_rng(1).normal(size=found.shape)
    expected = np.zeros(found.shape[:2])
    for t in range(STEPS):
        added = np.zeros(found.shape)
        added[:, t] = STEP * directions[:, t]
        expected[:, t] = (last_nll(added) - last_nll(-added)) / (2 * STEP)
    slopes = np.sum(found * directions, axis=-1)
    np.testing.assert_allclose(slopes, expected, atol=5e-5)
    assert np.abs(expected[:, -1]).max() > 0.1


def hidden_gradients(model, tokens=TOKENS, targets=TARGETS, **options):
    """What the library finds, in NumPy."""
    if options.get("states") is not None:
        options["states"] = cases.cast(options["states"], "float32")
    found = derivatives.hidden_gradients(model, tokens, targets, **options)
    return keras.tree.map_structure(
        lambda x: None if x is None else cases.to_numpy(x), found
    )


def some_states():
    rng = np.random.default_rng(7)
    lower = [rng.normal(size=(BATCH, LOWER)) for _ in range(2)]
    return [*lower, *cases.random_state(ACTIONS, counts=(2, 9))]


@pytest.mark.backend
@pytest.mark.parametrize(
    ("num_actions", "skip_weight", "given"),
    [
        (1, 1.0, False),
        (ACTIONS, 1.0, False),
        (ACTIONS, 0.3, True),
    ],
)
def test_gradients_equal_difference_quotients(num_actions, skip_weight, given):
    """Distances that are given, or that the agent takes by itself."""
    model = small_models.build(num_actions=num_actions, skip_weight=skip_weight)
    options = {}
    if given and num_actions > 1:
        look_back = cases.random_look_back(ACTIONS, 8, BATCH, STEPS)
        options = {"states": some_states(), "look_back": look_back}
    found = hidden_gradients(model, **options)
    right = small_models.oracle(
        TOKENS, num_actions=num_actions, skip_weight=skip_weight, **options
    )
    if num_actions > 1:
        np.testing.assert_array_equal(found["look_back"], right["look_back"])
        assert (right["look_back"] > 1).any()
    small_models.assert_states(found["states"], right["states"])

    def last_nll(added):
        moved = small_models.oracle(
            TOKENS,
            options.get("states"),
            num_actions=num_actions,
            skip_weight=skip_weight,
            look_back=right["look_back"] if num_actions > 1 else None,
            added=added,
        )
        return small_models.nll(moved["logits"], TARGETS)[:, -1]

    unmoved = last_nll(0.0 * right["outputs"])
    np.testing.assert_allclose(found["nll"], unmoved, atol=1e-4)
    assert_gradients(found["gradients"], last_nll)


@pytest.mark.parametrize("kind", readers.KINDS)
def test_models_without_a_choice(kind):
    """A fixed skip; and an attention, whose weights h_t decides too."""
    rng = np.random.default_rng(0)
    sequences = {"return_sequences": True, "return_state": True}
    options = {} if kind == "fixed" else {"return_attention": False}
    model = dsl.LanguageModel(
        WORDS,
        [dsl.LSTM(cases.FEATURES, **sequences), readers.layer(kind, **options)],
        embedding_units=3,
    )
    model.build((BATCH, STEPS))
    lower = cases.random_weights(1, 1, 3, cases.FEATURES)
    cases.set_weights(model.recurrent_layers[0], lower)
    embedding = rng.normal(size=(WORDS, 3))
    kernel = rng.normal(size=(cases.UNITS, WORDS))
    model.embedding.embeddings.assign(embedding)
    model.softmax_kernel.assign(kernel)
    bias = cases.to_numpy(model.softmax_bias)
    inputs, _, _ = reference.lstm(embedding[TOKENS], lower)

    def last_nll(added):
        moved = readers.oracle(
            kind, inputs, readers.random_weights(kind), added=added
        )
        return small_models.nll(moved["outputs"] @ kernel + bias, TARGETS)[
            :, -1
        ]

    found = hidden_gradients(model)
    assert found["look_back"] is None
    assert_gradients(found["gradients"], last_nll)


def test_without_the_previous_state_only_one_path_leads_back():
    model = small_models.build(skip_weight=1.0)
    look_back = cases.random_look_back(ACTIONS, 6, BATCH, STEPS)
    found = hidden_gradients(model, look_back=look_back)
    norms = np.linalg.norm(found["gradients"], axis=-1)
    # A choice on the path reads a state; the last state is read too.
    path = cases.to_numpy(credit.path_weight(found["look_back"]))
    assert (path == 0).any()
    np.testing.assert_array_equal(norms > 0, path > 0)


JIT = keras.backend.backend() == "jax"


@pytest.mark.parametrize("keep_buffer", [True, False])
def test_the_norms_of_a_text_are_those_of_its_segments(keep_buffer):
    model, length = small_models.build(), 3
    text = small_models.text(2 * 8 + 1)
    # In a graph, and step by step.
    with contextlib.nullcontext() if keep_buffer else uncompiled():
        found = gradient_norms.text_norms(
            model,
            text,
            length=length,
            num_streams=2,
            keep_buffer=keep_buffer,
            jit_compile=JIT,
        )
    rows, states, expected = streams.batch(text, 2), None, []
    for start in (0, 3):
        one = hidden_gradients(
            model,
            rows[:, start : start + length],
            rows[:, start + 1 : start + length + 1],
            states=states,
        )
        expected.append(np.sqrt(np.sum(one["gradients"] ** 2, axis=-1)))
        states = one["states"]
        if not keep_buffer:
            states[4:] = [0.0 * state for state in states[4:]]
    # The eighth word of a stream has no whole segment.
    assert found.shape == (4, length) and found.dtype == np.float64
    np.testing.assert_allclose(found, np.concatenate(expected), atol=1e-6)


def test_random_distances_have_their_shares():
    """Nothing but two words back, where a path leads past h_2."""
    with uncompiled():
        found = gradient_norms.text_norms(
            small_models.build(skip_weight=1.0),
            small_models.text(8),
            length=3,
            num_streams=2,
            look_back_shares=[0.0, 5.0, 0.0],
            jit_compile=JIT,
        )
    np.testing.assert_array_equal(found > 0, [[True, False, True]] * 2)


def test_sampled_actions_are_those_of_the_seed():
    """The model's own random numbers go on as if nothing had been drawn."""
    model = small_models.build(skip_weight=1.0)
    before = [cases.to_numpy(variable) for variable in model.variables]

    def norms(actions, seed):
        with uncompiled():
            return gradient_norms.text_norms(
                model,
                small_models.text(2 * 12 + 1),
                length=6,
                num_streams=2,
                action_selection=actions,
                seed=seed,
                jit_compile=JIT,
            )

    first, again, other = (norms("sampled", seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    assert np.any(first != norms("greedy", 1))
    np.testing.assert_array_equal(norms("greedy", 1), norms("greedy", 2))
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(cases.to_numpy(variable), value)


def test_a_text_that_fills_no_segment_is_refused():
    with pytest.raises(ValueError, match="Received: 8 tokens for 2 streams"):
        gradient_norms.text_norms(
            small_models.build(), small_models.text(8), length=4, num_streams=2
        )


def test_half_precision_is_refused():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = small_models.build()
    finally:
        keras.config.set_dtype_policy(before)
    message = "float32 or wider.*Received: compute_dtype='bfloat16'"
    with pytest.raises(ValueError, match=message):
        hidden_gradients(model)
    with pytest.raises(ValueError, match=message):
        gradient_norms.text_norms(model, small_models.text(8), length=3)


NORMS_A = np.array([[1.0, 3.0, 4.0], [0.0, 1.0, 4.0]])
NORMS_B = np.array([[3.0, 1.0, 1.0], [5.0, 1.0, 3.0]])


def test_norms_are_scaled_to_those_of_the_last_step():
    found = gradient_norms.normalized(NORMS_A)
    np.testing.assert_allclose(found, [0.5 / 4, 2 / 4, 1.0])
    with pytest.raises(ValueError, match="Received: a mean of 0.0"):
        gradient_norms.normalized(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="Received: a mean of 0.0"):
        gradient_norms.pooled([NORMS_A, np.zeros((2, 3))])
    with pytest.raises(ValueError, match="Received: a mean of nan"):
        gradient_norms.normalized(np.full((2, 3), np.nan))
    np.testing.assert_array_equal(gradient_norms.scaled(NORMS_A), NORMS_A / 4.0)
    both = gradient_norms.pooled([NORMS_A, NORMS_B])
    np.testing.assert_allclose(
        both.mean(axis=0), (found + np.array([2.0, 0.5, 1.0])) / 2
    )


def test_the_factor_and_its_interval():
    equal = [np.repeat(norms[:1], 2, axis=0) for norms in (NORMS_A, NORMS_B)]
    found = gradient_norms.factor(*equal, samples=9)
    assert found == pytest.approx(dict.fromkeys(found, 12.0))
    # One segment says nothing of others.
    assert gradient_norms.factor(NORMS_A[:1], NORMS_B[:1], samples=9) is None
    # A draw is one of (0, 0), (0, 1), (1, 0) and (1, 1), a quarter each.
    norms = [
        np.array([[1.0, 1.0], [3.0, 1.0]]),
        np.array([[2.0, 1.0], [9.0, 1.0]]),
    ]
    found = gradient_norms.factor(*norms, samples=500)
    assert found == pytest.approx({"factor": 11 / 4, "low": 2.0, "high": 3.0})
    found = gradient_norms.factor(*norms, samples=500, level=0.3)
    assert found["low"] == found["high"] == pytest.approx(11 / 4)
    later = gradient_norms.factor(NORMS_A, NORMS_B, step=1, samples=9)
    assert later["factor"] == pytest.approx(0.5 / (2 / 4))
    assert gradient_norms.factor(0 * NORMS_A, NORMS_B, samples=9) is None
    # Some draw holds the second segment alone, which has nothing of a.
    assert gradient_norms.factor(NORMS_A, NORMS_B, samples=99) is None
    with pytest.raises(ValueError, match=r"Received: shapes \(2, 3\) and \(1"):
        gradient_norms.factor(NORMS_A, NORMS_B[:1])
