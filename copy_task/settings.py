"""Flags of the copy task: what they are, and what must hold of them."""

from copy_task import presets
from dsl.choices import MOST_BITS, MOST_VECTORS
from dsl.experiment import shared_flags
from dsl.experiment.command_line import count, number, picture, positive, share
from dsl.experiment.command_line import seed as draw
from dsl.experiment.flags import (
    BOTH,
    MEASURING,
    SEED,
    SHOWING,
    Flags,
    Group,
    flag,
)
from dsl.experiment.kinds import CHOOSING

LENGTH = number(int, 1, MOST_VECTORS)


class Data(Group):
    """Sequences."""

    preset = flag("best", choices=tuple(presets.PRESETS))
    """Settings to start from; explicit flags override them. published: those of
    the published code."""
    max_length = flag(20, LENGTH, "M")
    """The most vectors of a pattern (published: 20)."""
    min_length = flag(1, LENGTH, "M")
    """The fewest (published: 1)."""
    bits = flag(8, number(int, 1, MOST_BITS), "N")
    """Bits of a vector (published: 8)."""
    low = flag(0.0, share, "X")
    """What is read and wanted for a bit that is 0, and for silence (published:
    0.001)."""
    high = flag(1.0, share, "X")
    """For a bit that is 1 (published: 1)."""
    delay = flag(0, number(int, 0, MOST_VECTORS), "N")
    """Silent steps between the end mark and the answer (published: 0)."""
    data_seed = flag(1, draw, "N", role=SEED)
    """Seed of the sequences of validation and test, which are the same for
    every --seed."""
    eval_lengths = flag(
        [10, 20, 40, 120], LENGTH, "M", nargs="+", role=MEASURING
    )
    """Lengths to test beside those trained on (published: 10 20 40 120)."""
    eval_sequences = flag(1000, number(int, 2), "N")
    """Sequences of validation, and of each length that is tested."""

    @staticmethod
    def rules(args):
        lengths = args.eval_lengths
        return (
            (
                args.min_length > args.max_length,
                "argument --min_length: must be at most --max_length, "
                f"{args.max_length}. Received: {args.min_length}",
            ),
            (
                not args.low < 0.5 < args.high,
                "argument --low: must be below 0.5, and --high above, where a "
                f"bit is told. Received: {args.low} and {args.high}",
            ),
            (
                len(set(lengths)) < len(lengths),
                "argument --eval_lengths: must be different lengths. "
                f"Received: {' '.join(map(str, lengths))}",
            ),
        )


class Network(Group):
    """The network."""

    rnn_size = flag(256, count, "N")
    """LSTM units of a layer (published: 256)."""
    rnn_layers = flag(3, count, "N")
    """Recurrent layers; all but the top one are plain LSTM (published: 3)."""


class Training(Group):
    """Training."""

    batch_size = flag(100, count, "B")
    """Sequences a step, drawn anew at each (published: 100)."""
    steps_per_epoch = flag(1000, count, "N")
    """Steps of an epoch (published: 1000)."""
    epochs = flag(1000, count, "N", grows=True)
    """Largest number of epochs (published: 1000)."""
    stop_loss = flag(type=positive, metavar="X")
    """End after the epoch whose last 100 batches have at most this loss, in
    nats a bit over all steps (published: 0.008, of one batch)."""
    optimizer = flag("adam", choices=("adam", "rmsprop"))
    """Adam, or RMSProp with momentum as TensorFlow 1 had it (published)."""
    learning_rate = flag(1e-3, positive, "R")
    """Its rate (published: 3e-5)."""
    final_learning_rate = flag(type=positive, metavar="R")
    """What the rate falls to along half a cosine (default: it stays)."""
    decay_epochs = flag(type=count, metavar="N")
    """Epochs until it gets there."""
    clip_norm = flag(type=positive, metavar="X")
    """Largest norm of the gradient (default: any)."""
    clip_value = flag(type=positive, metavar="X")
    """Largest absolute value of one of its components (published: 10, which
    none reaches)."""
    first_length = flag(type=LENGTH, metavar="M")
    """The most vectors at first, with which training goes up to --max_length
    (default: that one from the start)."""
    first_epochs = flag(1, count, "N")
    """Epochs of --first_length."""
    length_epochs = flag(1, count, "N")
    """Epochs, after these, of each further length."""

    @staticmethod
    def rules(args):
        first, fall = args.first_length, args.final_learning_rate
        outside = first is not None and not (
            args.min_length <= first <= args.max_length
        )
        return (
            (
                outside,
                "argument --first_length: must lie between --min_length and "
                f"--max_length, {args.min_length} and {args.max_length}. "
                f"Received: {first}",
            ),
            (
                (fall is None) != (args.decay_epochs is None),
                "argument --final_learning_rate: goes with --decay_epochs; "
                "give both or neither.",
            ),
            (
                fall is not None and fall > args.learning_rate,
                "argument --final_learning_rate: must be at most "
                f"--learning_rate, {args.learning_rate}. Received: {fall}",
            ),
        )


class Compiler(Group):
    """Compiler."""

    jit = flag(None, action=BOTH, role=MEASURING)
    """Compile with XLA; unset, only where nothing runs without it."""


class Agent(Group):
    """What else the agent learns by, with --model dynamic_skip."""

    discount = flag(0.0, share, "G", CHOOSING)
    """Weight of the next step's reward, for REINFORCE."""


class Picture(Group):
    """A picture, with --load_model."""

    figure = flag(type=picture, metavar="FILE", role=SHOWING)
    """Draw the first test sequence of each length: FILE-10.png, and so on."""


FLAGS = Flags(
    (
        Data,
        shared_flags.Run,
        shared_flags.Model,
        Network,
        shared_flags.Cell,
        Training,
        Compiler,
        Agent,
        shared_flags.Signal,
        shared_flags.Show,
        Picture,
    ),
    presets.defaults,
)
