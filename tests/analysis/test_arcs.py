import sys

import numpy as np
import pytest

from dsl.analysis import arcs, connections
from dsl.analysis.connections import Sentence
from tests.analysis.test_connections import SECOND, random_sentence

pytestmark = pytest.mark.backend


@pytest.fixture
def matplotlib():
    return pytest.importorskip("matplotlib")


def rows_of(figure):
    """Words of a figure by height: lists of texts, left to right."""
    rows = {}
    for text in figure.axes[0].texts:
        rows.setdefault(text.get_position()[1], []).append(text)
    # Marks of distances are smaller than words.
    size = max(text.get_size() for text in figure.axes[0].texts)
    return [row for row in rows.values() if row[0].get_size() == size]


def drawn(figure):
    """(word, target) of each arc and of each straight line."""
    axes, rows = figure.axes[0], rows_of(figure)
    heights = [row[0].get_position()[1] for row in rows]

    def named(ends, height):
        # The words of a line are the next below it; heights grow downward.
        row = rows[int(np.searchsorted(heights, height))]
        by_center = {text.get_position()[0]: text.get_text() for text in row}
        return tuple(by_center[x] for x in ends)

    curves = [patch.get_path().vertices for patch in axes.patches]
    links = [line.get_xydata() for line in axes.lines]
    return [
        [named(ends[[0, -1], 0], ends[0, 1]) for ends in of]
        for of in (curves, links)
    ]


def test_arcs_and_links_run_from_each_word_to_its_target(matplotlib):
    curves, links = drawn(arcs.figure([SECOND], 5))
    # The only "<eos>" with an arc is the last word.
    assert curves == [("d", "b"), ("e", "c"), ("g", "c"), ("<eos>", "e")]
    assert links == [("f", "e"), ("h", "g")]


def test_arcs_rise_with_distance_above_their_words(matplotlib):
    axes = arcs.figure([SECOND], 5).axes[0]
    boxes = [arc.get_window_extent() for arc in axes.patches]
    heights = [box.height for box in boxes]
    assert heights[0] == pytest.approx(heights[1])
    assert heights[1] + 1 < heights[3] < heights[2] - 1
    colors = [arc.get_edgecolor() for arc in axes.patches]
    assert colors[0] == colors[1] and len(set(colors)) == 3
    assert min(box.y0 for box in boxes) > max(
        text.get_window_extent().y1 for text in axes.texts
    )


def test_what_is_not_known_or_beyond_the_text_is_not_connected(matplotlib):
    (sentence,) = connections.split_sentences(["a", "b", "c"], [1, 2, 0])
    figure = arcs.figure([sentence], 2)
    assert drawn(figure) == [[], []]
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["a", "b", "c", "2", "?"]


def test_words_of_a_long_sentence_do_not_overlap(matplotlib):
    figure = arcs.figure([SECOND, random_sentence(60)], 5)
    renderer = figure.canvas.get_renderer()
    rows = rows_of(figure)
    assert len(rows) > 3
    for row in rows:
        boxes = [text.get_window_extent(renderer) for text in row]
        for left, right in zip(boxes, boxes[1:], strict=False):
            assert left.x1 + 10 < right.x0
    # Nothing is wider than the rows, which are as wide as a page.
    assert figure.get_figwidth() == pytest.approx(508 / 72)


@pytest.mark.parametrize("num_actions", [1, 5, 40])
def test_all_lies_inside_of_the_picture_and_below_the_legend(
    matplotlib, num_actions
):
    sentences = [random_sentence(n, num_actions) for n in (60, 3)]
    figure = arcs.figure(sentences, num_actions)
    axes, renderer = figure.axes[0], figure.canvas.get_renderer()
    legend = axes.get_legend().get_window_extent(renderer)
    rest = [
        artist.get_window_extent(renderer)
        for artist in (*axes.texts, *axes.patches, *axes.lines)
    ]
    assert max(box.y1 for box in rest) < legend.y0
    whole = figure.bbox
    for box in (legend, *rest):
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1
        assert whole.y0 <= box.y0 and box.y1 <= whole.y1


def test_rows_repeat_in_gray_the_words_that_their_arcs_reach(matplotlib):
    sentence = random_sentence(60)
    figure = arcs.figure([sentence], 5)
    plain = [text.get_color() for row in rows_of(figure) for text in row]
    words = [
        [text.get_text() for text in row if text.get_color() == plain[-1]]
        for row in rows_of(figure)
    ]
    assert tuple(sum(words, [])) == sentence.words
    curves, links = drawn(figure)
    expected = [
        (word, sentence.target(t)) for t, word in enumerate(sentence.words)
    ]
    assert sorted(curves + links) == sorted(expected)


def test_dollars_and_control_characters_stand_as_they_are(matplotlib, tmp_path):
    words = ("$x$", "a_b", "$\\frac{1", "\x1b\n", "y" * 99)
    sentence = Sentence(words, (1, 2, 1, 2, 2), ("$_0$",))
    path = tmp_path / "picture.png"
    arcs.draw([sentence], path, 2)
    assert path.stat().st_size > 1000
    texts = arcs.figure([sentence], 2).axes[0].texts
    assert [text.get_text() for text in texts[:6]] == [
        *("$_0$", "$x$", "a_b", "$\\frac{1", "\\x1b\\n"),
        "y" * 23 + "…",
    ]
    assert not any(text.get_parse_math() for text in texts)


@pytest.mark.parametrize(
    ("suffix", "start"),
    [(".png", b"\x89PNG\r\n"), (".pdf", b"%PDF-"), (".SVG", b"<?xml")],
)
def test_each_suffix_gives_its_file_and_always_the_same(
    matplotlib, tmp_path, suffix, start
):
    paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for path in paths:
        arcs.draw([SECOND], str(path), 5)
    first, second = (path.read_bytes() for path in paths)
    assert first.startswith(start)
    assert first == second
    assert b"/Type3" not in first


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_letters_that_the_font_lacks_are_told_and_nothing_warns(
    matplotlib, tmp_path, suffix
):
    """As errors, which warnings are in tests, they would end it."""
    words = ("漢字", "字", "a\ue000", "é")
    path = tmp_path / f"picture{suffix}"
    found = arcs.draw([Sentence(words, (1, 2, 1, 1))], path, 2)
    # What stands for itself is no private letter, but its escape.
    assert sorted(found) == sorted("漢字")
    assert path.stat().st_size > 1000
    assert arcs.draw([SECOND], path, 5) == []


@pytest.mark.parametrize("name", ["picture.jpg", "picture", "png"])
def test_another_suffix_is_refused(tmp_path, name):
    rule = r"one of \('.pdf', '.png', '.svg'\). Received: "
    with pytest.raises(ValueError, match=rule + f".*{name}"):
        arcs.draw([SECOND], tmp_path / name, 5)
    assert not list(tmp_path.iterdir())


def test_a_figure_needs_sentences_and_all_distances(matplotlib):
    with pytest.raises(ValueError, match="`sentences` must hold at least one"):
        arcs.figure([], 5)
    with pytest.raises(ValueError, match="Received: 5, num_actions=4"):
        arcs.figure([SECOND], 4)
    with pytest.raises(ValueError, match="num_actions=0"):
        arcs.figure([SECOND], 0)


def test_without_matplotlib_one_line_says_what_to_install(
    monkeypatch, tmp_path
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError) as caught:
        arcs.draw([SECOND], tmp_path / "picture.png", 5)
    assert str(caught.value) == (
        "drawing needs matplotlib: pip install '.[plots]'"
    )


def test_drawing_changes_no_global_setting(matplotlib, tmp_path):
    before = dict(matplotlib.rcParams)
    arcs.draw([SECOND], tmp_path / "picture.svg", 5)
    assert dict(matplotlib.rcParams) == before
