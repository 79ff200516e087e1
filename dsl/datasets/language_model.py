"""The corpus that language modeling runs on."""

import os
from collections.abc import Callable

from dsl.datasets import generated, ptb
from dsl.datasets.corpus import Corpus


def language_model_corpus(
    data_dir: str | os.PathLike | None = None,
    *,
    log: Callable[[str], None] | None = None,
    download: bool = True,
) -> Corpus:
    """Returns the Penn Treebank, or the generated corpus in its place.

    The generated corpus stands in only if nobody named a folder and the Penn
    Treebank is in none of the usual ones and cannot be downloaded. A damaged
    or foreign file is an error, never a reason to change the corpus.

    Args:
        data_dir: The folder of the Penn Treebank files, or None.
        log: Receives one line that says which corpus it is and why.
        download: Whether the Penn Treebank may be downloaded.

    Returns:
        The corpus; its `name` is `"ptb"` or `"generated"`.

    Raises:
        DataError: As `ptb.load`, for a named folder or a damaged file.
    """
    try:
        return ptb.load(data_dir, download=download, log=log)
    except ptb.NotAtHandError as error:
        if log is not None:
            log(f"Corpus: generated sentences, NOT the Penn Treebank. {error}")
    return generated.load()
