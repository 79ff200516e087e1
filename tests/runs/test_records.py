"""Records of runs: read, checked and written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from run_folders import make_record, make_run

from dsl.runs import results

pytestmark = pytest.mark.backend


def write(folder, text):
    folder.mkdir(exist_ok=True)
    (folder / "result.json").write_text(text, encoding="utf-8")
    return folder


def test_save_then_load_gives_the_record_and_its_folder(tmp_path):
    record = make_record()
    results.save(record, tmp_path / "result.json")
    loaded = results.load(tmp_path)
    assert loaded == {**record, "run_folder": str(tmp_path)}
    assert os.listdir(tmp_path) == ["result.json"]


def test_load_reads_a_record_file_of_any_name(tmp_path):
    path = tmp_path / "ptb-seed1.json"
    results.save(make_record(), path)
    assert results.load(str(path))["run_folder"] == str(path)


def test_save_writes_numpy_scalars_as_numbers(tmp_path):
    record = make_record(steps=np.int64(7), seconds=np.float32(1.5))
    results.save(record, tmp_path / "result.json")
    loaded = results.load(tmp_path)
    assert (loaded["steps"], loaded["seconds"]) == (7, 1.5)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), np.float32("nan"), {1}, np.ones(2)]
)
def test_save_refuses_what_json_cannot_hold(tmp_path, value):
    path = tmp_path / "result.json"
    results.save(make_record(), path)
    before = path.read_bytes()
    with pytest.raises(results.ResultError, match="result.json: cannot be wri"):
        results.save(make_record(test={"perplexity": value}), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["result.json"]


def test_a_failing_save_keeps_the_old_file_and_leaves_no_other(
    tmp_path, monkeypatch
):
    path = tmp_path / "result.json"
    results.save(make_record(steps=1), path)

    def disk_full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match="No space left"):
        results.save(make_record(steps=2), path)
    assert results.load(tmp_path)["steps"] == 1
    assert os.listdir(tmp_path) == ["result.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON: Expecting value at line 1"),
        ('{"task": "x",\n', "not valid JSON: .* at line 2"),
        ("[1]", "holds no JSON object"),
        ("{}", "`task` is missing"),
        (json.dumps(make_record(test=3)), "`test` must be an object.*: 3"),
        (json.dumps(make_record(steps=True)), "`steps` must be an integer"),
        (json.dumps(make_record(steps=1.5)), "`steps` must be an integer"),
        (json.dumps(make_record(seconds="9")), "`seconds` must be a number"),
        (json.dumps(make_record(model=None)), "`model` must be a string"),
        (json.dumps(make_record(published=1)), "`published` must be an obj"),
        (json.dumps(make_record(epochs={})), "`epochs` must be an array"),
    ],
)
def test_load_names_the_file_and_the_fault(tmp_path, text, message):
    folder = write(tmp_path / "run", text)
    with pytest.raises(results.ResultError, match=message) as caught:
        results.load(folder)
    assert str(caught.value).startswith(f"{folder / 'result.json'}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "key",
    [
        *("task", "model", "corpus", "settings", "command", "parameters"),
        *("seconds", "steps", "valid", "test"),
    ],
)
def test_load_wants_each_required_key(tmp_path, key):
    record = make_record()
    del record[key]
    folder = write(tmp_path / "run", json.dumps(record))
    with pytest.raises(results.ResultError, match=f"`{key}` is missing"):
        results.load(folder)


def test_load_of_a_run_that_has_not_ended(tmp_path):
    with pytest.raises(results.ResultError, match="no such file; a run writes"):
        results.load(tmp_path)


def test_load_of_something_that_is_no_text(tmp_path):
    (tmp_path / "result.json").write_bytes(b"\xff\xfe")
    with pytest.raises(results.ResultError, match="not UTF-8 text"):
        results.load(tmp_path)
    (tmp_path / "folder" / "result.json").mkdir(parents=True)
    with pytest.raises(results.ResultError, match="cannot be read: Is a dir"):
        results.load(tmp_path / "folder")


def test_a_run_is_finished_once_its_record_has_all(tmp_path):
    running = make_run(tmp_path / "running", finished=False)
    assert not results.is_finished(running)
    run = make_run(tmp_path / "run")
    assert results.is_finished(run)
    record, config = results.load(run), results.load_config(run)
    record["settings"] = {"max_epochs": 2}
    config["settings"]["max_epochs"] = 3
    assert results.is_complete(record, config)
    config["growing"] = ["max_epochs", "max_steps"]
    assert not results.is_complete(record, config)
    config["settings"]["max_epochs"] = 2
    assert results.is_complete(record, config)


def test_import_needs_the_standard_library_only():
    code = "import sys, dsl.runs.results; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not {"keras", "tensorflow", "jax", "numpy"} & set(modules)
