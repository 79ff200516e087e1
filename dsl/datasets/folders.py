"""Text corpora in folders: which files, where to look, what must come out."""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from dsl.datasets import corpus as corpora
from dsl.datasets import files, texts
from dsl.datasets.corpus import EOS, UNKNOWN, split_words
from dsl.datasets.errors import DataError
from dsl.system.messages import printable

REPOSITORY = Path(__file__).resolve().parents[2]
_PACKED = "each plain or with .gz or .xz"


class NotAtHandError(DataError):
    """A corpus lies in none of the usual folders and did not download."""


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
    """The three files of a corpus, and what is known of it beforehand.

    Attributes:
        name: Short name; `Corpus.name` of a text that is known.
        title: What people call it.
        files: Split to file name, without `.gz` or `.xz`.
        folder: Its folder below one of several corpora; None if it has none.
        sha256: Split to the hash that its file must have, unpacked; None for
            a text that nobody knows beforehand.
        tokens: Split to the number of tokens that must come out.
        vocabulary_size: Number of words that must come out.
        rewrite: Function from the text of a file to that of the corpus; None
            if they are the same.
    """

    name: str
    title: str
    files: Mapping[str, str]
    folder: str | None = None
    sha256: Mapping[str, str] | None = None
    tokens: Mapping[str, int] | None = None
    vocabulary_size: int | None = None
    rewrite: Callable[[str], str] | None = None

    def missing(self, place: Path) -> list[str]:
        """Names of the files that a folder lacks."""
        found = files.find(place, tuple(self.files.values()))
        return [name for name in self.files.values() if name not in found]

    def read(
        self, place: Path, log: Callable[[str], None] | None = None
    ) -> dict[str, str]:
        """Reads the file of each split, its hash checked.

        Args:
            place: A folder that lacks none.
            log: Receives a line of each text that nobody knows beforehand and
                that may be read otherwise than a person expects.

        Returns:
            Split to text.

        Raises:
            DataError: If a file is damaged or holds another text.
        """
        found = files.find(place, tuple(self.files.values()))
        hashes = self.sha256 or {}
        read = {
            split: files.read_text(found[name], hashes.get(split), log)
            for split, name in self.files.items()
        }
        if log is not None and not hashes:
            words = (word for text in read.values() for word in text.split())
            if (note := texts.note_on_spelling(words)) is not None:
                log(f"{place}: {note}")
        return read

    def encode(self, texts: Mapping[str, str]) -> corpora.Corpus:
        """Encodes what was read.

        A text that nobody knows beforehand is told apart by a name that ends
        in the hash of its three splits; its unknown words are replaced.

        Args:
            texts: Split to text, as `read` returns it.

        Returns:
            The corpus.

        Raises:
            DataError: If other counts come out than are known.
        """
        if self.rewrite is not None:
            texts = {split: self.rewrite(text) for split, text in texts.items()}
        if self.sha256 is not None:
            corpus = corpora.from_texts(self.name, texts)
            self._check_counts(corpus)
            return corpus
        corpus = corpora.from_texts(self.name, texts, replace_unknown=True)
        hashes = "".join(corpus.sha256[split] for split in corpora.SPLITS)
        digest = hashlib.sha256(hashes.encode("ascii")).hexdigest()
        return dataclasses.replace(corpus, name=f"{self.name}-{digest[:8]}")

    def _check_counts(self, corpus):
        counts = {split: len(getattr(corpus, split)) for split in self.tokens}
        size = len(corpus.vocabulary)
        if counts != self.tokens or size != self.vocabulary_size:
            raise DataError(
                f"The {self.title} corpus must have {self.tokens} tokens and "
                f"{self.vocabulary_size} words. Received: {counts}, {size} "
                "words"
            )

    def describe(self) -> str:
        """The names of its files, for a message."""
        return ", ".join(self.files.values())


def load(
    data_dir: str | os.PathLike,
    layouts: Sequence[Layout],
    log: Callable[[str], None] | None = None,
) -> corpora.Corpus:
    """Reads the first corpus that a folder holds.

    Args:
        data_dir: The folder.
        layouts: What to look for, see `named`.
        log: Receives one line that says which corpus it is, where from, and
            which others are there; then those of `Layout.read`.

    Returns:
        The corpus.

    Raises:
        DataError: As `named`; or if a file is damaged or is another text.
    """
    (layout, place), *others = named(data_dir, layouts)
    notes = []
    corpus = layout.encode(layout.read(place, notes.append))
    if log is not None:
        known = {other.name: None for other, _ in others}
        known.pop(layout.name, None)
        also = f"; there too: {', '.join(known)}" if known else ""
        log(f"Corpus: {layout.title}, from {place}{also}")
        for note in notes:
            log(note)
    return corpus


def named(
    data_dir: str | os.PathLike, layouts: Sequence[Layout]
) -> list[tuple[Layout, Path]]:
    """Finds corpora in a folder that somebody named.

    Args:
        data_dir: The folder.
        layouts: What to look for, in the folder and then in that of the
            layout below it.

    Returns:
        The layouts whose files are all there, in their order, and where.

    Raises:
        DataError: If there is no such folder, or it holds none of them, or
            some files only of one that comes before all others.
    """
    if not os.fspath(data_dir):
        raise DataError("`data_dir` must name a folder. Received: ''")
    folder = Path(data_dir)
    try:
        state = "a file" if folder.exists() else "nothing there"
    except OSError as error:
        state = error.strerror
    if not os.path.isdir(folder):
        raise DataError(
            "`data_dir` must be a folder with the files of a corpus. "
            f"Received: {folder} ({state})"
        )
    found, partial = [], []
    for layout in layouts:
        below = [] if layout.folder is None else [folder / layout.folder]
        place = min([folder, *below], key=lambda one: len(layout.missing(one)))
        missing = len(layout.missing(place))
        if not missing:
            found.append((layout, place))
        elif missing < len(layout.files) and not found:
            partial.append((layout, place))
    if partial:
        raise DataError(_incomplete("`data_dir`", *partial[0]))
    if not found:
        known = "; or ".join(layout.describe() for layout in layouts)
        raise DataError(
            f"`data_dir` must hold the files of a corpus, {_PACKED}: {known}. "
            f"Received: {folder}, without them"
        )
    return found


def usual(layout: Layout, root: Path) -> tuple[Path | None, list[Path]]:
    """Finds a corpus in the usual folders.

    Args:
        layout: What to look for.
        root: The folder above `data/`.

    Returns:
        The first folder that holds it, or None, of `$DSL_DATA_DIR/<folder>`,
        `$DSL_DATA_DIR` and `<root>/data/<folder>`; and these.

    Raises:
        DataError: If `$DSL_DATA_DIR` is no folder, or holds some of the files
            only.
    """
    places = [root / "data" / layout.folder]
    shared = os.environ.get("DSL_DATA_DIR")
    if shared:
        if not os.path.isdir(shared):
            raise DataError(
                "$DSL_DATA_DIR must name a folder that exists, or be unset. "
                f"Received: {shared!r}"
            )
        places = [Path(shared) / layout.folder, Path(shared), *places]
    for place in places:
        missing = layout.missing(place)
        if not missing:
            return place, places
        if len(missing) < len(layout.files) and place != places[-1]:
            raise DataError(_incomplete("$DSL_DATA_DIR", layout, place))
    return None, places


def not_found(layout: Layout, places: Sequence[Path]) -> str:
    """Says where the files of a corpus were looked for."""
    return (
        f"The {layout.title} corpus ({layout.describe()}, {_PACKED}) is in "
        f"none of the folders {', '.join(map(str, places))}."
    )


def _incomplete(argument, layout, place):
    return (
        f"{argument} must hold {layout.describe()}, {_PACKED}. Received: "
        f"{place}, without {', '.join(layout.missing(place))}"
    )


def words_of_file(path, vocabulary, log):
    """Reads a text of the user's as a corpus is read, a sentence a line.

    Args:
        path: The file, UTF-8, plain or packed, words separated by white space.
        vocabulary: The word of each id. Other words become "<unk>"; where it
            has none they are left out, neither read nor scored, for a model
            knows no probability of a word outside of its vocabulary.
        log: Receives a line that says how many did, and one of what may be
            read otherwise than a person expects.

    Returns:
        Word ids, int32, the end of a sentence first, so that the first word
        is predicted too; and the number of unknown words.

    Raises:
        DataError: If the file cannot be read or holds no words, or no known
            one for a vocabulary without "<unk>".
    """
    text = files.read_text(Path(path), log=log)
    if not text.split():
        raise DataError(f"{path}: must hold at least one word. Received: none")
    words = [EOS, *split_words(text)]
    count = len(words) - 1
    ids = {word: index for index, word in enumerate(vocabulary)}
    unknown = [word for word in words if word not in ids]
    rule = f"read and scored as {UNKNOWN}"
    if unknown and UNKNOWN not in ids:
        rule = f"left out, neither read nor scored: it has no {UNKNOWN}"
        words = [word for word in words if word in ids]
        if set(words) == {EOS}:
            raise DataError(
                f"{path}: must hold a word of the model's vocabulary, which "
                f"has no {UNKNOWN}. Received: none, as {unknown[0]!r}"
            )
    line = (
        f"{printable(path)}: {count} words with ends of sentences, "
        f"{len(unknown)} of them unknown to the model"
    )
    log(f"{line} ({rule})" if unknown else line)
    note = texts.note_on_spelling([*unknown, *vocabulary] if unknown else [])
    if note is not None:
        log(f"{printable(path)} and the vocabulary: {note}")
    known = [ids.get(word, ids.get(UNKNOWN)) for word in words]
    return np.array(known, "int32"), len(unknown)
