"""Run folders: made, locked, gone on with, read."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import small_models
from one_run import CONFIG, DATA, SETTINGS, one_line, resume
from small_files import disk_full_after

from dsl.runs import results
from dsl.runs.folder import RunError, RunFolder


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
    model = small_models.trainer(small_models.build())
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


def test_scores_are_known_by_their_hash(folder):
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
