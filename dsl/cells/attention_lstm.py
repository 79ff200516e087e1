"""The LSTM cell that attends to its past states."""

import keras
from keras import ops

from dsl import scores
from dsl.cells.past_states import PastStatesLSTMCell
from dsl.choices import SCORINGS, check_choice, check_count
from dsl.initializers import further, network_initializers
from dsl.policy import choosing
from dsl.scores import MOVES
from dsl.steps import dense, wide, wide_dtype


@keras.saving.register_keras_serializable(package="dsl")
class AttentionLSTMCell(PastStatesLSTMCell):
    """An LSTM cell that connects to a soft choice of its K most recent states.

        l_k = (V tanh(A [x_t ; h_{t-1}] + a) + v)_k    "location"
        l_k = v . tanh(A [x_t ; h_{t-k}] + a)          "content"
        l_k = (C h_{t-k}) . q_t + [k = 1] (V q_t + v)  "key"
        l_k += m_after u_{t-1,k} + m_again u_{t-1,k-1}
               + m_before u_{t-1,k-2},  m = M q_t + m_0  with relative
        q_t = tanh(A [x_t ; h_{t-1}] + a)
        w = softmax(l) over the distances k that are stored
        h~ = lambda * sum_k w_k h_{t-k} + (1 - lambda) * h_{t-1}
        c~ = lambda * sum_k w_k c_{t-k} + (1 - lambda) * c_{t-1}
        (i, f, g, o) = W x_t + U h~ + b
        c_t = sigm(f + b_f) * c~ + sigm(i) * tanh(g)
        h_t = sigm(o) * tanh(c_t)

    The soft counterpart of `dsl.DynamicSkipLSTMCell`: the same network gives
    weights in place of probabilities, nothing is drawn, and the gradient of
    the task's loss flows through everything. With `num_states=1` there is
    nothing to attend to, and the cell is `keras.layers.LSTMCell`.

    Weights: `kernel` W `(features, 4 * units)`, `recurrent_kernel` U
    `(units, 4 * units)`, `bias` b, gates in the order i, f, g, o;
    `attention_kernel` A `(features + units, attention_units)`,
    `attention_bias` a, and `attention_output_kernel`, with "location" V
    `(attention_units, num_states)`, whose column j belongs to distance j + 1,
    beside `attention_output_bias` v, with "content" v `(attention_units, 1)`,
    without a bias, which would cancel, and with "key" V `(attention_units, 1)`
    and v `(1,)` of the nearest state, beside `attention_key_kernel` C `(units,
    attention_units)`; with `relative` `attention_move_kernel` M
    `(attention_units, 3)` and `attention_move_bias` m_0. Unless they are by
    location, no weight belongs to a distance: a trained cell may be given more
    past states.

    States, each float `(batch, size)`: h_{t-1} and c_{t-1} (`units`); the
    hidden and cell states s_{t-2}, s_{t-3}, ... (`(num_states - 1) * units`
    each, nearest first); with `relative` u_{t-1} (`num_states`); the count of
    steps taken (1). The state that a sequence starts from serves its first
    step as previous state, and is not kept as a past state.

    Args:
        units: H, the size of h and c.
        num_states: K, how many past states are attended to.
        skip_weight: lambda in [0, 1], the share of their weighted sum.
        attention_units: Width of the network's hidden layer.
        scoring: What the score of a past state depends on, in the words of
            Luong et al. 2015: "location", its distance; "content", what is
            in it, beside the input (Bahdanau et al. 2015); or "key", a key of
            what is in it, against a query of input and previous state.
        relative: Whether it also depends on where the past state stands, seen
            from those that a pointer is at; see `dsl.scores`.
        attention_kernel_initializer: For A.
        attention_output_kernel_initializer: For V.
        attention_bias_initializer: For a and, with "location", v.
        forget_bias: b_f, a constant added to the forget gate.
        **kwargs: As for `keras.layers.LSTMCell`.

    Call arguments:
        inputs: x_t, float `(batch, features)`.
        states: The states listed above.
        training: Whether dropout is applied.

    Returns:
        h_t, float `(batch, units)`, and the list of next states.

    Raises:
        ValueError: If an argument is outside of its range or unknown.

    Example:
        >>> x = keras.ops.ones((2, 7, 3))
        >>> layer = keras.layers.RNN(AttentionLSTMCell(4, num_states=5))
        >>> tuple(layer(x).shape)
        (2, 4)

    Reference: the baseline "LSTM with attention" of Gui et al., AAAI 2019,
    https://arxiv.org/abs/1811.03873; Bahdanau et al. 2015, arXiv:1409.0473;
    Luong et al. 2015, arXiv:1508.04025.
    Departures: the baseline's formula is not published. This one differs from
    the dynamic skip LSTM in nothing but softness.
    Limit: in half precision the count of steps stops at 256 (bfloat16) or
    2,048 (float16), so that no state farther back is ever attended to; and a
    cell rounds its pointer at each step, `dsl.AttentionLSTM` at the last alone.
    """

    def __init__(
        self,
        units,
        num_states=5,
        skip_weight=1.0,
        attention_units=50,
        scoring="location",
        relative=False,
        attention_kernel_initializer=None,
        attention_output_kernel_initializer=None,
        attention_bias_initializer=None,
        **kwargs,
    ):
        check_count("num_states", num_states, "the number of past states")
        check_count("attention_units", attention_units, "the attention's width")
        check_choice("scoring", scoring, SCORINGS)
        super().__init__(units, num_states, skip_weight, relative, **kwargs)
        self.attention_units = attention_units
        self.scoring = scoring
        (
            self.attention_kernel_initializer,
            self.attention_output_kernel_initializer,
            self.attention_bias_initializer,
        ) = network_initializers(
            self.seed,
            attention_kernel_initializer,
            attention_output_kernel_initializer,
            attention_bias_initializer,
        )

    def build(self, input_shape):
        super().build(input_shape)
        if self.num_states == 1:
            return
        located = self.scoring == "location"
        scored = self.num_states if located else 1
        self.attention_kernel = self.add_weight(
            shape=(input_shape[-1] + self.units, self.attention_units),
            name="attention_kernel",
            initializer=self.attention_kernel_initializer,
        )
        self.attention_bias = self.add_weight(
            shape=(self.attention_units,),
            name="attention_bias",
            initializer=self.attention_bias_initializer,
        )
        self.attention_output_kernel = self.add_weight(
            shape=(self.attention_units, scored),
            name="attention_output_kernel",
            initializer=self.attention_output_kernel_initializer,
        )
        if self.scoring != "content":
            self.attention_output_bias = self.add_weight(
                shape=(scored,),
                name="attention_output_bias",
                initializer=self.attention_bias_initializer,
            )
        output_initializer = self.attention_output_kernel_initializer
        if self.scoring == "key":
            self.attention_key_kernel = self.add_weight(
                shape=(self.units, self.attention_units),
                name="attention_key_kernel",
                initializer=further(output_initializer, 1),
            )
        if self.relative:
            self.attention_move_kernel = self.add_weight(
                shape=(self.attention_units, len(MOVES)),
                name="attention_move_kernel",
                initializer=further(output_initializer, 2),
            )
            self.attention_move_bias = self.add_weight(
                shape=(len(MOVES),),
                name="attention_move_bias",
                initializer="zeros",
            )

    def project(self, inputs, training=False):
        """x_t W + b and x_t A_x + a."""
        gates = super().project(inputs, training)
        if self.num_states == 1:
            return gates
        # The attention reads the same dropped-out input as the gates.
        inputs = self._drop(inputs, training)
        kernel = self.attention_kernel[: inputs.shape[-1]]
        return {
            "gates": gates,
            "attention": dense(inputs, kernel) + self.attention_bias,
        }

    @property
    def output_bias(self):
        """v, of each distance; float32 or wider, `(num_states,)`."""
        if self.scoring == "content":
            dtype = wide_dtype(self.compute_dtype)
            return ops.zeros((self.num_states,), dtype)
        bias = wide(self.attention_output_bias)
        if self.scoring == "key":
            return scores.of_nearest(bias, self.num_states)
        return bias

    def score_weights(self):
        """The weights of the network as `dsl.loops.attend` names them."""
        names = ["output_kernel"]
        if self.scoring == "key":
            names += ["key_kernel"]
        if self.relative:
            names += ["move_kernel", "move_bias"]
        found = {name: getattr(self, f"attention_{name}") for name in names}
        found["query_kernel"] = self.attention_kernel[-self.units :]
        return {
            name: ops.cast(x, self.compute_dtype) for name, x in found.items()
        }

    def logits(self, attention_projected, slots_h, pointer_tm1):
        """Scores of the K states, before empty slots are ruled out.

        Args:
            attention_projected: x_t A_x + a, float `(batch, attention_units)`.
            slots_h: h at distances 1 to K, `(batch, K, units)`.
            pointer_tm1: u_{t-1}, `(batch, K)`, or None.

        Returns:
            l, float32 or wider, `(batch, K)`.
        """
        weights = self.score_weights()
        # The one state, or all of them, that the network sees.
        seen = slots_h if self.scoring == "content" else slots_h[:, :1]
        hidden = scores.query(attention_projected[:, None], seen, weights)
        query, logits = hidden[:, 0], dense(hidden, weights["output_kernel"])
        if self.scoring == "key":
            keys = ops.unstack(scores.key(slots_h, weights), axis=1)
            logits = scores.of_nearest(logits[:, 0], self.num_states)
            logits = logits + scores.by_key(query, keys)
        # (batch, 1, K) or (batch, K, 1) -> (batch, K)
        logits = wide(ops.reshape(logits, (-1, self.num_states)))
        logits = logits + self.output_bias
        if pointer_tm1 is None:
            return logits
        moves = wide(scores.moves(query, weights))
        return logits + scores.of_moves(moves, pointer_tm1)

    def step(self, projected_t, states, training=False):
        """One step from the projected input.

        Args:
            projected_t: What `project` gives for one step.
            states: States of the cell.
            training: Whether dropout is applied.

        Returns:
            Output, states and a dict of `attention`, the weights w
            `(batch, num_states)`, nearest first, and `entropy`, theirs in
            nats, `(batch,)`; without either where `num_states` is 1.
        """
        if self.num_states == 1:
            return super().step(projected_t, states, training=training)
        slots_h, slots_c, count = self._slots(states)
        logits = choosing.restrict(
            self.logits(
                projected_t["attention"], slots_h, self._pointer(states)
            ),
            choosing.filled(count, self.num_states),
        )
        extras = attention_record(logits)
        h_t, states = self._connect(
            projected_t["gates"],
            states,
            (slots_h, slots_c),
            extras["attention"],
            training,
        )
        return h_t, states, extras

    def get_config(self):
        serialize = keras.initializers.serialize
        return {
            **super().get_config(),
            "num_states": self.num_states,
            "attention_units": self.attention_units,
            "scoring": self.scoring,
            "relative": self.relative,
            "attention_kernel_initializer": serialize(
                self.attention_kernel_initializer
            ),
            "attention_output_kernel_initializer": serialize(
                self.attention_output_kernel_initializer
            ),
            "attention_bias_initializer": serialize(
                self.attention_bias_initializer
            ),
        }


def attention_record(logits):
    """What is told of an attention.

    Args:
        logits: l, float32 or wider, `(..., K)`.

    Returns:
        Dict of `attention`, w = softmax(l), `(..., K)`, and `entropy`, theirs
        in nats, `(...)`.
    """
    return {
        "attention": ops.softmax(logits, axis=-1),
        "entropy": choosing.entropy(logits),
    }
