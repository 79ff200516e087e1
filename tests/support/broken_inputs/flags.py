"""Words of a command line that break a rule."""

from broken_inputs.case import DIGITS, HUGE, LONG, NEW, RED, TINY, Case

# The smallest value of each integer flag.
INTEGERS = {
    "--checkpoint_every": 1,
    "--seed": 0,
    "--seeds": 0,
    "--print_every": 1,
    "--max_steps": 1,
    "--patience": 1,
    "--rnn_size": 1,
    "--rnn_layers": 1,
    "--n_actions": 1,
    "--policy_units": 1,
    "--char_embed_size": 1,
    "--highway_layers": 0,
    "--max_word_length": 3,
    "--constant_epochs": 1,
    "--num_unroll_steps": 1,
    "--batch_size": 1,
    "--max_epochs": 1,
    "--policy_start": 0,
    "--rollouts": 1,
    "--task_rollouts": 1,
    "--entropy_steps": 1,
    "--eval_samples": 2,
    "--sentences": 0,
    "--vocabulary_size": 2,
    "--skip": 1,
}
# A value out of bounds for each other number.
NUMBERS = {
    "--dropout": "1",
    "--lamda": "1.0001",
    "--forget_bias": "-inf",
    "--previous_bias": "-inf",
    "--learning_rate": "0",
    "--learning_rate_decay": "1.5",
    "--lr_threshold": "-1e-9",
    "--decay_when": "-1",
    "--param_init": "-0.0",
    "--max_grad_norm": "0",
    "--look_back_shares": "0,0",
    "--random_share": "1.01",
    "--kernels": "1,0",
    "--kernel_features": "0",
    "--discount": "-0.1",
    "--policy_weight": "-1",
    "--entropy_weight": "-inf",
    "--final_entropy_weight": "-inf",
    "--sequence_entropy_weight": "-1",
    "--temperature": "0",
    "--agent_learning_rate": "-1",
}
CHOICES = (
    "--corpus",
    "--mixed_precision",
    "--preset",
    "--model",
    "--observation",
    "--scoring",
    "--empty_slots",
    "--policy",
    "--estimator",
    "--reward",
    "--baseline",
    "--agent_optimizer",
    "--eval_protocol",
    "--eval_actions",
    "--split",
    "--verbosity",
)
# What is no number, in turns.
NO_INTEGER = ("", "many", "nan", "inf", "1e400", "2.5", "²", RED, "5\n6")
NO_NUMBER = ("", "x", "nan", "inf", "1e400", "½", "0,5x", RED, "\r5,", "1 2")
NO_CHOICE = ("", "best", RED, "a\nb", "LSTM ", "\x00", DIGITS)


def usage(kind, name, arguments, *says, **options):
    """A case that ends before anything else is done."""
    return Case(kind, name, arguments, 2, says, silent=True, **options)


def _value(kind, flag, value):
    """A flag with a wrong value, which is named as far as it is short."""
    arrived = repr(value) if len(value) < 99 else value[:20]
    name = f"{flag}={ascii(value)[:12]}"
    return usage(kind, name, [*NEW, f"{flag}={value}"], flag, arrived)


def _turns(values, start, count):
    return [values[(start + n) % len(values)] for n in range(count)]


def integers():
    for n, (flag, least) in enumerate(INTEGERS.items()):
        values = [*_turns(NO_INTEGER, 2 * n, 2), str(least - 1), HUGE]
        yield from (_value("integer", flag, value) for value in values)
    yield _value("integer", "--rnn_size", DIGITS)
    yield _value("integer", "--seed", str(2**31))


def numbers():
    for n, (flag, beyond) in enumerate(NUMBERS.items()):
        for value in [*_turns(NO_NUMBER, 3 * n, 3), beyond]:
            yield _value("number", flag, value)
    for flag in ("--param_init", "--lamda", "--max_grad_norm"):
        yield _value("number", flag, "1" + "0" * 400)
    # Beyond what a weight can be.
    yield _value("number", "--param_init", "1e308")


def choices():
    for n, flag in enumerate(CHOICES):
        for value in _turns(NO_CHOICE, 2 * n, 2):
            yield _value("choice", flag, value)


def words():
    """Words that are no flags, and flags without their words."""
    yield usage("word", "short", [*NEW, "--rnn_siz", "9"], "unrecognized")
    for word in ("extra", "--no-resume", "-n", RED, f"--{RED}"):
        said = "red" if RED in word else word
        yield usage("word", ascii(word), [*NEW, word], said)
    yield usage("word", "newline", [*NEW, "a\nb"], "unrecognized")
    yield usage("word", "escapes", [*NEW, "\x9b31m\x07\u2028"], "unrecognized")
    yield usage("word", "no bytes", [*NEW, "\udcff\udc80"], "unrecognized")
    yield usage("word", "long", [*NEW, "--" + LONG * 20], "nnnn")
    for flag in (
        "--name",
        "--seed",
        "--seeds",
        "--preset",
        "--split",
        "--look_back_shares",
    ):
        yield usage("word", f"{flag} without", [*NEW, flag], flag, "expected")
        twice = [*NEW, f"{flag}=1", flag, "--tensorboard"]
        yield usage("word", f"{flag} twice", twice, flag)
    for flag in ("--resume=yes", "--tensorboard=1", "--no-download=0"):
        yield usage("word", flag, [*NEW, flag], flag.split("=")[0])
    for flag in ("name", "data_dir", "train_dir", "load_model", "text"):
        arguments = [*NEW, f"--{flag}="]
        yield usage("word", f"{flag} empty", arguments, flag, "Received: ''")
    yield usage("word", "dash", [*TINY, "--name", "-a"], "--name", "expected")


def together():
    """Flags that need each other, or exclude each other."""
    for flags, *says in (
        ("--baseline leave_one_out --rollouts 1", "--rollouts", "Received: 1"),
        ("--estimator straight_through --baseline leave_one_out", "--rollouts"),
        ("--preset published --baseline leave_one_out", "--rollouts"),
        ("--policy frozen --baseline leave_one_out", "--rollouts"),
        ("--rollouts 2 --task_rollouts 3", "at most --rollouts", "Received: 3"),
        ("--look_back_shares 1,1", "--policy random", "Received"),
        ("--look_back_shares 1 --policy frozen", "Received: --policy frozen"),
        ("--random_share 0 --policy random", "Received: --policy random"),
        (
            "--look_back_shares 0,0,1 --policy random --n_actions 2",
            "--look_back_shares",
            "--n_actions",
        ),
        ("--kernels 1 --kernel_features 2", "--kernels", "--char"),
        ("--no-char --max_word_length 9", "--max_word_length", "--char"),
        ("--char --kernels [2,2]", "--kernels", "distinct", "Received: 2,2"),
        ("--char --kernels 66", "--max_word_length, 65", "Received: 66"),
        ("--char --kernel_features 1,2", "--kernels, 7", "Received: 2"),
        ("--entropy_weight 1 --entropy_steps 9", "--final_entropy_weight"),
        (
            "--estimator straight_through --final_entropy_weight 0",
            "--entropy_steps",
        ),
        ("--load_model x --figure x.png --sentences 0", "--sentences"),
        ("--text text.txt", "--text", "--load_model"),
        ("--split test", "--split", "--load_model"),
        ("--sentences 3", "--sentences", "--load_model"),
        ("--load_model x --text t --split test", "--text", "--split"),
        ("--figure x.png", "--figure", "--load_model"),
        ("--resume --load_model runs/run", "--resume", "--load_model"),
        ("--seeds 1 2 --load_model runs/run", "--seeds", "--load_model"),
        ("--seeds 1 2 1", "--seeds", "different", "Received: 1 2 1"),
        ("--seeds 1 2 --seed 1", "--seeds", "takes the place of --seed"),
        ("--model lstm --lamda 1", "--lamda", "fixed_skip, attention, dynamic"),
        ("--model lstm --no-keep_buffer", "--keep_buffer", "--model lstm"),
        ("--model lstm --seed 1 --eval_samples 5", "--eval_samples"),
        ("--model fixed_skip --n_actions 3", "--n_actions", "(attention, dyn"),
        ("--model attention --policy random", "--policy", "(dynamic_skip)"),
        ("--skip 5", "--skip", "(fixed_skip). Received: --model dynamic_skip"),
    ):
        yield usage("together", flags, [*NEW, *flags.split()], *says)
    yield usage("together", "--resume", [*TINY, "--resume"], "--name")
