"""What a run measured after each epoch."""

import pytest
from run_folders import make_run

from dsl.runs import results

pytestmark = pytest.mark.backend


def test_no_metrics_before_the_first_epoch(tmp_path):
    assert results.load_metrics(make_run(tmp_path / "a", epochs=0)) == []
    with pytest.raises(results.ResultError, match="metrics.jsonl: no such fi"):
        results.load_metrics(tmp_path / "b")


@pytest.mark.parametrize("length", [1, 10, 40, -2])
def test_a_last_line_cut_short_does_not_count(tmp_path, length):
    path = make_run(tmp_path / "a", epochs=3) / "metrics.jsonl"
    *lines, last = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines) + last[:length])
    assert len(results.load_metrics(path.parent)) == 2
    path.write_text("".join(lines) + last[:-1])
    assert len(results.load_metrics(path.parent)) == 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"epoch": 2', "line 2: not valid JSON: Expecting ',' delimiter."),
        ("", "line 2: not valid JSON: Expecting value."),
        ("[2]", "line 2: holds no JSON object."),
        ("{}", "line 2: `epoch` must be an integer above 1. Received: None"),
        ('{"epoch": 1}', "`epoch` must be an integer above 1. Received: 1"),
        ('{"epoch": true}', "`epoch` must be an integer above 1. Rec.*True"),
        (
            '{"epoch": 2, "seconds": -1}',
            "line 2: `seconds` must be a finite number .* 0. Received: -1",
        ),
        (
            '{"epoch": 2, "valid_perplexity": NaN}',
            "`valid_perplexity` must be a finite .* Received: nan",
        ),
        (
            '{"epoch": 2, "train_perplexity": null}',
            "`train_perplexity` must be a finite .* Received: None",
        ),
        (
            '{"epoch": 2, "valid_score": -Infinity}',
            "line 2: 'valid_score' must be a finite number. Received: -inf",
        ),
        (
            '{"epoch": 2, "any": 1' + 400 * "0" + "}",
            "line 2: 'any' must be a finite number. Received: 1000",
        ),
    ],
)
def test_a_broken_line_is_named(tmp_path, line, message):
    path = make_run(tmp_path / "a", epochs=1) / "metrics.jsonl"
    path.write_text(path.read_text() + line + '\n{"epoch": 3}\n')
    with pytest.raises(results.ResultError, match=message) as caught:
        results.load_metrics(path.parent)
    assert str(caught.value).startswith(f"{path}: line 2: ")


def test_only_amounts_are_at_least_0(tmp_path):
    folder = make_run(tmp_path / "a", epochs=0)
    epochs = [{"epoch": 1, "valid_score": -0.5, "valid_more": None}]
    results.save_metrics(epochs, folder / "metrics.jsonl")
    assert results.load_metrics(folder) == epochs
    with pytest.raises(
        results.ResultError,
        match="line 1: `valid_score` must be .* at least 0. Received: -0.5",
    ):
        results.load_metrics(folder, amounts=["valid_score", "absent"])
    epochs = [{"epoch": 1, "valid_perplexity": -0.5}]
    results.save_metrics(epochs, folder / "metrics.jsonl")
    assert results.load_metrics(folder, amounts=()) == epochs
