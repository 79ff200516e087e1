"""The command that trains number prediction."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from small_runs import uncompiled

from dsl.datasets import numbers as data
from dsl.experiment import kinds, output
from dsl.runs import results
from dsl.runs.folder import RunFolder
from dsl.scoring.sequences import ClassifierScorer
from dsl.system import startup
from dsl.training.sequences import ClassifierTrainer
from number_prediction import measuring, presets, task, train_RL10_1
from number_prediction import model as building
from number_prediction.task import TASK

ROOT = Path(__file__).resolve().parents[2]
COUNTS = {"train": 40, "valid": 20, "test": 30}
TINY = "--length 5 --rnn_size 6 --batch_size 10 --epoch 2".split()


def write(folder, wanted, counts=COUNTS):
    for split, count in counts.items():
        path = folder / data.file_name(wanted, split)
        data.save(path, data.draw(wanted, split, count))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Runs the program in this process, in a folder with small data.

    It tells of nothing but errors, unless it is asked to.
    """
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data" / "number_prediction"
    folder.mkdir(parents=True)
    write(folder, data.Settings(5, seed=1))

    # Of the process, not of a test.
    monkeypatch.setattr(startup, "keep_freed_memory", lambda: None)

    def main(*arguments):
        monkeypatch.setattr(sys, "argv", ["train_RL10_1.py", *arguments])
        return train_RL10_1.main(parse("--verbosity=error", *arguments))

    with uncompiled():
        yield main
    output.set_verbosity("info")


NOTES = ["--verbosity", "info"]


def parse(*arguments):
    return TASK.parse(arguments)


def only_train(examples):
    return task.Splits(examples, None, None)


# Flags.


def test_a_recipe_is_where_settings_start_from():
    args = parse("--recipe", "published_code", "--reward", "probability")
    assert (args.reward, args.policy_weight) == ("probability", 0.1)
    assert (args.n_actions, args.policy_units, args.rnn_size) == (10, 10, 200)
    assert (args.batch_size, args.learning_rate) == (100, 1e-3)
    long = parse("--recipe", "published_code", "--length", "20")
    assert long.policy_weight == 0.05
    assert parse().recipe == "best"
    assert parse("--entropy_weight", "0.5").entropy_weight == 0.5
    for flags in ("--estimator straight_through", "--policy uniform"):
        args = parse(*flags.split())
        assert (args.baseline, args.entropy_weight) == ("none", 0.0)
        assert (args.final_entropy_weight, args.entropy_steps) == (None, None)


# What the specification of the published code, and the poster, say.
RECIPES = {
    "published_code": {
        "reward": "correct",
        "baseline": "none",
        "credit": "all",
        "entropy_weight": 0.0,
        "sequence_entropy_weight": 0.0,
        "policy_weight": 0.1,
        "task_weight": 0.1,
        "probability_offset": 1.0,
        "observation": "mean",
        "empty_slots": "zeros",
        "agent_learning_rate": 1e-3,
        "learning_rate": 1e-3,
        "adam_epsilon": 1e-8,
        "forget_bias": 1.0,
        "shuffle": False,
        "eval_actions": "sampled",
        "epoch": 200,
        "patience": None,
    },
    "paper": {
        "reward": "log_likelihood",
        "baseline": "none",
        "credit": "all",
        "entropy_weight": 0.0,
        "sequence_entropy_weight": 1.0,
        "policy_weight": 1.0,
        "task_weight": 1.0,
        "probability_offset": 0.0,
        "observation": "previous",
        "empty_slots": "mask",
        "policy_units": 50,
    },
    "best": {
        "reward": "log_likelihood",
        "baseline": "running_mean",
        "credit": "path",
        "entropy_weight": 0.03,
        "final_entropy_weight": 0.003,
        "entropy_steps": 4000,
        "sequence_entropy_weight": 0.0,
        "agent_learning_rate": 3e-3,
        "epoch": 6,
        "shuffle": True,
        "eval_actions": "greedy",
    },
}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes(name):
    found = vars(parse("--recipe", name))
    assert {key: found[key] for key in RECIPES[name]} == RECIPES[name]
    assert set(RECIPES) == set(presets.RECIPES)


WRONG = [
    ("--length 0", "argument --length: must be an integer at least 1"),
    ("--length 1001", "at most 1000. Received: '1001'"),
    ("--symbols 1", "argument --symbols: must be an integer at least 2"),
    ("--index_from end", "argument --index_from: invalid choice: 'end'"),
    ("--recipe worst", "argument --recipe: invalid choice: 'worst'"),
    ("--lamda 1.5", "argument --lamda: must be a number at least 0"),
    ("--n_actions 0", "argument --n_actions: must be an integer at least 1"),
    ("--rnn_size x", "argument --rnn_size: must be an integer"),
    ("--skip 0", "argument --skip: must be an integer"),
    ("--batch_size -1", "argument --batch_size: must be an integer"),
    ("--learning_rate 0", "argument --learning_rate: must be a number above"),
    ("--agent_learning_rate nan", "argument --agent_learning_rate: must be"),
    ("--adam_epsilon 0", "argument --adam_epsilon: must be a number above 0"),
    ("--epoch 0", "argument --epoch: must be an integer at least 1"),
    ("--patience 0", "argument --patience: must be an integer at least 1"),
    ("--task_weight 0", "argument --task_weight: must be a number above 0"),
    ("--probability_offset -1", "argument --probability_offset: must be"),
    ("--credit some", "argument --credit: invalid choice: 'some'"),
    ("--first_length 9", "--length, 10 and 10. Received: 9"),
    ("--first_length 11", "--length, 10 and 10. Received: 11"),
    ("--length_epochs 2", "--length_epochs: must go with --first_length"),
    ("--length_step 2", "--length_step: must go with --first_length"),
    ("--length_step 0", "argument --length_step: must be an integer at least"),
    (
        "--length 12 --first_length 10 --epoch 5 --patience 2",
        "argument --patience: must be at least the epochs until "
        "--first_length has grown to --length, 3. Received: 2",
    ),
    ("--seeds", "argument --seeds: expected at least one argument"),
    ("--seeds 1 1", "argument --seeds: must be different seeds"),
    ("--seeds 1 2 --seed 3", "--seeds: takes the place of --seed"),
    ("--seeds 1 -2", "argument --seeds: must be an integer at least 0"),
    ("--data_seed x", "argument --data_seed: must be an integer"),
    ("--resume", "argument --resume: needs --name"),
    ("--baseline leave_one_out", "needs --rollouts of at least 2"),
    ("--policy_positions -1", "argument --policy_positions: must be"),
    ("--policy_positions 1002", "at most 1001. Received: '1002'"),
    (
        "--length 20 --first_length 10 --epoch 10",
        "argument --epoch: must be at least 11, so that --first_length 10 "
        "grows to --length 20. Received: 10",
    ),
    (
        "--length 20 --first_length 10 --length_step 4 --epoch 3",
        "argument --epoch: must be at least 4, so that --first_length 10 "
        "grows to --length 20. Received: 3",
    ),
    (
        "--policy oracle --model lstm",
        "argument --policy: must go with a model that reads it "
        "(dynamic_skip). Received: --model lstm",
    ),
    ("--skip 5", "argument --skip: must go with a model that reads it"),
    ("--model attention --credit all", "argument --credit: must go with"),
    ("--policy oracle --n_actions 9", "reach every digit pointed to, 10"),
    ("--recipe paper --entropy_steps 5", "needs --final_entropy_weight"),
    ("--recipe paper --final_entropy_weight 0.1", "needs --entropy_steps"),
    ("--eval_samples 1", "argument --eval_samples: must be an integer"),
    ("--entropy_weight -1", "argument --entropy_weight: must be a number at"),
    ("--final_entropy_weight -1", "weight: must be a number at least 0"),
]


@pytest.mark.parametrize(("flags", "rule"), WRONG)
def test_wrong_flags_are_one_line(flags, rule, capsys):
    with pytest.raises(SystemExit) as stop:
        TASK.parse(flags.split())
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and rule in message


def test_what_a_run_is_held_to():
    found = presets.published(parse("--lamda", "0.5"))
    assert found["test_accuracy"] == 0.905
    assert found["valid_accuracy"] == 0.904
    long = parse("--length", "20", "--model", "lstm")
    assert presets.published(long)["test_accuracy"] == 0.264
    for flags, accuracy in (
        ("--length 10 --model lstm", 0.704),
        ("--length 10 --model attention", 0.725),
        ("--length 10 --index_from start", 0.805),
        ("--length 20 --model attention", 0.269),
        ("--length 20", 0.777),
        ("--length 20 --lamda 0.5 --recipe paper", 0.885),
    ):
        found = presets.published(parse(*flags.split()))
        assert found["test_accuracy"] == accuracy
    for flags in (
        "--lamda 0.7",
        "--length 12",
        "--index_from start --length 20",
        "--policy uniform",
        "--estimator straight_through",
        "--n_actions 5",
        "--rnn_size 100",
        "--max_steps 5",
        "--model fixed_skip",
        "--model attention --lamda 0.5",
        "--mark_pointer",
        "--policy_positions 11",
    ):
        assert presets.published(parse(*flags.split())) == {}
    assert presets.published(parse(), COUNTS) == {}


def test_the_twin_is_the_same_program_for_twenty_digits():
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "number_prediction" / "train_RL20_1.py",
            *"--data_dir nowhere".split(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 3
    assert done.stderr.startswith("train_RL20_1.py: nowhere/num_train20_1.npz")


# Data.


def one_line(capsys):
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert message.startswith("train_RL10_1.py: ")
    return message


def test_data_that_is_not_there(here, capsys):
    assert here("--length", "7") == 3
    message = one_line(capsys)
    assert "num_train7_1.npz must be there" in message
    assert "python number_prediction/produce_data.py --length 7" in message
    assert not os.path.exists("runs")


def test_a_file_in_the_place_of_the_folder(here, capsys):
    Path("file").write_text("data")
    assert here(*TINY, "--data_dir", "file") == 3
    assert one_line(capsys) == (
        "train_RL10_1.py: file must be a folder, with num_train5_1.npz in it. "
        "Received: a file\n"
    )


def test_data_of_something_else(here, capsys):
    assert here(*TINY, "--symbols", "9") == 3
    assert "Received: " in one_line(capsys)
    assert here(*TINY, "--data_seed", "2") == 3
    line = one_line(capsys)
    assert "of --data_seed 2. Received: 1; others can be made in ano" in line
    os.rename(
        "data/number_prediction/num_train5_1.npz",
        "data/number_prediction/num_train6_1.npz",
    )
    assert here("--length", "6") == 3
    assert "length" in one_line(capsys)


def test_memory_is_kept_from_step_to_step(here, monkeypatch):
    calls = []
    monkeypatch.setattr(startup, "keep_freed_memory", lambda: calls.append(1))
    assert here(*TINY, *"--model lstm --max_steps 1 --name a".split()) == 0
    assert calls == [1]


def test_fewer_examples_than_a_batch(here, capsys):
    assert here(*TINY, "--batch_size", "41") == 3
    assert "training examples, 40. Received: 41" in one_line(capsys)


def test_data_is_made_where_it_is_asked_for(here, capsys, monkeypatch):
    monkeypatch.setattr(presets, "COUNTS", COUNTS)
    flags = ["--produce", "--data_dir", "a/b", "--data_seed", "7"]
    flags += ["--max_steps", "1", "--model", "lstm"]
    assert here(*TINY, *flags, "--name", "a", *NOTES) == 0
    assert capsys.readouterr().err.count("made a/b/num_") == 3
    made = data.load("a/b", "test", data.Settings(5))
    assert (made.settings.seed, len(made)) == (7, 30)
    before = os.stat("a/b/num_test5_1.npz").st_mtime_ns
    capsys.readouterr()
    assert here(*TINY, *flags, "--name", "b", *NOTES) == 0
    assert "made" not in capsys.readouterr().err
    assert os.stat("a/b/num_test5_1.npz").st_mtime_ns == before
    monkeypatch.setattr(presets, "COUNTS", {**COUNTS, "valid": 21})
    capsys.readouterr()
    assert here(*TINY, *flags, "--name", "c") == 3
    assert "must hold 21 examples with --produce. Received: 20" in one_line(
        capsys
    )


def test_batches_are_another_order_each_epoch():
    examples = data.draw(data.Settings(5), "train", 25)

    def rows(flags, epoch):
        args = parse("--batch_size", "10", *flags)
        batches = task.batches(args, only_train(examples))(epoch)
        assert len(batches) == 2
        for n in range(2):
            symbols, labels = batches[n]
            assert symbols.shape == (10, 6) and labels.shape == (10,)
            right = data.labels_of(symbols.astype("uint8"), examples.settings)
            np.testing.assert_array_equal(labels, right)
        return np.concatenate([batches[n][0] for n in range(2)])

    first, again, second = (rows([], epoch) for epoch in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != second)
    assert np.any(first != rows(["--seed", "1"], 1))
    in_order = rows(["--no-shuffle"], 3)
    np.testing.assert_array_equal(in_order, examples.inputs[:20])
    known = {row.tobytes() for row in examples.inputs.astype("int32")}
    assert {row.tobytes() for row in second} <= known
    assert len({row.tobytes() for row in second}) == 20


# Policies that need no agent.


@pytest.mark.parametrize(
    "flags",
    [
        "--length 10",
        "--length 14",
        "--length 14 --index_from start",
        "--length 4",
    ],
)
def test_the_oracle_looks_back_to_the_digit_pointed_to(flags):
    args = parse("--policy", "oracle", "--n_actions", "14", *flags.split())
    wanted = data.Settings(args.length, args.index_from)
    examples = data.draw(wanted, "train", 200)
    shortest = examples.shortened(wanted.pointers)
    for shown in (examples, shortest):
        distances = building.imposer(args)(ops.array(shown.inputs), None)
        distances = ops.convert_to_numpy(distances)
        assert distances.shape == shown.inputs.shape
        assert np.all(distances[:, :-1] == 1)
        at = shown.settings.length - distances[:, -1]
        found = np.take_along_axis(shown.inputs, at[:, None], 1)[:, 0]
        np.testing.assert_array_equal(found, examples.labels)


def test_the_uniform_policy_takes_each_distance_alike():
    args = parse("--policy", "uniform", "--n_actions", "4")
    seed = keras.random.SeedGenerator(5)
    symbols = ops.zeros((4000, 3), "int32")
    found = ops.convert_to_numpy(building.imposer(args)(symbols, seed))
    shares = np.bincount(found.ravel(), minlength=5) / found.size
    np.testing.assert_allclose(shares, [0, 0.25, 0.25, 0.25, 0.25], atol=0.02)


# Training.


def outcome(name):
    record = results.load(f"runs/{name}")
    clock = ("seconds", "valid_seconds", "sequences_per_second")

    def timeless(entry):
        return {key: x for key, x in entry.items() if key not in clock}

    return {
        "epochs": [timeless(entry) for entry in record["epochs"]],
        "test": timeless(record["test"]),
        "valid": record["valid"],
        "best": record["weights_sha256"],
        "last": record["last_weights_sha256"],
    }


def test_what_a_run_leaves_behind(here, capsys):
    flags = "--name a --n_actions 5 --eval_samples 2".split()
    assert here(*TINY, *flags, "--print_every", "3", *NOTES) == 0
    result, said = capsys.readouterr()
    record = json.loads(Path("runs/a/result.json").read_text())
    assert record["task"] == "number_prediction"
    assert record["steps"] == 8 and len(record["epochs"]) == 2
    assert "epoch 1  step 3/4  loss " in said and " sequences/s  " in said
    test = record["test"]
    assert test["examples"] == 30 and test["sampled_n"] == 2
    assert 0.0 <= test["accuracy"] <= 1.0
    policy = np.array(test["policy"])
    assert policy.shape == (10, 5)
    # The pointer is one of five digits.
    np.testing.assert_allclose(policy.sum(1)[5:], 0.0)
    np.testing.assert_allclose(policy.sum(1)[:5], 1.0)
    best = min(record["epochs"], key=lambda entry: entry["valid_error"])
    assert record["valid"]["accuracy"] == best["valid_accuracy"]
    assert set(record["data_sha256"]) == {"train", "valid", "test"}
    assert record["published"] == {}
    assert record["command"].startswith(
        "python number_prediction/train_RL10_1.py --length 5"
    )
    assert result.startswith("test: accuracy ") and result.count("\n") == 1
    assert here(*TINY, *flags, "--resume", *NOTES) == 0
    again = capsys.readouterr()
    assert "finished already" in again.err.splitlines()
    assert again.out == result


@pytest.mark.parametrize(
    ("shares", "best"), [((1.0, 0.5), 1), ((0.5, 0.5), 1), ((0.5, 1.0), 2)]
)
def test_the_best_weights_are_measured_and_not_the_last(
    shares, best, here, monkeypatch
):
    """Of equally good ones the first."""
    flags = [*TINY, "--model", "lstm", "--name"]
    assert here(*flags, "one", "--epoch", str(best)) == 0
    as_found, of_epochs = measuring.evaluate, iter(shares)

    def evaluate(args, scorer, examples, *options):
        found = as_found(args, scorer, examples, *options)
        if len(examples) == COUNTS["valid"]:
            share = next(of_epochs)
            found["correct"] = np.full(found["correct"].shape, share)
        return found

    monkeypatch.setattr(measuring, "evaluate", evaluate)
    assert here(*flags, "two") == 0
    one, two = outcome("one"), outcome("two")
    assert two["valid"] == {"accuracy": shares[best - 1], "epoch": best}
    assert two["best"] == one["last"]
    assert (two["last"] == two["best"]) == (best == 2)
    if best == 1:  # Of two epochs, `one` may have measured the first.
        assert two["test"] == one["test"]


@pytest.mark.parametrize("actions", ["greedy", "sampled"])
def test_the_dev_set_is_scored_by_the_actions_asked_for(
    actions, here, monkeypatch
):
    score, seen = ClassifierScorer.score, []

    def spy(scorer, inputs, *options, **named):
        seen.append((len(inputs), scorer.action_selection))
        return score(scorer, inputs, *options, **named)

    monkeypatch.setattr(ClassifierScorer, "score", spy)
    # Two epochs, of a step each.
    flags = "--batch_size 40 --n_actions 2 --eval_samples 2 --eval_actions"
    assert here(*TINY, *flags.split(), actions) == 0
    assert seen == [
        *[(COUNTS["valid"], actions)] * 2,
        (COUNTS["test"], "greedy"),
        (COUNTS["test"], "sampled"),
    ]


def test_models_beyond_the_memory_are_refused(here, capsys):
    for flags in ("--rnn_size 2000000000", "--n_actions 2000000000"):
        assert here(*TINY, *flags.split()) == 2
        assert "GiB of memory. Received: what needs" in one_line(capsys)
    assert not os.path.exists("runs")


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(
    here, capsys, monkeypatch
):
    """Though much has a state: baseline, patience, lengths, epochs."""
    flags = (
        "--recipe published_code --baseline value --patience 2 --n_actions 3 "
        "--symbols 3 --first_length 3 --length_step 2 --mark_pointer "
        "--eval_samples 2"
    )
    tiny = [*TINY, *flags.split()]
    symbols = parse(*tiny).symbols
    write(Path("data/number_prediction"), data.Settings(5, symbols=symbols))
    assert here(*tiny, "--name", "unbroken") == 0
    train = ClassifierTrainer.train_on_batch
    count, stops = [0], {3: signal.SIGTERM, 6: signal.SIGINT}

    def train_on_batch(trainer, *batch):
        count[0] += 1
        if count[0] in stops:
            signal.raise_signal(stops[count[0]])
        return train(trainer, *batch)

    monkeypatch.setattr(ClassifierTrainer, "train_on_batch", train_on_batch)
    capsys.readouterr()
    assert here(*tiny, "--name", "broken") == 130
    assert "the checkpoint of epoch 1, step 3, is kept" in one_line(capsys)
    assert here(*tiny, "--name", "broken", "--resume") == 130
    assert "the checkpoint of epoch 2, step 2, is kept" in one_line(capsys)
    assert here(*tiny, "--name", "broken", "--resume") == 0
    assert count[0] == 8
    assert outcome("broken") == outcome("unbroken")
    capsys.readouterr()
    changed = ["--resume", "--forget_bias", "0.5", "--rnn_size", "7"]
    Path("runs/broken/result.json").unlink()
    assert here(*tiny, "--name", "broken", *changed) == 2
    message = one_line(capsys)
    assert "--rnn_size 6, now 7; --forget_bias 1.0, now 0.5" in message


def test_a_run_that_diverged_goes_on_with_a_lower_rate(
    here, capsys, monkeypatch
):
    flags = [*TINY, "--model", "lstm", "--max_steps", "3", "--name", "a"]
    with monkeypatch.context() as patch:
        patch.setattr(
            ClassifierTrainer,
            "train_on_batch",
            lambda *_: float("nan"),
        )
        assert here(*flags, "--learning_rate", "0.5") == 1
    assert "--resume with a lower --learning_rate" in one_line(capsys)
    assert here(*flags, "--learning_rate", "0.01", "--resume") == 0
    record = results.load("runs/a")
    (rate,) = record["rates"]
    assert (rate["before"], rate["learning_rate"]) == (0.5, 0.01)
    assert record["settings"]["learning_rate"] == 0.01
    assert record["run"] == RunFolder("runs/a").provenance()["run"]


def test_of_several_seeds_one_that_diverged_goes_on_alone(
    here, capsys, monkeypatch
):
    """By the words of the message: the others keep their rate."""
    flags = [*TINY, "--model", "lstm", "--max_steps", "2"]
    name = ["--name", "a b"]
    assert here(*flags, *name, "--seeds", "1") == 0
    with monkeypatch.context() as patch:
        patch.setattr(
            ClassifierTrainer,
            "train_on_batch",
            lambda *_: float("nan"),
        )
        assert here(*flags, *name, "--seeds", "2", "3") == 1
    message = one_line(capsys)
    command = re.search(
        "; (--.*), in place of --seeds, with a lower --", message
    )
    given = shlex.split(command[1])
    assert given == ["--seed", "2", "--name", "a b-seed2", "--resume"]
    assert here(*flags, *given, "--learning_rate", "1e-4") == 0
    assert here(*flags, *name, "--seeds", "1", "3", "--resume") == 0
    rates = [
        results.load(f"runs/a b-seed{n}")["settings"]["learning_rate"]
        for n in (1, 2, 3)
    ]
    assert rates[0] == rates[2] > rates[1] == 1e-4


def test_several_seeds_are_several_runs(here, capsys):
    flags = [*TINY, "--name", "a", "--model", "lstm", "--max_steps", "2"]
    assert here(*flags, "--seeds", "4") == 0
    assert here(*flags, "--seeds", "6", "4") == 2
    assert "a-seed4: exists already" in one_line(capsys)
    assert not os.path.exists("runs/a-seed6")
    assert here(*flags, "--seeds", "4", "5", "--resume", *NOTES) == 0
    said = capsys.readouterr().err
    assert said.count("finished already") == 1
    assert sorted(os.listdir("runs")) == ["a-seed4", "a-seed5"]
    hashes = {outcome(f"a-seed{n}")["best"] for n in (4, 5)}
    assert len(hashes) == 2
    alone = [*flags[:-4], "--model", "lstm", "--max_steps", "2"]
    alone[alone.index("a")] = "alone"
    assert here(*alone, "--seed", "5") == 0
    assert outcome("alone") == outcome("a-seed5")


def test_a_run_can_be_measured_again(here, capsys):
    flags = [*TINY, *"--eval_samples 2 --max_steps 1 --name a".split()]
    assert here(*flags) == 0
    test = capsys.readouterr().out
    record, before = results.load("runs/a"), sorted(os.listdir("runs/a"))
    # The settings are those of the run; the same ones are none too many.
    shown = ["--load_model", "runs/a", "--eval_samples", "2"]
    assert here(*shown, "--rnn_size", "6", *NOTES) == 0
    found, said = capsys.readouterr()
    assert said == "runs/a: best weights, of epoch 1\n"
    valid, again = found.splitlines(keepends=True)
    accuracy = 100 * record["valid"]["accuracy"]
    assert valid.startswith(f"valid: accuracy {accuracy:.2f} % (sampled ")
    assert again == test
    assert here(*shown, "--split", "train", "test") == 0
    train, again = capsys.readouterr().out.splitlines(keepends=True)
    assert train.startswith("train: accuracy ") and again == test
    assert os.listdir("runs") == ["a"]
    assert sorted(os.listdir("runs/a")) == before
    # Data that are elsewhere now.
    os.rename("data", "moved")
    assert here(*shown, "--split", "test") == 3
    assert "num_train5_1.npz must be there" in one_line(capsys)
    where = ["--data_dir", "moved/number_prediction", "--split", "test"]
    assert here(*shown, *where) == 0
    assert capsys.readouterr().out == test
    for path in Path("moved/number_prediction").iterdir():
        path.unlink()
    write(Path("moved/number_prediction"), data.Settings(5, seed=2))
    assert here(*shown, *where) == 2
    assert "trained on, --data_dir tells where; " in one_line(capsys)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            "--load_model runs/a --rnn_size 7 --epoch 2 --seed 1",
            "runs/a: was trained with other settings: --rnn_size 6, now 7; "
            "--seed 3435, now 1. Leave these flags out.",
        ),
        ("--load_model runs/b", "runs/b/config.json: no such file"),
        (
            "--load_model runs/a",
            "runs/a/checkpoints/best.npz: no such file; a run writes it after",
        ),
        (
            "--load_model runs/other",
            "runs/other: must be a run of number_prediction. "
            "Received: one of 'language_modeling'",
        ),
    ],
)
def test_what_cannot_be_measured_again_is_one_line(
    flags, message, here, capsys
):
    settings = TASK.of_run(parse(*TINY))
    for name, of in (("a", TASK.name), ("other", "language_modeling")):
        config = {"task": of, "settings": settings, "data_sha256": {}}
        RunFolder.create("runs", name, config).close()
    if "--rnn_size" in flags:
        Path("runs/a/checkpoints").mkdir(exist_ok=True)
        Path("runs/a/checkpoints/best.npz").touch()
    assert here(*flags.split()) == 2
    assert message in one_line(capsys)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--split test", "--split: needs --load_model, the run to show."),
        ("--load_model a --split all", "--split: invalid choice: 'all'"),
        ("--load_model a --split", "--split: expected at least one argument"),
        ("--load_model=", "--load_model: must be a name. Received: ''"),
        ("--load_model a --resume --name b", "--load_model trains nothing"),
        ("--load_model a --seeds 1", "--load_model trains nothing"),
    ],
)
def test_flags_of_a_run_to_measure_again(flags, message, capsys):
    with pytest.raises(SystemExit) as stop:
        parse(*flags.split())
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error


CHOICES = [
    "--model lstm",
    "--model attention --lamda 0.5",
    "--model fixed_skip --skip 2",
    "--n_actions 1",
    "--recipe paper",
    "--recipe published_code",
    "--policy uniform",
    "--policy oracle",
    "--estimator straight_through",
    "--rollouts 2 --baseline leave_one_out --credit all",
    "--baseline value --policy_positions 4",
    "--symbols 7 --index_from start --length 6 --lamda 0.5",
    "--symbols 3 --length 6 --first_length 4 --epoch 3",
    "--symbols 3 --length 6 --first_length 4 --length_step 2 --mark_pointer",
]


@pytest.mark.parametrize("flags", CHOICES)
def test_every_choice_trains(flags, tmp_path):
    args = parse(*TINY, *flags.split())
    wanted = data.Settings(args.length, args.index_from, args.symbols)
    classifier = building.build_model(args)
    trainer = building.build_trainer(args, classifier)
    trainer.run_eagerly = True
    trainer.jit_compile = False
    before = {v.path: np.array(v) for v in trainer.trainable_variables}
    examples = data.draw(wanted, "train", 20)
    for epoch in range(1, 1 + (args.epoch if args.first_length else 1)):
        batches = task.batches(args, only_train(examples))(epoch)
        for n in range(2):
            assert np.isfinite(trainer.train_on_batch(*batches[n]))
    learns = kinds.learns(args)
    for variable in trainer.trainable_variables:
        changed = np.any(np.array(variable) != before[variable.path])
        assert changed == (learns or "policy" not in variable.path)
    with uncompiled():
        args.jit = False
        measured = measuring.measure(args, classifier, examples)
    drawn = learns or args.policy == "uniform" and args.model != "lstm"
    assert ("sampled_n" in measured) == drawn
    assert ("policy" in measured) == learns


@pytest.mark.parametrize("index_from", ["last10", "start"])
def test_the_route_of_the_oracle_is_one_hop(index_from):
    flags = f"--policy oracle --length 20 --index_from {index_from} "
    args = parse(*f"{flags} --n_actions 21".split())
    examples = data.draw(data.Settings(20, index_from), "test", 300)
    look_back = np.array(building.imposer(args)(ops.array(examples.inputs), 0))
    found = measuring.route(args, examples, look_back)
    assert (found["digit_reached"], found["hops"]) == (1.0, 1.0)
    steps = np.array(found["policy_by_step"])
    assert steps.shape == (21, 21)
    np.testing.assert_array_equal(steps[:20, 0], 1.0)
    assert steps[20].max() < 0.2
    # One step too far it misses all but those behind it.
    look_back[:, -1] += 1
    found = measuring.route(args, examples, look_back)
    assert (found["digit_reached"], found["hops"]) == (0.0, None)
    # One step less, and the previous state is what was asked for.
    look_back[:, -1] -= 2
    near = look_back[:, -1] == 0  # The last state itself.
    look_back[near, -1] = 1
    found = measuring.route(args, examples, look_back)
    assert found["digit_reached"] == 1.0
    assert found["hops"] == pytest.approx(2.0 - near.mean())


@pytest.mark.parametrize("policy", ["oracle", "uniform"])
def test_a_control_acts_in_training_and_when_measured(policy, monkeypatch):
    args = parse(*TINY, "--policy", policy, "--no-jit")
    classifier = building.build_model(args)
    examples = data.draw(data.Settings(5), "train", 250)
    imposed = building.imposer(args)
    if policy == "oracle":
        expected = np.array(imposed(ops.array(examples.inputs), None))
    trainer = building.build_trainer(args, classifier)
    seen = []

    def spy(scorer, inputs, labels, *, look_back, **options):
        seen.append((look_back, scorer.action_selection))
        return {key: np.ones((1, 20)) for key in ("nll", "correct")}

    monkeypatch.setattr(ClassifierScorer, "score", spy)
    measuring.measure(args, classifier, examples)
    seed = keras.random.SeedGenerator(1)
    trained = np.array(trainer.impose(ops.array(examples.inputs), seed))
    if policy == "oracle":
        ((measured, actions),) = seen
        np.testing.assert_array_equal(measured, expected)
        np.testing.assert_array_equal(trained, expected)
        assert actions == "greedy"
    else:
        assert len(seen) == args.eval_samples
        for distances in (trained, *(distances for distances, _ in seen)):
            assert set(distances.flat) == set(range(1, 11))
        assert np.any(seen[0][0] != seen[1][0])
        # No part repeats another.
        assert len(np.unique(seen[0][0], axis=0)) > 240


def test_training_goes_from_short_sequences_to_long_ones():
    flags = "--length 14 --first_length 11 --length_epochs 2 --epoch 7"
    args = parse(*flags.split())
    splits = only_train(data.draw(data.Settings(14), "train", 100))
    batches = task.batches(args, splits)
    lengths = [batches(epoch)[0][0].shape[1] for epoch in range(1, 10)]
    assert lengths == [12, 12, 13, 13, 14, 14, 15, 15, 15]
    args = parse(*flags.split(), "--length_step", "2")
    batches = task.batches(args, splits)
    lengths = [batches(epoch)[0][0].shape[1] for epoch in range(1, 7)]
    assert lengths == [12, 12, 14, 14, 15, 15]


def test_a_step_of_one_digit_is_the_default():
    flags = "--length 12 --first_length 10".split()
    one = TASK.of_run(parse(*flags, "--length_step", "1"))
    assert one == TASK.of_run(parse(*flags))


def test_a_marked_pointer_is_a_symbol_of_its_own(monkeypatch):
    args = parse(*TINY, "--mark_pointer", "--policy", "oracle", "--no-jit")
    examples = data.draw(data.Settings(5), "train", 20)
    marked = examples.inputs.astype(int)
    marked[:, -1] += 10
    read, _ = task.batches(args, only_train(examples))(1)[0]
    assert set(map(tuple, read)) <= set(map(tuple, marked))
    np.testing.assert_array_equal(
        measuring.symbols_read(args, examples), marked
    )
    assert examples.inputs.max() < 10
    imposed = building.imposer(args)
    for symbols in (marked, examples.inputs):
        np.testing.assert_array_equal(
            imposed(ops.array(symbols), None)[:, -1],
            5 - examples.inputs[:, -1].astype(int),
        )
    classifier = building.build_model(args)
    assert (classifier.num_symbols, classifier.num_classes) == (20, 10)
    seen = []

    def spy(scorer, inputs, labels, **options):
        seen.append(inputs)
        return {key: np.ones((1, 20)) for key in ("nll", "correct")}

    monkeypatch.setattr(ClassifierScorer, "score", spy)
    measuring.measure(args, classifier, examples)
    np.testing.assert_array_equal(seen, [marked])


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_reaches_signal_and_layer(name):
    args = parse("--recipe", name)
    trainer = building.build_trainer(args, building.build_model(args))
    (layer,) = trainer.classifier.recurrent_layers
    built = {**layer.get_config(), **trainer.signal.get_config()}
    expected = {key: x for key, x in RECIPES[name].items() if key in built}
    assert {"sequence_entropy_weight", "entropy_weight"} <= expected.keys()
    assert {key: built[key] for key in expected} == expected


def test_flags_reach_the_signal():
    args = parse("--recipe", "published_code")
    trainer = building.build_trainer(args, building.build_model(args))
    signal = trainer.signal
    assert (signal.reward, signal.credit) == ("correct", "all")
    assert (signal.probability_offset, signal.policy_weight) == (1.0, 0.1)
    assert trainer.task_weight == 0.1
    layer = trainer.classifier.recurrent_layers[0]
    assert (layer.observation, layer.empty_slots) == ("mean", "zeros")
    both = (trainer.optimizer.optimizer, trainer.optimizer.policy_optimizer)
    assert [one.epsilon for one in both] == [1e-8, 1e-8]
    args = parse("--agent_learning_rate", "0.5", "--lamda", "0.25")
    trainer = building.build_trainer(args, building.build_model(args))
    assert float(trainer.optimizer.policy_optimizer.learning_rate) == 0.5
    assert trainer.classifier.recurrent_layers[0].skip_weight == 0.25
    assert trainer.signal.entropy_weight == 0.03
    flags = "--rollouts 3 --baseline leave_one_out --temperature 0.5 "
    flags += "--policy_units 7 --policy_positions 11"
    args = parse(*flags.split())
    trainer = building.build_trainer(args, building.build_model(args))
    signal = trainer.signal
    assert (signal.num_rollouts, signal.baseline) == (3, "leave_one_out")
    (layer,) = trainer.classifier.recurrent_layers
    assert (layer.policy_units, layer.policy_positions) == (7, 11)
    assert layer.temperature == 0.5
    args = parse("--estimator", "straight_through")
    assert building.build_model(args).recurrent_layers[0].estimator == (
        "straight_through"
    )


def test_parameters_of_the_published_sizes():
    def count(*flags):
        return building.build_model(parse(*flags)).count_params()

    assert count("--model", "lstm") == 168_800 + 2_010
    assert count() == 168_800 + 2_010 + 2_220
    assert count("--policy_units", "50") == 168_800 + 2_010 + 11_060


def test_six_numbers_are_learned(tmp_path, monkeypatch):
    """T = 6, as a user trains it, in under 20 seconds of two processors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(startup, "keep_freed_memory", lambda: None)
    write(
        tmp_path, data.Settings(5), {"train": 30_000, "valid": 500, "test": 500}
    )
    flags = "--length 5 --n_actions 5 --rnn_size 64 --learning_rate 3e-3 "
    flags += "--agent_learning_rate 5e-3 --entropy_weight 0.1 --epoch 2 "
    flags += f"--eval_samples 2 --name a --data_dir {tmp_path} "
    flags += "--no-jit"  # Compiling takes longer than training.
    monkeypatch.setattr(sys, "argv", ["train_RL10_1.py", *flags.split()])
    started = time.process_time()  # What else runs there is not counted.
    assert train_RL10_1.main(TASK.parse(flags.split())) == 0
    seconds = time.process_time() - started
    record = results.load("runs/a")
    assert record["test"]["accuracy"] == 1.0
    assert record["test"]["accuracy_sampled_mean"] > 0.98
    policy = np.array(record["test"]["policy"])
    assert record["test"]["digit_reached"] == record["test"]["hops"] == 1.0
    # Digit b of five is 5 - b steps back.
    assert np.all(policy[:5].argmax(axis=1) == np.arange(5)[::-1])
    assert seconds < 40.0
