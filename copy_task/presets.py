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
    # An agent, in one small layer; see README.md.
    "agent": {
        "model": "dynamic_skip",
        "scoring": "moves",
        "n_actions": 22,
        "policy_units": 32,
        # Else one seed of three goes on from the previous state for good.
        "previous_bias": -2.0,
        "rollouts": 3,
        "baseline": "leave_one_out",
        "discount": 0.7,
        "entropy_weight": 0.3,
        "final_entropy_weight": 0.01,
        "entropy_steps": 700,
        "agent_learning_rate": 3e-3,
        "rnn_layers": 1,
        "rnn_size": 64,
        "batch_size": 32,
        "steps_per_epoch": 100,
        "epochs": 40,
        "learning_rate": 3e-3,
        "final_learning_rate": 1e-5,
        "decay_epochs": 40,
        "clip_norm": 1.0,
        "first_length": 5,
        "first_epochs": 5,
    },
}


def defaults(given):
    """The values of flags that are not given; see `flags.Flags`."""
    preset = dict(PRESETS[given.get("preset", "best")])
    if given.get("model", "dynamic_skip") != "dynamic_skip":
        # Moves alone are the agent's.
        by_key = given["model"] == "attention" and "scoring" in preset
        preset["scoring"] = "key" if by_key else None
    return {
        "model": "lstm",
        "print_every": 100,
        **shared_flags.recipe(given, preset),
    }
