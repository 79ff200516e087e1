"""How a language model is trained and measured."""

import time

import keras
import numpy as np

from dsl import evaluation, metrics, provenance, schedules, training
from dsl.datasets import EOS, streams
from language_modeling import settings
from language_modeling.building import jit_compile, look_back_shares
from scripts.models import chooses


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
        See `dsl.evaluation.score`.
    """
    batched = args.eval_protocol == "batched"
    as_trained = batched or not args.keep_buffer
    if shares is None:
        shares = imposed_shares(args, actions)
    return evaluation.score(
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
        jit_compile=jit_compile(args),
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


def train(args, trainer, corpus, run, on_resume, on_step, on_epoch):
    """Trains for the epochs or steps asked for, from the last checkpoint.

    Args:
        args: The settings.
        trainer: What `build_trainer` returned.
        corpus: The `dsl.datasets.corpus.Corpus`.
        run: The `dsl.runs.RunFolder`.
        on_resume: Called with the `dsl.training.Progress` at the start.
        on_step: See `dsl.training.fit`.
        on_epoch: Likewise.

    Returns:
        List of one dict of measurements an epoch.
    """
    schedule = schedules.Schedule(
        rate=args.learning_rate,
        factor=args.learning_rate_decay,
        constant_epochs=args.constant_epochs,
        margin=args.decay_when,
        floor=args.lr_threshold,
    )
    batches = segments(args, corpus.train)

    def finish_epoch(trained):
        started = time.perf_counter()
        valid = evaluate(
            args, trainer.language_model, corpus.valid, args.eval_actions
        )
        perplexity = metrics.perplexity(valid["nll"])
        found = summary(args, trained, perplexity)
        if corpus.of_characters and not corpus.unknown["valid"]:
            bits = metrics.bits_per_character(valid["nll"])
            found["valid_bits_per_character"] = bits
        found["valid_seconds"] = time.perf_counter() - started
        return found

    progress = training.resume(trainer, run, schedule)
    on_resume(progress)
    training.fit(
        trainer,
        trainer.language_model,
        lambda epoch: batches,
        finish_epoch,
        schedule,
        run,
        progress,
        monitor="valid_perplexity",
        max_epochs=args.max_epochs,
        max_steps=args.max_steps,
        checkpoint_every=args.checkpoint_every,
        on_step=on_step,
        on_epoch=on_epoch,
    )
    return progress.entries


def segments(args, tokens):
    """The batches of an epoch.

    Args:
        args: The settings.
        tokens: Word ids of the training text.

    Returns:
        Sequence of pairs of inputs and targets.
    """
    rows = streams.batch(tokens, args.batch_size)
    found = streams.Segments(rows, args.num_unroll_steps)
    # Encoding a word costs more than finding it among the others.
    return streams.DistinctWords(found) if args.char else found


def summary(args, trained, valid_perplexity):
    """What to keep of an epoch.

    Args:
        args: The settings.
        trained: The trainer's statistics, with `steps` and `seconds`.
        valid_perplexity: Perplexity of the validation text.

    Returns:
        Flat dict of numbers, and the list of the look-back shares.
    """
    tokens = trained["steps"] * args.batch_size * args.num_unroll_steps
    found = {
        "train_perplexity": trained["perplexity"],
        "valid_perplexity": valid_perplexity,
        "tokens_per_second": tokens / trained["seconds"],
    }
    if chooses(args):
        if args.policy != "random":  # Otherwise it is not the agent's choice.
            found["entropy"] = trained["entropy"]
        found["look_back"] = metrics.mean_look_back(trained["histogram"])
        found["look_back_histogram"] = trained["histogram"]
    return found


def teller(args, trainer):
    """What to tell of an epoch while it goes on; see `ProgressReport`."""
    tokens = args.batch_size * args.num_unroll_steps

    def tell(loss, pace):
        perplexity = trainer.read_statistics()["perplexity"]
        return (
            f"loss {loss:.2f} nats a segment  perplexity {perplexity:.2f}  "
            f"{pace * tokens:,.0f} tokens/s"
        )

    return tell


def describe(entry):
    """One line about an epoch."""
    line = (
        f"epoch {entry['epoch']:2d}  rate {entry['learning_rate']:.4g}  "
        f"train {entry['train_perplexity']:.2f}  "
        f"valid {entry['valid_perplexity']:.2f}  "
        f"{entry['tokens_per_second']:,.0f} tokens/s"
    )
    if "valid_bits_per_character" in entry:
        line += f"  {entry['valid_bits_per_character']:.3f} bits a character"
    if "entropy" in entry:
        line += f"  entropy {entry['entropy']:.3f}"
    if "look_back" in entry:
        shares = " ".join(f"{p:.2f}" for p in entry["look_back_histogram"])
        line += f"  look-back {entry['look_back']:.2f} [{shares}]"
    return line


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


def perplexities(measured):
    """The perplexities of a measurement in words, and its bits."""
    text = f"perplexity {measured['perplexity']:.2f}"
    if "sampled_n" in measured:
        text += (
            f" (sampled {measured['perplexity_sampled_mean']:.2f}"
            f" +- {measured['perplexity_sampled_std']:.2f},"
            f" n={measured['sampled_n']}; always the previous state"
            f" {measured['perplexity_previous']:.2f}; random distances of the"
            f" same shares {measured['perplexity_random_mean']:.2f})"
        )
    if "bits_per_character" in measured:
        text += f", {measured['bits_per_character']:.3f} bits per character"
    return text


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


def record(args, model, corpus, epochs, measured, context):
    """The run record that `result.json` holds."""
    best = min(epochs, key=lambda entry: entry["valid_perplexity"])
    training_seconds = sum(entry["seconds"] for entry in epochs)
    valid_seconds = sum(entry["valid_seconds"] for entry in epochs)
    return {
        "task": "language_modeling",
        "model": args.model,
        "corpus": corpus.name,
        "settings": settings.of_run(args),
        "command": context["command"],
        "parameters": int(model.count_params()),
        "seconds": training_seconds + valid_seconds + measured["seconds"],
        "train_seconds": training_seconds,
        "steps": epochs[-1]["steps"],
        "epochs": epochs,
        "valid": {
            key.removeprefix("valid_"): best[key]
            for key in (
                "valid_perplexity",
                "epoch",
                "valid_bits_per_character",
            )
            if key in best
        },
        "test": measured,
        "published": context["published"],
        "true_perplexity": corpus.true_perplexity,
        "weights_sha256": provenance.weights_sha256(model),
        "last_weights_sha256": context["last_weights_sha256"],
        "versions": provenance.versions(),
        "commit": context["commit"],
        "data": corpus.describe(),
        "data_sha256": corpus.sha256,
        "backend": keras.backend.backend(),
        "recipe_epochs": context["recipe_epochs"],
        "cores": provenance.cores(),
    }
