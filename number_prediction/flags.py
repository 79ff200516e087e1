"""Flags of the number-prediction task."""

import argparse
import math

from dsl import choices
from dsl.experiment import command_line, shared_flags
from number_prediction import recipes


def make_parser(prog, length):
    """The parser of every flag, with the defaults of no recipe.

    Args:
        prog: Name of the program.
        length: Its default for `--length`.
    """
    parser = command_line.Parser(
        prog=prog,
        description="Trains a network to find the digit that the last number "
        "of a sequence points to.",
        epilog="Exit codes: 0 done, 1 the run failed, 2 usage, 3 data missing "
        "or wrong, 130 interrupted; --resume goes on.",
        allow_abbrev=False,
        formatter_class=command_line.HelpFormatter,
    )
    _add_data_flags(parser.add_argument_group("data"), length)
    _add_run_flags(parser.add_argument_group("run"))
    _add_model_flags(parser.add_argument_group("model"))
    _add_training_flags(parser.add_argument_group("training"))
    _add_curriculum_flags(parser.add_argument_group("curriculum"))
    _add_agent_flags(
        parser.add_argument_group("agent, with --model dynamic_skip")
    )
    _add_evaluation_flags(parser.add_argument_group("evaluation"))
    parser.set_defaults(
        n_actions=10, policy_units=10, forget_bias=1.0, print_every=200
    )
    return parser


def _add_data_flags(group, length):
    add = group.add_argument
    add(
        "--data_dir",
        type=command_line.name,
        default="data/number_prediction",
        metavar="DIR",
        help="folder with the files of produce_data.py",
    )
    add(
        "--length",
        type=command_line.number(int, 1, choices.MOST_LENGTH),
        default=length,
        metavar="N",
        help="free digits; T = N + 1 (paper: 10 and 20)",
    )
    add(
        "--index_from",
        choices=choices.INDEX_FROM,
        default="last10",
        help="what the pointer counts from; the same for ten digits",
    )
    add(
        "--symbols",
        type=command_line.number(int, 2, choices.MOST_SYMBOLS),
        default=10,
        metavar="N",
        help="size of the alphabet",
    )
    add(
        "--mark_pointer",
        action="store_true",
        default=None,
        help="read pointer b as symbol N + b, where --symbols is N, so that it "
        "looks unlike every digit (paper: as digit b)",
    )
    add(
        "--produce",
        action="store_true",
        help="make the files, 100,000, 10,000 and 10,000 examples, if they are "
        "not there",
    )
    add(
        "--data_seed",
        type=command_line.seed,
        metavar="N",
        help="seed that the files must have, and are made with (default: any, "
        "and 3435)",
    )


def _add_run_flags(group):
    add = group.add_argument
    add(
        "--recipe",
        choices=recipes.RECIPES,
        default="best",
        help="settings to start from; explicit flags override them. paper: "
        "its objective as stated; published_code: its choices and mistakes",
    )
    shared_flags.add_run_flags(add)
    add(
        "--seeds",
        type=command_line.seed,
        nargs="+",
        metavar="N",
        help="one run a seed, in folders <name>-seed<N>",
    )
    add(
        "--jit",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compile with XLA",
    )


def _add_model_flags(group):
    add = group.add_argument
    shared_flags.add_model_flag(add)
    add(
        "--rnn_size",
        type=command_line.count,
        default=200,
        metavar="N",
        help="LSTM units",
    )
    shared_flags.add_cell_flags(add)


def _add_training_flags(group):
    add = group.add_argument
    add(
        "--batch_size",
        type=command_line.count,
        default=100,
        metavar="B",
        help="sequences a step",
    )
    add(
        "--learning_rate",
        type=command_line.positive,
        default=1e-3,
        metavar="R",
        help="rate of Adam",
    )
    add(
        "--adam_epsilon",
        type=command_line.positive,
        default=1e-7,
        metavar="E",
        help="epsilon of Adam, also the agent's (published code: 1e-8)",
    )
    add(
        "--epoch",
        type=command_line.count,
        default=6,
        metavar="N",
        help="largest number of epochs (published code: 200)",
    )
    add(
        "--patience",
        type=command_line.count,
        metavar="N",
        help="stop after N epochs without a better validation, or when nothing "
        "is left to better (published code: says so after 4, and goes on)",
    )
    add(
        "--shuffle",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="another order each epoch (published code: no)",
    )
    add(
        "--task_weight",
        type=command_line.positive,
        default=1.0,
        metavar="W",
        help="weight of the task's loss (published code: 0.1, by mistake)",
    )


def _add_curriculum_flags(group):
    add = group.add_argument
    add(
        "--first_length",
        type=command_line.number(int, 1, choices.MOST_LENGTH),
        metavar="N",
        help="free digits at first, with which training goes up to --length; "
        "left out are those that nothing points to (default: all from the "
        "start)",
    )
    add(
        "--length_epochs",
        type=command_line.count,
        default=1,
        metavar="E",
        help="epochs until --first_length takes in more",
    )
    add(
        "--length_step",
        type=command_line.count,
        metavar="N",
        help="digits that it takes in at once (default: 1)",
    )


def _add_agent_flags(group):
    add = group.add_argument
    add(
        "--policy",
        choices=("learned", "uniform", "oracle"),
        default="learned",
        help="learned (paper); uniform: any distance; oracle: the one that "
        "leads to the digit pointed to",
    )
    add(
        "--policy_positions",
        type=command_line.number(int, 0, choices.MOST_LENGTH + 1),
        default=0,
        metavar="N",
        help="how many steps the agent tells apart; 0: it sees no step count "
        "(paper)",
    )
    shared_flags.add_signal_flags(add)
    add(
        "--credit",
        choices=choices.CREDITS,
        default="all",
        help="which choices earn the reward: all (paper), or those through "
        "which the last state was reached",
    )
    add(
        "--probability_offset",
        type=command_line.number(float, 0),
        default=0.0,
        metavar="E",
        help="log(pi + E) in the place of log pi (published code: 1, by "
        "mistake)",
    )


def _add_evaluation_flags(group):
    add = group.add_argument
    add(
        "--eval_actions",
        choices=("greedy", "sampled"),
        default="greedy",
        help="actions of validation (published code: sampled)",
    )
    add(
        "--eval_samples",
        type=command_line.number(int, 2),
        default=5,
        metavar="N",
        help="sampled passes over the test examples",
    )


def check_together(parser, args):
    """Ends with an error unless the flags fit each other."""
    # As `dsl.datasets.numbers.Settings` has it.
    whole = args.index_from == "start"
    pointers = min(args.symbols, args.length)
    farthest = args.length if whole else pointers
    shared_flags.check_together(parser, args)
    _check_curriculum(parser, args, pointers)
    shared_flags.check(
        parser,
        (
            args.policy == "oracle" and farthest > args.n_actions,
            "argument --policy: oracle needs --n_actions that reach every "
            f"digit pointed to, {farthest}. Received: {args.n_actions}",
        ),
        (
            args.seeds is not None and len(set(args.seeds)) < len(args.seeds),
            "argument --seeds: must be different seeds. Received: "
            f"{' '.join(map(str, args.seeds or []))}",
        ),
    )


def _check_curriculum(parser, args, pointers):
    first = args.first_length
    if first is None:
        shared_flags.check(
            parser,
            (
                args.length_epochs != 1,
                "argument --length_epochs: must go with --first_length. "
                f"Received: {args.length_epochs}",
            ),
            (
                args.length_step is not None,
                "argument --length_step: must go with --first_length. "
                f"Received: {args.length_step}",
            ),
        )
        return
    growths = math.ceil((args.length - first) / (args.length_step or 1))
    grown_after = 1 + growths * args.length_epochs
    shared_flags.check(
        parser,
        (
            not pointers <= first <= args.length,
            "argument --first_length: must lie between what can be pointed to "
            f"and --length, {pointers} and {args.length}. Received: {first}",
        ),
        (
            args.epoch < grown_after,
            f"argument --epoch: must be at least {grown_after}, so that "
            f"--first_length {first} grows to --length {args.length}. "
            f"Received: {args.epoch}",
        ),
        (
            args.patience is not None and args.patience < grown_after,
            "argument --patience: must be at least the epochs until "
            f"--first_length has grown to --length, {grown_after}. "
            f"Received: {args.patience}",
        ),
    )
