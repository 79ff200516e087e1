"""Which settings a model reads, in every task."""

import json
import shlex
from pathlib import Path

import pytest

from dsl.experiment import kinds
from language_modeling import flags as language_flags
from language_modeling import settings as language
from number_prediction import flags as number_flags
from number_prediction import settings as numbers

pytestmark = pytest.mark.backend

ROOT = Path(__file__).resolve().parents[2]
TASKS = {"RL_train.py": language, "train_RL10_1.py": numbers}
PARSERS = (language_flags.make_parser(), number_flags.make_parser("x", 10))


def test_every_setting_that_not_all_read_is_one_of_a_task():
    known = {action.dest for one in PARSERS for action in one._actions}
    assert set(kinds.READERS) <= known


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.prog)
def test_the_agents_flags_are_read_by_the_dynamic_skip_alone(parser):
    (group,) = (g for g in parser._action_groups if "agent" in g.title)
    agent = {action.dest for action in group._group_actions}
    assert "estimator" in agent
    for model in kinds.MODELS[:3]:
        assert agent <= kinds.unread(model)
    assert kinds.unread("dynamic_skip") == {"skip"}


def test_of_another_model_nothing_is_known():
    for model in (None, "gru", ["lstm"], {}):
        assert kinds.unread(model) == set()
    assert kinds.effective({"lamda": 1.0}) == {"lamda": 1.0}
    saved = {"model": "lstm", "lamda": 1.0, "rnn_size": 3}
    assert kinds.effective(saved) == {"model": "lstm", "rnn_size": 3}


@pytest.mark.parametrize("name", kinds.READERS)
@pytest.mark.parametrize("model", kinds.MODELS)
def test_a_flag_that_the_model_does_not_read_is_refused(model, name, capsys):
    """Its default too; where it is read, it passes."""
    for parser, settings in zip(PARSERS, TASKS.values(), strict=True):
        actions = {action.dest: action for action in parser._actions}
        if name not in actions:
            continue
        value = actions[name].default
        given = [f"--{name}={1 if value is None else value}"]
        if actions[name].nargs == 0:
            given = [f"--no-{name}"]
        needed = {
            "baseline": ["--rollouts=2"],
            "rollouts": ["--baseline=none"],
            "look_back_shares": ["--policy=random"],
            "final_entropy_weight": ["--entropy_steps=5"],
            "entropy_steps": ["--final_entropy_weight=0"],
        }
        if model in kinds.READERS[name]:
            more = needed.get(name, [])
            settings.parse_args([f"--model={model}", *given, *more])
            continue
        with pytest.raises(SystemExit) as stop:
            settings.parse_args([f"--model={model}", *given])
        assert stop.value.code == 2
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        assert f"argument --{name}: must go with a model that" in message
        assert f"Received: --model {model} (see" in message


def test_what_a_preset_or_recipe_sets_is_no_flag_given():
    for model in kinds.MODELS:
        args = language.parse_args(["--preset=published", f"--model={model}"])
        assert args.observation == "mean"
        args = numbers.parse_args(
            ["--recipe=published_code", f"--model={model}"]
        )
        assert args.reward == "correct"


def test_the_flags_of_an_inspection_are_held_to_the_run_itself():
    args = language.parse_args("--load_model a --skip 3 --jit".split())
    loaded = language.parse_args(["--model", "fixed_skip"])
    assert language.contradicted(loaded, args) == ["--skip 5, now 3"]
    args = language.parse_args("--load_model a --skip 5 --jit".split())
    assert language.contradicted(loaded, args) == []


def kept_commands():
    for path in sorted((ROOT / "results").glob("*/*/*/result.json")):
        yield json.loads(path.read_text())["command"]


def test_the_commands_of_kept_runs_are_still_understood():
    commands = list(kept_commands())
    assert len(commands) >= 4
    for command in commands:
        _, script, *arguments = shlex.split(command)
        TASKS[Path(script).name].parse_args(arguments)
