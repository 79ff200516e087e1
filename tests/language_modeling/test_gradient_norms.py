"""The program that shows how the gradient vanishes."""

import dataclasses
import importlib.util
import sys

import keras
import numpy as np
import pytest
from run_folders import cells
from small_runs import TINY, corpus, uncompiled

from dsl import datasets
from dsl.runs.folder import RunFolder
from language_modeling import gradient_norms
from language_modeling import model as building
from language_modeling.task import TASK

MODELS = {
    "plain": "--model lstm --seed 1",
    "dynamic": "--seed 1",
    "other": "--seed 2",
    "control": "--policy random --look_back_shares 1,3",
    "narrow": "--model lstm --mixed_precision bfloat16 --seed 1",
}
ARGUMENTS = ["--streams", "8", "--samples", "50"]


def make_run(name, flags):
    """A run whose best weights are those that it starts with."""
    keras.utils.set_random_seed(int(flags[-1]) if "--seed" in flags else 3)
    args = TASK.parse([*TINY, *flags, "--name", name])
    config = {
        "task": TASK.name,
        "settings": TASK.of_run(args),
        "data_sha256": corpus().sha256,
    }
    # As it was before this flag came.
    del config["settings"]["random_share"]
    run = RunFolder.create("runs", name, config)
    run.save_best(building.build_model(args, 12), {"epoch": 1})
    run.close()


def last_line(capsys):
    """What went wrong, below the notes on what was done until then."""
    return capsys.readouterr().err.splitlines(keepends=True)[-1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, flags in MODELS.items():
            make_run(name, flags.split())
    return folder


@pytest.fixture
def show(folder, monkeypatch):
    """The program, where the runs are."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(
        datasets, "language_model_corpus", lambda *_, **__: corpus()
    )

    def main(*arguments):
        args = gradient_norms.parse_args(arguments)
        # A few segments take less time than to compile.
        with uncompiled():
            return gradient_norms.main(args)

    return main


def test_norms_and_factors(show, capsys, tmp_path):
    picture = pytest.importorskip("matplotlib") and tmp_path / "norms.png"
    names = ("plain", "dynamic", "other", "control")
    paths = [f"runs/{name}" for name in names]
    assert show(*paths, *ARGUMENTS, "--figure", str(picture)) == 0
    said = capsys.readouterr()
    noted = [f"runs/{name}: best weights, of epoch 1" for name in names]
    assert [x for x in said.err.splitlines() if "best" in x] == noted
    heading = "\ntest: 8 segments of 6 steps, greedy actions, norm of d loss_T"
    assert heading in said.out
    heading, *rows = cells(said.out[said.out.index("| model") :])[:-2]
    assert heading[6:] == ["times plain", "95 % interval"]
    assert [row[1] for row in rows] == ["1", "2", "5"] * 3
    plain, dynamic, control = rows[::3]
    assert plain[0] == "plain: lstm" and plain[5:] == ["-", "-", "-"]
    # Runs that differ in the seed alone.
    assert dynamic[0].startswith("dynamic and 1 more: dynamic_skip (K=5, ")
    assert dynamic[5].endswith(" (2 runs)")
    assert "shares 1.0 3.0" in control[0] and control[5] == "-"
    assert all(row[6] == "-" for row in rows[:3])
    assert all(0.0 < float(row[2]) and row[7][0] == "[" for row in rows[3:6])
    # The control always looks back two steps, where it can.
    assert [row[4] for row in rows[6:]] == ["0.0", "100.0", "100.0"]
    assert rows[6][6:] == ["0", "[0, 0]"]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_run_of_half_precision_is_measured_in_single(show, capsys):
    rows = []
    for name in ("plain", "narrow"):
        assert show(f"runs/{name}", *ARGUMENTS) == 0
        rows.append(cells(capsys.readouterr().out.split("\n\n")[-2])[1:])
    # The same weights.
    plain, narrow = ([row[1:5] for row in each] for each in rows)
    assert plain == narrow


def test_quartiles_are_over_the_segments_of_all_runs():
    norms = [
        np.array([[0.0, 2.0], [4.0, 2.0]]),
        np.array([[1.0, 1.0], [3.0, 1.0]]),
    ]
    row = gradient_norms.describe({"name": "a", "norms": norms}, 0)
    # 0 and 2 of the first, 1 and 3 of the second.
    np.testing.assert_allclose(row["quartiles"], [0.75, 1.5, 2.25])
    assert row["norm"] == 1.5 and row["reached"] == 0.75
    assert row["runs"] == (1.0, 2.0, 2)


def test_sampled_distances_reach_other_states(show, capsys):
    rows = []
    for actions in ("greedy", "sampled"):
        options = [*ARGUMENTS, "--steps", "5", "--actions", actions]
        assert show("runs/control", *options) == 0
        heading, table, _ = capsys.readouterr().out.split("\n\n")[-3:]
        assert f" of 5 steps, {actions} actions, norm of " in heading
        rows.append(cells(table)[1])
    assert [row[1] for row in rows] == ["1", "1"]
    assert float(rows[0][4]) < float(rows[1][4]) < 100.0


def test_where_nothing_of_the_reference_is_left_there_is_no_factor(
    show, capsys
):
    """The control never goes on from the last state but one."""
    assert show("runs/control", "runs/plain", *ARGUMENTS) == 0
    rows = cells(capsys.readouterr().out.split("\n\n")[-2])[1:]
    (lost, *found) = [row for row in rows if row[0] == "plain: lstm"]
    assert float(lost[2]) > 0.0 and lost[6:] == ["-", "-"]
    assert all(float(row[6]) > 0.0 for row in found)


def test_the_command_is_told_and_actions_only_where_there_are_any(
    show, capsys, monkeypatch
):
    arguments = ["runs/plain", *ARGUMENTS]
    monkeypatch.setattr(sys, "argv", ["gradient_norms.py", *arguments])
    assert show(*arguments) == 0
    heading, _, command = capsys.readouterr().out.split("\n\n")
    assert heading == (
        "\ntest: 8 segments of 6 steps, norm of d loss_T / d h_t over that of "
        "the last step"
    )
    assert command == (
        "python language_modeling/gradient_norms.py runs/plain --streams 8 "
        "--samples 50\n"
    )


def test_a_run_whose_loss_depends_on_no_state_is_refused(
    show, capsys, monkeypatch
):
    """Weights of 0 lead nowhere."""
    build = building.build_model

    def build_zeros(*arguments):
        model = build(*arguments)
        for weight in model.weights:
            weight.assign(0 * weight)
        return model

    monkeypatch.setattr(RunFolder, "load_best", lambda *_: {"epoch": 1})
    monkeypatch.setattr(building, "build_model", build_zeros)
    assert show("runs/plain", "runs/dynamic", *ARGUMENTS) == 2
    assert last_line(capsys) == (
        "gradient_norms.py: runs/plain: `norms` must be above 0 at the last "
        "step, and finite. Received: a mean of 0.0\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["runs/nowhere"], 2, "runs/nowhere/config.json: no such file"),
        (["runs/plain", "--steps", "12"], 2, "test text of 100 tokens"),
        (["runs/plain", "--streams", "15"], 2, "Received: 15 x 7"),
        (["runs/plain", "runs/plain/"], 2, "runs/plain: named twice."),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    show, capsys, arguments, code, message
):
    assert show(*ARGUMENTS, *arguments) == code
    error = last_line(capsys)
    assert error.startswith("gradient_norms.py: ") and message in error


def test_runs_of_another_text_are_refused(show, capsys, monkeypatch):
    texts = iter([corpus(), dataclasses.replace(corpus(), sha256={"a": "1f"})])
    monkeypatch.setattr(
        datasets, "language_model_corpus", lambda *_, **__: next(texts)
    )
    assert show("runs/plain", "runs/dynamic", *ARGUMENTS) == 2
    error = capsys.readouterr().err
    assert "the data that it was trained on" in error
    # Each with the text that it was trained on, but not the same.
    monkeypatch.setattr(RunFolder, "check_data", lambda *_: None)
    texts = iter([corpus(), dataclasses.replace(corpus(), sha256={"a": "1f"})])
    assert show("runs/plain", "runs/dynamic", *ARGUMENTS) == 2
    error = capsys.readouterr().err
    assert "runs/dynamic: must be of the corpus of runs/plain" in error


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["x", "--steps", "1"],
        ["x", "--streams", "0"],
        ["x", "--actions", "best"],
        ["x", "--figure", "x.jpg"],
        ["x", "--level", "1"],
        ["x", "--split", "all"],
        ["x", "--step", "5"],
    ],
)
def test_a_wrong_argument_is_a_usage_error(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        gradient_norms.parse_args(arguments)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("gradient_norms.py: error: ")
    assert error.count("\n") == 1


def test_without_matplotlib_one_line_says_what_to_install(
    show, capsys, monkeypatch
):
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, find=importlib.util.find_spec: (
            None if name == "matplotlib" else find(name)
        ),
    )
    assert show("runs/plain", "--figure", "x.png") == 2
    assert "--figure needs the package matplotlib" in capsys.readouterr().err


def test_the_picture_of_the_norms():
    pytest.importorskip("matplotlib")
    from language_modeling import figures

    runs = [np.array([0.1, 0.4, 1.0]), np.array([0.3, 0.0, 1.0])]
    figure = figures.gradients([("lstm", runs[:1]), ("_$x$", runs)])
    axes = figure.axes[0]
    first, second = (line.get_ydata() for line in axes.lines)
    np.testing.assert_allclose(first, runs[0])
    # Where nothing is left there is no point.
    np.testing.assert_allclose(second, [0.2, np.nan, 1.0])
    assert axes.get_yscale() == "log"
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["lstm", "_$x$"]


def test_small_norms_can_be_read_from_the_scale():
    """The ends of the curves of the page of language modeling."""
    pytest.importorskip("matplotlib")
    from language_modeling import figures

    curves = [
        (name, [np.geomspace(last, 1.0, 20)])
        for name, last in (("lstm", 0.030), ("dynamic", 0.017))
    ]
    axes = figures.gradients(curves).axes[0]
    axes.figure.draw_without_rendering()
    low, high = axes.get_ylim()
    ticks = [
        label.get_text()
        for value, label in zip(
            axes.get_yticks(), axes.get_yticklabels(), strict=True
        )
        if low <= value <= high
    ]
    assert ticks == ["0.02", "0.05", "0.1", "0.2", "0.5", "1"]
    assert not any(x.get_text() for x in axes.get_yticklabels(minor=True))
