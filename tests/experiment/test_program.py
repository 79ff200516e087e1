"""The program of a task: how it trains, tells of it, and ends."""

import dataclasses
import fcntl
import json
import sys
from types import SimpleNamespace

import pytest

from dsl.experiment import entry, output, program
from dsl.experiment.report import Report
from dsl.runs.folder import DivergedError, RunError, RunFolder
from dsl.training.progress import Progress
from language_modeling.task import TASK as LANGUAGE
from number_prediction.task import TASK as NUMBERS

pytestmark = pytest.mark.backend


@pytest.fixture
def run(tmp_path):
    made = RunFolder.create(tmp_path, "run", {"settings": {}})
    yield made
    made.close()


def assert_free(run):
    with open(run.path / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


# How a run ends.


def test_a_run_that_ends_well_says_nothing(run, capsys):
    assert program.run_in(run, "x.py", lambda run: 7) == 7
    assert capsys.readouterr() == ("", "")
    assert_free(run)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "interrupted; no checkpoint was written"),
        (OSError(28, "No space", "x"), 1, "x: No space; no checkpoint was "),
        (DivergedError("nan"), 1, "nan; --resume with a lower --le"),
    ],
)
def test_what_is_left_of_a_run_is_said(error, code, line, run, capsys):
    def work(run):
        raise error

    assert program.run_in(run, "test_program.py", work) == code
    assert capsys.readouterr().err.startswith(f"test_program.py: {line}")
    assert_free(run)


def test_of_several_runs_it_is_said_how_one_goes_on(run, capsys):
    def work(run):
        raise DivergedError("nan")

    alone = "--seed 2 --name a-seed2 --resume, in place of --seeds,"
    assert program.run_in(run, "x.py", work, alone) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"x.py: nan; {alone} with a lower --learning_rate")
    assert error.count("\n") == 1


def lost(line):
    raise entry.OutputError(32, "Broken pipe", "standard output")


def test_a_lost_output_is_no_fault_of_the_run(run, capsys):
    with pytest.raises(entry.OutputError):
        program.run_in(run, "x.py", lost)
    assert capsys.readouterr().err == ""
    assert_free(run)


# What is told of a training.


class Trainer:
    """Knows what was measured in training so far."""

    def __init__(self, **found):
        self.found = found

    def read_statistics(self):
        return self.found


def report(run, task, trainer, progress=None, *words):
    output.set_verbosity("info")
    args = task.parse(["--print_every", "2", *words])
    return Report(task, args, run, trainer, progress or Progress())


def test_a_line_of_a_step_tells_the_loss_and_the_measure(run, capsys):
    trainer = Trainer(perplexity=123.456)
    words = ("--batch_size", "20", "--num_unroll_steps", "5")
    with report(run, LANGUAGE, trainer, None, *words) as told:
        for step in (1, 2):
            told.on_step(Progress(3, step, seconds=step / 4), 5, 4.8158)
    # 100 words a step, 4 steps a second.
    assert capsys.readouterr() == (
        "",
        "epoch 3  step 2/5  loss 4.816  perplexity 123.46  400 tokens/s  "
        "1 s left\n",
    )
    with report(run, NUMBERS, Trainer(), None, "--batch_size", "3") as told:
        told.on_step(Progress(1, 2, seconds=0.5), 4, 0.5)
    assert capsys.readouterr().err == (
        "epoch 1  step 2/4  loss 0.500  12 sequences/s  0 s left\n"
    )


def test_a_line_of_an_epoch(run, capsys):
    with report(run, LANGUAGE, Trainer()) as told:
        told.on_epoch(
            {
                "epoch": 3,
                "learning_rate": 0.25,
                "train_perplexity": 100.0,
                "valid_perplexity": 120.5,
                "tokens_per_second": 12_345.6,
                "entropy": 0.5,
                "look_back": 1.5,
                "look_back_histogram": [0.5, 0.5],
            }
        )
    assert capsys.readouterr().err == (
        "epoch  3  rate 0.25  train 100.00  valid 120.50  12,346 tokens/s  "
        "entropy 0.500  look-back 1.50 [0.50 0.50]\n"
    )
    with report(run, NUMBERS, Trainer()) as told:
        told.on_epoch(
            {
                "epoch": 12,
                "learning_rate": 0.001,
                "train_accuracy": 0.5,
                "valid_accuracy": 0.25,
                "sequences_per_second": 99.0,
            }
        )
    assert capsys.readouterr().err == (
        "epoch 12  rate 0.001  train 50.00 %  valid 25.00 %  99 sequences/s\n"
    )


def test_a_run_that_goes_on_says_from_where(run, capsys):
    with report(run, NUMBERS, Trainer(), Progress(2, 3, steps=13)):
        assert capsys.readouterr().err == "resumed at epoch 2, step 3\n"
    with report(run, NUMBERS, Trainer()):
        assert capsys.readouterr().err == ""


def test_a_bar_goes_when_the_training_ends(run, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    told = report(run, NUMBERS, Trainer())
    with pytest.raises(KeyboardInterrupt), told:
        told.on_step(Progress(1, 1, seconds=1.0), 5, 1.0)
        raise KeyboardInterrupt
    drawn = capsys.readouterr().err
    assert "epoch 1:" in drawn and drawn.endswith("\r")


def test_events_are_those_of_all_epochs(run):
    pytest.importorskip("tensorboard")
    entry = {
        "epoch": 1,
        "learning_rate": 0.5,
        "valid_accuracy": 0.25,
        "sequences_per_second": 9.0,
    }
    folder = run.path / "events"
    before = Progress(2, 0, steps=5, entries=[entry])
    written = []
    for progress, entries in ((Progress(), [entry]), (before, [])):
        told = report(run, NUMBERS, Trainer(), progress, "--tensorboard")
        with told:
            for one in entries:
                told.on_epoch(one)
        (file,) = folder.glob("events.out.tfevents.*")
        written.append(file.read_bytes())
    # Those of before are written again.
    for content in written:
        assert b"valid_accuracy" in content and b"learning_rate" in content


# Which runs a call makes.


@pytest.fixture
def trained(monkeypatch):
    """What was trained: the name of the run and the settings."""
    found, codes = [], {}

    def train(task, args, run, data, command):
        found.append((run.path.name, args))
        if error := codes.get(run.path.name):
            raise error
        return {"test": {"accuracy": 0.5}, "published": {}}

    monkeypatch.setattr(program, "train", train)
    return found, codes


@pytest.fixture
def call(tmp_path, monkeypatch):
    """The program of number prediction, on data that need no file."""
    data = SimpleNamespace(sha256={"test": "1f"}, describe=dict)
    task = dataclasses.replace(
        NUMBERS, load=lambda args, log: data, check=lambda args, data: None
    )
    parse_args, main = program.of(task)
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["x.py", *words])
        return main(parse_args([*words]))

    return run


def test_one_run_a_seed(trained, call, capsys, tmp_path):
    found, _ = trained
    assert call("--name", "a", "--seeds", "3", "1") == 0
    assert [name for name, _ in found] == ["a-seed3", "a-seed1"]
    assert [args.seed for _, args in found] == [3, 1]
    out, err = capsys.readouterr()
    assert out == "test: accuracy 50.00 %\n" * 2
    assert err == (
        "Seed 3\nRun folder: runs/a-seed3\nSeed 1\nRun folder: runs/a-seed1\n"
    )
    for seed in (3, 1):
        path = tmp_path / f"runs/a-seed{seed}/config.json"
        settings = json.loads(path.read_text())["settings"]
        assert settings["seed"] == seed
        assert not {"seeds", "verbosity", "resume", "split"} & {*settings}


def test_a_run_without_a_name_is_named_by_seed_and_time(trained, call):
    found, _ = trained
    assert call("--model", "lstm", "--seed", "7") == 0
    assert call("--model", "lstm", "--seeds", "1", "2") == 0
    names = [name for name, _ in found]
    assert names[0].startswith("numbers-lstm-T11-7-")
    first, second = names[1:]
    assert first.removesuffix("-seed1") == second.removesuffix("-seed2")
    assert first.startswith("numbers-lstm-T11-2") and "-1-" not in first


def test_a_taken_folder_is_found_before_the_first_run(
    trained, call, capsys, tmp_path
):
    found, _ = trained
    (tmp_path / "runs/a-seed2").mkdir(parents=True)
    assert call("--name", "a", "--seeds", "1", "2") == RunError.exit_code
    error = capsys.readouterr().err
    assert error.startswith("train_RL10_1.py: runs/a-seed2: exists already;")
    assert error.count("\n") == 1
    assert found == [] and not (tmp_path / "runs/a-seed1").exists()


def test_seeds_go_on_wherever_they_were(trained, call, capsys):
    found, codes = trained
    words = ("--name", "a", "--seeds", "1", "2", "3")
    codes["a-seed2"] = KeyboardInterrupt()
    assert call(*words) == 130
    assert [name for name, _ in found] == ["a-seed1", "a-seed2"]
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("train_RL10_1.py: interrupted; no checkpoint was")
    codes.clear()
    found.clear()
    assert call(*words, "--resume") == 0
    # The last one was never started.
    resumed = [(name, args.resume) for name, args in found]
    assert resumed == [("a-seed1", True), ("a-seed2", True)] + [
        ("a-seed3", False)
    ]


def test_a_seed_that_diverged_goes_on_alone(trained, call, capsys):
    _, codes = trained
    codes["a b-seed2"] = DivergedError("the loss is nan")
    assert call("--name", "a b", "--seeds", "1", "2") == 1
    assert (
        "the loss is nan; --seed 2 --name 'a b-seed2' --resume, in place of "
        "--seeds, with a lower --learning_rate"
    ) in capsys.readouterr().err


@pytest.mark.parametrize("verbosity", ["info", "error"])
def test_results_alone_are_on_the_standard_output(
    trained, call, capsys, verbosity
):
    assert call("--name", "a", f"--verbosity={verbosity}") == 0
    out, err = capsys.readouterr()
    assert out == "test: accuracy 50.00 %\n"
    assert err == ("Run folder: runs/a\n" if verbosity == "info" else "")


def test_the_command_is_what_was_typed(monkeypatch):
    words = ["--name", "a b", "--resume", "--seeds", "1"]
    monkeypatch.setattr(sys, "argv", ["/x/RL_train.py", *words])
    assert program.command(LANGUAGE.program) == (
        "python language_modeling/RL_train.py --name 'a b' --seeds 1"
    )


def test_a_missing_package_is_a_usage_error(call, capsys, monkeypatch):
    monkeypatch.setattr(
        program.command_line, "missing_package", lambda *words: f"{words}"
    )
    assert call("--tensorboard") == 2
    assert "'--tensorboard', 'tensorboard'" in capsys.readouterr().err


def test_a_model_beyond_the_memory_is_refused(monkeypatch):
    from dsl.runs import provenance

    monkeypatch.setattr(provenance, "memory", lambda: 2**31)
    program.check_memory(2**31, "--rnn_size")
    with pytest.raises(RunError, match="--rnn_size must fit into 2 GiB of"):
        program.check_memory(3 * 2**30, "--rnn_size")
    monkeypatch.setattr(provenance, "memory", lambda: None)
    program.check_memory(2**60, "--rnn_size")
