"""Recipes of number prediction, and what they are held to."""

RECIPES = {
    # This project's; see README.md.
    "best": {
        "reward": "log_likelihood",
        "baseline": "running_mean",
        "credit": "path",
        "entropy_weight": 0.03,
        "final_entropy_weight": 0.003,
        "entropy_steps": 4000,
        "agent_learning_rate": 3e-3,
        "epoch": 6,
    },
    # The objective as the paper states it.
    "paper": {
        "reward": "log_likelihood",
        "baseline": "none",
        "credit": "all",
        "entropy_weight": 0.0,
        "sequence_entropy_weight": 1.0,
        "agent_learning_rate": 1e-3,
        "policy_units": 50,
        "epoch": 20,
    },
    # The published code, its mistakes included; its patience speaks and does
    # not act. Its policy loss is a mean over the steps, which is a weight of
    # 1 / length: see `settings.parse_args`.
    "published_code": {
        "reward": "correct",
        "baseline": "none",
        "credit": "all",
        "entropy_weight": 0.0,
        "probability_offset": 1.0,
        "task_weight": 0.1,
        "observation": "mean",
        "empty_slots": "zeros",
        "agent_learning_rate": 1e-3,
        "adam_epsilon": 1e-8,
        "shuffle": False,
        "eval_actions": "sampled",
        "epoch": 200,
    },
}

# Where the policy gradient has no part.
STRAIGHT_THROUGH = {
    "baseline": "none",
    "credit": "all",
    "entropy_weight": 0.0,
    "final_entropy_weight": None,
    "entropy_steps": None,
}

# Gui et al. 2019, accuracy in percent of dev and test, by T - 1, model and
# lambda.
PUBLISHED = {
    (10, "lstm", None): (69.6, 70.4),
    (10, "attention", None): (71.3, 72.5),
    (10, "dynamic_skip", 1.0): (79.6, 80.5),
    (10, "dynamic_skip", 0.5): (90.4, 90.5),
    (20, "lstm", None): (26.2, 26.4),
    (20, "attention", None): (26.7, 26.9),
    (20, "dynamic_skip", 1.0): (77.6, 77.7),
    (20, "dynamic_skip", 0.5): (87.7, 88.5),
}
# Of these sizes are the paper's data, as secondary sources report it.
COUNTS = {"train": 100_000, "valid": 10_000, "test": 10_000}
SOURCE = "Gui et al. 2019, number-prediction table"
