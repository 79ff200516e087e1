"""The picture of how far back runs looked, epoch by epoch."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from run_folders import make_run

from dsl.runs import results

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts"))

import compare

pytestmark = pytest.mark.backend

EPOCHS = [
    {"epoch": 1, "look_back_histogram": [0.5, 0.25, 0.25], "entropy": 0.9},
    {"epoch": 2, "look_back_histogram": [1.0, 0.0, 0.0], "entropy": 0.0},
]


@pytest.fixture
def look_backs():
    pytest.importorskip("matplotlib")
    from dsl.experiment.comparing import look_backs

    return look_backs


def run(name, epochs=EPOCHS, **settings):
    """A run as `comparing.reading.load` returns it."""
    return {"name": name, "epochs": epochs, "config": {"settings": settings}}


def curves(axes):
    return [line.get_ydata() for line in axes.lines]


def test_shares_are_stacked_and_entropies_stand_below(look_backs):
    drawn = look_backs.draw([run("_a$b$", policy="learned"), run("b")])
    (bars, _, entropies, _) = drawn.axes
    found = [(bar.get_y(), bar.get_height()) for bar in bars.patches]
    assert found == [
        (0, 0.5),
        (0, 1),
        (0.5, 0.25),
        (1, 0),
        (0.75, 0.25),
        (1, 0),
    ]
    assert bars.get_title() == "_a$b$" and not bars.title.get_parse_math()
    of_shares, of_choices = curves(entropies)
    np.testing.assert_allclose(of_shares, [1.5 * np.log(2), 0.0])
    np.testing.assert_allclose(of_choices, [0.9, 0.0])
    texts = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert texts == [
        *("previous word", "2 words back", "3 words back"),
        *("entropy of the shares", "entropy of the agent's choices"),
    ]


def test_an_agent_that_does_not_choose_has_no_entropy(look_backs):
    drawn = look_backs.draw([run("a", policy="random")])
    assert len(curves(drawn.axes[1])) == 1


def test_only_runs_with_distances_have_a_panel(look_backs):
    plain = run("lstm", [{"epoch": 1, "valid_perplexity": 9.0}])
    late = run("late", [{"epoch": 1}, {**EPOCHS[1], "entropy": None}])
    drawn = look_backs.draw([plain, run("a"), plain, late, run("c"), run("d")])
    titles = [axes.get_title() for axes in drawn.axes if axes.patches]
    assert titles == ["a", "late", "c", "d"]
    shown = [axes for axes in drawn.axes if axes.axison]
    assert len(drawn.axes) == 12 and len(shown) == 8
    assert [bar.get_x() for bar in drawn.axes[1].patches] == [1.55] * 3
    assert look_backs.draw([plain]) is None


def test_all_stays_inside_and_beside_the_legend(look_backs):
    shares = [0.1] * 10
    epochs = [{"epoch": 1, "look_back_histogram": shares, "entropy": 1.0}]
    drawn = look_backs.draw([run("long " * 30, epochs)] * 4)
    drawn.draw_without_rendering()
    legend = drawn.legends[0].get_window_extent()
    assert legend.x1 <= drawn.bbox.x1 and 0 <= legend.y0
    for axes in drawn.axes[:6]:
        box = axes.get_tightbbox()
        assert 0 <= box.x0 < box.x1 <= legend.x0 + 1
    colors = [bar.get_facecolor() for bar in drawn.axes[0].patches]
    assert len(set(colors)) == 10


@pytest.mark.parametrize(
    "change",
    [
        {"look_back_histogram": 0.5},
        {"look_back_histogram": []},
        {"look_back_histogram": [0.5, "x"]},
        {"look_back_histogram": [1.5, -0.5]},
        {"look_back_histogram": [None]},
        {"entropy": float("nan")},
        {"entropy": "low"},
    ],
)
def test_what_is_no_number_is_named(look_backs, change):
    with pytest.raises(results.ResultError) as error:
        look_backs.draw([run("a", [{**EPOCHS[0], **change}])])
    assert str(error.value).startswith("a: epoch 1: `look_back_histogram` and")


# The program.


def call(*arguments):
    return compare.main(compare.parse_args([*map(str, arguments)]))


def with_epochs(folder, epochs):
    made = make_run(folder, finished=False)
    lines = "".join(f"{json.dumps(entry)}\n" for entry in epochs)
    (made / "metrics.jsonl").write_text(lines)
    return made


def test_the_picture_is_written(look_backs, tmp_path, capsys):
    made = with_epochs(tmp_path / "a", EPOCHS)
    path = tmp_path / "x.png"
    assert call(made, "--look_back_figure", path) == 0
    assert capsys.readouterr().out.endswith(f"\n\nFigure: {path}\n")
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("epochs", "message"),
    [
        ([], "x.png: not written, no epoch has distances."),
        ([{"epoch": 1, "look_back_histogram": 1}], "a: epoch 1: `look_back_"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(
    look_backs, tmp_path, capsys, epochs, message
):
    made = with_epochs(tmp_path / "a", epochs)
    assert call(made, "--look_back_figure", tmp_path / "x.png") == 1
    error = capsys.readouterr().err
    assert error.startswith("compare.py: ") and message in error
    assert error.count("\n") == 1 and not (tmp_path / "x.png").exists()


def test_without_matplotlib_one_line_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as stop:
        compare.parse_args(["a", "--look_back_figure", "x.png"])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "--look_back_figure needs the package matplotlib" in said
