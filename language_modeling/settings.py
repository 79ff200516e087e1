"""Flags of language modeling: what they are, and what must hold of them."""

from dsl import choices
from dsl.experiment import command_line, shared_flags
from dsl.experiment.command_line import (
    count,
    counts,
    name,
    number,
    positive,
    share,
    shares,
)
from dsl.experiment.flags import (
    BOTH,
    DATA,
    MEASURING,
    SHOWING,
    WHERE,
    Flags,
    Group,
    flag,
)
from dsl.experiment.kinds import CHOOSING, SKIPPING
from language_modeling import presets


class Data(Group):
    """Data."""

    preset = flag(choices=tuple(presets.PRESETS))
    """Settings to start from; explicit flags override them. quick: minutes;
    small, medium, large: Zaremba et al. 2014; char_small, char_large: Kim et
    al. 2016; published: the published code's choices."""
    data_dir = flag(type=name, metavar="DIR", role=WHERE)
    """Folder of a corpus: {train,valid,test}.txt of your own, or the files of a
    known one, plain, .gz or .xz (default: $DSL_DATA_DIR, then data, then for
    PTB a download)."""
    corpus = flag(choices=choices.CORPORA, role=DATA)
    """Which one (default: what --data_dir holds, the first in this order;
    without --data_dir, ptb, and generated in its place)."""
    vocabulary_size = flag(type=number(int, 2), metavar="N")
    """Keep the N most frequent words, <unk> and <eos> among them, and read all
    others as <unk> (default: every word of the training text)."""
    download = flag(True, action=BOTH, role=WHERE)
    """Whether PTB may be downloaded where it is not at hand."""


class Network(Group):
    """The network around the cell."""

    rnn_size = flag(650, count, "N")
    """LSTM units."""
    rnn_layers = flag(2, count, "N")
    """Layers in all, plain but for the top one."""
    dropout = flag(0.5, number(float, 0, 1, open_high=True), "P")
    """On word vectors (not with --char), between layers and before the
    softmax."""
    mixed_precision = flag(choices=choices.PRECISIONS)
    """Compute products in this precision, with weights, loss and agent in
    float32 (default: all in float32)."""
    keep_buffer = flag(True, of=SKIPPING, action=BOTH)
    """Carry past states from segment to segment."""


class Characters(Group):
    """Words that are read as characters: CharLM, Kim et al. 2016."""

    char = flag(action=BOTH)
    """Read words as characters."""
    char_embed_size = flag(type=count, metavar="N")
    """Width of the character vectors (default with --char: 15)."""
    kernels = flag(type=counts, metavar="W,W,...")
    """Widths of the convolutions (default with --char: 1,2,3,4,5,6,7)."""
    kernel_features = flag(type=counts, metavar="N,N,...")
    """Outputs of each of them (default with --char:
    50,100,150,200,200,200,200)."""
    highway_layers = flag(type=number(int, 0), metavar="N")
    """Highway layers above them (default with --char: 2)."""
    max_word_length = flag(type=number(int, 3, 1000), metavar="N")
    """Characters of a word that are read, its start and end among them
    (default with --char: 65)."""

    @staticmethod
    def rules(args):
        if not args.char:
            return [
                (
                    getattr(args, one.name) is not None,
                    f"argument --{one.name}: needs --char.",
                )
                for one in Characters.flags[1:]
            ]
        kernels, features = args.kernels, args.kernel_features
        return [
            (
                len(set(kernels)) != len(kernels),
                "argument --kernels: must be distinct. "
                f"Received: {','.join(map(str, kernels))}",
            ),
            (
                max(kernels) > args.max_word_length,
                "argument --kernels: must be at most --max_word_length, "
                f"{args.max_word_length}. Received: {max(kernels)}",
            ),
            (
                len(features) != len(kernels),
                "argument --kernel_features: must be as many as --kernels, "
                f"{len(kernels)}. Received: {len(features)}",
            ),
        ]


class Training(Group):
    """Training, and how a text is cut for evaluation."""

    learning_rate = flag(1.0, positive, "R")
    """Initial rate of SGD."""
    learning_rate_decay = flag(1 / 1.2, number(float, 0, 1, open_low=True), "F")
    """Factor of a decay."""
    constant_epochs = flag(type=count, metavar="N")
    """Decay after every epoch from the Nth on (default: only when validation
    stops improving)."""
    lr_threshold = flag(0.005, number(float, 0), "R")
    """Smallest rate of the conditional decay."""
    decay_when = flag(1.0, number(float, 0), "PPL")
    """Improvement that keeps the conditional decay away."""
    param_init = flag(0.05, positive, "R")
    """Weights start uniform in [-R, R]."""
    num_unroll_steps = flag(35, count, "T")
    """Steps of back-propagation through time."""
    batch_size = flag(20, count, "B")
    """Streams."""
    max_epochs = flag(100, count, "N", grows=True)
    """Epochs."""
    max_grad_norm = flag(5.0, positive, "N")
    """Largest global norm of the gradient."""
    eval_protocol = flag(
        "stream", role=MEASURING, choices=("stream", "batched")
    )
    """Stream: one stream, every token; batched: the streams and whole segments
    of training (published code)."""


class Agent(Group):
    """How the agent acts, with --model dynamic_skip."""

    policy = flag(
        "learned", of=CHOOSING, choices=("learned", "frozen", "random")
    )
    """Learned (paper); frozen: stays as it starts; random: distances drawn with
    --look_back_shares, the control for a learned one."""
    look_back_shares = flag(None, shares, "P,P,...", CHOOSING)
    """Shares of the distances 1, 2, ... of random steps, zero where left out: 1
    is always the previous state (default: all alike)."""
    random_share = flag(None, share, "P", CHOOSING)
    """Share of the steps in training whose distance is random and not the
    agent's choice, which regularizes (default: none of a learned policy)."""
    policy_start = flag(0, number(int, 0), "N", CHOOSING)
    """Updates before the agent chooses and learns; until then, the previous
    state."""
    task_rollouts = flag(None, count, "R", CHOOSING)
    """Rollouts that the model learns its words from; the others only judge the
    agent's choices (default: all)."""
    discount = flag(None, share, "G", CHOOSING)
    """Gamma of the reward-to-go."""
    agent_optimizer = flag("adam", of=CHOOSING, choices=("adam", "shared"))
    """Adam: its own, outside of the clip; shared: the model's (published
    code)."""

    @staticmethod
    def rules(args):
        shares = args.look_back_shares
        return (
            (
                (args.task_rollouts or 1) > args.rollouts,
                "argument --task_rollouts: must be at most --rollouts, "
                f"{args.rollouts}. Received: {args.task_rollouts}",
            ),
            (
                shares is not None
                and args.policy != "random"
                and args.random_share is None,
                "argument --look_back_shares: needs --policy random or "
                f"--random_share. Received: --policy {args.policy}",
            ),
            (
                args.random_share is not None and args.policy != "learned",
                "argument --random_share: needs --policy learned. "
                f"Received: --policy {args.policy}",
            ),
            (
                len(shares or []) > args.n_actions,
                "argument --look_back_shares: must hold at most --n_actions, "
                f"{args.n_actions}, shares. Received: {len(shares or [])}",
            ),
        )


class Inspection(Group):
    """What is shown of the connections, with --load_model."""

    text = flag(type=name, metavar="FILE", role=SHOWING)
    """A text of your own to measure, a sentence a line, in place of --split; a
    word that the model does not know is read and scored as <unk>, and left out
    where its vocabulary has no <unk>."""
    sentences = flag(5, number(int, 0), "N", role=SHOWING)
    """Sentences whose connections are shown."""
    figure = flag(type=command_line.picture, metavar="FILE", role=SHOWING)
    """Draw the connections: .png, .pdf or .svg."""

    @staticmethod
    def rules(args):
        return (
            (
                args.figure is not None and args.sentences == 0,
                "argument --figure: needs --sentences of at least 1. "
                "Received: 0",
            ),
            (
                {"text", "split"} <= args.given,
                "argument --text: takes the place of --split; give one of "
                "them.",
            ),
        )


FLAGS = Flags(
    (
        Data,
        shared_flags.Run,
        shared_flags.Model,
        Network,
        shared_flags.Cell,
        Characters,
        Training,
        Agent,
        shared_flags.Signal,
        shared_flags.Evaluation,
        shared_flags.Show,
        Inspection,
    ),
    presets.defaults,
)
