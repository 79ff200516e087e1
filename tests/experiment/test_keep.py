"""What is kept of a run serves a comparison as the run itself does."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from run_folders import make_number_run, make_run, make_text, write_scores

from dsl.runs import results

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import keep

from dsl.experiment.comparing import intervals, overview, reading

pytestmark = pytest.mark.backend

COMMAND = (
    "python language_modeling/RL_train.py --train_dir '/some where' --name a "
    "--preset small --data_dir=/x --look_back_shares 1 --no-download --seed 2"
)


def run(*arguments):
    return keep.main(keep.make_parser().parse_args(list(map(str, arguments))))


def make_runs(folder):
    nll_a, nll_b, sentence = make_text()
    record = {"command": COMMAND}
    options = {"record": record, "train_dir": "/some where", "epochs": 3}
    first = make_run(folder / "a", scores=(nll_a, sentence), **options)
    second = make_run(folder / "b", scores=(nll_b, sentence), **options)
    return first, second


def test_intervals_and_tables_stay_the_same(tmp_path, capsys):
    runs = make_runs(tmp_path)
    copies = [tmp_path / "kept" / one.name for one in runs]
    for one, copy in zip(runs, copies, strict=True):
        assert run(one, copy) == 0
    assert capsys.readouterr() == ("", "")
    before, after = reading.load(runs), reading.load(copies)
    assert overview.overview(after) == overview.overview(before)
    assert intervals.intervals(after, 300, 0.9) == intervals.intervals(
        before, 300, 0.9
    )
    scores = after[0]["scores"]
    assert len(np.unique(scores["nll"])) == 400  # one value a sentence
    np.testing.assert_allclose(
        scores["nll"].mean(), before[0]["scores"]["nll"].mean(), rtol=1e-12
    )


def test_nothing_of_the_machine_is_kept(tmp_path):
    first, _ = make_runs(tmp_path)
    copy = tmp_path / "kept/x"
    assert run(first, copy) == 0
    assert sorted(path.name for path in copy.iterdir()) == [
        "config.json",
        "metrics.jsonl",
        "result.json",
        "test_scores.npz",
    ]
    text = "".join(path.read_text() for path in copy.glob("*.json"))
    assert "some where" not in text
    assert results.load_config(copy)["settings"] == {"seed": 1}
    assert results.load(copy)["command"] == (
        "python language_modeling/RL_train.py --preset small "
        "--look_back_shares 1 --seed 2"
    )
    record = json.loads((copy / "result.json").read_text())
    assert "run_folder" not in record


def test_a_run_of_number_prediction_is_kept_without_scores(tmp_path, capsys):
    settings = {
        "data_dir": "/some where",
        "train_dir": "/some where",
        "produce": True,
        "data_seed": 2,
        "seed": 2,
        "model": "lstm",
    }
    one = make_number_run(tmp_path / "a", settings, (0.9, 0.8))
    copy = tmp_path / "kept/x"
    assert run(one, copy) == 0
    assert sorted(path.name for path in copy.iterdir()) == [
        "config.json",
        "metrics.jsonl",
        "result.json",
    ]
    text = "".join(path.read_text() for path in copy.iterdir())
    assert "some where" not in text
    record = results.load(copy)
    # Which examples were drawn belongs to a run, not where they lie.
    assert record["settings"] == {"data_seed": 2, "seed": 2, "model": "lstm"}
    assert record["command"].endswith("train_RL10_1.py --produce --seed 2")
    overviews = [overview.overview(reading.load([x])) for x in (one, copy)]
    assert (
        overviews[1].splitlines()[2].split("|")[2:]
        == (overviews[0].splitlines()[2].split("|")[2:])
    )


@pytest.mark.parametrize(
    ("finished", "scores", "message"),
    [
        (False, True, "result.json: no such file"),
        (True, False, "test_scores.npz: no such file"),
    ],
)
def test_an_unfinished_run_is_refused(
    tmp_path, capsys, finished, scores, message
):
    nll, _, sentence = make_text()
    scores = (nll, sentence) if scores else None
    one = make_run(tmp_path / "a", scores=scores, finished=finished)
    assert run(one, tmp_path / "kept") == 1
    error = capsys.readouterr().err
    assert error.startswith("keep.py: ") and message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "kept").exists()


def test_a_copy_that_cannot_be_made(tmp_path, capsys):
    first, _ = make_runs(tmp_path)
    (tmp_path / "file").touch()
    before = sorted(tmp_path.iterdir())
    for name, reason in (
        ("file/x", "Not a directory"),
        ("n" * 300, "too long"),
    ):
        assert run(first, tmp_path / name) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"keep.py: {tmp_path / name}: must be a folder")
        assert reason in error and error.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_copy_is_not_written_over(tmp_path, capsys):
    first, _ = make_runs(tmp_path)
    assert run(first, tmp_path / "kept") == 0
    assert run(first, tmp_path / "kept") == 1
    assert capsys.readouterr().err == (
        f"keep.py: {tmp_path}/kept: exists already.\n"
    )


def test_a_copy_is_on_the_disk_before_it_counts(tmp_path, monkeypatch):
    first, _ = make_runs(tmp_path)
    synced, names = [], []
    fsync, rename = os.fsync, os.rename

    def note(handle):
        synced.append(os.fstat(handle).st_ino)
        return fsync(handle)

    def renamed(source, target):
        names.extend(Path(source).iterdir())
        assert {path.stat().st_ino for path in names} <= {
            *synced,
            (Path(source) / "lock").stat().st_ino,
        }
        synced.clear()
        return rename(source, target)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(os, "rename", renamed)
    assert run(first, tmp_path / "kept" / "x") == 0
    assert len(names) == 5
    assert synced == [(tmp_path / "kept").stat().st_ino]


def test_what_a_kill_left_of_a_copy_goes_with_the_next(tmp_path):
    first, _ = make_runs(tmp_path)
    left = tmp_path / "kept" / ".x.0123456789abcdef.new"
    left.mkdir(parents=True)
    (left / "lock").write_text("4711\n")
    for name in ("config.json", ".metrics.jsonl.1.tmp"):
        (left / name).touch()
    assert run(first, tmp_path / "kept" / "y") == 0
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["y"]


def test_a_copy_belongs_to_itself(tmp_path, capsys):
    """Its record and scores are told from those of another copy."""
    copies = [tmp_path / "kept" / name for name in "ab"]
    for one, copy in zip(make_runs(tmp_path), copies, strict=True):
        (copy.parent).mkdir(exist_ok=True)
        config = results.load_config(one)
        config["settings"]["rnn_size"] = len(copy.name) + (copy.name == "b")
        results.save(config, one / "config.json")
        assert run(one, copy) == 0
    reading.load(copies)
    for name, says in (
        ("test_scores.npz", "must be the scores of result.json"),
        ("result.json", "belongs to another run"),
    ):
        whole = (copies[1] / name).read_bytes()
        shutil.copy(copies[0] / name, copies[1] / name)
        with pytest.raises(results.ResultError, match=says):
            reading.load(copies)
        (copies[1] / name).write_bytes(whole)
    # As keep finds them, too.
    shutil.copy(copies[0] / "test_scores.npz", copies[1] / "test_scores.npz")
    assert run(copies[1], tmp_path / "again") == 1
    assert "must be the scores of result.json" in capsys.readouterr().err


def test_a_run_that_goes_on_beyond_its_result_is_refused(tmp_path, capsys):
    """As earlier code left one that was stopped on its way."""
    settings = {"epoch": 2, "model": "lstm", "seed": 1}
    one = make_number_run(tmp_path / "a", settings, (0.9, 0.8))
    config = {**results.load_config(one), "growing": ["epoch"]}
    results.save(config, one / "config.json")
    assert results.is_finished(one)
    assert reading.load([one])[0]["record"] is not None
    config["settings"]["epoch"] = 3
    results.save(config, one / "config.json")
    assert run(one, tmp_path / "kept") == 1
    assert "goes on beyond its result.json" in capsys.readouterr().err
    assert not (tmp_path / "kept").exists()
    write_scores(one, *make_text()[1:])
    (found,) = reading.load([one])
    assert (found["record"], found["scores"]) == (None, None)


def test_the_seeds_of_a_command_are_kept(tmp_path):
    """Without them the command would train another one."""
    nll, _, sentence = make_text()
    command = "python language_modeling/RL_train.py --name a --seeds 1 2"
    source = make_run(
        tmp_path / "a", scores=(nll, sentence), record={"command": command}
    )
    assert run(source, tmp_path / "copy") == 0
    found = results.load(tmp_path / "copy")["command"]
    assert found == "python language_modeling/RL_train.py --seeds 1 2"
