"""What a run was made with, and the hash of its weights."""

import os
import re
import subprocess

import cases
import keras
import numpy as np
import pytest
import small_models

from dsl.runs import provenance
from language_modeling import model as building
from language_modeling.task import TASK


def test_the_hash_of_weights_is_stable_and_sees_every_change():
    model = small_models.build()
    first = provenance.weights_sha256(model)
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert provenance.weights_sha256(model) == first
    hashes = {first}
    for variable in model.trainable_variables:
        value = cases.to_numpy(variable)
        changed = value.copy()
        changed.flat[-1] = np.nextafter(changed.flat[-1], np.float32(9.0))
        variable.assign(changed)
        hashes.add(provenance.weights_sha256(model))
        variable.assign(value)
    assert len(hashes) == 1 + len(model.trainable_variables) == 14
    assert provenance.weights_sha256(model) == first


def test_cores_are_those_that_may_be_used(monkeypatch):
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda process: {5}, raising=False
    )
    assert provenance.cores() == 1
    monkeypatch.delattr(os, "sched_getaffinity")
    assert provenance.cores() == os.cpu_count()


def test_the_hash_sees_names():
    class Model:
        def __init__(self, *variables):
            self.trainable_variables = variables

    class Variable:
        def __init__(self, path, value):
            self.path, self.value = path, np.float32(value)

        def __array__(self, dtype=None, copy=None):
            return self.value

    one, two = Variable("a/kernel", [1.0]), Variable("a/bias", [1.0])
    found = {
        provenance.weights_sha256(Model(one, two)),
        provenance.weights_sha256(Model(two, one)),
        provenance.weights_sha256(Model(one, one)),
        provenance.weights_sha256(Model(one)),
    }
    assert len(found) == 4


@pytest.mark.parametrize("model", ["lstm", "dynamic_skip"])
def test_the_hash_does_not_depend_on_other_models(model):
    """Two models of one process that start from one seed."""
    flags = ["--model", model, "--rnn_size", "4", "--seed"]
    first, again, other = (
        building.build_model(TASK.parse([*flags, seed]), 9)
        for seed in ("1", "1", "2")
    )
    assert provenance.weights_sha256(first) == provenance.weights_sha256(again)
    assert provenance.weights_sha256(first) != provenance.weights_sha256(other)


def test_versions_are_of_what_is_installed():
    found = provenance.versions()
    assert found["keras"] == keras.__version__
    assert found["numpy"] == np.__version__
    assert re.fullmatch(r"3\.\d+\.\d+\S*", found["python"])
    assert set(found) <= {"python", *provenance.PACKAGES}


def test_commit_outside_of_a_clone(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.commit(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.commit(tmp_path) is None


def clone(folder):
    """A repository with one commit, whose name is told."""
    folder.mkdir()
    (folder / "file").touch()
    options = ["-c", "user.name=a", "-c", "user.email=a@b", "-C", str(folder)]
    for words in ("init -q", "add file", "commit -q -m", "describe --always"):
        done = subprocess.run(
            ["git", *options, *words.split(), *["one"] * words.endswith("-m")],
            capture_output=True,
            text=True,
            check=True,
        )
    return done.stdout.strip()


def test_commit_is_that_of_the_folder_in_a_hook_of_another(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2001-01-01T00:00:00Z")
    first = clone(tmp_path / "a")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2002-01-01T00:00:00Z")
    assert clone(tmp_path / "b") != first
    other = tmp_path / "b"
    assert provenance.commit(tmp_path / "a") == first
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert provenance.commit(tmp_path / "a") == first


def test_a_commit_with_a_name_that_is_no_text(tmp_path, monkeypatch):
    (tmp_path / "git").write_text("#!/bin/sh\nprintf 'v1-\\377\\n'\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert provenance.commit(tmp_path) == "v1-\ufffd"


def test_memory_is_told_where_it_can_be(monkeypatch):
    assert provenance.memory() > 2**28
    monkeypatch.delattr(os, "sysconf")
    assert provenance.memory() is None
