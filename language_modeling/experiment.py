"""From settings to a trained and measured language model."""

import os
import time

import keras
import numpy as np

import dsl
from dsl import (
    evaluation,
    metrics,
    provenance,
    schedules,
    stream_trainer,
    training,
)
from dsl.datasets import EOS, streams
from dsl.optimizers import GroupedOptimizer
from dsl.policy_signal import PolicySignal
from dsl.seeds import spread
from language_modeling import settings


def build_model(args, vocabulary_size):
    """The model: plain LSTM layers, on top a plain or a dynamic one."""
    start, *seeds = spread(args.seed, 2 + args.rnn_layers)
    # A seed generator makes each weight a draw of its own.
    uniform = keras.initializers.RandomUniform(
        -args.param_init,
        args.param_init,
        seed=keras.random.SeedGenerator(start),
    )

    def options(n):
        return {
            "kernel_initializer": uniform,
            "recurrent_initializer": uniform,
            "bias_initializer": uniform,
            "unit_forget_bias": False,
            "forget_bias": args.forget_bias,
            "return_sequences": True,
            "return_state": True,
            "seed": seeds[n],
            "name": f"layer_{n}",
        }

    plain = args.rnn_layers - (args.model == "dynamic_skip")
    layers = [dsl.LSTM(args.rnn_size, **options(n)) for n in range(plain)]
    if args.model == "dynamic_skip":
        layers.append(
            dsl.DynamicSkipLSTM(
                args.rnn_size,
                num_actions=args.n_actions,
                skip_weight=args.lamda,
                policy_units=args.policy_units,
                observation=args.observation,
                empty_slots=args.empty_slots,
                previous_bias=args.previous_bias,
                # Without a signal and a gradient the agent stays as it is.
                estimator=args.estimator if learns(args) else "reinforce",
                temperature=args.temperature,
                return_policy=args.n_actions > 1,
                **options(plain),
            )
        )
    model = dsl.LanguageModel(
        vocabulary_size,
        layers,
        embedding_units=args.rnn_size,
        dropout=args.dropout,
        initializer=uniform,
        seed=seeds[-1],
        name="language_model",
    )
    model.build((args.batch_size, args.num_unroll_steps))
    return model


def build_trainer(args, model):
    """The model with its learning signal and optimizers, compiled."""
    signal = None
    if learns(args):
        signal = PolicySignal(
            estimator=args.estimator,
            reward=args.reward,
            discount=args.discount,
            baseline=args.baseline,
            num_rollouts=args.rollouts,
            policy_weight=args.policy_weight,
            entropy_weight=args.entropy_weight,
            final_entropy_weight=args.final_entropy_weight,
            entropy_steps=args.entropy_steps or 0,
            sequence_entropy_weight=args.sequence_entropy_weight,
        )
    own = signal is not None and args.agent_optimizer == "adam"
    trainer = stream_trainer.StreamTrainer(
        model,
        args.batch_size,
        signal,
        args.keep_buffer,
        num_rollouts=args.rollouts if chooses(args) else 1,
        task_rollouts=args.task_rollouts if chooses(args) else None,
        look_back_shares=look_back_shares(args),
        random_share=1.0 if args.random_share is None else args.random_share,
        policy_start=args.policy_start if chooses(args) else 0,
        seed=args.seed,
    )
    trainer.compile(
        optimizer=GroupedOptimizer(
            keras.optimizers.SGD(args.learning_rate),
            keras.optimizers.Adam(args.agent_learning_rate) if own else None,
            max_norm=args.max_grad_norm,
        ),
        jit_compile=jit_compile(args),
    )
    trainer.build((args.batch_size, args.num_unroll_steps))
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer


def chooses(args):
    """Whether the model has past states to choose from."""
    return args.model == "dynamic_skip" and args.n_actions > 1


def learns(args):
    """Whether the model has an agent that learns."""
    return chooses(args) and args.policy == "learned"


def look_back_shares(args):
    """Shares of the distances 1..K that are drawn in the agent's place."""
    drawn = args.policy == "random" or args.random_share is not None
    if not chooses(args) or not drawn:
        return None
    if args.look_back_shares is None:
        return [1.0] * args.n_actions
    missing = args.n_actions - len(args.look_back_shares)
    return [*args.look_back_shares, *[0.0] * missing]


def jit_compile(args):
    """XLA as asked for; otherwise only where nothing runs without it."""
    if args.jit is None:
        return keras.backend.backend() == "jax"
    return args.jit


def evaluate(args, model, tokens, actions="greedy", copies=1, shares=None):
    """Scores a text by the protocol that was asked for.

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
    if shares is None and args.policy == "random":
        shares = look_back_shares(args)
        if shares is not None and actions == "greedy":
            shares = np.eye(args.n_actions)[np.argmax(shares)]
    return evaluation.score(
        model,
        tokens,
        num_streams=args.batch_size if batched else 1,
        segment=args.num_unroll_steps if batched else 100,
        whole_segments=batched,
        copies=copies,
        action_selection=actions,
        look_back_shares=shares,
        seed=args.seed,
        keep_buffer=args.keep_buffer,
        jit_compile=jit_compile(args),
    )


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
    rows = streams.batch(corpus.train, args.batch_size)
    segments = streams.Segments(rows, args.num_unroll_steps)

    def finish_epoch(trained):
        started = time.perf_counter()
        valid = evaluate(
            args, trainer.language_model, corpus.valid, args.eval_actions
        )
        perplexity = metrics.perplexity(valid["nll"])
        seconds = time.perf_counter() - started
        return {**summary(args, trained, perplexity), "valid_seconds": seconds}

    progress = training.resume(trainer, run, schedule)
    on_resume(progress)
    training.fit(
        trainer,
        trainer.language_model,
        lambda epoch: segments,
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
    if "entropy" in entry:
        shares = " ".join(f"{p:.2f}" for p in entry["look_back_histogram"])
        line += (
            f"  entropy {entry['entropy']:.3f}  "
            f"look-back {entry['look_back']:.2f} [{shares}]"
        )
    return line


def measure(args, model, tokens):
    """Perplexity of a text, by each way to act where there is a choice.

    Args:
        args: The settings.
        model: The language model.
        tokens: Word ids of the text.

    Returns:
        A dict: `perplexity` (greedy actions) and, where there is a choice,
        `perplexity_<way>_mean` and `_std` over `<way>_n` passes, for the ways
        "sampled" and "random" (distances of the same shares that depend on
        nothing), `perplexity_previous` (always the previous state) and the
        `look_back_histogram` of the sampled passes; and what `evaluate`
        returned for the greedy one.
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
    result["tokens"] = len(tokens)
    result["seconds"] = time.perf_counter() - started
    return result, greedy


def perplexities(measured):
    """The perplexities of a measurement in words."""
    text = f"perplexity {measured['perplexity']:.2f}"
    if "sampled_n" not in measured:
        return text
    return (
        f"{text} (sampled {measured['perplexity_sampled_mean']:.2f}"
        f" +- {measured['perplexity_sampled_std']:.2f},"
        f" n={measured['sampled_n']}; always the previous state"
        f" {measured['perplexity_previous']:.2f}; random distances of the"
        f" same shares {measured['perplexity_random_mean']:.2f})"
    )


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
            "perplexity": best["valid_perplexity"],
            "epoch": best["epoch"],
        },
        "test": measured,
        "published": context["published"],
        "true_perplexity": corpus.true_perplexity,
        "weights_sha256": provenance.weights_sha256(model),
        "last_weights_sha256": context["last_weights_sha256"],
        "versions": provenance.versions(),
        "commit": context["commit"],
        "data_sha256": corpus.sha256,
        "backend": keras.backend.backend(),
        "recipe_epochs": context["recipe_epochs"],
        "cores": os.cpu_count(),
    }
