"""Number prediction: what is drawn, what is kept, what is refused."""

import dataclasses
import hashlib
import io
import itertools
import json
import os
import random
import shlex
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import broken_inputs
import numpy as np
import pytest
from small_files import disk_full_after

from dsl import choices
from dsl.datasets import DataError, corpus, numbers
from dsl.datasets.numbers import Examples, Settings
from number_prediction import produce_data

pytestmark = pytest.mark.backend

ROOT = Path(__file__).resolve().parents[3]
FAR = Settings(length=20)
NEAR = Settings(length=20, index_from="start")


def draw(count=50, split="train", **settings):
    return numbers.draw(Settings(**settings), split, count)


def of(rows, **settings):
    """Examples with the given numbers."""
    inputs = np.array(rows, np.uint8)
    found = Settings(length=inputs.shape[1] - 1, **settings)
    labels = numbers.labels_of(inputs, found)
    return Examples(inputs, labels, found, "train")


# The rule.


@pytest.mark.parametrize("index_from", choices.INDEX_FROM)
def test_the_examples_of_the_picture(index_from):
    rows = [[8, 5, 1, 7, 4, 3], [2, 6, 4, 1, 3, 2]]
    assert of(rows, index_from=index_from).labels.tolist() == [7, 4]


@pytest.mark.parametrize(
    ("settings", "first"),
    [
        (Settings(length=10), 0),
        (Settings(length=10, index_from="start"), 0),
        (Settings(length=4), 0),
        (FAR, 10),
        (NEAR, 0),
        (Settings(length=100), 90),
        (Settings(length=100, index_from="start"), 0),
        (Settings(length=20, symbols=3), 17),
        (Settings(length=20, symbols=256), 0),
        (Settings(length=1), 0),
    ],
)
def test_each_label_is_what_the_sequence_points_to(settings, first):
    examples = numbers.draw(settings, "test", 300)
    assert examples.inputs.shape == (300, settings.length + 1)
    assert examples.inputs.dtype == examples.labels.dtype == np.uint8
    for row, label in zip(examples.inputs, examples.labels, strict=True):
        *digits, pointer = row.tolist()
        assert pointer < min(settings.symbols, settings.length)
        assert max(digits) < settings.symbols
        assert digits[first + pointer] == label


def test_the_published_rule_at_100_digits():
    """The data script adds 90 to the pointer."""
    examples = draw(200, length=100)
    for row, label in zip(examples.inputs, examples.labels, strict=True):
        assert row[int(row[100]) + 90] == label


def test_both_conventions_are_one_at_ten_digits():
    near, far = draw(), draw(index_from="start")
    np.testing.assert_array_equal(near.inputs, far.inputs)
    np.testing.assert_array_equal(near.labels, far.labels)


@pytest.mark.parametrize("index_from", ["start", "last10"])
def test_shortened_examples_are_examples(index_from):
    whole = numbers.draw(Settings(14, index_from), "train", 50)
    assert np.array_equal(whole.shortened(14).inputs, whole.inputs)
    for length in range(10, 14):
        short = whole.shortened(length)
        assert short.inputs.shape == (50, length + 1)
        assert short.settings == Settings(length, index_from)
        first = short.settings.first
        pointed = short.inputs[range(50), first + short.inputs[:, -1]]
        assert np.array_equal(pointed, whole.labels)
        assert np.array_equal(short.labels, whole.labels)
    for length in (9, 15):
        with pytest.raises(ValueError, match=r"\[10, 14\]. Received: "):
            whole.shortened(length)


def test_examples_cannot_be_changed_by_accident():
    examples = draw()
    for array in (examples.inputs, examples.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


# Chance.


def chi_square(values, bound):
    counts = np.bincount(np.ravel(values), minlength=bound)
    assert len(counts) == bound
    expected = np.size(values) / bound
    return ((counts - expected) ** 2 / expected).sum()


def most(freedom):
    """What chi-square exceeds once in 100,000 times, nearly."""
    return freedom + 4.3 * np.sqrt(2 * freedom) + 12


@pytest.mark.parametrize("symbols", [2, 3, 10, 200, 256])
def test_every_number_is_as_likely(symbols):
    settings = Settings(length=20, symbols=symbols)
    examples = numbers.draw(settings, "train", 20_000)
    inputs, pointers = examples.inputs, settings.pointers
    assert chi_square(inputs[:, :-1], symbols) < most(symbols - 1)
    assert chi_square(inputs[:, -1], pointers) < most(pointers - 1)
    assert chi_square(examples.labels, symbols) < most(symbols - 1)


def test_every_position_is_as_likely_and_neighbors_are_independent():
    inputs = draw(20_000).inputs.astype(int)
    for column in inputs.T:
        assert chi_square(column, 10) < most(9)
    for left, right in itertools.pairwise(inputs.T):
        assert chi_square(10 * left + right, 100) < most(99)
    assert chi_square(10 * inputs[:-1, 4] + inputs[1:, 4], 100) < most(99)


def test_splits_and_seeds_are_independent():
    drawn = [
        draw(20_000, split, seed=seed).inputs.astype(int)
        for split in corpus.SPLITS
        for seed in (0, 1, 3435)
    ]
    for one, other in itertools.combinations(drawn, 2):
        assert chi_square(10 * one + other, 100) < most(99)


def test_pointers_are_not_the_digits_again():
    inputs = draw(20_000).inputs.astype(int)
    digits = inputs[:, :-1].ravel()[:20_000]
    assert chi_square(10 * digits + inputs[:, -1], 100) < most(99)


def test_more_examples_begin_with_the_same_ones():
    few, many = draw(7, length=13), draw(90_000, length=13)
    np.testing.assert_array_equal(few.inputs, many.inputs[:7])
    again = draw(90_000, length=13)
    np.testing.assert_array_equal(again.inputs, many.inputs)


def test_the_stream_is_that_of_the_raw_bits():
    """Written down a second time, byte by byte."""
    for stream, bound in ((0, 10), (1, 7)):
        key = np.random.SeedSequence(5, spawn_key=(1, stream))
        words = np.random.Philox(key).random_raw(100).tolist()
        octets = b"".join(word.to_bytes(8, "little") for word in words)
        limit = 256 // bound * bound
        expected = [octet % bound for octet in octets if octet < limit]
        found = draw(11, "valid", length=7, seed=5).inputs
        drawn = found[:, -1] if stream else found[:, :-1].ravel()
        assert drawn.tolist() == expected[: drawn.size]


PINNED_ROWS = [
    [8, 8, 9, 7, 9, 0, 7, 5, 9, 2, 8],
    [7, 0, 1, 8, 9, 5, 4, 6, 0, 7, 9],
]
PINNED_SHA256 = (
    "6fb2cdbdddf134bf72be979b1aa64e9ee0e172660c2d0081b95cb4bef2ace9cf"
)


def test_the_numbers_of_another_version_would_be_noticed():
    examples = draw(2)
    assert examples.inputs.tolist() == PINNED_ROWS
    assert examples.sha256 == PINNED_SHA256


def test_the_hashes_in_the_page_are_those_of_the_program():
    text = (ROOT / "data" / "README.md").read_text("utf-8")
    assert "100,000 training, 10,000 validation and 10,000 test" in text
    for length, split, count in (
        (10, "train", 100_000),
        (10, "valid", 10_000),
        (10, "test", 10_000),
        (20, "train", 100_000),
        (20, "valid", 10_000),
        (20, "test", 10_000),
    ):
        examples = draw(count, split, length=length)
        name = numbers.file_name(examples.settings, split)
        assert f"| `{name}` | `{examples.sha256}` |" in text


# Settings.


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("length", [0, -1, 1001, 2.0, True, "10", None]),
        ("symbols", [1, 0, 257, 10.0, "10", None]),
        ("seed", [-1, 2**31, 0.5, None]),
        ("index_from", ["", "end", None, 0, "LAST10"]),
    ],
)
def test_wrong_settings(name, values):
    for value in values:
        with pytest.raises(ValueError, match=f"`{name}`.*Received: ") as caught:
            Settings(**{name: value})
        assert repr(value) in str(caught.value)


def test_wrong_splits_and_counts(tmp_path):
    with pytest.raises(ValueError, match="`split` must be one of.*'dev'"):
        draw(split="dev")
    with pytest.raises(ValueError, match="`split` must be one of.*'dev'"):
        numbers.load(tmp_path, "dev", Settings())
    for count in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="`count`.*at least 1"):
            draw(count)


# Overlap.


def by_hand(train, other):
    """Compares each with each."""
    return sum(
        any(one.tolist() == row.tolist() for one in train.inputs)
        for row in other.inputs
    )


@pytest.mark.parametrize("counts", [(30, 20), (3, 200), (200, 3), (1, 1)])
@pytest.mark.parametrize("length", [1, 2, 4])
def test_overlap_is_that_of_brute_force(counts, length):
    train = draw(counts[0], length=length, symbols=2)
    other = draw(counts[1], "test", length=length, symbols=2)
    assert numbers.overlap(train, other)[0] == by_hand(train, other)


def test_the_expected_overlap_is_the_mean_over_seeds():
    counts, expected = [], []
    for seed in range(400):
        settings = {"length": 4, "symbols": 3, "seed": seed}
        train, other = draw(100, **settings), draw(50, "valid", **settings)
        count, chance = numbers.overlap(train, other)
        counts.append(count)
        expected.append(chance)
    by_formula = 50 * (1 - (1 - 1 / 3**5) ** 100)
    assert expected == pytest.approx([by_formula] * 400)
    error = np.std(counts) / np.sqrt(len(counts))
    assert abs(np.mean(counts) - expected[0]) < 4 * error


def test_the_expected_overlap_where_it_is_next_to_nothing():
    chance = numbers.overlap(draw(1000), draw(1000, "test"))[1]
    assert chance == pytest.approx(1e6 * 1e-11, rel=1e-6)
    chance = numbers.overlap(draw(10, length=20), draw(10, "test", length=20))[
        1
    ]
    assert chance == pytest.approx(100 * 1e-21, rel=1e-6)
    far = numbers.overlap(draw(2, length=1000), draw(2, "test", length=1000))
    assert far == (0, 0.0)


# Files.


@pytest.fixture
def kept(tmp_path):
    """The file of 50 training examples, 20 digits each, and these."""
    examples = numbers.draw(FAR, "train", 50)
    path = tmp_path / "num_train20_1.npz"
    numbers.save(path, examples)
    return path, examples


def load(path, split="train", expected=FAR):
    return numbers.load(path, split, expected)


def refused(path, split="train", expected=FAR):
    """The message of a refusal, which is one line and names the file."""
    with pytest.raises(DataError) as caught:
        load(path, split, expected)
    message = str(caught.value)
    assert message.startswith(str(path)) and message.isprintable()
    assert len(message) < 600
    return message.removeprefix(str(path))


@pytest.mark.parametrize("form", [Path, str, lambda path: path.parent])
def test_what_is_kept_is_read(kept, form):
    path, examples = kept
    found = load(form(path))
    np.testing.assert_array_equal(found.inputs, examples.inputs)
    np.testing.assert_array_equal(found.labels, examples.labels)
    assert (found.settings, found.split) == (FAR, "train")
    assert found.sha256 == examples.sha256
    assert len(found) == 50
    assert not found.inputs.flags.writeable
    assert not found.labels.flags.writeable


def test_numpy_alone_reads_the_arrays(kept):
    path, examples = kept
    with np.load(path) as arrays:
        np.testing.assert_array_equal(arrays["inputs"], examples.inputs)
        np.testing.assert_array_equal(arrays["labels"], examples.labels)


def test_the_seed_may_be_another(tmp_path):
    path = tmp_path / "num_test10_1.npz"
    numbers.save(path, draw(5, "test", seed=9))
    assert load(tmp_path, "test", Settings()).settings.seed == 9


@pytest.mark.parametrize(
    "settings",
    [
        Settings(length=1),
        Settings(length=1000),
        Settings(length=7, symbols=256),
        Settings(length=300, symbols=256, index_from="start"),
        Settings(symbols=2, seed=2**31 - 1),
    ],
)
def test_extreme_settings_are_read_again(tmp_path, settings):
    for count in (1, 3):
        examples = numbers.draw(settings, "valid", count)
        path = tmp_path / numbers.file_name(settings, "valid")
        numbers.save(path, examples)
        found = load(tmp_path, "valid", settings)
        np.testing.assert_array_equal(found.inputs, examples.inputs)


def test_the_same_examples_are_the_same_bytes(kept, tmp_path):
    path, _ = kept
    code = (
        "from dsl.datasets import numbers as n; "
        "n.save('again.npz', n.draw(n.Settings(length=20), 'train', 50))"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TZ": "Asia/Tokyo"},
        check=True,
    )
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["again.npz", path.name]


def test_a_full_disk_leaves_the_old_file(kept):
    path, _ = kept
    before = path.read_bytes()
    with disk_full_after(300), pytest.raises(OSError, match="large") as caught:
        numbers.save(path, draw(1000, length=20))
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


# Files that are missing or not what they should be.


@pytest.mark.parametrize("below", ["", "no/where"])
def test_a_missing_file_names_the_command_that_makes_it(
    tmp_path, monkeypatch, capsys, below
):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / below / "a b"
    settings = Settings(4, "start", 3, 7)
    with pytest.raises(DataError) as caught:
        load(folder, "valid", settings)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'num_valid4_1.npz'} must be there.")
    program, script, *words = shlex.split(message.split("this makes it: ")[1])
    assert (program, script) == ("python", "number_prediction/produce_data.py")
    words += ["--train", "9", "--valid", "9", "--test", "9"]
    args = produce_data.parse_args(words)
    assert produce_data.main(args) == 0, capsys.readouterr()
    for split in corpus.SPLITS:
        assert load(folder, split, settings).settings == settings


@pytest.mark.parametrize("name", ["", "\0", "n" * 300, "x.npz/a", "\ud800"])
def test_names_that_no_file_has(name):
    with pytest.raises(DataError, match="must be there"):
        load(name, expected=Settings(3))


def test_what_is_no_file(tmp_path):
    path = tmp_path / "a.npz"
    path.mkdir()
    # A folder may have any name.
    (path / "num_train20_1.npz").mkdir()
    assert "regular file. Received: a folder" in refused(path)
    (path / "num_train20_1.npz").rmdir()
    path.rmdir()
    os.mkfifo(path)
    assert "Received: not a regular file" in refused(path)
    path.unlink()
    path.symlink_to(path)
    assert "must be readable" in refused(path)


OTHERS = {
    "length": (Settings(21), "of length 21. Received: 20"),
    "index_from": (NEAR, "of index_from 'start'. Received: last10"),
    "symbols": (Settings(20, symbols=9), "of symbols 9. Received: 10"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_settings_than_asked_for(kept, name):
    expected, says = OTHERS[name]
    assert says in refused(kept[0], expected=expected)


def test_a_split_under_the_name_of_another(kept):
    path, _ = kept
    path.rename(path.with_name("num_test20_1.npz"))
    message = refused(path.with_name("num_test20_1.npz"), "test")
    assert "of split 'test'. Received: train" in message


def rewritten(path, function):
    """Replaces the members of a file; gives its path."""
    with zipfile.ZipFile(path) as archive:
        old = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, *content in function(old):
            archive.writestr(name, *content)
    return path


def with_header(**changes):
    def function(members):
        header = json.loads(members["header.json"])
        for key, value in changes.items():
            inner = header if key in header else header["settings"]
            inner[key] = value
        header = {k: v for k, v in header.items() if v is not ...}
        members["header.json"] = json.dumps(header).encode()
        return members.items()

    return function


def with_member(name, content, *kind):
    def function(members):
        return [
            (key, content, *kind) if key == name else (key, old)
            for key, old in members.items()
        ]

    return function


def tampered(examples, **changes):
    """Members of examples in which single numbers are others."""
    inputs, labels = examples.inputs.copy(), examples.labels.copy()
    for name, (place, value) in changes.items():
        {"inputs": inputs, "labels": labels}[name][place] = value
    header = json.dumps({**examples.header(), "sha256": examples.sha256})
    return lambda _: [
        ("inputs.npy", broken_inputs.as_array(inputs)),
        ("labels.npy", broken_inputs.as_array(labels)),
        ("header.json", header),
    ]


def test_a_rewritten_file_is_as_good(kept):
    """So what the other tests see is not the rewriting."""
    path, examples = kept
    rewritten(path, tampered(examples))
    assert load(path).sha256 == examples.sha256


def test_a_label_that_is_another(kept):
    path, examples = kept
    right = int(examples.labels[17])
    wrong = (right + 1) % 10
    rewritten(path, tampered(examples, labels=(17, wrong)))
    assert refused(path) == (
        ": each label must be what its sequence points to. "
        f"Received: {wrong} in place of {right} in example 17"
    )


@pytest.mark.parametrize("value", [10, 255])
def test_numbers_out_of_their_range(kept, value):
    path, examples = kept
    rewritten(path, tampered(examples, inputs=((3, 19), value)))
    says = f"each digit must be below 10. Received: {value} in example 3"
    assert says in refused(path)
    rewritten(path, tampered(examples, inputs=((4, 20), value)))
    says = f"each pointer must be below 10. Received: {value} in example 4"
    assert says in refused(path)


def test_pointers_beyond_a_short_sequence(tmp_path):
    settings = Settings(4)
    examples = numbers.draw(settings, "train", 5)
    path = tmp_path / "a.npz"
    numbers.save(path, examples)
    rewritten(path, tampered(examples, inputs=((0, 4), 4)))
    message = refused(path, expected=settings)
    assert "each pointer must be below 4. Received: 4 in example 0" in message


def test_a_digit_that_nothing_points_to(kept):
    """Only the hash can tell."""
    path, examples = kept
    digit = (int(examples.inputs[0, 0]) + 1) % 10
    rewritten(path, tampered(examples, inputs=((0, 0), digit)))
    message = refused(path)
    assert f"must have the sha256 {examples.sha256}. Received: " in message


ARRAYS = {
    "64 bits": lambda x: x.astype(np.int64),
    "signed": lambda x: x.astype(np.int8),
    "truth values": lambda x: x.astype(bool),
    "one more": lambda x: np.concatenate([x, x[:1]]),
    "one less": lambda x: x[:-1],
    "flat": np.ravel,
    "other order": np.asfortranarray,
    "none": lambda x: x[:0],
    "text": lambda x: x.astype("S3"),
}


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("name", ["inputs", "labels"])
def test_arrays_of_another_kind(kept, kind, name):
    path, examples = kept
    array = getattr(examples, name)
    if name == "labels" and kind in ("flat", "other order"):
        array = np.array([array, array])
    content = broken_inputs.as_array(ARRAYS[kind](array))
    message = refused(rewritten(path, with_member(f"{name}.npy", content)))
    assert f": {name}.npy must " in message
    assert "Received: " in message


def test_pickled_objects_do_nothing(kept, monkeypatch):
    path, _ = kept
    monkeypatch.chdir(path.parent)
    for name in ("inputs.npy", "labels.npy"):
        rewritten(path, with_member(name, broken_inputs.bombs()))
        assert "must be uint8[50" in refused(path)
    assert not Path("unpickled").exists()


MEMBERS = {
    "one more": lambda old: [*old.items(), ("more.npy", b"")],
    "one before": lambda old: [("more.npy", b""), *old.items()],
    "one less": lambda old: list(old.items())[:-1],
    "another order": lambda old: list(old.items())[::-1],
    "none": lambda old: [],
    "odd names": lambda old: [("\x1b[31m\n" * 99, b"")],
    "those of another program": lambda old: [("nll.npy", b"")],
}


@pytest.mark.parametrize("kind", MEMBERS)
def test_other_members(kept, kind):
    message = refused(rewritten(kept[0], MEMBERS[kind]))
    assert "must hold inputs.npy, labels.npy, header.json" in message


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_twice(kept):
    def function(old):
        return [*old.items(), *list(old.items())[:1]]

    says = "a damaged one: 'inputs.npy' is there twice"
    assert says in refused(rewritten(kept[0], function))


HEADERS = {
    "empty": b"",
    "no JSON": b"{",
    "no text": b"\xff\xfe",
    "a list": b"[]",
    "a number": b"3",
    "null": b"null",
    "deep": b"[" * 3000,
    "no settings": {"settings": ...},
    "settings a list": {"settings": [20]},
    "settings with more": {"settings": {"length": 20, "more": 1}},
    "settings of text": {"length": "20"},
    "no length": {"length": 0},
    "no count": {"count": ...},
    "count of text": {"count": "50"},
    "count of a fraction": {"count": 50.5},
    "count 0": {"count": 0},
    "count -1": {"count": -1},
    "no split": {"split": ...},
    "no format": {"format": ...},
    "no hash": {"sha256": ...},
    "large": {"format": "x" * 5000},
}


@pytest.mark.parametrize("kind", HEADERS)
def test_a_header_that_is_none(kept, kind):
    change = HEADERS[kind]
    function = (
        with_member("header.json", change)
        if isinstance(change, bytes)
        else with_header(**change)
    )
    message = refused(rewritten(kept[0], function))
    assert "must be a whole file of produce_data.py" in message


STRANGE = {
    "format 2": ({"format": 2}, "its format must be 1. Received: 2"),
    "odd format": ({"format": "\x1b\n"}, r"Received: \x1b\n"),
    "odd split": ({"split": ["\x1b" * 500]}, "examples of split 'train'"),
    "many": ({"count": 10**9}, "at most 134217728 bytes"),
    "very many": ({"count": 10**900}, "at most 134217728 bytes"),
    "one more": ({"count": 51}, "inputs.npy must be uint8[51, 21]"),
    "other seed": ({"seed": 1}, "must have the sha256"),
    "other hash": ({"sha256": "0" * 64}, "must have the sha256 0000"),
    "odd hash": ({"sha256": ["\x1b" * 500]}, "must have the sha256"),
    "no more": ({"count": 6}, "inputs.npy must be uint8[6, 21]"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_a_header_that_is_another(kept, kind):
    changes, says = STRANGE[kind]
    assert says in refused(rewritten(kept[0], with_header(**changes)))


def test_a_header_of_other_settings_that_fit(kept):
    """Neither a label nor a range can tell, but the hash can."""
    path, _ = kept
    numbers.save(path, numbers.draw(NEAR, "train", 50))
    rewritten(path, with_header(symbols=11))
    expected = Settings(20, "start", 11)
    assert "must have the sha256" in refused(path, expected=expected)


# Sizes that are not to be believed.


def as_members(inputs, kind=zipfile.ZIP_DEFLATED):
    return with_member("inputs.npy", inputs, kind)


def test_an_array_far_larger_than_it_should_be(kept):
    zeros = np.zeros((50, 21), np.uint8)
    zeros = broken_inputs.as_array(zeros) + bytes(10**7)
    path = rewritten(kept[0], as_members(zeros))
    assert path.stat().st_size < 20_000
    says = "'inputs.npy' must hold at most 1178 bytes, and says 10001178"
    assert says in refused(path)


def test_a_shape_larger_than_any_memory(kept):
    text = "{'descr': '|u1', 'fortran_order': False, 'shape': (%s,)}"
    content = broken_inputs.header(text % broken_inputs.HUGE)
    path = rewritten(kept[0], as_members(content))
    assert "inputs.npy must be uint8[50, 21]. Rec" in refused(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x02\x00" + bytes(200),
        broken_inputs.header("{'descr': '|u1', 'fortran_order'"),
        broken_inputs.header("[" * 90),
        broken_inputs.header(
            "{'descr': '|u1', 'fortran_order': False, 'shape': (50, 21)}"
        ),
    ],
)
def test_an_array_without_its_header_or_numbers(kept, content):
    path = rewritten(kept[0], as_members(content))
    assert "must be a whole file of produce_data.py" in refused(path)


def test_a_member_that_unpacks_to_more_than_it_says(kept, monkeypatch):
    """What is unpacked is bounded, not only what is kept of it."""
    # Room for the largest file is asked for, and given back.
    monkeypatch.setattr("dsl.datasets.files._MAX_BYTES", 10**5)
    path, examples = kept
    honest = broken_inputs.as_array(examples.inputs)
    rewritten(path, as_members(honest + bytes(2 * 10**7)))
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        size = archive.start_dir + 24
    data[size : size + 4] = len(honest).to_bytes(4, "little")
    path.write_bytes(data)
    tracemalloc.start()
    try:
        message = refused(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "must be a whole file of produce_data.py" in message
    assert peak < 10**6


@pytest.mark.parametrize("change", [-100, -1, 1, 100, 10**9])
@pytest.mark.parametrize("index", range(3))
def test_sizes_that_are_others(kept, change, index):
    path, _ = kept
    with zipfile.ZipFile(path) as archive:
        offset = archive.start_dir
        infos = archive.infolist()
    data = bytearray(path.read_bytes())
    # 46 bytes of each entry stand before its name.
    start = offset + sum(46 + len(one.filename) for one in infos[:index])
    size = int.from_bytes(data[start + 24 : start + 28], "little")
    assert size == infos[index].file_size
    data[start + 24 : start + 28] = (size + change).to_bytes(4, "little")
    path.write_bytes(data)
    assert " must " in refused(path)


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_that_are_packed_in_another_way(kept, kind):
    """Their packers unpack without a bound."""
    path, examples = kept
    content = broken_inputs.as_array(examples.inputs)
    rewritten(path, as_members(content, kind))
    assert "must be a whole file of produce_data.py" in refused(path)


def test_a_file_larger_than_any(kept, monkeypatch):
    monkeypatch.setattr("dsl.datasets.files._MAX_BYTES", 100)
    assert "must hold at most 100 bytes" in refused(kept[0])


# Files that were damaged.


def test_a_file_cut_short_anywhere(kept):
    path, _ = kept
    whole = path.read_bytes()
    lengths = [*range(40), *range(40, len(whole), 67), len(whole) - 1]
    for length in lengths:
        path.write_bytes(whole[:length])
        assert "must be a whole file of produce_data.py" in refused(path)


def test_bits_that_turn_over_anywhere(kept):
    path, examples = kept
    whole = path.read_bytes()
    generator = random.Random(0)
    refusals = 0
    for _ in range(200):
        changed = bytearray(whole)
        changed[generator.randrange(len(whole))] ^= 1 << generator.randrange(8)
        path.write_bytes(changed)
        try:
            found = load(path)
        except DataError as error:
            refusals += 1
            assert str(error).isprintable()
        else:
            assert found.sha256 == examples.sha256
            np.testing.assert_array_equal(found.inputs, examples.inputs)
    assert refusals > 150


FOREIGN = {
    "empty": b"",
    "text": b"8 5 1 7 4 3 7\n",
    "zeros": bytes(5000),
    "a pickle": b"\x80\x04\x95\x10\x00\x00\x00",
    "one array": broken_inputs.as_array(np.zeros((50, 22), np.uint8)),
    "an empty archive": b"PK\x05\x06" + bytes(18),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_files_of_other_programs(kept, kind):
    path, _ = kept
    path.write_bytes(FOREIGN[kind])
    assert "must " in refused(path)


def test_a_foreign_archive_of_numpy(kept):
    path, examples = kept
    np.savez(path, train=examples.inputs)
    assert "Received: ['train.npy']" in refused(path)
    np.savez_compressed(path, inputs=examples.inputs, labels=examples.labels)
    assert "Received: ['inputs.npy', 'labels.npy']" in refused(path)


# The module.


def test_it_imports_neither_keras_nor_a_parser():
    code = (
        "import sys; from dsl.datasets import numbers; "
        "print({'keras', 'tensorflow', 'jax', 'argparse'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout == "set()\n", done.stderr


def test_the_hash_is_that_of_header_and_numbers():
    examples = draw(3)
    header = {
        "format": 1,
        "split": "train",
        "count": 3,
        "settings": dataclasses.asdict(Settings()),
    }
    content = io.BytesIO()
    content.write(json.dumps(header, sort_keys=True).encode())
    content.write(examples.inputs.tobytes() + examples.labels.tobytes())
    expected = hashlib.sha256(content.getvalue()).hexdigest()
    assert examples.sha256 == expected


def test_splits_of_two_seeds_are_refused(tmp_path):
    for split, seed in (("train", 1), ("valid", 2), ("test", 1)):
        examples = numbers.draw(Settings(seed=seed), split, 3)
        name = numbers.file_name(Settings(), split)
        numbers.save(tmp_path / name, examples)
    with pytest.raises(DataError) as error:
        numbers.load_splits(tmp_path, Settings())
    assert str(error.value) == (
        f"{tmp_path} must hold the files of one seed. Received: train 1, "
        "valid 2, test 1; produce_data.py --force replaces them all"
    )
    examples = numbers.draw(Settings(seed=1), "valid", 3)
    name = numbers.file_name(Settings(), "valid")
    numbers.save(tmp_path / name, examples)
    found = numbers.load_splits(tmp_path, Settings())
    assert list(found) == ["train", "valid", "test"]
    assert found["valid"].sha256 == examples.sha256
