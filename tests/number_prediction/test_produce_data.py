"""The program that makes the files of number prediction."""

import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import broken_inputs
import numpy as np
import pytest
from broken_inputs import DIGITS, HUGE, LONG, RED
from small_files import disk_full_after

from dsl import choices
from dsl.datasets import corpus, numbers
from dsl.datasets.numbers import Settings
from number_prediction import produce_data

pytestmark = pytest.mark.backend

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "number_prediction" / "produce_data.py"
FEW = "--train 30 --valid 7 --test 8".split()
FOLDER = Path("data/number_prediction")
NAMES = [f"num_{split}10_1.npz" for split in ("test", "train", "valid")]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments):
    """Exit code of the program, run in this process."""
    words = [*FEW, *map(str, arguments)]
    try:
        return produce_data.main(produce_data.parse_args(words))
    except SystemExit as end:
        return end.code


def contents(folder=FOLDER):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def said(capsys):
    """The one line on stderr, with nothing on stdout."""
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("\n") and err[:-1].isprintable(), err
    assert err.startswith("produce_data.py: ") and len(err) < 1500
    return err


# What it makes.


def test_three_files_that_the_loader_reads(capsys):
    assert call("--length", 12, "--symbols", 5, "--seed", 6) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    for split, count in (("train", 30), ("valid", 7), ("test", 8)):
        settings = Settings(length=12, symbols=5, seed=6)
        found = numbers.load(FOLDER, split, settings)
        expected = numbers.draw(settings, split, count)
        np.testing.assert_array_equal(found.inputs, expected.inputs)
        assert found.settings == settings
        assert lines.pop(0) == (
            f"{FOLDER}/num_{split}12_1.npz: {count} examples, "
            f"sha256 {expected.sha256}, written"
        )
    for split, count in (("valid", 7), ("test", 8)):
        assert lines.pop(0).startswith(f"{split}: 0 of {count} examples also")
    assert lines == []


def test_the_defaults_are_the_papers():
    args = produce_data.parse_args([])
    assert vars(args) == {
        "length": 10,
        "index_from": "last10",
        "symbols": 10,
        "train": 100_000,
        "valid": 10_000,
        "test": 10_000,
        "seed": 3435,
        "out_dir": "data/number_prediction",
        "force": False,
        "given": set(),
    }
    made = Settings(args.length, args.index_from, args.symbols, args.seed)
    assert made == Settings()


def test_the_help_names_the_papers_values(capsys):
    with pytest.raises(SystemExit):
        produce_data.parse_args(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for words in (
        "T = N + 1 (paper: 10 and 20)",
        "training examples (paper, by report of others: 100,000)",
        "published code: 1,000 of 100,000) (default: 10000)",
        "Exit codes: 0 done, 1 failed, 2 usage",
    ):
        assert words in text


def test_the_bounds_of_the_flags_are_those_of_the_settings():
    parse = produce_data.parse_args
    for flag, most in (
        ("length", choices.MOST_LENGTH),
        ("symbols", choices.MOST_SYMBOLS),
        ("seed", 2**31 - 1),
    ):
        Settings(**{flag: most})
        assert getattr(parse([f"--{flag}={most}"]), flag) == most
        with pytest.raises(ValueError, match=flag):
            Settings(**{flag: most + 1})
        with pytest.raises(SystemExit):
            parse([f"--{flag}={most + 1}"])


@pytest.mark.parametrize("index_from", choices.INDEX_FROM)
def test_either_convention(index_from):
    assert call("--length", 20, "--index_from", index_from) == 0
    settings = Settings(20, index_from)
    inputs, labels = (
        getattr(numbers.load(FOLDER, "train", settings), name)
        for name in ("inputs", "labels")
    )
    first = 10 if index_from == "last10" else 0
    for row, label in zip(inputs.tolist(), labels, strict=True):
        assert row[first + row[20]] == label


def test_the_overlap_that_it_prints(capsys):
    assert call("--length", 3, "--symbols", 2) == 0
    lines = capsys.readouterr().out.splitlines()[3:]
    drawn = {
        split: numbers.load(FOLDER, split, Settings(3, symbols=2))
        for split in corpus.SPLITS
    }
    train = {tuple(row) for row in drawn["train"].inputs.tolist()}
    for split, line in zip(("valid", "test"), lines, strict=True):
        rows = drawn[split].inputs.tolist()
        count = sum(tuple(row) in train for row in rows)
        chance = len(rows) * (1 - (1 - 1 / 16) ** 30)
        assert count > 0
        assert line == (
            f"{split}: {count} of {len(rows)} examples also stand in train; "
            f"chance gives {chance:.2g}"
        )


def test_large_overlaps_are_printed_whole(capsys, monkeypatch):
    monkeypatch.setattr(numbers, "overlap", lambda *_: (7, 1807.4))
    assert call("--length", 3, "--symbols", 2) == 0
    said = capsys.readouterr().out
    assert said.count("also stand in train; chance gives 1,807\n") == 2


def test_two_processes_make_the_same_bytes(here):
    for folder, seed in (("a", "0"), ("b", "1")):
        done = subprocess.run(
            [sys.executable, SCRIPT, *FEW, "--out_dir", folder],
            capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.count(b", written\n") == 3
    assert sorted(contents("a")) == NAMES
    assert contents("a") == contents("b")


def test_arguments_are_read_before_numpy_is_imported():
    for argument, code in (("--help", 0), ("--seed=x", 2)):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", SCRIPT, argument],
            capture_output=True,
            text=True,
        )
        assert done.returncode == code
        assert "argparse" in done.stderr
        assert not re.search(r"\| +(numpy|keras)", done.stderr)


# What is there already.


def test_the_same_again_changes_nothing(capsys):
    assert call() == 0
    before = contents()
    for name in before:
        os.utime(FOLDER / name, (1, 1))
    for flags in ([], ["--force"]):
        capsys.readouterr()
        assert call(*flags) == 0
        out = capsys.readouterr().out
        assert (out.count(", unchanged\n"), out.count("written")) == (3, 0)
    assert contents() == before
    assert all((FOLDER / name).stat().st_mtime == 1 for name in before)


def test_what_is_missing_is_added(capsys):
    assert call() == 0
    before = contents()
    (FOLDER / "num_valid10_1.npz").unlink()
    capsys.readouterr()
    assert call() == 0
    assert capsys.readouterr().out.count(", unchanged\n") == 2
    assert contents() == before


def test_other_lengths_stand_beside_each_other():
    for length in (1, 10, 11):
        assert call("--length", length) == 0
    assert len(contents()) == 9


OTHER = {
    "seed": (["--seed", 1], "holds 30 examples of --seed 1, and would hold"),
    "count": (["--train", 31], "holds 31 examples of --seed 3435, and would"),
    "index_from": (["--index_from", "start"], "of index_from 'last10'. Rec"),
    "symbols": (["--symbols", 9], "of symbols 10. Received: 9"),
}


@pytest.mark.parametrize("name", OTHER)
def test_files_of_other_settings_are_left_alone(name, capsys):
    flags, says = OTHER[name]
    assert call(*flags) == 0
    before = contents()
    capsys.readouterr()
    assert call() == 2
    line = said(capsys)
    assert f"{FOLDER}/num_train10_1.npz: " in line and says in line
    assert "--force replaces it." in line
    assert contents() == before
    assert call("--force") == 0
    assert "written" in capsys.readouterr().out
    numbers.load(FOLDER, "train", Settings())
    assert call() == 0


@pytest.mark.parametrize("name", NAMES)
def test_none_is_written_if_one_must_not_be(name, capsys):
    FOLDER.mkdir(parents=True)
    (FOLDER / name).write_bytes(b"mine")
    assert call() == 2
    line = said(capsys)
    assert f"{FOLDER / name}: is there and holds something else" in line
    assert contents() == {name: b"mine"}
    assert call("--force") == 0
    assert sorted(contents()) == NAMES


def test_a_damaged_file_is_left_alone_too(capsys):
    assert call() == 0
    path = FOLDER / "num_test10_1.npz"
    path.write_bytes(path.read_bytes()[:-9])
    capsys.readouterr()
    assert call() == 2
    assert "a damaged one" in said(capsys)


@pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
def test_what_is_no_file_in_the_place_of_one(kind, capsys):
    FOLDER.mkdir(parents=True)
    path = FOLDER / "num_test10_1.npz"
    make = {
        "folder": path.mkdir,
        "link": lambda: path.symlink_to(path),
        "pipe": lambda: os.mkfifo(path),
    }
    make[kind]()
    assert call() == 2
    assert str(path) in said(capsys)
    code = call("--force")
    out, err = capsys.readouterr()
    assert code == (1 if kind == "folder" else 0)
    assert err.count("\n") == code
    assert not list(FOLDER.glob(".*"))


# Several processes in one folder.

WRITER = """
import sys
from dsl.datasets import numbers
from number_prediction import produce_data

save = numbers.save
def slowly(path, examples):
    print("saves", flush=True)
    sys.stdin.readline()
    save(path, examples)
numbers.save = slowly
words = sys.argv[1:]
sys.exit(produce_data.main(produce_data.parse_args(words)))
"""


def start(*arguments):
    """A process that waits for a line before each file that it writes."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, *FEW, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        },
    )


def test_two_seeds_at_once_are_files_of_one(here):
    first = start("--seed", "1")
    assert first.stdout.readline() == "saves\n"
    second = start("--seed", "2")
    try:
        line = second.stderr.readline()
        assert line == f"{FOLDER}: waiting for another process ({first.pid})\n"
        out, err = first.communicate("\n" * 3)
        assert (first.returncode, err) == (0, ""), err
        out, err = second.communicate("\n" * 3)
        assert second.returncode == 2
        assert "holds 30 examples of --seed 1, and would hold" in err
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()
    assert sorted(contents()) == NAMES
    found = numbers.load_splits(FOLDER, Settings())
    assert {examples.settings.seed for examples in found.values()} == {1}


def test_what_a_killed_process_was_writing_goes(capsys):
    FOLDER.mkdir(parents=True)
    ours = [
        FOLDER / ".num_valid7_1.npz.0123456789abcdef.tmp",
        FOLDER / ".num_test10_1.npz.4711.tmp",
    ]
    others = [FOLDER / ".x.tmp", FOLDER / ".num_test10_1.npz.tmp"]
    for path in (*ours, *others):
        path.touch()
    assert call() == 0
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in others)
    assert not (FOLDER / ".lock").exists()


def test_a_lock_that_leads_elsewhere_is_left_alone(capsys):
    FOLDER.mkdir(parents=True)
    Path("mine").write_text("mine")
    (FOLDER / ".lock").symlink_to(Path("mine").absolute())
    assert call() == 1
    assert ".lock: must be a lock, and is a link." in said(capsys)
    assert Path("mine").read_text() == "mine"
    assert os.listdir(FOLDER) == [".lock"]


def test_a_whole_folder_need_not_be_one_to_write(capsys, monkeypatch):
    assert call() == 0

    def writing(*_):
        pytest.fail("it is to be written into")

    monkeypatch.setattr(numbers, "writing", writing)
    assert call() == 0
    assert capsys.readouterr().out.count(", unchanged\n") == 3


# Flags.

BAD = {
    "--length": ("0", "-1", "1001", "1.5", "", "ten", "1e1", HUGE, DIGITS, RED),
    "--symbols": ("1", "0", "-3", "257", "2.5", "", "x", HUGE),
    "--train": ("0", "-1", "", "x", "1e5", "100,000", HUGE, str(2**31)),
    "--valid": ("0", "-1", "", "nan", HUGE),
    "--test": ("0", "-1", "", "inf", HUGE),
    "--seed": ("-1", str(2**31), "", "x", "1_0", "²"),
    "--index_from": ("", "end", "LAST10", RED, "a\nb", "\udcff"),
    "--out_dir": ("",),
}


@pytest.mark.parametrize("flag", BAD)
def test_wrong_values(flag, capsys):
    for value in BAD[flag]:
        assert call(f"{flag}={value}") == 2
        line = said(capsys)
        assert line.startswith(f"produce_data.py: error: argument {flag}: ")
        assert value in line or len(value) > 99 or not value.isprintable()
    assert os.listdir() == []


def test_every_flag_with_a_rule_is_tried():
    actions = produce_data.make_parser()._actions
    ruled = {a.option_strings[0] for a in actions if a.type or a.choices}
    assert ruled == set(BAD)


@pytest.mark.parametrize(
    "words",
    [
        ["extra"],
        ["--len", "5"],
        ["--force=yes"],
        ["--length"],
        [f"--{RED}"],
        ["\udcff\n"],
        ["--" + LONG * 20],
    ],
)
def test_wrong_words(words, capsys):
    assert call(*words) == 2
    said(capsys)
    assert os.listdir() == []


# Sizes.


@pytest.mark.parametrize("split", corpus.SPLITS)
def test_more_than_a_file_may_hold(split, capsys):
    most = numbers.MOST_BYTES // 1002
    assert call("--length", 1000, f"--{split}", most + 1) == 2
    line = said(capsys)
    assert f"--{split}: must be at most {most:,} with --length 1000" in line
    assert os.listdir() == []


def test_the_largest_defaults_fit():
    assert Settings(length=1000).bytes_of(100_000) <= (numbers.MOST_BYTES)


def test_more_than_the_memory_holds(monkeypatch, capsys):
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1024}
    monkeypatch.setattr(os, "sysconf", pages.get)
    assert call("--train", 100_000) == 2
    line = said(capsys)
    assert "must fit into 4 MiB of memory. Received: what needs 4 MiB" in line
    assert call("--train", 80_000) == 0


def test_memory_that_is_not_given(monkeypatch, capsys):
    def draw(*arguments):
        raise MemoryError

    monkeypatch.setattr(numbers, "draw", draw)
    assert call() == 1
    assert "more memory is needed" in said(capsys)


# Folders.


def test_a_folder_is_made(here):
    assert call("--out_dir", here / "a b" / "c") == 0
    assert sorted(contents(here / "a b" / "c")) == NAMES


def test_a_name_that_commands_a_terminal(capsys):
    assert call("--out_dir", f"{RED}\n") == 0
    out, err = capsys.readouterr()
    assert err == "" and out.count("\n") == 5
    assert all(line.isprintable() for line in out.splitlines())


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("file", 2, "--out_dir: must be a folder. Received: 'file'"),
        ("loop", 2, "--out_dir: must be a folder. Received: 'loop'"),
        ("a\0b", 2, r"Received: 'a\x00b'"),
        ("\ud800", 2, r"Received: '\ud800'"),
        ("file/below", 1, "file/below: Not a directory."),
        (LONG, 1, "File name too long."),
        ("/proc/nowhere", 1, "/proc/nowhere: "),
        ("/proc/self", 1, "/proc/self/.lock: "),
    ],
)
def test_no_folder(here, capsys, name, code, says):
    (here / "file").write_text("mine")
    (here / "loop").symlink_to("loop")
    assert call("--out_dir", name) == code
    assert says in said(capsys)
    assert sorted(os.listdir()) == ["file", "loop"]
    assert (here / "file").read_text() == "mine"


def test_a_folder_that_cannot_be_written(here, capsys):
    folder = here / "shut"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write everywhere")
    assert call("--out_dir", folder) == 1
    assert f"{folder}/num_train10_1.npz: Permission denied." in said(capsys)


def test_a_file_system_that_cannot_be_written(monkeypatch, capsys):
    """As in a folder that is shut, for users whom none is shut to."""
    real = open

    def refuse(path, mode="r", *arguments, **keywords):
        if {*"wx"} & {*mode}:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return real(path, mode, *arguments, **keywords)

    monkeypatch.setattr("builtins.open", refuse)
    assert call() == 1
    assert said(capsys) == (
        f"produce_data.py: {FOLDER}/num_train10_1.npz: Read-only file system.\n"
    )


def test_a_full_disk_leaves_no_half_file(capsys):
    with disk_full_after(400):
        assert call("--train", 3000) == 1
    line = said(capsys)
    assert f"{FOLDER}/num_train10_1.npz: File too large." in line
    assert contents() == {}


def test_a_full_disk_leaves_the_old_file(capsys):
    assert call() == 0
    before = contents()
    with disk_full_after(400):
        assert call("--train", 3000, "--force") == 1
    assert contents() == before


# Interruptions.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("function", ["draw", "save"])
def test_a_signal(monkeypatch, capsys, number, function):
    def kill(*arguments):
        os.kill(os.getpid(), number)
        time.sleep(5)

    monkeypatch.setattr(numbers, function, kill)
    assert call() == 130
    assert said(capsys) == "produce_data.py: interrupted.\n"
    assert contents() == {}


def test_a_signal_while_a_file_is_written(monkeypatch, capsys):
    def kill(handle):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    assert call() == 0
    before = contents()
    monkeypatch.setattr(os, "fsync", kill)
    capsys.readouterr()
    assert call("--seed", 1, "--force") == 130
    assert contents() == before


# What it needs.


def test_words_that_are_no_text(here):
    done = subprocess.run(
        [sys.executable, SCRIPT, *FEW, b"--out_dir=\xff\x1b"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii() and "\x1b" not in done.stdout
    assert sorted(contents(os.fsdecode(b"\xff\x1b"))) == NAMES


def test_a_pickle_in_the_place_of_a_file(capsys):
    FOLDER.mkdir(parents=True)
    np.savez(FOLDER / NAMES[0], inputs=np.zeros(3))
    (FOLDER / NAMES[1]).write_bytes(broken_inputs.bombs())
    assert call() == 2
    said(capsys)
    assert not Path("unpickled").exists()
