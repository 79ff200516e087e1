"""A task that moves in: one folder, and nothing else is touched."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dsl.experiment import keep, plan, reproduction
from dsl.experiment.comparing import overview, reading
from dsl.experiment.task import ELSEWHERE, find
from dsl.runs import results

pytestmark = pytest.mark.backend

ROOT = Path(__file__).parents[2]
TASKS = ROOT / "tests" / "tasks"
FLAGS = "--epochs 3 --checkpoint_every 7 --verbosity error".split()
KILLED = """
import os, signal, sys
from sums import task, train

build = task.TASK.build
def dying(args, data):
    model, _ = build(args, data)
    step, steps = model.train_on_batch, iter(range(30))
    model.train_on_batch = lambda *batch: (
        step(*batch) if next(steps, None) is not None
        else os.kill(os.getpid(), signal.SIGKILL)
    )
    return model, model
object.__setattr__(task.TASK, "build", dying)
train.main(train.parse_args(sys.argv[1:]))
"""


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Calls the program of the task with flags; gives its exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(ELSEWHERE, str(TASKS))
    monkeypatch.syspath_prepend(str(TASKS))
    from sums import train as program

    return lambda *flags: program.main(program.parse_args([*flags]))


def timeless(entry):
    unequal = {"seconds", "valid_seconds", "sums_per_second"}
    return {key: x for key, x in entry.items() if key not in unequal}


def environment():
    path = os.pathsep.join([str(ROOT), str(TASKS)])
    return {**os.environ, "PYTHONPATH": path}


def test_it_is_small():
    files = (TASKS / "sums").glob("*.py")
    assert sum(len(file.read_text().splitlines()) for file in files) <= 150


def test_a_killed_run_goes_on_to_the_same_bits(train, capsys):
    assert train("--name", "whole", *FLAGS) == 0
    whole = results.load("runs/whole")
    (said,) = capsys.readouterr().out.splitlines()
    error = whole["test"]["mean_squared_error"]
    assert said == f"test: mean squared error {error:.4f}"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, "--name", "killed", *FLAGS],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == -9, done.stderr
    assert train("--name", "killed", *FLAGS, "--resume") == 0
    killed = results.load("runs/killed")
    for key in ("weights_sha256", "last_weights_sha256", "valid"):
        assert killed[key] == whole[key]
    both = (map(timeless, one["epochs"]) for one in (killed, whole))
    assert [*next(both)] == [*next(both)]


def test_the_best_weights_are_those_of_the_smallest_error(train):
    rates = ["--learning_rate", "0.9", "--epochs", "4"]
    assert train("--name", "a", *FLAGS, *rates) == 0
    record = results.load("runs/a")
    errors = [one["valid_mean_squared_error"] for one in record["epochs"]]
    best = int(np.argmin(errors))
    assert record["valid"]["epoch"] == best + 1 < len(errors)
    assert record["valid"]["mean_squared_error"] == errors[best]


def test_it_is_shown_kept_and_compared(train, capsys):
    flags = [*FLAGS, "--epochs", "1"]
    assert train("--name", "a", *flags, "--seeds", "1", "2") == 0
    capsys.readouterr()
    shown = ["--load_model", "runs/a-seed1", "--split", "test"]
    assert train(*shown, "--verbosity", "error") == 0
    record = results.load("runs/a-seed1")
    error = f"{record['test']['mean_squared_error']:.4f}"
    assert capsys.readouterr().out == f"test: mean squared error {error}\n"
    for seed in (1, 2):
        keep.keep(Path(f"runs/a-seed{seed}"), Path(f"kept/a-{seed}"))
    runs = reading.load(["kept/a-1", "kept/a-2"])
    assert error in overview.overview(runs)
    assert "2 of 2" in overview.seeds(reading.pooled(runs))
    assert error in overview.comparison([record])


def test_its_table_is_run_and_rendered(train, monkeypatch, capfd):
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    words = "sums short --only lstm-1 mean --results kept".split()
    assert reproduction.main(reproduction.parse_args(words)) == 0
    said = capfd.readouterr().out
    rows = plan.load(find("sums"), "kept/short", "short")
    assert [len(row.runs) for row in rows] == [1, 1]
    assert plan.render(find("sums"), rows) in said
    mean = rows[1].records[0]["test"]["mean_squared_error"]
    assert f"{mean:.4f}" in plan.render(find("sums"), rows, brief=True)
    assert "python sums/train.py --epochs 2 --model mean --seed 1" in said
