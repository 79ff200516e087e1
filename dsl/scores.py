"""Scores of past states: by where they stand, by what is in them, by the last.

Pure functions on tensors. A query comes of the input and the previous state,
e_t = [x_t ; h_{t-1}]; an agent makes logits of its scores, attention weights.

    q_t = tanh(A e_t + a)
    l_k = (V q_t + v)_k                                     by location
    l_k = (C h_{t-k}) . q_t + [k = 1] (V q_t + v)           by key
    l_k += m_after w_{t-1,k} + m_again w_{t-1,k-1} + m_before w_{t-1,k-2},
           m = M q_t + m_0                                  relative

The last line is of the weights w_{t-1} with which the step before read its past
states. Each state is one step farther back than it was then, so that these
weights now stand at the states *after* those that were read; one place farther
at *the same* states again; two places farther at the states *before* them. Who
follows what it has once found takes "after" at each step. It needs to know no
distance for that, and goes on at distances that it never saw.

Weights are a dict of A_h `query_kernel`, `(units, query_units)`; V
`output_kernel`, `(query_units, K or 1)`, and v `output_bias`; by key also C
`key_kernel`, `(units, query_units)`; with moves M `move_kernel`,
`(query_units, 3)`, and m_0 `move_bias`.
"""

from keras import ops

from dsl.steps import dense

MOVES = ("after", "again", "before")
"""Where a move leads to, seen from the state that was read before."""


def query(projected, h_tm1, weights):
    """q_t = tanh(A_x x_t + a + A_h h_{t-1}).

    Args:
        projected: A_x x_t + a, float `(..., query_units)`.
        h_tm1: h_{t-1}, float `(..., units)`.
        weights: See above.

    Returns:
        Float `(..., query_units)`.
    """
    return ops.tanh(projected + dense(h_tm1, weights["query_kernel"]))


def key(h, weights):
    """C h, the key of a hidden state `(..., units)`: `(..., query_units)`."""
    return dense(h, weights["key_kernel"])


def scores(query, weights, keys=None, read_tm1=None, stored=None):
    """l_t, the scores of the K past states.

    Args:
        query: q_t, float `(..., query_units)`.
        weights: See above.
        keys: List of the keys of the past states, nearest first, each as
            `query`; None for scores by location.
        read_tm1: w_{t-1}, nearest first, float `(..., K)`; None without moves.
        stored: Optional float `(..., K)`, 1 where there is a past state; other
            keys count as zeros.

    Returns:
        Float `(..., K)`.
    """
    found = dense(query, weights["output_kernel"]) + weights["output_bias"]
    if keys is not None:
        products = by_key(query, keys)
        products = (
            products
            if stored is None
            else products * ops.cast(stored, products.dtype)
        )
        found = products + of_nearest(found, len(keys))
    if read_tm1 is not None:
        found = found + of_moves(moves(query, weights), read_tm1)
    return found


def by_key(query, keys):
    """(C h_{t-k}) . q_t, the products of a query with each key, `(..., K)`."""
    return ops.stack([ops.sum(query * key, axis=-1) for key in keys], axis=-1)


def of_nearest(score, count):
    """A score `(..., 1)` of the nearest of K states, 0 for the others."""
    return score * ops.one_hot(0, count, dtype=score.dtype)


def moves(query, weights):
    """m = M q_t + m_0, of after, again and before, `(..., 3)`."""
    return dense(query, weights["move_kernel"]) + weights["move_bias"]


def of_moves(moves, read_tm1):
    """What the moves m `(..., 3)` add to the scores, `(..., K)`.

    Args:
        moves: m.
        read_tm1: w_{t-1}; zeros before the first step. What moves away from
            the K states is lost.
    """
    places = _places(read_tm1)
    parts = [moves[..., n : n + 1] * x for n, x in enumerate(places)]
    return sum(parts[1:], parts[0])


def moves_gradient(d_scores, moves, read_tm1):
    """The derivative of `of_moves`.

        dm_j = sum_k dl_k w_{t-1,k-j},   dw_{t-1,k} = sum_j m_j dl_{k+j}

    Args:
        d_scores: dl, float `(..., K)`.
        moves: m, float `(..., 3)`.
        read_tm1: w_{t-1}, float `(..., K)`.

    Returns:
        dm, `(..., 3)`, and dw_{t-1}, `(..., K)`.
    """
    d_moves = [ops.sum(d_scores * x, axis=-1) for x in _places(read_tm1)]
    d_read, at = 0.0, d_scores
    for n in range(len(MOVES)):
        d_read = d_read + moves[..., n : n + 1] * at
        at = ops.concatenate(
            [at[..., 1:], ops.zeros_like(at[..., :1])], axis=-1
        )
    return ops.stack(d_moves, axis=-1), d_read


def _places(read_tm1):
    """w_{t-1} as it stands now at the states after, again and before."""
    found = [read_tm1]
    for _ in MOVES[1:]:
        nothing = ops.zeros_like(read_tm1[..., :1])
        found.append(ops.concatenate([nothing, found[-1][..., :-1]], axis=-1))
    return found
