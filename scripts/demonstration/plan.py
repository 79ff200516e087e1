"""What the demo trains, and which kept runs stand beside it."""

from dsl.experiment.program import ROOT

NUMBERS = ROOT / "number_prediction" / "train_RL10_1.py"
WORDS = ROOT / "language_modeling" / "RL_train.py"
# The models of both tasks, in the order of the rows.
MODELS = {"lstm": "plain LSTM", "dynamic_skip": "dynamic skip"}
# Kept beside the language models: distances drawn at random in training, with
# the shares that were learned.
CONTROL = "random"
SEED = 1
SEEDS = {"lstm": (1, 2, 3), "dynamic_skip": (1, 2, 3), CONTROL: (1,)}

# One epoch of both models: the same 1,000 steps.
_NUMBERS = ["--produce", "--epoch", "1", "--seed", str(SEED)]
_NUMBERS_OF = {"lstm": ["--model", "lstm"], "dynamic_skip": ["--lamda", "1"]}
# Both, trained to their end.
_KEPT_NUMBERS = ROOT / "results" / "number_prediction" / "T11"
_KEPT_NUMBERS_OF = {"lstm": "lstm", "dynamic_skip": "dynamic-1"}
_KEPT_NUMBERS_SEEDS = (1, 2, 3, 4, 5)

# Chosen by validation perplexity: results/demo/README.md.
_WORDS = ["--preset", "quick", "--constant_epochs", "3"]
_CORPUS = ["--corpus", "generated"]
_SHARES = "0.62,0.24,0.06,0.05,0.03"
_DRAWS = ["--eval_samples", "2"]
_LEARNED = ["--estimator", "straight_through", "--agent_learning_rate", "0.003"]
_RANDOM = ["--policy", "random", "--look_back_shares", _SHARES]
_WORDS_OF = {
    "lstm": ["--model", "lstm"],
    "dynamic_skip": [*_LEARNED, *_DRAWS],
    CONTROL: [*_RANDOM, *_DRAWS],
}
_KEPT_WORDS = ROOT / "results" / "demo"
# Plain models that do better than that of the demo, with more time or less.
LONGER = _KEPT_WORDS / "tried" / "e5-lstm-1"
ONE_LAYER = _KEPT_WORDS / "tried" / "l1-lstm-1"


def of_numbers(model):
    """The flags of a model of number prediction."""
    data = str(ROOT / "data" / "number_prediction")
    return [*_NUMBERS, *_NUMBERS_OF[model], "--data_dir", data]


def of_words(row, seed=SEED, given=()):
    """The flags of a language model.

    Args:
        row: One of `MODELS`, or `CONTROL`.
        seed: The seed.
        given: Names of the flags that the user sets.
    """
    flags = [*_WORDS, *_WORDS_OF[row], "--seed", str(seed)]
    return flags if {"corpus", "data_dir"} & {*given} else [*flags, *_CORPUS]


def kept_numbers(model):
    """The folders of a model of number prediction, one a seed."""
    row = _KEPT_NUMBERS_OF[model]
    return [_KEPT_NUMBERS / f"{row}-{seed}" for seed in _KEPT_NUMBERS_SEEDS]


def kept_words(row):
    """Dict from seed to the folder of a language model, for all `SEEDS`."""
    return {seed: _KEPT_WORDS / f"{row}-{seed}" for seed in SEEDS[row]}
