"""The program of the copy task."""

import shlex
import sys
import time

import numpy as np
import pytest
from small_runs import uncompiled

from copy_task import measuring, tables, train
from copy_task import task as copying
from copy_task.task import TASK
from dsl.datasets.copying import stream
from dsl.experiment import output, plan
from dsl.runs import results
from dsl.runs.folder import RunError
from dsl.system import startup

TINY = (
    "--rnn_size 6 --rnn_layers 2 --max_length 2 --eval_lengths 1 3 "
    "--eval_sequences 6 --batch_size 4 --steps_per_epoch 2 --epochs 2 "
    "--first_length 1 --first_epochs 1"
).split()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Runs the program in this process and folder, compiled or not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(startup, "keep_freed_memory", lambda: None)

    def main(*arguments):
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        return train.main(TASK.parse(["--verbosity=error", *arguments]))

    yield main
    output.set_verbosity("info")


KINDS = {
    "lstm": "--model lstm",
    "fixed": "--model fixed_skip --skip 3",
    "agent": "--model dynamic_skip --estimator reinforce --rollouts 2 "
    "--baseline leave_one_out --n_actions 3",
    "moves": "--model dynamic_skip --scoring moves --lamda 0.8 "
    "--estimator straight_through --n_actions 4",
    "key": "--model dynamic_skip --scoring key --relative --n_actions 4",
    "attention": "--model attention --scoring key --n_actions 4",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_trains_and_is_measured(kind, here):
    with uncompiled():
        assert here(*TINY, *KINDS[kind].split(), "--name", kind) == 0
    record = results.load(f"runs/{kind}")
    test = record["test"]
    assert test["sequences"] == 6
    for name in ("exact", "bits_per_sequence", "bit_errors", "loss"):
        for end in ("", "_1", "_3"):
            assert np.isfinite(test[name + end])
    for end in ("", "_1", "_3"):
        low, high = test[f"exact_low{end}"], test[f"exact_high{end}"]
        assert 0 <= low <= test[f"exact{end}"] <= high <= 1
    reads = np.array(test["examples"]["3"]["look_back"])
    assert reads.shape == (8,)
    assert reads.any() == (kind not in ("lstm", "fixed"))
    assert np.array(test["examples"]["3"]["output"]).shape == (8, 8)
    assert [one["max_length"] for one in record["epochs"]] == [1, 2]


def test_a_run_that_was_stopped_sees_the_same_sequences(here, tmp_path):
    """Two epochs at once, and one after the other, end in the same bits."""
    with uncompiled():
        here(*TINY, "--name", "whole")
        assert here(*TINY, "--name", "short", "--epochs", "1") == 0
        assert here(*TINY, "--name", "short", "--resume") == 0
    whole, short = map(results.load, ["runs/whole", "runs/short"])
    assert whole["last_weights_sha256"] == short["last_weights_sha256"]
    assert whole["epochs"][1]["valid_loss"] == short["epochs"][1]["valid_loss"]


def test_a_batch_is_that_of_its_seed_epoch_and_number():
    args = TASK.parse([*TINY, "--seed", "5"])
    batches = TASK.batches(args, None)
    assert len(batches(1)) == 2
    x, y = batches(2)[1]
    again = stream(copying.sequence_settings(args, 2), 4, 5, 0, 2, 1)
    np.testing.assert_array_equal(x, again.inputs)
    np.testing.assert_array_equal(y, again.targets)
    assert (batches(2)[0][0] != x).any()


@pytest.mark.parametrize(
    ("flags", "lengths"),
    [
        ("", [20, 20, 20]),
        ("--first_length 2", [2, 3, 4]),
        ("--first_length 2 --first_epochs 2", [2, 2, 3]),
        ("--first_length 18 --length_epochs 2", [18, 19, 19, 20, 20, 20]),
    ],
)
def test_lengths_grow(flags, lengths):
    args = TASK.parse(f"--preset published {flags}".split())
    found = [copying.longest(args, n) for n in range(1, len(lengths) + 1)]
    assert found == lengths


def test_training_ends_where_the_last_batches_have_the_loss(here):
    with uncompiled():
        here(*TINY, "--epochs", "9", "--stop_loss", "5", "--name", "a")
        here(*TINY, "--epochs", "3", "--stop_loss", "0.001", "--name", "b")
    first, second = map(results.load, ["runs/a", "runs/b"])
    assert [len(one["epochs"]) for one in (first, second)] == [1, 3]
    entry = second["epochs"][-1]
    # Of fewer than a hundred batches, all of them.
    expected = np.mean([one["train_loss"] for one in second["epochs"]])
    assert entry["recent_loss"] == pytest.approx(expected, rel=1e-5)


def test_a_short_pattern_is_learned_at_once(here):
    """Length 3, two bits: exact, in twenty seconds of processor time."""
    line = (
        "--max_length 3 --bits 2 --rnn_layers 1 --rnn_size 40 --batch_size 32 "
        "--steps_per_epoch 100 --epochs 8 --learning_rate 0.01 "
        "--final_learning_rate 0.001 --decay_epochs 8 --clip_norm 1 "
        "--first_length 2 --first_epochs 2 --eval_lengths 3 "
        "--eval_sequences 200 --name short"
    )
    started = time.process_time()
    assert here(*line.split()) == 0
    used = time.process_time() - started
    record = results.load("runs/short")
    assert record["test"]["exact_3"] == 1.0
    assert used < 20


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--min_length 9 --max_length 8", "--min_length: must be at most"),
        ("--low 0.6", "--low: must be below 0.5, and --high above"),
        ("--eval_lengths 3 3", "--eval_lengths: must be different lengths"),
        ("--first_length 30", "--first_length: must lie between"),
        ("--decay_epochs 3 --preset published", "give both or neither"),
        ("--model lstm --scoring key", "--scoring: must go with a model that"),
        (
            "--model dynamic_skip --scoring content",
            "--scoring: must be location or key or moves with",
        ),
        ("--max_length 0", "must be an integer at least 1"),
        ("--learning_rate 1e-6", "--final_learning_rate: must be at most"),
        ("--model attention --scoring moves", "--scoring: must be"),
    ],
)
def test_wrong_flags(flags, message, capsys):
    with pytest.raises(SystemExit) as stop:
        TASK.parse(flags.split())
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_run_is_shown_and_drawn(here, capsys):
    matplotlib = pytest.importorskip("matplotlib")
    assert matplotlib is not None
    with uncompiled():
        here(*TINY, *KINDS["moves"].split(), "--name", "a")
        capsys.readouterr()
        show = ["--load_model", "runs/a", "--split", "test"]
        assert here(*show, "--eval_lengths", "4", "--figure", "copy.png") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("test: exact ")
    assert said[1].startswith("  length 4: exact ")
    assert said[2] == "drawn: copy-4.png"
    with open("copy-4.png", "rb") as file:
        assert file.read(4) == b"\x89PNG"


def test_a_table_of_the_task_renders(here, tmp_path):
    with uncompiled():
        here(*TINY, "--name", "a")
    record = results.load("runs/a")
    for length in (10, 20, 40, 120):
        record["test"] |= {
            f"{name}_{length}": value
            for name, value in tables.of_length(record["test"], 3).items()
        }
    run = {"name": "a", "record": record}
    row = plan.Row("a", record["settings"], {}, ("a-1",), (run,))
    text = plan.render(TASK, [row])
    assert "not run" not in text
    low, high = record["test"]["exact_low_3"], record["test"]["exact_high_3"]
    assert f"[{100 * low:.1f}, {100 * high:.1f}]" in text
    assert shlex.split(record["command"])[-2:] == ["--name", "a"]


def test_what_is_published_stands_beside_its_recipe():
    def held_to(line):
        return tables.reference(TASK.parse(line.split()))["published"]

    assert held_to("--preset published --seed 3")["train_loss"] == 0.008
    assert held_to("--preset published --learning_rate 1e-3") == {}
    assert held_to("--preset best") == {}


def test_sequences_that_exceed_the_memory_are_not_drawn():
    args = TASK.parse("--eval_lengths 10000 --bits 1000".split())
    with pytest.raises(RunError, match="--eval_lengths and"):
        TASK.load(args, None)


def test_the_measured_are_those_of_the_same_weights(here):
    args = TASK.parse(TINY)
    data = TASK.load(args, None)
    with uncompiled():
        model, _ = TASK.build(args, data)
        found, scores = TASK.test(args, model, data, "test")
        again = measuring.measure(
            measuring.score_length(args, model, data, 3)["logits"],
            data.lengths[3],
        )
    assert scores is None
    assert {k: found[f"{k}_3"] for k in again} == again
