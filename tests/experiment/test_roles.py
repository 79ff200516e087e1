"""What the role of a flag allows when a run goes on."""

import argparse
import types

import pytest

from copy_task.task import TASK as COPIES
from dsl.experiment import flags, program
from dsl.runs import provenance
from dsl.runs.folder import RunError
from language_modeling.task import TASK as LANGUAGE
from number_prediction.task import TASK as NUMBERS

pytestmark = pytest.mark.backend

every_task = pytest.mark.parametrize(
    "task", [LANGUAGE, NUMBERS, COPIES], ids=lambda task: task.name
)
DATA = types.SimpleNamespace(sha256={"train": "1f"}, describe=dict)
USUAL = {
    *("train_dir", "name", "print_every", "checkpoint_every"),
    "tensorboard",
}
# Data are told apart by their hashes.
FREE = {
    LANGUAGE.name: {*USUAL, "data_dir", "download"},
    NUMBERS.name: {*USUAL, "data_dir", "produce", "data_seed"},
    COPIES.name: USUAL,
}
# What says how data are asked for, or is one draw of many, has to say so.
MAY_BE_FREE = {flags.WHERE, flags.DATA, flags.SEED}


@every_task
def test_what_may_differ_when_a_run_goes_on_has_a_role_for_it(task):
    assert task.flags.free == FREE[task.name]
    roles = {task.flags.all[name].role for name in task.flags.free}
    assert roles <= MAY_BE_FREE
    # Plain settings and those of measuring change what a run computes.
    (growing,) = task.flags.growing
    assert task.flags.all[growing].role == flags.SETTING


@pytest.fixture
def go_on(tmp_path, monkeypatch):
    """A function that goes on with a new run of a task, with one change."""
    monkeypatch.setattr(provenance, "commit", lambda root: None)

    def go_on(task, **changes):
        start = task.parse(["--train_dir", str(tmp_path), "--name", task.name])
        if not (tmp_path / task.name).exists():
            program.open_run(task, start, task.name, DATA).close()
        now = argparse.Namespace(**{**vars(start), "resume": True, **changes})
        program.open_run(task, now, task.name, DATA).close()

    return go_on


@every_task
def test_a_changed_flag_is_refused_unless_its_role_allows_it(
    task, go_on, tmp_path
):
    allowed = set()
    changes = dict.fromkeys(task.flags.all, "another")
    changes["train_dir"] = f"{tmp_path}/../{tmp_path.name}"
    del changes["resume"]
    for name, value in changes.items():
        try:
            go_on(task, **{name: value})
        except RunError as error:
            assert f"differing: --{name} " in str(error)
            assert f", now {value!r}." in str(error)
        else:
            allowed.add(name)
    passing = task.flags.names(flags.CALL, flags.SHOWING) - {"resume"}
    unread = task.flags.unread(task.parse([]).model)
    assert "skip" in unread
    assert allowed == FREE[task.name] | passing | unread


@every_task
def test_epochs_may_become_more_and_not_less(task, go_on):
    (name,) = task.flags.growing
    now = task.flags.resolve({})[name]
    go_on(task, **{name: now + 1})
    with pytest.raises(RunError, match=f"differing: --{name} {now}, now "):
        go_on(task, **{name: now - 1})
