"""The character encoder again, slowly: float64 NumPy, one word at a time.

Written from the equations of Kim et al. 2016, AAAI, arXiv:1508.06615, and from
nothing else. A word is the list of its character ids, none of them 0. The
weights are a dict: `embeddings` with a row for each id, `kernel_W` `(W,
embedding, maps)` and `bias_W` for each width W, and of each highway layer a
tuple (A, a, C, d) in the list `highways`.
"""

import numpy as np
from reference import sigmoid


def widths(weights):
    """The widths of the windows, in the order of the weights."""
    return [int(name[7:]) for name in weights if name.startswith("kernel_")]


def window(x, start, kernel, bias):
    """tanh(sum_o x[start + o] K[o] + b), zero beyond the end of x."""
    z = np.array(bias, np.float64)
    for offset, one in enumerate(kernel):
        if start + offset < len(x):
            z += x[start + offset] @ one
    return np.tanh(z)


def largest(word, weights, width, starts):
    """The largest value of each feature map over windows at `starts`."""
    x = [weights["embeddings"][c] for c in word]
    kernel, bias = weights[f"kernel_{width}"], weights[f"bias_{width}"]
    return np.max([window(x, t, kernel, bias) for t in starts], axis=0)


def highway(y, weights, transform_bias=-2.0):
    """t relu(A y + a) + (1 - t) y with t = sigm(C y + d + transform_bias)."""
    a_kernel, a_bias, c_kernel, c_bias = weights
    t = sigmoid(y @ c_kernel + c_bias + transform_bias)
    return t * np.maximum(y @ a_kernel + a_bias, 0.0) + (1.0 - t) * y


def encode(word, weights):
    """The vector of one word: windows at each character and one behind."""
    return _encode(word, weights, lambda width: range(len(word) + 1))


def encode_in_table(word, weights, table_width):
    """As the published code: windows within a row of the table."""
    return _encode(word, weights, lambda width: range(table_width - width + 1))


def _encode(word, weights, starts):
    y = np.concatenate(
        [largest(word, weights, w, starts(w)) for w in widths(weights)]
    )
    for layer in weights["highways"]:
        y = highway(y, layer)
    return y
