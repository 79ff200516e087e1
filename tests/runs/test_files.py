"""Files of runs: of bearable size, and regular ones."""

import os

import pytest
from run_folders import make_run, make_text
from small_files import endless

from dsl.runs import files, results, scores

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("file", ["metrics.jsonl", "test_scores.npz"])
def test_a_file_larger_than_any_run_leaves_is_not_read(
    tmp_path, monkeypatch, file
):
    nll, _, sentence = make_text(9)
    run = make_run(tmp_path / "a", scores=(nll, sentence))
    monkeypatch.setattr(files, "LARGEST_TEXT", 50)
    monkeypatch.setattr(scores, "LARGEST", 50)
    read = results.load_metrics if "jsonl" in file else results.load_scores
    with pytest.raises(results.ResultError, match=f"{file}: must hold at most"):
        read(run)


@pytest.mark.parametrize(
    ("file", "read"),
    [
        (results.FILE_NAME, results.load),
        (results.CONFIG_NAME, results.load_config),
        (results.METRICS_NAME, results.load_metrics),
        (results.SCORES_NAME, results.load_scores),
    ],
)
@pytest.mark.parametrize("make", [os.mkfifo, endless])
def test_what_is_no_file_is_neither_waited_for_nor_read(
    tmp_path, file, read, make
):
    make(tmp_path / file)
    with pytest.raises(results.ResultError) as caught:
        read(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / file}: cannot be read: not a regular file."
    )
