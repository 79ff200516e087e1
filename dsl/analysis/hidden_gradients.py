"""The derivative of a last word's loss by each hidden state before it.

Reference: Gui et al., AAAI 2019, https://arxiv.org/abs/1811.03873, on the
vanishing gradient.
"""

import keras
from keras import ops

from dsl.loops.scan import scan
from dsl.models.cross_entropy import token_nll
from dsl.policy import choosing
from dsl.policy.acting import Acting
from dsl.steps import wide_dtype


def hidden_gradients(
    language_model,
    tokens,
    targets,
    states=None,
    look_back=None,
    action_selection="greedy",
    vectors=None,
):
    """Computes the gradient of the last step's loss by each hidden state.

        g_t = d L_T / d h_t,   L_T = -log p(y_T)

    of the top layer, by every path that leads from h_t to L_T: through the
    states after it one by one, and through every skip. It is the derivative
    by a perturbation e_t = 0 that is added to h_t for all that read it. The
    cell states c_t and the distances stay as they are.

    Args:
        language_model: A built `dsl.LanguageModel` whose top layer is one of
            `dsl.layers`.
        tokens: Word ids, int32 `(batch, time)`.
        targets: The words after them, of the same shape.
        states: Flat list of the states of all layers; zeros by default.
        look_back: Distances to take, int32 `(batch, time)`; 0, or None for
            all, leaves the choice to the model.
        action_selection: "greedy" or "sampled", how it chooses.
        vectors: Those of all words, if they have been made.

    Returns:
        Dict of `gradients`, float `(batch, time, units)`; `nll`, that of the
        last step, `(batch,)`; `states`, those after the last step; and
        `look_back`, the distances, or None for a model without a choice.

    Raises:
        ValueError: If the model computes in half precision, which has no
            digits for gradients that vanish.
    """
    check_precision(language_model)
    tokens = ops.convert_to_tensor(tokens)
    if states is None:
        states = language_model.initial_states(ops.shape(tokens)[0])
    outputs = language_model(
        tokens,
        states=states,
        acting=Acting(action_selection=action_selection, look_back=look_back),
        vectors=vectors,
        predict=False,
    )
    taken = outputs["policy"].get("look_back")
    layer = language_model.recurrent_layers[-1]
    run = _run_of(
        layer.cell,
        ops.transpose(outputs["top_inputs"], (1, 0, 2)),
        states[-len(layer.state_size) :],
        None if taken is None else ops.transpose(taken),
    )

    def last_nll(added):
        logits = language_model.logits(run(added)[:, None])
        return token_nll(logits, targets[:, -1:])[:, 0]

    batch, length = ops.shape(tokens)
    added = ops.zeros((length, batch, layer.units), layer.compute_dtype)
    # The rows know nothing of each other: the sum gives each its own.
    gradients, nll = _gradient(last_nll, added)
    return {
        "gradients": ops.transpose(gradients, (1, 0, 2)),
        "nll": nll,
        "states": outputs["states"],
        "look_back": taken,
    }


def check_precision(language_model):
    """Raises a ValueError if gradients would be rounded to half precision."""
    if wide_dtype(language_model.compute_dtype) != language_model.compute_dtype:
        raise ValueError(
            "`language_model` must compute in float32 or wider: small "
            "gradients need all their digits. Received: compute_dtype="
            f"{language_model.compute_dtype!r}"
        )


def _run_of(cell, inputs, states, look_back):
    """Function from what is added to each h_t to the last one.

    Args:
        cell: A cell of `dsl.cells`.
        inputs: x, float `(time, batch, features)`.
        states: Its states before the first step.
        look_back: Distances, `(time, batch)`, all of them possible, or None.
    """
    steps = {"projected": cell.project(inputs)}
    if look_back is not None:
        wanted = ops.one_hot(look_back - 1, cell.num_actions)
        steps["noise"] = choosing.forcing(wanted)

    def step(states, inputs):
        given = {key: inputs[key] for key in inputs if key == "noise"}
        h_t, states, _ = cell.step(inputs["projected"], states, **given)
        h_t = h_t + inputs["added"]
        # The first state is h_t, from which all later steps read it.
        return [h_t, *states[1:]], h_t

    def run(added):
        _, hidden = scan(step, list(states), {**steps, "added": added})
        return hidden[-1]

    return run


def _gradient(function, tensor):
    """Gradient of the sum of `function(tensor)`, and its value."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensor)
            value = function(tensor)
        return tape.gradient(value, tensor), value
    if backend == "jax":
        import jax

        def total(tensor):
            value = function(tensor)
            return ops.sum(value), value

        return jax.grad(total, has_aux=True)(tensor)
    raise NotImplementedError(
        "gradients need the backend tensorflow or jax. "
        f"Received: backend={backend!r}"
    )
