"""What of a language model is measured, by which actions, and when."""

import types

import numpy as np
import pytest

from dsl.experiment import output
from dsl.experiment import task as tasks
from dsl.experiment.report import Report
from dsl.training import loop
from language_modeling import measuring, task
from language_modeling.task import TASK


@pytest.fixture
def calls(monkeypatch):
    """The named arguments of each scoring, in place of which:

    The n-th call finds the perplexities n, n + 1, ... of its copies, with
    distance 2 wherever actions are sampled, and else 1.
    """
    calls = []

    def score(*_, **named):
        calls.append(named)
        copies = np.arange(named["copies"], dtype=float)[:, None, None]
        sampled = named["action_selection"] == "sampled"
        shape = (named["copies"], 1, 4)
        return {
            "nll": np.broadcast_to(np.log(len(calls) + copies), shape),
            "look_back": np.full(shape, 1 + sampled),
        }

    monkeypatch.setattr(measuring, "score", score)
    return calls


def parse(flags):
    return TASK.parse(flags.split())


def test_each_way_to_act_is_measured_as_it_is_named(calls):
    args = parse("--n_actions 3 --eval_samples 2 --seed 7 --no-keep_buffer")
    found, greedy = measuring.measure(args, None, None)
    ways = ("action_selection", "copies", "look_back_shares")
    assert [tuple(one[key] for key in ways) for one in calls] == [
        ("greedy", 1, None),
        ("sampled", 2, None),
        # Random, with the shares of the sampled ones; the previous state.
        ("sampled", 2, [0.0, 1.0, 0.0]),
        ("greedy", 1, [1.0]),
    ]
    for one in calls:
        assert (one["keep_buffer"], one["seed"]) == (False, 7)
    assert found["perplexity"] == pytest.approx(1.0)
    for way, first in (("sampled", 2.0), ("random", 3.0)):
        assert found[f"perplexity_{way}_mean"] == pytest.approx(first + 0.5)
        assert found[f"perplexity_{way}_std"] == pytest.approx(0.5**0.5)
        assert found[f"{way}_n"] == 2
    assert found["perplexity_previous"] == pytest.approx(4.0)
    assert found["look_back_histogram"] == [0.0, 1.0, 0.0]
    assert found["tokens"] == 4
    np.testing.assert_array_equal(greedy["nll"], np.zeros((1, 1, 4)))


def test_a_model_that_does_not_choose_is_measured_once(calls):
    found, _ = measuring.measure(parse("--model lstm"), None, None)
    assert len(calls) == 1
    assert set(found) == {"perplexity", "tokens", "seconds"}


@pytest.mark.parametrize(
    ("actions", "shares"), [("sampled", [1, 3, 0]), ("greedy", [0, 1, 0])]
)
def test_distances_that_were_imposed_in_training_are_in_scoring(
    calls, actions, shares
):
    """Greedy is always the most frequent one."""
    args = parse("--policy random --n_actions 3 --look_back_shares 1,3")
    measuring.evaluate(args, None, None, actions)
    measuring.evaluate(args, None, None, actions, shares=[0.5, 0.5])
    assert calls[0]["action_selection"] == actions
    np.testing.assert_array_equal(calls[0]["look_back_shares"], shares)
    assert calls[1]["look_back_shares"] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("flags", "segment"),
    [
        ("", 100),
        ("--no-keep_buffer", 7),
        ("--eval_protocol batched", 7),
    ],
)
def test_segments_that_a_text_is_scored_in(calls, flags, segment):
    """Where they empty the buffer, those of training, by any protocol."""
    measuring.evaluate(parse(f"--num_unroll_steps 7 {flags}"), None, None)
    assert [one["segment"] for one in calls] == [segment]


@pytest.fixture
def fitted(monkeypatch):
    """What `task.fit` gives to the loop over epochs: a function."""

    def train(flags):
        seen = types.SimpleNamespace()
        text = np.arange(200, dtype="int32")
        corpus = types.SimpleNamespace(
            train=text, valid=text, of_characters=False, unknown={"valid": 0}
        )

        def resume(trainer, run, schedule, measured):
            assert measured
            seen.resumed = schedule
            return types.SimpleNamespace(entries=[], steps=0)

        def fit(trainer, model, batches, finish_epoch, schedule, *_, **named):
            seen.finish_epoch, seen.schedule = finish_epoch, schedule
            seen.named = named

        monkeypatch.setattr(loop, "resume", resume)
        monkeypatch.setattr(loop, "fit", fit)
        tasks.fit(TASK, parse(flags), None, corpus, None, None)
        return seen

    return train


def test_the_schedule_is_that_of_the_flags(fitted):
    seen = fitted(
        "--learning_rate 0.5 --learning_rate_decay 0.75 --decay_when 3 "
        "--lr_threshold 0.25 --max_epochs 9 --max_steps 80 "
        "--checkpoint_every 5 --patience 4"
    )
    found = seen.schedule
    assert seen.resumed is found
    assert (found.rate, found.factor, found.constant_epochs) == (
        0.5,
        0.75,
        None,
    )
    assert (found.margin, found.floor) == (3.0, 0.25)
    assert seen.named["monitor"] == "valid_perplexity"
    limits = ("max_epochs", "max_steps", "checkpoint_every", "patience")
    assert [seen.named[key] for key in limits] == [9, 80, 5, 4]
    assert fitted("--constant_epochs 6").schedule.constant_epochs == 6


@pytest.mark.parametrize("actions", ["greedy", "sampled"])
def test_epochs_are_told_apart_by_the_actions_asked_for(calls, fitted, actions):
    seen = fitted(f"--eval_actions {actions}")
    trained = {"perplexity": 9.0, "steps": 2, "seconds": 1.0}
    trained |= {"entropy": 0.5, "histogram": [0.75, 0.25]}
    found = seen.finish_epoch(trained)
    assert [one["action_selection"] for one in calls] == [actions]
    assert found["valid_perplexity"] == pytest.approx(1.0)


@pytest.mark.parametrize("policy", ["learned", "frozen", "random"])
def test_only_who_acts_has_an_entropy(policy, monkeypatch):
    args = parse(f"--policy {policy}")
    trained = {"perplexity": 9.0, "steps": 2, "seconds": 1.0}
    trained |= {"entropy": 0.5, "histogram": [0.75, 0.25]}
    entry = task.summary(args, trained, 8.0)
    progress, lines = types.SimpleNamespace(steps=0), []
    monkeypatch.setattr(output, "note", lines.append)
    report = Report(TASK, args, None, None, progress)
    told = {"epoch": 1, "learning_rate": 1.0, "tokens_per_second": 1.0}
    report.on_epoch({**told, **entry})
    (line,) = lines
    acts = policy != "random"
    assert ("entropy" in entry) == ("entropy 0.500" in line) == acts
    assert line.endswith("  look-back 1.25 [0.75 0.25]")
