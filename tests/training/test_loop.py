"""Training that is cut, fails or diverges, and goes on from its checkpoint."""

import errno
import json
import math
import os
import signal

import cases
import keras
import numpy as np
import pytest
import small_models
from keras import ops
from small_models import ACTIONS, BATCH, STEPS, WORDS

from dsl.models import cross_entropy
from dsl.policy.acting import Acting
from dsl.policy.signal import PolicySignal
from dsl.runs.folder import DivergedError, RunError, RunFolder
from dsl.scoring.streams import score
from dsl.seeds import drawing_from
from dsl.training import loop, schedules
from dsl.training.optimizers import GroupedOptimizer

CONFIG = {"settings": {"seed": 1}, "data_sha256": {}}
SEGMENTS, EPOCHS = 3, 3
TEXT = small_models.text(BATCH * (SEGMENTS * STEPS + 1), seed=8)
# What is made anew many times has few steps.
FEW = 2
SHORT = small_models.text(BATCH * (SEGMENTS * FEW + 1), seed=8)
ONE_SEGMENT = SHORT[: BATCH * (FEW + 1)]


@pytest.fixture
def run(tmp_path):
    run = RunFolder.create(tmp_path, "a run", CONFIG)
    yield run
    run.close()


@pytest.fixture
def other(tmp_path):
    run = RunFolder.create(tmp_path, "another run", CONFIG)
    yield run
    run.close()


def greedy_trainer(signal=None, optimizer=None, **options):
    model = small_models.build(action_selection="greedy")
    return small_models.trainer(model, signal, optimizer, **options)


def test_a_repeated_text_is_learned(run):
    trainer = small_models.trainer(
        small_models.build(),
        PolicySignal(baseline="leave_one_out", num_rollouts=2),
        GroupedOptimizer(
            keras.optimizers.SGD(0.5), keras.optimizers.Adam(1e-2), max_norm=5.0
        ),
        graph=True,
    )
    tokens = np.tile([1, 4, 2, 9, 7], 60)
    steps = []
    first, second = small_models.fit(
        trainer,
        tokens,
        run,
        max_epochs=2,
        on_step=lambda progress, *step: steps.append((progress.step, *step)),
    )
    # 300 tokens are 2 streams of 150: 21 segments of 7.
    assert (first["steps"], second["steps"]) == (21, 42)
    assert [s[:2] for s in steps] == 2 * [(n, 21) for n in range(1, 22)]
    assert steps[20][2] < 0.3 * steps[0][2]
    assert second["perplexity"] < 1.5 < first["perplexity"]
    found = score(trainer.language_model, tokens)
    assert math.exp(found["nll"].mean()) < 1.5


def test_an_epoch_starts_from_reset_states_and_may_end_early(run):
    found = small_models.fit(
        greedy_trainer(), TEXT, run, max_epochs=9, max_steps=5
    )
    assert [epoch["steps"] for epoch in found] == [3, 5]
    rows = TEXT.reshape(BATCH, -1)
    for epoch, segments in zip(found, (3, 2), strict=True):
        end = segments * STEPS
        right = small_models.oracle(rows[:, :end])
        nll = small_models.nll(right["logits"], rows[:, 1 : end + 1])
        np.testing.assert_allclose(
            epoch["perplexity"], np.exp(nll.mean()), rtol=1e-4
        )


def test_what_is_measured_after_an_epoch_is_given_its_steps_and_time(run):
    calls = []

    def finish_epoch(statistics):
        calls.append(statistics)
        return {"valid": 9.0 - len(calls), "shares": statistics["histogram"]}

    shown = []
    entries = small_models.fit(
        greedy_trainer(),
        TEXT,
        run,
        max_epochs=2,
        max_steps=5,
        finish_epoch=finish_epoch,
        monitor="valid",
        on_epoch=shown.append,
    )
    assert [statistics["steps"] for statistics in calls] == [3, 2]
    assert all(statistics["seconds"] > 0.0 for statistics in calls)
    assert shown == entries
    assert [
        (e["epoch"], e["learning_rate"], e["valid"], e["steps"])
        for e in entries
    ] == [(1, 0.0, 8.0, 3), (2, 0.0, 7.0, 5)]
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == entries
    assert set(entries[0]) == {
        *("epoch", "learning_rate", "valid", "shares", "seconds", "steps")
    }


def test_a_text_without_a_segment(run):
    with pytest.raises(ValueError, match="at least one batch. Received: 0"):
        small_models.fit(greedy_trainer(), TEXT[: BATCH * STEPS], run)


def learner(agent=None, agent_rate=0.05, **options):
    """A trainer of its own, as a new process makes it from its seed."""
    keras.utils.set_random_seed(6)
    model = small_models.build(dropout=0.3)
    own = agent_rate and keras.optimizers.Adam(agent_rate)
    return small_models.trainer(
        model,
        agent and PolicySignal(**agent),
        GroupedOptimizer(keras.optimizers.SGD(0.4), own or None, max_norm=2.0),
        steps=FEW,
        seed=9,
        **options,
    )


def fit(trainer, run, tokens=SHORT, **options):
    """Three epochs, whose learning rate and best weights hang on draws."""
    model = trainer.language_model
    rows = ops.array(small_models.text(8, seed=3).reshape(BATCH, 4))

    def finish_epoch(statistics):
        with drawing_from(model, 5):
            sampled = Acting(action_selection="sampled")
            outputs = model(rows[:, :-1], acting=sampled)
        nll = cross_entropy.token_nll(outputs["logits"], rows[:, 1:])
        return {**statistics, "valid": float(ops.mean(nll))}

    options = {
        "finish_epoch": finish_epoch,
        "monitor": "valid",
        "max_epochs": EPOCHS,
        **options,
    }
    return small_models.fit(
        trainer,
        tokens,
        run,
        steps=FEW,
        schedule=schedules.Schedule(0.4, factor=0.5, margin=0.2),
        **options,
    )


def arrays(path):
    """What a checkpoint holds, and the types of it."""
    with np.load(path) as archive:
        found = [archive[n] for n in archive.files if n != "state.json"]
    return [array.dtype for array in found], found


def timeless(entries):
    return [
        {key: value for key, value in entry.items() if key != "seconds"}
        for entry in entries
    ]


def assert_same_end(run, entries, other, expected):
    """Every bit but the clock's."""
    assert timeless(entries) == timeless(expected)
    for name in ("last", "best"):
        left, right = (arrays(getattr(x, name)) for x in (run, other))
        assert left[0] == right[0]
        for one, two in zip(left[1], right[1], strict=True):
            np.testing.assert_array_equal(one, two)
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == entries


def until_done(make, run, **options):
    """Starts anew after each interrupt; entries, and how many there were."""
    for count in range(99):
        try:
            return fit(make(), run, **options), count
        except KeyboardInterrupt:
            continue
    raise AssertionError("it does not get on")


AGENTS = {
    "running mean, late": dict(
        agent=dict(
            baseline="running_mean",
            entropy_weight=0.5,
            final_entropy_weight=0.1,
            entropy_steps=5,
        ),
        policy_start=4,
    ),
    "value, two rollouts, one optimizer": dict(
        agent=dict(baseline="value", value_units=3, num_rollouts=2),
        agent_rate=None,
    ),
    "random": dict(
        look_back_shares=[1.0, 2.0, 1.0], agent_rate=None, keep_buffer=False
    ),
}


@pytest.mark.parametrize("agent", AGENTS)
def test_a_run_that_is_stopped_at_every_step_ends_in_the_same_bits(
    agent, run, other
):
    def make():
        return learner(**AGENTS[agent])

    # Into the second epoch.
    length = {"max_epochs": 2, "max_steps": SEGMENTS + 2}
    expected = fit(make(), other, **length)
    entries, stops = until_done(
        make,
        run,
        on_step=lambda *_: signal.raise_signal(signal.SIGTERM),
        **length,
    )
    assert (len(entries), stops) == (2, SEGMENTS + 2)
    assert_same_end(run, entries, other, expected)


def reinforce():
    return learner(**AGENTS["running mean, late"])


@pytest.mark.backend
def test_a_compiled_run_that_was_stopped_ends_in_the_same_bits(run, other):
    def stop(progress, steps, loss):
        if progress.steps == 2:
            signal.raise_signal(signal.SIGINT)

    def train(run, **options):
        trainer = learner(**AGENTS["running mean, late"], graph=True)
        return small_models.fit(trainer, SHORT, run, steps=FEW, **options)

    with pytest.raises(KeyboardInterrupt):
        train(run, on_step=stop)
    entries, expected = train(run, on_step=stop), train(other)
    assert_same_end(run, entries, other, expected)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """A run of this agent, and what was kept of its epochs."""
    run = RunFolder.create(tmp_path_factory.mktemp("a"), "run", CONFIG)
    entries = fit(reinforce(), run)
    assert len({entry["learning_rate"] for entry in entries}) > 1
    yield run, entries
    run.close()


def test_a_stop_in_the_validation_or_after_it_loses_nothing(run, unbroken):
    steps = []

    def stop_once(statistics):
        steps.append(statistics["steps"])
        if len(steps) % 2:
            raise KeyboardInterrupt
        return {**statistics, "valid": valid.pop(0)}

    valid = [entry["valid"] for entry in unbroken[1]]
    entries, stops = until_done(
        reinforce,
        run,
        finish_epoch=stop_once,
        on_epoch=lambda _: signal.raise_signal(signal.SIGINT),
    )
    # The last signal comes once there is nothing left to train.
    assert (stops, steps) == (2 * EPOCHS, [3] * 6)
    assert_same_end(run, entries, *unbroken)


@pytest.mark.parametrize(
    ("values", "epochs"),
    [
        ([4.0, 5.0, 3.0, 3.0, 3.5, 1.0], 5),
        ([4.0, 3.0, 2.0, 1.0], 4),
        ([4.0, 3.0, 2.0, 0.0, 0.0], 4),
    ],
)
def test_training_ends_when_nothing_gets_better(values, epochs, run):
    """After two epochs in a row, a stop between them or not; at 0 at once."""
    left = iter(values)

    def on_epoch(entry):
        if entry["epoch"] == 4:
            signal.raise_signal(signal.SIGINT)

    entries, stops = until_done(
        learner,
        run,
        finish_epoch=lambda statistics: {"valid": next(left)},
        on_epoch=on_epoch,
        max_epochs=len(values),
        patience=2,
        tokens=ONE_SEGMENT,
    )
    assert (len(entries), stops) == (epochs, 1)


@pytest.mark.parametrize(
    ("values", "floor", "epochs"),
    [
        ([-1.0, -3.0, -2.0, -2.5, -9.0], None, 4),
        ([-1.0, -2.0, -3.0], -2.0, 2),
        ([-1.0, -2.0, 0.0], 0.0, 3),
        ([1.0, 0.0, 2.0, -1.0, 3.0], None, 5),
        ([1.0, 0.0, -1.0], 0.0, 2),
    ],
)
def test_what_is_monitored_may_be_negative(values, floor, epochs, run):
    left = iter(values)
    trainer = learner()
    entries = fit(
        trainer,
        run,
        finish_epoch=lambda statistics: {"valid": next(left)},
        max_epochs=len(values),
        patience=2,
        floor=floor,
        tokens=ONE_SEGMENT,
    )
    assert [entry["valid"] for entry in entries] == values[:epochs]
    best = min(values[:epochs])
    assert run.load_best(trainer.language_model)["valid"] == best
    assert run.load_last(trainer)["best"] == best


class Killed(BaseException):
    """What no handler awaits."""


@pytest.mark.parametrize("every", [4, 100])
def test_a_killed_run_repeats_the_steps_since_its_checkpoint(
    every, run, unbroken
):
    done = []

    def kill(progress, steps, loss):
        done.append(progress.steps)
        if len(done) == 6:
            raise Killed

    with pytest.raises(Killed):
        fit(reinforce(), run, on_step=kill, checkpoint_every=every)
    entries = fit(reinforce(), run, on_step=kill, checkpoint_every=every)
    # Killed before the checkpoint of step 6; one follows each epoch anyway.
    last = {4: 4, 100: 3}[every]
    assert done == [*range(1, 7), *range(last + 1, 10)]
    assert_same_end(run, entries, *unbroken)


@pytest.mark.parametrize(
    ("name", "time"), [("last.npz", 3), ("best.npz", 1), ("metrics.jsonl", 2)]
)
def test_a_full_disk_ends_the_run_and_loses_no_checkpoint(
    name, time, run, unbroken, monkeypatch
):
    replace, names = os.replace, []

    def full(source, target):
        names.append(os.path.basename(target))
        if names[-1] == name and names.count(name) == time:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        fit(reinforce(), run, checkpoint_every=2)
    assert not list(run.path.rglob("*.tmp"))
    entries = fit(reinforce(), run, checkpoint_every=2)
    assert_same_end(run, entries, *unbroken)


def test_the_best_weights_are_of_the_smallest_value(run):
    trainer, weights = learner(), []

    def finish_epoch(statistics):
        weights.append(trainer.language_model.get_weights())
        return {**statistics, "valid": [3.0, 2.0, 2.0][len(weights) - 1]}

    fit(trainer, run, finish_epoch=finish_epoch)
    model = small_models.build()
    assert run.load_best(model)["epoch"] == 2
    for left, right in zip(model.get_weights(), weights[1], strict=True):
        np.testing.assert_array_equal(left, right)
    assert any(np.any(x != y) for x, y in zip(*weights[1:], strict=True))


def spoil_after(step, trainer, value, name="softmax_bias"):
    """An `on_step` that ruins a weight."""

    def on_step(progress, steps, loss):
        if progress.steps == step:
            bias = getattr(trainer.language_model, name)
            bias.assign([0.0] + [value] * (WORDS - 1))

    return on_step


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_diverged_loss_ends_the_run(value, run):
    """NaN; or infinite, where the words to come have probability 0."""
    trainer, steps_done = greedy_trainer(steps=FEW), []
    spoil = spoil_after(5, trainer, value)

    def on_step(progress, *rest):
        steps_done.append(progress.step)
        spoil(progress, *rest)

    with pytest.raises(
        DivergedError,
        match=f"loss={abs(value)} at step 3 of epoch 2",
    ):
        small_models.fit(
            trainer, SHORT, run, FEW, max_epochs=2, on_step=on_step
        )
    assert steps_done == [1, 2, 3, 1, 2]


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("step", [5, 6])
def test_weights_that_are_no_numbers_are_not_saved(step, value, run):
    """Within an epoch, and at its end."""
    trainer = greedy_trainer(steps=FEW)
    on_step = spoil_after(step, trainer, value)
    with pytest.raises(DivergedError, match="softmax_bias with NaN"):
        small_models.fit(
            trainer,
            SHORT,
            run,
            FEW,
            max_epochs=2,
            on_step=on_step,
            checkpoint_every=1,
        )
    fresh = greedy_trainer(steps=FEW)
    progress = loop.resume(fresh, run, schedules.Schedule(1.0, 1.0, 1))
    assert (progress.epoch, progress.steps) == (2, step - 1)
    for variable in fresh.trainable_variables:
        assert np.isfinite(cases.to_numpy(variable)).all()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_validation_that_is_no_number_ends_the_run(value, run):
    trainer = greedy_trainer()
    values = iter([4.0, value])

    def finish_epoch(statistics):
        return {"valid": next(values)}

    with pytest.raises(
        DivergedError, match=f"valid.*Received: {value} after epoch 2"
    ):
        fit(trainer, run, finish_epoch=finish_epoch)
    model = small_models.build()
    assert run.load_best(model)["epoch"] == 1
    (line,) = (run.path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["valid"] == 4.0


def test_a_training_perplexity_beyond_all_numbers_is_divergence(run):
    def finish_epoch(statistics):
        return {"valid": 4.0, "perplexity": math.inf}

    with pytest.raises(DivergedError, match="perplexity"):
        fit(greedy_trainer(), run, finish_epoch=finish_epoch)


def test_a_checkpoint_of_another_run_is_refused(run, tmp_path):
    small_models.fit(greedy_trainer(), TEXT, run)
    config = {**CONFIG, "settings": {"seed": 2}}
    other = RunFolder.create(tmp_path, "second", config)
    other.last.write_bytes(run.last.read_bytes())
    trainer = greedy_trainer()
    before = [cases.to_numpy(v) for v in trainer.variables]
    with pytest.raises(RunError, match="belongs to another run"):
        loop.resume(trainer, other, schedules.Schedule(1.0, 1.0, 1))
    for variable, value in zip(trainer.variables, before, strict=True):
        np.testing.assert_array_equal(cases.to_numpy(variable), value)
    other.close()


def test_the_best_weights_must_be_there_to_go_on(run):
    """Nothing better may come, and then there is nothing to measure."""
    small_models.fit(greedy_trainer(), SHORT, run, FEW, max_epochs=1)
    run.best.unlink()
    with pytest.raises(RunError, match="best.npz: no such file"):
        loop.resume(
            greedy_trainer(steps=FEW), run, schedules.Schedule(1.0, 1.0, 1)
        )


def test_a_finished_run_trains_no_more(run):
    entries = small_models.fit(greedy_trainer(), TEXT, run)
    again = small_models.fit(
        greedy_trainer(), TEXT, run, on_step=lambda *_: pytest.fail("a step")
    )
    assert again == entries and entries[0]["histogram"] != [0.0] * ACTIONS


def test_a_step_beyond_an_epoch_is_refused(run):
    trainer = greedy_trainer(steps=FEW)
    small_models.fit(trainer, SHORT, run, FEW, max_epochs=1)
    saved = run.load_last(trainer)
    beyond = {**saved, "step": 4, "steps": saved["steps"] + 4}
    run.save_last(trainer, beyond)
    with pytest.raises(
        RunError, match="last.npz: must be of a step of an epoch of 3. Rec"
    ):
        small_models.fit(trainer, SHORT, run, FEW, max_epochs=2)
    run.save_last(trainer, {**saved, "step": True})
    with pytest.raises(RunError, match="last.npz: was not written by"):
        small_models.fit(trainer, SHORT, run, FEW, max_epochs=2)


@pytest.mark.parametrize("saved", [None, [], 3])
def test_a_checkpoint_without_progress_is_no_fresh_start(saved, run):
    trainer = greedy_trainer(steps=FEW)
    run.save_last(trainer, saved)
    with pytest.raises(RunError, match="must hold where the training"):
        small_models.fit(trainer, SHORT, run, FEW)
    assert run.describe_last() == "its last checkpoint cannot be read"


# Going on after it diverged, with a lower rate.

RATE = 0.4


def config_of(rate=RATE):
    return {**CONFIG, "settings": {"seed": 1, "learning_rate": rate}}


@pytest.fixture
def start(tmp_path):
    """Function that makes a run with a rate."""
    runs = []

    def make(name, rate=RATE):
        runs.append(RunFolder.create(tmp_path, name, config_of(rate)))
        return runs[-1]

    yield make
    for run in runs:
        run.close()


def train_short(trainer, run, values, rate=RATE, max_epochs=None, **options):
    """Trains on one segment an epoch; the values are those to validate."""
    left = iter(values)
    return small_models.fit(
        trainer,
        ONE_SEGMENT,
        run,
        FEW,
        schedule=schedules.Schedule(rate, factor=0.5, constant_epochs=1),
        finish_epoch=lambda statistics: {"valid": next(left)},
        monitor="valid",
        max_epochs=max_epochs or len(values),
        **options,
    )


def diverge(run, values, rate=RATE):
    with pytest.raises(DivergedError):
        train_short(learner(), run, values, rate)


def lower(run, rate):
    run.close()
    folder, name = run.path.parent, run.path.name
    return RunFolder.resume(folder, name, config_of(rate))


def assert_same_weights(run, other):
    for name in ("last", "best"):
        pairs = zip(
            *(arrays(getattr(x, name))[1] for x in (run, other)), strict=True
        )
        for one, two in pairs:
            np.testing.assert_array_equal(one, two)


def test_a_run_that_diverged_in_its_first_epoch_starts_again(start):
    """And is the run that a lower rate would have been."""
    run, other = start("a"), start("b", 0.1)
    identity = run.provenance()["run"]
    diverge(run, [math.inf])
    assert run.last.exists() and not run.restart.path.exists()
    assert run.restart.describe() == (
        "--resume with a lower --learning_rate goes on from before epoch 1"
    )
    assert run.config()["diverged"] == {
        "epoch": 1,
        "steps": 1,
        "learning_rate": RATE,
    }
    # The same again ends where it ended.
    run.close()
    run = RunFolder.resume(run.path.parent, "a", config_of())
    diverge(run, [math.inf])
    run = lower(run, 0.1)
    entries = train_short(learner(), run, [3.0, 2.0], 0.1)
    expected = train_short(learner(), other, [3.0, 2.0], 0.1)
    assert timeless(entries) == timeless(expected)
    assert [entry["learning_rate"] for entry in entries] == [0.1, 0.05]
    assert_same_weights(run, other)
    (rate,) = run.config()["rates"]
    diverged = {"epoch": 1, "steps": 1, "learning_rate": RATE}
    assert rate == {
        "learning_rate": 0.1,
        "before": RATE,
        "epoch": 1,
        "steps": 0,
        "diverged": diverged,
    }
    assert "diverged" not in run.config()
    assert run.provenance() == {"run": identity, "rates": [rate]}
    run.close()


def test_a_run_that_diverged_goes_back_to_its_best_epoch(start):
    run, other = start("a"), start("b")
    diverge(run, [3.0, 2.0, 2.5, math.inf])
    assert run.restart.describe().endswith("goes on from before epoch 3")
    metrics = (run.path / "metrics.jsonl").read_text()
    train_short(learner(), other, [3.0, 2.0])
    run = lower(run, 0.1)
    trainer = learner()
    schedule = schedules.Schedule(0.1, factor=0.5, constant_epochs=1)
    progress = loop.resume(trainer, run, schedule)
    assert (progress.epoch, progress.step, progress.steps) == (3, 0, 2)
    assert schedule.rate == 0.1 * 0.25 and len(progress.entries) == 2
    # Nothing but the rate is another: not a weight, state or random number.
    assert_same_weights(run, other)
    fresh = learner()
    loop.resume(
        fresh, other, schedules.Schedule(RATE, factor=0.5, constant_epochs=1)
    )
    for one, two in zip(trainer.variables, fresh.variables, strict=True):
        np.testing.assert_array_equal(cases.to_numpy(one), cases.to_numpy(two))
    # What was measured of the epochs that are left out stays.
    assert (run.path / "metrics-1.jsonl").read_text() == metrics
    assert len((run.path / "metrics.jsonl").read_text().splitlines()) == 2
    (rate,) = run.config()["rates"]
    assert (rate["epoch"], rate["steps"]) == (3, 2)
    # From here on it is stopped and goes on as any other.
    run.close()
    run = RunFolder.resume(run.path.parent, "a", config_of(0.1))
    entries = train_short(learner(), run, [1.5, 9.0], 0.1, 4)
    assert [entry["valid"] for entry in entries] == [3.0, 2.0, 1.5, 9.0]
    assert [entry["learning_rate"] for entry in entries] == (
        pytest.approx([0.4, 0.2, 0.025, 0.0125])
    )
    assert run.config()["rates"] == [rate]
    run.close()


@pytest.mark.parametrize("call", ["save_last", "write_metrics"])
def test_going_back_that_is_killed_goes_back_again(call, start, monkeypatch):
    run = start("a")
    diverge(run, [3.0, math.inf])

    def die(*args):
        raise Killed

    run = lower(run, 0.1)
    with monkeypatch.context() as patch:
        patch.setattr(run, call, die)
        with pytest.raises(Killed):
            train_short(learner(), run, [2.0], 0.1)
    run.close()
    run = RunFolder.resume(run.path.parent, "a", config_of(0.1))
    entries = train_short(learner(), run, [2.0], 0.1, 2)
    assert [entry["valid"] for entry in entries] == [3.0, 2.0]
    assert entries[1]["learning_rate"] == 0.1 * 0.5
    assert len(run.config()["rates"]) == 1
    run.close()


def test_a_second_divergence_goes_back_too(start):
    run = start("a")
    diverge(run, [3.0, math.inf])
    run = lower(run, 0.2)
    diverge(run, [math.inf] * 2, 0.2)
    run = lower(run, 0.1)
    entries = train_short(learner(), run, [2.0], 0.1, 2)
    assert [entry["learning_rate"] for entry in entries] == [0.4, 0.1 * 0.5]
    changes = run.config()["rates"]
    assert [x["before"] for x in changes] == [0.4, 0.2]
    assert [x["epoch"] for x in changes] == [2, 2]
    run.close()


def test_a_run_that_gets_over_it_does_not_go_back(start):
    """Elsewhere, its sums may be others."""
    run = start("a")
    diverge(run, [3.0, math.inf])
    assert "diverged" in run.config()
    train_short(learner(), run, [4.0], max_epochs=2)
    assert "diverged" not in run.config()


def test_a_run_of_earlier_code_goes_on_and_has_no_way_back(start):
    run = start("a")
    train_short(learner(), run, [3.0, 4.0, 5.0])
    run.restart.path.unlink()
    diverge(run, [math.inf] * 4)
    message = run.restart.describe()
    assert "has no checkpoint from before it diverged" in message
    with pytest.raises(RunError, match="has no checkpoint from before"):
        lower(run, 0.1)
    assert "rates" not in run.config()
    run.close()


def test_a_run_of_earlier_code_gets_a_way_back(start):
    """At the end of its best epoch, or of the next."""
    run = start("a")
    train_short(learner(), run, [3.0])
    run.restart.path.unlink()
    train_short(learner(), run, [4.0], max_epochs=1)
    assert os.path.samefile(run.restart.path, run.last)
    run.restart.path.unlink()
    run.restart.path.touch()
    train_short(learner(), run, [4.0], max_epochs=1)
    assert os.path.samefile(run.restart.path, run.last)
    train_short(learner(), run, [4.0], max_epochs=2)
    assert not os.path.samefile(run.restart.path, run.last)
    run.restart.path.unlink()
    train_short(learner(), run, [4.0], max_epochs=3)
    assert os.path.samefile(run.restart.path, run.last)


@pytest.mark.parametrize("damage", ["last", "best", "of another"])
def test_a_run_that_is_refused_is_left_as_it_is(damage, start, tmp_path):
    """Its checkpoint is looked at after its settings."""
    config = {**CONFIG, "growing": ["seed"]}
    run = RunFolder.create(tmp_path, "grown", config)
    train_short(learner(), run, [3.0])
    (run.path / "result.json").write_text("{}")
    if damage == "last":
        run.last.write_bytes(b"PK")
    elif damage == "best":
        run.best.unlink()
    else:
        other = start("other")
        train_short(learner(), other, [3.0])
        other.last.replace(run.last)
    run.close()
    before = {
        path: path.read_bytes()
        for path in run.path.rglob("*")
        if path.is_file() and path.name != "lock"
    }
    run = RunFolder.resume(
        tmp_path, "grown", {**config, "settings": {"seed": 2}}
    )
    with pytest.raises(RunError):
        train_short(learner(), run, [3.0])
    run.close()
    for path, content in before.items():
        assert path.read_bytes() == content
    assert len(list(run.path.rglob("*"))) == len(before) + 2
