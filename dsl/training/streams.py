"""Language models as they are trained: on contiguous streams of text."""

import keras
from keras import ops

from dsl import metrics
from dsl.choices import check_count, check_number
from dsl.models.carried_states import CarriedStates
from dsl.models.cross_entropy import (
    MOST_LOGITS,
    blocked_nll,
    in_blocks,
    token_nll,
)
from dsl.policy import choosing


class StreamTrainer(keras.Model):
    """Trains a language model segment by segment.

        L = mean over rows of sum_t -log p(y_t)  +  the agent's loss

    States are carried from one segment to the next without gradient, and
    reset by `begin_epoch`. Of several rollouts the first one is carried on.
    All of them judge the agent's choices; how many the model learns its
    words from is `task_rollouts`.

    The agent can be kept from choosing: for a first number of updates, which
    then look back one step (`policy_start`); at a share of the steps, drawn
    anew each time, which regularizes the model (`random_share`); or for good,
    the control that tells what random skips do without anything learned.

    Args:
        language_model: A `dsl.LanguageModel`.
        batch_size: Number of streams.
        signal: `dsl.policy.signal.PolicySignal`, or None for a model without
            an agent.
        keep_buffer: Whether past states are carried along; if not, only h
            and c are (published code).
        num_rollouts: Rollouts of the top layer from the same state; the
            signal's, if there is one.
        task_rollouts: Rollouts over which the first mean above is taken, the
            first ones; all by default.
        look_back_shares: Probability of each distance 1..K, drawn in training
            in place of the agent's choice.
        random_share: Probability that a step's distance is so drawn. All
            rollouts share the draw, which thus cancels in their difference.
        policy_start: Updates before the agent chooses and learns.
        most_logits: How many logits of a segment are kept at once; where there
            are more, blocks of its positions (stream and step), each with all
            words, take turns in training. The reward "correct" needs them
            all.
        seed: Of the draws for `look_back_shares`.

    Call arguments:
        tokens: Word ids, int32 `(batch_size, time)`; or a dict of `words`,
            distinct ids `(n,)`, each of which is embedded once, and `tokens`,
            the place of each word among them.

    Returns:
        What the language model returns and, where distances were imposed,
        `free`, 1 where the agent chose, float `(rollouts * batch, time)`.
    """

    def __init__(
        self,
        language_model,
        batch_size,
        signal=None,
        keep_buffer=True,
        *,
        num_rollouts=1,
        task_rollouts=None,
        look_back_shares=None,
        random_share=1.0,
        policy_start=0,
        most_logits=MOST_LOGITS,
        seed=None,
    ):
        super().__init__(name="stream_trainer")
        self.language_model = language_model
        self.batch_size = batch_size
        self.signal = signal
        self.num_rollouts = signal.num_rollouts if signal else num_rollouts
        if task_rollouts is None:
            task_rollouts = self.num_rollouts
        check_count("task_rollouts", task_rollouts, "a number of rollouts")
        self.task_rollouts = task_rollouts
        if task_rollouts > self.num_rollouts:
            raise ValueError(
                "`task_rollouts` are some of the rollouts. Received: "
                f"task_rollouts={task_rollouts} of {self.num_rollouts}"
            )
        check_number("random_share", random_share, "a share of steps", 0, 1)
        self.look_back_shares = look_back_shares
        self.random_share = random_share
        self.policy_start = policy_start
        self.most_logits = most_logits
        self.carried = CarriedStates(language_model, batch_size, keep_buffer)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, tokens_shape):
        model = self.language_model
        if not model.built:
            model.build(tokens_shape)
            model.built = True
        if self.signal is not None:
            rows = self.num_rollouts * self.batch_size
            top = model.recurrent_layers[-1].cell
            features = top.kernel.shape[0] + top.units
            self.signal.build(
                (rows, tokens_shape[1]), (rows, tokens_shape[1], features)
            )
            self.signal.built = True
        self.carried.build()
        if self.policy_start > 0:
            self.updates = self.add_weight(
                shape=(), name="updates", initializer="zeros", trainable=False
            )
        # Sums over the epoch: segments, mean nll, mean
        # entropy, then how often each distance was taken.
        self.statistics = self.add_weight(
            shape=(3 + self._num_actions(),),
            name="statistics",
            initializer="zeros",
            trainable=False,
        )

    def _num_actions(self):
        top = self.language_model.recurrent_layers[-1]
        return getattr(top, "num_actions", 1)

    def call(self, tokens, training=False):
        vectors = None
        if isinstance(tokens, dict):
            vectors = self.language_model.embedding(tokens["words"])
            tokens = tokens["tokens"]
        look_back = self._imposed(ops.shape(tokens)) if training else None
        outputs = self.language_model(
            tokens,
            states=self.carried.read(),
            training=training,
            num_rollouts=self.num_rollouts,
            task_rollouts=self.task_rollouts,
            look_back=look_back,
            vectors=vectors,
            predict=not self._in_blocks(tokens.shape),
        )
        if training:
            self.carried.write(outputs["states"])
        if look_back is not None:
            free = ops.cast(ops.equal(look_back, 0), "float32")
            outputs["free"] = ops.tile(free, [self.num_rollouts, 1])
        return outputs

    def _in_blocks(self, shape):
        """Whether a segment has more logits than are kept at once."""
        if self.signal is not None and self.signal.reward == "correct":
            return False
        return in_blocks(
            (self.num_rollouts, *shape),
            self.language_model.vocabulary_size,
            self.most_logits,
        )

    def _imposed(self, shape):
        """Distances not the agent's to choose, 0 where they are, or None."""
        look_back = None
        if self.look_back_shares is not None and self.random_share > 0.0:
            look_back = choosing.random_look_back(
                self.look_back_shares, shape, self.seed_generator
            )
            if self.random_share < 1.0:
                uniform = keras.random.uniform(shape, seed=self.seed_generator)
                look_back *= ops.cast(uniform < self.random_share, "int32")
        if self.policy_start > 0:
            waiting = self.updates < self.policy_start
            self.updates.assign_add(1.0)
            later = (
                ops.zeros(shape, "int32") if look_back is None else look_back
            )
            look_back = ops.where(waiting, 1, later)
        return look_back

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        targets = ops.cast(y, "int32")
        loss, nll_t = self._task_loss(y_pred, targets, training)
        chosen = y_pred["policy"]
        if self.signal is not None:
            loss = loss + self.signal(
                nll_t,
                chosen,
                y_pred["observed"],
                weight_t=y_pred.get("free"),
                correct_t=self._correct(y_pred, targets),
                training=training,
            )
        if training:
            self._count(nll_t, chosen)
        return loss

    def _task_loss(self, y_pred, targets, training):
        """The loss of the words, and -log p of each in every rollout."""
        if "hidden" in y_pred:
            return self._blocked_loss(y_pred, targets, training)
        nll_t = self._nll(y_pred["logits"], targets)
        loss = ops.mean(ops.sum(nll_t, axis=-1))
        if "probe_logits" in y_pred:
            probe_nll_t = self._nll(y_pred["probe_logits"], targets)
            nll_t = ops.concatenate([nll_t, probe_nll_t], axis=0)
        return loss, nll_t

    def _nll(self, logits, targets):
        """-log p of each target, for logits of one rollout or several."""
        return token_nll(logits, _repeat(targets, logits))

    def _blocked_loss(self, y_pred, targets, training):
        weights = self.language_model.softmax_weights()
        rows = self.task_rollouts * targets.shape[0]
        nll_t, loss = blocked_nll(
            y_pred["hidden"],
            *weights,
            ops.tile(targets, [self.task_rollouts, 1]),
            scale=1.0 / rows if training else None,
            most=self.most_logits,
        )
        if not training:
            loss = ops.mean(ops.sum(nll_t, axis=-1))
        if "probe_hidden" in y_pred:
            others = self.num_rollouts - self.task_rollouts
            probe_nll_t, _ = blocked_nll(
                ops.stop_gradient(y_pred["probe_hidden"]),
                *weights,
                ops.tile(targets, [others, 1]),
                most=self.most_logits,
            )
            nll_t = ops.concatenate([nll_t, probe_nll_t], axis=0)
        return loss, nll_t

    def _correct(self, y_pred, targets):
        if self.signal.reward != "correct":
            return None
        logits = [y_pred[x] for x in ("logits", "probe_logits") if x in y_pred]
        best = [ops.argmax(one, axis=-1) for one in logits]
        best = ops.cast(ops.concatenate(best, axis=0), targets.dtype)
        return ops.equal(best, _repeat(targets, best))

    def _count(self, nll_t, chosen):
        mean_nll = ops.mean(nll_t)
        counts = ops.zeros((self._num_actions(),))
        mean_entropy = ops.zeros(())
        if chosen:
            taken = ops.one_hot(
                chosen["look_back"] - 1, self._num_actions(), dtype="float32"
            )
            counts = ops.mean(taken, axis=(0, 1))
            mean_entropy = ops.mean(chosen["entropy"])
        self.statistics.assign_add(
            ops.concatenate(
                [
                    ops.stop_gradient(
                        ops.stack([ops.ones(()), mean_nll, mean_entropy])
                    ),
                    counts,
                ]
            )
        )

    def begin_epoch(self):
        """Sets all streams and statistics back to the start of the text."""
        self.carried.reset()
        self.statistics.assign(ops.zeros(self.statistics.shape))

    def read_statistics(self):
        """Returns the means over the segments of this epoch so far.

        Returns:
            Dict of `perplexity`, `entropy` (nats) and `histogram` (share of
            each distance 1..K).
        """
        n, nll, entropy, *counts = ops.convert_to_numpy(self.statistics)
        n = max(float(n), 1.0)
        return {
            "perplexity": metrics.perplexity(float(nll), n),
            "entropy": float(entropy) / n,
            "histogram": [float(count) / n for count in counts],
        }


def _repeat(targets, rows):
    """The targets `(batch, time)` once for each rollout among the rows."""
    copies = ops.shape(rows)[0] // ops.shape(targets)[0]
    return ops.tile(targets, [copies, 1])
