"""The LSTM cell that chooses which past state to connect to."""

import functools
import numbers
import warnings

import keras
from keras import ops

from dsl.cells.past_states import PastStatesLSTMCell
from dsl.choices import (
    ACTION_SELECTIONS,
    EMPTY_SLOTS,
    ESTIMATORS,
    OBSERVATIONS,
    check_choice,
    check_count,
    check_number,
)
from dsl.initializers import network_initializers
from dsl.policy import choosing
from dsl.slots import best_action
from dsl.steps import dense, wide, wide_dtype

_SEED_STATE = "seed_state"


@keras.saving.register_keras_serializable(package="dsl")
class DynamicSkipLSTMCell(PastStatesLSTMCell):
    """An LSTM cell that connects to one of its K most recent states.

        e_t = [x_t ; h_{t-1}], gradient stopped
        pi(k | e_t) = softmax(V tanh(A e_t + a) + v)
        k_t ~ pi  (training)  or  argmax pi  (inference)
        h~ = lambda * h_{t-k_t} + (1 - lambda) * h_{t-1}
        c~ = lambda * c_{t-k_t} + (1 - lambda) * c_{t-1}
        (i, f, g, o) = W x_t + U h~ + b
        c_t = sigm(f + b_f) * c~ + sigm(i) * tanh(g)
        h_t = sigm(o) * tanh(c_t)

    Distance k = 1 is the ordinary previous state. With `num_actions=1` there
    is no policy, and the cell is `keras.layers.LSTMCell`.

    Weights: `kernel` W `(features, 4 * units)`, `recurrent_kernel` U
    `(units, 4 * units)`, `bias` b, gates in the order i, f, g, o;
    `policy_kernel` A `(features + units, policy_units)`, `policy_bias` a,
    `policy_output_kernel` V `(policy_units, num_actions)`,
    `policy_output_bias` v, whose element j belongs to distance j + 1.

    States, each float `(batch, size)`: h_{t-1} and c_{t-1} (`units`); the
    hidden and cell states s_{t-2}, s_{t-3}, ... (`(num_actions - 1) * units`
    each, nearest first); the count of steps taken (1). The state that a
    sequence starts from serves its first step as previous state, and is not
    kept as a past state.

    Args:
        units: H, the size of h and c.
        num_actions: K, how many past states can be chosen.
        skip_weight: lambda in [0, 1], the share of the chosen state.
        policy_units: Width of the policy's hidden layer.
        observation: What the policy sees of the past: "previous", h_{t-1}
            (paper); or "mean", the mean of the K stored hidden states, empty
            ones counted as zeros (published code).
        empty_slots: What a distance beyond the first step means: "mask", it
            cannot be chosen; "zeros", it reads as zeros, and can be chosen
            from the second step on (published code); "previous", it reads
            the previous state.
        action_selection: "sampled", "greedy", or "auto": sampled in training
            and greedy otherwise.
        policy_positions: N, how many steps the policy tells apart: where it
            is above 0, a learned vector P[min(n, N - 1)] for n steps taken,
            zero at first, is added inside of its tanh. Not in the paper.
        previous_bias: Initial value of the policy's output bias for the
            previous state, added to what the initializer gives.
        policy_kernel_initializer: For A.
        policy_output_kernel_initializer: For V.
        policy_bias_initializer: For a and v.
        estimator: How the policy learns: "straight_through", from the loss
            of the model through a relaxed choice
            (`dsl.policy.choosing.straight_through`); or "reinforce", from a
            loss on its log-probabilities, which only the layer,
            `dsl.DynamicSkipLSTM`, passes on: a cell in `keras.layers.RNN`
            does not learn by it.
        temperature: tau > 0 of the relaxed choice.
        forget_bias: b_f, a constant added to the forget gate.
        **kwargs: As for `keras.layers.LSTMCell`.

    Call arguments:
        inputs: x_t, float `(batch, features)`.
        states: The states listed above.
        training: Whether dropout is applied and, with "auto", sampled.

    Returns:
        h_t, float `(batch, units)`, and the list of next states.

    Raises:
        ValueError: If an argument is outside of its range or unknown.

    Example:
        >>> x = keras.ops.ones((2, 7, 3))
        >>> layer = keras.layers.RNN(DynamicSkipLSTMCell(4, num_actions=5))
        >>> tuple(layer(x).shape)
        (2, 4)

    Reference: Gui et al., "Long Short-Term Memory with Dynamic Skip
    Connections", AAAI 2019. https://arxiv.org/abs/1811.03873
    Departures from the published code, which passes lambda as the forget
    bias and never mixes; lets empty slots be chosen, which resets the cell;
    clears the buffer at each segment; draws actions at test time too; and
    orders slots oldest first.
    Saving: `.keras` and `.weights.h5` files hold how far the draws have come,
    beside the weights. A `fit` that `keras.callbacks.BackupAndRestore` brings
    back goes on with the draws that the unbroken one would have made, and
    ends with the same weights unless another layer draws too: Keras saves no
    layer's dropout.
    In half precision, mixed or not, the policy is computed in float32.
    Limit: in half precision the count of steps stops at 256 (bfloat16) or
    2,048 (float16), after which a cell in `keras.layers.RNN` draws the same
    noise at each step; `dsl.DynamicSkipLSTM` does not.
    """

    def __init__(
        self,
        units,
        num_actions=5,
        skip_weight=1.0,
        policy_units=50,
        observation="previous",
        empty_slots="mask",
        action_selection="auto",
        policy_positions=0,
        previous_bias=0.0,
        policy_kernel_initializer=None,
        policy_output_kernel_initializer=None,
        policy_bias_initializer=None,
        estimator="straight_through",
        temperature=1.0,
        **kwargs,
    ):
        check_count("num_actions", num_actions, "the number of past states")
        check_count("policy_units", policy_units, "the policy's width")
        check_choice("observation", observation, OBSERVATIONS)
        check_choice("empty_slots", empty_slots, EMPTY_SLOTS)
        check_choice("action_selection", action_selection, ACTION_SELECTIONS)
        check_choice("estimator", estimator, ESTIMATORS)
        if not isinstance(temperature, numbers.Real) or not temperature > 0:
            raise ValueError(
                "`temperature` divides the logits and must be positive. "
                f"Received: temperature={temperature!r}"
            )
        super().__init__(units, num_actions, skip_weight, **kwargs)
        self.num_actions = num_actions
        self.policy_units = policy_units
        self.observation = observation
        self.empty_slots = empty_slots
        self.action_selection = action_selection
        self.estimator = estimator
        self.temperature = temperature
        check_number(
            "policy_positions", policy_positions, "a number of steps", 0, 10**6
        )
        self.policy_positions = int(policy_positions)
        self.previous_bias = previous_bias
        (
            self.policy_kernel_initializer,
            self.policy_output_kernel_initializer,
            self.policy_bias_initializer,
        ) = network_initializers(
            self.seed,
            policy_kernel_initializer,
            policy_output_kernel_initializer,
            policy_bias_initializer,
        )
        self._noise_seed = None

    def build(self, input_shape):
        super().build(input_shape)
        if self.num_actions == 1:
            return
        self.policy_kernel = self.add_weight(
            shape=(input_shape[-1] + self.units, self.policy_units),
            name="policy_kernel",
            initializer=self.policy_kernel_initializer,
            autocast=False,
        )
        self.policy_bias = self.add_weight(
            shape=(self.policy_units,),
            name="policy_bias",
            initializer=self.policy_bias_initializer,
            autocast=False,
        )
        if self.policy_positions > 0:
            self.policy_position_kernel = self.add_weight(
                shape=(self.policy_positions, self.policy_units),
                name="policy_position_kernel",
                initializer="zeros",
                autocast=False,
            )
        self.policy_output_kernel = self.add_weight(
            shape=(self.policy_units, self.num_actions),
            name="policy_output_kernel",
            initializer=self.policy_output_kernel_initializer,
            autocast=False,
        )

        def start_near(shape, dtype=None):
            start = self.policy_bias_initializer(shape, dtype=dtype)
            first = ops.one_hot(0, self.num_actions, dtype=dtype)
            return start + self.previous_bias * first

        self.policy_output_bias = self.add_weight(
            shape=(self.num_actions,),
            name="policy_output_bias",
            initializer=start_near,
            autocast=False,
        )

    def project(self, inputs, training=False):
        """x_t W + b and, of the gradient-stopped input, x_t A_x + a."""
        gates = super().project(inputs, training)
        if self.num_actions == 1:
            return gates
        return {
            "gates": gates,
            "policy": self._project_policy(inputs, training),
        }

    def _project_policy(self, inputs, training):
        # The policy reads the same dropped-out input as the gates.
        inputs = wide(self._dropped_out(inputs, training))
        kernel = wide(self.policy_kernel[: inputs.shape[-1]])
        hidden = dense(ops.stop_gradient(inputs), kernel)
        return hidden + wide(self.policy_bias)

    def locate(self, policy_projected, count):
        """Adds what the policy knows of the steps that have been taken.

        Args:
            policy_projected: x_t A_x + a, float `(..., policy_units)`.
            count: Steps taken, float `(...)`, or of a shape that broadcasts.

        Returns:
            Float `(..., policy_units)`.
        """
        if self.policy_positions == 0:
            return policy_projected
        step = ops.minimum(count, self.policy_positions - 1)
        kernel = wide(self.policy_position_kernel)
        one_hot = ops.one_hot(
            ops.cast(step, "int32"), self.policy_positions, dtype=kernel.dtype
        )
        return policy_projected + dense(one_hot, kernel)

    def logits(self, policy_projected, h_observed):
        """Logits of the policy, before empty slots are ruled out.

        Args:
            policy_projected: x_t A_x + a, float `(..., policy_units)`.
            h_observed: What the policy sees of the past, `(..., units)`.

        Returns:
            Float32 or wider, `(..., num_actions)`.
        """
        kernel = wide(self.policy_kernel[-self.units :])
        hidden = ops.tanh(
            policy_projected
            + dense(ops.stop_gradient(wide(h_observed)), kernel)
        )
        logits = dense(hidden, wide(self.policy_output_kernel))
        return logits + wide(self.policy_output_bias)

    def samples(self, training, action_selection=None):
        """Whether actions are drawn rather than the most probable taken."""
        action_selection = action_selection or self.action_selection
        check_choice("action_selection", action_selection, ACTION_SELECTIONS)
        return action_selection == "sampled" or (
            action_selection == "auto" and bool(training)
        )

    def relaxed(self, drawn):
        """Function that gives the weights of the slots their gradient.

        Args:
            drawn: Whether actions are drawn; the best ones are not relaxed.

        Returns:
            Function as `dsl.policy.choosing.one_hot`.
        """
        if self.estimator == "straight_through" and drawn:
            return functools.partial(
                choosing.straight_through, temperature=self.temperature
            )
        return choosing.one_hot

    def step(
        self,
        projected_t,
        states,
        training=False,
        noise=None,
        weights=choosing.one_hot,
    ):
        """One step from the projected input.

        Args:
            projected_t: What `project` gives for one step.
            states: States of the cell.
            training: Whether dropout is applied.
            noise: Added to the logits before the best is taken, float
                `(batch, num_actions)`: Gumbel noise for a draw, nothing for
                the greedy action, a large number to force one.
            weights: Function `(logits, noise, actions)` that gives the
                one-hot weights of the slots, perhaps with a gradient.

        Returns:
            Output, states and a dict of `log_prob`, `entropy` and
            `look_back`, each `(batch,)`.
        """
        if self.num_actions == 1:
            return super().step(projected_t, states, training=training)
        slots_h, slots_c, count = self._slots(states)
        projected = self.locate(projected_t["policy"], count)
        logits = choosing.restrict(
            self.logits(projected, self.observe(slots_h, count)),
            choosing.selectable(count, self.num_actions, self.empty_slots),
        )
        if noise is None:
            noise = ops.zeros_like(logits)
        actions = best_action(logits + noise)
        chosen = weights(logits, noise, actions)
        read = choosing.slot_weights(chosen, count, self.empty_slots)
        h_t, states = self._connect(
            projected_t["gates"], states, (slots_h, slots_c), read, training
        )
        extras = policy_record(logits, actions, count, self.empty_slots)
        return h_t, states, extras

    def observe(self, slots_h, count):
        """What the policy sees of the past.

        Args:
            slots_h: Hidden states at distances 1 to K, `(batch, K, units)`.
            count: Steps taken, float `(batch,)`.

        Returns:
            Float `(batch, units)`.
        """
        if self.observation == "previous":
            return slots_h[:, 0]
        stored = choosing.filled(count, self.num_actions)[:, :, None]
        mean = ops.mean(slots_h * ops.cast(stored, slots_h.dtype), axis=1)
        return ops.where(count[:, None] >= 1, mean, slots_h[:, 0])

    def call(self, inputs, states, training=False):
        choice = {}
        if self.num_actions > 1 and self.samples(training):
            if training and self.trainable and self.estimator == "reinforce":
                warn_of_no_learning(self.name)
            shape = (ops.shape(inputs)[0], self.num_actions)
            choice["noise"] = choosing.gumbel_noise(
                shape, wide_dtype(self.compute_dtype), self._step_seed(states)
            )
            choice["weights"] = self.relaxed(drawn=True)
        projected = self.project(inputs, training)
        h_t, states, _ = self.step(
            projected, states, training=training, **choice
        )
        return h_t, states

    # Noise inside of `keras.layers.RNN`. A seed generator may not be advanced
    # in the loop of every backend, so its seed is drawn before the loop, by
    # the calls with which Keras prepares dropout masks, and each step derives
    # its own from the steps that the batch has taken.

    def get_dropout_mask(self, step_input):
        if self._noise_seed is None and self.num_actions > 1:
            self._noise_seed = self.seed_generator.next()
        return super().get_dropout_mask(step_input)

    def reset_dropout_mask(self):
        self._noise_seed = None
        super().reset_dropout_mask()

    def _step_seed(self, states):
        if self._noise_seed is None:
            return self.seed_generator
        taken = ops.sum(ops.cast(states[4], "float32"))
        return _StepSeed(self._noise_seed, taken)

    # Keras saves no seed. One of dropout can be lost, for a model draws no
    # dropout when it is used; actions are what this one is about.

    def save_own_variables(self, store):
        super().save_own_variables(store)
        if self.num_actions > 1:
            store[_SEED_STATE] = self.seed_generator.state

    def load_own_variables(self, store):
        weights = {key: store[key] for key in store.keys()}
        state = weights.pop(_SEED_STATE, None)
        super().load_own_variables(weights)
        if state is not None and self.num_actions > 1:
            self.seed_generator.state.assign(state)

    def get_config(self):
        serialize = keras.initializers.serialize
        return {
            **super().get_config(),
            "num_actions": self.num_actions,
            "policy_units": self.policy_units,
            "observation": self.observation,
            "empty_slots": self.empty_slots,
            "action_selection": self.action_selection,
            "estimator": self.estimator,
            "temperature": self.temperature,
            "policy_positions": self.policy_positions,
            "previous_bias": self.previous_bias,
            "policy_kernel_initializer": serialize(
                self.policy_kernel_initializer
            ),
            "policy_output_kernel_initializer": serialize(
                self.policy_output_kernel_initializer
            ),
            "policy_bias_initializer": serialize(self.policy_bias_initializer),
        }


class _StepSeed(keras.random.SeedGenerator):
    """The seed of one step: a pure function of a drawn seed and a count."""

    def __init__(self, seed, count):
        # No state of its own, hence no call of the parent's `__init__`.
        odd = ops.cast([1640531527, 0], seed.dtype)
        self._seed = seed + (ops.cast(count, seed.dtype) + 1) * odd

    def next(self, ordered=True):
        return self._seed


def warn_of_no_learning(name):
    """Warns that the policy of a cell or layer has nothing to learn from."""
    warnings.warn(
        f"the policy of {name!r} does not learn: estimator='reinforce' needs "
        "a dsl.Reinforce around a model with the layer, dsl.DynamicSkipLSTM, "
        "or a training loop that reads what `return_policy=True` returns",
        stacklevel=3,
    )


def policy_record(logits, actions, count, empty_slots):
    """What a choice leaves behind for learning and for reading.

    Args:
        logits: Restricted logits, float `(..., K)`.
        actions: Integer `(...)`.
        count: Steps taken, float `(...)`.
        empty_slots: See `DynamicSkipLSTMCell`.

    Returns:
        Dict of `log_prob` and `entropy` (nats, float) and `look_back` (the
        distance k that was read, int32), each `(...)`.
    """
    return {
        "log_prob": choosing.log_prob(logits, actions),
        "entropy": choosing.entropy(logits),
        "look_back": choosing.look_back(
            actions, count, logits.shape[-1], empty_slots
        ),
    }
