"""The corpus that language modeling runs on."""

import os
from collections.abc import Callable, Sequence

from dsl.choices import CORPORA, check_choice
from dsl.datasets import folders, generated, ptb, wikitext2
from dsl.datasets.corpus import SPLITS, Corpus, limited
from dsl.datasets.errors import DataError

# A text of the user's, in the form of the others.
OWN = tuple(
    folders.Layout(
        name="own",
        title="a text of your own",
        files={split: f"{split}{suffix}" for split in SPLITS},
    )
    for suffix in (".txt", ".tokens")
)


def language_model_corpus(
    data_dir: str | os.PathLike | None = None,
    *,
    name: str | None = None,
    vocabulary_size: int | None = None,
    log: Callable[[str], None] | None = None,
    download: bool = True,
) -> Corpus:
    """Returns the corpus that was asked for, or the Penn Treebank.

    The generated corpus stands in only if nobody named a folder or a corpus
    and the Penn Treebank is in none of the usual ones and cannot be
    downloaded. A damaged or foreign file is an error, never a reason to change
    the corpus.

    A folder that holds several corpora gives the first of them, in the order
    `"ptb"`, `"ptb_characters"`, `"wikitext2"`, `"own"`, unless `name` chooses.

    Args:
        data_dir: The folder of the files, or None for the usual ones.
        name: One of `dsl.choices.CORPORA`; None for what `data_dir` holds,
            and without one for the Penn Treebank.
        vocabulary_size: See `dsl.datasets.corpus.limited`; None keeps all
            words.
        log: Receives a line that says which corpus it is and why, and another
            one if it holds words that are not in the vocabulary.
        download: Whether the Penn Treebank may be downloaded.

    Returns:
        The corpus; its `name` is `name` or, for a text that nobody knows
        beforehand, tells it apart from all others.

    Raises:
        DataError: If there is no such corpus, or a file is missing, damaged
            or holds another text.
        ValueError: If `name` is unknown or `vocabulary_size` below 2.
    """
    if name is not None:
        check_choice("name", name, CORPORA)
    log = log or (lambda line: None)
    corpus = _load(data_dir, name, log, download)
    if vocabulary_size is not None:
        corpus = limited(corpus, vocabulary_size)
    if any(corpus.unknown.values()):
        log(_unknown_words(corpus))
    return corpus


def _load(data_dir, name, log, download):
    if name == "generated":
        if data_dir is not None:
            raise DataError(
                "The generated corpus reads no files. Received: "
                f"`data_dir` {data_dir}"
            )
        log("Corpus: generated sentences")
        return generated.load()
    if data_dir is not None:
        return folders.load(data_dir, _layouts(name), log)
    if name == "own":
        raise DataError(
            "`data_dir` must name the folder of a text of your own, which lies "
            "in no usual place. Received: None"
        )
    if name == "wikitext2":
        return wikitext2.load(log=log)
    try:
        return ptb.load(
            characters=name == "ptb_characters", download=download, log=log
        )
    except folders.NotAtHandError as error:
        if name is not None:
            raise
        log(f"Corpus: generated sentences, NOT the Penn Treebank. {error}")
    return generated.load()


def _layouts(name: str | None) -> Sequence[folders.Layout]:
    """What may lie in a folder, in the order in which it is looked for."""
    known = (ptb.WORDS, ptb.CHARACTERS, wikitext2.WORDS, *OWN)
    if name is None:
        return known
    # Nobody means this who does not say so.
    return [one for one in (*known, ptb.REWRITTEN) if one.name == name]


def _unknown_words(corpus):
    """Says how many words of each split the model will not see as they are."""
    shares = ", ".join(
        f"{split} {count:,} ({count / max(len(getattr(corpus, split)), 1):.2%})"
        for split, count in corpus.unknown.items()
    )
    line = f"Vocabulary: {len(corpus.vocabulary):,} words; unknown: {shares}"
    if not corpus.unknown["train"]:
        return f"{line}; a smaller vocabulary would teach what to expect there"
    return line
