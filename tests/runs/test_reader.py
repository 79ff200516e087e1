"""What a run tells: its configuration, and its checkpoints come back.

What can be wrong with the files of checkpoints is in `test_checkpoints.py`.
"""

import cases
import keras
import numpy as np
import pytest
import small_models
from one_run import CONFIG, DATA, SETTINGS, one_line

import dsl
from dsl.policy.signal import PolicySignal
from dsl.runs.folder import DivergedError, RunError, RunFolder
from dsl.training.optimizers import GroupedOptimizer


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
    model = trainer()
    folder.save_last(model, {})
    whole = folder.last.read_bytes()
    model.language_model.softmax_bias.assign(np.full(small_models.WORDS, value))
    with pytest.raises(DivergedError, match="softmax_bias"):
        folder.save_last(model, {})
    assert folder.last.read_bytes() == whole


@pytest.mark.parametrize("which", ["best", "last"])
def test_a_checkpoint_of_another_run_is_refused(which, folder, tmp_path):
    model = trainer()
    folder.save_last(model, {})
    folder.save_best(model.language_model, {})
    config = {**CONFIG, "settings": {"seed": 8}}
    other = RunFolder.create(tmp_path, "other", config)
    path = getattr(other, which)
    path.write_bytes(getattr(folder, which).read_bytes())
    before = everything(model)
    with pytest.raises(RunError) as error:
        if which == "last":
            other.load_last(model)
        else:
            other.load_best(model.language_model)
    assert one_line(error).startswith(f"{path}: belongs to another run")
    for left, right in zip(everything(model), before, strict=True):
        np.testing.assert_array_equal(left, right)
    other.close()


def test_a_last_checkpoint_that_does_not_say_where_it_stands(folder):
    model = trainer()
    folder.save_best(model, {})
    folder.best.rename(folder.last)
    with pytest.raises(RunError, match="must hold where the training"):
        folder.load_last(model)


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
    assert list(folder.best.parent.iterdir()) == [folder.best]


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
