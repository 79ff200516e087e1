"""The losses of a language model's words, in blocks of logits or all at once.

The one place that decides which.
"""

from keras import ops

from dsl.models.cross_entropy import (
    MOST_LOGITS,
    blocked_nll,
    in_blocks,
    token_nll,
)
from dsl.policy.acting import ONCE


class WordLosses:
    """-log p of words under a language model.

    Args:
        language_model: A built `dsl.LanguageModel`.
        most_logits: How many logits are kept at once; where there are more,
            blocks of positions, each with all words, take turns. None keeps
            them all.
    """

    def __init__(self, language_model, most_logits=MOST_LOGITS):
        self.language_model = language_model
        self.most_logits = most_logits

    def need_logits(self, shape):
        """Whether the model is to compute logits: its argument `predict`.

        Args:
            shape: Of the positions, rollouts included; a size that is not
                known yet is None, and keeps all logits.
        """
        words = self.language_model.vocabulary_size
        return self.most_logits is None or not in_blocks(
            shape, words, self.most_logits
        )

    def __call__(self, outputs, targets, acting=ONCE, derive=False):
        """The losses of what the model returned.

        Args:
            outputs: What the model returned, told `need_logits`.
            targets: The words that were to be predicted, int32 `(batch,
                time)`.
            acting: How the model acted, a `dsl.policy.acting.Acting`.
            derive: Whether the loss is to be differentiated.

        Returns:
            -log p of each target in every rollout, float32 `(rollouts * batch,
            time)`; and the loss, the mean over the rows of `task_rollouts` of
            their sums.
        """
        if "logits" in outputs:
            nll_t = _nll(outputs["logits"], targets)
            loss = _mean_of_sums(nll_t)
        else:
            copies = acting.task_rollouts
            rows = copies * targets.shape[0]
            nll_t, loss = self._in_blocks(
                outputs["hidden"], targets, copies, 1 / rows if derive else None
            )
            loss = loss if derive else _mean_of_sums(nll_t)
        if acting.task_rollouts < acting.num_rollouts:
            probes = self._probes(outputs, targets, acting)
            nll_t = ops.concatenate([nll_t, probes], axis=0)
        return nll_t, loss

    def _probes(self, outputs, targets, acting):
        """-log p in the rollouts of which the task learns nothing."""
        if "logits" in outputs:
            return _nll(outputs["probe_logits"], targets)
        hidden = ops.stop_gradient(outputs["probe_hidden"])
        copies = acting.num_rollouts - acting.task_rollouts
        return self._in_blocks(hidden, targets, copies)[0]

    def _in_blocks(self, hidden, targets, copies, scale=None):
        return blocked_nll(
            hidden,
            *self.language_model.softmax_weights(),
            ops.tile(targets, [copies, 1]),
            scale=scale,
            most=self.most_logits,
        )


def repeat(targets, rows):
    """The targets `(batch, time)` once for each rollout among the rows."""
    copies = ops.shape(rows)[0] // ops.shape(targets)[0]
    return ops.tile(targets, [copies, 1])


def _nll(logits, targets):
    return token_nll(logits, repeat(targets, logits))


def _mean_of_sums(nll_t):
    return ops.mean(ops.sum(nll_t, axis=-1))
