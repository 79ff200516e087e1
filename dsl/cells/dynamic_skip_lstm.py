"""The LSTM cell that chooses which past state to connect to."""

import numbers

import keras
from keras import ops

from dsl.cells.past_states import PastStatesLSTMCell
from dsl.cells.policy_weights import add_policy_weights, policy_weights
from dsl.cells.step_draws import StepDraws
from dsl.choices import (
    ACTION_SELECTIONS,
    AGENT_SCORINGS,
    EMPTY_SLOTS,
    ESTIMATORS,
    OBSERVATIONS,
    check_choice,
    check_count,
    check_number,
)
from dsl.initializers import network_initializers
from dsl.policy import choosing, network
from dsl.policy.collection import warn_of_no_learning
from dsl.slots import best_action
from dsl.steps import wide_dtype

# Arguments as they stand in the configuration, beside those of every LSTM.
_OPTIONS = (
    "num_actions",
    "policy_units",
    "observation",
    "empty_slots",
    "action_selection",
    "estimator",
    "temperature",
    "policy_positions",
    "previous_bias",
    "scoring",
    "relative",
)
_INITIALIZERS = (
    "policy_kernel_initializer",
    "policy_output_kernel_initializer",
    "policy_bias_initializer",
)


@keras.saving.register_keras_serializable(package="dsl")
class DynamicSkipLSTMCell(StepDraws, PastStatesLSTMCell):
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
    is no policy, and the cell is `keras.layers.LSTMCell`. Two options, not in
    the paper, choose without a weight for each distance, so that a trained cell
    may be given more past states (`dsl.scores`):

        l_k = (C h_{t-k}) . q_t + [k = 1] (V q_t + v)       scoring="key"
        l_k += m_after u_{t-1,k} + m_again u_{t-1,k-1}
               + m_before u_{t-1,k-2},  m = M q_t + m_0      relative=True

    with q_t = tanh(A e_t + a), and u_{t-1} one-hot at the state last skipped
    to.

    Weights: `kernel` W `(features, 4 * units)`, `recurrent_kernel` U
    `(units, 4 * units)`, `bias` b, gates in the order i, f, g, o;
    `policy_kernel` A `(features + units, policy_units)`, `policy_bias` a,
    `policy_output_kernel` V `(policy_units, num_actions)`,
    `policy_output_bias` v, whose element j belongs to distance j + 1; by key
    V `(policy_units, 1)`, v `(1,)` and `policy_key_kernel` C `(units,
    policy_units)`; with `relative` `policy_move_kernel` M `(policy_units, 3)`
    and `policy_move_bias` m_0, of after, again and before.

    States, each float `(batch, size)`: h_{t-1} and c_{t-1} (`units`); the
    hidden and cell states s_{t-2}, s_{t-3}, ... (`(num_actions - 1) * units`
    each, nearest first); with `relative` u_{t-1} (`num_actions`); the count
    of steps taken (1). The state that a sequence starts from serves its first
    step as previous state, and is not kept as a past state.

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
        scoring: What the logit of a past state depends on: "location", its
            distance (paper); "key", a key of what is in it; or "moves",
            nothing: only the previous state, and those that moves lead to, can
            be chosen.
        relative: Whether it also depends on where that state stands, seen
            from the one last skipped to; with "moves" it does.
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
    Saving: see `dsl.cells.step_draws`. A `fit` brought back by
    `keras.callbacks.BackupAndRestore` goes on with the draws that the unbroken
    one would have made, and ends with the same weights unless another layer
    draws too: Keras saves no layer's dropout.
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
        scoring="location",
        relative=False,
        **kwargs,
    ):
        check_count("num_actions", num_actions, "the number of past states")
        check_count("policy_units", policy_units, "the policy's width")
        check_choice("observation", observation, OBSERVATIONS)
        check_choice("empty_slots", empty_slots, EMPTY_SLOTS)
        check_choice("action_selection", action_selection, ACTION_SELECTIONS)
        check_choice("estimator", estimator, ESTIMATORS)
        check_choice("scoring", scoring, AGENT_SCORINGS)
        if not isinstance(temperature, numbers.Real) or not temperature > 0:
            raise ValueError(
                "`temperature` divides the logits and must be positive. "
                f"Received: temperature={temperature!r}"
            )
        relative = relative or scoring == "moves"
        super().__init__(units, num_actions, skip_weight, relative, **kwargs)
        self.num_actions = num_actions
        self.policy_units = policy_units
        self.observation = observation
        self.empty_slots = empty_slots
        self.action_selection = action_selection
        self.estimator = estimator
        self.temperature = temperature
        self.scoring = scoring
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

    def build(self, input_shape):
        super().build(input_shape)
        if self.num_actions > 1:
            add_policy_weights(self, input_shape[-1])

    @property
    def draws(self):
        """Whether there is anything to draw: see `StepDraws`."""
        return self.num_actions > 1

    def project(self, inputs, training=False):
        """x_t W + b and, of the gradient-stopped input, x_t A_x + a."""
        gates = super().project(inputs, training)
        if self.num_actions == 1:
            return gates
        # The policy reads the same dropped-out input as the gates.
        inputs = self._drop(inputs, training)
        return {
            "gates": gates,
            "policy": network.project(
                inputs, self.policy_kernel, self.policy_bias
            ),
        }

    def locate(self, policy_projected, count):
        """See `dsl.policy.network.locate`."""
        kernel = self.policy_position_kernel if self.policy_positions else None
        return network.locate(policy_projected, count, kernel)

    def slot_mask(self, count):
        """1 where a slot holds a state, `(..., K)`, if others can be chosen."""
        if self.empty_slots == "mask":
            return None
        filled = choosing.filled(count, self.num_actions)
        return ops.cast(filled, count.dtype)

    def relaxation(self, drawn):
        """See `dsl.policy.choosing.relaxation`."""
        return choosing.relaxation(self.estimator, drawn, self.temperature)

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
        if self.relative and weights is choosing.one_hot:
            # What was chosen before has no gradient.
            pointer = ops.stop_gradient(states[4])
            states = [*states[:4], pointer, states[5]]
        projected = self.locate(projected_t["policy"], count)
        observed = network.observe(slots_h, count, self.observation)
        by_key = self.scoring == "key"
        logits = choosing.restrict(
            network.logits(
                projected,
                observed,
                policy_weights(self),
                ops.unstack(slots_h, axis=1) if by_key else None,
                self._pointer(states),
                self.slot_mask(count),
            ),
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
        extras = choosing.record(logits, actions, count, self.empty_slots)
        return h_t, states, extras

    def call(self, inputs, states, training=False):
        choice = {}
        drawn = choosing.samples(self.action_selection, training)
        if self.num_actions > 1 and drawn:
            if training and self.trainable and self.estimator == "reinforce":
                warn_of_no_learning(self.name)
            shape = (ops.shape(inputs)[0], self.num_actions)
            choice["noise"] = choosing.gumbel_noise(
                shape, wide_dtype(self.compute_dtype), self.step_seed(states)
            )
            choice["weights"] = self.relaxation(drawn)
        projected = self.project(inputs, training)
        h_t, states, _ = self.step(
            projected, states, training=training, **choice
        )
        return h_t, states

    def get_config(self):
        serialize = keras.initializers.serialize
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in _OPTIONS},
            **{name: serialize(getattr(self, name)) for name in _INITIALIZERS},
        }
