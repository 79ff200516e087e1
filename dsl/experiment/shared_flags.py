"""Flags that the training programs of all tasks share.

Each function adds to a parser or a group of one. Defaults are those of no
recipe; a task sets its own with `parser.set_defaults`.
"""

from dsl import choices
from dsl.experiment import command_line, kinds


def add_run_flags(add):
    """Where a run is kept, how it goes on, and what it tells.

    Args:
        add: The `add_argument` of a parser or a group.
    """
    add(
        "--train_dir",
        type=command_line.name,
        default="runs",
        metavar="DIR",
        help="where run folders are made",
    )
    add(
        "--name",
        type=command_line.folder_name,
        help="name of the run folder (default: task, model, seed and time)",
    )
    add(
        "--resume",
        action="store_true",
        help="go on with the run of this --name, as if it had not stopped; or, "
        "where it diverged, from its best epoch with a lower --learning_rate",
    )
    add(
        "--checkpoint_every",
        type=command_line.count,
        default=500,
        metavar="N",
        help="steps between two checkpoints",
    )
    add(
        "--tensorboard",
        action="store_true",
        help="also write event files, in the run folder",
    )
    add("--seed", type=command_line.seed, default=3435, help="seed")
    add(
        "--print_every",
        type=command_line.count,
        default=400,
        metavar="N",
        help="steps between two lines of progress",
    )
    add(
        "--max_steps",
        type=command_line.count,
        metavar="N",
        help="stop training after N steps in all",
    )


def add_model_flag(add):
    """What the top layer goes on from."""
    add(
        "--model",
        choices=kinds.MODELS,
        default="dynamic_skip",
        help="what the top layer goes on from: lstm, the previous state; "
        "fixed_skip, the one --skip steps back; attention, a weighted sum of "
        "the last K; dynamic_skip, one of these, which an agent chooses",
    )


def add_cell_flags(add):
    """The recurrent cell, and the network of its agent or attention."""
    add(
        "--lamda",
        type=command_line.share,
        default=1.0,
        metavar="L",
        help="lambda, the share of the state skipped to, attended to or "
        "chosen, beside the previous one (paper: 1 or 0.5)",
    )
    add(
        "--skip",
        type=command_line.count,
        default=5,
        metavar="S",
        help="steps back of a fixed skip (paper: 3 and 5, not in number "
        "prediction)",
    )
    add(
        "--n_actions",
        type=command_line.count,
        default=5,
        metavar="K",
        help="K, how many past states can be chosen or attended to (paper: 5 "
        "for language modeling, 10 for number prediction)",
    )
    add(
        "--forget_bias",
        type=command_line.number(float),
        default=0.0,
        metavar="B",
        help="constant added to the forget gates",
    )
    add(
        "--policy_units",
        type=command_line.count,
        default=50,
        metavar="N",
        help="hidden units of the agent or attention (published code: 200 for "
        "language modeling, 10 for number prediction)",
    )
    add(
        "--previous_bias",
        type=command_line.number(float),
        default=0.0,
        metavar="B",
        help="added to the agent's first logit for the previous state",
    )
    add(
        "--observation",
        choices=choices.OBSERVATIONS,
        default="previous",
        help="what the agent sees of the past: h_{t-1}, or the mean of the K "
        "stored h (published code)",
    )
    add(
        "--empty_slots",
        choices=choices.EMPTY_SLOTS,
        default="mask",
        help="what a distance beyond the first step means (published code: "
        "zeros)",
    )


def add_signal_flags(add):
    """What the agent learns from."""
    add(
        "--estimator",
        choices=choices.ESTIMATORS,
        default="reinforce",
        help="reinforce (paper), or straight-through Gumbel-softmax",
    )
    add(
        "--rollouts",
        type=command_line.count,
        default=1,
        metavar="R",
        help="runs of the top layer from the same state",
    )
    add(
        "--reward",
        choices=choices.REWARDS,
        default="log_likelihood",
        help="what a prediction earns (paper: log_likelihood; published code: "
        "probability in language modeling, correct in number prediction)",
    )
    add(
        "--baseline",
        choices=choices.BASELINES,
        default="none",
        help="subtracted from the reward",
    )
    add(
        "--policy_weight",
        type=command_line.number(float, 0),
        default=1.0,
        metavar="W",
        help="weight of the policy loss (published code: 0.3/35 in language "
        "modeling, 1/length in number prediction)",
    )
    add(
        "--entropy_weight",
        type=command_line.number(float, 0),
        default=0.0,
        metavar="W",
        help="weight of the entropy of each decision; if given, it stays, "
        "unless --final_entropy_weight is given too",
    )
    add(
        "--final_entropy_weight",
        type=command_line.number(float, 0),
        metavar="W",
        help="value that the entropy weight goes to, linearly",
    )
    add(
        "--entropy_steps",
        type=command_line.count,
        metavar="N",
        help="updates until --final_entropy_weight is reached",
    )
    add(
        "--sequence_entropy_weight",
        type=command_line.number(float, 0),
        default=0.0,
        metavar="W",
        help="weight of the entropy of the action sequence (paper: 1)",
    )
    add(
        "--temperature",
        type=command_line.positive,
        default=1.0,
        metavar="TAU",
        help="of the straight-through estimator",
    )
    add(
        "--agent_learning_rate",
        type=command_line.positive,
        default=1e-3,
        metavar="R",
        help="rate of the agent's own optimizer",
    )


def set_entropy_defaults(parser, arguments, defaults):
    """Takes a recipe's defaults; an entropy weight that is given stays.

    Args:
        parser: The parser, whose defaults are set.
        arguments: The arguments to parse; those of the command line if None.
        defaults: Dict of the recipe.
    """
    first = command_line.Parser(
        parser.source, prog=parser.prog, add_help=False, allow_abbrev=False
    )
    first.add_argument("--entropy_weight")
    first.add_argument("--final_entropy_weight")
    known, _ = first.parse_known_args(arguments)
    parser.set_defaults(**defaults)
    given = known.entropy_weight is not None
    if given and known.final_entropy_weight is None:
        # A weight that is given stays, unless its end is given too.
        parser.set_defaults(final_entropy_weight=None, entropy_steps=None)


def check_together(parser, args):
    """Ends with an error unless the shared flags fit each other."""
    check(
        parser,
        (
            args.baseline == "leave_one_out" and args.rollouts < 2,
            "argument --baseline: leave_one_out compares rollouts and needs "
            f"--rollouts of at least 2. Received: {args.rollouts}",
        ),
        (
            args.final_entropy_weight is not None and not args.entropy_steps,
            "argument --final_entropy_weight: needs --entropy_steps, the "
            "updates until it is reached.",
        ),
        (
            args.entropy_steps is not None
            and args.final_entropy_weight is None,
            "argument --entropy_steps: needs --final_entropy_weight, which is "
            "reached after them.",
        ),
        (
            args.resume and args.name is None,
            "argument --resume: needs --name, the run to go on with.",
        ),
    )


def check(parser, *rules):
    """Ends with the message of the first rule that is broken.

    Args:
        parser: The parser, which says it.
        *rules: Pairs of whether the rule is broken, and the message.
    """
    for broken, message in rules:
        if broken:
            parser.error(message)
