"""Recipes of the copy task, and what they are held to."""

from dsl.experiment import shared_flags

PRESETS = {
    # The published code; it stops at a single batch.
    "published": {
        "low": 0.001,
        "optimizer": "rmsprop",
        "learning_rate": 3e-5,
        "clip_value": 10.0,
        "stop_loss": 0.008,
    },
    # This project's; see README.md.
    "best": {
        "batch_size": 64,
        "steps_per_epoch": 150,
        "epochs": 56,
        "learning_rate": 2e-3,
        "final_learning_rate": 1e-5,
        "decay_epochs": 56,
        "clip_norm": 1.0,
        "first_length": 2,
        "first_epochs": 6,
    },
}


def defaults(given):
    """The values of flags that are not given; see `flags.Flags`."""
    preset = PRESETS[given.get("preset", "best")]
    return {
        "model": "lstm",
        "print_every": 100,
        **shared_flags.recipe(given, preset),
    }
