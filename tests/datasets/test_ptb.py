"""The Penn Treebank loader: search order, checks, download."""

import dataclasses
import gzip
import hashlib
import http.server
import io
import os
import random
import socket
import tarfile
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from dsl.datasets import (
    DataError,
    characters,
    folders,
    generated,
    language_model_corpus,
    ptb,
)
from dsl.datasets import download as downloads
from dsl.datasets import streams as dataset_streams

TEXTS = {"train": " a b b \n c b \n", "valid": " b \n", "test": " c a \n"}


def digest(text, algorithm="sha256"):
    content = text.encode() if isinstance(text, str) else text
    return hashlib.new(algorithm, content).hexdigest()


@pytest.fixture
def tiny(monkeypatch):
    """Makes the loader expect the tiny texts in place of the real ones."""
    monkeypatch.delenv("DSL_DATA_DIR", raising=False)
    expect(monkeypatch)


def expect(monkeypatch, size=4, **tokens):
    """Lets the loader expect the tiny texts, and these counts."""
    known = dataclasses.replace(
        ptb.WORDS,
        sha256={split: digest(text) for split, text in TEXTS.items()},
        tokens={"train": 7, "valid": 2, "test": 3, **tokens},
        vocabulary_size=size,
    )
    monkeypatch.setattr(ptb, "WORDS", known)


def write(folder, texts=TEXTS, packed=False):
    folder.mkdir(parents=True, exist_ok=True)
    for split, text in texts.items():
        content = text.encode()
        if packed:
            path = folder / f"ptb.{split}.txt.gz"
            path.write_bytes(gzip.compress(content))
        else:
            (folder / f"ptb.{split}.txt").write_bytes(content)
    return folder


def offline(data_dir=None, **keywords):
    return ptb.load(data_dir, download=False, **keywords)


@pytest.fixture
def serve(monkeypatch):
    """Serves a folder on this machine, and returns its address."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    servers = []

    def start(folder):
        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments):
                super().__init__(*arguments, directory=str(folder))

            def log_message(self, *arguments):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(
            target=server.serve_forever, args=(0.02,), daemon=True
        ).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


# The real corpus.


@pytest.fixture(scope="module")
def real():
    folder = os.environ.get("DSL_DATA_DIR")
    if not folder or not (Path(folder) / "ptb").is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail("$DSL_DATA_DIR must hold the corpora where CI=true")
        pytest.skip("$DSL_DATA_DIR does not hold the corpora")
    lines = []
    return offline(log=lines.append), lines, folder


def test_real_counts(real):
    corpus, lines, folder = real
    assert corpus.name == "ptb"
    assert len(corpus.train) == 929_589
    assert len(corpus.valid) == 73_760
    assert len(corpus.test) == 82_430
    assert len(corpus.vocabulary) == len(set(corpus.vocabulary)) == 10_000
    assert corpus.true_perplexity is None
    assert len(lines) == 1 and str(Path(folder) / "ptb") in lines[0]


def test_real_ids(real):
    corpus = real[0]
    assert corpus.vocabulary[:5] == ("the", "<unk>", "<eos>", "N", "of")
    counts = dict.fromkeys(range(10_000), 0)
    for token in corpus.train.tolist():
        counts[token] += 1
    keys = [(-counts[i], word) for i, word in enumerate(corpus.vocabulary)]
    assert keys == sorted(keys)
    assert counts[1] == 45_020 and counts[2] == 42_068
    opening = [corpus.vocabulary[i] for i in corpus.train[:4]]
    assert opening == "aer banknote berlitz calloway".split()
    assert corpus.vocabulary[corpus.test[-1]] == "<eos>"


@pytest.mark.parametrize("split, count", [("valid", 105), ("test", 117)])
def test_real_segments(real, split, count):
    rows = dataset_streams.batch(getattr(real[0], split), 20)
    assert dataset_streams.count_segments(rows, 35) == count


def test_real_characters(real):
    """As Kim et al. count them: 51, and 19 in the longest word."""
    words = real[0].vocabulary
    alphabet = characters.alphabet(words)
    assert len(alphabet) == 51 and alphabet[-1] == "z" and "N" in alphabet
    spelling = characters.spell(words, alphabet)
    assert spelling.shape == (10_000, 21)
    lengths = np.count_nonzero(spelling, axis=1)
    assert words[np.argmax(lengths)] == "tele-communications"
    # What a row of 21 does to windows of 7.
    assert np.sum(lengths > 21 - 7) == 302
    rows = dataset_streams.batch(real[0].train, 20)
    segments = dataset_streams.Segments(rows, 35)
    assert dataset_streams.DistinctWords(segments).most == 398


def test_real_hashes(real):
    assert real[0].sha256 == ptb.WORDS.sha256


def test_documented_hashes():
    assert ptb.WORDS.sha256["train"].startswith("fcea919f6cf83f35")
    assert ptb.WORDS.sha256["valid"].startswith("c9fe6985fe0d4ccb")
    assert ptb.WORDS.sha256["test"].startswith("dd65dff31e70846b")
    assert all(len(value) == 64 for value in ptb.WORDS.sha256.values())


# Where it looks.


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("below", ["", "ptb"])
def test_data_dir(tiny, tmp_path, packed, below):
    write(tmp_path / below, packed=packed)
    lines = []
    corpus = offline(tmp_path, log=lines.append)
    assert corpus.vocabulary == ("b", "<eos>", "a", "c")
    assert corpus.train.tolist() == [2, 0, 0, 1, 3, 0, 1]
    assert lines == [f"Corpus: Penn Treebank, from {tmp_path / below}"]


def test_plain_goes_before_packed(tiny, tmp_path):
    write(tmp_path)
    for split in TEXTS:
        (tmp_path / f"ptb.{split}.txt.gz").write_bytes(b"damaged")
    assert len(offline(tmp_path).train) == 7


def test_order_of_search(tiny, tmp_path, monkeypatch):
    shared, root = tmp_path / "shared", tmp_path / "root"
    monkeypatch.setenv("DSL_DATA_DIR", str(shared))
    with pytest.raises(DataError, match="DSL_DATA_DIR must name a folder"):
        offline(root=root)
    shared.mkdir()
    places = [shared / "ptb", shared, root / "data" / "ptb"]
    for place in reversed(places):
        write(place)
        lines = []
        offline(root=root, log=lines.append)
        assert lines[0].endswith(f"from {place}")
    lines = []
    offline(write(tmp_path / "given"), root=root, log=lines.append)
    assert lines[0].endswith(f"from {tmp_path / 'given'}")


def test_data_dir_is_the_only_place(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("DSL_DATA_DIR", str(write(tmp_path / "shared")))
    given = write(tmp_path / "given")
    (given / "ptb.valid.txt").unlink()
    with pytest.raises(DataError) as caught:
        ptb.load(given, root=tmp_path)
    message = str(caught.value)
    assert str(given) in message and "\n" not in message
    assert message.endswith("without ptb.valid.txt")
    for name in ptb.WORDS.files.values():
        assert name in message


@pytest.mark.parametrize("kind", ["missing", "file", "empty"])
def test_data_dir_must_be_a_folder(tiny, tmp_path, kind):
    path = tmp_path / "x"
    if kind == "file":
        path.write_text("x")
    with pytest.raises(DataError, match="must .* folder|must name a folder"):
        offline("" if kind == "empty" else path)


def test_incomplete_shared_folder_is_an_error(tiny, tmp_path, monkeypatch):
    write(tmp_path / "data" / "ptb")
    shared = write(tmp_path / "shared" / "ptb")
    (shared / "ptb.test.txt").unlink()
    monkeypatch.setenv("DSL_DATA_DIR", str(tmp_path / "shared"))
    with pytest.raises(DataError, match="DSL_DATA_DIR.*without ptb.test.txt"):
        offline(root=tmp_path)


def test_not_at_hand(tiny, tmp_path):
    with pytest.raises(folders.NotAtHandError) as caught:
        offline(root=tmp_path)
    assert str(tmp_path / "data" / "ptb") in str(caught.value)
    assert "ptb.train.txt" in str(caught.value)


# Damaged files.


DAMAGE = {
    "empty": ("ptb.train.txt", b"", "must not be empty"),
    "binary": ("ptb.train.txt", b"a\0b", "zero byte at offset 1"),
    "latin": ("ptb.valid.txt", b"caf\xe9 \n", "UTF-8.*byte 0xe9 at offset 3"),
    "short gzip": (
        "ptb.train.txt.gz",
        gzip.compress(b"some words " * 99)[:-12],
        "whole gzip file",
    ),
    "no gzip": ("ptb.train.txt.gz", b"plain", "whole gzip file"),
    "empty gzip": ("ptb.train.txt.gz", gzip.compress(b""), "not be empty"),
    "bad gzip": (
        "ptb.train.txt.gz",
        gzip.compress(b"words")[:10] + b"\xff" * 20,
        "whole gzip file",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_file(tiny, tmp_path, case):
    name, content, rule = DAMAGE[case]
    write(tmp_path)
    if name.endswith(".gz"):
        (tmp_path / name[:-3]).unlink()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rule) as caught:
        offline(tmp_path)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_not_a_regular_file(tiny, tmp_path):
    write(tmp_path)
    path = tmp_path / "ptb.train.txt"
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match="regular file. Received: a folder"):
        offline(tmp_path)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(DataError, match="Received: not a regular file"):
        offline(tmp_path)
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(DataError, match="must be readable.*symbolic links"):
        offline(tmp_path)


def test_unreadable_file(tiny, tmp_path):
    path = write(tmp_path) / "ptb.test.txt"
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(DataError, match="test.txt must be readable.*denied"):
        offline(tmp_path)


def test_oversized_file(tiny, tmp_path, monkeypatch):
    write(tmp_path)
    monkeypatch.setattr("dsl.datasets.files._MAX_BYTES", 13)
    with pytest.raises(DataError, match="at most 13 bytes"):
        offline(tmp_path)


def test_other_text_of_the_same_name(tiny, tmp_path):
    write(tmp_path, {**TEXTS, "valid": "my own\n"})
    with pytest.raises(DataError) as caught:
        offline(tmp_path)
    message = str(caught.value)
    assert str(tmp_path / "ptb.valid.txt") in message
    assert digest(TEXTS["valid"]) in message and digest("my own\n") in message


def test_wrong_counts(tiny, tmp_path, monkeypatch):
    write(tmp_path)
    expect(monkeypatch, size=5)
    with pytest.raises(DataError, match="5 words. Received: .* 4 words"):
        offline(tmp_path)
    expect(monkeypatch, test=4)
    with pytest.raises(DataError, match="'test': 4.* Received: .*'test': 3"):
        offline(tmp_path)


# Download.


def make_archive(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if content is None:
                member.type = tarfile.SYMTYPE
                member.linkname = "/etc/hostname"
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return digest(path.read_bytes(), "md5")


def archive_members(prefix="./simple-examples/data/"):
    return {
        f"{prefix}ptb.{split}.txt": text.encode()
        for split, text in TEXTS.items()
    }


def test_download_of_files(tiny, tmp_path, serve):
    address = serve(write(tmp_path / "far"))
    root = tmp_path / "root"
    lines = []
    corpus = ptb.load(
        root=root, sources=[ptb.Source(address)], log=lines.append
    )
    assert len(corpus.train) == 7
    assert len(lines) == 1 and address in lines[0]
    kept = root / "data" / "ptb"
    assert str(kept) in lines[0]
    names = sorted(path.name for path in kept.iterdir())
    assert names == sorted(ptb.WORDS.files.values())
    assert offline(root=root).sha256 == corpus.sha256


def test_download_of_the_archive(tiny, tmp_path, serve):
    far = tmp_path / "far"
    far.mkdir()
    md5 = make_archive(far / "a.tgz", archive_members())
    address = serve(far)
    sources = [
        ptb.Source(f"{address}/nowhere"),
        ptb.Source(f"{address}/a.tgz", "simple-examples/data", md5),
    ]
    assert len(ptb.load(root=tmp_path, sources=sources).train) == 7
    assert len(offline(root=tmp_path).train) == 7


@pytest.mark.parametrize(
    "members, rule",
    [
        (archive_members("/simple-examples/data/"), "below the archive's top"),
        (archive_members("../simple-examples/data/"), "archive's top"),
        (dict.fromkeys(archive_members()), "plain file"),
        (archive_members("other/"), "must hold simple-examples/data/ptb.test"),
    ],
)
def test_unsafe_archive(tiny, tmp_path, serve, members, rule):
    far = tmp_path / "far"
    far.mkdir()
    md5 = make_archive(far / "a.tgz", members)
    source = ptb.Source(f"{serve(far)}/a.tgz", "simple-examples/data", md5)
    with pytest.raises(folders.NotAtHandError, match=rule):
        ptb.load(root=tmp_path / "root", sources=[source])
    assert not (tmp_path / "root").exists()


def test_a_member_larger_than_asked_for_is_not_unpacked(tmp_path):
    """Its size is read before its bytes are."""
    make_archive(tmp_path / "a.tgz", archive_members())
    archive = (tmp_path / "a.tgz").read_bytes()
    names = {"train": "simple-examples/data/ptb.train.txt"}
    found = downloads.read_members(archive, names, max_bytes=1000)
    assert found == {"train": TEXTS["train"].encode()}
    with pytest.raises(DataError, match="at most 3 bytes. Received: .*train"):
        downloads.read_members(archive, names, max_bytes=3)


def test_an_archive_is_unpacked_as_far_as_its_bound(tmp_path, monkeypatch):
    """However small the members say that they are."""
    monkeypatch.setattr(downloads, "_MAX_UNPACKED", 1 << 20)
    members = {"large": bytes(1 << 26), **archive_members()}
    make_archive(tmp_path / "a.tgz", members)
    archive = (tmp_path / "a.tgz").read_bytes()
    names = {"train": "simple-examples/data/ptb.train.txt"}
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="more than 1048576 bytes in it"):
            downloads.read_members(archive, names)
        assert tracemalloc.get_traced_memory()[1] < 1 << 21
    finally:
        tracemalloc.stop()


def test_archives_that_are_forged_at_random(tmp_path):
    make_archive(tmp_path / "a.tgz", archive_members())
    whole = gzip.decompress((tmp_path / "a.tgz").read_bytes())
    names = {"train": "simple-examples/data/ptb.train.txt"}
    generator, refusals = random.Random(0), 0
    kinds = b"\x000123456789ABDKLMNSVXgx"
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(generator.choice((1, 2, 4))):
            head = 512 * generator.randrange(len(data) // 512)
            place = head + generator.choice((156, 124, 135, *range(0, 500, 9)))
            data[place] = generator.choice(kinds)
            if generator.randrange(2):  # The sum of a head, as it must be.
                data[head + 148 : head + 156] = b" " * 8
                total = b"%06o\0 " % sum(data[head : head + 512])
                data[head + 148 : head + 156] = total
        try:
            downloads.read_members(gzip.compress(data, 1), names)
        except DataError as error:
            refusals += 1
            assert len(str(error)) < 500
    assert refusals > 20


def test_damaged_archive(tiny, tmp_path, serve):
    far = tmp_path / "far"
    far.mkdir()
    make_archive(far / "a.tgz", archive_members())
    whole = (far / "a.tgz").read_bytes()
    (far / "a.tgz").write_bytes(whole[:-30])
    url = f"{serve(far)}/a.tgz"
    wrong = ptb.Source(url, "simple-examples/data", digest(whole, "md5"))
    with pytest.raises(folders.NotAtHandError, match="must have the md5"):
        ptb.load(root=tmp_path, sources=[wrong])
    unchecked = ptb.Source(url, "simple-examples/data")
    with pytest.raises(folders.NotAtHandError, match="whole .tgz|must hold"):
        ptb.load(root=tmp_path, sources=[unchecked])


def test_download_of_other_text_keeps_nothing(tiny, tmp_path, serve):
    address = serve(write(tmp_path / "far", {**TEXTS, "test": "other\n"}))
    root = tmp_path / "root"
    with pytest.raises(folders.NotAtHandError, match="ptb.test.txt.*sha256"):
        ptb.load(root=root, sources=[ptb.Source(address)])
    assert not root.exists()


def test_download_replaces_an_incomplete_folder(tiny, tmp_path, serve):
    address = serve(write(tmp_path / "far"))
    kept = write(tmp_path / "data" / "ptb")
    (kept / "ptb.test.txt").unlink()
    (kept / "ptb.train.txt").write_text("cut sh")
    corpus = ptb.load(root=tmp_path, sources=[ptb.Source(address)])
    assert len(corpus.train) == 7
    assert len(offline(root=tmp_path).train) == 7


def test_download_without_room_to_keep_it(tiny, tmp_path, serve):
    address = serve(write(tmp_path / "far"))
    (tmp_path / "data").write_text("a file in the way")
    lines = []
    corpus = ptb.load(
        root=tmp_path, sources=[ptb.Source(address)], log=lines.append
    )
    assert len(corpus.train) == 7
    assert "not kept" in lines[0] and "must be writable" in lines[0]


def test_silent_server_is_given_up(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(DataError, match="no answer|timed out"):
            downloads.fetch(url, answer_seconds=0.3)
        assert time.monotonic() - start < 15


def test_slow_name_service_is_given_up(monkeypatch):
    never = threading.Event()

    def wait(*arguments, **keywords):
        never.wait(5)
        raise OSError

    monkeypatch.setattr("urllib.request.urlopen", wait)
    with pytest.raises(DataError, match="gave no answer in 0.2 s"):
        downloads.fetch("http://somewhere.invalid", answer_seconds=0.2)
    never.set()


def test_two_sources_fit_into_ten_seconds():
    assert len(ptb.SOURCES) * downloads._ANSWER_SECONDS < 10


def test_closed_port_and_odd_address(tiny, tmp_path):
    sources = [ptb.Source("http://127.0.0.1:1"), ptb.Source("file:///etc")]
    with pytest.raises(folders.NotAtHandError) as caught:
        ptb.load(root=tmp_path, sources=sources)
    assert "http://127.0.0.1:1/ptb.train.txt" in str(caught.value)
    assert "must be an http or https address" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_short_download(tiny, tmp_path, monkeypatch):
    class Answer(io.BytesIO):
        headers = {"Content-Length": "9"}

    monkeypatch.setattr(downloads, "_open", lambda url, s: Answer(b"12345"))
    with pytest.raises(DataError, match="must have 9 bytes. Received: 5"):
        downloads.fetch("http://x")
    with pytest.raises(DataError, match="larger than 4 bytes"):
        downloads.fetch("http://x", max_bytes=4)
    with pytest.raises(DataError, match="longer than"):
        downloads.fetch("http://x", total_seconds=-1.0)


# Which corpus language modeling gets.


def test_language_model_corpus_prefers_the_treebank(tiny, tmp_path):
    lines = []
    corpus = language_model_corpus(write(tmp_path), log=lines.append)
    assert corpus.name == "ptb" and len(lines) == 1


def test_language_model_corpus_falls_back(tiny, tmp_path, monkeypatch):
    load = ptb.load
    monkeypatch.setattr(
        ptb, "load", lambda **k: load(root=tmp_path, sources=[], **k)
    )
    lines = []
    corpus = language_model_corpus(log=lines.append)
    assert corpus.name == "generated"
    assert len(lines) == 1 and "generated" in lines[0]
    assert "NOT the Penn Treebank" in lines[0]
    assert str(tmp_path / "data" / "ptb") in lines[0]
    assert corpus.sha256 == generated.SHA256


def test_language_model_corpus_never_hides_damage(tiny, tmp_path, monkeypatch):
    with pytest.raises(DataError, match="ptb.train.txt.*without them"):
        language_model_corpus(tmp_path)
    write(tmp_path / "ptb", {**TEXTS, "test": "other\n"})
    monkeypatch.setenv("DSL_DATA_DIR", str(tmp_path))
    with pytest.raises(DataError, match="sha256"):
        language_model_corpus(download=False)
