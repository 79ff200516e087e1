"""A stack of recurrent layers, of which the top one may choose."""

from keras import ops


def check_layers(layers):
    """Raises a ValueError unless the layers can be stacked."""
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


def state_sizes(layers):
    """Sizes of the states of all layers, bottom first."""
    return [size for layer in layers for size in layer.state_size]


def run(
    layers,
    inputs,
    states,
    dropouts=None,
    training=False,
    num_rollouts=1,
    action_selection=None,
    look_back=None,
):
    """Runs a sequence through recurrent layers, one after the other.

    Args:
        layers: Recurrent layers, bottom first, as `check_layers` wants them.
        inputs: x, float `(batch, time, features)`.
        states: Flat list of the states of all layers, bottom first.
        dropouts: One dropout layer a recurrent layer, for its outputs; None
            for no dropout.
        training: Whether dropout is applied.
        num_rollouts: How often a top layer that chooses is run from the same
            state.
        action_selection: Passed to it.
        look_back: Likewise; see `dsl.DynamicSkipLSTM`.

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
    new_states, policy, told = [], {}, {}
    for layer, dropout in zip(layers, dropouts, strict=True):
        read = [states.pop(0) for _ in layer.state_size]
        options = {}
        if getattr(layer, "return_policy", False):
            options["num_rollouts"] = num_rollouts
            options["action_selection"] = action_selection
            options["look_back"] = look_back
        top_inputs = x
        hidden, *rest = layer(
            x, initial_state=read, training=training, **options
        )
        if options:
            policy = rest.pop()
            told["observed"] = _observed(x, hidden, read[0], num_rollouts)
        if getattr(layer, "return_attention", False):
            told["attention"] = rest.pop()["attention"]
        new_states.extend(rest)
        x = hidden
        if dropout is not None:
            rollouts = num_rollouts if options else 1
            x = _shared_dropout(dropout, hidden, rollouts, training)
    return {
        "hidden": x,
        "top_inputs": top_inputs,
        "states": new_states,
        "policy": policy,
        **told,
    }


def _shared_dropout(dropout, hidden, num_rollouts, training):
    """Dropout that falls on the same units in every rollout.

    What differs between rollouts is then due to their actions alone.
    """
    if num_rollouts == 1:
        return dropout(hidden, training=training)
    rows = ops.shape(hidden)[0] // num_rollouts
    mask = dropout(ops.ones_like(hidden[:rows]), training=training)
    return hidden * ops.tile(mask, [num_rollouts, 1, 1])


def _observed(inputs, hidden, h_0, num_rollouts):
    """[x_t ; h_{t-1}] of a layer, from what it read and wrote."""
    inputs = ops.tile(inputs, [num_rollouts, 1, 1])
    first = ops.tile(h_0, [num_rollouts, 1])[:, None]
    before = ops.concatenate([first, hidden[:, :-1]], axis=1)
    return ops.concatenate([inputs, before], axis=-1)
