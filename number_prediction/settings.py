"""From the command line to checked settings."""

import argparse

from dsl.experiment import command_line, kinds, shared_flags
from number_prediction import flags, recipes

# Where and how, which changes no number; `--resume` may differ in them.
FREE = (
    "data_dir",
    "produce",
    "data_seed",
    "train_dir",
    "name",
    "print_every",
    "checkpoint_every",
    "tensorboard",
)
# What is done with a run, which is no setting of it.
OF_A_CALL = ("resume", "seeds")


def parse_args(arguments=None, prog="train_RL10_1.py", length=10):
    """Reads the flags; explicit ones override the recipe's.

    Args:
        arguments: List of strings; those of the command line by default.
        prog: Name of the program.
        length: Its default for `--length`.

    Returns:
        The settings, an `argparse.Namespace`.
    """
    parser = flags.make_parser(prog, length)
    first = command_line.Parser(prog=prog, add_help=False, allow_abbrev=False)
    first.add_argument("--recipe", default="best")
    first.add_argument("--estimator", default="reinforce")
    first.add_argument("--policy", default="learned")
    first.add_argument("--seed")
    known, _ = first.parse_known_args(arguments)
    recipe = recipes.RECIPES.get(known.recipe, {})
    if known.estimator == "straight_through" or known.policy != "learned":
        recipe = {**recipe, **recipes.STRAIGHT_THROUGH}
    shared_flags.set_entropy_defaults(parser, arguments, recipe)
    if known.recipe == "published_code":
        given = parser.parse_args(arguments)
        parser.set_defaults(policy_weight=1.0 / given.length)
    args = parser.parse_args(arguments)
    if args.length_step == 1:
        args.length_step = None  # As if it were not given.
    given = command_line.given(parser, arguments, args)
    kinds.check_read(parser, given, args.model)
    flags.check_together(parser, args)
    if args.seeds is not None and known.seed is not None:
        parser.error(
            "argument --seeds: takes the place of --seed; give one of them."
        )
    return args


def of_run(args):
    """The settings that a run keeps, a dict."""
    return {
        key: value for key, value in vars(args).items() if key not in OF_A_CALL
    }


def of_seed(args, seed):
    """The settings of one of `--seeds`."""
    return argparse.Namespace(**{**vars(args), "seed": seed})


def without_resume(args):
    """The same settings for a run that is not there yet."""
    return argparse.Namespace(**{**vars(args), "resume": False})


def published(args, counts=recipes.COUNTS):
    """What the paper reports for these settings, and where.

    The recipe is free: how the paper trained is known in part. K and lambda
    of its attention are not known; ours has the paper's K and lambda 1.

    Args:
        args: The settings.
        counts: Dict of the number of examples of each split.

    Returns:
        Dict of `valid_accuracy` and `test_accuracy` (shares) and `source`;
        empty where it has no such row.
    """
    dynamic = args.model == "dynamic_skip"
    row = recipes.PUBLISHED.get(
        (args.length, args.model, args.lamda if dynamic else None)
    )
    same = (
        counts == recipes.COUNTS
        and args.symbols == 10
        and not args.mark_pointer
        and args.policy_positions == 0
        and (args.index_from == "last10" or args.length <= 10)
        and args.rnn_size == 200
        and args.max_steps is None
    )
    if dynamic:
        how = (args.n_actions, args.policy, args.estimator)
        same = same and how == (10, "learned", "reinforce")
    if args.model == "attention":
        same = same and (args.n_actions, args.lamda) == (10, 1.0)
    if row is None or not same:
        return {}
    dev, test = (round(0.01 * figure, 6) for figure in row)
    return {
        "valid_accuracy": dev,
        "test_accuracy": test,
        "source": recipes.SOURCE,
    }
