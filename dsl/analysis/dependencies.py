"""Whether connections hit the dependencies that a text is known to have.

Of a text drawn from a grammar it is known how far back the word stands that
each word hangs on (`dsl.datasets.generated`). A connection hits if it reaches
just that word.
"""

import dataclasses
import math

import numpy as np

from dsl.datasets import generated


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Connections beside dependencies, of some distances.

    Attributes:
        distances: The distances k that count.
        words: N, all words whose connection is known.
        connections: n, how many of them are connected at such a distance.
        dependencies: m, how many hang on a word at such a distance.
        hits: How many are both, at the same distance.
        chance: Hits to expect if the connections of the text were dealt out
            to its words at random.
        deviation: Standard deviation of these.
    """

    distances: tuple[int, ...]
    words: int
    connections: int
    dependencies: int
    hits: int
    chance: float
    deviation: float

    @property
    def precision(self):
        """Share of the connections that hit; None without any."""
        return _share(self.hits, self.connections)

    @property
    def recall(self):
        """Share of the dependencies that are hit; None without any."""
        return _share(self.hits, self.dependencies)

    @property
    def chance_precision(self):
        """The precision to expect by chance.

        Of a single distance it is m / N: also that of a fixed skip of this
        distance, which connects every word.
        """
        return _share(self.chance, self.connections)


def agreement(look_back, dependencies, distances):
    """Counts the connections that hit, and those that chance would.

        hits = sum_k x_k,  x_k words with k_t = d_t = k
        E[x_k] = n_k m_k / N
        Var[x_k] = n_k (N - n_k) m_k (N - m_k) / (N^2 (N - 1))
        Cov[x_j, x_k] = n_j n_k m_j m_k / (N^2 (N - 1))

    over all ways to deal the N connections out to the N words.

    Args:
        look_back: k_t of each word, integers `(N,)`; words of 0, whose
            connection is not known, are left out.
        dependencies: d_t, how many words back the one stands that it hangs
            on, integers `(N,)`; 0 if it hangs on none.
        distances: The distances that count, each at least 1.

    Returns:
        An `Agreement`.

    Raises:
        ValueError: If there is not one distance a word, or one that counts is
            below 1.
    """
    look_back, dependencies = np.asarray(look_back), np.asarray(dependencies)
    if look_back.shape != dependencies.shape or look_back.ndim != 1:
        raise ValueError(
            "`look_back` and `dependencies` must hold one distance a word. "
            f"Received: shapes {look_back.shape} and {dependencies.shape}"
        )
    if min(distances, default=1) < 1:
        raise ValueError(
            f"`distances` must be at least 1. Received: distances={distances!r}"
        )
    known = look_back > 0
    look_back, dependencies = look_back[known], dependencies[known]
    n, m, x = (
        np.array([np.sum(one == k) for k in distances], np.float64)
        for one in (
            look_back,
            dependencies,
            np.where(look_back == dependencies, look_back, 0),
        )
    )
    total = len(look_back)
    together = n * m
    # On the diagonal (N - n)(N - m) in the place of n m.
    variance = together.sum() ** 2 - np.sum(together**2)
    variance += np.sum(together * (total - n) * (total - m))
    variance /= max(total**2 * (total - 1), 1)
    return Agreement(
        distances=tuple(distances),
        words=total,
        connections=int(n.sum()),
        dependencies=int(m.sum()),
        hits=int(x.sum()),
        chance=float(together.sum() / max(total, 1)),
        deviation=math.sqrt(variance),
    )


def _share(part, whole):
    return part / whole if whole else None


def grammar_distances(sha256, split):
    """How far back the words stand that those of a generated text hang on.

    Args:
        sha256: Hashes of a corpus, a dict from split to hexadecimal digits.
        split: Name of the text that is read, all of it but the last word.

    Returns:
        Dict of two int32 arrays, one distance for each word that is read,
        from that word; 0 where none is hung on: of the word on which "the
        word read" hangs, and of that on which "the next word" does, which is
        to be predicted then. None for the text of another corpus.
    """
    if sha256.get(split) != generated.SHA256.get(split, ...):
        return None
    arcs = generated.load_with_arcs()[1][split]
    return {
        "the word read": arcs[:-1],
        # The word read is one step nearer to what the next one hangs on.
        "the next word": (arcs[1:] - 1).clip(min=0),
    }


def agreement_of_all(look_back, hung_on, num_actions, skip=None):
    """The agreement of all distances beyond the previous word.

    Args:
        look_back: k_t of each word, integer `(n,)`.
        hung_on: How far back the word stands that each one hangs on, `(n,)`.
        num_actions: K, the largest distance of an agent.
        skip: The distance of a fixed skip, which has no choice and keeps none.

    Returns:
        An `Agreement`; None if the texts are of other lengths, or no distance
        was taken.
    """
    if len(look_back) != len(hung_on):
        return None
    if skip is not None:
        look_back = np.full_like(look_back, skip)
    if not look_back.any():
        return None
    farthest = num_actions if skip is None else skip
    return agreement(look_back, hung_on, range(2, farthest + 1))
