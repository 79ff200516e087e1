"""A corpus that is part of the project: sentences drawn from a grammar."""

from dsl.datasets.generated.corpus import (
    SEEDS,
    SHA256,
    TOKENS,
    dependency_share,
    entropy_rate,
    grammar,
    load,
    load_with_arcs,
)

__all__ = [
    "SEEDS",
    "SHA256",
    "TOKENS",
    "dependency_share",
    "entropy_rate",
    "grammar",
    "load",
    "load_with_arcs",
]
