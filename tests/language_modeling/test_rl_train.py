"""The command that trains a language model."""

import dataclasses
import fcntl
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import small_models
from small_runs import TINY, corpus, uncompiled

from dsl import datasets
from dsl.datasets.corpus import Corpus
from dsl.experiment import flags, kinds, output, saved
from dsl.experiment.comparing import overview, reading
from dsl.runs import configurations, results
from dsl.runs.folder import RunFolder
from dsl.system import locks
from dsl.training.streams import StreamTrainer
from language_modeling import RL_train, measuring, presets, task
from language_modeling import model as building
from language_modeling.task import TASK

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "language_modeling" / "RL_train.py"
# The corpus that comes with the project, in few and large batches.
GENERATED = [
    *TINY,
    *"--num_unroll_steps 40 --batch_size 50 --eval_protocol batched".split(),
    *"--policy_units 5 --eval_samples 2 --baseline value".split(),
]
CHARACTERS = "--char --char_embed_size 3 --kernels 1,3 --kernel_features 4,5"

# Section "command-line surface" of the published code, where the flag has
# kept its meaning.
PUBLISHED_DEFAULTS = {
    "load_model": None,
    "rnn_size": 650,
    "rnn_layers": 2,
    "dropout": 0.5,
    "lamda": 1.0,
    "learning_rate": 1.0,
    "learning_rate_decay": 1 / 1.2,
    "lr_threshold": 0.005,
    "decay_when": 1.0,
    "param_init": 0.05,
    "num_unroll_steps": 35,
    "n_actions": 5,
    "batch_size": 20,
    "max_epochs": 100,
    "max_grad_norm": 5.0,
    "seed": 3435,
    "print_every": 400,
}


@pytest.mark.parametrize("flag", PUBLISHED_DEFAULTS)
def test_published_defaults(flag):
    value = PUBLISHED_DEFAULTS[flag]
    found = getattr(TASK.parse([]), flag)
    assert found == value and type(found) is type(value)


def test_folders_of_the_published_flags():
    args = TASK.parse(["--data_dir", "a", "--train_dir", "b"])
    assert (args.data_dir, args.train_dir) == ("a", "b")
    args = TASK.parse([])
    assert (args.data_dir, args.train_dir) == (None, "runs")


@pytest.mark.parametrize("preset", presets.PRESETS)
def test_explicit_flags_override_the_preset(preset):
    wanted = presets.PRESETS[preset]
    args = vars(TASK.parse(["--preset", preset]))
    assert wanted.items() <= args.items()
    assert args.pop("given") == {"preset"}
    flags = ["--dropout=0.25", "--policy_units", "7", "--discount", "0.5"]
    for arguments in (
        ["--preset", preset, *flags],
        [*flags, f"--preset={preset}"],
    ):
        changed = vars(TASK.parse(arguments))
        explicit = {"dropout": 0.25, "policy_units": 7, "discount": 0.5}
        assert changed.pop("given") == {"preset", *explicit}
        assert changed == {**args, **explicit}


def test_presets_of_zaremba():
    small = TASK.parse(["--preset", "small"])
    assert (small.rnn_size, small.num_unroll_steps) == (200, 20)
    assert (small.dropout, small.param_init) == (0.0, 0.1)
    assert (small.max_epochs, small.constant_epochs) == (13, 4)
    assert small.learning_rate_decay == 0.5
    medium = TASK.parse(["--preset", "medium"])
    assert (medium.rnn_size, medium.num_unroll_steps) == (650, 35)
    assert (medium.dropout, medium.param_init) == (0.5, 0.05)
    assert (medium.max_epochs, medium.constant_epochs) == (39, 6)
    assert medium.learning_rate_decay == 1 / 1.2
    large = TASK.parse(["--preset", "large"])
    assert (large.rnn_size, large.num_unroll_steps) == (1500, 35)
    assert (large.dropout, large.param_init) == (0.65, 0.04)
    assert (large.max_epochs, large.constant_epochs) == (55, 14)
    assert large.learning_rate_decay == 1 / 1.15
    for args, clip in ((small, 5.0), (medium, 5.0), (large, 10.0)):
        assert args.rnn_layers == 2 and args.batch_size == 20
        assert args.forget_bias == 0.0 and args.max_grad_norm == clip
        assert args.learning_rate == 1.0


def test_presets_of_kim():
    small = TASK.parse(["--preset", "char_small"])
    large = TASK.parse(["--preset", "char_large"])
    assert (small.rnn_size, small.highway_layers) == (300, 1)
    assert small.kernels == [1, 2, 3, 4, 5, 6]
    assert small.kernel_features == [25 * width for width in small.kernels]
    assert (large.rnn_size, large.highway_layers) == (650, 2)
    assert large.kernels == [1, 2, 3, 4, 5, 6, 7]
    assert large.kernel_features == [50, 100, 150, 200, 200, 200, 200]
    for args in (small, large):
        assert args.char and args.char_embed_size == 15
        assert (args.rnn_layers, args.max_word_length) == (2, 65)
        assert (args.dropout, args.param_init) == (0.5, 0.05)
        assert (args.batch_size, args.num_unroll_steps) == (20, 35)
        assert (args.max_epochs, args.max_grad_norm) == (25, 5.0)
        # Halved where validation does not improve by more than 1.
        assert (args.learning_rate, args.learning_rate_decay) == (1.0, 0.5)
        assert (args.constant_epochs, args.decay_when) == (None, 1.0)
        assert (args.lr_threshold, args.forget_bias) == (0.0, 0.0)


def test_settings_of_characters_are_there_where_they_are_read():
    args = vars(TASK.parse(["--char"]))
    assert presets.CHARACTERS.items() <= args.items()
    small = TASK.parse(
        "--preset char_small --char --highway_layers 3 --kernels=[1,2] "
        "--kernel_features 7,8".split()
    )
    assert (small.kernels, small.kernel_features) == ([1, 2], [7, 8])
    assert (small.highway_layers, small.rnn_size) == (3, 300)
    # The schedule of Kim et al., for word vectors.
    words = TASK.parse("--preset char_small --no-char".split())
    assert (words.rnn_size, words.max_epochs) == (300, 25)
    for args in (words, TASK.parse([])):
        assert not args.char
        unread = [getattr(args, name) for name in presets.CHARACTERS]
        assert unread == [None] * len(unread)
    for args in (small, words):
        again = saved.settings_of(TASK, TASK.of_run(args), args, "config.json")
        assert TASK.of_run(again) == TASK.of_run(args)


def test_defaults_follow_the_estimator():
    for estimator, wanted in presets.ESTIMATORS.items():
        args = vars(TASK.parse([f"--estimator={estimator}"]))
        assert wanted.items() <= args.items()
    args = TASK.parse(["--estimator", "reinforce", "--rollouts", "4"])
    assert (args.rollouts, args.baseline) == (4, "leave_one_out")
    # A preset that names an estimator brings its own settings.
    args = TASK.parse(["--preset", "published"])
    assert (args.rollouts, args.baseline) == (1, "none")


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        ("", (0.018, 0.05, 30_000)),
        ("--entropy_weight 0.018", (0.018, None, None)),
        ("--preset published", (0.0, None, None)),
        ("--estimator straight_through", (0.001, None, None)),
        ("--final_entropy_weight 0.1", (0.018, 0.1, 30_000)),
        ("--entropy_steps 9", (0.018, 0.05, 9)),
        (
            "--entropy_weight 0.1 --final_entropy_weight 0.2",
            (0.1, 0.2, 30_000),
        ),
    ],
)
def test_an_entropy_weight_that_is_given_stays(flags, wanted):
    args = TASK.parse(flags.split())
    found = args.entropy_weight, args.final_entropy_weight, args.entropy_steps
    assert found == wanted
    again = saved.settings_of(TASK, TASK.of_run(args), args, "config.json")
    assert TASK.of_run(again) == TASK.of_run(args)


def test_saved_settings_are_read_as_if_typed():
    typed = TASK.parse(
        "--preset small --lamda 0.3 --learning_rate_decay 0.7 --no-keep_buffer "
        "--no-download --jit --name=-a --estimator straight_through".split()
    )
    settings = json.loads(json.dumps(TASK.of_run(typed)))
    now = TASK.parse(
        "--eval_protocol batched --jit --load_model runs/a --sentences 2 "
        "--data_dir here".split()
    )
    read = vars(saved.settings_of(TASK, settings, now, "config.json"))
    # How and where it is measured is said now; how it was trained, then.
    changed = {
        key: getattr(now, key)
        for key in (
            *TASK.flags.names(flags.WHERE, flags.CALL, flags.SHOWING),
            *("given", "eval_protocol", "eval_samples", "jit"),
        )
    }
    assert changed["data_dir"] == "here" and changed["sentences"] == 2
    assert read == {**vars(typed), **changed}


def test_saved_shares_are_read_as_if_typed():
    typed = TASK.parse("--policy random --look_back_shares 0.5,0,1".split())
    settings = json.loads(json.dumps(TASK.of_run(typed)))
    read = saved.settings_of(TASK, settings, TASK.parse([]), "config.json")
    assert read.look_back_shares == [0.5, 0.0, 1.0]
    assert (read.policy, read.rollouts) == ("random", 1)


def test_saved_settings_that_are_wrong_are_named_with_their_file(capsys):
    settings = TASK.of_run(TASK.parse([]))
    settings["dropout"] = 2.0
    with pytest.raises(SystemExit):
        saved.settings_of(TASK, settings, TASK.parse([]), "a/config.json")
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "a/config.json: argument --dropout: " in message


@pytest.mark.parametrize(
    ("flags", "corpus_name", "expected"),
    [
        ("--preset small --model lstm", "ptb", (114.5, 13)),
        ("--preset small --model lstm --seed 1 --name a", "ptb", (114.5, 13)),
        ("--preset small --model lstm", "generated", (None, 13)),
        ("--preset small --model lstm --corpus ptb", "ptb", (114.5, 13)),
        ("--preset small --model lstm --rnn_size 300", "ptb", (None, 13)),
        ("--preset small --model lstm --max_steps 9", "ptb", (None, 13)),
        ("--preset small", "ptb", (None, 13)),
        ("--preset medium --model lstm", "ptb", (82.7, 39)),
        ("--preset medium", "ptb", (78.5, 39)),
        ("--preset medium --corpus ptb", "ptb", (78.5, 39)),
        ("--preset medium --vocabulary_size 10000", "ptb", (78.5, 39)),
        ("--preset medium --vocabulary_size 99", "ptb-99", (None, 39)),
        ("--preset medium --model fixed_skip --skip 3", "ptb", (81.5, 39)),
        ("--preset medium --model fixed_skip --skip 5", "ptb", (82.0, 39)),
        ("--preset medium --model fixed_skip", "ptb", (82.0, 39)),
        ("--preset medium --model fixed_skip --skip 4", "ptb", (None, 39)),
        ("--preset medium --model attention", "ptb", (81.4, 39)),
        ("--preset medium --model attention --lamda 0.5", "ptb", (None, 39)),
        ("--preset medium --estimator straight_through", "ptb", (None, 39)),
        ("--preset large --model lstm", "ptb", (78.4, 55)),
        ("--model lstm", "ptb", (None, 100)),
        ("--preset char_small --model lstm", "ptb", (92.3, 25)),
        ("--preset char_small --model lstm --no-char", "ptb", (None, 25)),
        ("--preset char_large --model lstm", "ptb", (78.9, 25)),
        ("--preset char_large", "ptb", (76.5, 25)),
        ("--preset char_large --model fixed_skip --skip 3", "ptb", (80.2, 25)),
        ("--preset char_large --model fixed_skip", "ptb", (80.9, 25)),
        ("--preset char_large --model attention", "ptb", (79.0, 25)),
        ("--preset char_small --model attention", "ptb", (None, 25)),
        ("--preset medium --model lstm --char", "ptb", (None, 39)),
    ],
)
def test_what_a_run_is_held_to(flags, corpus_name, expected):
    args = TASK.parse(flags.split())
    published, epochs = task.held_to(args, corpus_name)
    figure = published["test_perplexity"]
    assert (figure, epochs) == expected
    assert (published["source"] is None) == (figure is None)
    args.max_epochs += 1
    nothing = dict.fromkeys(published)
    assert task.held_to(args, corpus_name) == (nothing, epochs)


def test_a_published_figure_has_a_source():
    args = TASK.parse(["--preset", "small", "--model", "lstm"])
    figures = {
        "valid_perplexity": None,
        "test_perplexity": 114.5,
        "source": "Zaremba et al. 2014, non-regularized LSTM",
    }
    assert task.held_to(args, "ptb") == (figures, 13)


WRONG = [
    ("--rnn_size", "0", "must be an integer at least 1"),
    ("--rnn_size", "2.5", "must be an integer at least 1"),
    ("--rnn_layers", "-1", "must be an integer at least 1"),
    ("--n_actions", "0", "must be an integer at least 1"),
    ("--skip", "0", "must be an integer at least 1"),
    ("--batch_size", "many", "must be an integer at least 1"),
    ("--num_unroll_steps", "0", "must be an integer at least 1"),
    ("--max_epochs", "0", "must be an integer at least 1"),
    ("--max_steps", "0", "must be an integer at least 1"),
    ("--patience", "0", "must be an integer at least 1"),
    ("--seeds", "-1", "must be an integer at least 0 and at most 2147483647"),
    ("--verbosity", "loud", "invalid choice"),
    ("--print_every", "0", "must be an integer at least 1"),
    ("--policy_units", "0", "must be an integer at least 1"),
    ("--rollouts", "0", "must be an integer at least 1"),
    ("--task_rollouts", "0", "must be an integer at least 1"),
    ("--constant_epochs", "0", "must be an integer at least 1"),
    ("--entropy_steps", "0", "must be an integer at least 1"),
    ("--eval_samples", "1", "must be an integer at least 2"),
    ("--seed", "-1", "must be an integer at least 0 and at most 2147483647"),
    ("--seed", "2147483648", "must be an integer at least 0 and at most"),
    ("--dropout", "1", "must be a number at least 0 and below 1"),
    ("--dropout", "-0.1", "must be a number at least 0 and below 1"),
    ("--lamda", "1.1", "must be a number at least 0 and at most 1"),
    ("--discount", "-0.1", "must be a number at least 0 and at most 1"),
    ("--learning_rate", "0", "must be a number above 0"),
    ("--learning_rate_decay", "0", "must be a number above 0 and at most 1"),
    ("--learning_rate_decay", "1.5", "must be a number above 0 and at most 1"),
    ("--param_init", "0", "must be a number above 0"),
    ("--max_grad_norm", "0", "must be a number above 0"),
    ("--temperature", "0", "must be a number above 0"),
    ("--agent_learning_rate", "-1", "must be a number above 0"),
    ("--lr_threshold", "-1", "must be a number at least 0"),
    ("--decay_when", "-1", "must be a number at least 0"),
    ("--policy_weight", "-1", "must be a number at least 0"),
    ("--sequence_entropy_weight", "-1", "must be a number at least 0"),
    ("--forget_bias", "inf", "must be a number"),
    ("--previous_bias", "nan", "must be a number"),
    ("--entropy_weight", "x", "must be a number"),
    ("--final_entropy_weight", "inf", "must be a number"),
    ("--model", "gru", "invalid choice"),
    ("--preset", "huge", "invalid choice"),
    ("--observation", "next", "invalid choice"),
    ("--scoring", "smell", "invalid choice"),
    ("--empty_slots", "full", "invalid choice"),
    ("--estimator", "ppo", "invalid choice"),
    ("--reward", "bleu", "invalid choice"),
    ("--baseline", "best", "invalid choice"),
    ("--agent_optimizer", "sgd", "invalid choice"),
    ("--eval_protocol", "all", "invalid choice"),
    ("--eval_actions", "best", "invalid choice"),
    ("--checkpoint_every", "0", "must be an integer at least 1"),
    ("--policy", "none", "invalid choice"),
    ("--policy_start", "-1", "must be an integer at least 0"),
    ("--random_share", "1.1", "at least 0 and at most 1"),
    ("--look_back_shares", "1,-1", "must be numbers of at least 0"),
    ("--look_back_shares", "0,0", "must be numbers of at least 0"),
    ("--look_back_shares", "1,,2", "must be numbers of at least 0"),
    ("--look_back_shares", "nan", "must be numbers of at least 0"),
    ("--look_back_shares", "inf,1", "must be numbers of at least 0"),
    ("--char_embed_size", "0", "must be an integer at least 1"),
    ("--highway_layers", "-1", "must be an integer at least 0"),
    ("--max_word_length", "2", "must be an integer at least 3"),
    ("--max_word_length", "1001", "must be an integer at least 3"),
    ("--kernels", "1,0", "must be integers of at least 1"),
    ("--kernels", "[1,2", "must be integers of at least 1"),
    ("--kernel_features", "1,,2", "must be integers of at least 1"),
    ("--kernel_features", "[]", "must be integers of at least 1"),
    ("--split", "all", "invalid choice"),
    ("--sentences", "-1", "must be an integer at least 0"),
    ("--corpus", "text8", "invalid choice"),
    ("--mixed_precision", "float16", "invalid choice"),
    ("--vocabulary_size", "1", "must be an integer at least 2"),
    *(
        (flag, "", "must be a name")
        for flag in ("--load_model", "--text", "--data_dir")
    ),
    *(("--name", name, "must be a plain folder name") for name in ("", "a/b")),
    ("--train_dir", "", "must be a name"),
    ("--figure", "a.gif", "must"),
]


def usage_error(arguments, capsys):
    """The last line on stderr of a refused command line."""
    with pytest.raises(SystemExit) as end:
        TASK.parse(arguments)
    assert end.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()[-1]


@pytest.mark.parametrize(("flag", "value", "rule"), WRONG)
def test_wrong_values_are_named_with_their_rule(flag, value, rule, capsys):
    message = usage_error([f"{flag}={value}"], capsys)
    assert message.startswith("RL_train.py: ")
    assert f"argument {flag}: " in message
    assert rule in message and repr(value) in message


def test_every_flag_with_a_rule_is_tried():
    tried = {
        action.option_strings[0]
        for action in TASK.flags.make_parser()._actions
        if action.type is not None or action.choices is not None
    }
    assert tried == {flag for flag, _, _ in WRONG}


def test_flags_that_need_each_other(capsys):
    message = usage_error(["--rollouts", "1"], capsys)
    assert "argument --baseline: " in message and "Received: 1" in message
    message = usage_error(
        ["--preset", "published", "--baseline", "leave_one_out"], capsys
    )
    assert "argument --baseline: " in message and "Received: 1" in message
    message = usage_error(
        ["--entropy_weight", "1", "--entropy_steps", "5"], capsys
    )
    assert "argument --entropy_steps: needs --final" in message
    message = usage_error(
        ["--estimator=straight_through", "--final_entropy_weight=0"], capsys
    )
    assert "argument --final_entropy_weight: needs --entropy" in message
    for given, needed in (
        ("--look_back_shares 1", "--policy random or --random_share"),
        ("--random_share 0.5 --policy frozen", "--policy learned"),
        ("--policy random --look_back_shares 0,1 --n_actions 1", "--n_actions"),
        ("--resume", "--name"),
        ("--resume --name a --load_model b", "--load_model"),
        ("--text a", "--load_model"),
        ("--figure a.png", "--load_model"),
        ("--split test", "--load_model"),
        ("--sentences 3", "--load_model"),
        ("--text a --split test --load_model b", "place of --split; give one"),
        ("--figure a.png --sentences 0 --load_model b", "at least 1. Received"),
        ("--seeds 1 --load_model a", "--seeds: trains runs, and --load_model"),
        ("--seeds 1 2 1", "--seeds: must be different seeds. Received: 1 2 1"),
        ("--seeds 1 --seed 3435", "--seeds: takes the place of --seed; give"),
        ("--seeds", "argument --seeds: expected at least one argument"),
        ("--kernels 1", "argument --kernels: needs --char."),
        ("--no-char --highway_layers 0", "--highway_layers: needs --char."),
        ("--char --kernels 1,2,1", "must be distinct. Received: 1,2,1"),
        ("--char --max_word_length 6", "--max_word_length, 6. Received: 7"),
        ("--char --kernels 2,3", "as many as --kernels, 2. Received: 7"),
    ):
        assert needed in usage_error(given.split(), capsys)


@pytest.mark.parametrize("flag", ["--preset", "--estimator", "--name"])
def test_a_flag_without_its_value(flag, capsys):
    message = usage_error([flag], capsys)
    assert message.startswith("RL_train.py: ")
    assert f"argument {flag}: expected one argument" in message


def test_flags_may_not_be_abbreviated(capsys):
    assert "--rnn_siz" in usage_error(["--rnn_siz", "3"], capsys)


def environment(tmp_path):
    """Without the Penn Treebank."""
    changed = {
        "DSL_DATA_DIR": str(tmp_path),
        "KERAS_BACKEND": keras.backend.backend(),
    }
    return {**os.environ, **changed}


def command(tmp_path, *arguments):
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=tmp_path,
        env=environment(tmp_path),
    )


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Runs the script in this process, in an empty folder.

    It tells of nothing but errors, unless it is asked to.
    """
    for key, value in environment(tmp_path).items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(tmp_path)

    def main(*arguments):
        monkeypatch.setattr(sys, "argv", ["RL_train.py", *arguments])
        return RL_train.main(TASK.parse(["--verbosity=error", *arguments]))

    yield main
    output.set_verbosity("info")


NOTES = ["--verbosity", "info"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of the command line."""
    folder = tmp_path_factory.mktemp("trained")
    done = command(folder, *GENERATED, "--name", "first", "--seed", "7")
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "first", done


FILES = [
    "checkpoints",
    "config.json",
    "lock",
    "metrics.csv",
    "metrics.jsonl",
    "result.json",
    "test_scores.npz",
]
KEYS = {
    "task": str,
    "model": str,
    "corpus": str,
    "settings": dict,
    "command": str,
    "parameters": int,
    "seconds": float,
    "steps": int,
    "epochs": list,
    "valid": dict,
    "test": dict,
    "published": dict,
    "true_perplexity": dict,
    "weights_sha256": str,
    "versions": dict,
}
EPOCH_KEYS = {
    "epoch",
    "train_perplexity",
    "valid_perplexity",
    "learning_rate",
    "tokens_per_second",
    "entropy",
    "look_back",
    "look_back_histogram",
}


@pytest.mark.backend
def test_what_a_run_leaves_behind(trained):
    folder, done = trained
    record = results.load(folder)
    for key, kind in KEYS.items():
        assert type(record[key]) is kind, key
    assert "commit" in record
    assert record["task"] == "language_modeling"
    assert (record["model"], record["corpus"]) == ("dynamic_skip", "generated")
    assert record["settings"] == TASK.of_run(
        TASK.parse([*GENERATED, "--name", "first", "--seed", "7"])
    )
    for key in ("given", *TASK.flags.names(flags.CALL, flags.SHOWING)):
        assert key not in record["settings"]
    assert record["command"].endswith("--name first --seed 7")
    script = "python language_modeling/RL_train.py "
    assert record["command"].startswith(script)
    assert record["steps"] == 5
    for key in ("weights_sha256", "last_weights_sha256"):
        assert re.fullmatch("[0-9a-f]{64}", record[key])
    assert record["data_sha256"] == datasets.generated.load().sha256
    assert record["backend"] == keras.backend.backend()
    assert record["train_seconds"] == record["epochs"][0]["seconds"]
    parts = [record["train_seconds"], record["epochs"][0]["valid_seconds"]]
    assert record["seconds"] == sum([*parts, record["test"]["seconds"]])
    assert record["recipe_epochs"] == 4
    assert record["published"] == dict.fromkeys(
        ["valid_perplexity", "test_perplexity", "source"]
    )
    words = len(datasets.generated.load().vocabulary)
    # Word vectors, two layers, agent, softmax.
    assert record["parameters"] == sum(
        [
            words * 8,
            2 * (16 + 1) * 32,
            (16 + 1) * 5 + (5 + 1) * 5,
            (8 + 1) * words,
        ]
    )
    (epoch,) = record["epochs"]
    assert set(epoch) >= EPOCH_KEYS
    assert (epoch["epoch"], epoch["learning_rate"]) == (1, 1.0)
    assert sum(epoch["look_back_histogram"]) == pytest.approx(1.0)
    assert 1.0 <= epoch["look_back"] <= 5.0
    assert 0.0 < epoch["entropy"] < np.log(5)
    assert record["valid"]["perplexity"] == epoch["valid_perplexity"]
    assert 1.0 < epoch["valid_perplexity"] < 1.2 * words
    test = record["test"]
    assert test["sampled_n"] == test["random_n"] == 2
    assert sum(test["look_back_histogram"]) == pytest.approx(1.0)
    for key in (
        "perplexity",
        "perplexity_sampled_mean",
        "perplexity_random_mean",
        "perplexity_previous",
    ):
        assert abs(test[key] / record["valid"]["perplexity"] - 1.0) < 0.1
    result, true = done.stdout.splitlines()
    assert result.startswith(f"test: perplexity {test['perplexity']:.2f} (samp")
    bits = f"{test['bits_per_character']:.3f} bits per character"
    assert result.endswith(bits)
    assert true == f"true: {record['true_perplexity']['test']:.2f}"
    said = done.stderr.splitlines()
    assert "Corpus: generated sentences, NOT the Penn Treebank." in done.stderr
    assert "Run folder: runs/first" in said
    (line,) = [line for line in said if line.startswith("epoch  1  rate 1 ")]
    assert f"valid {epoch['valid_perplexity']:.2f}" in line
    assert f"entropy {epoch['entropy']:.3f}  look-back " in line
    config = json.loads((folder / "config.json").read_text())
    for key in ("settings", "backend", "versions", "commit", "data_sha256"):
        assert config[key] == record[key]
    (line,) = (folder / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line) == epoch
    scores = results.load_scores(folder)
    nll = scores["nll"]
    assert np.exp(nll.mean()) == pytest.approx(test["perplexity"])
    text = datasets.generated.load()
    streams = text.test[: len(text.test) // 50 * 50].reshape(50, -1)
    ends = streams[:, 1:][:, : nll.size // 50].ravel()
    ends = ends == text.vocabulary.index(datasets.EOS)
    np.testing.assert_array_equal(
        scores["sentence"], np.append(0, np.cumsum(ends[:-1]))
    )
    assert set(np.unique(scores["look_back"])) <= {1, 2, 3, 4, 5}
    assert sorted(path.name for path in folder.iterdir()) == FILES


def test_the_same_run_in_another_process(trained, here):
    folder, _ = trained
    assert here(*GENERATED, "--name", "second", "--seed", "7") == 0
    first, second = results.load(folder), results.load("runs/second")
    for key in ("weights_sha256", "last_weights_sha256"):
        assert second[key] == first[key]
    for record in (first, second):
        del record["test"]["seconds"]
    assert second["test"] == first["test"]
    assert second["valid"] == first["valid"]


def one_line(capsys, begin="RL_train.py: "):
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith(begin)
    return captured.err


def test_a_run_folder_in_use_is_refused(here, capsys, tmp_path):
    folder = tmp_path / "runs" / "taken"
    folder.mkdir(parents=True)
    assert here(*TINY, "--name", "taken") == 2
    assert "exists already" in one_line(capsys)
    assert not any(folder.iterdir())


def test_missing_data(here, capsys, tmp_path):
    missing = tmp_path / "nowhere"
    assert here(*TINY, "--data_dir", str(missing)) == 3
    assert str(missing) in one_line(capsys)
    assert not (tmp_path / "runs").exists()


def test_a_run_that_is_not_there(here, capsys, tmp_path):
    folder = tmp_path / "nowhere"
    assert here("--no-download", "--load_model", str(folder)) == 2
    assert str(folder / "config.json") in one_line(capsys)


@pytest.fixture
def small(here, monkeypatch):
    """As `here`, with a small text."""
    monkeypatch.setattr(
        datasets, "language_model_corpus", lambda *_, **__: corpus()
    )
    return here


@pytest.fixture
def few(small):
    """As `small`, for a few steps: they take less time than to compile."""
    with uncompiled():
        yield small


@pytest.mark.parametrize(
    "flags",
    ["--batch_size 2000", "--num_unroll_steps 900", "--eval_protocol batched"],
)
def test_segments_that_the_text_does_not_fill(flags, small, capsys):
    flags = [*TINY, "--num_unroll_steps", "40", *flags.split()]
    assert small(*flags, "--name", "long") == 2
    message = one_line(capsys)
    assert "--batch_size" in message and "Received: " in message


def test_a_text_without_a_word_to_predict(here, capsys, monkeypatch):
    """It is not the size of a batch that has to be smaller."""
    text = dataclasses.replace(corpus(), valid=np.zeros(1, "int32"))
    monkeypatch.setattr(
        datasets, "language_model_corpus", lambda *_, **__: text
    )
    assert here(*TINY) == 2
    message = "the valid text must hold a token to read and one to predict"
    assert message in one_line(capsys)


@pytest.mark.parametrize(
    "flags",
    [
        "--model fixed_skip --skip",
        "--model attention --n_actions",
        "--rnn_size",
    ],
)
def test_a_model_beyond_the_memory_is_refused(flags, small, capsys):
    assert small(*TINY, *flags.split(), "2000000000") == 2
    message = one_line(capsys)
    assert flags.split()[-1] in message and "GiB of memory. Re" in message


def test_a_run_that_diverges_fails(few, capsys):
    """Weights beyond all measure after the only step, whose loss is fine."""
    flags = "--name a --learning_rate 1e30 --max_steps 1".split()
    assert few(*TINY, *flags) == 1
    message = one_line(capsys)
    assert "the valid perplexity must stay finite" in message
    assert message.endswith(
        "; --resume with a lower --learning_rate goes on from before epoch 1.\n"
    )


def test_a_run_that_diverged_goes_on_with_a_lower_rate(few, capsys):
    flags = [*TINY, "--model", "lstm", "--name", "a", "--max_grad_norm", "1e9"]
    assert few(*flags, "--learning_rate", "1e29") == 1
    assert few(*flags, "--learning_rate", "1e29", "--resume") == 1
    capsys.readouterr()
    assert few(*flags, "--learning_rate", "1e30", "--resume") == 2
    assert "--learning_rate 1e+29, now 1e+30." in one_line(capsys)
    lower = [*flags, "--learning_rate", "0.5"]
    assert few(*lower, "--resume") == 0
    record = results.load("runs/a")
    (rate,) = record["rates"]
    assert rate == results.load_config("runs/a")["rates"][0]
    assert (rate["learning_rate"], rate["before"]) == (0.5, 1e29)
    assert (rate["epoch"], rate["steps"]) == (1, 0)
    assert record["settings"]["learning_rate"] == 0.5
    assert record["run"] == RunFolder("runs/a").provenance()["run"]
    capsys.readouterr()
    assert few(*lower, "--resume", *NOTES) == 0
    assert "finished already" in capsys.readouterr().err
    assert (
        few("--no-download", "--split", "test", "--load_model", "runs/a") == 0
    )


def test_a_run_that_diverges_on_the_way_fails(small, capsys):
    flags = "--name a --learning_rate 1e30 --max_steps 2".split()
    assert small(*TINY, *flags) == 1
    assert "must stay finite" in one_line(capsys)


def test_the_seed_decides_the_weights(few):
    hashes = set()
    for seed in ("7", "8"):
        flags = [*TINY, "--model", "lstm", "--name", seed, "--seed", seed]
        assert few(*flags) == 0
        hashes.add(results.load(f"runs/{seed}")["weights_sha256"])
    assert len(hashes) == 2


def test_a_second_epoch_starts_where_the_schedule_says(small):
    flags = "--max_steps 300 --max_epochs 3 --constant_epochs 1".split()
    assert small(*TINY, *flags, "--model", "lstm", "--name", "a") == 0
    record = results.load("runs/a")
    # 600 words are 3 streams of 200: 33 segments of 6.
    assert [epoch["steps"] for epoch in record["epochs"]] == [33, 66, 99]
    for epoch in record["epochs"]:
        assert epoch["tokens_per_second"] == pytest.approx(
            33 * 18 / epoch["seconds"]
        )
    rates = [epoch["learning_rate"] for epoch in record["epochs"]]
    assert rates == [1.0, 0.5, 0.25]
    assert "entropy" not in record["epochs"][0]
    assert "sampled_n" not in record["test"]
    trained = [epoch["train_perplexity"] for epoch in record["epochs"]]
    assert trained == sorted(trained, reverse=True) and trained[2] < 13.0
    perplexities = [epoch["valid_perplexity"] for epoch in record["epochs"]]
    assert record["valid"]["perplexity"] == min(perplexities)


def outcome(name):
    """All of a run but what a clock measured and what names it."""

    def timeless(entry):
        clock = ("seconds", "valid_seconds", "tokens_per_second")
        return {key: x for key, x in entry.items() if key not in clock}

    folder = Path("runs", name)
    record = results.load(folder)
    return {
        "epochs": [timeless(entry) for entry in record["epochs"]],
        "metrics": [timeless(e) for e in results.load_metrics(folder)],
        "valid": record["valid"],
        "test": timeless(record["test"]),
        "scores": (folder / "test_scores.npz").read_bytes(),
        "best": record["weights_sha256"],
        "last": record["last_weights_sha256"],
    }


def test_several_seeds_are_several_runs(few, capsys, monkeypatch):
    flags = "--eval_protocol batched --model lstm --max_steps 2 --name"
    flags = [*TINY, *flags.split()]
    with monkeypatch.context() as patch:
        Stopper(patch, {2: signal.SIGINT})
        assert few(*flags, "a", "--seeds", "4", "5") == 130
    assert "the checkpoint of epoch 1, step 2, is kept" in one_line(capsys)
    assert os.listdir("runs") == ["a-seed4"]
    assert few(*flags, "a", "--seeds", "6", "4") == 2
    assert "runs/a-seed4: exists already" in one_line(capsys)
    # What was stopped goes on, what was not started starts.
    again = [*flags, "a", "--seeds", "4", "5", "--resume"]
    assert few(*again, *NOTES) == 0
    result, said = capsys.readouterr()
    assert re.findall("^Seed .*$|^Run folder: .*$", said, re.M) == [
        *("Seed 4", "Run folder: runs/a-seed4"),
        *("Seed 5", "Run folder: runs/a-seed5"),
    ]
    assert "resumed at epoch 1, step 2\n" in said
    assert re.findall("^test: perplexity ", result, re.M) == 2 * [
        "test: perplexity "
    ]
    assert sorted(os.listdir("runs")) == ["a-seed4", "a-seed5"]
    assert few(*again, *NOTES) == 0
    assert capsys.readouterr().err.count("finished already") == 2
    # Each is the run of that seed.
    assert few(*flags, "alone", "--seed", "5") == 0
    assert outcome("alone") == outcome("a-seed5")
    assert outcome("alone")["best"] != outcome("a-seed4")["best"]
    kept = results.load("runs/a-seed5")["settings"]
    assert kept == {**results.load("runs/alone")["settings"], "name": "a"}


def test_of_several_seeds_one_that_diverged_goes_on_alone(
    few, capsys, monkeypatch
):
    flags = [*TINY, *"--model lstm --max_steps 2 --name a".split()]
    with monkeypatch.context() as patch:
        diverge = lambda *_: float("nan")  # noqa: E731
        patch.setattr(StreamTrainer, "train_on_batch", diverge)
        assert few(*flags, "--seeds", "2", "3") == 1
    assert (
        "; --seed 2 --name a-seed2 --resume, in place of --seeds, with a "
        "lower --learning_rate goes on from before epoch 1.\n"
    ) in one_line(capsys)
    assert os.listdir("runs") == ["a-seed2"]


@pytest.mark.parametrize(("patience", "epochs"), [("1", 3), ("2", 4), ("3", 6)])
def test_patience_ends_a_training_that_gets_no_better(
    patience, epochs, few, monkeypatch
):
    """Epochs in a row, after the best one so far; as good is no better."""
    evaluate = measuring.evaluate
    found = iter([5.0, 4.0, 4.5, 4.0, 3.0, 9.0][:epochs])

    def evaluate_as_told(*options, **named):
        told = next(found, None)
        if told is None:
            return evaluate(*options, **named)
        return {"nll": np.full((1, 1, 99), np.log(told))}

    monkeypatch.setattr(measuring, "evaluate", evaluate_as_told)
    # One step an epoch.
    flags = "--num_unroll_steps 1 --batch_size 300 --model lstm --name a "
    flags += f"--max_steps 99 --max_epochs 6 --patience {patience}"
    assert few(*TINY, *flags.split()) == 0
    record = results.load("runs/a")
    assert len(record["epochs"]) == epochs
    best = (3.0, 5) if epochs == 6 else (4.0, 2)
    valid = record["valid"]
    assert (pytest.approx(valid["perplexity"]), valid["epoch"]) == best
    assert record["settings"]["patience"] == int(patience)


# 7 segments an epoch, and one to validate on.
LONG = [
    *TINY,
    *"--num_unroll_steps 3 --batch_size 25 --eval_protocol batched".split(),
    *"--dropout 0.3 --seed 3".split(),
    *"--max_epochs 3 --max_steps 16 --constant_epochs 1".split(),
    *"--checkpoint_every 4 --print_every 3".split(),
]
DYNAMIC = [*LONG, *"--n_actions 3 --eval_samples 2".split()]
UNBROKEN = {}


def unbroken(program):
    """The outcome of DYNAMIC when nothing stops it."""
    if not UNBROKEN:
        assert program(*DYNAMIC, "--name", "unbroken") == 0
        UNBROKEN.update(outcome("unbroken"))
    return UNBROKEN


class Stopper:
    """Sends this process a signal in chosen steps, counted over all runs."""

    def __init__(self, monkeypatch, steps):
        self.count, self.steps = 0, steps
        self.train = StreamTrainer.train_on_batch
        stopper = self

        def train_on_batch(trainer, *batch):
            stopper.count += 1
            if stopper.count in stopper.steps:
                signal.raise_signal(stopper.steps[stopper.count])
            return stopper.train(trainer, *batch)

        monkeypatch.setattr(StreamTrainer, "train_on_batch", train_on_batch)


def write_text(folder, **texts):
    folder.mkdir()
    for split, text in texts.items():
        (folder / f"{split}.txt").write_text(text)


@pytest.fixture
def own(here, tmp_path):
    """As `few`, with a folder `own` that holds a text of the user's."""
    write_text(
        tmp_path / "own",
        train="the cat saw a dog\n\na dog saw the cow\n" * 30,
        valid="the cat saw the bird\n" * 8,
        test="a cow saw the cat\n" * 8,
    )
    with uncompiled():
        yield here


OWN = [*TINY, "--model", "lstm", "--data_dir", "own"]


def test_a_text_of_ones_own(own, capsys):
    assert own(*OWN, "--name", "a", *NOTES) == 0
    out, err = capsys.readouterr()
    assert "valid 8 (16.67%)" in err
    config = json.loads(Path("runs/a/config.json").read_text())
    record = results.load("runs/a")
    assert config["data"] == record["data"]
    assert record["data"] == {
        "name": record["corpus"],
        "words": 8,
        "tokens": {"train": 390, "valid": 48, "test": 48},
        "unknown": {"train": 0, "valid": 8, "test": 0},
        "of_characters": False,
    }
    assert record["corpus"].startswith("own-")
    assert set(record["data_sha256"]) == {*datasets.corpus.SPLITS, "vocabulary"}
    # 8 lines of 18 characters; the first word has nothing before it.
    nll = results.load_scores("runs/a")["nll"]
    bits = nll.sum() / np.log(2.0) / (8 * 18 - 1)
    assert record["test"]["bits_per_character"] == pytest.approx(bits)
    assert f"test: perplexity {record['test']['perplexity']:.2f}, " in out
    assert f"{bits:.3f} bits per character" in out


def test_a_limited_vocabulary_belongs_to_its_run(own, capsys):
    limited = [*OWN, "--vocabulary_size", "6"]
    assert own(*limited, "--name", "a") == 0
    record = results.load("runs/a")
    assert record["data"]["words"] == 6
    assert record["data"]["unknown"] == {"train": 60, "valid": 16, "test": 16}
    # What was replaced is no longer there to be counted.
    assert "bits_per_character" not in record["test"]
    assert own(*OWN, "--name", "a", "--resume") == 2
    assert "--vocabulary_size 6, now None" in capsys.readouterr().err
    # The run knows its own.
    shown = ["--load_model", "runs/a", "--split", "test", "--no-download"]
    assert own(*shown) == 0
    test = task.in_words(record["test"])
    assert f"test, stream: {test}" in capsys.readouterr().out
    # It is no longer where it was.
    Path("own").rename("moved")
    assert own(*shown) == 2
    assert "trained on, --data_dir tells where; " in capsys.readouterr().err
    assert own(*shown, "--data_dir", "moved") == 0
    assert f"test, stream: {test}" in capsys.readouterr().out
    Path("moved/test.txt").write_text("a cow saw the cow\n" * 8)
    assert own(*shown, "--data_dir", "moved") == 2
    assert "trained on, --data_dir tells where; " in capsys.readouterr().err


def test_a_text_of_characters(own, capsys):
    text = "t h e _ c a t \n s a w _ a _ d o g \n " * 8
    for split in datasets.corpus.SPLITS:
        Path(f"own/{split}.txt").write_text(text)
    assert own(*OWN, "--name", "a", *NOTES) == 0
    record = results.load("runs/a")
    assert record["data"]["of_characters"]
    for split in ("valid", "test"):
        found = record[split]
        assert found["bits_per_character"] == pytest.approx(
            np.log2(found["perplexity"])
        )
    assert record["test"]["tokens"] == 8 * 18 - 1
    assert "bits a character" in capsys.readouterr().err
    assert "| bits per character" in overview.comparison([record])
    # A text with one that is not in the vocabulary, which has no <unk>.
    Path("new.txt").write_text("t h x e \n")
    shown = ["--load_model", "runs/a", "--text", "new.txt", "--no-download"]
    assert own(*shown, *NOTES) == 0
    assert (
        "new.txt: 5 words with ends of sentences, 1 of them unknown to the "
        "model (left out, neither read nor scored: it has no <unk>)\n"
    ) in capsys.readouterr().err
    # Where characters were replaced, it is no longer the text.
    Path("own/valid.txt").write_text(text + "x \n")
    assert own(*OWN, "--name", "b", *NOTES) == 0
    record = results.load("runs/b")
    assert "bits_per_character" not in record["valid"]
    assert "bits_per_character" in record["test"]
    said = capsys.readouterr().err
    assert "epoch  1 " in said and "bits a character" not in said
    text = Corpus(*("name", ("a",)), *3 * [None], {}, of_characters=True)
    assert measuring.bits({}, text, unknown=1) == {}


@pytest.mark.parametrize(
    "flags", ["--model fixed_skip --skip 3", "--model attention --n_actions 3"]
)
def test_a_model_to_compare_with_goes_on_to_the_same_bits(
    flags, few, monkeypatch
):
    given = [*LONG, *flags.split(), "--max_steps", "4"]
    assert few(*given, "--name", "unbroken") == 0
    Stopper(monkeypatch, {2: signal.SIGINT})
    assert few(*given, "--name", "broken") == 130
    assert few(*given, "--name", "broken", "--resume") == 0
    assert outcome("broken") == outcome("unbroken")


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(
    few, capsys, monkeypatch
):
    expected = unbroken(few)
    capsys.readouterr()
    # At the end of the first epoch, in the third, and in the last step.
    stops = {7: signal.SIGINT, 15: signal.SIGTERM, 16: signal.SIGTERM}
    stopper = Stopper(monkeypatch, stops)
    for start, (epoch, step) in (
        ([], (1, 7)),
        (["--resume"], (3, 1)),
        (["--resume", "--print_every", "9"], (3, 2)),
    ):
        assert few(*DYNAMIC, "--name", "broken", *start) == 130
        assert capsys.readouterr().err == (
            f"RL_train.py: interrupted; the checkpoint of epoch {epoch}, step "
            f"{step}, is kept; --resume goes on from it.\n"
        )
    assert few(*NOTES, *DYNAMIC, "--name", "broken", "--resume") == 0
    assert "resumed at epoch 3, step 2\n" in capsys.readouterr().err
    assert stopper.count == 16
    assert outcome("broken") == expected
    record = results.load("runs/broken")
    assert record["command"].endswith("--name broken")
    assert [epoch["steps"] for epoch in record["epochs"]] == [7, 14, 16]


@pytest.mark.parametrize(
    "model", ["lstm", "fixed_skip", "attention", "dynamic_skip"]
)
def test_a_run_can_be_measured_again(model, few, capsys, monkeypatch):
    """By both protocols; its own is the one of the record."""
    text = corpus()
    # Two segments of three streams.
    text = dataclasses.replace(text, valid=text.valid[:40], test=text.test[:40])
    monkeypatch.setattr(
        datasets, "language_model_corpus", lambda *_, **__: text
    )
    protocol = "batched" if model == "dynamic_skip" else "stream"
    flags = [*TINY, "--model", model, "--eval_protocol", protocol]
    flags += ["--max_steps", "1"]
    samples = ["--eval_samples", "2"] * (model == "dynamic_skip")
    assert few(*flags, *samples, "--name", "a") == 0
    record, before = results.load("runs/a"), os.listdir("runs/a")
    capsys.readouterr()
    # Flags that say what the run has are none too many.
    splits = ["test", "valid"] if model == "lstm" else ["test"]
    again = [*TINY, "--max_steps", "1", "--split", *splits]
    assert few(*again, *samples, "--load_model", "runs/a", *NOTES) == 0
    said, noted = capsys.readouterr()
    assert "runs/a: best weights, of epoch 1\n" in noted
    test = task.in_words(record["test"])
    assert f"test, {protocol}: {test}" in said
    if model == "lstm":
        valid = f"perplexity {record['valid']['perplexity']:.2f}"
        assert f"valid, {protocol}: {valid}" in said
    rows = re.findall(r"^\| (test|valid) +\| (\w+) ", said, re.M)
    assert rows == [
        (split, way) for split in splits for way in ("batched", "stream")
    ]
    assert os.listdir("runs/a") == before
    # Where each word was connected to, of a model that can tell.
    connected = model in ("attention", "dynamic_skip")
    assert ("so many words back, to this word" in said) == connected
    scores = results.load_scores("runs/a")
    assert scores["look_back"].any() == connected
    if model == "attention":
        weights = record["test"]["attention"]
        assert len(weights) == 5 and sum(weights) == pytest.approx(1.0)
        words = "  ".join(f"{k}: {w:.2f}" for k, w in enumerate(weights, 1))
        assert f"mean attention to each distance  {words}" in said


def test_a_run_of_characters_that_was_stopped(few, capsys, monkeypatch):
    """It goes on to the same bits, and can be measured again."""
    flags = f"{CHARACTERS} --model lstm --max_steps 5 --checkpoint_every 2"
    given = [*LONG, *flags.split()]
    assert few(*given, "--name", "unbroken") == 0
    Stopper(monkeypatch, {3: signal.SIGTERM})
    assert few(*given, "--name", "broken") == 130
    assert few(*given, "--name", "broken", "--resume") == 0
    assert outcome("broken") == outcome("unbroken")
    capsys.readouterr()
    again = "--no-download --split test --load_model runs/broken"
    assert few(*again.split()) == 0
    test = task.in_words(results.load("runs/broken")["test"])
    assert f"test, batched: {test}" in capsys.readouterr().out


def test_a_run_that_is_done_goes_on_for_more_epochs(few, capsys, monkeypatch):
    for epochs in (1, 3):
        flags = [*DYNAMIC, "--max_epochs", str(epochs), "--name", "longer"]
        if epochs == 3:
            # What it measured before is no result of what it is now.
            with monkeypatch.context() as patch:
                Stopper(patch, {2: signal.SIGTERM})
                assert few(*flags, "--resume") == 130
            assert not results.is_finished("runs/longer")
            assert not Path("runs/longer/result.json").exists()
            assert not Path("runs/longer/test_scores.npz").exists()
            old = results.load("runs/longer/result-1.json")
            assert len(old["epochs"]) == 1
            assert Path("runs/longer/test_scores-1.npz").exists()
        assert few(*flags, *["--resume"] * (epochs > 1)) == 0
        assert len(results.load("runs/longer")["epochs"]) == epochs
    assert outcome("longer") == unbroken(few)
    capsys.readouterr()
    assert few(*DYNAMIC, *"--max_epochs 2 --name longer --resume".split()) == 2
    assert "differing: --max_epochs 3, now 2." in one_line(capsys)


def test_going_on_with_a_run_that_is_done_prints_it_again(few, capsys):
    flags = [*TINY, "--model", "lstm", "--name", "a"]
    assert few(*flags) == 0
    first = capsys.readouterr().out.splitlines()
    before = Path("runs/a/result.json").read_bytes()
    assert few(*flags, "--resume", *NOTES) == 0
    again = capsys.readouterr()
    assert "finished already" in again.err.splitlines()
    assert again.out.splitlines() == first and first[-2].startswith("test: ")
    assert Path("runs/a/result.json").read_bytes() == before
    # A run may be older than a setting that it would not read, or has not.
    config = json.loads(Path("runs/a/config.json").read_text())
    for key in ("patience", *TASK.flags.unread("lstm")):
        config["settings"].pop(key, None)
    Path("runs/a/config.json").write_text(json.dumps(config))
    record = json.loads(before)
    record["run"] = configurations.identity(config)
    Path("runs/a/result.json").write_text(json.dumps(record))
    assert few(*flags, "--resume") == 0


def test_what_belongs_to_another_run_is_told(few, capsys, monkeypatch):
    for name in "ab":
        flags = [*TINY, "--model", "lstm", "--seed", str(ord(name))]
        assert few(*flags, "--name", name) == 0
    capsys.readouterr()
    record = Path("runs/b/result.json").read_bytes()
    shutil.copy("runs/a/result.json", "runs/b/result.json")
    assert few(*flags, "--name", "b", "--resume") == 1
    assert "runs/b/result.json: belongs to another run" in one_line(capsys)
    with pytest.raises(results.ResultError, match="belongs to another run"):
        reading.load(["runs/b"])
    Path("runs/b/result.json").write_bytes(record)
    reading.load(["runs/b"])
    shutil.copy("runs/a/test_scores.npz", "runs/b/test_scores.npz")
    with pytest.raises(results.ResultError, match="the scores of result.json"):
        reading.load(["runs/b"])


def test_a_system_without_locks(few, capsys, monkeypatch):
    for name in ("fcntl", "msvcrt"):
        monkeypatch.setattr(locks, name, None)
    warnings = ["--verbosity", "warning"]
    assert few(*TINY, "--model", "lstm", "--name", "a", *warnings) == 0
    assert "this system has no locks" in one_line(capsys, begin="")


def test_going_on_with_other_flags_is_refused(few, capsys):
    flags = [*TINY, "--model", "lstm", "--name", "a"]
    assert few(*flags) == 0
    capsys.readouterr()
    changed = ["--resume", "--rnn_size", "9", "--dropout", "0.5"]
    assert few(*flags, *changed) == 2
    assert (
        "differing: --rnn_size 8, now 9; --dropout 0.0, now 0.5."
        in one_line(capsys)
    )
    free = ["--print_every", "7", "--checkpoint_every", "3"]
    assert few(*flags, "--resume", *free) == 0


def test_a_run_that_is_at_work_is_refused(few, capsys):
    flags = [*TINY, "--model", "lstm", "--name", "a"]
    assert few(*flags) == 0
    capsys.readouterr()
    with open("runs/a/lock", "a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert few(*flags, "--resume") == 2
    assert f"in use by another process ({os.getpid()})" in one_line(capsys)


def test_going_on_with_a_run_that_is_not_there(small, capsys, tmp_path):
    assert small(*TINY, "--name", "a", "--resume") == 2
    assert "runs/a: no such run to go on with" in one_line(capsys)
    assert not (tmp_path / "runs").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_events_for_tensorboard(few, tmp_path):
    pytest.importorskip("tensorboard")
    flags = [*TINY, "--model", "lstm", "--name", "a", "--tensorboard"]
    assert few(*flags) == 0
    (events,) = (tmp_path / "runs" / "a" / "events").glob("events.out*")
    assert b"valid_perplexity" in events.read_bytes()


@pytest.mark.parametrize(
    ("flags", "package"),
    [
        ("--tensorboard", "tensorboard"),
        ("--load_model runs/a --figure a.png", "matplotlib"),
    ],
)
def test_a_package_that_is_missing_is_named(
    flags, package, here, capsys, monkeypatch, tmp_path
):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == package else find_spec(name, *rest),
    )
    assert here("--no-download", *flags.split()) == 2
    message = one_line(capsys)
    assert f"needs the package {package}: " in message
    assert not any(tmp_path.iterdir())


KILLED = """
import os, signal, sys
from dsl.system import startup
startup.import_keras()
import small_runs as tests
from language_modeling import RL_train
from dsl import datasets
from dsl.training.streams import StreamTrainer

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

datasets.language_model_corpus = lambda *_, **__: tests.corpus()
moment, *arguments = sys.argv[1:]
if moment == "write":
    replace = os.replace
    os.replace = lambda source, target: (
        die() if "last" in str(target) else replace(source, target)
    )
else:
    train, steps = StreamTrainer.train_on_batch, [0]
    def train_on_batch(*batch):
        steps[0] += 1
        return die() if steps[0] == int(moment) else train(*batch)
    StreamTrainer.train_on_batch = train_on_batch
with tests.uncompiled():
    RL_train.main(RL_train.parse_args(arguments))
"""


def test_a_killed_run_goes_on_to_the_same_bits(few, tmp_path):
    """By `kill -9` within a step, then while a checkpoint is written."""
    path = [str(ROOT), str(ROOT / "tests/support"), *sys.path]
    for moment, start in (("5", []), ("write", ["--resume"])):
        arguments = [*DYNAMIC, "--name", "killed", *start]
        done = subprocess.run(
            [sys.executable, "-c", KILLED, moment, *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == -9, done.stderr
        last = RunFolder("runs/killed").describe_last()
        assert "epoch 1, step 4, is kept" in last
    assert len(list(tmp_path.rglob("*.tmp"))) == 1
    assert few(*DYNAMIC, "--name", "killed", "--resume") == 0
    assert not list(tmp_path.rglob("*.tmp"))
    assert outcome("killed") == unbroken(few)


@pytest.mark.parametrize("tested", ["as validated", "as trained"])
def test_the_best_weights_are_measured_and_not_the_last(
    tested, here, monkeypatch
):
    """The longer it trains on other words, the worse it knows this one.

    What it would be tested on has no part in that, be the last epoch the best
    there.
    """
    held_out, usual = np.full(100, 11, "int32"), corpus(words=11)
    test = held_out if tested == "as validated" else usual.train[:100]
    text = dataclasses.replace(usual, valid=held_out, test=test)
    monkeypatch.setattr(
        datasets, "language_model_corpus", lambda *_, **__: text
    )
    flags = "--max_epochs 3 --max_steps 90 --model lstm --name a".split()
    flags += ["--num_unroll_steps", "20"]
    assert here(*TINY, *flags) == 0
    record = results.load("runs/a")
    first, _, last = (epoch["valid_perplexity"] for epoch in record["epochs"])
    assert record["valid"] == {"perplexity": first, "epoch": 1}
    assert last > 1.1 * first
    assert record["last_weights_sha256"] != record["weights_sha256"]
    perplexity = record["test"]["perplexity"]
    if tested == "as validated":
        assert perplexity == pytest.approx(first)
    else:
        assert perplexity < 0.1 * first


def build(flags):
    args = TASK.parse([*TINY, *flags.split()])
    model = building.build_model(args, 12)
    return model, building.build_trainer(args, model)


def test_flags_reach_the_model():
    model, _ = build(
        "--rnn_layers 3 --dropout 0.25 --lamda 0.75 --n_actions 4 "
        "--forget_bias 0.5 --policy_units 6 --observation mean "
        "--empty_slots zeros --previous_bias 2 --estimator straight_through "
        "--temperature 0.5"
    )
    assert model.dropout == 0.25
    *plain, top = model.recurrent_layers
    assert [layer.units for layer in model.recurrent_layers] == [8, 8, 8]
    assert len(plain) == 2
    for layer in model.recurrent_layers:
        assert (layer.forget_bias, layer.unit_forget_bias) == (0.5, False)
    assert (top.skip_weight, top.num_actions, top.policy_units) == (0.75, 4, 6)
    assert (top.observation, top.empty_slots) == ("mean", "zeros")
    assert (top.estimator, top.temperature) == ("straight_through", 0.5)
    bias = np.array(top.cell.policy_output_bias)
    np.testing.assert_allclose(bias - bias[1], [2.0, 0.0, 0.0, 0.0])


def test_mixed_precision_leaves_loss_and_agent_in_float32():
    flags = "--rnn_layers 1 --empty_slots previous"
    wide, of_wide = build(flags)
    model, trainer = build(f"{flags} --mixed_precision bfloat16")
    assert keras.config.dtype_policy().name == "float32"
    for one, other in zip(model.weights, wide.weights, strict=True):
        assert one.dtype == "float32" and one.path == other.path
        np.testing.assert_array_equal(one, other)
    (top,) = model.recurrent_layers
    for layer in (model, model.embedding, top, top.cell):
        assert layer.compute_dtype == "bfloat16"
    assert of_wide.compute_dtype == trainer.compute_dtype == "float32"
    x = np.arange(18, dtype="int32").reshape(3, 6) % 12
    outputs = trainer(x, training=True)
    dtype = keras.backend.standardize_dtype
    assert dtype(outputs["logits"].dtype) == "bfloat16"
    assert dtype(outputs["policy"]["log_prob"].dtype) == "float32"
    # What the agent sees is rounded, and what it computes is not.
    agent = {w.name: np.array(w) for w in top.cell.weights}
    observed = np.array(keras.ops.cast(outputs["observed"], "float32"))
    hidden = np.tanh(observed @ agent["policy_kernel"] + agent["policy_bias"])
    logits = hidden @ agent["policy_output_kernel"]
    p = np.exp(logits + agent["policy_output_bias"])
    p /= p.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(
        outputs["policy"]["entropy"], -(p * np.log(p)).sum(-1), atol=1e-5
    )
    loss = trainer.compute_loss(None, x, outputs)
    right = of_wide.compute_loss(None, x, of_wide(x, training=True))
    assert dtype(loss.dtype) == "float32"
    np.testing.assert_allclose(loss, right, rtol=0.02)


def test_mixed_precision_goes_on_to_the_same_bits(tmp_path):
    text = np.arange(90, dtype="int32").reshape(3, 30) ** 2 % 12
    batches = [(text[:, n : n + 6], text[:, n + 1 : n + 7]) for n in (0, 6, 12)]
    flags = "--mixed_precision bfloat16 --rnn_layers 1 --dropout 0.3"
    args = TASK.parse([*TINY, *flags.split()])
    config = {"settings": TASK.of_run(args), "data_sha256": {}}
    run = RunFolder.create(tmp_path, "name", config)
    ended = []
    for first in (0, 2):
        model, trainer = build(flags)
        trainer.run_eagerly = True
        if first:
            run.load_last(trainer)
        for n in range(first, 3):
            if n == 2:
                run.save_last(trainer, {})
            trainer.train_on_batch(*batches[n])
        score = measuring.evaluate(args, model, text.ravel())
        ended.append([*map(np.array, trainer.variables), score["nll"]])
    run.close()
    assert np.isfinite(ended[0][-1]).all()
    for one, other in zip(*ended, strict=True):
        np.testing.assert_array_equal(one, other)


def test_flags_reach_the_learning_signal():
    _, trainer = build(
        "--rollouts 3 --reward probability --discount 0.75 "
        "--baseline batch_mean --policy_weight 0.5 --entropy_weight 0.125 "
        "--final_entropy_weight 0.0625 --entropy_steps 9 "
        "--sequence_entropy_weight 0.375 --no-keep_buffer"
    )
    signal = trainer.signal
    assert (signal.num_rollouts, signal.reward) == (3, "probability")
    assert (signal.discount, signal.baseline) == (0.75, "batch_mean")
    assert (signal.policy_weight, signal.entropy_weight) == (0.5, 0.125)
    assert signal.final_entropy_weight == 0.0625
    assert signal.entropy_steps == 9
    assert signal.sequence_entropy_weight == 0.375
    assert trainer.batch_size == 3 and trainer.carried.num_kept == 4


def test_flags_reach_the_optimizer():
    _, trainer = build("--learning_rate 0.5 --agent_learning_rate 0.25")
    optimizer = trainer.optimizer
    assert float(optimizer.learning_rate) == 0.5
    assert isinstance(optimizer.optimizer, keras.optimizers.SGD)
    assert isinstance(optimizer.policy_optimizer, keras.optimizers.Adam)
    assert float(optimizer.policy_optimizer.learning_rate) == 0.25
    assert (optimizer.max_norm, optimizer.policy_max_norm) == (5.0, None)
    _, shared = build("--agent_optimizer shared --max_grad_norm 2")
    assert shared.optimizer.policy_optimizer is None
    assert shared.optimizer.max_norm == 2.0


def test_flags_reach_the_trainer():
    _, trainer = build("--policy_start 7 --seed 5")
    assert (trainer.policy_start, trainer.look_back_shares) == (7, None)
    _, trainer = build("--policy random --n_actions 3")
    assert trainer.look_back_shares == [1.0, 1.0, 1.0]
    assert trainer.signal is None and trainer.num_rollouts == 1
    _, trainer = build(
        "--policy random --n_actions 3 --look_back_shares 2,1 --policy_start 3"
    )
    assert trainer.look_back_shares == [2.0, 1.0, 0.0]
    _, trainer = build("--policy frozen")
    assert (trainer.look_back_shares, trainer.signal) == (None, None)
    _, trainer = build("--random_share 0.25 --look_back_shares 2,1")
    assert trainer.look_back_shares == [2.0, 1.0, 0.0, 0.0, 0.0]
    assert trainer.random_share == 0.25 and trainer.signal is not None
    _, trainer = build("--rollouts 3")
    assert (trainer.num_rollouts, trainer.task_rollouts) == (3, 3)
    _, trainer = build("--rollouts 3 --task_rollouts 2")
    assert (trainer.num_rollouts, trainer.task_rollouts) == (3, 2)
    _, trainer = build("--n_actions 1 --policy_start 7 --rollouts 2")
    assert (trainer.policy_start, trainer.num_rollouts) == (0, 1)
    assert trainer.task_rollouts == 1


def test_seeds_of_the_parts_share_nothing():
    """Neither within a model nor with that of the next seed."""
    seen = []
    for seed in (7, 8):
        model, trainer = build(f"--seed {seed} --dropout 0.5")
        weights = {id(variable) for variable in trainer.weights}
        seen += [
            tuple(np.array(v))
            for v in trainer.variables
            if "seed" in v.path and id(v) not in weights
        ]
    assert len(seen) > 8
    assert len(set(seen)) == len(seen)


CHOICES = [
    "--model lstm",
    "--model fixed_skip --skip 2 --no-keep_buffer",
    "--model attention --lamda 0.5 --eval_protocol batched",
    "--model attention --n_actions 1 --rnn_layers 1",
    "--n_actions 1",
    "--estimator straight_through --baseline leave_one_out --rollouts 2",
    "--baseline none --final_entropy_weight 0 --entropy_steps 5",
    "--baseline running_mean --reward probability --observation mean",
    "--baseline batch_mean --reward correct --empty_slots zeros",
    "--baseline value --agent_optimizer shared --random_share 0.5",
    "--empty_slots previous --rnn_layers 1",
    "--no-keep_buffer --sequence_entropy_weight 1",
    "--eval_protocol batched --eval_actions sampled",
    "--preset published --rnn_size 8 --policy_units 5",
    "--policy random",
    "--policy random --look_back_shares 0,1 --eval_actions sampled",
    "--policy frozen --n_actions 3",
    "--policy_start 1 --estimator straight_through",
    f"{CHARACTERS} --model lstm",
    f"{CHARACTERS} --model attention",
    f"{CHARACTERS} --highway_layers 0 --max_word_length 5",
    "--mixed_precision bfloat16",
    "--mixed_precision bfloat16 --estimator straight_through",
]


@pytest.mark.parametrize("flags", CHOICES)
def test_every_choice_trains(flags, tmp_path):
    args = TASK.parse([*TINY, "--dropout", "0.2", *flags.split()])
    text = corpus()
    model = building.build_model(args, len(text.vocabulary), text.vocabulary)
    trainer = building.build_trainer(args, model)
    trainer.run_eagerly = True
    before = {v.path: np.array(v) for v in trainer.trainable_variables}
    config = {"settings": TASK.of_run(args)}
    run = RunFolder.create(tmp_path, "name", config)
    (done,) = small_models.fit(
        trainer, text.train, run, args.num_unroll_steps, max_steps=2
    )
    run.close()
    assert done["steps"] == 2 and 1.0 < done["perplexity"] < 24.0
    learns = kinds.learns(args)
    for variable in trainer.trainable_variables:
        changed = np.any(np.array(variable) != before[variable.path])
        assert changed == (learns or "policy" not in variable.path)
    agent = [path for path in before if "policy" in path]
    assert bool(agent) == kinds.chooses(args)
    if "eval" not in flags and "buffer" not in flags:
        return
    valid = measuring.evaluate(args, model, text.valid, args.eval_actions)
    assert np.all(np.isfinite(valid["nll"]))
    batched = args.eval_protocol == "batched"
    assert valid["nll"].size == (90 if batched else 99)
