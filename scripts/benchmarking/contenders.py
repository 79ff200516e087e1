"""The training steps that are compared, each as a function to call."""

import keras
import numpy as np

import dsl
from dsl import stream_trainer
from dsl.optimizers import GroupedOptimizer
from dsl.policy_signal import PolicySignal

CLIP = 5.0
RATE = 1.0
SPREAD = 0.1


def build(contender, size, cores):
    """Makes the whole training step of a contender.

    Forward and backward pass, clipping by the true global norm, and update by
    SGD; the agent's by Adam.

    Args:
        contender: A `plan.Contender`.
        size: Its `plan.Size`.
        cores: Cores that this process is held to.

    Returns:
        Function without arguments that takes one step, waits for its end and
        returns the loss, the mean over streams of the summed nats.
    """
    draw = np.random.default_rng(0).integers
    shape = (size.batch, size.steps)
    x, y = (draw(size.vocabulary, size=shape, dtype="int32") for _ in "xy")
    if contender.kind == "torch":
        return torch_step(size, x, y, cores)
    trainer = keras_trainer(contender, size)
    return lambda: float(trainer.train_on_batch(x, y))


def keras_trainer(contender, size):
    """A `dsl.LanguageModel` ready to be trained.

    Args:
        contender: A `plan.Contender` of any kind but "torch".
        size: Its `plan.Size`.

    Returns:
        A compiled `dsl.stream_trainer.StreamTrainer`.
    """
    keras.utils.set_random_seed(0)
    model = dsl.LanguageModel(
        size.vocabulary,
        [bottom_layer(contender, size), top_layer(contender, size)],
        embedding_units=size.units,
        dropout=size.dropout,
        initializer=uniform(),
        seed=0,
    )
    dynamic = contender.kind == "dynamic"
    trainer = stream_trainer.StreamTrainer(
        model, size.batch, learning_signal(contender) if dynamic else None
    )
    trainer.compile(
        optimizer=GroupedOptimizer(
            keras.optimizers.SGD(RATE),
            keras.optimizers.Adam(1e-3) if dynamic else None,
            max_norm=CLIP,
        ),
        jit_compile=keras.backend.backend() == "jax",
    )
    return trainer


def bottom_layer(contender, size):
    """The first layer: plain in every model."""
    layer = keras.layers.LSTM if contender.kind == "keras" else dsl.LSTM
    return layer(size.units, **layer_options())


def top_layer(contender, size):
    """The second layer: the one that contenders differ in."""
    if contender.kind != "dynamic":
        return bottom_layer(contender, size)
    return dsl.DynamicSkipLSTM(
        size.units,
        num_actions=contender.num_actions,
        policy_units=size.policy_units,
        estimator=contender.estimator,
        return_policy=True,
        seed=0,
        **layer_options(),
    )


def learning_signal(contender):
    """What the agent learns from."""
    several = contender.rollouts > 1
    return PolicySignal(
        contender.estimator,
        discount=0.8,
        baseline="leave_one_out" if several else "batch_mean",
        num_rollouts=contender.rollouts,
        entropy_weight=0.001,
    )


def layer_options():
    """What all recurrent layers share."""
    return {
        "kernel_initializer": uniform(),
        "recurrent_initializer": uniform(),
        "return_sequences": True,
        "return_state": True,
    }


def uniform():
    """Initial weights, drawn from the global seed."""
    return keras.initializers.RandomUniform(-SPREAD, SPREAD)


def torch_step(size, x, y, cores):
    """The same plain model in PyTorch, as its manual writes it; see `build`."""
    import torch
    from torch import nn

    torch.set_num_threads(cores)
    torch.manual_seed(0)
    embedding = nn.Embedding(size.vocabulary, size.units)
    lstm = nn.LSTM(
        size.units, size.units, 2, dropout=size.dropout, batch_first=True
    )
    dropout = nn.Dropout(size.dropout)
    softmax = nn.Linear(size.units, size.vocabulary)
    parts = nn.ModuleList([embedding, lstm, dropout, softmax])
    for weight in parts.parameters():
        nn.init.uniform_(weight, -SPREAD, SPREAD)
    optimizer = torch.optim.SGD(parts.parameters(), RATE)
    cross_entropy = nn.CrossEntropyLoss(reduction="sum")
    tokens, targets = (torch.from_numpy(ids).long() for ids in (x, y))
    states = [torch.zeros(2, size.batch, size.units) for _ in "hc"]

    def step():
        hidden, last = lstm(dropout(embedding(tokens)), tuple(states))
        states[:] = [state.detach() for state in last]
        logits = softmax(dropout(hidden)).flatten(0, 1)
        loss = cross_entropy(logits, targets.flatten()) / size.batch
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parts.parameters(), CLIP)
        optimizer.step()
        return loss.item()

    return step


def matmul(shape):
    """A float32 matrix product on the backend.

    Args:
        shape: m, k and n.

    Returns:
        Function without arguments that multiplies and waits for the end.
    """
    rows, inner, columns = shape
    draw = np.random.default_rng(0).standard_normal
    a, b = (
        keras.ops.convert_to_tensor(draw(sizes), "float32")
        for sizes in ((rows, inner), (inner, columns))
    )

    def multiply():
        c = keras.ops.matmul(a, b)
        return keras.ops.convert_to_numpy(c[:1, :1])

    return multiply
