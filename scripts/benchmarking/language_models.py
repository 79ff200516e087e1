"""The training step of language models.

Forward and backward pass, clipping by the true global norm, and update by
SGD; the agent's by Adam.
"""

import keras
import numpy as np

import dsl
from dsl.policy.signal import PolicySignal
from dsl.training.optimizers import GroupedOptimizer
from dsl.training.streams import StreamTrainer

CLIP = 5.0
RATE = 1.0
SPREAD = 0.1


def embedding(size):
    """What reads words as characters, of words that are spelled at random."""
    encoder = size.encoder
    draw = np.random.default_rng(0)
    lengths = draw.integers(3, encoder.longest + 1, size.vocabulary)
    lengths[0] = encoder.longest
    return dsl.CharacterEmbedding(
        [draw.integers(1, encoder.characters, n) for n in lengths],
        dsl.CharacterEncoder(
            encoder.characters,
            encoder.embedding_units,
            widths=encoder.widths,
            feature_maps=encoder.feature_maps,
            highway_layers=encoder.highway_layers,
            initializer=uniform(),
        ),
    )


def trainer(contender, size):
    """A `dsl.LanguageModel` ready to be trained.

    Args:
        contender: A `plan.Contender` of any kind but "torch".
        size: Its `plan.Size`.

    Returns:
        A compiled `dsl.training.streams.StreamTrainer`.
    """
    model = dsl.LanguageModel(
        size.vocabulary,
        [bottom_layer(contender, size), top_layer(contender, size)],
        embedding_units=None if contender.characters else size.units,
        embedding=embedding(size) if contender.characters else None,
        dropout=size.dropout,
        initializer=uniform(),
        seed=0,
    )
    dynamic = contender.kind == "dynamic"
    made = StreamTrainer(
        model, size.batch, learning_signal(contender) if dynamic else None
    )
    compiled = contender.compiled
    if compiled is None:
        compiled = keras.backend.backend() == "jax"
    made.compile(
        optimizer=GroupedOptimizer(
            keras.optimizers.SGD(RATE),
            keras.optimizers.Adam(1e-3) if dynamic else None,
            max_norm=CLIP,
        ),
        jit_compile=compiled,
    )
    return made


def bottom_layer(contender, size):
    """The first layer: plain in every model."""
    layer = keras.layers.LSTM if contender.kind == "keras" else dsl.LSTM
    return layer(size.units, **layer_options())


def top_layer(contender, size):
    """The second layer: the one that contenders differ in."""
    if contender.kind in ("plain", "keras"):
        return bottom_layer(contender, size)
    if contender.kind == "fixed_skip":
        return dsl.FixedSkipLSTM(
            size.units, skip=contender.num_actions, **layer_options()
        )
    if contender.kind == "attention":
        return dsl.AttentionLSTM(
            size.units,
            num_states=contender.num_actions,
            attention_units=size.policy_units,
            return_attention=True,
            seed=0,
            **layer_options(),
        )
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
    """The same plain model in PyTorch, as its manual writes it."""
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
