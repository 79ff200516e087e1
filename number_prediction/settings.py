"""From the command line to checked settings."""

import argparse

from number_prediction import flags, recipes
from scripts import command_line, shared_flags

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
    known, _ = first.parse_known_args(arguments)
    recipe = recipes.RECIPES.get(known.recipe, {})
    if known.estimator == "straight_through" or known.policy != "learned":
        recipe = {**recipe, **recipes.STRAIGHT_THROUGH}
    shared_flags.set_entropy_defaults(parser, arguments, recipe)
    args = parser.parse_args(arguments)
    flags.check_together(parser, args)
    return args


def of_run(args):
    """The settings that a run keeps, a dict."""
    return {
        key: value for key, value in vars(args).items() if key not in OF_A_CALL
    }


def effective(saved):
    """Of the settings that a run keeps, those that its model reads."""
    unread = flags.unread(saved.get("model"))
    return {key: value for key, value in saved.items() if key not in unread}


def of_seed(args, seed):
    """The settings of one of `--seeds`."""
    return argparse.Namespace(**{**vars(args), "seed": seed})


def without_resume(args):
    """The same settings for a run that is not there yet."""
    return argparse.Namespace(**{**vars(args), "resume": False})


def published(args):
    """What the paper reports for these settings, and where.

    Returns:
        Dict of `valid_accuracy` and `test_accuracy` (shares) and `source`;
        empty where it has no such row.
    """
    weight = args.lamda if args.model == "dynamic_skip" else None
    row = recipes.PUBLISHED.get((args.length, args.model, weight))
    others = (args.symbols, args.index_from, args.n_actions, args.policy)
    if row is None or others != (10, "last10", 10, "learned"):
        return {}
    dev, test = (round(0.01 * figure, 6) for figure in row)
    return {
        "valid_accuracy": dev,
        "test_accuracy": test,
        "source": recipes.SOURCE,
    }
