import re
import subprocess
import sys

import numpy as np
import pytest

from dsl.analysis import connections
from dsl.analysis.connections import Sentence

pytestmark = pytest.mark.backend

WORDS = "a b c <eos> d e f g h <eos> i".split()
# Targets:    -  a  a  b  b  c  e  c  g  e  h
LOOK_BACK = [1, 1, 2, 2, 3, 3, 1, 5, 1, 4, 2]
SECOND = Sentence(
    words=("d", "e", "f", "g", "h", "<eos>"),
    look_back=(3, 3, 1, 5, 1, 4),
    context=("b", "c", "<eos>"),
)
ESCAPE = re.compile("\x1b\\[[0-9;]*m")


def random_sentence(length, num_actions=5):
    """A sentence of words of many lengths, connected at random."""
    rng = np.random.default_rng(length)
    words = [f"{t}{'e' * rng.integers(0, 11)}" for t in range(length + 9)]
    words[8] = words[-1] = "<eos>"
    look_back = rng.integers(1, num_actions + 1, len(words))
    return connections.split_sentences(words, look_back)[1]


def test_sentences_end_with_their_end_and_know_the_words_before():
    first, second, third = connections.split_sentences(WORDS, LOOK_BACK)
    assert first == Sentence(("a", "b", "c", "<eos>"), (1, 1, 2, 2), ())
    assert second == SECOND
    assert third == Sentence(("i",), (2,), ("h", "<eos>"))


def test_the_target_is_the_word_whose_state_was_continued():
    targets = [
        sentence.target(position)
        for sentence in connections.split_sentences(WORDS, LOOK_BACK)
        for position in range(len(sentence.words))
    ]
    assert targets == [None, *"aabbcecgeh"]


def test_a_distance_not_known_or_beyond_the_text_has_no_target():
    (sentence,) = connections.split_sentences(["a", "b", "c"], [0, 2, 0])
    assert [sentence.target(t) for t in range(3)] == [None] * 3
    assert "←2 …" in connections.as_text(sentence, color=False)


def test_another_end_and_arrays_are_fine():
    split = connections.split_sentences(
        np.array(["a", ".", "b", "."]), np.array([1, 1, 3, 1]), end="."
    )
    assert [len(sentence.words) for sentence in split] == [2, 2]
    # The text has no third word before "b".
    assert split[1].context == ("a", ".")
    assert connections.split_sentences([], []) == []


@pytest.mark.parametrize(
    ("look_back", "message"),
    [
        ([1], "one distance a word. Received: 2 words, 1 distances"),
        ([1, -1], "at least 1, or 0 for one not known. Received: -1"),
        ([1, 1.5], "one row of integers. Received: 'float'"),
        (np.ones((2, 2), int), "one row of integers"),
    ],
)
def test_distances_that_do_not_fit_are_refused(look_back, message):
    with pytest.raises(ValueError, match=message):
        connections.split_sentences(["a", "b"], look_back)


def test_text_names_distance_and_target_below_each_word():
    assert connections.as_text(SECOND, color=False).splitlines() == [
        "b c <eos> │ d     e f   g h   <eos>",
        "            ←3 b  ←3 c  ←5 c  ←4 e",
    ]


def test_text_wraps_with_each_mark_below_its_word():
    sentence = random_sentence(60)
    lines = connections.as_text(sentence, color=False, width=40).splitlines()
    assert max(map(len, lines)) <= 40
    marks = dict.fromkeys(range(len(sentence.words)), "")
    position = -len(sentence.context)
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if line.lstrip().startswith("←"):
            continue
        for match in re.finditer(r"[^ ]+", line):
            if match[0] == "│":
                continue
            if position >= 0:
                assert match[0] == sentence.words[position]
                if "←" in below:
                    mark = re.match("←[^ ]+ [^ ]+", below[match.start() :])
                    marks[position] = mark[0] if mark else ""
            position += 1
    assert position == len(sentence.words)
    for t, distance in enumerate(sentence.look_back):
        mark = f"←{distance} {sentence.target(t)}" if distance > 1 else ""
        assert marks[t] == mark


def test_text_without_color_has_no_escape_code_and_with_it_says_the_same():
    for render in (
        lambda color: connections.as_text(SECOND, color=color),
        lambda color: connections.legend(5, color=color),
    ):
        assert "\x1b" not in render(False)
        assert render(True).count("\x1b[0m") * 2 == render(True).count("\x1b")
        assert ESCAPE.sub("", render(True)) == render(False)


def test_words_of_one_distance_share_a_color_and_others_do_not():
    text = connections.as_text(SECOND)
    codes = {
        word: re.search(f"\x1b\\[([0-9;]*)m{word}\x1b", text)
        for word in ("d", "e", "f", "g", "<eos>")
    }
    assert codes.pop("f") is None
    colors = {word: match[1] for word, match in codes.items()}
    assert colors["d"] == colors["e"]
    assert len({colors["d"], colors["g"], colors["<eos>"]}) == 3
    legend = connections.legend(5)
    assert f"\x1b[{colors['d']}m←3\x1b[0m" in legend


@pytest.mark.parametrize("num_actions", [1, 2, 30])
def test_the_legend_names_each_distance(num_actions):
    marks = re.findall(r"←(\d+)", connections.legend(num_actions, color=False))
    assert marks == [str(k) for k in range(2, num_actions + 1)]


@pytest.mark.parametrize(
    "hostile",
    ["\x1b[31mred", "\x9b31m", "\x07", "a\rb", "a\nb", "\u202eabc", "\ud800"],
)
@pytest.mark.parametrize("color", [True, False])
def test_no_word_commands_the_terminal(hostile, color):
    sentence = Sentence((hostile, "x", hostile), (2, 1, 2), (hostile, "y"))
    text = ESCAPE.sub("", connections.as_text(sentence, color=color))
    assert all(one.isprintable() or one == "\n" for one in text)
    text.encode("utf-8")
    escaped = hostile.encode("unicode_escape").decode("ascii")
    # Three times among the words, twice as a target.
    assert text.count(escaped) == 5


def test_wide_words_take_two_columns_and_accents_none():
    sentence = Sentence(("我们", "cafe\u0301", "処理"), (1, 1, 2), ())
    assert connections.as_text(sentence, color=False).splitlines() == [
        "我们 cafe\u0301 処理",
        " " * 10 + "←2 我们",
    ]


def test_words_longer_than_a_line_are_shortened():
    sentence = Sentence(("x" * 99, "我" * 99, "z"), (1, 1, 2), ())
    lines = connections.as_text(sentence, color=False, width=10).splitlines()
    assert lines == ["x" * 9 + "…", "我" * 4 + "…", "z", "←2 xxxxxx…"]
    with pytest.raises(ValueError, match="`width`.*Received: width=9"):
        connections.as_text(sentence, width=9)


def test_importing_loads_neither_keras_nor_matplotlib():
    code = (
        "import sys, dsl.analysis.connections; "
        "print({'keras', 'matplotlib'} & set(sys.modules))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert (out.stdout.strip(), out.stderr) == ("set()", "")
