import json
import os
import subprocess
import sys

import numpy as np
import pytest
from run_folders import cells, make_record

from dsl import results, tables

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


def test_table_aligns_words_left_and_numbers_right():
    columns = [
        ("name", lambda record: record["name"]),
        ("n", lambda record: record["n"]),
    ]
    records = [{"name": "a", "n": "1,000"}, {"name": "longer", "n": "-"}]
    assert tables.table(records, columns).splitlines() == [
        "| name   |     n |",
        "| ------ | ----: |",
        "| a      | 1,000 |",
        "| longer |     - |",
    ]


def test_comparison_shows_measured_beside_published():
    settings = {"skip": 3, "lamda": 0.5, "n_actions": 7}
    published = make_record(
        model="fixed_skip", settings=settings, run_folder="runs/a"
    )
    true = make_record(
        model="lstm",
        corpus="generated",
        test={"perplexity": 9.5},
        published={"test_perplexity": None, "source": "none"},
        true_perplexity={"valid": 7.0, "test": 7.126},
        run_folder="runs/b",
    )
    heading, *rows = cells(tables.comparison([published, true]))
    assert heading == [
        "model",
        "corpus",
        "parameters",
        "test perplexity",
        "sampled mean ± sd",
        "to compare",
        "seconds",
        "run folder",
    ]
    assert rows == [
        [
            "fixed_skip (3, λ=0.5)",
            "ptb",
            "19,780,401",
            "115.13",
            "116.50 ± 0.13",
            "114.5 published",
            "62",
            "runs/a",
        ],
        [
            "lstm",
            "generated",
            "19,780,401",
            "9.50",
            "-",
            "7.13 true",
            "62",
            "runs/b",
        ],
    ]


def test_comparison_refuses_a_figure_that_is_no_number():
    record = make_record(test={"perplexity": "low"}, run_folder="runs/a")
    with pytest.raises(
        results.ResultError, match="runs/a: `test.perplexity` .*: 'low'"
    ):
        tables.comparison([record])


def test_sources_are_named_once_and_only_where_there_is_a_figure():
    none = make_record(published={"test_perplexity": None, "source": "other"})
    records = [make_record(), make_record(), none, make_record(published=None)]
    assert tables.sources(records) == ["A paper, table 2"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"estimator": "reinforce"}, "reinforce"),
        ({"estimator": "straight_through"}, "straight-through"),
        (
            {"policy": "learned", "estimator": "reinforce", "rollouts": 1},
            "reinforce",
        ),
        (
            {"policy": "learned", "estimator": "reinforce", "rollouts": 4},
            "reinforce, 4 rollouts",
        ),
        (
            {"estimator": "reinforce", "rollouts": 4, "task_rollouts": 1},
            "reinforce, 4 rollouts, words from 1",
        ),
        (
            {"estimator": "reinforce", "rollouts": 4, "task_rollouts": 4},
            "reinforce, 4 rollouts",
        ),
        (
            {"policy": "frozen", "estimator": "reinforce", "rollouts": None},
            "frozen policy",
        ),
        (
            {"policy": "random", "estimator": "reinforce"},
            "random distances, shares uniform",
        ),
        (
            {"policy": "random", "look_back_shares": None},
            "random distances, shares uniform",
        ),
        (
            {"policy": "random", "look_back_shares": [1.0, 0.25]},
            "random distances, shares 1.0 0.25",
        ),
        (
            {"estimator": "reinforce", "random_share": 0.5},
            "reinforce, random at 0.5 of the steps",
        ),
        # Shares of another policy say nothing.
        (
            {"policy": "frozen", "look_back_shares": [1.0], "rollouts": 2},
            "frozen policy, 2 rollouts",
        ),
    ],
)
def test_a_model_in_words(settings, words):
    settings = {"n_actions": 5, "lamda": 0.5, **settings}
    record = make_record(settings=settings)
    assert tables.model_in_words(record) == (
        f"dynamic_skip (K=5, λ=0.5, {words})"
    )
    record = make_record(model="lstm", settings=settings)
    assert tables.model_in_words(record) == "lstm"
    heading, row = cells(tables.comparison([make_record()]))
    assert (heading[0], row[0]) == (
        "model",
        "dynamic_skip (K=None, λ=1.0, None)",
    )


def test_a_column_that_no_row_fills_is_left_out():
    columns = [
        ("a", lambda row: row[0]),
        ("b", lambda row: row[1]),
        ("c", lambda row: "-"),
    ]
    found = tables.filled(["--", "-x"], columns)
    assert [heading for heading, _ in found] == ["b"]


def test_import_needs_the_standard_library_only():
    code = "import sys, dsl.results; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code],
        cwd=os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not {"keras", "tensorflow", "jax", "numpy"} & set(modules)
