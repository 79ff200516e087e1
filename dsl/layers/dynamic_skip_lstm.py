"""The dynamic skip LSTM layer."""

import keras
from keras import ops

from dsl import loops, scores
from dsl.cells.dynamic_skip_lstm import DynamicSkipLSTMCell
from dsl.cells.policy_weights import policy_weights
from dsl.choices import check_count
from dsl.layers.cell_steps import scan_steps
from dsl.layers.lstm import derived_scan
from dsl.layers.own_cell import OwnCell
from dsl.layers.past_states import (
    pack,
    step_counts,
    unpack,
    unpack_states,
)
from dsl.loops.past_states import past
from dsl.policy import choosing, collection, network
from dsl.slots import split_slots
from dsl.steps import wide_dtype


@keras.saving.register_keras_serializable(package="dsl")
class DynamicSkipLSTM(OwnCell):
    """A drop-in for `keras.layers.LSTM` that learns where to connect.

    See `dsl.cells.DynamicSkipLSTMCell` for the equations, and
    `dsl.loops.dynamic_skip_lstm` for the derivative.

    Args:
        units: H, the size of h and c.
        num_actions: K, how many past states can be chosen.
        skip_weight: lambda in [0, 1], the share of the chosen state.
        policy_units: Width of the policy's hidden layer.
        estimator: How the policy learns: "straight_through", from the loss
            of the model through a relaxed choice, in any `fit`; or
            "reinforce", from a loss on its log-probabilities
            (`dsl.policy.gradient.reinforce_loss`), which `dsl.Reinforce` adds
            in `fit`, and a training loop of one's own from what
            `return_policy=True` returns.
        temperature: tau > 0 of the relaxed choice.
        scoring: What the choice of a past state depends on: "location", its
            distance (paper); "key", a key of what is in it; or "moves",
            nothing but `relative`. Unless it is by location, no weight
            belongs to a distance.
        relative: Whether it also depends on where the state stands, seen from
            the one chosen before.
        return_policy: Whether to return, last, a dict of `log_prob` (nats),
            `entropy` (nats) and `look_back` (the distance k in 1..K, int32),
            each `(batch, time)` and 0 at masked steps.
            `keras.layers.Bidirectional` refuses a layer with it.
        autodiff: Leave the derivative to the framework.
        **kwargs: All other arguments of `dsl.cells.DynamicSkipLSTMCell` and
            `keras.layers.LSTM`.

    Call arguments:
        sequences: Float `(batch, time, features)`.
        initial_state: Optional h and c, each `(batch, units)`, or all states
            that `return_state` returned.
        mask: Optional bool `(batch, time)`.
        training: Whether dropout is applied and actions are drawn.
        look_back: Optional integer `(batch, time)`, distances to take in
            place of the policy's choice; 0 leaves the choice to the policy,
            and one outside of 0..K, or that cannot be chosen yet, counts
            as 1. Steps are those of `sequences`; what
            `return_policy` gives stands, like the outputs, in the order of
            execution, which is the reverse with `go_backwards`.
        num_rollouts: R, how often the sequence is run from the same state,
            each time with actions of its own. The projections are shared.
            Outputs and states have batch size R * batch; row r * batch + b
            is rollout r of sequence b.
        action_selection: Overrides the constructor's.

    Returns:
        Output `(batch, units)` or, with `return_sequences`,
        `(batch, time, units)`; then the states with `return_state` (see the
        cell); then the dict with `return_policy`.

    Raises:
        ValueError: If an argument is outside of its range or unknown.

    Example:
        >>> x = keras.ops.ones((2, 7, 3))
        >>> layer = DynamicSkipLSTM(4, num_actions=3, return_policy=True)
        >>> output, chosen = layer(x)
        >>> tuple(output.shape), tuple(chosen["look_back"].shape)
        ((2, 4), (2, 7))

    Reference: Gui et al., AAAI 2019, https://arxiv.org/abs/1811.03873
    """

    cell_class = DynamicSkipLSTMCell
    extras_option = "return_policy"

    def __init__(
        self,
        units,
        num_actions=5,
        skip_weight=1.0,
        policy_units=50,
        estimator="straight_through",
        temperature=1.0,
        scoring="location",
        relative=False,
        return_policy=False,
        **kwargs,
    ):
        super().__init__(
            units,
            num_actions=num_actions,
            skip_weight=skip_weight,
            policy_units=policy_units,
            estimator=estimator,
            temperature=temperature,
            scoring=scoring,
            relative=relative,
            **kwargs,
        )
        self.return_policy = return_policy

    def call(
        self,
        sequences,
        initial_state=None,
        mask=None,
        training=False,
        look_back=None,
        num_rollouts=1,
        action_selection=None,
    ):
        check_count("num_rollouts", num_rollouts, "the number of rollouts")
        if num_rollouts > 1 and self.stateful:
            raise ValueError(
                "several rollouts end in several states, which a stateful "
                f"layer cannot keep. Received: num_rollouts={num_rollouts!r}"
            )
        options = {}
        if self.num_actions > 1:
            options["forced"] = self._distances(
                look_back, sequences.shape[:2], num_rollouts
            )
            options["drawn"] = choosing.samples(
                action_selection or self.action_selection, training
            )
        result, extras = self._run(
            sequences, initial_state, mask, training, num_rollouts, **options
        )
        if training and options and self.estimator == "reinforce":
            self._hand_on(extras)
        return self._with_extras(result, extras)

    def _hand_on(self, extras):
        """Gives the choices to who collects them, or warns that nobody does."""
        collected = collection.add(extras)
        if not collected and self.trainable and not self.return_policy:
            collection.warn_of_no_learning(self.name)

    def _extras_of_none(self, step_weights):
        certain = ops.zeros_like(step_weights)
        return {
            "log_prob": certain,
            "entropy": certain,
            "look_back": ops.cast(step_weights, "int32"),
        }

    def _distances(self, look_back, shape, num_rollouts):
        """Forced distances as `(time, batch)`, in order of execution."""
        if look_back is None:
            return None
        look_back = ops.convert_to_tensor(look_back)
        given = tuple(look_back.shape)
        fits = len(given) == 2 and all(
            None in (have, want) or have == want
            for have, want in zip(given, shape, strict=True)
        )
        if not fits:
            raise ValueError(
                "`look_back` holds one distance a step and must have the "
                f"shape (batch, time) = {tuple(shape)}. "
                f"Received: shape={given}"
            )
        look_back = ops.transpose(ops.cast(look_back, "int32"))
        if self.go_backwards:
            look_back = ops.flip(look_back, axis=0)
        return ops.tile(look_back, [1, num_rollouts])

    def _noise(self, count, forced, drawn):
        """What is added to the logits, float `(time, batch, K)`."""
        return choosing.noise(
            count,
            self.num_actions,
            self.empty_slots,
            wide_dtype(self.compute_dtype),
            seed=self.cell.seed_generator if drawn else None,
            forced=forced,
        )

    def _is_derived(self, training):
        return self.cell.is_standard(training)

    def _autodiff_scan(
        self, projected, states, keep, training, forced=None, drawn=False
    ):
        per_step, constant = None, None
        if self.num_actions > 1:
            length = ops.shape(projected["policy"])[0]
            count = step_counts(states, keep, length)
            per_step = {"noise": self._noise(count, forced, drawn)}
            constant = {"weights": self.cell.relaxation(drawn)}
        return scan_steps(
            self.cell, projected, states, keep, training, per_step, constant
        )

    def _derived_scan(
        self, projected, states, keep, training, forced=None, drawn=False
    ):
        if self.num_actions == 1:
            return derived_scan(self, projected, states, keep)
        cell = self.cell
        count = step_counts(states, keep, ops.shape(projected["policy"])[0])
        noise = self._noise(count, forced, drawn)
        projected, count, noise = pack((projected, count, noise), keep)
        projected = {
            **projected,
            "policy": cell.locate(projected["policy"], count),
        }
        allowed = choosing.selectable(count, self.num_actions, self.empty_slots)
        slots = split_slots(states[:4])
        pointer_0 = states[4] if self.relative else None
        run = self._choose(projected, count, noise, allowed, slots, pointer_0)
        logits, read, pointer = self._choices(
            run, projected["policy"], count, noise, allowed, drawn, pointer_0
        )
        actions = run["action"]
        h, visited = loops.connect(
            projected["gates"],
            ops.cast(cell.recurrent_kernel, self.compute_dtype),
            read,
            slots,
            run,
            self.skip_weight,
        )
        extras = choosing.record(logits, actions, count, self.empty_slots)
        extras = unpack(extras, keep)
        return *unpack_states(h, visited, states, keep, pointer), extras

    def _choices(self, run, projected, count, noise, allowed, drawn, pointer_0):
        """Logits, weights of what was read, and pointers of a run's steps.

        Each `(time, batch, K)`, with the gradients that they have; no pointers
        without moves.
        """
        cell, past_h = self.cell, None
        if self.scoring == "key":
            h = run["states"][:, :, : self.units]
            past_h = past(h, self.num_actions)
        logits, moves = network.logits_and_moves(
            projected,
            run["observed"],
            policy_weights(cell),
            past_h,
            cell.slot_mask(count),
        )

        def choose(pointer_tm1, inputs):
            found = inputs["logits"]
            if moves is not None:
                found = scores.add_moves(found, inputs["moves"], pointer_tm1)
            found = choosing.restrict(found, inputs["allowed"])
            chosen = cell.relaxation(drawn)(
                found, inputs["noise"], inputs["action"]
            )
            read = choosing.slot_weights(
                chosen, inputs["count"], self.empty_slots
            )
            pointer = None
            if moves is not None:
                pointer = scores.point(read, pointer_tm1, inputs["begun"])
            return pointer, (found, read, pointer)

        inputs = {
            "logits": logits,
            "allowed": allowed,
            "noise": noise,
            "action": run["action"],
            "count": count,
        }
        if moves is None:
            return choose(None, inputs)[1]
        inputs |= {"moves": moves, "begun": cell.has_begun(count)}
        pointer_0 = ops.cast(pointer_0, logits.dtype)
        if drawn and self.estimator == "straight_through":
            # A choice has a gradient from those that are relative to it.
            return loops.scan(choose, pointer_0, inputs)[1]
        pointer_0 = ops.stop_gradient(pointer_0)
        return choose(loops.shift(run["pointer"], pointer_0), inputs)[1]

    def _choose(self, projected, count, noise, allowed, slots, pointer_0):
        cell = self.cell
        inputs = {**projected, "noise": choosing.restrict(noise, allowed)}
        dtype = projected["gates"].dtype
        if self.empty_slots != "mask" or self.observation == "mean":
            inputs["stored"] = ops.cast(
                choosing.filled(count, self.num_actions), dtype
            )
        if self.empty_slots != "mask":
            inputs["fallback"] = ops.full_like(
                inputs["stored"][:, :, :1],
                float(self.empty_slots == "previous"),
            )
        if pointer_0 is not None:
            inputs["begun"] = self.cell.has_begun(count)
        if self.observation == "mean":
            inputs["started"] = ops.cast(count[:, :, None] >= 1, dtype)
        weights = {
            "recurrent_kernel": ops.cast(
                cell.recurrent_kernel, self.compute_dtype
            ),
            **policy_weights(cell),
        }
        fixed = keras.tree.map_structure(
            ops.stop_gradient, (inputs, weights, slots)
        )
        if pointer_0 is not None:
            pointer_0 = ops.stop_gradient(pointer_0)
        return loops.choose(
            *fixed, self.skip_weight, self.observation == "mean", pointer_0
        )

    def _extras_spec(self, batch, length):
        dtype = wide_dtype(self.compute_dtype)
        return {
            "log_prob": keras.KerasTensor((batch, length), dtype),
            "entropy": keras.KerasTensor((batch, length), dtype),
            "look_back": keras.KerasTensor((batch, length), "int32"),
        }

    def get_config(self):
        return {
            **super().get_config(),
            "return_policy": self.return_policy,
        }
