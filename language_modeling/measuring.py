"""How well a language model knows a text, by each way to act."""

import time

import numpy as np

from dsl import metrics
from dsl.datasets import EOS
from dsl.experiment import kinds
from dsl.experiment.kinds import chooses
from dsl.experiment.measures import BITS_PER_CHARACTER, PERPLEXITY
from dsl.scoring.streams import score
from language_modeling.model import look_back_shares


def evaluate(args, model, tokens, actions="greedy", copies=1, shares=None):
    """Scores a text by the protocol that was asked for.

    A single stream is read as it stands, in calls of any length; where past
    states are not carried from one to the next, in those of training.

    Args:
        args: The settings.
        model: The language model.
        tokens: Word ids of the text.
        actions: "greedy" or "sampled".
        copies: Passes over the text, each with draws of its own.
        shares: Probability of each distance, in place of the agent's choice.

    Returns:
        See `dsl.scoring.streams.score`.
    """
    batched = args.eval_protocol == "batched"
    as_trained = batched or not args.keep_buffer
    if shares is None:
        shares = imposed_shares(args, actions)
    return score(
        model,
        tokens,
        num_streams=args.batch_size if batched else 1,
        segment=args.num_unroll_steps if as_trained else 100,
        whole_segments=batched,
        copies=copies,
        action_selection=actions,
        look_back_shares=shares,
        seed=args.seed,
        keep_buffer=args.keep_buffer,
        jit_compile=kinds.jit_compile(args),
    )


def imposed_shares(args, actions):
    """Shares of the distances that a model takes without an agent, or None.

    Args:
        args: The settings.
        actions: "sampled", or "greedy" for the most frequent one alone.
    """
    shares = look_back_shares(args) if args.policy == "random" else None
    if shares is not None and actions == "greedy":
        shares = np.eye(args.n_actions)[np.argmax(shares)]
    return shares


def measure(args, model, tokens):
    """Perplexity of a text, by each way to act where there is a choice.

    Args:
        args: The settings.
        model: The language model.
        tokens: Word ids of the text.

    Returns:
        A pair. A dict: `perplexity` (greedy actions) and, where there is a
        choice, `perplexity_<way>_mean` and `_std` over `<way>_n` passes, for
        the ways "sampled" and "random" (distances of the same shares that
        depend on nothing), `perplexity_previous` (always the previous state)
        and the `look_back_histogram` of the sampled passes; where the model
        attends, the mean `attention` to each distance; how many `tokens` were
        predicted; and `seconds`. And what `evaluate` returned for greedy
        actions.
    """
    started = time.perf_counter()
    greedy = evaluate(args, model, tokens)
    result = {"perplexity": metrics.perplexity(greedy["nll"])}
    if chooses(args):
        copies = args.eval_samples
        sampled = evaluate(args, model, tokens, "sampled", copies)
        shares = metrics.look_back_histogram(
            sampled["look_back"], args.n_actions
        )
        random = evaluate(args, model, tokens, "sampled", copies, shares)
        previous = evaluate(args, model, tokens, shares=[1.0])
        for way, scores in (("sampled", sampled), ("random", random)):
            each = [metrics.perplexity(nll) for nll in scores["nll"]]
            result[f"perplexity_{way}_mean"] = float(np.mean(each))
            result[f"perplexity_{way}_std"] = float(np.std(each, ddof=1))
            result[f"{way}_n"] = copies
        result["perplexity_previous"] = metrics.perplexity(previous["nll"])
        result["look_back_histogram"] = shares
    if "attention" in greedy:
        result["attention"] = greedy["attention"].mean((0, 1, 2)).tolist()
    result["tokens"] = int(greedy["nll"].size)
    result["seconds"] = time.perf_counter() - started
    return result, greedy


def bits(scores, corpus, unknown):
    """Bits per character of what was scored, where they are well defined.

    Args:
        scores: What `evaluate` returned.
        corpus: The corpus, whose text or vocabulary was scored.
        unknown: How many words of the text were replaced.

    Returns:
        Dict of `bits_per_character`; an empty one if words were replaced: what
        is predicted then is no longer the text.
    """
    if unknown:
        return {}
    characters = corpus.count_characters(scores["inputs"], scores["targets"])
    found = metrics.bits_per_character(scores["nll"], characters.sum())
    return {"bits_per_character": found}


def scores_by_sentence(scores, corpus):
    """The scores of each word, as a run keeps them.

    Args:
        scores: What `evaluate` returned, for one copy.
        corpus: The corpus of the text.

    Returns:
        Dict of `nll` (float64), `look_back` and `sentence` (int32), each
        `(predicted words,)`.
    """
    targets = scores["targets"].ravel()
    ends_sentence = targets[:-1] == corpus.vocabulary.index(EOS)
    return {
        "nll": scores["nll"].ravel(),
        "look_back": scores["look_back"].ravel().astype(np.int32),
        "sentence": np.append(0, np.cumsum(ends_sentence)).astype(np.int32),
    }


def in_words(measured):
    """The perplexities of a measurement, and its bits."""
    text = f"perplexity {PERPLEXITY.text(measured['perplexity'])}"
    if sampled := PERPLEXITY.sampled_in_words(measured):
        text += (
            f" ({sampled}; always the previous state"
            f" {measured['perplexity_previous']:.2f}; random distances of the"
            f" same shares {measured['perplexity_random_mean']:.2f})"
        )
    if "bits_per_character" in measured:
        bits = BITS_PER_CHARACTER.text(measured["bits_per_character"])
        text += f", {bits} bits per character"
    return text
