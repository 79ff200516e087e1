"""The agent's learning signal, put together from `policy_gradient`."""

import keras
from keras import ops

from dsl.choices import (
    BASELINES,
    CREDITS,
    ESTIMATORS,
    REWARDS,
    check_choice,
    check_count,
    check_number,
)
from dsl.policy import credit as crediting
from dsl.policy import gradient


@keras.saving.register_keras_serializable(package="dsl")
class PolicySignal(keras.layers.Layer):
    """Turns the loss of each prediction into the loss of the agent.

        L = w * sum_t -log pi(a_t) (G_t - b_t)  -  beta * sum_t H(pi_t)

    with reward-to-go G and baseline b; mean over the batch. With the
    straight-through estimator only the entropy term remains.

    Args:
        estimator: "reinforce" or "straight_through".
        reward: See `dsl.policy.gradient.reward`.
        discount: gamma of the reward-to-go.
        baseline: "none", "running_mean", "batch_mean", "leave_one_out"
            (needs several rollouts) or "value" (a learned V(e_t), trained
            beside the agent).
        num_rollouts: R, rollouts from the same state.
        policy_weight: w.
        entropy_weight: beta, weight of the analytic entropy.
        final_entropy_weight: Value that beta has reached, linearly, after
            `entropy_steps` updates; None keeps it constant.
        entropy_steps: Length of the annealing in updates.
        sequence_entropy_weight: Weight of the entropy of the whole action
            sequence inside of the reward; 1 in the paper.
        credit: "all": every choice earns what follows it; "path": only
            choices through which the last state is reached, see
            `dsl.policy.credit.path_weight`.
        probability_offset: See `dsl.policy.gradient.offset_log_prob`; 1 in the
            published number-prediction code, by mistake.
        value_units: Width of the hidden layer of V.

    Call arguments:
        nll_t: -log p(y_t) in nats, float32 `(rollouts * batch, n)`, of the
            last n steps; those before earn nothing.
        chosen: The layer's dict of `log_prob`, `entropy` and `look_back`,
            each `(rollouts * batch, time)`.
        observed: e_t, float `(rollouts * batch, time, features)`; read by
            the "value" baseline only.
        weight_t: 1 where the agent chose and 0 where it was not asked, which
            earns neither reward nor entropy; what its step is worth still
            goes to the choices before. `(rollouts * batch, time)`, all ones
            by default; where it is 0 throughout, no running statistic moves.
        correct_t: Whether the prediction was right, bool, of the shape of
            `nll_t`; read by the "correct" reward only.
        training: Whether running statistics move.

    Returns:
        Scalar to add to the task's loss.

    Raises:
        ValueError: If an argument is unknown or out of range.
    """

    def __init__(
        self,
        estimator="reinforce",
        reward="log_likelihood",
        discount=1.0,
        baseline="none",
        num_rollouts=1,
        policy_weight=1.0,
        entropy_weight=0.0,
        final_entropy_weight=None,
        entropy_steps=0,
        sequence_entropy_weight=0.0,
        credit="all",
        probability_offset=0.0,
        value_units=50,
        name="policy_signal",
    ):
        super().__init__(name=name, dtype="float32")
        check_choice("estimator", estimator, ESTIMATORS)
        check_choice("reward", reward, REWARDS)
        check_choice("baseline", baseline, BASELINES)
        check_choice("credit", credit, CREDITS)
        check_count("num_rollouts", num_rollouts, "the number of rollouts")
        check_number(
            "discount", discount, "the weight of the next reward", 0, 1
        )
        for name_of, weight in (
            ("policy_weight", policy_weight),
            ("sequence_entropy_weight", sequence_entropy_weight),
            ("probability_offset", probability_offset),
        ):
            check_number(name_of, weight, "not negative", 0, 1e30)
        if final_entropy_weight is not None and entropy_steps < 1:
            raise ValueError(
                "`entropy_steps` is the number of updates until the entropy "
                "weight is `final_entropy_weight` and must be at least 1. "
                f"Received: entropy_steps={entropy_steps!r}"
            )
        if baseline == "leave_one_out" and num_rollouts < 2:
            raise ValueError(
                "the leave-one-out baseline needs at least 2 rollouts. "
                f"Received: num_rollouts={num_rollouts!r}"
            )
        self.estimator = estimator
        self.reward = reward
        self.discount = discount
        self.baseline = baseline
        self.num_rollouts = num_rollouts
        self.policy_weight = policy_weight
        self.entropy_weight = entropy_weight
        self.final_entropy_weight = final_entropy_weight
        self.entropy_steps = entropy_steps
        self.sequence_entropy_weight = sequence_entropy_weight
        self.credit = credit
        self.probability_offset = probability_offset
        self.value_units = value_units

    def build(self, shape, observed_shape=None):
        if self.final_entropy_weight is not None:
            self.updates = self.add_weight(
                shape=(), name="updates", initializer="zeros", trainable=False
            )
        if self.estimator != "reinforce":
            return
        if self.baseline == "running_mean":
            self.mean_t = self.add_weight(
                shape=(shape[-1],),
                name="mean_return",
                initializer=keras.initializers.Constant(float("nan")),
                trainable=False,
            )
        if self.baseline == "value":
            self.value = keras.Sequential(
                [
                    keras.layers.Dense(self.value_units, activation="tanh"),
                    keras.layers.Dense(1),
                ],
                name="policy_value",
            )
            self.value.build(observed_shape)

    def call(
        self,
        nll_t,
        chosen,
        observed,
        weight_t=None,
        correct_t=None,
        training=False,
    ):
        # An agent that has not yet chosen anything has nothing to learn from.
        acts = True if weight_t is None else ops.any(weight_t > 0)
        loss = -self._entropy_weight(training, acts) * gradient.entropy_bonus(
            chosen["entropy"], weight_t
        )
        if self.estimator != "reinforce":
            return loss
        reward_t = gradient.reward(self.reward, nll_t, correct_t)
        own_t = chosen["log_prob"]
        if weight_t is not None:
            own_t = own_t * weight_t
        reward_t = gradient.soft_reward(
            crediting.at_end(reward_t, ops.shape(own_t)[-1]),
            own_t,
            self.sequence_entropy_weight,
        )
        return_t = gradient.reward_to_go(reward_t, self.discount)
        baseline_t, baseline_loss = self._baseline(
            return_t, observed, weight_t, training, acts
        )
        log_prob_t = gradient.offset_log_prob(
            chosen["log_prob"], self.probability_offset
        )
        if self.credit == "path":
            on_path = crediting.path_weight(chosen["look_back"])
            weight_t = on_path if weight_t is None else weight_t * on_path
        return (
            loss
            + baseline_loss
            + self.policy_weight
            * gradient.reinforce_loss(
                log_prob_t, return_t - baseline_t, weight_t
            )
        )

    def _entropy_weight(self, training, acts):
        if self.final_entropy_weight is None:
            return self.entropy_weight
        weight = gradient.annealed(
            self.entropy_weight,
            self.final_entropy_weight,
            self.updates,
            self.entropy_steps,
        )
        if training:
            self.updates.assign_add(ops.cast(acts, "float32"))
        return weight

    def _baseline(self, return_t, observed, weight_t, training, acts):
        """The baseline, and what trains it."""
        if self.baseline == "batch_mean":
            return gradient.batch_mean(return_t), 0.0
        if self.baseline == "leave_one_out":
            return gradient.leave_one_out(return_t, self.num_rollouts), 0.0
        if self.baseline == "running_mean":
            mean_t = ops.copy(self.mean_t)
            # A shorter sequence has the last steps of a longer one.
            ahead = mean_t.shape[0] - ops.shape(return_t)[-1]
            old = mean_t[ahead:]
            if training:
                new = gradient.running_mean(old, return_t)
                new = ops.concatenate([mean_t[:ahead], new])
                self.mean_t.assign(ops.where(acts, new, mean_t))
            start = ops.mean(return_t, axis=0)
            return ops.where(ops.isnan(old), start, old)[None], 0.0
        if self.baseline == "value":
            value_t = self.value(ops.stop_gradient(observed))[..., 0]
            loss = gradient.value_loss(value_t, return_t, weight_t)
            return ops.stop_gradient(value_t), loss
        return ops.zeros_like(return_t), 0.0

    def get_config(self):
        return {
            "estimator": self.estimator,
            "reward": self.reward,
            "discount": self.discount,
            "baseline": self.baseline,
            "num_rollouts": self.num_rollouts,
            "policy_weight": self.policy_weight,
            "entropy_weight": self.entropy_weight,
            "final_entropy_weight": self.final_entropy_weight,
            "entropy_steps": self.entropy_steps,
            "sequence_entropy_weight": self.sequence_entropy_weight,
            "credit": self.credit,
            "probability_offset": self.probability_offset,
            "value_units": self.value_units,
            "name": self.name,
        }
