"""Flags of the language-modeling task."""

import argparse

from dsl import choices
from dsl.experiment import command_line, shared_flags
from language_modeling import agent_flags, character_flags, presets


def make_parser(source=None):
    """The parser of every flag, with the defaults of no preset."""
    parser = command_line.Parser(
        source,
        prog="RL_train.py",
        description="Trains a language model: an LSTM whose top layer learns "
        "which of its K past states to connect to, or one to compare it with.",
        epilog="Exit codes: 0 done, 1 the run failed, 2 usage, 3 data missing "
        "or wrong, 130 interrupted; --resume goes on.",
        allow_abbrev=False,
        formatter_class=command_line.HelpFormatter,
    )
    _add_run_flags(parser.add_argument_group("run"))
    _add_model_flags(parser.add_argument_group("model"))
    character_flags.add_flags(parser.add_argument_group("characters"))
    _add_training_flags(parser.add_argument_group("training"))
    agent_flags.add_flags(
        parser.add_argument_group("agent, with --model dynamic_skip")
    )
    _add_evaluation_flags(parser.add_argument_group("evaluation"))
    _add_inspection_flags(
        parser.add_argument_group("inspection, with --load_model")
    )
    parser.set_defaults(previous_bias=3.0)
    return parser


def _add_run_flags(group):
    add = group.add_argument
    add(
        "--preset",
        choices=presets.PRESETS,
        help="settings to start from; explicit flags override them. quick: "
        "minutes; small, medium, large: Zaremba et al. 2014; char_small, "
        "char_large: Kim et al. 2016; published: the published code's choices",
    )
    add(
        "--data_dir",
        type=command_line.name,
        metavar="DIR",
        help="folder of a corpus: {train,valid,test}.txt of your own, or the "
        "files of a known one, plain, .gz or .xz (default: $DSL_DATA_DIR, then "
        "data, then for PTB a download)",
    )
    add(
        "--corpus",
        choices=choices.CORPORA,
        help="which one (default: what --data_dir holds, the first in this "
        "order; without --data_dir, ptb, and generated in its place)",
    )
    add(
        "--vocabulary_size",
        type=command_line.number(int, 2),
        metavar="N",
        help="keep the N most frequent words, <unk> and <eos> among them, and "
        "read all others as <unk> (default: every word of the training text)",
    )
    add(
        "--download",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether PTB may be downloaded where it is not at hand",
    )
    shared_flags.add_run_flags(add)
    add(
        "--load_model",
        type=command_line.name,
        metavar="RUN",
        help="evaluate the best weights of this run folder, train nothing",
    )
    add(
        "--jit",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="compile with XLA (default: only under JAX)",
    )


def _add_model_flags(group):
    add = group.add_argument
    shared_flags.add_model_flag(add)
    add(
        "--rnn_size",
        type=command_line.count,
        default=650,
        metavar="N",
        help="LSTM units",
    )
    add(
        "--rnn_layers",
        type=command_line.count,
        default=2,
        metavar="N",
        help="layers in all, plain but for the top one",
    )
    add(
        "--dropout",
        type=command_line.number(float, 0, 1, open_high=True),
        default=0.5,
        metavar="P",
        help="on word vectors (not with --char), between layers and before "
        "the softmax",
    )
    shared_flags.add_cell_flags(add)
    add(
        "--mixed_precision",
        choices=choices.PRECISIONS,
        help="compute products in this precision, with weights, loss and agent "
        "in float32 (default: all in float32)",
    )
    add(
        "--keep_buffer",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="carry past states from segment to segment",
    )


def _add_training_flags(group):
    add = group.add_argument
    add(
        "--learning_rate",
        type=command_line.positive,
        default=1.0,
        metavar="R",
        help="initial rate of SGD",
    )
    add(
        "--learning_rate_decay",
        type=command_line.number(float, 0, 1, open_low=True),
        default=1 / 1.2,
        metavar="F",
        help="factor of a decay",
    )
    add(
        "--constant_epochs",
        type=command_line.count,
        metavar="N",
        help="decay after every epoch from the Nth on (default: only when "
        "validation stops improving)",
    )
    add(
        "--lr_threshold",
        type=command_line.number(float, 0),
        default=0.005,
        metavar="R",
        help="smallest rate of the conditional decay",
    )
    add(
        "--decay_when",
        type=command_line.number(float, 0),
        default=1.0,
        metavar="PPL",
        help="improvement that keeps the conditional decay away",
    )
    add(
        "--param_init",
        type=command_line.positive,
        default=0.05,
        metavar="R",
        help="weights start uniform in [-R, R]",
    )
    add(
        "--num_unroll_steps",
        type=command_line.count,
        default=35,
        metavar="T",
        help="steps of back-propagation through time",
    )
    add(
        "--batch_size",
        type=command_line.count,
        default=20,
        metavar="B",
        help="streams",
    )
    add(
        "--max_epochs",
        type=command_line.count,
        default=100,
        metavar="N",
        help="epochs",
    )
    add(
        "--max_grad_norm",
        type=command_line.positive,
        default=5.0,
        metavar="N",
        help="largest global norm of the gradient",
    )


def _add_evaluation_flags(group):
    add = group.add_argument
    add(
        "--eval_protocol",
        choices=("stream", "batched"),
        default="stream",
        help="stream: one stream, every token; batched: the streams and whole "
        "segments of training (published code)",
    )
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
        help="sampled passes over the test text",
    )


def _add_inspection_flags(group):
    add = group.add_argument
    add(
        "--split",
        nargs="+",
        choices=("train", "valid", "test"),
        default=["valid", "test"],
        help="texts to measure",
    )
    add(
        "--text",
        type=command_line.name,
        metavar="FILE",
        help="a text of your own to measure, a sentence a line, in place of "
        "--split; a word that the model does not know is read and scored as "
        "<unk>, and left out where its vocabulary has no <unk>",
    )
    add(
        "--sentences",
        type=command_line.number(int, 0),
        default=5,
        metavar="N",
        help="sentences whose connections are shown",
    )
    add(
        "--figure",
        type=command_line.picture,
        metavar="FILE",
        help="draw the connections: .png, .pdf or .svg",
    )


def check_together(parser, args):
    """Ends with an error unless the flags fit each other."""
    shared_flags.check(
        parser,
        (
            args.resume and args.load_model is not None,
            "argument --resume: trains on, and --load_model trains nothing; "
            "give one of them.",
        ),
    )
    shared_flags.check_together(parser, args)
    character_flags.check_together(parser, args)
    agent_flags.check_together(parser, args)
    shared_flags.check(
        parser,
        (
            args.figure is not None and args.sentences == 0,
            "argument --figure: needs --sentences of at least 1. Received: 0",
        ),
    )
