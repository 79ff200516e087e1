"""The tables of number prediction: each run once, from wherever it stopped."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import run_folders
from run_folders import cells, make_number_run

from dsl.datasets import numbers as data
from dsl.experiment import jobs, kinds
from dsl.runs import results
from number_prediction import kept, plan, recipes, report, settings

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import reproduce_number_prediction as reproduce

pytestmark = pytest.mark.backend
ROOT = reproduce.ROOT
T51 = ["lstm-1", "dynamic-1-1", "lstm-2", "dynamic-1-2", "lstm-3"]
T51 += ["dynamic-1-3"]


def finish(run, args):
    """A finished run of these settings."""
    return make_number_run(run, settings.of_run(args), (0.9,))


@pytest.fixture
def three_seeds(monkeypatch):
    """T51 with three seeds of each of its two rows."""
    common, rows = plan.TABLES["T51"]
    rows = {name: (flags, (1, 2, 3)) for name, (flags, _) in rows.items()}
    monkeypatch.setitem(plan.TABLES, "T51", (common, rows))


@pytest.fixture
def trainings(monkeypatch, three_seeds):
    """Calls of the program, which leave a finished run or an exit code."""
    calls, codes = [], {}

    def call(command):
        flags = command[2:]
        calls.append(flags)
        assert command[:2] == [sys.executable, str(reproduce.SCRIPT)]
        args = settings.parse_args(flags)
        run = Path(args.train_dir) / args.name
        if code := codes.get(args.name, 0):
            run.mkdir(parents=True)
            return code
        if run.exists():
            assert args.resume
            run.rmdir()
        finish(run, args)
        return 0

    def launch(command, cores, log):
        return run_folders.Ended(call(command))

    monkeypatch.setattr(jobs, "launch", launch)
    return calls, codes


@pytest.fixture
def run(tmp_path):
    """The program, in a folder of its own."""

    def main(*arguments):
        places = ["--train_dir", f"{tmp_path}/runs"]
        places += ["--results", f"{tmp_path}/x", "--data_dir", f"{tmp_path}/d"]
        return reproduce.main(reproduce.parse_args([*arguments, *places]))

    return main


def names(calls):
    return [flags[flags.index("--name") + 1] for flags in calls]


# The plan.


@pytest.mark.parametrize("table", list(plan.TABLES))
def test_the_runs_of_a_table_have_names_and_settings_of_their_own(table):
    runs = plan.runs(table)
    named = [plan.run_name(row, seed) for row, seed, _ in runs]
    # A row and a run are both asked for by --only.
    rows = {row for row, _, _ in runs}
    assert len({*named, *rows}) == len(runs) + len(rows)
    found, tasks = set(), set()
    for _, seed, flags in runs:
        args = settings.parse_args(flags)
        assert (args.seed, args.data_seed, args.produce) == (seed, seed, True)
        found.add(json.dumps(kinds.effective(settings.of_run(args))))
        tasks.add(data.Settings(args.length, args.index_from, args.symbols))
    assert len(found) == len(runs)
    assert len(tasks) == 1


def test_rows_have_seeds_of_their_own(monkeypatch):
    rows = {"a": ("--lamda 1", (1,)), "b": ("--lamda 0.5", (1, 3))}
    monkeypatch.setitem(plan.TABLES, "T51", ("--length 5", rows))
    found = [(row, seed) for row, seed, _ in plan.runs("T51")]
    assert found == [("a", 1), ("b", 1), ("b", 3)]
    assert plan.seeds("T51") == [1, 3]
    assert [row.seeds for row in kept.load("none", "T51")] == [(1,), (1, 3)]
    with pytest.raises(SystemExit):
        reproduce.parse_args(["T51", "--only", "a", "--seeds", "3"])
    args = reproduce.parse_args(["T51", "--seeds", "3"])
    assert reproduce.wanted(args, "b", 3)


def test_what_stands_beside_the_papers_rows_has_one_seed():
    for table in ("T11", "T21"):
        for row in plan.CONTROLS:
            assert plan.TABLES[table][1][row][1] == (1,)
    assert plan.TABLES["T21_start"][1]["dynamic-1-grown"][1] == (1, 2, 3)


def test_every_figure_of_the_paper_has_its_row():
    figures = []
    for table, length in (("T11", 10), ("T21", 20)):
        runs = [(row, seed) for row, seed, _ in plan.runs(table)]
        for row in ("lstm", "attention", "dynamic-1", "dynamic-0.5"):
            args = settings.parse_args(plan.flags(table, row, 1))
            assert args.length == length
            seeds = [seed for name, seed in runs if name == row]
            assert seeds == [1, 2, 3, 4, 5]
            figures.append(settings.published(args))
    wanted = [0.01 * test for _, test in recipes.PUBLISHED.values()]
    assert [one["test_accuracy"] for one in figures] == pytest.approx(wanted)


def test_what_each_model_does_not_read():
    every = set(settings.of_run(settings.parse_args([])))
    for model, read in (
        ("lstm", set()),
        ("attention", {"lamda", "n_actions", "policy_units"}),
        ("fixed_skip", {"lamda", "skip"}),
        ("dynamic_skip", {"lamda", "n_actions", "policy_units", "credit"}),
    ):
        saved = dict.fromkeys(every) | {"model": model}
        found = set(kinds.effective(saved))
        assert found >= read | {"length", "epoch", "rnn_size", "forget_bias"}
        other = {"lamda", "n_actions", "policy_units", "skip", "credit"}
        assert not found & (other - read)


# What is run.


def test_each_run_is_made_once_and_kept(tmp_path, trainings, run, capsys):
    calls, _ = trainings
    assert run("T51") == 0
    assert names(calls) == [f"T51-{name}" for name in T51]
    assert not any("--resume" in flags for flags in calls)
    for flags in calls:
        args = settings.parse_args(flags)
        # All rows of a seed read the same examples, and no other seed does.
        assert args.data_dir == f"{tmp_path}/d/T51/seed-{args.seed}"
        assert args.data_seed == args.seed
    copies = tmp_path / "x" / "T51"
    assert sorted(path.name for path in copies.iterdir()) == sorted(T51)
    text = "".join(path.read_text() for path in copies.glob("*/*"))
    assert str(tmp_path) not in text and "/some where" not in text
    assert results.load(copies / "lstm-2")["settings"]["data_seed"] == 2
    assert results.load(copies / "lstm-2")["command"] == (
        "python number_prediction/train_RL10_1.py --produce --seed 2"
    )
    calls.clear()
    capsys.readouterr()
    assert run("T51") == 0
    assert calls == []
    out = capsys.readouterr().out
    assert "lstm-1: kept in " in out
    text = report.table(kept.load(copies, "T51"))
    assert out.endswith(f"\n\nT51\n\n{text}\n") and "not run" not in text


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--only", "lstm"], ["lstm-1", "lstm-2", "lstm-3"]),
        (["--only", "dynamic-1"], T51[1::2]),
        (["--only", "lstm-3", "dynamic-1-2"], ["dynamic-1-2", "lstm-3"]),
        (["--seeds", "3", "1"], [*T51[:2], *T51[4:]]),
        (["--only", "lstm", "--seeds", "2"], ["lstm-2"]),
    ],
)
def test_only_what_is_asked_for_is_run(trainings, run, arguments, wanted):
    calls, _ = trainings
    assert run("T51", *arguments) == 0
    assert names(calls) == [f"T51-{name}" for name in wanted]


@pytest.mark.parametrize("code", [1, 3, 130])
def test_a_stopped_run_ends_the_table_and_goes_on_later(
    trainings, run, code, capsys
):
    calls, codes = trainings
    codes["T51-dynamic-1-1"] = code
    assert run("T51") == code
    # What is kept by then is shown.
    _, lstm, dynamic = cells(capsys.readouterr().out)[1:]
    assert (lstm[3], dynamic[3]) == ("90.00", "not run")
    assert names(calls) == ["T51-lstm-1", "T51-dynamic-1-1"]
    codes.clear()
    calls.clear()
    assert run("T51") == 0
    assert names(calls) == [f"T51-{name}" for name in T51[1:]]
    assert ["--resume" in flags for flags in calls] == [True] + 4 * [False]


def test_a_finished_run_is_kept_without_another_training(
    tmp_path, trainings, run
):
    calls, _ = trainings
    args = settings.parse_args(plan.flags("T51", "lstm", 1))
    finish(tmp_path / "runs/T51-lstm-1", args)
    assert run("T51", "--only", "lstm-1") == 0
    assert calls == []
    assert (tmp_path / "x/T51/lstm-1/result.json").exists()


@pytest.mark.parametrize("place", ["runs/T51-{}", "x/T51/{}"])
@pytest.mark.parametrize("flag", ["--entropy_weight 0.5", "--data_seed 7"])
def test_a_run_of_other_settings_is_refused(
    tmp_path, trainings, run, capsys, place, flag
):
    for row in ("dynamic-1", "lstm"):
        args = settings.parse_args(plan.flags("T51", row, 1))
        name, value = flag.removeprefix("--").split()
        setattr(args, name, json.loads(value))
        finish(tmp_path / place.format(f"{row}-1"), args)
    assert run("T51", "--only", "dynamic-1-1") == 1
    error = capsys.readouterr().err
    assert error.startswith("reproduce_number_prediction.py: ")
    assert f"made with other settings: {flag}, here " in error
    assert error.count("\n") == 1
    # What a plain model does not read does not count; but a table that holds
    # a wrong run is not shown.
    wrong = flag.startswith("--data_seed") or place.startswith("x")
    assert run("T51", "--only", "lstm-1") == int(wrong)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["T51", "--only", "lstm", "gru"], "Received: 'gru'"),
        (["T51", "--only", "lstm-4"], "dynamic-1-3. Received: 'lstm-4'"),
        (["T51", "--seeds", "4"], "must be among 1, 2, 3. Received: 4"),
        (["T51", "--seeds", "x"], "--seeds: must be an integer"),
        (
            ["T51", "--only", "lstm-1", "--seeds", "2"],
            "must be among those of a row of --only lstm-1. Received: 2",
        ),
        (["T12"], "invalid choice: 'T12'"),
    ],
)
def test_an_unknown_name_is_a_usage_error(
    capsys, three_seeds, arguments, message
):
    with pytest.raises(SystemExit) as stop:
        reproduce.parse_args(arguments)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("reproduce_number_prediction.py: error: ")
    assert message in error and error.count("\n") == 1


CHILD = """
import pathlib, signal, sys, time
asked = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: asked.append(1))
pathlib.Path("ready").touch()
while not asked:
    time.sleep(0.01)
time.sleep(0.5)
pathlib.Path("saved").touch()
sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_table_waits_for_its_training(tmp_path, number):
    """The training takes its time to save; no other one is started."""
    (tmp_path / "child.py").write_text(CHILD)
    parent = (
        "import pathlib, sys\n"
        f"sys.path[:0] = {[str(ROOT), str(ROOT / 'scripts')]}\n"
        "import reproduce_number_prediction as reproduce\n"
        "reproduce.TASK.script = 'child.py'\n"
        "places = ['--train_dir', 'runs', '--results', 'x']\n"
        "args = reproduce.parse_args(['T51', *places])\n"
        "sys.exit(reproduce.main(args))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], cwd=tmp_path
    ) as process:
        while not (tmp_path / "ready").exists():
            assert process.poll() is None
            time.sleep(0.01)
        (tmp_path / "ready").unlink()
        os.kill(process.pid, number)
        assert process.wait() == 130
    assert (tmp_path / "saved").exists()
    assert not (tmp_path / "ready").exists()


# What is kept, by row.


def keep_row(folder, row, seeds, **options):
    for seed in seeds:
        args = settings.parse_args(plan.flags("T51", row, seed))
        run = folder / plan.run_name(row, seed)
        make_number_run(run, settings.of_run(args), (0.5,), **options)


def test_rows_come_from_the_plan(tmp_path, three_seeds):
    keep_row(tmp_path, "dynamic-1", (1, 3))
    found = kept.load(tmp_path, "T51")
    assert [row.name for row in found] == ["lstm", "dynamic-1"]
    assert [row.seeds for row in found] == [(1, 2, 3)] * 2
    seeds = [[one["settings"]["seed"] for one in row.records] for row in found]
    assert seeds == [[], [1, 3]]
    (one,) = kept.load(
        tmp_path, "T51", lambda row, seed: (row, seed) == ("dynamic-1", 3)
    )
    assert (one.name, one.seeds, len(one.records)) == ("dynamic-1", (3,), 1)
    rows = kept.load(tmp_path / "none", "T11")
    assert [row.name for row in rows] == list(plan.TABLES["T11"][1])


def test_a_kept_run_of_another_row_is_refused(tmp_path, three_seeds):
    keep_row(tmp_path, "dynamic-1", (1,))
    (tmp_path / "dynamic-1-1").rename(tmp_path / "dynamic-1-2")
    with pytest.raises(results.ResultError, match="--seed 1, here 2"):
        kept.load(tmp_path, "T51")


# Pictures.


def test_without_matplotlib_the_usage_error_says_how_to_get_it(
    monkeypatch, capsys
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as stop:
        reproduce.parse_args(["T51", "--figures", "f"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == (
        "reproduce_number_prediction.py: error: --figures needs the "
        "package matplotlib: .venv/bin/pip install '.[plots]' (see --help)\n"
    )


def test_pictures_of_what_is_kept(tmp_path, trainings, run, capsys):
    pytest.importorskip("matplotlib")
    calls, _ = trainings
    shares = [[0.02] * 50] * 50
    keep_row(tmp_path / "x/T51", "lstm", (1, 2))
    assert run("T51", "--figures", f"{tmp_path}/f") == 0
    # No agent has learned.
    assert [path.name for path in (tmp_path / "f").iterdir()] == [
        "accuracy.png"
    ]
    by_step = [*shares, shares[0]]
    keep_row(
        tmp_path / "x/T51",
        *("dynamic-1", (1,)),
        policy=shares,
        policy_by_step=by_step,
    )
    assert run("T51", "--figures", f"{tmp_path}/g") == 0
    out, err = capsys.readouterr()
    assert (out.count("Figure: "), err, calls) == (4, "", [])
    for name in ("accuracy.png", "policy.png", "policy_by_step.png"):
        picture = (tmp_path / "g" / name).read_bytes()
        assert picture.startswith(b"\x89PNG") and len(picture) > 10_000


@pytest.mark.parametrize("folder", ["f", "file"])
def test_pictures_that_cannot_be_drawn_are_one_line(
    tmp_path, run, capsys, folder
):
    pytest.importorskip("matplotlib")
    (tmp_path / "file").touch()
    if folder == "file":
        keep_row(tmp_path / "x/T51", "lstm", (1,))
    assert run("T51", "--figures", f"{tmp_path}/{folder}") == 1
    error = capsys.readouterr().err
    assert error.startswith("reproduce_number_prediction.py: ")
    assert error.count("\n") == 1
    reason = {"f": "no run of T51 is kept", "file": "/file: File exists."}
    assert reason[folder] in error
