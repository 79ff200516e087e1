"""The weights of the agent's network, which lie flat on its cell."""

from keras import ops

from dsl.initializers import further
from dsl.scores import MOVES
from dsl.steps import wide


def add_policy_weights(cell, features):
    """Adds A, a, P, V, v, C, M and m to a `dsl.cells.DynamicSkipLSTMCell`.

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
        first = ops.one_hot(0, shape[0], dtype=dtype)
        return start + cell.previous_bias * first

    inner = cell.policy_units
    outer = cell.num_actions if cell.scoring == "location" else 1
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
    initializer = cell.policy_output_kernel_initializer
    if cell.scoring == "key":
        kernel = cell.units, inner
        add("policy_key_kernel", kernel, further(initializer, 1))
    if cell.relative:
        kernel = inner, len(MOVES)
        add("policy_move_kernel", kernel, further(initializer, 2))
        add("policy_move_bias", (len(MOVES),), "zeros")


def policy_weights(cell):
    """The weights of the network as `dsl.scores` names them.

    Args:
        cell: A built cell with more than one action.

    Returns:
        Dict of tensors, float32 or wider.
    """
    names = ["output_kernel", "output_bias"]
    if cell.scoring == "key":
        names += ["key_kernel"]
    if cell.relative:
        names += ["move_kernel", "move_bias"]
    return {
        "query_kernel": wide(cell.policy_kernel[-cell.units :]),
        **{name: wide(getattr(cell, f"policy_{name}")) for name in names},
    }
