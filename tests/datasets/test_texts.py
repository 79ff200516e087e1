"""What editors leave in a text is read right, or said."""

import hashlib
import time

import pytest

from dsl.datasets import EOS, DataError, files, language_model_corpus, texts

SPLITS = ("train", "valid", "test")
LINES = ("the cat sees the dog", "the dog runs", "a cat runs")
TEXT = "".join(f"{line}\n" for line in LINES)


def corpus(folder, contents):
    """A corpus of one's own, and what is said of it but for its first line."""
    for split, content in zip(SPLITS, contents, strict=True):
        if isinstance(content, str):
            content = content.encode()
        (folder / f"{split}.txt").write_bytes(content)
    said = []
    found = language_model_corpus(folder, log=said.append)
    return found, said[1:]


def same(one, other):
    return one.vocabulary == other.vocabulary and all(
        (getattr(one, split) == getattr(other, split)).all() for split in SPLITS
    )


# Read right.


@pytest.mark.parametrize(
    ("kind", "change"),
    {
        "mark": lambda text: "\ufeff" + text,
        "marks of joined files": lambda text: text.replace(
            "a cat", "\ufeffa cat"
        ),
        "CR LF": lambda text: text.replace("\n", "\r\n"),
        "CR LF, converted twice": lambda text: text.replace("\n", "\r\r\n"),
        "CR": lambda text: text.replace("\n", "\r"),
        "CR, and LF at the end": lambda text: text.replace("\n", "\r", 2),
        "no end of the last line": lambda text: text[:-1],
        "CR, but for the last line": lambda text: text[:-1].replace("\n", "\r"),
        "^Z": lambda text: text + "\x1a",
        "^Z up to the end of a block": lambda text: text + "\x1a" * 40,
        "^Z in a line of its own": lambda text: text + "\x1a\r\n",
        "^Z and CR LF": lambda text: text.replace("\n", "\r\n") + "\x1a",
        "UTF-16": lambda text: text.encode("utf-16"),
        "UTF-16, the other way round": lambda text: ("\ufeff" + text).encode(
            "utf-16-be"
        ),
        "tabs and blanks": lambda text: text.replace(" ", "\t ").replace(
            "\n", " \n"
        ),
    }.items(),
)
def test_the_same_words_and_sentences(tmp_path, kind, change):
    (tmp_path / "plain").mkdir()
    plain, said = corpus(tmp_path / "plain", [TEXT] * 3)
    assert said == [] and list(plain.train).count(0) == 3
    assert plain.vocabulary.index(EOS) == 0
    found, said = corpus(tmp_path, map(change, [TEXT] * 3))
    assert same(found, plain)
    alone = {
        "CR": 3,
        "CR, and LF at the end": 2,
        "CR, but for the last line": 2,
    }
    assert said == [
        f"{tmp_path / split}.txt: CR alone ends lines ({alone[kind]})"
        for split in SPLITS
        if kind in alone
    ]


def test_a_mark_does_not_hide_that_a_text_is_one_of_characters(tmp_path):
    found, _ = corpus(tmp_path, ["\ufefft h e _ c a t\n"] * 3)
    assert found.of_characters


def test_empty_lines_between_cr_count():
    assert texts.cleaned("a\r\rb\r") == "a\n\nb\n"
    assert texts.cleaned("a\r\n\r\nb") == "a\r\n\r\nb"


def test_a_text_in_cr_lf_has_the_hash_that_it_always_had(tmp_path):
    """So that runs that were trained on it are found to be of it."""
    found, _ = corpus(tmp_path, ["a b\r\n"] * 3)
    expected = hashlib.sha256(b"a b\r\n").hexdigest()
    assert found.sha256["train"] == expected


@pytest.mark.parametrize("character", ["\r", "\x1a", "\ufeff", "\u200b", " "])
def test_a_long_row_of_one_character_takes_no_long_time(character):
    started = time.monotonic()
    for text in (character * 10**6, f"a{character * 10**6}b\n"):
        texts.cleaned(text)
        texts.notes(text)
    assert time.monotonic() - started < 5


# Said.


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (TEXT, None),
        ("naïve 漢字 λ 🙂 a\u200db c\u200cd\n", None),
        (
            "a\xa0b\u3000c\x0cd\x0be\x85f\u2028g\u2029h\x1ci\n",
            "U+000B (1), U+00",
        ),
        ("10\xa0000\n5\xa0000\n", "U+00A0 (2) read as blanks, not as ends of"),
        ("dog\u200b\u200b a\xadb\n", "U+200B (2), U+00AD (1) unseen, and read"),
        ("a\x08b \x1a c \x7f\n", "U+0008 (1), U+001A (1), U+007F (1) unseen"),
        ("don\x92t\n", "U+0092 (1) unseen, and read as part of their words"),
        ("❤\ufe0f\n", "U+FE0F (1) unseen"),
        ("caf\ufffd\n", "U+FFFD (1) in the place of characters that were lost"),
        (
            "a b <eos>\nc <eos>\n",
            "<eos> (2) in it, beside the one of each line",
        ),
        ("a <eos>b\n", None),
        ("<eos>, d\n", None),
        ("a\rb\r\nc\r", "CR alone ends lines (2)"),
    ],
)
def test_what_is_said_of_a_text(tmp_path, text, note):
    path, said = tmp_path / "text.txt", []
    path.write_text(text, newline="")
    files.read_text(path, log=said.append)
    if note is None:
        assert said == []
        return
    (line,) = said
    assert line.startswith(f"{path}: {note}") and line.isprintable()


def test_all_of_a_text_in_one_line():
    assert texts.notes("\xa0a\u200b\r<eos> \ufffd\x0c\n") == [
        "CR alone ends lines (1)",
        "<eos> (1) in it, beside the one of each line",
        "U+000C (1), U+00A0 (1) read as blanks, not as ends of lines",
        "U+FFFD (1) in the place of characters that were lost before",
        "U+200B (1) unseen, and read as part of their words",
    ]


def test_words_that_look_the_same(tmp_path):
    composed, parted = "caf\xe9", "cafe\u0301"
    found, said = corpus(
        tmp_path, [f"{composed} a\n", f"{parted} b\n", f"{composed}\n"]
    )
    assert found.unknown == {"train": 0, "valid": 2, "test": 0}
    assert said[0] == (
        f"{tmp_path}: words that look the same and are spelled otherwise (1), "
        r"as 'caf\xe9', count as different ones (normal forms of Unicode, NFC "
        "and NFD)"
    )
    for contents in ([composed] * 3, [parted] * 3, ["cafe"] * 3):
        assert not any("spelled" in x for x in corpus(tmp_path, contents)[1])


# Refused.


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("ab".encode("utf-16")[:-1], "must be UTF-16 text"),
        (b"\xff\xfe\x00\xd8", "must be UTF-16 text"),
        ("ab".encode("utf-16-le"), "a zero byte at offset 1"),
        ("ab".encode("utf-32"), "a zero byte at offset 2"),
        ("a\0b".encode("utf-16"), "a zero byte at offset 4"),
        (
            "\ufeff\u0100🙂b\0".encode("utf-16-be"),
            "a zero byte at offset 10",
        ),
        ("\ufeffé\0b".encode(), "a zero byte at offset 5"),
        ("λόγος".encode("utf-16-le"), "must be UTF-8 text"),
        ("café".encode("latin-1"), "must be UTF-8 text"),
    ],
)
def test_what_is_no_text(tmp_path, content, says):
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{path} must be .*") as caught:
        files.read_text(path)
    assert says in str(caught.value)
