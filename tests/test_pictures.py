"""Letters that a font lacks are told once."""

import warnings

import pytest

from dsl import pictures


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


def test_in_words():
    assert pictures.in_words([]) == ""
    assert pictures.in_words(["漢", "\ue000"]) == (
        "; boxes stand where its font has no shape, for 漢, \\ue000"
    )
    many = [chr(0x4E00 + n) for n in range(25)]
    assert pictures.in_words(many).endswith(f"{many[19]} and 5 more")
