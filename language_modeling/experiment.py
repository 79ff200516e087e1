"""How a language model is trained, and what is kept of it."""

import time

import keras

from dsl import metrics
from dsl.datasets import streams
from dsl.experiment.kinds import chooses
from dsl.runs import provenance
from dsl.training import loop, schedules
from language_modeling import settings
from language_modeling.measuring import evaluate

# Of each epoch, what is read when a run goes on or ends.
_READ = ("valid_perplexity", "seconds", "valid_seconds")


def train(args, trainer, corpus, run, on_resume, on_step, on_epoch):
    """Trains for the epochs or steps asked for, from the last checkpoint.

    Args:
        args: The settings.
        trainer: What `build_trainer` returned.
        corpus: The `dsl.datasets.corpus.Corpus`.
        run: The `dsl.runs.folder.RunFolder`.
        on_resume: Called with the `dsl.training.loop.Progress` at the start.
        on_step: See `dsl.training.loop.fit`.
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

    progress = loop.resume(trainer, run, schedule, _READ)
    on_resume(progress)
    loop.fit(
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


def record(args, model, corpus, epochs, measured, context):
    """The run record that `result.json` holds."""
    best = min(epochs, key=lambda entry: entry["valid_perplexity"])
    training_seconds = sum(entry["seconds"] for entry in epochs)
    valid_seconds = sum(entry["valid_seconds"] for entry in epochs)
    return {
        "task": settings.TASK,
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
        **context["run"],
        "data": corpus.describe(),
        "data_sha256": corpus.sha256,
        "backend": keras.backend.backend(),
        "recipe_epochs": context["recipe_epochs"],
        "cores": provenance.cores(),
    }
