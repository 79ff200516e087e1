"""The weights of the agent's network, which lie flat on its cell."""

from keras import ops

from dsl.steps import wide


def add_policy_weights(cell, features):
    """Adds A, a, P, V and v to a `dsl.cells.DynamicSkipLSTMCell`.

    They are kept as they are made, whatever the cell computes in.

    Args:
        cell: The cell, while it is built.
        features: Size of x_t.
    """

    def add(name, shape, initializer):
        weight = cell.add_weight(
            shape=shape, name=name, initializer=initializer, autocast=False
        )
        setattr(cell, name, weight)

    def start_near(shape, dtype=None):
        start = cell.policy_bias_initializer(shape, dtype=dtype)
        first = ops.one_hot(0, cell.num_actions, dtype=dtype)
        return start + cell.previous_bias * first

    inner, outer = cell.policy_units, cell.num_actions
    add(
        "policy_kernel",
        (features + cell.units, inner),
        cell.policy_kernel_initializer,
    )
    add("policy_bias", (inner,), cell.policy_bias_initializer)
    if cell.policy_positions > 0:
        positions = (cell.policy_positions, inner)
        add("policy_position_kernel", positions, "zeros")
    add(
        "policy_output_kernel",
        (inner, outer),
        cell.policy_output_kernel_initializer,
    )
    add("policy_output_bias", (outer,), start_near)


def policy_weights(cell):
    """The weights that `dsl.policy.network.logits` takes.

    Args:
        cell: A built cell with more than one action.

    Returns:
        Dict of `policy_recurrent_kernel`, `policy_output_kernel` and
        `policy_output_bias`, float32 or wider.
    """
    return {
        "policy_recurrent_kernel": wide(cell.policy_kernel[-cell.units :]),
        "policy_output_kernel": wide(cell.policy_output_kernel),
        "policy_output_bias": wide(cell.policy_output_bias),
    }
