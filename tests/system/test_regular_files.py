import ast
import os
from pathlib import Path

import pytest
from small_files import endless, make_socket

from dsl.system.regular_files import append_regular, open_regular, read_regular

ROOT = Path(__file__).resolve().parents[2]
TASKS = ("copy_task", "language_modeling", "number_prediction")


def test_reads_a_file_and_a_link_to_one(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "file", 3) == b"abc"
    assert read_regular(tmp_path / "link", 3) == b"abc"
    with open_regular(tmp_path / "link") as file:
        assert file.read() == b"abc"


@pytest.mark.parametrize("make", [os.mkfifo, endless, make_socket])
def test_what_is_no_regular_file_is_refused(tmp_path, make, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "special"
    make(path.relative_to(tmp_path))
    for read in (open_regular, read_regular):
        with pytest.raises(OSError, match="not a regular file") as caught:
            read(path, 10)
        assert caught.value.filename == str(path)


def test_a_folder_and_a_missing_file_are_told_apart(tmp_path):
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "missing")


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with open(tmp_path / "large", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(OSError, match="more than the 100 bytes"):
        open_regular(tmp_path / "large", 100)


def test_a_file_that_tells_no_size_is_read_no_further():
    # Files of the system's own are regular, and say that they are empty.
    with pytest.raises(OSError, match="more than the 3 bytes"):
        read_regular("/proc/self/status", 3)


def test_what_is_added_stands_behind_what_is_there(tmp_path):
    path = tmp_path / "file"
    for text in (b"one", b"two"):
        with append_regular(path) as file:
            file.write(text)
    assert path.read_bytes() == b"onetwo"


@pytest.mark.parametrize("make", [os.mkfifo, endless, make_socket])
def test_nothing_is_added_to_what_is_no_regular_file(
    tmp_path, make, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    make(Path("special"))
    with pytest.raises(OSError) as caught:
        append_regular("special")
    assert caught.value.filename == "special"
    link = make is endless
    assert caught.value.strerror == (
        "must be a file of its own, and is a link"
        if link
        else "not a regular file"
    )


def test_nothing_is_added_through_a_link(tmp_path):
    """Nor is anything made where it leads."""
    (tmp_path / "file").write_bytes(b"mine")
    for target in ("file", "missing"):
        (tmp_path / f"to-{target}").symlink_to(target)
        with pytest.raises(OSError, match="and is a link"):
            append_regular(tmp_path / f"to-{target}")
    assert (tmp_path / "file").read_bytes() == b"mine"
    assert not (tmp_path / "missing").exists()


# What opens or reads a file otherwise, and why it may.
ELSEWHERE = {
    "dsl/system/atomic.py": "writes new files",
    "dsl/runs/folder.py": "the lock",
    "scripts/benchmark.py": "what Linux tells of the processor",
    "dsl/experiment/command_line.py": "the program itself",
    "dsl/experiment/entry.py": "the error stream",
}


def readings(path):
    """Lines of a module that open or read a file by themselves."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Name) and called.id == "open":
            yield node.lineno
        elif isinstance(called, ast.Attribute) and (
            called.attr in ("read_text", "read_bytes")
            # Those of `dsl.datasets.files` are no methods of a path.
            and getattr(called.value, "id", None) != "files"
        ):
            yield node.lineno


def test_every_file_is_read_as_a_regular_one():
    found = {
        str(path.relative_to(ROOT)): [*readings(path)]
        for package in ("dsl", "scripts", *TASKS)
        for path in (ROOT / package).rglob("*.py")
    }
    assert (
        found["dsl/system/atomic.py"]
        and not found["dsl/system/regular_files.py"]
    )
    others = {name for name, lines in found.items() if lines}
    assert others <= {*ELSEWHERE}
