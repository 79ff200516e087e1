"""A table of runs: each once, in order, from wherever it stopped."""

import sys
from pathlib import Path

import pytest
from test_compare import make_run, make_text

from dsl import results

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import reproduce_language_modeling as reproduce

from language_modeling import settings

pytestmark = pytest.mark.backend

SMALL = ["lstm-1", "reinforce-1", "straight_through-1", "random-1"]


@pytest.fixture
def trainings(tmp_path, monkeypatch):
    """Calls of RL_train.py, which leave a finished run or an exit code."""
    calls, codes = [], {}

    def call(command):
        flags = [str(word) for word in command[2:]]
        calls.append(flags)
        assert command[:2] == [sys.executable, str(reproduce.SCRIPT)]
        args = settings.parse_args(flags)
        if code := codes.get(args.name, 0):
            (Path(args.train_dir) / args.name).mkdir(parents=True)
            return code
        nll, _, sentence = make_text(20)
        test = {"perplexity": 5.0, "look_back_histogram": [0.75, 0.2501, 0.0]}
        run = Path(args.train_dir) / args.name
        if run.exists():
            assert args.resume
            run.rmdir()
        make_run(run, scores=(nll, sentence), record={"test": test})
        return 0

    monkeypatch.setattr(reproduce.subprocess, "call", call)
    return calls, codes


def run(tmp_path, *arguments):
    places = ["--train_dir", f"{tmp_path}/runs", "--results", f"{tmp_path}/x"]
    return reproduce.main(reproduce.parse_args([*arguments, *places]))


def names(calls):
    return [flags[flags.index("--name") + 1] for flags in calls]


def test_each_run_is_made_once_and_kept(tmp_path, trainings, capsys):
    calls, _ = trainings
    assert run(tmp_path, "small") == 0
    assert names(calls) == [f"small-{name}" for name in SMALL]
    assert not any("--resume" in flags for flags in calls)
    kept = tmp_path / "x" / "small"
    assert sorted(path.name for path in kept.iterdir()) == sorted(SMALL)
    assert results.load(kept / "lstm-1")["test"]["perplexity"] == 5.0
    # The control has the distances that were learned.
    assert "--look_back_shares 0.750,0.250,0.000" in " ".join(calls[3])
    calls.clear()
    assert run(tmp_path, "small") == 0
    assert calls == []
    assert "lstm-1: kept in " in capsys.readouterr().out


def test_only_what_is_asked_for_is_run(tmp_path, trainings):
    calls, _ = trainings
    assert run(tmp_path, "small", "--only", "straight_through-1") == 0
    assert names(calls) == ["small-straight_through-1"]


def test_a_stopped_run_ends_the_table_and_goes_on_later(tmp_path, trainings):
    calls, codes = trainings
    codes["small-reinforce-1"] = 130
    assert run(tmp_path, "small") == 130
    assert names(calls) == ["small-lstm-1", "small-reinforce-1"]
    codes.clear()
    calls.clear()
    assert run(tmp_path, "small") == 0
    assert names(calls) == [f"small-{name}" for name in SMALL[1:]]
    assert ["--resume" in flags for flags in calls] == [True, False, False]


def test_a_finished_run_is_kept_without_another_training(tmp_path, trainings):
    calls, _ = trainings
    nll, _, sentence = make_text(20)
    make_run(tmp_path / "runs/small-lstm-1", scores=(nll, sentence))
    assert run(tmp_path, "small", "--only", "lstm-1") == 0
    assert calls == []
    assert (tmp_path / "x/small/lstm-1/result.json").exists()


def test_a_control_without_its_learned_run_is_one_line(
    tmp_path, trainings, capsys
):
    assert run(tmp_path, "small", "--only", "random-1") == 1
    error = capsys.readouterr().err
    assert error.startswith("reproduce_language_modeling.py: ")
    assert "reinforce-1/result.json: no such file" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("table", list(reproduce.TABLES))
def test_the_runs_of_a_table_differ_in_seed_and_model_alone(table):
    plan = reproduce.plan(table)
    assert len({name for name, _ in plan}) == len(plan)
    same = set()
    for name, flags in plan:
        flags = [flag.replace("{shares}", "1") for flag in flags]
        args = settings.parse_args(flags)
        assert name.endswith(f"-{args.seed}")
        same.add((args.preset, args.max_epochs, args.constant_epochs))
    assert len(same) == 1


def test_an_unknown_run_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as stop:
        reproduce.parse_args(["small", "--only", "lstm-9"])
    assert stop.value.code == 2
    assert "Received: 'lstm-9'" in capsys.readouterr().err
