"""The tables of what the connections of a text have in common."""

import math
import re
import types

import cases
import numpy as np
import pytest
from keras import ops
from run_folders import cells

from dsl.analysis import connections
from dsl.datasets import EOS, DataError, folders, generated
from dsl.datasets.corpus import SPLITS, from_texts
from dsl.policy import choosing
from dsl.runs.folder import RunError
from language_modeling import findings, inspection
from language_modeling.task import TASK

pytestmark = pytest.mark.backend

# "c" is connected to the word before the last wherever that one is "a".
WORDS = ["x", "y"] + ["a", "e", "c"] * 30 + ["d", "e", "c"] * 30
LOOK_BACK = [1, 1] + [1, 1, 2] * 30 + [1, 1, 1] * 30
ARCS = {"test": np.array([0, 0, 1, 2, 0, 3, 2])}


def said(show, *arguments):
    lines = []
    show(*arguments, lines.append)
    return "\n".join(lines)


def test_words_and_pairs_that_are_significant():
    text = said(findings.significant, WORDS, LOOK_BACK, 2)
    _, words, pairs = text.split("\nwords that ")
    title = "take a distance more often than words do on average: 1 of 4 tests"
    assert words.startswith(title)
    assert cells(words)[2][:6] == ["2", "c", "0.5", "0.17", "3.0", "60"]
    title = "look back at one word more than at others: 1 of 2 tests"
    assert pairs.startswith(title)
    assert cells(pairs)[2][:7] == ["2", "c", "a", "1", "0.5", "2.0", "30"]


def test_no_chance_is_none_at_all():
    cell = dict(findings._TIMES)["q"]
    found = [cell(types.SimpleNamespace(q_value=q)) for q in (0.0, 1e-299)]
    assert found == ["<1e-300", "1e-299"]


def test_where_nothing_was_tested_nothing_is_said():
    assert said(findings.significant, WORDS[:9], LOOK_BACK[:9], 2) == ""


def test_where_nothing_is_significant_there_is_no_table():
    # "b" alone takes distance 2, but two words back there is always "b".
    options = ["a", "b"] * 50, [1, 2] * 25 + [1] * 50, 2
    _, words, pairs = said(findings.significant, *options).split("\nwords ")
    title = "that take a distance more often than words do on average: "
    assert words.startswith(f"{title}1 of 2 tests are significant\n")
    assert cells(words)[2][:6] == ["2", "b", "0.49", "0.24", "2.0", "49"]
    title = "that look back at one word more than at others: "
    assert pairs == f"{title}0 of 1 tests are significant"
    # Distances that depend on nothing.
    options = ["a", "b"] * 50, [1, 1, 2, 2] * 25, 2
    _, words, pairs = said(findings.significant, *options).split("\nwords ")
    assert words.endswith("average: 0 of 2 tests are significant\n")
    assert pairs.endswith("others: 0 of 2 tests are significant")


@pytest.fixture
def corpus(monkeypatch):
    """A stand-in for the generated corpus, of one short text."""
    monkeypatch.setattr(generated, "SHA256", {"test": "1f"})
    monkeypatch.setattr(generated, "load_with_arcs", lambda: (None, ARCS))
    return types.SimpleNamespace(sha256={"test": "1f"})


def test_connections_beside_those_of_the_grammar(corpus):
    look_back = [1, 1, 2, 2, 1, 3]
    text = said(findings.of_grammar, corpus, "test", look_back, 3)
    assert "\nconnections to the word that a word hangs on" in text
    read, ahead = (
        [row[1:] for row in cells(text) if row[0] == f"the {name}"]
        for name in ("word read", "next word")
    )
    # Of 0 0 1 2 0 3, and one step nearer of the words to come: 0 0 1 0 2 1.
    assert [row[:3] for row in read] == [
        ["2", "2", "1"],
        ["3", "1", "1"],
        ["2 to 3", "3", "2"],
    ]
    assert [row[4:] for row in read] == [
        ["50.0", "16.7", "1", "100.0"],
        ["100.0", "16.7", "1", "100.0"],
        ["66.7", "16.7", "2", "100.0"],
    ]
    assert [row[:3] for row in ahead] == [
        ["2", "2", "0"],
        ["3", "1", "0"],
        ["2 to 3", "3", "0"],
    ]
    assert read[2][3] == "0.5 ± 0.6"
    # With two states there is but one distance.
    text = said(findings.of_grammar, corpus, "test", [1, 1, 2, 2, 1, 2], 2)
    assert len(cells(text)) == 4


@pytest.mark.parametrize("name", ["valid", "my.txt"])
def test_of_another_text_nothing_is_known(corpus, name):
    assert said(findings.of_grammar, corpus, name, LOOK_BACK, 2) == ""
    corpus.sha256["test"] = "2e"
    assert said(findings.of_grammar, corpus, "test", LOOK_BACK, 2) == ""


def test_the_distance_to_the_true_perplexity():
    rows = [
        {
            "measured": {"perplexity": 2.0 * math.e},
            "protocol": protocol,
            "true": true,
        }
        for protocol, true in (
            ("stream", 2.0),
            # A part of the text is left out.
            ("batched", 2.0),
            ("stream", None),
        )
    ]
    heading, cell = inspection._COLUMNS[-1]
    assert heading == "true (nats a word above it)"
    assert list(map(cell, rows)) == ["2.00 (1.000)", "2.00", "-"]


def test_a_text_of_ones_own_is_read_like_a_corpus(tmp_path):
    """Also its empty lines, and what else a line may end with elsewhere."""
    text = "a b\n\n b\x0ba\u2028b c\r\n\n a"
    corpus = from_texts(
        "name",
        {"train": "a b\nb a a\n", "valid": "a\n", "test": text},
        replace_unknown=True,
    )
    path, lines = tmp_path / "text.txt", []
    path.write_bytes(text.encode())
    tokens, unknown = folders.words_of_file(
        str(path), corpus.vocabulary, lines.append
    )
    # The end of a sentence comes first, so that the first word is predicted.
    assert corpus.vocabulary[tokens[0]] == EOS
    np.testing.assert_array_equal(tokens[1:], corpus.test)
    assert unknown == corpus.unknown["test"] == 1
    said, counted = lines
    assert said.endswith(
        "U+000B (1), U+2028 (1) read as blanks, not as ends of lines"
    )
    assert counted.endswith(
        "12 words with ends of sentences, 1 of them unknown to the model "
        "(read and scored as <unk>)"
    )


def test_words_that_no_vocabulary_has_a_place_for_are_left_out(tmp_path):
    path, lines = tmp_path / "text.txt", []
    path.write_text("a z b\nz\nb y\n")
    vocabulary = (EOS, "a", "b")
    tokens, unknown = folders.words_of_file(str(path), vocabulary, lines.append)
    read = [vocabulary[token] for token in tokens]
    assert read == f"{EOS} a b {EOS} {EOS} b {EOS}".split()
    assert unknown == 3
    assert lines == [
        f"{path}: 9 words with ends of sentences, 3 of them unknown to the "
        "model (left out, neither read nor scored: it has no <unk>)"
    ]
    path.write_text("a b\n")
    folders.words_of_file(str(path), vocabulary, lines.append)
    assert lines[1].endswith(
        "3 words with ends of sentences, 0 of them unknown to the model"
    )


def test_a_text_of_unknown_words_alone_is_refused(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("z y\n")
    with pytest.raises(DataError, match="must hold a word of.*none, as 'z'"):
        folders.words_of_file(str(path), (EOS, "a"), print)
    tokens, _ = folders.words_of_file(str(path), (EOS, "a", "<unk>"), print)
    assert tokens.tolist() == [0, 2, 2, 0]


def test_unknown_words_that_look_like_known_ones_are_said(tmp_path):
    path, lines = tmp_path / "text.txt", []
    path.write_text("cafe\u0301 b\n")
    folders.words_of_file(str(path), (EOS, "b", "caf\xe9"), lines.append)
    assert "1 of them unknown" in lines[0]
    assert lines[1].startswith(f"{path} and the vocabulary: words that look")


def test_a_picture_of_nothing_is_refused_before_measuring(monkeypatch):
    monkeypatch.setattr(
        inspection.measuring, "measure", lambda *_: pytest.fail("measured")
    )
    corpus = from_texts("tiny", dict.fromkeys(SPLITS, "a\n"))
    args = TASK.parse(["--load_model", "x", "--figure", "x.png"])
    with pytest.raises(RunError, match="a sentence of two words or more"):
        inspection.show(args, None, {"test": (corpus.test, 0)}, corpus, print)


def test_what_was_emptied_is_no_connection(monkeypatch):
    """Segments of five words: two of them have one past state, one has two."""
    shown, tested = [], []
    scores = {"look_back": np.array([[[1, 2, 2, 3, 1, 2, 1, 3]]])}
    monkeypatch.setattr(
        inspection.measuring, "measure", lambda *_: ({"tokens": 8}, scores)
    )
    monkeypatch.setattr(inspection.measuring, "bits", lambda *_: {})
    monkeypatch.setattr(inspection.measuring, "in_words", str)
    monkeypatch.setattr(
        inspection,
        "show_connections",
        lambda _, words, look_back, *more: shown.append((words, look_back)),
    )
    monkeypatch.setattr(
        findings,
        "significant",
        lambda words, look_back, *more: tested.append((words, look_back)),
    )
    corpus = from_texts("tiny", dict.fromkeys(SPLITS, "a b c d\n" * 2))
    for flags in ("--no-keep_buffer", "--keep_buffer"):
        args = TASK.parse(
            [flags, "--n_actions", "3", "--num_unroll_steps", "5"]
        )
        texts = {"test": (corpus.test[:9], 0)}
        inspection.show(args, None, texts, corpus, lambda line: None)
    # A connection is that of the word that was read.
    read = f"a b c d {EOS} a b c".split()
    assert [words for words, _ in shown + tested] == [read] * 4
    every = scores["look_back"].ravel().tolist()
    assert [found.tolist() for _, found in shown] == [
        [1, 0, 2, 3, 1, 0, 1, 0],
        every,
    ]
    assert [found.tolist() for _, found in tested] == [
        [0, 0, 0, 3, 1, 0, 0, 0],
        every,
    ]


def test_a_terminal_too_narrow_for_words_is_written_beyond(monkeypatch):
    monkeypatch.setenv("COLUMNS", "3")
    args = TASK.parse(["--load_model", "x"])
    words, look_back = ["one", "two", EOS], np.array([1, 1, 2])
    text = said(inspection.show_connections, args, words, look_back, {})
    assert "one two" in text


def test_as_many_sentences_are_shown_as_asked_for():
    words = f"a b {EOS} c d {EOS} e f".split()
    look_back = np.array([1, 1, 2, 1, 2, 1, 1, 2])
    for count, here in ((1, "ab"), (2, "abcd")):
        args = TASK.parse(["--load_model", "x", "--sentences", str(count)])
        text = said(inspection.show_connections, args, words, look_back, {})
        for letter in "abcdef":
            shown = re.search(rf"\b{letter}\b", text.split("\n\n", 1)[1])
            assert bool(shown) == (letter in here)


def test_held_states_are_those_that_the_agent_may_reach():
    """Up to the second segment, which starts as the first."""
    steps_taken = np.tile(np.arange(6, dtype="float32"), 2)
    reached = choosing.filled(ops.array(steps_taken), 3)
    np.testing.assert_array_equal(
        connections.past_states(12, 3, segment=6),
        cases.to_numpy(reached).sum(axis=-1),
    )
