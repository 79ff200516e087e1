"""Flags that the training programs of all tasks share.

Defaults are those of no recipe; a task sets its own.
"""

from dsl import choices
from dsl.experiment.command_line import (
    count,
    folder_name,
    number,
    positive,
    share,
)
from dsl.experiment.command_line import name as path
from dsl.experiment.command_line import seed as draw
from dsl.experiment.flags import (
    BOTH,
    CALL,
    MEASURING,
    SEED,
    SHOWING,
    WHERE,
    Group,
    flag,
)
from dsl.experiment.kinds import CHOOSING, MODELS, SCORING, SKIPPING

VERBOSITIES = ("debug", "info", "warning", "error")


class Run(Group):
    """Run."""

    train_dir = flag("runs", path, "DIR", role=WHERE)
    """Where run folders are made."""
    name = flag(type=folder_name, role=WHERE)
    """Name of the run folder (default: task, model, seed and time)."""
    resume = flag(False, action="store_true", role=CALL)
    """Go on with the run of this --name, as if it had not stopped; or, where
    it diverged, from its best epoch with a lower --learning_rate."""
    load_model = flag(type=path, metavar="RUN", role=CALL)
    """Measure and show the best weights of this run folder, train nothing."""
    checkpoint_every = flag(500, count, "N", role=WHERE)
    """Steps between two checkpoints."""
    tensorboard = flag(False, action="store_true", role=WHERE)
    """Also write event files, in the run folder."""
    print_every = flag(400, count, "N", role=WHERE)
    """Steps between two lines of progress."""
    verbosity = flag("info", choices=VERBOSITIES, role=CALL)
    """What is said on standard error; results go to standard output."""
    seed = flag(3435, draw, role=SEED)
    """Seed."""
    seeds = flag(type=draw, metavar="N", nargs="+", role=CALL)
    """One run a seed, in folders <name>-seed<N>."""
    max_steps = flag(type=count, metavar="N")
    """Stop training after N steps in all."""
    patience = flag(type=count, metavar="N")
    """Stop after N epochs without a better validation, or when nothing is left
    to better."""

    @staticmethod
    def rules(args):
        return (
            (
                args.resume and args.load_model is not None,
                "argument --resume: trains on, and --load_model trains "
                "nothing; give one of them.",
            ),
            (
                args.resume and args.name is None,
                "argument --resume: needs --name, the run to go on with.",
            ),
            (
                args.seeds is not None and args.load_model is not None,
                "argument --seeds: trains runs, and --load_model trains "
                "nothing; give one of them.",
            ),
            (
                len(set(args.seeds or [])) < len(args.seeds or []),
                "argument --seeds: must be different seeds. Received: "
                f"{' '.join(map(str, args.seeds or []))}",
            ),
            (
                args.seeds is not None and "seed" in args.given,
                "argument --seeds: takes the place of --seed; give one of "
                "them.",
            ),
        )


class Show(Group):
    """What is shown, with --load_model."""

    split = flag(
        ["valid", "test"],
        role=SHOWING,
        choices=("train", "valid", "test"),
        nargs="+",
    )
    """Splits to measure."""


class Model(Group):
    """Model."""

    model = flag("dynamic_skip", choices=MODELS)
    """What the top layer goes on from: lstm, the previous state; fixed_skip,
    the one --skip steps back; attention, a weighted sum of the last K;
    dynamic_skip, one of these, which an agent chooses."""


class Cell(Group):
    """The recurrent cell, and the network of its agent or attention."""

    lamda = flag(1.0, share, "L", SKIPPING)
    """Lambda, the share of the state skipped to, attended to or chosen, beside
    the previous one (paper: 1 or 0.5)."""
    skip = flag(5, count, "S", ("fixed_skip",))
    """Steps back of a fixed skip (paper: 3 and 5, not in number prediction)."""
    n_actions = flag(5, count, "K", SCORING)
    """K, how many past states can be chosen or attended to (paper: 5 for
    language modeling, 10 for number prediction)."""
    forget_bias = flag(0.0, number(float), "B")
    """Constant added to the forget gates."""
    policy_units = flag(50, count, "N", SCORING)
    """Hidden units of the agent or attention (published code: 200 for language
    modeling, 10 for number prediction)."""
    scoring = flag(of=SCORING, choices=choices.ALL_SCORINGS)
    """What the agent or attention scores a past state by: location, its
    distance (paper; default); key, what is in it, against a query; content, as
    key, by a network of both (attention alone); moves, --relative alone (the
    agent alone)."""
    relative = flag(of=SCORING, action="store_true")
    """Also by where a past state stands, seen from the one last skipped to:
    after it, the same again, or before it."""
    previous_bias = flag(0.0, number(float), "B", CHOOSING)
    """Added to the agent's first logit for the previous state."""
    observation = flag("previous", of=CHOOSING, choices=choices.OBSERVATIONS)
    """What the agent sees of the past: h_{t-1}, or the mean of the K stored h
    (published code)."""
    empty_slots = flag("mask", of=CHOOSING, choices=choices.EMPTY_SLOTS)
    """What a distance beyond the first step means (published code: zeros)."""

    @staticmethod
    def rules(args):
        scorings = choices.SCORINGS
        if args.model in CHOOSING:
            scorings = choices.AGENT_SCORINGS
        return (
            (
                args.scoring not in (None, *scorings),
                f"argument --scoring: must be {' or '.join(scorings)} with "
                f"--model {args.model}. Received: {args.scoring}",
            ),
        )


class Signal(Group):
    """What the agent learns from, with --model dynamic_skip."""

    estimator = flag("reinforce", of=CHOOSING, choices=choices.ESTIMATORS)
    """Reinforce (paper), or straight-through Gumbel-softmax."""
    rollouts = flag(1, count, "R", CHOOSING)
    """Runs of the top layer from the same state."""
    reward = flag("log_likelihood", of=CHOOSING, choices=choices.REWARDS)
    """What a prediction earns (paper: log_likelihood; published code:
    probability in language modeling, correct in number prediction)."""
    baseline = flag("none", of=CHOOSING, choices=choices.BASELINES)
    """Subtracted from the reward."""
    policy_weight = flag(1.0, number(float, 0), "W", CHOOSING)
    """Weight of the policy loss (published code: 0.3/35 in language modeling,
    1/length in number prediction)."""
    entropy_weight = flag(0.0, number(float, 0), "W", CHOOSING)
    """Weight of the entropy of each decision; if given, it stays, unless
    --final_entropy_weight is given too."""
    final_entropy_weight = flag(None, number(float, 0), "W", CHOOSING)
    """Value that the entropy weight goes to, linearly."""
    entropy_steps = flag(None, count, "N", CHOOSING)
    """Updates until --final_entropy_weight is reached."""
    sequence_entropy_weight = flag(0.0, number(float, 0), "W", CHOOSING)
    """Weight of the entropy of the action sequence (paper: 1)."""
    temperature = flag(1.0, positive, "TAU", CHOOSING)
    """Of the straight-through estimator."""
    agent_learning_rate = flag(1e-3, positive, "R", CHOOSING)
    """Rate of the agent's own optimizer."""

    @staticmethod
    def rules(args):
        final, steps = args.final_entropy_weight, args.entropy_steps
        return (
            (
                args.baseline == "leave_one_out" and args.rollouts < 2,
                "argument --baseline: leave_one_out compares rollouts and "
                "needs --rollouts of at least 2. Received: "
                f"{args.rollouts}",
            ),
            (
                final is not None and not steps,
                "argument --final_entropy_weight: needs --entropy_steps, the "
                "updates until it is reached.",
            ),
            (
                steps is not None and final is None,
                "argument --entropy_steps: needs --final_entropy_weight, "
                "which is reached after them.",
            ),
        )


class Evaluation(Group):
    """Evaluation."""

    eval_actions = flag("greedy", of=CHOOSING, choices=("greedy", "sampled"))
    """Actions of validation (published code: sampled)."""
    eval_samples = flag(5, number(int, 2), "N", CHOOSING, MEASURING)
    """Sampled passes over what is tested on."""
    jit = flag(None, action=BOTH, role=MEASURING)
    """Compile with XLA; unset, only where nothing runs without it."""


def recipe(given, *layers):
    """Defaults of a recipe, the later ones before the earlier.

    An entropy weight that is given stays, unless its end is given too.

    Args:
        given: Dict of the flags that are given.
        *layers: Dicts of defaults.

    Returns:
        Dict of defaults.
    """
    found = {}
    for layer in layers:
        if "entropy_weight" in layer:
            found |= {"final_entropy_weight": None, "entropy_steps": None}
        found |= layer
    if "entropy_weight" in given and "final_entropy_weight" not in given:
        found |= {"final_entropy_weight": None, "entropy_steps": None}
    return found
