"""Run folders: made, locked, gone on with, read."""

import json
import os
import subprocess
import sys

import cases
import keras
import numpy as np
import pytest
import small_models
from small_files import disk_full_after

import dsl
from dsl.policy.signal import PolicySignal
from dsl.runs import results
from dsl.runs.folder import DivergedError, RunError, RunFolder
from dsl.training.optimizers import GroupedOptimizer

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
    made = RunFolder.create(tmp_path / "runs", "a run", CONFIG)
    yield made
    made.close()


def resume(folder, config=CONFIG, free=()):
    folder.close()
    train_dir, name = folder.path.parent, folder.path.name
    return RunFolder.resume(train_dir, name, config, free)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_folder_holds_its_configuration(folder, tmp_path):
    assert folder.path == tmp_path / "runs" / "a run"
    config = json.loads((folder.path / "config.json").read_text())
    assert config == CONFIG
    again = RunFolder(str(folder.path))
    assert again.settings(["seed", "lamda"]) == SETTINGS
    again.check_data(DATA)
    newer = ["seed", "lamda", "skip"]
    assert again.settings(newer, optional=("skip", "seed")) == SETTINGS
    with pytest.raises(RunError, match="differing: skip."):
        again.settings(newer, optional=("seed",))
    assert again.config() == CONFIG
    assert folder.best.parent.is_dir() and not folder.best.exists()
    assert names(folder.path) == ["checkpoints", "config.json", "lock"]
    assert names(tmp_path / "runs") == ["a run"]


@pytest.mark.parametrize("value", [float("nan"), {1}, CONFIG.keys()])
def test_a_configuration_without_json_form_makes_no_folder(value, tmp_path):
    config = {"settings": {"a": value}}
    with pytest.raises(results.ResultError, match="cannot be written"):
        RunFolder.create(tmp_path / "runs", "name", config)
    assert not any(tmp_path.iterdir())


def test_a_full_disk_makes_no_folder(tmp_path):
    with disk_full_after(10), pytest.raises(RunError) as error:
        RunFolder.create(tmp_path / "a" / "b", "name", CONFIG)
    assert "cannot be made: File too large." in one_line(error)
    assert not any(tmp_path.iterdir())


ENTRIES = [
    {"epoch": 1, "valid_perplexity": 2.5, "shares": [0.25, 0.75]},
    {"epoch": 2, "valid_perplexity": 2.0, "shares": [0.5, 0.5], "late": 1e-9},
]


def test_metrics_are_one_line_an_entry(folder):
    for count in (1, 2, 1):
        folder.write_metrics(ENTRIES[:count])
        lines = (folder.path / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == ENTRIES[:count]
        assert results.load_metrics(folder.path) == ENTRIES[:count]


def test_metrics_for_a_spreadsheet_have_one_column_an_element(folder):
    folder.write_metrics(ENTRIES)
    path = folder.path / "metrics.csv"
    assert path.read_text() == (
        "epoch,valid_perplexity,shares_1,shares_2,late\n"
        "1,2.5,0.25,0.75,\n"
        "2,2.0,0.5,0.5,1e-09\n"
    )
    folder.write_metrics(ENTRIES[:1])
    assert path.read_text() == (
        "epoch,valid_perplexity,shares_1,shares_2\n1,2.5,0.25,0.75\n"
    )
    folder.write_metrics([])
    assert (folder.path / "metrics.jsonl").read_text() == ""


def test_a_folder_that_exists_is_refused_and_left_alone(folder):
    (folder.path / "result.json").write_text("old")
    with pytest.raises(RunError) as error:
        RunFolder.create(folder.path.parent, folder.path.name, {"seed": 8})
    assert one_line(error) == (
        f"{folder.path}: exists already; a run needs a new folder, and "
        "--resume goes on with an old one."
    )
    assert folder.settings(SETTINGS) == SETTINGS
    assert (folder.path / "result.json").read_text() == "old"


def test_an_empty_folder_is_refused_too(tmp_path):
    (tmp_path / "name").mkdir()
    with pytest.raises(RunError, match="exists already"):
        RunFolder.create(tmp_path, "name", {})
    assert not any((tmp_path / "name").iterdir())


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/a", "a/", "a\nb", "a\x1b[2J", "\0"]
)
@pytest.mark.parametrize("method", ["create", "resume"])
def test_a_name_that_is_no_folder_name(method, name, tmp_path):
    with pytest.raises(RunError) as error:
        getattr(RunFolder, method)(tmp_path, name, CONFIG)
    assert one_line(error).endswith(
        f"must be a plain folder name. Received: {name!r}"
    )
    assert not any(tmp_path.iterdir())


def test_a_parent_that_cannot_hold_folders(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError) as error:
        RunFolder.create(tmp_path / "file", "name", {})
    assert one_line(error) == (
        f"{tmp_path / 'file' / 'name'}: cannot be made: Not a directory."
    )


def test_a_name_too_long_for_the_disk(tmp_path):
    with pytest.raises(RunError, match="cannot be made: File name too"):
        RunFolder.create(tmp_path, "n" * 300, {})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "no such file; every run folder has one."),
        (
            b"{",
            "not valid JSON: Expecting property name enclosed in double "
            "quotes at line 1.",
        ),
        (b"\xff", "cannot be read: not UTF-8 text."),
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
    with pytest.raises(RunError) as error:
        folder.settings(["seed", "lamda"])
    assert one_line(error) == f"{path}: {reason}"


def test_an_older_run_may_lack_what_came_later(folder):
    known = [*SETTINGS, "later", "needed"]
    with pytest.raises(RunError, match="differing: needed.$"):
        folder.settings(known, optional=["later"])
    found = folder.settings(known, optional=["later", "needed"])
    assert found == SETTINGS
    # What a program does not know is no older run's.
    with pytest.raises(RunError, match="differing: lamda.$"):
        folder.settings(["seed"], optional=["lamda"])


def test_a_run_on_other_data_is_refused(folder):
    for data in ({}, {**DATA, "test": "3d"}):
        with pytest.raises(RunError) as error:
            folder.check_data(data)
        assert "the data that it was trained on" in one_line(error)
    assert "test 2e" in one_line(error) and "test 3d" in one_line(error)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_metrics_are_finite(value, folder):
    folder.write_metrics(ENTRIES)
    with pytest.raises(ValueError, match="JSON"):
        folder.write_metrics([{"valid_perplexity": value}])
    assert results.load_metrics(folder.path) == ENTRIES


# Going on.


def test_a_run_goes_on_with_its_settings(folder):
    again = resume(folder)
    assert (again.path, again.config()) == (folder.path, CONFIG)
    again.close()


def test_a_run_that_is_not_there(tmp_path):
    with pytest.raises(RunError, match="no such run to go on with"):
        RunFolder.resume(tmp_path, "name", CONFIG)
    assert not any(tmp_path.iterdir())


def test_every_setting_that_differs_is_named_with_both_values(folder):
    settings = {"seed": 8, "lamda": 0.5, "new": [1.0]}
    config = {**CONFIG, "settings": settings, "backend": "jax"}
    with pytest.raises(RunError) as error:
        resume(folder, config)
    assert one_line(error).endswith(
        "differing: --seed 7, now 8; --lamda None, now 0.5; "
        "--new unknown, now [1.0]; (backend) None, now 'jax'."
    )
    with pytest.raises(RunError) as error:
        resume(folder, {**CONFIG, "settings": {"lamda": None}})
    assert "differing: --seed 7, now unknown." in one_line(error)
    assert not folder.last.exists()


def test_a_setting_of_later_code_may_be_left_out(folder):
    assert SETTINGS["lamda"] is None
    for settings in ({"seed": 7}, {**SETTINGS, "new": None}):
        resume(folder, {**CONFIG, "settings": settings}).close()


def test_settings_that_change_no_number_may_differ(folder):
    config = {**CONFIG, "settings": {**SETTINGS, "lamda": 0.5}}
    resume(folder, config, free=("lamda",)).close()
    config["settings"]["seed"] = 8
    with pytest.raises(RunError) as error:
        resume(folder, config, free=("lamda",))
    assert "differing: --seed 7, now 8." in one_line(error)


def test_a_number_that_may_grow_is_kept_when_it_has_grown(tmp_path):
    growing = {**CONFIG, "growing": ["seed"]}
    folder = RunFolder.create(tmp_path, "name", growing)
    model = trainer()
    folder.save_last(model, {})

    def grow(**changed):
        again = resume(folder, {**growing, "settings": {**SETTINGS, **changed}})
        # Until it really goes on, it may be refused.
        assert folder.config()["settings"]["seed"] < changed["seed"]
        assert again.config()["settings"] == {**SETTINGS, **changed}
        again.begin()
        again.close()
        return again

    # What it left belongs to it still.
    assert grow(seed=9).load_last(model) == {}
    assert folder.config()["settings"] == {**SETTINGS, "seed": 9}
    for seed in (8, None, 9.5, "10", True):
        with pytest.raises(RunError, match="differing: --seed 9, now"):
            grow(seed=seed)
    with pytest.raises(RunError, match="differing: --lamda None, now 1"):
        grow(seed=10, lamda=1)
    assert folder.config()["settings"] == {**SETTINGS, "seed": 9}


def test_settings_are_compared_as_json_has_them(tmp_path):
    config = {**CONFIG, "settings": {"shares": (0.5, 1.0)}}
    folder = RunFolder.create(tmp_path, "name", config)
    resume(folder, config).close()


def test_a_run_does_not_go_on_with_other_data(folder):
    with pytest.raises(RunError) as error:
        resume(folder, {**CONFIG, "data_sha256": {**DATA, "test": "3d"}})
    message = one_line(error)
    assert "test 2e" in message and "test 3d" in message


def test_what_a_killed_process_left_is_removed(folder):
    half = folder.last.with_name(".last.npz.123.tmp")
    half.touch()
    again = resume(folder)
    assert not half.exists()
    again.close()


def test_what_others_left_is_not_removed(folder):
    others = [
        folder.path / ".x.tmp",
        folder.path / ".notes.1.tmp",
        folder.path / "checkpoints" / ".mine.0123456789abcdef.tmp",
        folder.path / "mine" / ".last.npz.1.tmp",
    ]
    others[-1].parent.mkdir()
    for path in others:
        path.touch()
    resume(folder).close()
    assert all(path.exists() for path in others)


@pytest.mark.parametrize("part", ["checkpoints", "events", "lock"])
def test_nothing_is_changed_through_a_link(part, folder, tmp_path):
    folder.close()
    target = tmp_path / "target"
    target.mkdir()
    (target / ".last.npz.1.tmp").write_text("mine")
    if part == "lock":
        target = target / ".last.npz.1.tmp"
    path = folder.path / part
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.symlink_to(target)
    with pytest.raises(RunError) as error:
        resume(folder)
    message = one_line(error)
    assert message.startswith(f"{path}: must b") and "is a link." in message
    assert (tmp_path / "target" / ".last.npz.1.tmp").read_text() == "mine"
    path.unlink()
    if part == "checkpoints":
        path.mkdir()
    resume(folder).close()


def test_what_a_kill_left_of_a_folder_goes_at_the_next_start(folder):
    train_dir = folder.path.parent

    def leave():
        left = train_dir / ".killed.0123456789abcdef.new"
        (left / "checkpoints").mkdir(parents=True)
        (left / "config.json").touch()
        (left / "lock").write_text("4711\n")

    leave()
    RunFolder.create(train_dir, "next", CONFIG).close()
    assert names(train_dir) == ["a run", "next"]
    leave()
    resume(folder).close()
    assert names(train_dir) == ["a run", "next"]


def test_what_was_measured_before_gets_another_name(folder):
    def leave(text):
        for name in ("result.json", "test_scores.npz"):
            (folder.path / name).write_text(text)

    def found(number):
        return [
            (folder.path / f"{stem}-{number}.{end}").read_text()
            for stem, end in (("result", "json"), ("test_scores", "npz"))
        ]

    folder.begin()
    assert names(folder.path) == ["checkpoints", "config.json", "lock"]
    for number, text in enumerate("abc", 1):
        leave(text)
        folder.begin()
        assert found(number) == [text, text]
    (folder.path / "result-4.json").write_text("mine")
    leave("d")
    folder.begin()
    assert found(5) == ["d", "d"]
    assert (folder.path / "result-4.json").read_text() == "mine"
    assert not (folder.path / "result.json").exists()
    # Scores alone are of a run that was killed at its end.
    (folder.path / "test_scores.npz").touch()
    folder.begin()
    assert (folder.path / "test_scores.npz").exists()


def test_a_folder_is_for_one_process_at_a_time(folder):
    with pytest.raises(RunError) as error:
        RunFolder.resume(folder.path.parent, folder.path.name, CONFIG)
    assert one_line(error) == (
        f"{folder.path}: in use by another process ({os.getpid()})."
    )
    # Reading it is not working on it.
    assert RunFolder(folder.path).config() == CONFIG
    resume(folder).close()
    resume(folder).close()


HOLDER = """
import sys, time
from dsl.runs.folder import RunFolder
made = RunFolder.create(sys.argv[1], "name", {"settings": {}})
print("made", flush=True)
time.sleep(60)
"""


def test_the_lock_ends_with_a_killed_process(tmp_path):
    config = {"settings": {}, "data_sha256": None}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout.readline() == b"made\n"
        with pytest.raises(RunError, match=rf"\({process.pid}\)"):
            RunFolder.resume(tmp_path, "name", config)
        process.kill()
    RunFolder.resume(tmp_path, "name", config).close()


# Checkpoints. What can be wrong with the files is in test_checkpoints.py.


def trainer(**options):
    model = small_models.build(dropout=0.3)
    optimizer = GroupedOptimizer(
        keras.optimizers.SGD(0.5), keras.optimizers.Adam(0.01)
    )
    signal = PolicySignal(baseline="running_mean")
    return small_models.trainer(model, signal, optimizer, **options)


def everything(trainer):
    return [
        cases.to_numpy(variable)
        for variable in [*trainer.variables, *trainer.optimizer.variables]
    ]


def test_all_that_training_goes_on_from_comes_back(folder):
    first, second = trainer(), trainer()
    assert folder.load_last(first) is None
    assert folder.describe_last() == "no checkpoint was written yet"
    first.train_on_batch(*small_models.batches(1)[0])
    folder.save_last(first, {"epoch": 2, "step": 3})
    assert folder.load_last(second) == {"epoch": 2, "step": 3}
    changed = 0
    pairs = zip(everything(first), everything(second), strict=True)
    for (left, right), fresh in zip(pairs, everything(trainer()), strict=True):
        np.testing.assert_array_equal(left, right)
        changed += not np.array_equal(right, fresh)
    # Weights, moments, states, statistics, random numbers, counters.
    assert changed > 35
    assert folder.describe_last() == (
        "the checkpoint of epoch 2, step 3, is kept; --resume goes on from it"
    )
    folder.save_last(first, {"epoch": 3, "step": 0})
    assert "the checkpoint before epoch 3 is kept" in folder.describe_last()


def test_a_checkpoint_of_another_optimizer_is_refused(folder):
    folder.save_last(trainer(), {})
    shared = small_models.trainer(
        small_models.build(dropout=0.3), PolicySignal(baseline="running_mean")
    )
    with pytest.raises(RunError) as error:
        folder.load_last(shared)
    assert one_line(error).startswith(f"{folder.last}: belongs to another")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_not_saved(value, folder):
    made = trainer()
    folder.save_last(made, {})
    whole = folder.last.read_bytes()
    made.language_model.softmax_bias.assign(np.full(small_models.WORDS, value))
    with pytest.raises(DivergedError, match="softmax_bias"):
        folder.save_last(made, {})
    assert folder.last.read_bytes() == whole


@pytest.mark.parametrize("which", ["best", "last"])
def test_a_checkpoint_of_another_run_is_refused(which, folder, tmp_path):
    made = trainer()
    folder.save_last(made, {})
    folder.save_best(made.language_model, {})
    config = {**CONFIG, "settings": {"seed": 8}}
    other = RunFolder.create(tmp_path, "other", config)
    path = getattr(other, which)
    path.write_bytes(getattr(folder, which).read_bytes())
    before = everything(made)
    with pytest.raises(RunError) as error:
        if which == "last":
            other.load_last(made)
        else:
            other.load_best(made.language_model)
    assert one_line(error).startswith(f"{path}: belongs to another run")
    for left, right in zip(everything(made), before, strict=True):
        np.testing.assert_array_equal(left, right)
    other.close()


def test_a_last_checkpoint_that_does_not_say_where_it_stands(folder):
    made = trainer()
    folder.save_best(made, {})
    folder.best.rename(folder.last)
    with pytest.raises(RunError, match="must hold where the training"):
        folder.load_last(made)


@pytest.mark.parametrize("later", ["checkpoints/best.npz", "metrics.jsonl"])
def test_a_last_checkpoint_that_is_gone(later, folder):
    """What the run has done since is not thrown away in silence."""
    assert folder.load_last(trainer()) is None
    (folder.path / later).touch()
    with pytest.raises(RunError) as error:
        folder.load_last(trainer())
    message = one_line(error)
    assert message.startswith(f"{folder.last}: no such file; ")
    assert later.rpartition("/")[-1] in message


def test_the_task_of_a_run(folder):
    folder.check_task("a task")
    with pytest.raises(RunError, match="of b. Received: one of 'a task'"):
        folder.check_task("b")


def test_a_last_checkpoint_that_is_damaged(folder):
    folder.last.write_bytes(b"PK")
    with pytest.raises(RunError) as error:
        folder.load_last(trainer())
    assert one_line(error).startswith(f"{folder.last}: damaged")
    assert folder.describe_last() == "its last checkpoint cannot be read"


@pytest.mark.backend
def test_best_weights_come_back_bit_for_bit(folder):
    model = small_models.build()
    folder.save_best(model, {"epoch": 3})
    expected = model.get_weights()
    other = small_models.build(small_models.random_weights(seed=1))
    assert folder.load_best(other) == {"epoch": 3}
    for left, right in zip(other.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(left, right)
    # A second, better model replaces the first; nothing else stays behind.
    model.softmax_bias.assign(np.zeros(small_models.WORDS))
    folder.save_best(model, {"epoch": 4})
    assert folder.load_best(other) == {"epoch": 4}
    assert not cases.to_numpy(other.softmax_bias).any()
    assert names(folder.best.parent) == ["best.npz"]


def assert_refused(folder, model):
    with pytest.raises(RunError) as error:
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
    folder.save_best(model, {})
    whole = folder.best.read_bytes()
    folder.best.write_bytes(
        {
            "empty": b"",
            "text": b"no weights\n" * 99,
            "cut": whole[: len(whole) // 2],
            "short": whole[:-1],
        }[damage]
    )
    assert "damaged, or no checkpoint" in assert_refused(folder, model)


def test_another_programs_file(folder):
    np.savez(folder.best, numbers=np.arange(3))
    assert_refused(folder, small_models.build())


@pytest.mark.parametrize(
    "other",
    [dict(num_actions=1), dict(num_actions=4), dict(cls="narrow")],
    ids=["without agent", "more actions", "fewer words"],
)
def test_weights_of_another_model(other, folder, monkeypatch):
    folder.save_best(small_models.build(), {})
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

    folder.save_best(build(2), {})
    assert_refused(folder, build(1))


# Going back, to a lower learning rate. What it trains is in test_training.py.

RATED = {**CONFIG, "settings": {**SETTINGS, "learning_rate": 1.0}}


def lower(folder, rate):
    settings = {**RATED["settings"], "learning_rate": rate}
    return resume(folder, {**RATED, "settings": settings})


def test_a_lower_rate_is_for_a_run_that_diverged(tmp_path):
    folder = RunFolder.create(tmp_path, "name", RATED)
    identity = folder.provenance()
    with pytest.raises(RunError, match="learning_rate 1.0, now 0.5."):
        lower(folder, 0.5)
    folder.note_diverged(epoch=1, steps=7)
    before = folder.config()
    assert before == {**RATED, "diverged": {"epoch": 1, "steps": 7}}
    for rate in (2.0, 0.0, -1.0, "0.5", None, 0, False):
        with pytest.raises(RunError, match="learning_rate 1.0, now"):
            lower(folder, rate)
    assert folder.config() == before
    again = lower(folder, 0.5)
    # It is not written before it really goes on.
    assert folder.config() == before
    again.begin()
    change = {
        "learning_rate": 0.5,
        "before": 1.0,
        "epoch": 1,
        "steps": 0,
        "diverged": {"epoch": 1, "steps": 7},
    }
    settings = {**RATED["settings"], "learning_rate": 0.5}
    assert folder.config() == {
        **RATED,
        "settings": settings,
        "rates": [change],
    }
    # It is the same run still.
    assert again.provenance() == {**identity, "rates": [change]}
    again.close()
    with pytest.raises(RunError, match="learning_rate 0.5, now 0.25."):
        lower(folder, 0.25)
    with pytest.raises(RunError, match="learning_rate 0.5, now 1.0."):
        lower(folder, 1.0)
    folder.note_diverged(epoch=2, steps=9)
    lower(folder, 0.25).begin()
    rates = folder.config()["rates"]
    assert [one["learning_rate"] for one in rates] == [0.5, 0.25]
    assert folder.provenance()["run"] == identity["run"]


def test_a_run_that_got_over_it_has_not_diverged(folder):
    before = folder.config()
    folder.note_sound()
    folder.note_diverged(epoch=1)
    folder.note_sound()
    assert folder.config() == before


def test_scores_are_told_by_their_hash(folder):
    arrays = {
        "nll": np.ones(3),
        "look_back": np.ones(3, int),
        "sentence": np.zeros(3, int),
    }
    record = {"scores_sha256": folder.save_scores(**arrays)}
    results.check_scores(folder.path, record)
    results.check_scores(folder.path, {})
    folder.save_scores(**{**arrays, "nll": np.zeros(3)})
    with pytest.raises(results.ResultError) as error:
        results.check_scores(folder.path, record)
    assert "must be the scores of result.json" in one_line(error)
    results.check_scores(folder.path, {})
