"""From settings to a trained and measured language model."""

import math
import os
import time

import keras
import numpy as np

import dsl
from dsl import evaluation, metrics, runs, schedules, training
from dsl.optimizers import GroupedOptimizer
from dsl.policy_signal import PolicySignal
from dsl.seeds import spread


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
    trainer = training.StreamTrainer(
        model,
        args.batch_size,
        signal,
        args.keep_buffer,
        num_rollouts=args.rollouts if chooses(args) else 1,
        look_back_shares=look_back_shares(args),
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
    return trainer


def chooses(args):
    """Whether the model has past states to choose from."""
    return args.model == "dynamic_skip" and args.n_actions > 1


def learns(args):
    """Whether the model has an agent that learns."""
    return chooses(args) and args.policy == "learned"


def look_back_shares(args):
    """Shares of the distances 1..K that are drawn in the agent's place."""
    if not chooses(args) or args.policy != "random":
        return None
    if args.look_back_shares is None:
        return [1.0] * args.n_actions
    return [*args.look_back_shares, *[0.0] * args.n_actions][: args.n_actions]


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
    if shares is None:
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


def train(args, trainer, corpus, run, log, progress):
    """Trains for the epochs or steps asked for, keeping the best weights.

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
    model, epochs, best, done = trainer.language_model, [], np.inf, 0
    for epoch in range(1, args.max_epochs + 1):
        left = None if args.max_steps is None else args.max_steps - done
        if left == 0:
            break
        trainer.optimizer.learning_rate = schedule.rate
        trained = training.train_epoch(
            trainer,
            corpus.train,
            args.num_unroll_steps,
            left,
            progress(epoch),
        )
        done += trained["steps"]
        valid = evaluate(args, model, corpus.valid, args.eval_actions)
        perplexity = metrics.perplexity(valid["nll"])
        if not math.isfinite(perplexity):
            raise runs.DivergedError(
                "the validation perplexity must stay finite; lower the "
                "learning rate or the clipping norm. Received: "
                f"{perplexity} after epoch {epoch}"
            )
        entry = {
            "epoch": epoch,
            "learning_rate": schedule.rate,
            "train_perplexity": trained["perplexity"],
            "valid_perplexity": perplexity,
            "tokens_per_second": trained["tokens_per_second"],
            "seconds": trained["seconds"],
            "steps": done,
        }
        if chooses(args):
            histogram = trained["histogram"]
            entry["entropy"] = trained["entropy"]
            entry["look_back"] = metrics.mean_look_back(histogram)
            entry["look_back_histogram"] = histogram
        epochs.append(entry)
        run.log_metrics(entry)
        log(describe(entry))
        if perplexity < best:
            best = perplexity
            run.save_best(model)
        schedule.finish_epoch(perplexity)
    return epochs


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
    """Perplexity on a text: greedy, and sampled where there is a choice."""
    started = time.perf_counter()
    result = {
        "perplexity": metrics.perplexity(evaluate(args, model, tokens)["nll"])
    }
    if chooses(args):
        sampled = evaluate(args, model, tokens, "sampled", args.eval_samples)
        each = [metrics.perplexity(nll) for nll in sampled["nll"]]
        result["perplexity_sampled_mean"] = float(np.mean(each))
        result["perplexity_sampled_std"] = float(np.std(each, ddof=1))
        result["sampled_n"] = args.eval_samples
    result["tokens"] = len(tokens)
    result["seconds"] = time.perf_counter() - started
    return result


def record(args, model, corpus, epochs, measured, context):
    """The run record that `result.json` holds."""
    best = min(epochs, key=lambda entry: entry["valid_perplexity"])
    return {
        "task": "language_modeling",
        "model": args.model,
        "corpus": corpus.name,
        "settings": vars(args),
        "command": context["command"],
        "parameters": int(model.count_params()),
        "seconds": context["seconds"],
        "train_seconds": sum(entry["seconds"] for entry in epochs),
        "steps": epochs[-1]["steps"],
        "epochs": epochs,
        "valid": {
            "perplexity": best["valid_perplexity"],
            "epoch": best["epoch"],
        },
        "test": measured,
        "published": context["published"],
        "true_perplexity": corpus.true_perplexity,
        "weights_sha256": runs.weights_sha256(model),
        "versions": runs.versions(),
        "commit": context["commit"],
        "data_sha256": corpus.sha256,
        "backend": keras.backend.backend(),
        "recipe_epochs": context["recipe_epochs"],
        "cores": os.cpu_count(),
    }
