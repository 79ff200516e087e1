"""Scores of past states: by where they stand, by what is in them, by the last.

Pure functions on tensors. A query comes of the input and the previous state,
e_t = [x_t ; h_{t-1}]; an agent makes logits of its scores, attention weights.

    q_t = tanh(A e_t + a)
    l_k = (V q_t + v)_k                                     by location
    l_k = (C h_{t-k}) . q_t + [k = 1] (V q_t + v)           by key
    l_k = [k = 1] (V q_t + v), or FAR                       by moves alone
    l_k += m_after u_{t-1,k} + m_again u_{t-1,k-1} + m_before u_{t-1,k-2},
           m = M q_t + m_0                                  relative

The last line is of a pointer u, weights of the past states too: it stands where
the last skip led to, and going on from the previous state does not move it,

    u_t = w_t without w_{t,1}  +  w_{t,1} (u_{t-1}, one place farther)

where w_t are the weights with which step t reads. Each state is one step
farther back than it was, so that u_{t-1} now stands at the state *after* the
one that was pointed to; one place farther at *the same* state again; two places
farther at the state *before* it. Who follows the past takes "after" at each
step. It needs to know no distance for that, and goes on at distances that it
never saw. Where there is no pointer, or it has moved away from the K states, it
comes to stand at the state that is gone on from; at first that is the first
state of a sequence, for the one that a sequence starts from is not kept.

Weights are a dict of A_h `query_kernel`, `(units, query_units)`; V
`output_kernel`, `(query_units, K or 1)`, and v `output_bias`; by key also C
`key_kernel`, `(units, query_units)`; with moves M `move_kernel`,
`(query_units, 3)`, and m_0 `move_bias`.
"""

from keras import ops

from dsl.steps import dense

MOVES = ("after", "again", "before")
"""Where a move leads to, seen from the state that is pointed to."""
FAR = -1e4
"""By moves alone, the score of a state that none leads to."""


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


def scores(query, weights, keys=None, pointer_tm1=None, stored=None):
    """l_t, the scores of the K past states.

    Args:
        query: q_t, float `(..., query_units)`.
        weights: See above.
        keys: List of the keys of the past states, nearest first, each as
            `query`; None for scores by location.
        pointer_tm1: u_{t-1}, nearest first, float `(..., K)`; None without
            moves.
        stored: Optional float `(..., K)`, 1 where there is a past state; other
            keys count as zeros.

    Returns:
        Float `(..., K)`; by moves alone and without u_{t-1} `(..., 1)`.
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
    if pointer_tm1 is None:
        return found
    return add_moves(found, moves(query, weights), pointer_tm1)


def by_key(query, keys):
    """(C h_{t-k}) . q_t, the products of a query with each key, `(..., K)`."""
    return ops.stack([ops.sum(query * key, axis=-1) for key in keys], axis=-1)


def of_nearest(score, count):
    """A score `(..., 1)` of the nearest of K states, 0 for the others."""
    return score * ops.one_hot(0, count, dtype=score.dtype)


def moves(query, weights):
    """m = M q_t + m_0, of after, again and before, `(..., 3)`."""
    return dense(query, weights["move_kernel"]) + weights["move_bias"]


def add_moves(found, moves, pointer_tm1):
    """Scores, with what moves add to them.

    Args:
        found: Scores of K states, float `(..., K)`; or by moves alone, that of
            the nearest one, `(..., 1)`.
        moves: m, float `(..., 3)`.
        pointer_tm1: u_{t-1}, float `(..., K)`.

    Returns:
        Float `(..., K)`.
    """
    count = pointer_tm1.shape[-1]
    if found.shape[-1] == 1:
        near = of_nearest(ops.ones_like(found), count)
        near = near + ops.stop_gradient(sum(_places(pointer_tm1)))
        far = FAR * ops.cast(near <= 0, found.dtype)
        found = of_nearest(found, count) + far
    return found + of_moves(moves, pointer_tm1)


def point(read, pointer_tm1, begun):
    """u_t, the pointer after a step.

    Args:
        read: w_t, the weights with which it read, float `(..., K)`.
        pointer_tm1: u_{t-1}, of the same shape; zeros before the first step.
        begun: 0 at the first step of a sequence, else 1, float `(..., 1)`.

    Returns:
        Float `(..., K)`.
    """
    first, others = _split(read)
    return begun * (others + first * _stay(pointer_tm1))


def point_gradient(d_pointer, read, pointer_tm1, begun):
    """The derivative of `point`.

    Args:
        d_pointer: du_t, float `(..., K)`.
        read: w_t, of the same shape.
        pointer_tm1: u_{t-1}, likewise.
        begun: As for `point`.

    Returns:
        dw_t and du_{t-1}, likewise.
    """
    d_pointer = begun * d_pointer
    first, _ = _split(read)
    _, d_others = _split(d_pointer)
    d_first = ops.sum(d_pointer * _stay(pointer_tm1), axis=-1, keepdims=True)
    d_stay = first * d_pointer
    d_read = d_others + of_nearest(d_first, read.shape[-1])
    return d_read, _nearer(d_stay) - d_stay[..., :1]


def _stay(pointer_tm1):
    """The pointer if it is not moved; where there is none, the previous one."""
    lost = 1.0 - ops.sum(pointer_tm1, axis=-1, keepdims=True)
    return _farther(pointer_tm1) + of_nearest(lost, pointer_tm1.shape[-1])


def _split(read):
    """The first weight, `(..., 1)`, and all with 0 in its place."""
    first = read[..., :1]
    return first, read - of_nearest(first, read.shape[-1])


def _farther(weights):
    """Each weight one place farther; the last one is lost."""
    nothing = ops.zeros_like(weights[..., :1])
    return ops.concatenate([nothing, weights[..., :-1]], axis=-1)


def _nearer(weights):
    """Each weight one place nearer; the first one is lost."""
    nothing = ops.zeros_like(weights[..., :1])
    return ops.concatenate([weights[..., 1:], nothing], axis=-1)


def of_moves(moves, pointer_tm1):
    """What the moves m `(..., 3)` add to the scores, `(..., K)`.

    Args:
        moves: m.
        pointer_tm1: u_{t-1}; zeros before the first step. What moves away from
            the K states is lost.
    """
    places = _places(pointer_tm1)
    parts = [moves[..., n : n + 1] * x for n, x in enumerate(places)]
    return sum(parts[1:], parts[0])


def moves_gradient(d_scores, moves, pointer_tm1):
    """The derivative of `of_moves`.

        dm_j = sum_k dl_k u_{t-1,k-j},   du_{t-1,k} = sum_j m_j dl_{k+j}

    Args:
        d_scores: dl, float `(..., K)`.
        moves: m, float `(..., 3)`.
        pointer_tm1: u_{t-1}, float `(..., K)`.

    Returns:
        dm, `(..., 3)`, and du_{t-1}, `(..., K)`.
    """
    d_moves = [ops.sum(d_scores * x, axis=-1) for x in _places(pointer_tm1)]
    d_pointer_tm1, at = 0.0, d_scores
    for n in range(len(MOVES)):
        d_pointer_tm1 = d_pointer_tm1 + moves[..., n : n + 1] * at
        at = _nearer(at)
    return ops.stack(d_moves, axis=-1), d_pointer_tm1


def _places(pointer_tm1):
    """u_{t-1} as it stands now at the states after, again and before."""
    found = [pointer_tm1]
    for _ in MOVES[1:]:
        found.append(_farther(found[-1]))
    return found
