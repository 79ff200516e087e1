"""Run folders and the hash of weights."""

import json
import re

import cases
import h5py
import keras
import numpy as np
import pytest
import small_models
from keras import ops

import dsl
from dsl import runs
from language_modeling import experiment, settings

SETTINGS = {"seed": 7, "lamda": None}
DATA = {"train": "1f", "test": "2e"}
CONFIG = {"settings": SETTINGS, "data_sha256": DATA, "task": "a task"}


def one_line(error):
    """The message, which names nothing but one line."""
    message = str(error.value)
    assert "\n" not in message and len(message) > 20
    return message


@pytest.fixture
def folder(tmp_path):
    return runs.RunFolder.create(tmp_path / "runs", "a run", CONFIG)


def test_a_new_folder_holds_its_configuration(folder, tmp_path):
    assert folder.path == tmp_path / "runs" / "a run"
    config = json.loads((folder.path / "config.json").read_text())
    assert config == CONFIG
    again = runs.RunFolder(str(folder.path))
    assert again.settings(["seed", "lamda"], DATA) == SETTINGS
    assert folder.best.parent.is_dir() and not folder.best.exists()


def test_metrics_are_one_line_an_entry(folder):
    entries = [{"epoch": 1, "valid_perplexity": 2.5}, {"epoch": 2}]
    for entry in entries:
        folder.log_metrics(entry)
    lines = (folder.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == entries


def test_a_folder_that_exists_is_refused_and_left_alone(folder):
    (folder.path / "result.json").write_text("old")
    with pytest.raises(runs.RunError) as error:
        runs.RunFolder.create(folder.path.parent, folder.path.name, {"seed": 8})
    assert one_line(error) == (
        f"{folder.path}: exists already; a run needs a new folder."
    )
    assert folder.settings(SETTINGS, DATA) == SETTINGS
    assert (folder.path / "result.json").read_text() == "old"


def test_an_empty_folder_is_refused_too(tmp_path):
    (tmp_path / "name").mkdir()
    with pytest.raises(runs.RunError, match="exists already"):
        runs.RunFolder.create(tmp_path, "name", {})
    assert not any((tmp_path / "name").iterdir())


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a/"])
def test_a_name_that_is_no_folder_name(name, tmp_path):
    with pytest.raises(runs.RunError) as error:
        runs.RunFolder.create(tmp_path, name, {})
    assert one_line(error).endswith(
        f"must be a plain folder name. Received: {name!r}"
    )
    assert not any(tmp_path.iterdir())


def test_a_parent_that_cannot_hold_folders(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(runs.RunError) as error:
        runs.RunFolder.create(tmp_path / "file", "name", {})
    assert one_line(error) == (
        f"{tmp_path / 'file' / 'name'}: cannot be made: Not a directory."
    )


def test_a_name_too_long_for_the_disk(tmp_path):
    with pytest.raises(runs.RunError, match="cannot be made: File name too"):
        runs.RunFolder.create(tmp_path, "n" * 300, {})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "cannot be read: No such file or directory."),
        (b"{", "cannot be read: not valid JSON."),
        (b"\xff", "cannot be read: not valid JSON."),
        (b"[]", 'holds no "settings".'),
        (b'{"settings": 3}', 'holds no "settings".'),
        (
            b'{"settings": {"seed": 7, "old": 1}}',
            "its settings are not those of this program; "
            "differing: lamda, old.",
        ),
    ],
)
def test_a_configuration_that_cannot_be_read(text, reason, folder):
    path = folder.path / "config.json"
    path.unlink()
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(runs.RunError) as error:
        folder.settings(["seed", "lamda"], DATA)
    assert one_line(error) == f"{path}: {reason}"


def test_a_run_on_other_data_is_refused(folder):
    for data in ({}, {**DATA, "test": "3d"}):
        with pytest.raises(runs.RunError) as error:
            folder.settings(SETTINGS, data)
        assert "another corpus" in one_line(error)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_metrics_are_finite(value, folder):
    with pytest.raises(ValueError, match="JSON"):
        folder.log_metrics({"valid_perplexity": value})


def test_best_weights_come_back_bit_for_bit(folder):
    model = small_models.build()
    folder.save_best(model)
    expected = model.get_weights()
    other = small_models.build(small_models.random_weights(seed=1))
    folder.load_best(other)
    for left, right in zip(other.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(left, right)
    # A second, better model replaces the first; nothing else stays behind.
    model.softmax_bias.assign(ops.zeros_like(model.softmax_bias))
    folder.save_best(model)
    folder.load_best(other)
    assert not cases.to_numpy(other.softmax_bias).any()
    assert [path.name for path in folder.best.parent.iterdir()] == [
        "best.weights.h5"
    ]


def assert_refused(folder, model):
    with pytest.raises(runs.RunError) as error:
        folder.load_best(model)
    message = one_line(error)
    assert message.startswith(f"{folder.best}: ")
    assert not message.endswith(":")
    return message


def test_missing_weights(folder):
    message = assert_refused(folder, small_models.build())
    assert "no such file" in message


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "short"])
def test_damaged_weights(damage, folder):
    model = small_models.build()
    folder.save_best(model)
    whole = folder.best.read_bytes()
    folder.best.write_bytes(
        {
            "empty": b"",
            "text": b"no weights\n" * 99,
            "cut": whole[: len(whole) // 2],
            "short": whole[:-1],
        }[damage]
    )
    assert "not the weights of this model" in assert_refused(folder, model)


def test_another_programs_file(folder):
    with h5py.File(folder.best, "w") as file:
        file["numbers"] = np.arange(3)
    assert_refused(folder, small_models.build())


@pytest.mark.parametrize(
    "other",
    [dict(num_actions=1), dict(num_actions=4), dict(cls="narrow")],
    ids=["without agent", "more actions", "fewer words"],
)
def test_weights_of_another_model(other, folder, monkeypatch):
    folder.save_best(small_models.build())
    if other.pop("cls", None):
        monkeypatch.setattr(small_models, "WORDS", 10)
    assert_refused(folder, small_models.build(**other))


def test_weights_of_a_model_with_more_layers(folder):
    def build(layers):
        layers = [
            dsl.LSTM(4, return_sequences=True, return_state=True)
            for _ in range(layers)
        ]
        model = dsl.LanguageModel(7, layers, embedding_units=4)
        model.build((1, 1))
        return model

    folder.save_best(build(2))
    assert_refused(folder, build(1))


def test_the_hash_of_weights_is_stable_and_sees_every_change(folder):
    model = small_models.build()
    first = runs.weights_sha256(model)
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert runs.weights_sha256(model) == first
    folder.save_best(model)
    seen = {first}
    for variable in model.trainable_variables:
        value = cases.to_numpy(variable)
        changed = value.copy()
        changed.flat[-1] = np.nextafter(changed.flat[-1], np.float32(9.0))
        variable.assign(changed)
        seen.add(runs.weights_sha256(model))
        variable.assign(value)
    assert len(seen) == 1 + len(model.trainable_variables) == 14
    assert runs.weights_sha256(model) == first
    for variable in model.trainable_variables:
        variable.assign(ops.zeros_like(variable))
    folder.load_best(model)
    assert runs.weights_sha256(model) == first


def test_the_hash_sees_names():
    class Model:
        def __init__(self, *variables):
            self.trainable_variables = variables

    class Variable:
        def __init__(self, path, value):
            self.path, self.value = path, np.float32(value)

        def __array__(self, dtype=None, copy=None):
            return self.value

    one, two = Variable("a/kernel", [1.0]), Variable("a/bias", [1.0])
    found = {
        runs.weights_sha256(Model(one, two)),
        runs.weights_sha256(Model(two, one)),
        runs.weights_sha256(Model(one, one)),
        runs.weights_sha256(Model(one)),
    }
    assert len(found) == 4


@pytest.mark.parametrize("model", ["lstm", "dynamic_skip"])
def test_the_hash_does_not_depend_on_other_models(model):
    """Two models of one process that start from one seed."""
    flags = ["--model", model, "--rnn_size", "4", "--seed"]
    first, again, other = (
        experiment.build_model(settings.parse_args([*flags, seed]), 9)
        for seed in ("1", "1", "2")
    )
    assert runs.weights_sha256(first) == runs.weights_sha256(again)
    assert runs.weights_sha256(first) != runs.weights_sha256(other)


def test_versions_are_of_what_is_installed():
    found = runs.versions()
    assert found["keras"] == keras.__version__
    assert found["numpy"] == np.__version__
    assert re.fullmatch(r"3\.\d+\.\d+\S*", found["python"])
    assert set(found) <= {"python", *runs.PACKAGES}


def test_commit_outside_of_a_clone(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert runs.commit(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert runs.commit(tmp_path) is None
