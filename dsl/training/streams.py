"""Language models as they are trained: on contiguous streams of text."""

import keras
from keras import ops

from dsl import metrics
from dsl.choices import check_number
from dsl.models.carried_states import CarriedStates
from dsl.models.cross_entropy import MOST_LOGITS
from dsl.models.word_losses import WordLosses, repeat
from dsl.policy import choosing
from dsl.policy.acting import Acting
from dsl.training.trainer import Trainer, entropy_of


class StreamTrainer(Trainer):
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
        super().__init__(
            language_model,
            batch_size,
            signal,
            Acting(
                signal.num_rollouts if signal else num_rollouts, task_rollouts
            ),
            seed=seed,
            num_means=2 + num_actions(language_model),
            name="stream_trainer",
        )
        check_number("random_share", random_share, "a share of steps", 0, 1)
        self.look_back_shares = look_back_shares
        self.random_share = random_share
        self.policy_start = policy_start
        self.most_logits = most_logits
        self.carried = CarriedStates(language_model, batch_size, keep_buffer)

    @property
    def language_model(self):
        """The model that is trained."""
        return self.model

    @property
    def word_losses(self):
        """The losses of the words; the reward "correct" asks for all logits."""
        whole = self.signal is not None and self.signal.reward == "correct"
        return WordLosses(self.model, None if whole else self.most_logits)

    def build_state(self):
        self.carried.build()
        if self.policy_start > 0:
            self.updates = self.add_weight(
                shape=(), name="updates", initializer="zeros", trainable=False
            )

    def call(self, tokens, training=False):
        vectors = None
        if isinstance(tokens, dict):
            vectors = self.model.embedding(tokens["words"])
            tokens = tokens["tokens"]
        look_back = self._impose(ops.shape(tokens)) if training else None
        outputs = self.model(
            tokens,
            states=self.carried.read(),
            training=training,
            acting=self.acting.taking(look_back),
            vectors=vectors,
            predict=self.word_losses.need_logits(
                (self.num_rollouts, *tokens.shape)
            ),
        )
        if training:
            self.carried.write(outputs["states"])
        if look_back is not None:
            free = ops.cast(ops.equal(look_back, 0), "float32")
            outputs["free"] = ops.tile(free, [self.num_rollouts, 1])
        return outputs

    def _impose(self, shape):
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

    def task(self, y_pred, targets, training):
        nll_t, loss = self.word_losses(y_pred, targets, self.acting, training)
        chosen = y_pred["policy"]
        counts = ops.zeros((num_actions(self.model),))
        if chosen:
            taken = ops.one_hot(
                chosen["look_back"] - 1,
                num_actions(self.model),
                dtype="float32",
            )
            counts = ops.mean(taken, axis=(0, 1))
        means = [ops.mean(nll_t), entropy_of(chosen), counts]
        return loss, nll_t, self._correct(y_pred, targets), means

    def _correct(self, y_pred, targets):
        """Whether each word was the most probable, if the signal asks."""
        if self.signal is None or self.signal.reward != "correct":
            return None
        logits = [y_pred[x] for x in ("logits", "probe_logits") if x in y_pred]
        best = [ops.argmax(one, axis=-1) for one in logits]
        best = ops.cast(ops.concatenate(best, axis=0), targets.dtype)
        return ops.equal(best, repeat(targets, best))

    def begin_epoch(self):
        """Sets all streams and statistics back to the start of the text."""
        self.carried.reset()
        super().begin_epoch()

    def read_statistics(self):
        """Returns the means over the segments of this epoch so far.

        Returns:
            Dict of `perplexity`, `entropy` (nats) and `histogram` (share of
            each distance 1..K).
        """
        nll, entropy, *histogram = self.read_means()
        return {
            "perplexity": metrics.perplexity(nll),
            "entropy": entropy,
            "histogram": histogram,
        }


def num_actions(model):
    """K of the top layer's choices, 1 for a layer without."""
    return getattr(model.recurrent_layers[-1], "num_actions", 1)
