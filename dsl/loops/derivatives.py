"""Derivatives by hand: of the first order, and open to those above."""

import keras
from keras import ops, tree


def by_hand(function):
    """`keras.ops.custom_gradient`, which says what it cannot do.

    Args:
        function: Takes tensors; returns what it computes, and the function
            from upstream gradients to the gradients of the tensors. What that
            one reads is differentiated in its turn, where it is computed from
            the tensors or comes from `recall`.

    Returns:
        Function of the tensors.

    Raises:
        TypeError: On JAX in forward mode (`jax.jvp`, `jax.jacfwd`), for which
            there is no derivative by hand. Within `jax.jit` JAX says so
            itself.
    """
    derived = ops.custom_gradient(function)

    def run(*operands):
        try:
            return derived(*operands)
        except TypeError as error:
            if "forward-mode" not in str(error):
                raise
            raise TypeError(
                "a derivative by hand goes backwards only; forward mode "
                "(jax.jvp, jax.jacfwd) needs a layer with `autodiff=True`. "
                f"Received: {error}"
            ) from error

    return run


def recall(values, recompute, operands):
    """Values from before, with the derivative that computing them would have.

    Nothing is computed again unless somebody differentiates what is returned:
    a backward pass reads it at no cost, and the derivative of the backward
    pass is right.

    Args:
        values: Tree of tensors, of which no gradient is taken.
        recompute: Function of the operands that gives the same values, and is
            differentiable by the framework.
        operands: Tuple of tensors.

    Returns:
        Tree of tensors.
    """
    flat = tree.flatten(values)

    def again(*operands):
        return tree.flatten(recompute(*operands))

    if keras.backend.backend() == "jax":
        flat = _recall_jax(flat, again, operands)
    elif keras.backend.backend() == "tensorflow":
        flat = _recall_tensorflow(flat, again, operands)
    return tree.pack_sequence_as(values, list(flat))


def _recall_jax(values, again, operands):
    import jax

    @jax.custom_jvp
    def attach(values, operands):
        return values

    @attach.defjvp
    def move(primals, tangents):
        values, operands = primals
        _, moved = jax.jvp(again, operands, tangents[1])
        return values, moved

    return attach(values, tuple(operands))


def _recall_tensorflow(values, again, operands):
    import tensorflow as tf

    @tf.custom_gradient
    def attach(*operands):
        def gradient(*upstream):
            with tf.GradientTape() as tape:
                tape.watch(operands)
                found = again(*operands)
            return tape.gradient(
                found,
                operands,
                output_gradients=list(upstream),
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )

        return tuple(values), gradient

    return attach(*operands)
