"""From settings to a classifier, and to what trains it."""

import keras
from keras import ops

import dsl
from dsl import initializers
from dsl.datasets import numbers as data
from dsl.experiment import kinds
from dsl.policy import choosing
from dsl.seeds import spread
from dsl.training.optimizers import GroupedOptimizer
from dsl.training.sequences import ClassifierTrainer


def build_model(args):
    """The classifier: one recurrent layer, and a readout."""
    seeds = spread(args.seed, 6)
    options = {
        "kernel_initializer": keras.initializers.GlorotUniform(seeds[0]),
        "recurrent_initializer": initializers.GateOrthogonal(seeds[1]),
        "unit_forget_bias": False,
        "forget_bias": args.forget_bias,
        "return_sequences": True,
        "return_state": True,
        "seed": seeds[2],
        "name": "layer_0",
    }
    layer = kinds.recurrent_layer(
        args,
        options,
        policy_positions=args.policy_positions,
    )
    classifier = dsl.SequenceClassifier(
        args.symbols * (2 if args.mark_pointer else 1),
        args.symbols,
        [layer],
        # As in the published code.
        kernel_initializer=keras.initializers.RandomNormal(
            stddev=0.3, seed=seeds[3]
        ),
        bias_initializer=keras.initializers.Constant(0.1),
        name="sequence_classifier",
    )
    classifier.build((args.batch_size, args.length + 1))
    return classifier


def build_trainer(args, classifier):
    """The classifier with its learning signal and optimizers, compiled."""
    signal = kinds.policy_signal(
        args, credit=args.credit, probability_offset=args.probability_offset
    )
    imposes = kinds.chooses(args) and args.policy != "learned"
    trainer = ClassifierTrainer(
        classifier,
        args.batch_size,
        signal,
        task_weight=args.task_weight,
        impose=imposer(args) if imposes else None,
        seed=spread(args.seed, 6)[4],
    )
    agent = keras.optimizers.Adam(
        args.agent_learning_rate, epsilon=args.adam_epsilon
    )
    trainer.compile(
        optimizer=GroupedOptimizer(
            keras.optimizers.Adam(
                args.learning_rate, epsilon=args.adam_epsilon
            ),
            agent if signal is not None else None,
        ),
        jit_compile=args.jit,
    )
    trainer.build((args.batch_size, args.length + 1))
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer


def imposer(args):
    """The policies that need no agent, as functions of the symbols.

    The oracle looks back from the pointer to the digit that it points to,
        k = length - (first + b),
    and before that always to the previous state. A curriculum gives shorter
    sequences, in which all that is pointed to is kept.
    """
    pointers = data.Settings(
        args.length, args.index_from, args.symbols
    ).pointers

    def uniform(symbols, seed):
        shares = [1.0] * args.n_actions
        return choosing.random_look_back(shares, ops.shape(symbols), seed)

    def oracle(symbols, seed):
        symbols = ops.cast(symbols, "int32")
        length = ops.shape(symbols)[1] - 1
        after_first = length if args.index_from == "start" else pointers
        # A pointer that is marked is as much larger as the alphabet.
        last = after_first - symbols[:, -1:] % args.symbols
        before = ops.ones_like(symbols[:, :-1])
        return ops.concatenate([before, last], axis=1)

    return {"uniform": uniform, "oracle": oracle}[args.policy]
