"""Flags of number prediction: what they are, and what must hold of them."""

import math

from dsl import choices
from dsl.experiment import shared_flags
from dsl.experiment.command_line import count, name, number, positive
from dsl.experiment.command_line import seed as draw
from dsl.experiment.flags import BOTH, DATA, SEED, WHERE, Flags, Group, flag
from dsl.experiment.kinds import CHOOSING
from number_prediction import presets

LENGTH = number(int, 1, choices.MOST_LENGTH)


def _more_than_one(text):
    """An argparse type: a count, of which one is as if it were not given."""
    value = count(text)
    return None if value == 1 else value


class Sequences(Group):
    """Sequences."""

    length = flag(10, LENGTH, "N")
    """Free digits before the pointer; T = N + 1 (paper: 10 and 20)."""
    index_from = flag("last10", choices=choices.INDEX_FROM)
    """Where pointer 0 points: to the first of the last --symbols digits
    (published program for the data), or to the start (published picture); the
    same where --length is at most --symbols."""
    symbols = flag(10, number(int, 2, choices.MOST_SYMBOLS), "N")
    """Size of the alphabet (published code: 10)."""


class Data(Group):
    """Data."""

    data_dir = flag("data/number_prediction", name, "DIR", role=WHERE)
    """Folder with the files of produce_data.py."""
    mark_pointer = flag(action="store_true")
    """Read pointer b as symbol N + b, where --symbols is N, so that it looks
    unlike every digit (paper: as digit b)."""
    produce = flag(False, role=DATA, free=True, action="store_true")
    """Make the files, 100,000, 10,000 and 10,000 examples, if they are not
    there."""
    data_seed = flag(type=draw, metavar="N", role=SEED, free=True)
    """Seed that the files must have, and are made with (default: any, and
    3435)."""
    recipe = flag("best", choices=tuple(presets.RECIPES))
    """Settings to start from; explicit flags override them. paper: its
    objective as stated; published_code: its choices and mistakes."""


class Network(Group):
    """The network around the cell."""

    rnn_size = flag(200, count, "N")
    """LSTM units."""


class Training(Group):
    """Training."""

    batch_size = flag(100, count, "B")
    """Sequences a step."""
    learning_rate = flag(1e-3, positive, "R")
    """Rate of Adam."""
    adam_epsilon = flag(1e-7, positive, "E")
    """Epsilon of Adam, also the agent's (published code: 1e-8)."""
    epoch = flag(6, count, "N", grows=True)
    """Largest number of epochs (published code: 200)."""
    shuffle = flag(True, action=BOTH)
    """Another order each epoch (published code: no)."""
    task_weight = flag(1.0, positive, "W")
    """Weight of the task's loss (published code: 0.1, by mistake)."""


class Curriculum(Group):
    """Curriculum."""

    first_length = flag(type=LENGTH, metavar="N")
    """Free digits at first, with which training goes up to --length; left out
    are those that nothing points to (default: all from the start)."""
    length_epochs = flag(1, count, "E")
    """Epochs until --first_length takes in more."""
    length_step = flag(type=_more_than_one, metavar="N")
    """Digits that it takes in at once (default: 1)."""

    @staticmethod
    def rules(args):
        first = args.first_length
        if first is None:
            return (
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
        pointers = min(args.symbols, args.length)
        growths = math.ceil((args.length - first) / (args.length_step or 1))
        needed = 1 + growths * args.length_epochs
        return (
            (
                not pointers <= first <= args.length,
                "argument --first_length: must lie between what can be "
                f"pointed to and --length, {pointers} and {args.length}. "
                f"Received: {first}",
            ),
            (
                args.epoch < needed,
                f"argument --epoch: must be at least {needed}, so that "
                f"--first_length {first} grows to --length {args.length}. "
                f"Received: {args.epoch}",
            ),
            (
                args.patience is not None and args.patience < needed,
                "argument --patience: must be at least the epochs until "
                f"--first_length has grown to --length, {needed}. "
                f"Received: {args.patience}",
            ),
        )


class Agent(Group):
    """How the agent acts, with --model dynamic_skip."""

    policy = flag(
        "learned", of=CHOOSING, choices=("learned", "uniform", "oracle")
    )
    """Learned (paper); uniform: any distance; oracle: the one that leads to the
    digit pointed to."""
    policy_positions = flag(
        0, number(int, 0, choices.MOST_LENGTH + 1), "N", CHOOSING
    )
    """How many steps the agent tells apart; 0: it sees no step count
    (paper)."""
    credit = flag("all", of=CHOOSING, choices=choices.CREDITS)
    """Which choices earn the reward: all (paper), or those through which the
    last state was reached."""
    probability_offset = flag(0.0, number(float, 0), "E", CHOOSING)
    """Log(pi + E) in the place of log pi (published code: 1, by mistake)."""

    @staticmethod
    def rules(args):
        # As `dsl.datasets.numbers.Settings` has it.
        whole = args.index_from == "start"
        farthest = args.length if whole else min(args.symbols, args.length)
        return (
            (
                args.policy == "oracle" and farthest > args.n_actions,
                "argument --policy: oracle needs --n_actions that reach every "
                f"digit pointed to, {farthest}. Received: {args.n_actions}",
            ),
        )


def make_flags(length=10):
    """The flags of a program.

    Args:
        length: Its default for `--length`.
    """
    return Flags(
        (
            Data,
            Sequences,
            shared_flags.Run,
            shared_flags.Model,
            Network,
            shared_flags.Cell,
            Training,
            Curriculum,
            Agent,
            shared_flags.Signal,
            shared_flags.Evaluation,
            shared_flags.Show,
        ),
        lambda given: presets.defaults({"length": length, **given}),
    )


FLAGS = make_flags()
