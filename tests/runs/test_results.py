import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from run_folders import cells, make_record, make_run, make_text, write_scores
from small_files import endless

from dsl.experiment import tables
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


def test_metrics_and_scores_come_back(tmp_path):
    nll, _, sentence = make_text()
    run = make_run(tmp_path / "a", scores=(nll, sentence))
    epochs = results.load_metrics(run)
    assert [entry["valid_perplexity"] for entry in epochs] == [200.0, 100.0]
    scores = results.load_scores(run)
    assert list(scores) == ["nll", "look_back", "sentence"]
    np.testing.assert_array_equal(scores["nll"], nll)
    np.testing.assert_array_equal(scores["sentence"], sentence)
    assert scores["look_back"].sum() == len(nll)
    assert results.load_config(run)["settings"]["seed"] == 1


def test_no_metrics_before_the_first_epoch(tmp_path):
    assert results.load_metrics(make_run(tmp_path / "a", epochs=0)) == []
    with pytest.raises(results.ResultError, match="metrics.jsonl: no such fi"):
        results.load_metrics(tmp_path / "b")


@pytest.mark.parametrize("length", [1, 10, 40, -2])
def test_a_last_line_cut_short_does_not_count(tmp_path, length):
    path = make_run(tmp_path / "a", epochs=3) / "metrics.jsonl"
    *lines, last = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines) + last[:length])
    assert len(results.load_metrics(path.parent)) == 2
    path.write_text("".join(lines) + last[:-1])
    assert len(results.load_metrics(path.parent)) == 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"epoch": 2', "line 2: not valid JSON: Expecting ',' delimiter."),
        ("", "line 2: not valid JSON: Expecting value."),
        ("[2]", "line 2: holds no JSON object."),
        ("{}", "line 2: `epoch` must be an integer above 1. Received: None"),
        ('{"epoch": 1}', "`epoch` must be an integer above 1. Received: 1"),
        ('{"epoch": true}', "`epoch` must be an integer above 1. Rec.*True"),
        (
            '{"epoch": 2, "seconds": -1}',
            "line 2: `seconds` must be a finite number .* 0. Received: -1",
        ),
        (
            '{"epoch": 2, "valid_perplexity": NaN}',
            "`valid_perplexity` must be a finite .* Received: nan",
        ),
        (
            '{"epoch": 2, "train_perplexity": null}',
            "`train_perplexity` must be a finite .* Received: None",
        ),
    ],
)
def test_a_broken_line_is_named(tmp_path, line, message):
    path = make_run(tmp_path / "a", epochs=1) / "metrics.jsonl"
    path.write_text(path.read_text() + line + '\n{"epoch": 3}\n')
    with pytest.raises(results.ResultError, match=message) as caught:
        results.load_metrics(path.parent)
    assert str(caught.value).startswith(f"{path}: line 2: ")


@pytest.mark.parametrize("file", ["metrics.jsonl", "test_scores.npz"])
def test_a_file_larger_than_any_run_leaves_is_not_read(
    tmp_path, monkeypatch, file
):
    nll, _, sentence = make_text(9)
    run = make_run(tmp_path / "a", scores=(nll, sentence))
    monkeypatch.setattr(results, "_LARGEST_TEXT", 50)
    monkeypatch.setattr(results, "_LARGEST_SCORES", 50)
    read = results.load_metrics if "jsonl" in file else results.load_scores
    with pytest.raises(results.ResultError, match=f"{file}: must hold at most"):
        read(run)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nll": np.array([1.0, None])}, "damaged, or not the arrays nll, loo"),
        (
            {"nll": np.array([1, 2])},
            "`nll` must be a finite float .*: int64 of",
        ),
        ({"nll": np.ones((2, 1))}, r"`nll` .* Received: float64 of shape \(2"),
        ({"nll": np.ones(0)}, r"`nll` .* Received: float64 of shape \(0,\)"),
        ({"nll": np.array([1.0, np.nan])}, "`nll` .* Received: nan"),
        ({"look_back": np.ones(3, int)}, "one length. Received: 2, 3, 2"),
        ({"look_back": np.ones(2)}, "`look_back` .* Received: float64 of"),
        ({"nll": np.array([1.0, 1e308])}, "`nll` .* Received: 1e\\+308"),
        ({"nll": np.ones(2, "longdouble")}, "`nll` .* Received: float128"),
        ({"look_back": np.array([-1, 0])}, "`look_back` .* Received: -1"),
        ({"look_back": np.array([0, 2**31])}, "Received: 2147483648$"),
        ({"sentence": np.array([-1, 0])}, "`sentence` .* Received: -1"),
        ({"sentence": np.array([5, 3])}, "`sentence` .* Received: 3 after 5"),
    ],
)
def test_wrong_scores_are_named(tmp_path, changes, message):
    write_scores(tmp_path, np.ones(2), np.arange(2), changes)
    with pytest.raises(results.ResultError, match=message) as caught:
        results.load_scores(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'test_scores.npz'}: ")
    assert "\n" not in str(caught.value)


def test_scores_of_another_kind_are_refused(tmp_path):
    path = tmp_path / "test_scores.npz"
    with pytest.raises(results.ResultError, match="no such file; a run writes"):
        results.load_scores(tmp_path)
    np.savez(path, nll=np.ones(2))
    with pytest.raises(results.ResultError, match="not the arrays nll"):
        results.load_scores(tmp_path)
    with open(path, "wb") as file:
        np.save(file, np.ones(2))
    with pytest.raises(results.ResultError, match="damaged"):
        results.load_scores(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(results.ResultError, match="cannot be read: Is a dir"):
        results.load_scores(tmp_path)


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_scores_that_are_packed_in_another_way(tmp_path, kind):
    write_scores(tmp_path, np.ones(2), np.arange(2))
    path = tmp_path / "test_scores.npz"
    with zipfile.ZipFile(path) as old:
        members = [(name, old.read(name)) for name in old.namelist()]
    with zipfile.ZipFile(path, "w", kind) as new:
        for member in members:
            new.writestr(*member)
    with pytest.raises(results.ResultError, match="packed in another way"):
        results.load_scores(tmp_path)


def test_bytes_before_the_scores(tmp_path):
    write_scores(tmp_path, np.ones(2), np.arange(2))
    path = tmp_path / "test_scores.npz"
    path.write_bytes(b"more" + path.read_bytes())
    with pytest.raises(results.ResultError, match="belong to no member"):
        results.load_scores(tmp_path)


@pytest.mark.parametrize(
    ("file", "read"),
    [
        (results.FILE_NAME, results.load),
        (results.CONFIG_NAME, results.load_config),
        (results.METRICS_NAME, results.load_metrics),
        (results.SCORES_NAME, results.load_scores),
    ],
)
@pytest.mark.parametrize("make", [os.mkfifo, endless])
def test_what_is_no_file_is_neither_waited_for_nor_read(
    tmp_path, file, read, make
):
    make(tmp_path / file)
    with pytest.raises(results.ResultError) as caught:
        read(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / file}: cannot be read: not a regular file."
    )


class Bomb:
    """Tells whoever unpickles it."""

    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


def test_pickled_scores_are_never_loaded(tmp_path):
    nll = np.empty(2, object)
    nll[:] = [Bomb(), Bomb()]
    write_scores(tmp_path, nll, np.arange(2))
    with pytest.raises(results.ResultError, match="damaged"):
        results.load_scores(tmp_path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damaged_scores_give_one_clear_line(tmp_path, save):
    path = tmp_path / "test_scores.npz"
    ones = np.ones(9, int)
    save(path, nll=np.linspace(0, 1, 9), look_back=ones, sentence=ones)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for length in (0, 1, 30, 200, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(results.ResultError, match="damaged"):
            results.load_scores(tmp_path)
    refused = 0
    for place in rng.integers(len(whole), size=400):
        changed = bytearray(whole)
        changed[place] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        try:
            scores = results.load_scores(tmp_path)
        except results.ResultError as error:
            refused += 1
            assert str(error).startswith(f"{path}: ")
            assert "\n" not in str(error)
        else:
            np.testing.assert_array_equal(scores["nll"], np.linspace(0, 1, 9))
    assert refused > 200


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
    code = "import sys, dsl.runs.results; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not {"keras", "tensorflow", "jax", "numpy"} & set(modules)
