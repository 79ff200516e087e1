"""How the accuracy of a classifier is measured, and how it got there."""

import math
import time

import keras
import numpy as np
from keras import ops

from dsl.experiment.kinds import chooses, learns
from dsl.scoring.sequences import (
    ClassifierScorer,
    choices_by_step,
    choices_by_symbol,
    hops_back,
)
from dsl.seeds import spread
from number_prediction.model import imposer


def symbols_read(args, examples):
    """What the network reads of examples.

    A pointer that is marked is a symbol that no digit has: pointer b is the
    number b + the size of the alphabet.

    Args:
        args: The settings.
        examples: The `dsl.datasets.numbers.Examples`.

    Returns:
        Integer `(n, time)`.
    """
    if not args.mark_pointer:
        return examples.inputs
    symbols = examples.inputs.astype(np.int32)
    symbols[:, -1] += args.symbols
    return symbols


def make_scorer(args, classifier, actions="greedy"):
    """What scores examples, by greedy or sampled actions."""
    return ClassifierScorer(classifier, actions, jit_compile=args.jit)


def evaluate(args, scorer, examples, copies=1, draw=0):
    """Scores examples.

    Args:
        args: The settings.
        scorer: What `make_scorer` returned.
        examples: The `dsl.datasets.numbers.Examples`.
        copies: Passes with draws of their own.
        draw: Number of the draw of a uniform policy.

    Returns:
        See `dsl.scoring.sequences.ClassifierScorer.score`.
    """
    symbols = symbols_read(args, examples)
    look_back = None
    if chooses(args) and args.policy != "learned":
        first = spread(args.seed, 6)[5]
        seed = keras.random.SeedGenerator(spread(first, draw + 1)[draw])
        # In parts: a uniform policy draws n x time x K numbers.
        parts = np.array_split(symbols, math.ceil(len(symbols) / 100))
        imposed = [imposer(args)(ops.array(part), seed) for part in parts]
        look_back = np.concatenate([*map(ops.convert_to_numpy, imposed)])
    return scorer.score(
        symbols,
        examples.labels,
        look_back=look_back,
        copies=copies,
        seed=args.seed,
    )


def measure(args, classifier, examples):
    """Accuracy on examples, by each way to act where there is a choice.

    Returns:
        Dict of `accuracy` (greedy actions, a share; where there are none, the
        mean of the sampled passes), `loss` (nats) and, where actions are
        drawn, `accuracy_sampled_mean` and `_std` over `sampled_n` passes; of
        a learned choice also the `policy`, for each last symbol how often
        each distance 1..K was chosen in the sampled passes, and what `route`
        gives of the greedy ones.
    """
    started = time.perf_counter()
    scorer = make_scorer(args, classifier)
    if chooses(args) and args.policy == "uniform":
        greedy = sampled = _uniform(args, scorer, examples)
    else:
        greedy, sampled = evaluate(args, scorer, examples), None
    if learns(args):
        scorer = make_scorer(args, classifier, "sampled")
        sampled = evaluate(args, scorer, examples, args.eval_samples)
    result = {
        "accuracy": float(greedy["correct"].mean()),
        "loss": float(greedy["nll"].mean()),
        "examples": len(examples),
    }
    if sampled is not None:
        each = sampled["correct"].mean(axis=1)
        result["accuracy_sampled_mean"] = float(each.mean())
        result["accuracy_sampled_std"] = float(each.std(ddof=1))
        result["sampled_n"] = len(each)
    if learns(args):
        result["policy"] = choices_by_symbol(
            examples.inputs[:, -1],
            sampled["look_back"][..., -1],
            args.symbols,
            args.n_actions,
        ).tolist()
        result |= route(args, examples, greedy["look_back"][0])
    result["seconds"] = time.perf_counter() - started
    return result


def _uniform(args, scorer, examples):
    """As many passes as sampled ones, each with distances of its own."""
    passes = [
        evaluate(args, scorer, examples, draw=n)
        for n in range(args.eval_samples)
    ]
    return {
        key: np.concatenate([one[key] for one in passes]) for key in passes[0]
    }


def route(args, examples, look_back):
    """How the choices lead from the last state to the digit pointed to.

    With lambda < 1 a state also comes with the one before it, so that the
    digit may arrive by way of a state that was not chosen.

    Args:
        args: The settings.
        examples: The `dsl.datasets.numbers.Examples`.
        look_back: The distances taken, integer `(n, time)`.

    Returns:
        Dict of `digit_reached`, the share of examples in which the choices
        lead from the last state back to the one right after that digit;
        `hops`, how many choices that takes in the mean, None where none does;
        and `policy_by_step`, for each step how often each distance 1..K was
        chosen.
    """
    distance = examples.settings.distance(examples.inputs[:, -1].astype(int))
    hops = hops_back(look_back, look_back.shape[1] - 1 - distance)
    reached = hops >= 0
    steps = choices_by_step(look_back, args.n_actions)
    return {
        "digit_reached": float(reached.mean()),
        "hops": float(hops[reached].mean()) if reached.any() else None,
        "policy_by_step": steps.tolist(),
    }
