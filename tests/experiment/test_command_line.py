import argparse
import os
from pathlib import Path

import pytest
from small_files import endless, make_socket

from dsl.experiment import command_line

pytestmark = pytest.mark.backend

LARGEST = 2**31 - 1
HUGE = str(10**30)  # More than any array has elements.
DIGITS = "9" * 5000  # More than Python turns into a number.


# The parser.


def said(capsys, arguments, **options):
    """What a parser with one number says of arguments that it refuses."""
    parser = command_line.Parser(prog="program", **options)
    parser.add_argument("--number", type=command_line.count)
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(arguments)
    out, err = capsys.readouterr()
    assert (caught.value.code, out) == (2, "")
    assert err.endswith(" (see --help)\n")
    assert err.count("\n") == 1
    assert err[:-1].isprintable()
    return err.removesuffix(" (see --help)\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["a"], "unrecognized arguments: a"),
        (["a\nb\r", "c"], "unrecognized arguments: a b c"),
        (["\x1b[31mred"], "unrecognized arguments: \\x1b[31mred"),
        (["--a\x9b31m\u202e"], "unrecognized arguments: --a\\x9b31m\\u202e"),
        (["\udcff"], "unrecognized arguments: \\udcff"),
        (["--number"], "argument --number: expected one argument"),
        (
            ["--number", "\x1b[31m\n"],
            "argument --number: must be an integer at least 1 and at most "
            "2147483647. Received: '\\x1b[31m\\n'",
        ),
    ],
)
def test_an_error_is_one_line(capsys, arguments, line):
    assert said(capsys, arguments) == f"program: error: {line}"


@pytest.mark.parametrize("flag", ["--number", "--seeds", "--name", "--flag"])
def test_a_value_of_two_dashes_passes_no_check(flag, capsys):
    """Python 3.11 drops it before the type of the flag sees it."""
    parser = command_line.Parser(prog="program")
    parser.add_argument("--number", type=command_line.count)
    parser.add_argument("--seeds", type=command_line.seed, nargs="+")
    parser.add_argument("--name", type=command_line.name)
    parser.add_argument("--flag")
    parser.add_argument("rest", nargs="*")
    with pytest.raises(SystemExit) as caught:
        parser.parse_args([f"{flag}=--"])
    assert caught.value.code == 2
    assert capsys.readouterr().err == (
        f"program: error: argument {flag}: must have another value. "
        "Received: '--' (see --help)\n"
    )
    # Behind two dashes all words are arguments.
    assert parser.parse_args(["--", f"{flag}=--"]).rest == [f"{flag}=--"]


def test_a_long_error_is_cut_but_not_its_ends(capsys):
    line = said(capsys, ["--" + "x" * 10_000 + "END"])
    assert len(line) < 1100
    assert line.startswith("program: error: unrecognized arguments: --xxx")
    assert line.endswith("xxxEND")
    assert "x ... x" in line
    line = said(capsys, ["--number", DIGITS])
    assert line.startswith("program: error: argument --number: must be an int")
    assert len(line) < 1100


def test_the_source_is_named_in_place_of_an_error(capsys):
    line = said(capsys, ["a"], source="runs/a\x1b\n/config.json")
    assert line == (
        "program: runs/a\\x1b /config.json: unrecognized arguments: a"
    )


def test_right_arguments_and_help(capsys):
    parser = command_line.Parser(prog="program", description="What it does.")
    parser.add_argument("--number", type=command_line.count, default=3)
    assert parser.parse_args([]).number == 3
    assert parser.parse_args(["--number", "5"]).number == 5
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--help"])
    assert caught.value.code == 0
    assert "What it does." in capsys.readouterr().out


# Numbers.


@pytest.mark.parametrize(
    ("convert", "text", "value"),
    [
        (command_line.count, "1", 1),
        (command_line.count, str(LARGEST), LARGEST),
        (command_line.number(int), str(-LARGEST), -LARGEST),
        (command_line.number(int, 0), "0", 0),
        (command_line.number(int, 0, 10**30), HUGE, 10**30),
        (command_line.number(float), "1e30", 1e30),
        (command_line.number(float), HUGE, 1e30),
        (command_line.number(float), "-1e30", -1e30),
        (command_line.number(float), "2", 2.0),
        (command_line.positive, "1e-300", 1e-300),
        (command_line.share, "0", 0.0),
        (command_line.share, "1", 1.0),
        (command_line.number(float, 0, 1, open_high=True), "0", 0.0),
        (command_line.number(float, 0, 1, open_low=True), "1", 1.0),
    ],
)
def test_a_number_within_its_bounds(convert, text, value):
    found = convert(text)
    assert found == value
    assert type(found) is type(value)


NO_NUMBERS = ("", "x", "nan", "-nan", "inf", "-inf", "1e400", "1 2", "½", "0x1")


@pytest.mark.parametrize(
    ("convert", "rule", "texts"),
    [
        (
            command_line.count,
            "an integer at least 1 and at most 2147483647",
            ["0", "-1", "1.0", "1e3", "²", str(LARGEST + 1), HUGE, DIGITS],
        ),
        (
            command_line.number(int),
            "an integer at least -2147483647 and at most 2147483647",
            ["-2147483648", "2147483648", HUGE, f"-{HUGE}", f"-{DIGITS}"],
        ),
        (
            command_line.number(int, 2, 5, open_low=True, open_high=True),
            "an integer above 2 and below 5",
            ["2", "5", HUGE],
        ),
        (
            command_line.number(float),
            "a number at least -1e+30 and at most 1e+30",
            ["1.01e30", "-1.01e30", "1" + "0" * 400, DIGITS],
        ),
        (
            command_line.positive,
            "a number above 0 and at most 1e+30",
            ["0", "-0.0", "-1e-300", "1e-400", "1e31"],
        ),
        (
            command_line.share,
            "a number at least 0 and at most 1",
            ["-1e-9", "1.0001", HUGE],
        ),
        (
            command_line.number(float, 0, 1, open_low=True, open_high=True),
            "a number above 0 and below 1",
            ["0", "1", "95"],
        ),
    ],
)
def test_a_number_out_of_its_bounds(convert, rule, texts):
    for text in (*texts, *NO_NUMBERS):
        with pytest.raises(argparse.ArgumentTypeError) as caught:
            convert(text)
        assert str(caught.value) == f"must be {rule}. Received: {text!r}"


# Files.


def test_a_name_is_not_empty():
    assert command_line.name("a b") == "a b"
    with pytest.raises(argparse.ArgumentTypeError, match="a name. Rec.*: ''"):
        command_line.name("")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("folder")
    os.mkdir("folder.png")
    (tmp_path / "file").write_text("")
    (tmp_path / "old.png").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    "text", ["x.png", "x.PDF", "folder/x.y.svg", "./x.png", "old.png", "-.png"]
)
def test_a_picture(here, text):
    assert command_line.picture(text) == text
    assert command_line.picture(f"{here}/{text}") == f"{here}/{text}"


@pytest.mark.parametrize(
    "text", ["", "x", "x.jpg", ".png", "png", "x.png.gz", "x.png ", "folder"]
)
def test_a_picture_of_another_kind(here, text):
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        command_line.picture(text)
    assert str(caught.value) == (
        f"must end in .pdf, .png, .svg. Received: {text!r}"
    )


@pytest.mark.parametrize(
    "text",
    [
        *(
            "folder.png",
            "none/x.png",
            "file/x.png",
            "x.png/",
            "n" * 300 + ".png",
        ),
        f"{'n' * 300}/x.png",
    ],
)
def test_a_picture_without_a_place(here, text):
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        command_line.picture(text)
    kind = ", a folder" * (text == "folder.png")
    assert str(caught.value) == (
        f"must be a file in a folder that exists. Received: {text!r}{kind}"
    )


@pytest.mark.parametrize("text", ["x.json", "new/folder/x.json", "old.png"])
def test_a_file_that_can_be_written(here, text):
    assert command_line.writable(text) == text
    assert os.path.isdir(here / os.path.dirname(text))
    assert os.path.exists(here / text) == (text == "old.png")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("folder", "Is a directory"),
        ("file/x.json", "File exists"),
        ("/proc/x.json", "No such file or directory"),
        ("n" * 256, "File name too long"),
    ],
)
def test_a_file_that_cannot_be_written(here, text, why):
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        command_line.writable(text)
    assert str(caught.value) == (
        f"must be a file that can be written. Received: {text!r}, {why}"
    )


@pytest.mark.parametrize("make", [os.mkfifo, endless, make_socket])
@pytest.mark.parametrize(
    "convert", [command_line.writable, command_line.picture]
)
def test_what_is_there_must_be_a_regular_file(here, make, convert):
    """To open a pipe may wait for ever."""
    make(Path("special.png"))
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        convert("special.png")
    assert str(caught.value) == (
        "must be a file that can be written. Received: 'special.png', "
        "not a regular file"
    )


def test_a_link_to_a_file_is_one(here):
    (here / "link.png").symlink_to("old.png")
    assert command_line.writable("link.png") == "link.png"


def test_a_picture_that_cannot_be_written(here):
    with pytest.raises(argparse.ArgumentTypeError, match="can be written"):
        command_line.picture("/proc/x.png")


# Help.


def test_the_docstring_of_a_program(tmp_path):
    path = tmp_path / "program.py"
    path.write_text('"""What ü does.\n\nMore.\n"""\n', encoding="utf-8")
    assert command_line.description(path) == "What ü does.\n\nMore."
    assert command_line.description(path, 1) == "What ü does."
