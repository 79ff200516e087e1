"""Draws at each step of a cell, inside of `keras.layers.RNN` too."""

from keras import ops

from dsl.draws import StepSeed

_SEED_STATE = "seed_state"


class StepDraws:
    """The seeds of a cell that draws at each step; stands before its base.

    A seed generator may not be advanced in the loop of every backend, so its
    seed is drawn before the loop, by the calls with which Keras prepares
    dropout masks, and each step derives its own from the steps that the batch
    has taken.

    `.keras` and `.weights.h5` files hold how far the draws have come, beside
    the weights. Keras saves no seed: one of dropout can be lost, for a model
    draws no dropout when it is used.

    A cell says in `draws` whether it does, has a `seed_generator`, and counts
    the steps taken in its last state, float `(batch, 1)`.
    """

    _drawn_seed = None

    def get_dropout_mask(self, step_input):
        if self._drawn_seed is None and self.draws:
            self._drawn_seed = self.seed_generator.next()
        return super().get_dropout_mask(step_input)

    def reset_dropout_mask(self):
        self._drawn_seed = None
        super().reset_dropout_mask()

    def step_seed(self, states):
        """What to draw from at a step, given the states before it."""
        if self._drawn_seed is None:
            return self.seed_generator
        taken = ops.sum(ops.cast(states[-1], "float32"))
        return StepSeed(self._drawn_seed, taken)

    def save_own_variables(self, store):
        super().save_own_variables(store)
        if self.draws:
            store[_SEED_STATE] = self.seed_generator.state

    def load_own_variables(self, store):
        weights = {key: store[key] for key in store.keys()}
        state = weights.pop(_SEED_STATE, None)
        super().load_own_variables(weights)
        if state is not None and self.draws:
            self.seed_generator.state.assign(state)
