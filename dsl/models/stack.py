"""A stack of recurrent layers, of which the top one may choose."""

import keras
from keras import ops

from dsl.policy.acting import ONCE
from dsl.steps import output_size


def check_layers(layers, causal=False):
    """Raises a ValueError unless the layers can be stacked.

    Args:
        layers: Recurrent layers, bottom first: of this library, of Keras, or
            `keras.layers.Bidirectional` around two of them.
        causal: Whether no output may depend on a later input.
    """
    if not layers:
        raise ValueError("`layers` must hold at least one layer. Received: []")
    for n, layer in enumerate(layers):
        if not (layer.return_sequences and layer.return_state):
            raise ValueError(
                "each layer needs return_sequences=True and "
                f"return_state=True. Received: {layer.name!r} without"
            )
        for option in ("return_policy", "return_attention"):
            if getattr(layer, option, False) and n + 1 < len(layers):
                raise ValueError(
                    "only the last layer may return its policy or attention. "
                    f"Received: {option}=True in {layer.name!r}"
                )
        if not _is_bidirectional(layer):
            continue
        if causal:
            raise ValueError(
                "a layer must not read what is to be predicted. "
                f"Received: {layer.name!r}, which is bidirectional"
            )
        if layer.merge_mode is None:
            raise ValueError(
                "both directions of a layer must be merged. "
                f"Received: merge_mode=None in {layer.name!r}"
            )


def build(layers, features):
    """Builds the layers for inputs of so many features.

    Returns:
        Size of the top layer's outputs.
    """
    for layer in layers:
        layer.build((None, None, features))
        if _is_bidirectional(layer):
            shape, *_ = layer.compute_output_shape((None, None, features))
            features = shape[-1]
        else:
            features = output_size(layer.cell)
    return features


def state_sizes(layers):
    """Sizes of the states of all layers, bottom first, forward first."""
    return [
        size
        for layer in layers
        for one in _parts(layer)
        for size in one.state_size
    ]


def observation_size(layers):
    """Size of e_t = [x_t ; h_{t-1}] of a top layer that chooses."""
    cell = layers[-1].cell
    return cell.kernel.shape[0] + cell.units


def run(
    layers,
    inputs,
    states,
    dropouts=None,
    training=False,
    mask=None,
    acting=ONCE,
):
    """Runs a sequence through recurrent layers, one after the other.

    Args:
        layers: Recurrent layers, bottom first, as `check_layers` wants them.
        inputs: x, float `(batch, time, features)`.
        states: Flat list of the states of all layers, bottom first.
        dropouts: One dropout layer a recurrent layer, for its outputs; None
            for no dropout.
        training: Whether dropout is applied.
        mask: Which steps count, bool `(batch, time)`, in every layer; None for
            all.
        acting: How a top layer that chooses acts, a `dsl.policy.acting.Acting`.

    Returns:
        Dict of `hidden`, the outputs of the top layer `(rollouts * batch,
        time, units)`; `top_inputs`, what it read, `(batch, time, features)`;
        `states`, flat list, those of the top layer with
        rollouts * batch rows; `policy`, the dict of a top layer that chooses,
        else empty; of such a layer also `observed`, its e_t = [x_t ; h_{t-1}],
        `(rollouts * batch, time, features + units)`; of one that returns its
        `attention` those weights, `(batch, time, num_states)`.
    """
    x, states = inputs, list(states)
    dropouts = dropouts or [None] * len(layers)
    masked = {} if mask is None else {"mask": mask}
    new_states, policy, more = [], {}, {}
    for layer, dropout in zip(layers, dropouts, strict=True):
        read = [states.pop(0) for _ in state_sizes([layer])]
        chooses = getattr(layer, "return_policy", False)
        rollouts = acting.num_rollouts if chooses else 1
        options = acting.call_arguments() if chooses else {}
        top_inputs = x
        hidden, *rest = layer(
            x, initial_state=read, training=training, **masked, **options
        )
        if chooses:
            policy = rest.pop()
            more["observed"] = _observation(x, hidden, read[0], rollouts)
        if getattr(layer, "return_attention", False):
            more["attention"] = rest.pop()["attention"]
        new_states.extend(rest)
        x = hidden
        if dropout is not None:
            x = _shared_dropout(dropout, hidden, rollouts, training)
    return {
        "hidden": x,
        "top_inputs": top_inputs,
        "states": new_states,
        "policy": policy,
        **more,
    }


def at_end(layers, found):
    """What the top layer has put out at its end, `(batch, units)`.

    Backwards that is the first step, and a bidirectional layer has zeros at
    masked steps: of both directions it is what they hold last.

    Args:
        layers: The layers that were run.
        found: What `run` gave.
    """
    top = layers[-1]
    if not _is_bidirectional(top):
        return found["hidden"][:, -1]
    forward, backward = (len(one.state_size) for one in _parts(top))
    last = found["states"]
    both = [last[-forward - backward], last[-backward]]
    if top.merge_mode == "concat":
        return ops.concatenate(both, axis=-1)
    if top.merge_mode == "mul":
        return both[0] * both[1]
    return sum(both) / (2 if top.merge_mode == "ave" else 1)


def _is_bidirectional(layer):
    return isinstance(layer, keras.layers.Bidirectional)


def _parts(layer):
    """The layers of both directions, or the one layer."""
    if _is_bidirectional(layer):
        return [layer.forward_layer, layer.backward_layer]
    return [layer]


def _shared_dropout(dropout, hidden, num_rollouts, training):
    """Dropout that falls on the same units in every rollout.

    What differs between rollouts is then due to their actions alone.
    """
    if num_rollouts == 1:
        return dropout(hidden, training=training)
    rows = ops.shape(hidden)[0] // num_rollouts
    mask = dropout(ops.ones_like(hidden[:rows]), training=training)
    return hidden * ops.tile(mask, [num_rollouts, 1, 1])


def _observation(inputs, hidden, h_0, num_rollouts):
    """[x_t ; h_{t-1}] of a layer, from what it read and wrote."""
    inputs = ops.tile(inputs, [num_rollouts, 1, 1])
    first = ops.tile(h_0, [num_rollouts, 1])[:, None]
    before = ops.concatenate([first, hidden[:, :-1]], axis=1)
    return ops.concatenate([inputs, before], axis=-1)
