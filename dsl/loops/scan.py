"""One loop over time for every backend."""

import keras
from keras import ops, tree


def scan(step, states, inputs, reverse=False):
    """Runs `step` over the leading axis of `inputs`.

        states_t, outputs_t = step(states_tm1, inputs_t)

    On TensorFlow graphs this is `tf.while_loop` over tensor arrays, on JAX
    `jax.lax.scan`, elsewhere (and in eager TensorFlow) a Python loop. It is
    differentiable on all of them.

    Args:
        step: Pure function `(states, inputs_t) -> (states, outputs_t)`; it may
            neither draw random numbers nor touch variables.
        states: Tree of tensors, the states before the first step.
        inputs: Tree of tensors, each `(time, ...)`.
        reverse: Whether to run from the last step to the first. Outputs stay
            in the order of `inputs`.

    Returns:
        States after the last executed step, and the tree of outputs, each
        `(time, ...)`.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.lax.scan(step, states, inputs, reverse=reverse)
    if backend == "tensorflow":
        import tensorflow as tf

        if not tf.executing_eagerly():
            return _graph_scan(tf, step, states, inputs, reverse)
    return _python_scan(step, states, inputs, reverse)


def after(value, earlier):
    """The same value, but not used before `earlier` has been computed.

    What takes turns never needs its memory at the same time; a graph would
    run it side by side.

    Args:
        value: A tensor.
        earlier: Tree of tensors.

    Returns:
        `value`.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.lax.optimization_barrier((value, earlier))[0]
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.control_dependencies(tree.flatten(earlier)):
            return tf.identity(value)
    return value


def _python_scan(step, states, inputs, reverse):
    length = tree.flatten(inputs)[0].shape[0]
    outputs = [None] * length
    for t in reversed(range(length)) if reverse else range(length):
        inputs_t = tree.map_structure(lambda x, t=t: x[t], inputs)
        states, outputs[t] = step(states, inputs_t)
    return states, tree.map_structure(lambda *x: ops.stack(x), *outputs)


def _graph_scan(tf, step, states, inputs, reverse):
    flat_inputs = tree.flatten(inputs)
    static_length = flat_inputs[0].shape[0]
    length = tf.shape(flat_inputs[0])[0]
    readers = [
        tf.TensorArray(x.dtype, length, element_shape=x.shape[1:]).unstack(x)
        for x in flat_inputs
    ]

    def read(t):
        return tree.pack_sequence_as(inputs, [r.read(t) for r in readers])

    # Tells structure and types of the outputs; the graph prunes it.
    _, example = step(states, read(0))
    flat_example = tree.flatten(example)
    writers = [
        tf.TensorArray(x.dtype, length, element_shape=x.shape)
        for x in flat_example
    ]
    flat_states = tree.flatten(states)
    invariants = [x.shape for x in flat_states]

    def body(n, flat_states, writers):
        t = length - 1 - n if reverse else n
        new_states, outputs = step(
            tree.pack_sequence_as(states, list(flat_states)), read(t)
        )
        writers = [
            w.write(t, x)
            for w, x in zip(writers, tree.flatten(outputs), strict=True)
        ]
        flat_states = tree.flatten(new_states)
        for new, shape in zip(flat_states, invariants, strict=True):
            new.set_shape(shape)
        return n + 1, flat_states, writers

    _, flat_states, writers = tf.while_loop(
        lambda n, *_: n < length,
        body,
        (tf.constant(0), flat_states, writers),
        maximum_iterations=length,
    )
    outputs = [w.stack() for w in writers]
    for x in outputs:
        x.set_shape([static_length] + x.shape[1:].as_list())
    return (
        tree.pack_sequence_as(states, flat_states),
        tree.pack_sequence_as(example, outputs),
    )
