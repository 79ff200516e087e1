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
        states: Tree of tensors (on TensorFlow also of tensor arrays), the
            states before the first step.
        inputs: Tree of tensors, each `(time, ...)`.
        reverse: Whether to run from the last step to the first. Outputs stay
            in the order of `inputs`.

    Returns:
        States after the last executed step, and the tree of outputs, each
        `(time, ...)`.
    """
    backend = _loop_backend()
    if backend == "jax":
        import jax

        return jax.lax.scan(step, states, inputs, reverse=reverse)
    if backend == "tensorflow":
        return _graph_scan(step, states, inputs, reverse)
    return _python_scan(step, states, inputs, reverse)


def scan_recent(step, recent, inputs):
    """A scan whose step sees what its last K steps gave.

        x_t, outputs_t = step([x_{t-1}, ..., x_{t-K}], inputs_t)

    Each x_t is written once, after those before it, and read where it stands:
    K states that are carried from step to step would each be copied.

    Args:
        step: As for `scan`, but `(list of K trees, inputs_t) -> (tree,
            outputs_t)`.
        recent: What stands before the first step, nearest first: K tensors, or
            K trees of tensors of one structure, that of x_t.
        inputs: As for `scan`.

    Returns:
        `recent`, farthest first, and x_t of all steps, each tensor `(K + time,
        ...)`; and the tree of outputs, each `(time, ...)`. Callers derive by
        hand: nothing here is arranged for a framework's backward pass.
    """
    length = ops.shape(tree.flatten(inputs)[0])[0]
    arrays = [_Array(len(recent) + length, x) for x in tree.flatten(recent[0])]

    def write(written, at, x):
        all_of = zip(arrays, written, tree.flatten(x), strict=True)
        return [array.write(one, at, part) for array, one, part in all_of]

    def read(written, at):
        both = zip(arrays, written, strict=True)
        parts = [array.read(one, at) for array, one in both]
        return tree.pack_sequence_as(recent[0], parts)

    def advance(written, inputs):
        at, inputs = inputs
        seen = [read(written, at - k) for k in range(1, len(recent) + 1)]
        x, outputs = step(seen, inputs)
        return write(written, at, x), outputs

    written = [array.empty for array in arrays]
    for at, x in enumerate(reversed(recent)):
        written = write(written, at, x)
    places = len(recent) + ops.arange(length, dtype="int32")
    written, outputs = scan(advance, written, (places, inputs))
    stacked = [a.stack(one) for a, one in zip(arrays, written, strict=True)]
    return tree.pack_sequence_as(recent[0], stacked), outputs


def scan_back(step, likes, count, inputs):
    """A scan from the last step to the first that adds to the K before it.

        outputs_t, [given_1, ..., given_K] = step(dx_t, inputs_t)
        dx_{t-k} += given_k

    The reverse of `scan_recent`, as its derivative needs it: dx_t is the sum
    of what the K steps after t have given. It is added up where it stands:
    K sums that are carried from step to step would each be copied.

    Args:
        step: As for `scan`, but `(list of dx_t, inputs_t) -> (outputs_t, list
            of what is given to each, at most K tensors, nearest first)`.
        likes: List of tensors, one for each dx_t, of its shape and dtype.
        count: K.
        inputs: As for `scan`.

    Returns:
        List of dx of the K steps before the first, each a list of K tensors,
        nearest first; and the tree of outputs, each `(time, ...)`.
    """
    length = ops.shape(tree.flatten(inputs)[0])[0]
    arrays = [_Array(count + length, like) for like in likes]

    def retreat(sums, inputs):
        at, inputs = inputs
        dx = [a.read(one, at) for a, one in zip(arrays, sums, strict=True)]
        outputs, given = step(dx, inputs)
        added = zip(arrays, sums, given, strict=True)
        return [_add(*one, at) for one in added], outputs

    places = count + ops.arange(length, dtype="int32")
    sums = [array.zeros() for array in arrays]
    sums, outputs = scan(retreat, sums, (places, inputs), reverse=True)
    before = [
        [array.read(one, at) for at in reversed(range(count))]
        for array, one in zip(arrays, sums, strict=True)
    ]
    return before, outputs


def _add(array, sums, given, at):
    """Adds to the places before `at`, nearest first."""
    for k, x in enumerate(given, start=1):
        sums = array.write(sums, at - k, array.read(sums, at - k) + x)
    return sums


class _Array:
    """Tensors of one shape, written one at a time.

    In the loops of the backend that copies nothing.

    Args:
        size: How many.
        like: A tensor of the same shape and dtype.
    """

    def __init__(self, size, like):
        self.backend = _loop_backend()
        self.size = size
        self.like = like
        if self.backend == "tensorflow":
            import tensorflow as tf

            self.empty = tf.TensorArray(
                like.dtype, size, element_shape=like.shape
            )
        elif self.backend == "jax":
            self.empty = ops.zeros((size, *like.shape), like.dtype)
        else:
            self.empty = [None] * size

    def zeros(self):
        """As if zeros had been written to all places."""
        zero = ops.zeros_like(self.like)
        if self.backend == "tensorflow":
            import tensorflow as tf

            shape = tf.concat([[self.size], tf.shape(zero)], axis=0)
            return self.empty.unstack(tf.broadcast_to(zero, shape))
        return self.empty if self.backend == "jax" else [zero] * self.size

    def read(self, written, at):
        if self.backend == "tensorflow":
            return written.read(at)
        return written[at if self.backend == "jax" else int(at)]

    def write(self, written, at, x):
        if self.backend == "tensorflow":
            return written.write(at, x)
        if self.backend == "jax":
            return written.at[at].set(x)
        written[int(at)] = x
        return written

    def stack(self, written):
        if self.backend is None:
            return ops.stack(written)
        if self.backend == "jax":
            return written
        return written.stack()


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


def _loop_backend():
    """The backend whose own loops are used, None for those of Python."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return None if tf.executing_eagerly() else backend
    return backend if backend == "jax" else None


def _python_scan(step, states, inputs, reverse):
    # Unstacked at once: an eager slice of TensorFlow is slow.
    unstacked = [ops.unstack(x) for x in tree.flatten(inputs)]
    length = len(unstacked[0])
    outputs = [None] * length
    for t in reversed(range(length)) if reverse else range(length):
        inputs_t = tree.pack_sequence_as(inputs, [x[t] for x in unstacked])
        states, outputs[t] = step(states, inputs_t)
    return states, tree.map_structure(lambda *x: ops.stack(x), *outputs)


def _graph_scan(step, states, inputs, reverse):
    import tensorflow as tf

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
    invariants = [getattr(x, "shape", None) for x in flat_states]

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
            if shape is not None:  # A tensor array has no shape.
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
