"""Presets of language modeling, and what they are held to."""

from dsl.experiment import shared_flags

# The schedule of Kim et al. 2016, for both of their models.
_KIM = {
    "char": True,
    "dropout": 0.5,
    "learning_rate": 1.0,
    "learning_rate_decay": 0.5,
    "decay_when": 1.0,
    "lr_threshold": 0.0,
    "param_init": 0.05,
    "num_unroll_steps": 35,
    "max_epochs": 25,
}

PRESETS = {
    # A few minutes on two cores.
    "quick": {
        "rnn_size": 128,
        "dropout": 0.0,
        "learning_rate": 1.0,
        "learning_rate_decay": 0.5,
        "constant_epochs": 2,
        "param_init": 0.1,
        "num_unroll_steps": 20,
        "max_epochs": 4,
        "max_steps": 2000,
        "policy_units": 100,
    },
    # "small" of Zaremba et al. 2014.
    "small": {
        "rnn_size": 200,
        "dropout": 0.0,
        "learning_rate": 1.0,
        "learning_rate_decay": 0.5,
        "constant_epochs": 4,
        "param_init": 0.1,
        "num_unroll_steps": 20,
        "max_epochs": 13,
        "policy_units": 100,
    },
    # "medium" of Zaremba et al. 2014.
    "medium": {
        "rnn_size": 650,
        "dropout": 0.5,
        "learning_rate": 1.0,
        "learning_rate_decay": 1 / 1.2,
        "constant_epochs": 6,
        "param_init": 0.05,
        "num_unroll_steps": 35,
        "max_epochs": 39,
    },
    # "large" of Zaremba et al. 2014.
    "large": {
        "rnn_size": 1500,
        "dropout": 0.65,
        "learning_rate": 1.0,
        "learning_rate_decay": 1 / 1.15,
        "constant_epochs": 14,
        "param_init": 0.04,
        "num_unroll_steps": 35,
        "max_epochs": 55,
        "max_grad_norm": 10.0,
    },
    # "small" and "large" of Kim et al. 2016.
    "char_small": {
        **_KIM,
        "rnn_size": 300,
        "kernels": [1, 2, 3, 4, 5, 6],
        "kernel_features": [25, 50, 75, 100, 125, 150],
        "highway_layers": 1,
    },
    "char_large": {**_KIM, "rnn_size": 650},
    # The published code, where it chose rather than erred.
    "published": {
        "forget_bias": 1.0,
        "policy_units": 200,
        "previous_bias": 0.0,
        "observation": "mean",
        "empty_slots": "zeros",
        "keep_buffer": False,
        "estimator": "reinforce",
        "rollouts": 1,
        "reward": "probability",
        "discount": 1.0,
        "baseline": "none",
        "policy_weight": 0.3 / 35,
        "entropy_weight": 0.0,
        "agent_optimizer": "shared",
        "eval_protocol": "batched",
        "eval_actions": "sampled",
    },
}

ESTIMATORS = {
    "reinforce": {
        "rollouts": 2,
        "baseline": "leave_one_out",
        "discount": 0.8,
        # Enough to keep looking at first, and later, as the rewards of the
        # distances move apart, to go on choosing at all.
        "entropy_weight": 0.018,
        "final_entropy_weight": 0.05,
        "entropy_steps": 30_000,
    },
    "straight_through": {
        "rollouts": 1,
        "baseline": "none",
        "discount": 1.0,
        "entropy_weight": 0.001,
    },
}

# With --char: the large model, and the defaults of the published flags.
CHARACTERS = {
    "char_embed_size": 15,
    "kernels": [1, 2, 3, 4, 5, 6, 7],
    "kernel_features": [50, 100, 150, 200, 200, 200, 200],
    "highway_layers": 2,
    "max_word_length": 65,
}


def defaults(given):
    """The values of flags that are not given; see `flags.Flags`."""
    preset = PRESETS.get(given.get("preset"), {})
    if given.get("char") is False:
        spelling = {"char", *CHARACTERS}
        preset = {k: v for k, v in preset.items() if k not in spelling}
    found = {
        "previous_bias": 3.0,
        **shared_flags.recipe(
            given,
            ESTIMATORS[given.get("estimator", "reinforce")],
            preset,
        ),
    }
    if given.get("policy", "learned") != "learned":
        found |= {"rollouts": 1, "baseline": "none"}
    if given.get("char", preset.get("char")):
        found = {**CHARACTERS, **found}
    return found


_GUI = "Gui et al. 2019, PTB table"
_ZAREMBA = "Zaremba et al. 2014, non-regularized LSTM"
_SMALLER = "quick is smaller and ends within the first"
# Perplexity on the Penn Treebank, dev and test, by preset and model (a fixed
# skip with its distance).
PUBLISHED = {
    # What minutes are on the way to.
    ("quick", "lstm"): (
        *(None, 114.5),
        f"{_ZAREMBA}: 2 x 200 units and 13 epochs; {_SMALLER}",
    ),
    ("quick", "dynamic_skip"): (
        *(82.5, 78.5),
        f"{_GUI}: 2 x 650 units, dropout and full training; {_SMALLER} epoch",
    ),
    ("small", "lstm"): (None, 114.5, _ZAREMBA),
    ("medium", "lstm"): (86.2, 82.7, "Zaremba et al. 2014, medium"),
    ("large", "lstm"): (82.2, 78.4, "Zaremba et al. 2014, large"),
    ("published", "lstm"): (86.2, 82.7, _GUI),
    ("medium", "fixed_skip 3"): (85.3, 81.5, _GUI),
    ("medium", "fixed_skip 5"): (86.2, 82.0, _GUI),
    ("medium", "attention"): (85.1, 81.4, _GUI),
    ("medium", "dynamic_skip"): (82.5, 78.5, _GUI),
    ("published", "dynamic_skip"): (82.5, 78.5, _GUI),
    ("char_small", "lstm"): (None, 92.3, "Kim et al. 2016, LSTM-Char-Small"),
    # Its dev perplexity as Gui et al. report it.
    ("char_large", "lstm"): (82.0, 78.9, "Kim et al. 2016, LSTM-Char-Large"),
    ("char_large", "fixed_skip 3"): (83.6, 80.2, _GUI),
    ("char_large", "fixed_skip 5"): (84.9, 80.9, _GUI),
    ("char_large", "attention"): (82.2, 79.0, _GUI),
    ("char_large", "dynamic_skip"): (79.9, 76.5, _GUI),
}
