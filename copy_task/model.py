"""From settings to a transducer, and to what trains it."""

import argparse

import keras

import dsl
from dsl.datasets.copying import MARKS
from dsl.experiment import kinds
from dsl.seeds import spread
from dsl.training.optimizers import GroupedOptimizer, RMSProp
from dsl.training.transducers import TransducerTrainer


def build_model(args):
    """Plain LSTM layers, the one that the model is named for, a readout."""
    readout, *seeds = spread(args.seed, 1 + args.rnn_layers)

    def options(n):
        return {
            "forget_bias": args.forget_bias,
            "return_sequences": True,
            "return_state": True,
            "seed": seeds[n],
            "kernel_initializer": keras.initializers.GlorotUniform(seeds[n]),
            "recurrent_initializer": keras.initializers.Orthogonal(
                seed=seeds[n]
            ),
            "name": f"layer_{n}",
        }

    top = args.rnn_layers - 1
    model = dsl.SequenceTransducer(
        MARKS + args.bits,
        args.bits,
        [
            *(dsl.LSTM(args.rnn_size, **options(n)) for n in range(top)),
            kinds.recurrent_layer(args, options(top)),
        ],
        kernel_initializer=keras.initializers.GlorotUniform(readout),
        name="sequence_transducer",
    )
    model.build((None, None, MARKS + args.bits))
    return model


def reaching(args, model, length):
    """The model for patterns of a length, with states that reach so far back.

    A vector is put out its pattern's length and one step after it was read, and
    the start mark stands before the first. Where no weight belongs to a
    distance, the same weights serve as many past states as that takes.

    Args:
        args: The settings.
        model: The trained model.
        length: Vectors of a pattern.

    Returns:
        The model, or one with the same weights and more past states.
    """
    located = (args.scoring or "location") == "location"
    needed = length + 2 + args.delay
    fixed = located or not kinds.connects(args)
    if fixed or args.n_actions >= needed:
        return model
    changed = {**vars(args), "n_actions": needed}
    longer = build_model(argparse.Namespace(**changed))
    longer.set_weights(model.get_weights())
    return longer


def build_trainer(args, model):
    """The model with its learning signal and optimizers, compiled."""
    signal = kinds.policy_signal(args, discount=args.discount)
    trainer = TransducerTrainer(model, args.batch_size, signal)
    options = {"clipvalue": args.clip_value}
    if args.optimizer == "adam":
        own = keras.optimizers.Adam(args.learning_rate, **options)
    else:
        own = RMSProp(
            args.learning_rate, momentum=0.9, epsilon=1e-10, **options
        )
    agent = None
    if signal is not None:
        agent = keras.optimizers.Adam(args.agent_learning_rate)
    trainer.compile(
        optimizer=GroupedOptimizer(own, agent, args.clip_norm, args.clip_norm),
        jit_compile=kinds.jit_compile(args),
    )
    steps = 2 * args.max_length + 2 + args.delay
    trainer.build((args.batch_size, steps, MARKS + args.bits))
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer
