"""Flags, presets and published figures of the language-modeling task."""

import argparse

from dsl import choices

PRESETS = {
    # A few minutes on two cores.
    "quick": {
        "rnn_size": 128,
        "dropout": 0.0,
        "learning_rate": 1.0,
        "learning_rate_decay": 0.5,
        "constant_epochs": 2,
        "param_init": 0.1,
        "num_unroll_steps": 20,
        "max_epochs": 4,
        "max_steps": 2000,
        "policy_units": 100,
    },
    # "small" of Zaremba et al. 2014.
    "small": {
        "rnn_size": 200,
        "dropout": 0.0,
        "learning_rate": 1.0,
        "learning_rate_decay": 0.5,
        "constant_epochs": 4,
        "param_init": 0.1,
        "num_unroll_steps": 20,
        "max_epochs": 13,
        "policy_units": 100,
    },
    # "medium" of Zaremba et al. 2014.
    "medium": {
        "rnn_size": 650,
        "dropout": 0.5,
        "learning_rate": 1.0,
        "learning_rate_decay": 1 / 1.2,
        "constant_epochs": 6,
        "param_init": 0.05,
        "num_unroll_steps": 35,
        "max_epochs": 39,
    },
    # The published code, where it chose rather than erred.
    "published": {
        "forget_bias": 1.0,
        "policy_units": 200,
        "previous_bias": 0.0,
        "observation": "mean",
        "empty_slots": "zeros",
        "keep_buffer": False,
        "estimator": "reinforce",
        "rollouts": 1,
        "reward": "probability",
        "discount": 1.0,
        "baseline": "none",
        "policy_weight": 0.3 / 35,
        "entropy_weight": 0.0,
        "agent_optimizer": "shared",
        "eval_protocol": "batched",
        "eval_actions": "sampled",
    },
}

ESTIMATOR_DEFAULTS = {
    "reinforce": {
        "rollouts": 2,
        "baseline": "leave_one_out",
        "discount": 0.8,
        "entropy_weight": 0.01,
    },
    "straight_through": {
        "rollouts": 1,
        "baseline": "none",
        "discount": 1.0,
        "entropy_weight": 0.001,
    },
}

# Test perplexity on the Penn Treebank, by preset and model.
PUBLISHED = {
    # What the demo's few minutes are on the way to.
    ("quick", "lstm"): (
        114.5,
        "Zaremba et al. 2014, non-regularized LSTM: 2 x 200 units and 13 "
        "epochs; quick is smaller and ends within the first",
    ),
    ("quick", "dynamic_skip"): (
        78.5,
        "Gui et al. 2019, PTB table: 2 x 650 units, dropout and full "
        "training; quick is smaller and ends within the first epoch",
    ),
    ("small", "lstm"): (114.5, "Zaremba et al. 2014, non-regularized LSTM"),
    ("medium", "lstm"): (82.7, "Zaremba et al. 2014, medium"),
    ("published", "lstm"): (82.7, "Gui et al. 2019, PTB table"),
    ("medium", "dynamic_skip"): (78.5, "Gui et al. 2019, PTB table"),
    ("published", "dynamic_skip"): (78.5, "Gui et al. 2019, PTB table"),
}


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message):
        """Exits with status 2."""
        self.exit(2, f"{self.prog}: error: {message} (see --help)\n")


def parse_args(arguments=None):
    """Reads the flags; explicit ones override the preset's."""
    parser = make_parser()
    first = Parser(prog=parser.prog, add_help=False, allow_abbrev=False)
    first.add_argument("--preset")
    first.add_argument("--estimator", default="reinforce")
    known, _ = first.parse_known_args(arguments)
    parser.set_defaults(**ESTIMATOR_DEFAULTS.get(known.estimator, {}))
    parser.set_defaults(**PRESETS.get(known.preset, {}))
    args = parser.parse_args(arguments)
    _check(parser, args)
    return args


# What a run may change and still be held to its preset's published figure.
_FREE = {
    "data_dir",
    "download",
    "train_dir",
    "name",
    "load_model",
    "seed",
    "print_every",
    "jit",
    "eval_samples",
}


def reference(args, corpus_name):
    """What the settings are held to.

    Returns:
        Published test perplexity and its source, or None twice where the
        preset has none or the settings differ from it; and the number of
        epochs of the preset's recipe.
    """
    given = ["--model", args.model, "--estimator", args.estimator]
    if args.preset is not None:
        given += ["--preset", args.preset]
    recipe = vars(parse_args(given))
    same = all(
        value == recipe[key]
        for key, value in vars(args).items()
        if key not in _FREE
    )
    figure, source = PUBLISHED.get((args.preset, args.model), (None, None))
    if not same or corpus_name != "ptb":
        figure, source = None, None
    return figure, source, recipe["max_epochs"]


def from_saved(saved, args):
    """Settings of a finished run, checked as if they had been typed.

    Args:
        saved: Dict of settings, as a run keeps them.
        args: The settings of this call, of which those of the evaluation
            hold.

    Returns:
        The settings, as `parse_args` returns them.
    """
    kept = {"eval_protocol", "eval_samples", "jit", "load_model"}
    given = []
    for key, value in saved.items():
        value = getattr(args, key) if key in kept else value
        if isinstance(value, bool):
            given.append(f"--{key}" if value else f"--no-{key}")
        elif isinstance(value, list):
            given.append(f"--{key}={','.join(map(str, value))}")
        elif value is not None:
            given.append(f"--{key}={value}")
    return parse_args(given)


def _check(parser, args):
    if args.baseline == "leave_one_out" and args.rollouts < 2:
        parser.error(
            "argument --baseline: leave_one_out compares rollouts and needs "
            f"--rollouts of at least 2. Received: {args.rollouts}"
        )
    shares = args.look_back_shares
    if shares is not None and args.policy != "random":
        parser.error(
            "argument --look_back_shares: needs --policy random. "
            f"Received: --policy {args.policy}"
        )
    if shares is not None and not any(shares[: args.n_actions]):
        parser.error(
            "argument --look_back_shares: one of the first --n_actions "
            f"({args.n_actions}) must be above 0. Received: {shares}"
        )
    if args.final_entropy_weight is not None and not args.entropy_steps:
        parser.error(
            "argument --final_entropy_weight: needs --entropy_steps, the "
            "updates until it is reached."
        )


def _number(kind, low=None, high=None, open_low=False, open_high=False):
    """An argparse type: a finite number within bounds."""
    noun = "an integer" if kind is int else "a number"
    bounds = []
    if low is not None:
        bounds.append(f"{'above' if open_low else 'at least'} {low}")
    if high is not None:
        bounds.append(f"{'below' if open_high else 'at most'} {high}")
    rule = " ".join([f"must be {noun}", " and ".join(bounds)]).strip()

    def convert(text):
        try:
            value = kind(text)
        except ValueError:
            value = float("nan")
        fits = (
            value == value
            and abs(value) != float("inf")
            and (low is None or (value > low if open_low else value >= low))
            and (high is None or (value < high if open_high else value <= high))
        )
        if not fits:
            raise argparse.ArgumentTypeError(f"{rule}. Received: {text!r}")
        return value

    return convert


def _shares(text):
    """An argparse type: numbers of at least 0, not all 0, and commas."""
    try:
        shares = [float(part) for part in text.split(",")]
    except ValueError:
        shares = []
    if not 0 < sum(shares) < float("inf") or min(shares) < 0:
        raise argparse.ArgumentTypeError(
            "must be numbers of at least 0, one of them above 0, with commas "
            f"between. Received: {text!r}"
        )
    return shares


_count = _number(int, 1)
_positive = _number(float, 0, open_low=True)
_share = _number(float, 0, 1)
_any = _number(float)


def make_parser():
    """The parser of every flag, with the defaults of no preset."""
    parser = Parser(
        prog="RL_train.py",
        description="Trains a language model: a plain LSTM, or one whose top "
        "layer learns which of its K past states to connect to.",
        epilog="Exit codes: 0 done, 1 the run failed, 2 usage, 3 data missing "
        "or wrong, 130 interrupted.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add_run_flags(parser.add_argument_group("run"))
    _add_model_flags(parser.add_argument_group("model"))
    _add_training_flags(parser.add_argument_group("training"))
    _add_agent_flags(parser.add_argument_group("agent"))
    _add_evaluation_flags(parser.add_argument_group("evaluation"))
    return parser


def _add_run_flags(group):
    add = group.add_argument
    add(
        "--preset",
        choices=PRESETS,
        help="settings to start from; explicit flags override them. quick: "
        "minutes; small, medium: Zaremba et al. 2014; published: the "
        "published code's choices",
    )
    add(
        "--data_dir",
        metavar="DIR",
        help="folder with ptb.{train,valid,test}.txt, plain or .gz (default: "
        "$DSL_DATA_DIR/ptb, then data/ptb, then a download)",
    )
    add(
        "--download",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether PTB may be downloaded where it is not at hand",
    )
    add(
        "--train_dir",
        default="runs",
        metavar="DIR",
        help="where run folders are made",
    )
    add(
        "--name",
        help="name of the run folder (default: task, model, seed and time)",
    )
    add(
        "--load_model",
        metavar="RUN",
        help="evaluate the best weights of this run folder, train nothing",
    )
    add("--seed", type=_number(int, 0, 2**31 - 1), default=3435, help="seed")
    add(
        "--print_every",
        type=_count,
        default=400,
        metavar="N",
        help="steps between two lines of progress",
    )
    add(
        "--max_steps",
        type=_count,
        metavar="N",
        help="stop training after N steps in all",
    )
    add(
        "--jit",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="compile with XLA (default: only under JAX)",
    )


def _add_model_flags(group):
    add = group.add_argument
    add(
        "--model",
        choices=("lstm", "dynamic_skip"),
        default="dynamic_skip",
        help="lstm: all layers plain; dynamic_skip: the top layer chooses",
    )
    add("--rnn_size", type=_count, default=650, metavar="N", help="LSTM units")
    add(
        "--rnn_layers",
        type=_count,
        default=2,
        metavar="N",
        help="layers in all, the dynamic one on top included",
    )
    add(
        "--dropout",
        type=_number(float, 0, 1, open_high=True),
        default=0.5,
        metavar="P",
        help="on word vectors, between layers and before the softmax",
    )
    add(
        "--lamda",
        type=_share,
        default=1.0,
        metavar="L",
        help="lambda, the share of the chosen state (paper: 1)",
    )
    add(
        "--n_actions",
        type=_count,
        default=5,
        metavar="K",
        help="K, how many past states can be chosen (paper: 5)",
    )
    add(
        "--forget_bias",
        type=_any,
        default=0.0,
        metavar="B",
        help="constant added to the forget gates",
    )
    add(
        "--policy_units",
        type=_count,
        default=50,
        metavar="N",
        help="hidden units of the agent (published code: 200)",
    )
    add(
        "--previous_bias",
        type=_any,
        default=3.0,
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
        type=_positive,
        default=1.0,
        metavar="R",
        help="initial rate of SGD",
    )
    add(
        "--learning_rate_decay",
        type=_number(float, 0, 1, open_low=True),
        default=1 / 1.2,
        metavar="F",
        help="factor of a decay",
    )
    add(
        "--constant_epochs",
        type=_count,
        metavar="N",
        help="decay after every epoch from the Nth on (default: only when "
        "validation stops improving)",
    )
    add(
        "--lr_threshold",
        type=_number(float, 0),
        default=0.005,
        metavar="R",
        help="smallest rate of the conditional decay",
    )
    add(
        "--decay_when",
        type=_number(float, 0),
        default=1.0,
        metavar="PPL",
        help="improvement that keeps the conditional decay away",
    )
    add(
        "--param_init",
        type=_positive,
        default=0.05,
        metavar="R",
        help="weights start uniform in [-R, R]",
    )
    add(
        "--num_unroll_steps",
        type=_count,
        default=35,
        metavar="T",
        help="steps of back-propagation through time",
    )
    add("--batch_size", type=_count, default=20, metavar="B", help="streams")
    add("--max_epochs", type=_count, default=100, metavar="N", help="epochs")
    add(
        "--max_grad_norm",
        type=_positive,
        default=5.0,
        metavar="N",
        help="largest global norm of the gradient",
    )


def _add_agent_flags(group):
    add = group.add_argument
    add(
        "--policy",
        choices=("learned", "frozen", "random"),
        default="learned",
        help="learned (paper); frozen: stays as it starts; random: distances "
        "drawn with --look_back_shares, the control for a learned one",
    )
    add(
        "--look_back_shares",
        type=_shares,
        metavar="P,P,...",
        help="shares of the distances 1, 2, ... of --policy random, zero where "
        "left out: 1 is always the previous state (default: all alike)",
    )
    add(
        "--policy_start",
        type=_number(int, 0),
        default=0,
        metavar="N",
        help="updates before the agent chooses and learns; until then, the "
        "previous state",
    )
    add(
        "--estimator",
        choices=tuple(ESTIMATOR_DEFAULTS),
        default="reinforce",
        help="reinforce (paper), or straight-through Gumbel-softmax",
    )
    add(
        "--rollouts",
        type=_count,
        metavar="R",
        help="runs of the top layer from the same state",
    )
    add(
        "--reward",
        choices=choices.REWARDS,
        default="log_likelihood",
        help="of each word (published code: probability)",
    )
    add(
        "--discount",
        type=_share,
        metavar="G",
        help="gamma of the reward-to-go",
    )
    add(
        "--baseline",
        choices=choices.BASELINES,
        help="subtracted from the reward-to-go",
    )
    add(
        "--policy_weight",
        type=_number(float, 0),
        default=1.0,
        metavar="W",
        help="weight of the policy loss (published code: 0.3/35)",
    )
    add(
        "--entropy_weight",
        type=_any,
        metavar="W",
        help="weight of the entropy of each decision",
    )
    add(
        "--final_entropy_weight",
        type=_any,
        metavar="W",
        help="value that the entropy weight goes to, linearly",
    )
    add(
        "--entropy_steps",
        type=_count,
        metavar="N",
        help="updates until --final_entropy_weight is reached",
    )
    add(
        "--sequence_entropy_weight",
        type=_number(float, 0),
        default=0.0,
        metavar="W",
        help="weight of the entropy of the action sequence (paper: 1)",
    )
    add(
        "--temperature",
        type=_positive,
        default=1.0,
        metavar="TAU",
        help="of the straight-through estimator",
    )
    add(
        "--agent_optimizer",
        choices=("adam", "shared"),
        default="adam",
        help="adam: its own, outside of the clip; shared: the model's "
        "(published code)",
    )
    add(
        "--agent_learning_rate",
        type=_positive,
        default=1e-3,
        metavar="R",
        help="rate of the agent's own optimizer",
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
        type=_number(int, 2),
        default=5,
        metavar="N",
        help="sampled passes over the test text",
    )
