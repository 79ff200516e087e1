import codecs
import sys
import unicodedata

import pytest

from dsl.system import messages

pytestmark = pytest.mark.backend


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain, ü 漢字 🙂 λ=1.0", "plain, ü 漢字 🙂 λ=1.0"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b31m", "\\x9b31m"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\0\x07\x7f", "\\x00\\x07\\x7f"),
        ("\u2028\u2029\x85\xa0", "\\u2028\\u2029\\x85\\xa0"),
        ("a\u202eb\u2066c", "a\\u202eb\\u2066c"),
        ("\udcff\ud800", "\\udcff\\ud800"),
        ("\U000e0041\ufeff", "\\U000e0041\\ufeff"),
        ("a\u200cb\u200dc", "a\u200cb\u200dc"),
        ("\\x1b", "\\x1b"),
    ],
)
def test_printable(text, shown):
    assert messages.printable(text) == shown


def test_no_character_at_all_commands_a_terminal():
    shown = messages.printable("".join(map(chr, range(sys.maxunicode + 1))))
    left = {
        character
        for character in shown
        if unicodedata.category(character)[0] in "CZ"
    }
    assert left == {" ", *messages.JOINERS}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        (" a\n\n  b\r\nc\t", "a b c"),
        ("a\u2028b\x85c\xa0d\x1ce", "a b c d e"),
        ("\x1b[2J\x1b[31m\nred", "\\x1b[2J\\x1b[31m red"),
        (ValueError("a\nb"), "a b"),
        (OSError(2, "No such file", "x\ny"), "[Errno 2] No such file: 'x\\ny'"),
        (None, "None"),
    ],
)
def test_one_line(text, line):
    assert messages.one_line(text) == line


def test_a_long_message_keeps_its_ends():
    exact = "a" * 500 + "b" * 500
    assert messages.one_line(exact) == exact
    longer = "a" * 500 + "x" + "b" * 500
    assert messages.one_line(longer) == "a" * 500 + " ... " + "b" * 500
    endless = f"start{'-' * 10**6}end"
    assert messages.one_line(endless) == (
        f"start{'-' * 495} ... {'-' * 497}end"
    )


def test_escapes_count_as_long_as_they_are():
    assert len(messages.one_line("\x1b" * 250)) == 1000
    assert len(messages.one_line("\x1b" * 251)) == 1005
    # White space does not.
    assert messages.one_line("a" + " \n" * 5000 + "b") == "a b"


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        ("a ± b, λ=1…×", "ascii", b"a +/- b, lambda=1...x"),
        ("a ± b, λ=1", "latin-1", b"a \xb1 b, lambda=1"),
        ("漢\udcff🙂", "ascii", rb"\u6f22\udcff\U0001f642"),
        ("漢\udcff", "utf-8", "漢\\udcff".encode()),
    ],
)
def test_plain(text, encoding, shown):
    codecs.register_error("test.plain", messages.plain)
    assert text.encode(encoding, "test.plain") == shown
