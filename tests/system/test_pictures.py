"""Letters that a font lacks are told once."""

import os
import warnings
from pathlib import Path

import pytest
from small_files import endless

from dsl.system import pictures

ROOT = Path(__file__).resolve().parents[2]
TASKS = ("copy_task", "language_modeling", "number_prediction")


def test_each_letter_is_told_once_and_other_warnings_pass():
    with pytest.warns(UserWarning) as caught:
        with pictures.letters_lacking() as found:
            for number in (28450, 23383, 28450):
                warnings.warn(
                    f"Glyph {number} (X) missing from font(s) A.", stacklevel=1
                )
            warnings.warn("another", stacklevel=1)
    assert found == ["漢", "字"]
    assert [str(one.message) for one in caught] == ["another"]


def test_a_picture_is_written_and_its_lacking_letters_are_said(tmp_path):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    figure.text(0.5, 0.5, "a\u6f22")
    path = tmp_path / "x.png"
    assert pictures.save(figure, path) == ["\u6f22"]
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("make", [os.mkfifo, endless])
def test_a_picture_goes_into_no_pipe_or_device(tmp_path, make):
    path = tmp_path / "x.png"
    make(path)
    with pytest.raises(OSError, match="not a regular file") as caught:
        pictures.save(None, path)
    assert caught.value.filename == str(path)


def test_every_picture_is_saved_so():
    found = [
        path.name
        for package in ("dsl", "scripts", *TASKS)
        for path in (ROOT / package).rglob("*.py")
        if ".savefig(" in path.read_text("utf-8")
    ]
    assert sorted(found) == ["pictures.py"]


class Figure:
    """Writes the half of itself, and then no more."""

    def savefig(self, file, format, error=None):
        file.write(format.encode())
        if error is not None:
            raise error


def test_a_picture_takes_the_place_of_a_link(tmp_path):
    (tmp_path / "mine.png").write_text("mine")
    (tmp_path / "x.PNG").symlink_to("mine.png")
    pictures.save(Figure(), tmp_path / "x.PNG")
    assert (tmp_path / "x.PNG").read_text() == "png"
    assert (tmp_path / "mine.png").read_text() == "mine"


def test_half_a_picture_replaces_none(tmp_path):
    path = tmp_path / "x.svg"
    path.write_text("old")
    with pytest.raises(OSError, match="No space") as caught:
        pictures.save(Figure(), path, error=OSError(28, "No space"))
    assert caught.value.filename == str(path)
    assert [x.read_text() for x in tmp_path.iterdir()] == ["old"]


def test_in_words():
    assert pictures.in_words([]) == ""
    assert pictures.in_words(["漢", "\ue000"]) == (
        "; boxes stand where its font has no shape, for 漢, \\ue000"
    )
    many = [chr(0x4E00 + n) for n in range(25)]
    assert pictures.in_words(many).endswith(f"{many[19]} and 5 more")
