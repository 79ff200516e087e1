"""The sweeps over K and lambda: what is run, what is kept, what is drawn."""

import importlib.util

import numpy as np
import pytest

from language_modeling import kept, plan, settings, sweeps
from tests.scripts.test_reproduce_language_modeling import (
    finish,
    names,
    reproduce,
    run,
    trainings,  # noqa: F401
)

pytestmark = pytest.mark.backend


def parsed(table, row):
    """The settings of a row, of which the swept one is left out."""
    flags = dict(plan.runs(table))[f"{row}-1"]
    found = settings.of_run(settings.parse_args(flags))
    name = {"sweep_k": "n_actions", "sweep_lambda": "lamda"}[table]
    return found.pop(name), found


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("sweep_k", list(range(1, 11))),
        ("sweep_lambda", [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
    ],
)
def test_each_row_has_its_value_and_nothing_else_of_its_own(table, values):
    rows = sweeps.SWEEPS[table].rows
    assert list(rows) == values
    assert parsed(table, rows[values[0]])[1]["model"] == "lstm"
    usual = parsed(table, "reinforce")[1]
    for value in values[1:]:
        assert parsed(table, rows[value]) == (value, usual)
    assert (usual["rollouts"], usual["max_epochs"]) == (2, 4)
    assert plan.TABLES[table][0] == plan.TABLES[sweeps.SCHEDULE][0]


def test_what_two_tables_share_is_run_once(tmp_path, trainings):  # noqa: F811
    calls, _ = trainings
    assert run(tmp_path, "sweep_k") == 0
    assert names(calls) == [
        *("small_4_epochs-lstm-1", "sweep_k-k2-1", "sweep_k-k3-1"),
        *("sweep_k-k4-1", "small_4_epochs-reinforce-1"),
        *(f"sweep_k-k{k}-1" for k in range(6, 11)),
    ]
    calls.clear()
    assert run(tmp_path, "sweep_lambda") == 0
    assert names(calls) == [
        f"sweep_lambda-lambda{x}-1" for x in (0.2, 0.4, 0.6, 0.8)
    ]
    kept = tmp_path / "x"
    assert len([*(kept / "sweep_k").iterdir()]) == 8
    assert len([*(kept / "small_4_epochs").iterdir()]) == 2
    calls.clear()
    # More seeds, by the flag.
    only = ["--only", "lstm-2", "lambda0.2-3"]
    assert run(tmp_path, "sweep_lambda", "--seeds", "2", "3", *only) == 0
    assert names(calls) == [
        *("small_4_epochs-lstm-2", "sweep_lambda-lambda0.2-3")
    ]
    assert calls[1][-2:] == ["--seed", "3"]


def keep(folder, table, name, valid, test, *more):
    """A kept run with its perplexities."""
    flags = dict(plan.runs(table, (1, 2)))
    args = settings.parse_args([*flags[name], *more])
    row = name.rpartition("-")[0]
    path = folder / sweeps.home(table, row) / name
    record = {"valid": {"perplexity": valid}, "test": {"perplexity": test}}
    finish(path, args, **record)


def test_points_of_what_is_kept(tmp_path):
    keep(tmp_path, "sweep_lambda", "lstm-1", 4.0, 3.0)
    keep(tmp_path, "sweep_lambda", "lstm-2", 5.0, 6.0)
    keep(tmp_path, "sweep_lambda", "lambda0.4-2", 2.0, 1.0)
    rows = kept.load(tmp_path / "sweep_lambda", "sweep_lambda", (1, 2))
    expected = [
        (0.0, [4.0, 5.0], [3.0, 6.0]),
        (0.2, [], []),
        (0.4, [2.0], [1.0]),
        *((value, [], []) for value in (0.6, 0.8, 1.0)),
    ]
    assert sweeps.points("sweep_lambda", rows) == expected
    assert sweeps.points("sweep_lambda", rows[:3]) == expected


def test_the_picture_and_what_it_lacks(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    for name in ("lstm-1", "k3-1"):
        keep(tmp_path / "x", "sweep_k", name, 4.0, 3.0)
    assert run(tmp_path, "sweep_k", "--figures", f"{tmp_path}/f") == 0
    said = capsys.readouterr()
    assert said.out == (
        "not run: k2-1, k4-1, reinforce-1, k6-1, k7-1, k8-1, k9-1, k10-1\n"
        f"Figure: {tmp_path}/f/sweep_k.png\n"
    )
    picture = (tmp_path / "f" / "sweep_k.png").read_bytes()
    assert (said.err, picture[:4]) == ("", b"\x89PNG")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("nothing", "x: no run of sweep_k is kept there that was asked for."),
        ("settings", "k2-1: was made with other settings: --entropy_weight"),
        ("record", "k2-1: must hold the perplexities of valid and test."),
        ("folder", "--figures: must be a folder, made if missing. Received: "),
    ],
)
def test_what_cannot_be_drawn_is_one_line(tmp_path, capsys, damage, message):
    pytest.importorskip("matplotlib")
    if damage != "nothing":
        more = ["--entropy_weight", "0.5"] * (damage == "settings")
        test = None if damage == "record" else 3.0
        keep(tmp_path / "x", "sweep_k", "k2-1", 4.0, test, *more)
    if damage == "folder":
        (tmp_path / "f").touch()
    assert run(tmp_path, "sweep_k", "--figures", f"{tmp_path}/f") == 1
    error = capsys.readouterr().err
    assert error.startswith("reproduce_language_modeling.py: ")
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["small", "--figures", "f"], "draws sweep_k, sweep_lambda. Received"),
        (["sweep_k", "--seeds", "x"], "--seeds: must be an integer"),
        (["sweep_k", "--seeds", "2", "--only", "k2-1"], "Received: 'k2-1'"),
        (["sweep_k", "--only", "lambda0.2-1"], "Received: 'lambda0.2-1'"),
    ],
)
def test_a_wrong_argument_is_a_usage_error(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        reproduce.parse_args(arguments)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_without_matplotlib_one_line_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as stop:
        reproduce.parse_args(["sweep_k", "--figures", "f"])
    assert stop.value.code == 2
    assert "--figures needs the package matplotlib" in capsys.readouterr().err


def test_the_lines_are_means_between_bars():
    pytest.importorskip("matplotlib")
    from language_modeling import figures

    points = [(1, [9.0], [7.0]), (2, [], []), (3, [5.0, 6.0], [3.0, 5.0])]
    figure = figures.sweep("K", points, "--preset small")
    (axes,) = figure.axes
    valid, test = (line.get_ydata() for line in axes.lines)
    np.testing.assert_array_equal(valid, [9.0, np.nan, 5.5])
    np.testing.assert_array_equal(test, [7.0, np.nan, 4.0])
    bars = axes.collections[1].get_segments()
    assert bars[-1].tolist() == [[3, 3], [3, 5]]
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert ticks == ["1\nplain", "2", "3"]
    np.testing.assert_array_equal(axes.get_xticks(), [1, 2, 3])
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["validation", "test"]
