"""Records beside each other: measured, and what that is held to."""

import pytest
from run_folders import cells, make_record

from dsl.experiment.comparing import overview
from dsl.runs import results

pytestmark = pytest.mark.backend


def test_comparison_shows_measured_beside_published():
    settings = {"skip": 3, "lamda": 0.5, "n_actions": 7}
    published = make_record(
        model="fixed_skip", settings=settings, run_folder="runs/a"
    )
    true = make_record(
        model="lstm",
        corpus="generated",
        test={"perplexity": 9.5},
        published={"test_perplexity": None, "source": "none"},
        true_perplexity={"valid": 7.0, "test": 7.126},
        run_folder="runs/b",
    )
    heading, *rows = cells(overview.comparison([published, true]))
    assert heading == [
        "model",
        "corpus",
        "test perplexity",
        "sampled mean ± sd",
        "to compare",
        "seconds",
        "run folder",
    ]
    assert rows == [
        [
            "fixed_skip (3, λ=0.5)",
            "ptb",
            "115.13",
            "116.50 ± 0.13",
            "114.5 published",
            "62",
            "runs/a",
        ],
        [
            "lstm",
            "generated",
            "9.50",
            "-",
            "7.13 true",
            "62",
            "runs/b",
        ],
    ]


def test_comparison_refuses_a_figure_that_is_no_number():
    record = make_record(test={"perplexity": "low"}, run_folder="runs/a")
    with pytest.raises(
        results.ResultError, match="runs/a: `test.perplexity` .*: 'low'"
    ):
        overview.comparison([record])
    record = make_record(
        published={"test_perplexity": "low"}, run_folder="runs/a"
    )
    with pytest.raises(
        results.ResultError, match="runs/a: `published.test_perplexity` .*low"
    ):
        overview.comparison([record])


def test_each_task_has_a_table_of_its_own():
    accurate = make_record(
        task="number_prediction",
        model="lstm",
        corpus="T=11",
        test={
            "accuracy": 0.9,
            "accuracy_sampled_mean": 0.8,
            "accuracy_sampled_std": 0.002,
        },
        published={"test_accuracy": 0.704, "source": "A paper"},
    )
    plain = make_record(
        task="number_prediction", test={"accuracy": 0.5}, published={}
    )
    text = overview.comparison([accurate, make_record(), plain])
    first, second = text.split("\n\n")
    heading, *rows = cells(first)
    assert heading[2:5] == ["test accuracy, %", "sampled mean ± sd"] + [
        "to compare"
    ]
    assert [row[1:5] for row in rows] == [
        ["T=11", "90.00", "80.00 ± 0.20", "70.4 published"],
        ["ptb", "50.00", "-", "-"],
    ]
    assert cells(second)[1][2] == "115.13"


def test_bits_stand_beside_texts_of_characters():
    measured = {"perplexity": 4.0, "bits_per_character": 2.0}
    records = [
        make_record(test=measured, data={"of_characters": characters})
        for characters in (True, False)
    ]
    heading, *rows = cells(overview.comparison(records))
    column = heading.index("bits per character")
    assert [row[column] for row in rows] == ["2.000", "-"]
    assert "bits" not in overview.comparison(records[1:])


def test_a_task_that_there_is_not_is_named():
    with pytest.raises(results.ResultError, match="Received: 'chess'"):
        overview.comparison([make_record(task="chess")])
