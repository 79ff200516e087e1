"""Going back, to a lower rate. What it trains is in `test_loop.py`."""

import pytest
from one_run import CONFIG, SETTINGS, resume

from dsl.runs.folder import RunError, RunFolder

RATED = {**CONFIG, "settings": {**SETTINGS, "learning_rate": 1.0}}


def lower(folder, rate):
    settings = {**RATED["settings"], "learning_rate": rate}
    return resume(folder, {**RATED, "settings": settings})


def test_a_lower_rate_is_for_a_run_that_diverged(tmp_path):
    folder = RunFolder.create(tmp_path, "name", RATED)
    identity = folder.provenance()
    with pytest.raises(RunError, match="learning_rate 1.0, now 0.5."):
        lower(folder, 0.5)
    folder.restart.note_divergence(epoch=1, steps=7)
    before = folder.config()
    assert before == {**RATED, "diverged": {"epoch": 1, "steps": 7}}
    for rate in (2.0, 0.0, -1.0, "0.5", None, 0, False):
        with pytest.raises(RunError, match="learning_rate 1.0, now"):
            lower(folder, rate)
    assert folder.config() == before
    again = lower(folder, 0.5)
    # It is not written before it really goes on.
    assert folder.config() == before
    again.begin()
    change = {
        "learning_rate": 0.5,
        "before": 1.0,
        "epoch": 1,
        "steps": 0,
        "diverged": {"epoch": 1, "steps": 7},
    }
    settings = {**RATED["settings"], "learning_rate": 0.5}
    assert folder.config() == {
        **RATED,
        "settings": settings,
        "rates": [change],
    }
    # It is the same run still.
    assert again.provenance() == {**identity, "rates": [change]}
    again.close()
    with pytest.raises(RunError, match="learning_rate 0.5, now 0.25."):
        lower(folder, 0.25)
    with pytest.raises(RunError, match="learning_rate 0.5, now 1.0."):
        lower(folder, 1.0)
    folder.restart.note_divergence(epoch=2, steps=9)
    lower(folder, 0.25).begin()
    rates = folder.config()["rates"]
    assert [one["learning_rate"] for one in rates] == [0.5, 0.25]
    assert folder.provenance()["run"] == identity["run"]


def test_a_run_that_got_over_it_has_not_diverged(folder):
    before = folder.config()
    folder.restart.forget_divergence()
    folder.restart.note_divergence(epoch=1)
    folder.restart.forget_divergence()
    assert folder.config() == before
