"""Examples in batches."""

import numpy as np


class Batches:
    """The batches of one epoch: a sequence of pairs (x, y), integers.

    Args:
        inputs: What is read of the examples, integer `(n, ...)`.
        labels: Theirs, integer `(n, ...)`.
        batch_size: Examples a batch; what is left over is left out.
        order: The order of the examples, integer `(n,)`, or None.
    """

    def __init__(self, inputs, labels, batch_size, order=None):
        self.inputs = inputs
        self.labels = labels
        self.batch_size = batch_size
        self.order = np.arange(len(labels)) if order is None else order

    def __len__(self):
        return len(self.labels) // self.batch_size

    def __getitem__(self, n):
        start = n * self.batch_size
        rows = self.order[start : start + self.batch_size]
        inputs, labels = self.inputs[rows], self.labels[rows]
        return inputs.astype(np.int32), labels.astype(np.int32)
