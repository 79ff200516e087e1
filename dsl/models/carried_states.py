"""Recurrent states between two segments of a text."""

import keras
from keras import ops


class CarriedStates(keras.layers.Layer):
    """The recurrent states of parallel streams between two segments.

    Args:
        language_model: The `dsl.LanguageModel` whose states these are.
        batch_size: Number of streams.
        keep_buffer: Whether past states are carried; if not, only h and c of
            the top layer are (published code).
    """

    def __init__(self, language_model, batch_size, keep_buffer=True):
        super().__init__(name="carried_states", trainable=False)
        self.sizes = language_model.state_sizes
        top = len(language_model.recurrent_layers[-1].state_size)
        self.num_kept = len(self.sizes) - (0 if keep_buffer else top - 2)
        self.batch_size = batch_size

    def build(self, input_shape=None):
        if self.built:
            return
        self.states = [
            self.add_weight(
                shape=(self.batch_size, size),
                name=f"state_{n}",
                initializer="zeros",
            )
            for n, size in enumerate(self.sizes)
        ]
        self.built = True

    def read(self):
        """List of the states, each `(batch_size, size)`."""
        return [ops.copy(state) for state in self.states]

    def write(self, states):
        """Keeps the first `batch_size` rows of each state, no gradient."""
        for n, (old, new) in enumerate(zip(self.states, states, strict=True)):
            new = ops.stop_gradient(new[: self.batch_size])
            old.assign(new if n < self.num_kept else ops.zeros_like(new))

    def reset(self):
        """Sets all streams back to the start of a text."""
        for state in self.states:
            state.assign(ops.zeros(state.shape, state.dtype))
