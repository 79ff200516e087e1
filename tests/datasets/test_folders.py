"""Corpora in folders: WikiText-2, characters, and a text of the user's."""

import dataclasses
import gzip
import hashlib
import lzma
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from small_files import endless

from dsl.datasets import (
    DataError,
    folders,
    language_model_corpus,
    ptb,
    wikitext2,
)

TEXTS = {"train": "a b b\n\nc b\n", "valid": "b d\n", "test": "e\nd a\n"}
PACK = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}
SPLITS = tuple(TEXTS)


# What each test is without.
SHARED = os.environ.get("DSL_DATA_DIR")


@pytest.fixture(autouse=True)
def nowhere(monkeypatch):
    monkeypatch.delenv("DSL_DATA_DIR", raising=False)


def write(folder, texts=TEXTS, name="{}.txt", packed=""):
    folder.mkdir(parents=True, exist_ok=True)
    for split, text in texts.items():
        path = folder / f"{name.format(split)}{packed}"
        path.write_bytes(PACK[packed](text.encode()))
    return folder


def expect(monkeypatch, module, attribute, texts, **known):
    """Lets a loader expect these texts."""
    hashes = {
        split: hashlib.sha256(text.encode()).hexdigest()
        for split, text in texts.items()
    }
    layout = dataclasses.replace(
        getattr(module, attribute), sha256=hashes, **known
    )
    monkeypatch.setattr(module, attribute, layout)


def words(corpus, split):
    return [corpus.vocabulary[n] for n in getattr(corpus, split)]


# The real corpora.


def shared(name):
    folder = Path(SHARED or "", name)
    if not SHARED or not folder.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail("$DSL_DATA_DIR must hold the corpora where CI=true")
        pytest.skip("$DSL_DATA_DIR does not hold the corpora")
    return folder


@pytest.fixture(scope="module")
def wikitext():
    folder = shared("wikitext2")
    return language_model_corpus(folder)


def test_wikitext2(wikitext):
    assert wikitext.name == "wikitext2"
    assert wikitext.describe() == {
        "name": "wikitext2",
        "words": 33_278,
        "tokens": {"train": 2_088_628, "valid": 217_646, "test": 245_569},
        "unknown": {"train": 0, "valid": 0, "test": 0},
        "of_characters": False,
    }
    assert wikitext.sha256 == wikitext2.WORDS.sha256
    opening = "<eos> = Valkyria Chronicles III = <eos> <eos> Senjō".split()
    found = [wikitext.vocabulary[n] for n in wikitext.train[:9]]
    assert found == opening
    assert wikitext.vocabulary[:5] == ("the", ",", ".", "of", "<unk>")


@pytest.fixture(scope="module")
def characters():
    return ptb.load(shared("ptb"), characters=True)


def test_ptb_by_characters(characters):
    assert characters.name == "ptb_characters" and characters.of_characters
    assert len(characters.vocabulary) == 50
    tokens = [len(getattr(characters, split)) for split in SPLITS]
    assert tokens == [5_017_482, 393_042, 442_423]
    opening = [characters.vocabulary[n] for n in characters.train[:17]]
    assert "".join(opening) == "aer_banknote_berl"
    absent = set(characters.vocabulary) - set(words(characters, "test"))
    assert absent == {"*", "4"}


def test_words_rewritten_are_the_published_characters(characters):
    folder = shared("ptb")
    for split, name in ptb.WORDS.files.items():
        if split == "train":
            continue  # Ten times as long, and no other rule.
        text = folders.files.read_text(folder / f"{name}.gz")
        found = hashlib.sha256(ptb.as_characters(text).encode())
        assert found.hexdigest() == characters.sha256[split]


def test_characters_of_words_are_counted_as_published(characters):
    """The letters, blanks and line feeds of a text are its characters."""
    corpus = ptb.load(shared("ptb"))
    tokens = corpus.valid
    before = np.append(corpus.vocabulary.index("<eos>"), tokens[:-1])
    assert corpus.count_characters(before, tokens).sum() == 393_042


# A text of the user's.


@pytest.mark.parametrize("name", ["{}.txt", "{}.tokens"])
@pytest.mark.parametrize("packed", PACK)
def test_a_text_of_ones_own(tmp_path, name, packed):
    lines = []
    corpus = language_model_corpus(
        write(tmp_path, name=name, packed=packed), log=lines.append
    )
    assert corpus.vocabulary == ("<eos>", "b", "a", "c", "<unk>")
    assert words(corpus, "train") == "a b b <eos> <eos> c b <eos>".split()
    assert words(corpus, "valid") == "b <unk> <eos>".split()
    assert words(corpus, "test") == "<unk> <eos> <unk> a <eos>".split()
    assert corpus.unknown == {"train": 0, "valid": 1, "test": 2}
    assert lines == [
        f"Corpus: a text of your own, from {tmp_path}",
        "Vocabulary: 5 words; unknown: train 0 (0.00%), valid 1 (33.33%), "
        "test 2 (40.00%); a smaller vocabulary would teach what to expect "
        "there",
    ]


def test_texts_are_told_apart_by_what_they_hold(tmp_path):
    names = set()
    for n, text in enumerate(("b d\n", "b b\n", "b d\n")):
        folder = write(tmp_path / str(n), {**TEXTS, "valid": text})
        names.add(language_model_corpus(folder).name)
    first = min(names)
    assert len(names) == 2 and first.startswith("own-") and len(first) == 12


def test_a_whole_vocabulary_leaves_nothing_to_say(tmp_path):
    texts = {**TEXTS, "valid": "c\n", "test": "a b"}
    lines = []
    corpus = language_model_corpus(write(tmp_path, texts), log=lines.append)
    assert corpus.vocabulary == ("<eos>", "b", "a", "c")
    assert set(corpus.sha256) == set(SPLITS)
    assert len(lines) == 1
    assert words(corpus, "test") == ["a", "b", "<eos>"]


def test_replaced_words_are_part_of_what_tells_texts_apart(tmp_path):
    write(tmp_path)
    whole = language_model_corpus(tmp_path)
    limited = language_model_corpus(tmp_path, vocabulary_size=3)
    hashes = {one.sha256["vocabulary"] for one in (whole, limited)}
    assert len(hashes) == 2
    assert limited.name == f"{whole.name}-3"
    assert limited.vocabulary == ("<eos>", "b", "<unk>")
    assert limited.unknown == {"train": 2, "valid": 1, "test": 3}


def test_a_known_corpus_can_be_limited_too():
    lines = []
    corpus = language_model_corpus(
        name="generated", vocabulary_size=500, log=lines.append
    )
    assert corpus.name == "generated-500" and len(corpus.vocabulary) == 500
    assert corpus.true_perplexity is None
    assert lines[0] == "Corpus: generated sentences"
    assert lines[1].startswith("Vocabulary: 500 words; unknown: train ")
    assert "teach" not in lines[1]


# Which one it is.


def test_a_folder_of_several_corpora(tmp_path, monkeypatch):
    texts = dict.fromkeys(SPLITS, "a b\n")
    known = {"tokens": dict.fromkeys(SPLITS, 3), "vocabulary_size": 3}
    expect(monkeypatch, ptb, "WORDS", texts, **known)
    expect(monkeypatch, wikitext2, "WORDS", texts, **known)
    write(tmp_path)
    write(tmp_path / "ptb", texts, "ptb.{}.txt")
    lines = []
    found = language_model_corpus(tmp_path, log=lines.append)
    assert found.name == "ptb"
    write(tmp_path / "wikitext2", texts, "wiki.{}.tokens", ".xz")
    found = language_model_corpus(tmp_path, log=lines.append)
    assert found.name == "ptb"
    assert lines == [
        f"Corpus: Penn Treebank, from {tmp_path / 'ptb'}; there too: own",
        f"Corpus: Penn Treebank, from {tmp_path / 'ptb'}; there too: "
        "wikitext2, own",
    ]
    chosen = [
        language_model_corpus(tmp_path, name=name)
        for name in ("ptb", "wikitext2", "own")
    ]
    assert [one.name.split("-")[0] for one in chosen] == [
        "ptb",
        "wikitext2",
        "own",
    ]


def test_the_corpus_that_is_named_is_found_in_the_usual_folders(
    tmp_path, monkeypatch
):
    texts = dict.fromkeys(SPLITS, "a b\n")
    known = {"tokens": dict.fromkeys(SPLITS, 3), "vocabulary_size": 3}
    expect(monkeypatch, wikitext2, "WORDS", texts, **known)
    with pytest.raises(folders.NotAtHandError) as caught:
        wikitext2.load(root=tmp_path)
    message = str(caught.value)
    for part in ("wiki.train.tokens", "wikitext-2-v1.zip", "arXiv:1609.07843"):
        assert part in message
    assert message.endswith(f"put them into {tmp_path}/data/wikitext2.")
    write(tmp_path / "data" / "wikitext2", texts, "wiki.{}.tokens", ".gz")
    assert wikitext2.load(root=tmp_path).name == "wikitext2"
    monkeypatch.setenv("DSL_DATA_DIR", str(tmp_path))
    write(tmp_path / "wikitext2", texts, "wiki.{}.tokens")
    lines = []
    language_model_corpus(name="wikitext2", log=lines.append)
    assert lines == [f"Corpus: WikiText-2, from {tmp_path / 'wikitext2'}"]


def test_characters_are_made_from_words(tmp_path, monkeypatch):
    texts = {"train": " a bc \n b \n", "valid": " b a \n", "test": " c \n"}
    expect(monkeypatch, ptb, "WORDS", texts)
    expect(
        monkeypatch,
        ptb,
        "REWRITTEN",
        texts,
        tokens={"train": 7, "valid": 4, "test": 2},
        vocabulary_size=5,
    )
    write(tmp_path / "ptb", texts, "ptb.{}.txt")
    corpus = language_model_corpus(tmp_path, name="ptb_characters")
    assert corpus.name == "ptb_characters" and corpus.of_characters
    assert "".join(words(corpus, "train")) == "a_bc<eos>b<eos>"
    rewritten = {split: ptb.as_characters(texts[split]) for split in texts}
    assert rewritten["train"] == "a _ b c \n b \n "
    assert corpus.sha256["train"] == (
        hashlib.sha256(rewritten["train"].encode()).hexdigest()
    )
    # Their own files go first.
    expect(
        monkeypatch,
        ptb,
        "CHARACTERS",
        rewritten,
        tokens=ptb.REWRITTEN.tokens,
        vocabulary_size=5,
    )
    write(tmp_path / "ptb", rewritten, "ptb.char.{}.txt", ".xz")
    lines = []
    again = language_model_corpus(
        tmp_path, name="ptb_characters", log=lines.append
    )
    assert again.sha256 == corpus.sha256
    np.testing.assert_array_equal(again.train, corpus.train)
    assert lines[0].endswith(str(tmp_path / "ptb"))


def test_a_text_of_single_letters_is_one_of_characters(tmp_path):
    corpus = language_model_corpus(write(tmp_path))
    assert corpus.of_characters
    texts = {**TEXTS, "train": "a b cd\n"}
    assert not language_model_corpus(write(tmp_path, texts)).of_characters


# What is wrong.


def refused(match, *arguments, **options):
    with pytest.raises(DataError, match=match) as caught:
        language_model_corpus(*arguments, **options)
    assert "\n" not in str(caught.value)


def test_what_no_folder_can_hold(tmp_path):
    refused("must name the folder of a text.*Received: None", name="own")
    refused("reads no files.*`data_dir`", tmp_path, name="generated")
    with pytest.raises(ValueError, match="`name` must be one of.*'text8'"):
        language_model_corpus(name="text8")
    with pytest.raises(ValueError, match="at least 2. Received: size=1"):
        language_model_corpus(write(tmp_path), vocabulary_size=1)


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_that_is_missing(tmp_path, split):
    (write(tmp_path) / f"{split}.txt").unlink()
    refused(rf"must hold train.txt.*without {split}.txt$", tmp_path)


def test_a_part_of_a_corpus_is_not_passed_over(tmp_path):
    write(tmp_path, dict.fromkeys(["train", "test"], "a\n"), "ptb.{}.txt")
    write(tmp_path)
    refused("without ptb.valid.txt", tmp_path)
    corpus = language_model_corpus(tmp_path, name="own")
    assert corpus.name.startswith("own-")


def test_another_text_in_the_name_of_wikitext2(tmp_path):
    write(tmp_path, TEXTS, "wiki.{}.tokens")
    refused("wiki.train.tokens must have the sha256", tmp_path)


XZ = lzma.compress(b"some words " * 99)
DAMAGE = {
    "no xz": b"some words",
    "cut": XZ[:-20],
    "cut in its header": XZ[:5],
    "of nothing": lzma.compress(b""),
    "and more": XZ + b"more",
    "and a little more": XZ + b"m",
    "and half a stream": XZ + XZ[:-20],
    "and the start of one": XZ + bytes(4) + XZ[:3],
    "padded by too little": XZ + bytes(3),
    "padded by too much": XZ + bytes(5) + XZ,
    "padding alone": bytes(8),
    "padded before": bytes(4) + XZ,
    "damaged": XZ[:30] + b"\xff" * 9 + XZ[39:],
    "too large": lzma.compress(bytes(1 << 20)),
    "asks for too much memory": lzma.compress(
        b"a\n", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}]
    ),
}


STREAMS = {
    "one": [XZ],
    "several": [XZ, lzma.compress(b"more words"), XZ],
    "padded": [XZ, bytes(8)],
    "padded between": [XZ, bytes(4), XZ, bytes(12), XZ],
    "nothing in one": [lzma.compress(b""), XZ, lzma.compress(b"")],
}


@pytest.mark.parametrize("piece", [1, 7, 1 << 13])
@pytest.mark.parametrize("case", STREAMS)
def test_xz_of_several_streams(tmp_path, monkeypatch, case, piece):
    """As joining files gives them, and `xz` takes them."""
    monkeypatch.setattr("dsl.datasets.files._PACKED_PIECE", piece)
    path = tmp_path / "text.xz"
    path.write_bytes(b"".join(STREAMS[case]))
    expected = b"".join(lzma.decompress(x) for x in STREAMS[case] if any(x))
    assert folders.files.read_bytes(path) == expected


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_xz(tmp_path, monkeypatch, case):
    limit = 1 << (16 if case == "too large" else 28)
    monkeypatch.setattr("dsl.datasets.files._MAX_BYTES", limit)
    (write(tmp_path) / "valid.txt").unlink()
    (tmp_path / "valid.txt.xz").write_bytes(DAMAGE[case])
    rule = {
        "of nothing": "must not be empty",
        "too large": "must hold at most 65536 bytes",
    }.get(case, "must be a whole xz file")
    refused(f"valid.txt.xz {rule}", tmp_path)


@pytest.mark.parametrize("end", [".gz", ".xz", ""])
def test_no_more_is_unpacked_than_a_text_may_hold(tmp_path, monkeypatch, end):
    monkeypatch.setattr("dsl.datasets.files._MAX_BYTES", 1 << 21)
    path = tmp_path / f"text{end}"
    path.write_bytes(PACK[end](bytes(1 << 26)))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="must hold at most 2097152 bytes"):
            folders.files.read_bytes(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24  # The packer's own
    finally:
        tracemalloc.stop()


def test_no_more_is_unpacked_of_many_streams(tmp_path, monkeypatch):
    monkeypatch.setattr("dsl.datasets.files._MAX_BYTES", 1 << 21)
    path = tmp_path / "text.xz"
    path.write_bytes(lzma.compress(bytes(1 << 20)) * 3)
    with pytest.raises(DataError, match="must hold at most 2097152 bytes"):
        folders.files.read_bytes(path)


@pytest.mark.parametrize("end", PACK)
@pytest.mark.parametrize("make", [os.mkfifo, endless])
def test_what_is_no_file_is_neither_waited_for_nor_read(tmp_path, end, make):
    (write(tmp_path) / "valid.txt").unlink()
    make(tmp_path / f"valid.txt{end}")
    says = f"valid.txt{end} must be readable. Received: not a regular file$"
    refused(says, tmp_path)


def test_a_file_that_says_to_be_too_large_is_not_read(tmp_path):
    with open(tmp_path / "text.xz", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DataError, match="must hold at most"):
        folders.files.read_bytes(tmp_path / "text.xz")
