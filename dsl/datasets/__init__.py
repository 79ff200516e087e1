"""Corpora: files in, arrays out."""

from dsl.datasets import generated, numbers, ptb, streams, wikitext2
from dsl.datasets.corpus import EOS, UNKNOWN, Corpus, decode
from dsl.datasets.errors import DataError
from dsl.datasets.language_model import language_model_corpus

__all__ = [
    "EOS",
    "UNKNOWN",
    "Corpus",
    "DataError",
    "decode",
    "generated",
    "language_model_corpus",
    "numbers",
    "ptb",
    "streams",
    "wikitext2",
]
