"""Kinds of model: what each has, and how it reads in a table."""

import pytest

from dsl.experiment import kinds
from language_modeling.task import TASK

pytestmark = pytest.mark.backend


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"estimator": "reinforce"}, "reinforce"),
        ({"estimator": "straight_through"}, "straight-through"),
        (
            {"policy": "learned", "estimator": "reinforce", "rollouts": 1},
            "reinforce",
        ),
        (
            {"policy": "learned", "estimator": "reinforce", "rollouts": 4},
            "reinforce, 4 rollouts",
        ),
        (
            {"estimator": "reinforce", "rollouts": 4, "task_rollouts": 1},
            "reinforce, 4 rollouts, words from 1",
        ),
        (
            {"estimator": "reinforce", "rollouts": 4, "task_rollouts": 4},
            "reinforce, 4 rollouts",
        ),
        (
            {"policy": "frozen", "estimator": "reinforce", "rollouts": None},
            "frozen policy",
        ),
        (
            {"policy": "random", "estimator": "reinforce"},
            "random distances, shares uniform",
        ),
        (
            {"policy": "random", "look_back_shares": None},
            "random distances, shares uniform",
        ),
        (
            {"policy": "random", "look_back_shares": [1.0, 0.25]},
            "random distances, shares 1.0 0.25",
        ),
        (
            {"estimator": "reinforce", "random_share": 0.5},
            "reinforce, random at 0.5 of the steps",
        ),
        # Shares of another policy say nothing.
        (
            {"policy": "frozen", "look_back_shares": [1.0], "rollouts": 2},
            "frozen policy, 2 rollouts",
        ),
    ],
)
def test_a_model_in_words(settings, words):
    settings = {"n_actions": 5, "lamda": 0.5, **settings}
    assert kinds.in_words("dynamic_skip", settings) == (
        f"dynamic_skip (K=5, λ=0.5, {words})"
    )
    assert kinds.in_words("lstm", settings) == "lstm"
    # Whatever else a run was kept with.
    assert kinds.in_words("lstm", {"char": True}) == "lstm, characters"
    found = kinds.in_words("dynamic_skip", {"lamda": 1.0})
    assert found == "dynamic_skip (K=None, λ=1.0, None)"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("fixed_skip", "fixed_skip (3, λ=0.5)"),
        ("attention", "attention (K=5, λ=0.5)"),
        ("gru", "gru"),
        (None, "None"),
    ],
)
def test_other_models_in_words(model, words):
    settings = {"n_actions": 5, "lamda": 0.5, "skip": 3, "rollouts": 4}
    assert kinds.in_words(model, settings) == words


def test_what_kinds_have():
    assert kinds.MODELS == ("lstm", "fixed_skip", "attention", "dynamic_skip")
    assert kinds.SKIPPING == kinds.MODELS[1:]
    assert kinds.SCORING == kinds.MODELS[2:]
    assert kinds.CHOOSING == kinds.MODELS[3:]


@pytest.mark.parametrize(
    ("words", "states", "chooses", "learns", "connects"),
    [
        ("--model lstm", 1, False, False, False),
        ("--model fixed_skip --skip 3", 3, False, False, False),
        ("--model attention --n_actions 4", 4, False, False, True),
        ("--model attention --n_actions 1", 1, False, False, False),
        ("--n_actions 4", 4, True, True, True),
        ("--n_actions 1", 1, False, False, False),
        ("--n_actions 4 --policy frozen", 4, True, False, True),
    ],
)
def test_what_settings_say_of_a_model(words, states, chooses, learns, connects):
    args = TASK.parse(words.split())
    assert kinds.num_states(args) == states
    assert kinds.chooses(args) == chooses
    assert kinds.learns(args) == learns
    assert kinds.connects(args) == connects
    assert (kinds.policy_signal(args) is not None) == learns
