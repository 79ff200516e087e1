"""Flags: what is declared, and what follows from it in every task."""

import argparse
import contextlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from copy_task.task import TASK as COPIES
from dsl.experiment import flags, kinds, saved
from dsl.experiment.command_line import count
from dsl.experiment.flags import Flags, Group, flag
from language_modeling.task import TASK as LANGUAGE
from number_prediction.task import TASK as NUMBERS

pytestmark = pytest.mark.backend

ROOT = Path(__file__).resolve().parents[2]
TASKS = (LANGUAGE, NUMBERS)
PROGRAMS = {
    "RL_train.py": LANGUAGE,
    "train_RL10_1.py": NUMBERS,
    "train_RL20_1.py": NUMBERS,
    "train.py": COPIES,
}
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda x: x.name)
# What else a flag needs, or excludes.
NEEDED = {
    "baseline": ["--rollouts=2"],
    "rollouts": ["--baseline=none"],
    "look_back_shares": ["--policy=random"],
    "final_entropy_weight": ["--entropy_steps=5"],
    "entropy_steps": ["--final_entropy_weight=0"],
}


# A program of a moment.


class Letters(Group):
    """Letters that
    are read."""

    model = flag("a", choices=("a", "b"))
    """Which."""
    size = flag(3, count, "N", of=("b",))
    """Of what is
    read, 50% of it."""
    where = flag("here", role=flags.WHERE)
    """RNN folder (default: anywhere)."""
    load_model = flag(role=flags.CALL)
    """Which run."""
    rounds = flag(1, count, grows=True)
    """Rounds."""
    both = flag(True, action=flags.BOTH, free=True)
    """Either."""

    @staticmethod
    def rules(args):
        return ((args.size > 9, "argument --size: must be small."),)


SMALL = Flags((Letters,), lambda given: {"size": 5} if "both" in given else {})


def test_what_follows_from_a_declaration():
    assert list(SMALL.all) == [
        *("model", "size", "where", "load_model", "rounds", "both")
    ]
    assert SMALL.names(flags.WHERE, flags.CALL) == {"where", "load_model"}
    assert SMALL.free == {"where", "both"}
    assert SMALL.growing == ["rounds"]
    assert (SMALL.unread("a"), SMALL.unread("b")) == ({"size"}, set())
    assert [text for _, text in flags.helps(Letters)] == [
        "which",
        "of what is read, 50% of it",
        "RNN folder (default: anywhere)",
        "which run",
        "rounds",
        "either",
    ]


def test_what_is_given_goes_before_defaults():
    parser = SMALL.make_parser(prog="small.py")
    args = SMALL.parse(parser, ["--no-both"])
    assert (args.size, args.both, args.given) == (5, False, {"both"})
    args = SMALL.parse(parser, ["--both", "--model=b", "--size", "7"])
    assert (args.size, args.given) == (7, {"both", "size", "model"})
    assert SMALL.parse(parser, []).size == 3
    with pytest.raises(KeyError, match="other"):
        Flags((Letters,), lambda given: {"other": 1}).resolve({})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model=b", "--size=10"], "error: argument --size: must be small."),
        (["--size=1"], "reads it (b). Received: --model a"),
        (["--size=0"], "--size: must be an integer at least 1"),
    ],
)
def test_a_broken_rule_is_one_line(words, message, capsys):
    for source, origin in ((None, "error"), ("a/config.json", "a/config.json")):
        parser = SMALL.make_parser(source, prog="small.py")
        with pytest.raises(SystemExit) as stop:
            SMALL.parse(parser, words)
        assert stop.value.code == 2
        error = capsys.readouterr().err
        assert error.startswith(f"small.py: {origin}: ")
        assert message.removeprefix("error: ") in error
        assert error.count("\n") == 1


def shown(words, capsys, flags=SMALL):
    """The help, each flag on one line."""
    with pytest.raises(SystemExit) as stop:
        flags.make_parser(prog="small.py").parse_args([*words, "--help"])
    assert stop.value.code == 0
    return " ".join(capsys.readouterr().out.split())


def test_the_help_shows_the_defaults_that_hold(capsys):
    text = shown([], capsys)
    assert "Letters that are read: --model" in text
    assert "--size N of what is read, 50% of it (default: 3)" in text
    assert "RNN folder (default: anywhere) --load_model" in text
    assert "which run --rounds" in text  # None is no default to tell.
    assert "(default: 5)" in shown(["--no-both"], capsys)
    assert "(default: 4)" in shown(["--size", "4"], capsys)


def test_the_help_of_a_task_shows_its_presets(capsys):
    assert "LSTM units (default: 650)" in shown([], capsys, LANGUAGE.flags)
    small = shown(["--preset", "small"], capsys, LANGUAGE.flags)
    assert "LSTM units (default: 200)" in small
    paper = shown(["--recipe", "paper"], capsys, NUMBERS.flags)
    assert "epochs (published code: 200) (default: 20)" in paper


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_help_does_without_docstrings(task):
    """As `python -OO` has it: it comes from the source."""
    texts = [
        subprocess.run(
            [sys.executable, *options, str(ROOT / task.program), "--help"],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
            env={**os.environ, "COLUMNS": "80"},
        ).stdout
        for options in ([], ["-OO"])
    ]
    assert texts[0] == texts[1]
    whole = " ".join(texts[0].split())
    for group in task.flags.groups:
        assert f"{flags.heading(group)}: --" in whole
        for one, text in flags.helps(group):
            assert text and f"--{one.name} " in whole
            # argparse breaks words at their hyphens.
            assert text.replace(" ", "") in whole.replace(" ", "")


# The flags of both tasks.


def values_of(one):
    """Values of a flag, of all that it takes."""
    if one.action is not None:
        return [True, False]
    if one.choices is not None:
        return [list(one.choices)] if one.nargs else list(one.choices)
    known = {
        "kernels": [[3], [1, 2, 3]],
        "kernel_features": [[5], [25, 50]],
        "look_back_shares": [[1.0], [0.625, 0.375, 1e-5]],
        "seeds": [[0], [3, 1, 2]],
        "figure": ["x.png"],
        "name": ["a run", "-a"],
    }
    if one.name in known:
        return known[one.name]
    default = [] if one.default is None else [one.default]
    for text in ("2", "3", "0.25", "1e-07", "0.8333333333333334", "-a b"):
        with contextlib.suppress(argparse.ArgumentTypeError):
            default.append(one.type(text))
    return default


@every_task
def test_what_is_typed_of_a_value_gives_it_again(task, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parser = task.flags.make_parser()
    for name, one in task.flags.all.items():
        values = values_of(one)
        assert values, name
        for value in values:
            words = one.typed(value)
            found = vars(parser.parse_args(words))
            # The one way to say no to what is only said yes to.
            silent = value is False and one.action == "store_true"
            assert found == ({} if silent else {name: value})
            assert bool(words) != silent
        assert one.typed(None) == []


def test_a_value_of_another_kind_is_no_silence():
    """As an edited file may hold it: the parser has to refuse it."""
    small = SMALL.all
    for value in (True, False):
        assert small["model"].typed(value) == [f"--model={value}"]
        assert small["size"].typed(value) == [f"--size={value}"]
    assert small["both"].typed("yes") == ["--both=yes"]


@every_task
def test_every_flag_has_a_role_a_help_and_models_that_there_are(task):
    roles = {
        *(flags.SETTING, flags.WHERE, flags.DATA, flags.SEED),
        *(flags.MEASURING, flags.CALL, flags.SHOWING),
    }
    assert {one.role for one in task.flags.all.values()} == roles
    for one in task.flags.all.values():
        assert {*one.of} <= {*kinds.MODELS}
    assert len(task.flags.growing) == 1
    texts = [text for x in task.flags.groups for _, text in flags.helps(x)]
    assert len(texts) == len(task.flags.all) and all(texts)


def test_the_roles_of_the_shared_flags():
    for task in TASKS:
        roles = {
            role: task.flags.names(role)
            for role in (flags.WHERE, flags.CALL, flags.SEED, flags.MEASURING)
        }
        assert roles[flags.WHERE] >= {
            *("train_dir", "name", "data_dir", "checkpoint_every"),
            *("tensorboard", "print_every"),
        }
        assert roles[flags.CALL] == {
            *("resume", "load_model", "seeds", "verbosity")
        }
        assert "seed" in roles[flags.SEED]
        assert roles[flags.MEASURING] >= {"jit", "eval_samples"}
        assert "split" in task.flags.names(flags.SHOWING)
        # No setting of a run is one of the call.
        kept = task.of_run(task.parse([]))
        passing = roles[flags.CALL] | task.flags.names(flags.SHOWING)
        assert set(kept) == set(task.flags.all) - passing


@every_task
def test_the_agents_flags_are_read_by_the_dynamic_skip_alone(task):
    agent = {
        one.name
        for group in task.flags.groups
        if "agent" in flags.heading(group) and "cell" not in group.__doc__
        for one in group.flags
    }
    assert {"estimator", "policy"} <= agent
    for model in kinds.MODELS[:3]:
        assert agent <= task.flags.unread(model)
    assert task.flags.unread("dynamic_skip") == {"skip"}


@every_task
def test_of_another_model_nothing_is_known(task):
    for model in (None, "gru", ["lstm"], {}):
        assert task.flags.unread(model) == set()
    assert task.effective({"lamda": 1.0}) == {"lamda": 1.0}
    other = {"model": "gru", "lamda": 1.0}
    assert task.effective(other) == other
    found = {"model": "lstm", "lamda": 1.0, "rnn_size": 3}
    assert task.effective(found) == {"model": "lstm", "rnn_size": 3}


@pytest.mark.parametrize(
    ("task", "name"),
    [
        (task, name)
        for task in TASKS
        for name, one in task.flags.all.items()
        if one.of
    ],
    ids=lambda x: getattr(x, "name", x),
)
@pytest.mark.parametrize("model", kinds.MODELS)
def test_a_flag_that_the_model_does_not_read_is_refused(
    task, model, name, capsys
):
    """Its default too; where it is read, it passes."""
    one = task.flags.all[name]
    value = task.flags.resolve({"model": model})[name]
    given = [f"--{name}={1 if value is None else value}"]
    if one.action is flags.BOTH:
        given = [f"--no-{name}"]
    elif one.action is not None:
        given = [f"--{name}"]
    elif one.choices is not None and value is None:
        given = [f"--{name}={one.choices[0]}"]
    if model in one.of:
        task.parse([f"--model={model}", *given, *NEEDED.get(name, [])])
        return
    with pytest.raises(SystemExit) as stop:
        task.parse([f"--model={model}", *given])
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert f"argument --{name}: must go with a model that" in message
    assert f"Received: --model {model} (see" in message


def test_what_a_preset_or_recipe_sets_is_no_flag_given():
    for model in kinds.MODELS:
        args = LANGUAGE.parse(["--preset=published", f"--model={model}"])
        assert args.observation == "mean"
        assert args.given == {"preset", "model"}
        args = NUMBERS.parse(["--recipe=published_code", f"--model={model}"])
        assert args.reward == "correct"


def test_the_flags_of_an_inspection_are_held_to_the_run_itself():
    args = LANGUAGE.parse("--load_model a --skip 3 --jit".split())
    loaded = LANGUAGE.parse(["--model", "fixed_skip"])
    assert saved.contradictions(LANGUAGE, loaded, args) == ["--skip 5, now 3"]
    args = LANGUAGE.parse("--load_model a --skip 5 --jit".split())
    assert saved.contradictions(LANGUAGE, loaded, args) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--resume", "--resume: needs --name, the run to go on with."),
        ("--resume --name a --load_model b", "--load_model trains nothing"),
        ("--seeds 1 2 --load_model b", "--seeds: trains runs, and --load_mod"),
        ("--seeds 1 2 1", "must be different seeds. Received: 1 2 1"),
        ("--seeds 1 2 --seed 3", "--seeds: takes the place of --seed"),
        ("--seeds", "--seeds: expected at least one argument"),
        ("--seeds 1 -1", "must be an integer at least 0"),
        ("--seeds 1 x", "--seeds: must be an integer at least 0"),
        ("--split test", "--split: needs --load_model, the run to show."),
        ("--verbosity loud", "--verbosity: invalid choice: 'loud'"),
        ("--patience 0", "--patience: must be an integer at least 1"),
    ],
)
@every_task
def test_flags_of_every_task_that_exclude_each_other(
    task, words, message, capsys
):
    with pytest.raises(SystemExit) as stop:
        task.parse(words.split())
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert error.startswith(os.path.basename(task.program))


def commands_of_results():
    for path in sorted((ROOT / "results").glob("*/*/*/result.json")):
        yield json.loads(path.read_text())["command"]


def test_the_commands_of_kept_runs_are_still_understood():
    commands = list(commands_of_results())
    assert len(commands) >= 4
    for command in commands:
        _, script, *arguments = shlex.split(command)
        PROGRAMS[Path(script).name].parse(arguments)
