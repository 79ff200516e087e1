"""Contiguous streams and segments for truncated back-propagation."""

import numpy as np


def batch(tokens: np.ndarray, batch_size: int) -> np.ndarray:
    """Lays the tokens out as `batch_size` contiguous streams.

    Row b holds tokens b * n .. (b + 1) * n - 1 with
    n = floor(len(tokens) / batch_size); the remainder is dropped, as in the
    published protocol.

    Args:
        tokens: Integer `(tokens,)`.
        batch_size: Number of streams, at least 1.

    Returns:
        int32 `(batch_size, n)`.

    Raises:
        ValueError: If the tokens are not one row of integers, or if there are
            too few of them for one token a stream.
    """
    tokens = np.asarray(tokens)
    if tokens.ndim != 1 or not np.issubdtype(tokens.dtype, np.integer):
        raise ValueError(
            "`tokens` must be a 1-D array of integers. Received: "
            f"shape={tokens.shape}, dtype={tokens.dtype}"
        )
    _require_positive("batch_size", batch_size)
    if len(tokens) < batch_size:
        raise ValueError(
            "`tokens` must hold at least one token for each of the "
            f"`batch_size` streams. Received: {len(tokens)} tokens, "
            f"batch_size={batch_size!r}"
        )
    length = len(tokens) // batch_size
    kept = tokens[: batch_size * length].astype(np.int32)
    return kept.reshape(batch_size, length)


def count_segments(streams: np.ndarray, length: int) -> int:
    """Tells how many whole segments `Segments` holds.

        floor((n - 1) / length)

    One token of each stream is a target only and has no input of its own.

    Args:
        streams: `(batch, n)`.
        length: Steps of a segment, at least 1.

    Returns:
        The number of segments, possibly 0.

    Raises:
        ValueError: If `streams` is not 2-D or `length` is not positive.
    """
    if np.ndim(streams) != 2:
        raise ValueError(
            "`streams` must have the shape (batch, n). Received: "
            f"shape={np.shape(streams)}"
        )
    _require_positive("length", length)
    return max(0, (np.shape(streams)[1] - 1) // length)


class Segments:
    """Consecutive whole segments of streams, by number.

    Segment s has inputs `streams[:, s * length : (s + 1) * length]` and
    targets one token later. What does not fill a segment is dropped, as in
    the published protocol.

    Args:
        streams: int32 `(batch, n)`, as `batch` returns it.
        length: Steps of a segment, at least 1.

    Raises:
        ValueError: As `count_segments`.
        IndexError: On asking for a segment that there is not.

    Example:
        >>> segments = Segments(batch(np.arange(9), 2), 2)
        >>> len(segments), segments[0][1].tolist()
        (1, [[1, 2], [5, 6]])
    """

    def __init__(self, streams: np.ndarray, length: int):
        self.streams = streams
        self.length = length
        self._count = count_segments(streams, length)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """(inputs, targets) of one segment, each int32 `(batch, length)`."""
        if not 0 <= index < self._count:
            raise IndexError(index)
        start, stop = index * self.length, (index + 1) * self.length
        return self.streams[:, start:stop], self.streams[
            :, start + 1 : stop + 1
        ]


class DistinctWords:
    """Segments that name each of their words once.

    Inputs are a dict of `words`, the distinct ids of the segment, ascending,
    int32 `(n,)`, and `tokens`, int32 `(batch, length)`, with `words[tokens]`
    the inputs as they were. As many words as any segment has make all of one
    shape; where there are fewer, id 0 follows, which nothing points to.

    Args:
        segments: The `Segments`.

    Example:
        >>> segments = Segments(np.array([[7, 5, 7, 5, 5]]), 2)
        >>> x, y = DistinctWords(segments)[1]
        >>> x["words"].tolist(), x["tokens"].tolist(), y.tolist()
        ([5, 7], [[1, 0]], [[5, 5]])
    """

    def __init__(self, segments: Segments):
        self.segments = segments
        self.most = max((len(np.unique(x)) for x, _ in segments), default=0)

    def __len__(self) -> int:
        return len(self.segments)

    def __getitem__(self, index: int) -> tuple[dict, np.ndarray]:
        """(inputs, targets) of one segment."""
        inputs, targets = self.segments[index]
        words, tokens = np.unique(inputs, return_inverse=True)
        tokens = tokens.reshape(inputs.shape).astype(np.int32)
        words = np.pad(words, (0, self.most - len(words)))
        return {"words": words, "tokens": tokens}, targets


def _require_positive(name: str, value: int) -> None:
    """Raises ValueError unless the value is a whole number above 0."""
    whole = isinstance(value, int | np.integer)
    if isinstance(value, bool) or not whole or value < 1:
        raise ValueError(
            f"`{name}` must be a whole number of at least 1. "
            f"Received: {name}={value!r}"
        )
