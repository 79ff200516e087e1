"""WikiText-2, the words of good and featured articles of Wikipedia.

Merity et al. 2016, arXiv:1609.07843: mixed case, punctuation and numbers kept,
words that occur less than three times as `<unk>`, headings and empty lines
between the paragraphs. See `data/README.md`.
"""

import os
from collections.abc import Callable
from pathlib import Path

from dsl.datasets import corpus as corpora
from dsl.datasets import folders

WORDS = folders.Layout(
    name="wikitext2",
    title="WikiText-2",
    folder="wikitext2",
    files={split: f"wiki.{split}.tokens" for split in corpora.SPLITS},
    sha256={
        "train": (
            "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f"
        ),
        "valid": (
            "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8"
        ),
        "test": (
            "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0"
        ),
    },
    tokens={"train": 2_088_628, "valid": 217_646, "test": 245_569},
    vocabulary_size=33_278,
)


def load(
    data_dir: str | os.PathLike | None = None,
    *,
    log: Callable[[str], None] | None = None,
    root: str | os.PathLike = folders.REPOSITORY,
) -> corpora.Corpus:
    """Finds, checks and encodes the corpus.

    Looks for `wiki.train.tokens`, `wiki.valid.tokens` and `wiki.test.tokens`,
    plain or with `.gz` or `.xz`, in `data_dir` (or its folder `wikitext2`) if
    it is given; otherwise in `$DSL_DATA_DIR/wikitext2`, `$DSL_DATA_DIR` and
    `<root>/data/wikitext2`. There is no download.

    Args:
        data_dir: The one folder to look in, or None for the usual ones.
        log: Receives one line that says where the data came from.
        root: The folder above `data/`; the repository by default.

    Returns:
        The corpus: 2,088,628 training tokens, 217,646 of validation and
        245,569 of test, 33,278 words.

    Raises:
        NotAtHandError: A DataError: if none of the usual folders holds the
            files.
        DataError: If `data_dir` lacks a file, if `$DSL_DATA_DIR` holds some
            of the files only, or if a file is damaged or is not the published
            one.
    """
    if data_dir is not None:
        return folders.load(data_dir, (WORDS,), log)
    place, searched = folders.usual(WORDS, Path(root))
    if place is None:
        raise folders.NotAtHandError(
            f"{folders.not_found(WORDS, searched)} They are those of "
            "wikitext-2-v1.zip, published with arXiv:1609.07843: unpack it "
            f"and put them into {searched[-1]}."
        )
    if log is not None:
        log(f"Corpus: {WORDS.title}, from {place}")
    return WORDS.encode(WORDS.read(place))
