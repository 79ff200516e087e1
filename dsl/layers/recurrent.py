"""The sequence layer that every recurrent cell of the library runs in."""

import keras
from keras import ops, tree

from dsl.layers.masks import may_be_equal, step_mask
from dsl.loops.scan import scan

LAYER_ARGUMENTS = (
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
    "zero_output_for_mask",
    "activity_regularizer",
    "name",
    "trainable",
    "dtype",
    "autocast",
    "input_shape",
    "input_dim",
)


class Recurrent(keras.layers.RNN):
    """Runs a cell of `dsl.cells` over a sequence.

    The parts of the cell that depend on the input alone are computed for all
    steps at once; only `cell.step` runs in the loop. Arguments, states, masks
    and outputs follow `keras.layers.RNN`.

    A subclass names its cell in `cell_class`. One that has a loop with a
    backward pass derived by hand offers it as `_derived_scan`, and says in
    `_is_derived` when it holds.

    Args:
        *args: Positional arguments of the cell.
        autodiff: Differentiate by the framework even where a derivative
            derived by hand exists. Slower; tests compare the two. Set it
            before a model is exported to ONNX, whose loops have no array that
            is both read and written.
        use_cudnn: True, False or "auto", as `keras.layers.LSTM` takes it. It
            changes nothing: no layer of this library runs cuDNN's loop.
        **kwargs: Arguments of `keras.layers.RNN` (`return_sequences`,
            `return_state`, `go_backwards`, `stateful`,
            `zero_output_for_mask`, `name`, `dtype`, ...; `unroll` changes
            nothing); all others are the cell's.

    Call arguments:
        sequences: Float `(batch, time, features)`.
        initial_state: Optional list of states, each `(batch, size)`.
        mask: Optional `(batch, time)`, or one row for all; where it is False
            or 0 the state stays and the output repeats. With a last axis, a
            step counts where any of its values does.
        training: Whether the cell is in training mode.

    Returns:
        As `keras.layers.RNN`: the last output `(batch, units)` or all of them
        `(batch, time, units)`, followed by the final states on request.

    Raises:
        ValueError: If a mask has not one value a step, states are of other
            sizes, or a stateful layer gets another batch size.

    Departures: Before the first step that counts, outputs are zeros on every
    backend, as `keras.layers.RNN` gives them on TensorFlow; on JAX it gives
    h_0 there, unless it is unrolled. `zero_output_for_mask` holds for an
    unrolled layer as well, which `keras.layers.RNN` forgets in part. A mask
    with a last axis masks whole steps, as Keras does on JAX; on TensorFlow it
    masks each unit by a value of its own.
    """

    cell_class = None

    def __init__(self, *args, autodiff=False, use_cudnn="auto", **kwargs):
        layer_kwargs = {
            key: kwargs.pop(key) for key in LAYER_ARGUMENTS if key in kwargs
        }
        shared = {
            key: layer_kwargs[key]
            for key in ("dtype", "trainable")
            if key in layer_kwargs
        }
        kwargs.setdefault("name", self.cell_class.__name__.lower())
        cell = self.cell_class(*args, **kwargs, **shared)
        super().__init__(cell, **layer_kwargs)
        self.autodiff = autodiff
        self.use_cudnn = use_cudnn
        self._cell_arguments = frozenset(cell.get_config())
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def __getattr__(self, name):
        # `layer.units`, `layer.dropout`, ...: the cell's own arguments.
        if name in self.__dict__.get("_cell_arguments", ()):
            return getattr(self.cell, name)
        # On PyTorch a layer is a module, which finds its parts so.
        find = getattr(super(), "__getattr__", None)
        if find is not None:
            return find(name)
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}"
        )

    def __setattr__(self, name, value):
        if name == "use_cudnn":
            self._check_use_cudnn(value)
        super().__setattr__(name, value)

    def _check_use_cudnn(self, use_cudnn):
        if use_cudnn not in (True, False, "auto"):
            raise ValueError(
                '`use_cudnn` must be True, False or "auto". '
                f"Received: use_cudnn={use_cudnn!r}"
            )
        # Once a layer is made, nobody sets this but Bidirectional, in the two
        # layers that it is about to run.
        for option in ("return_policy", "return_attention"):
            if self.__dict__.get(option):
                raise ValueError(
                    "`keras.layers.Bidirectional` merges outputs and states, "
                    "and must be given layers that return nothing else. "
                    f"Received: {option}=True in {self.name!r}"
                )

    # The states of a stateful layer. Keras makes them from values, which fails
    # where a model is built on its first batch on JAX, and does not list them,
    # so that `fit` and `predict` lose them there. Saved they are nowhere.

    def _create_state_variables(self, batch_size):
        # Past `__setattr__`, which would count them among the weights.
        self.__dict__["states"] = [
            keras.Variable(
                "zeros",
                shape=(batch_size, size),
                dtype=self.variable_dtype,
                trainable=False,
                name="rnn_state",
            )
            for size in self.state_size
        ]

    @property
    def variables(self):
        """All variables, the states of a stateful layer among them."""
        return [*super().variables, *(self.states or [])]

    def call(self, sequences, initial_state=None, mask=None, training=False):
        return self._run(sequences, initial_state, mask, training)[0]

    def _run(
        self,
        sequences,
        initial_state,
        mask,
        training,
        num_rollouts=1,
        **options,
    ):
        """Returns what `RNN.call` returns, and the extras of the cell.

        `options` are a subclass's own, passed on to its scan.
        """
        self._check_batch_size(sequences)
        mask = step_mask(mask, sequences)
        states = self._starting_states(sequences, initial_state)
        projected, states, keep = self._prepare(
            sequences, states, mask, training, num_rollouts
        )
        derived = not self.autodiff and self._is_derived(training)
        scan_cell = self._derived_scan if derived else self._autodiff_scan
        outputs, states, extras = scan_cell(
            projected, states, keep, training, **options
        )
        self._maybe_reset_dropout_masks(self.cell)
        if self.stateful:
            for variable, state in zip(self.states, states, strict=True):
                variable.assign(state)
        result = self._output(outputs, keep)
        if self.return_state:
            result = (result, *states)
        return result, {key: ops.swapaxes(x, 0, 1) for key, x in extras.items()}

    def _prepare(self, sequences, states, mask, training, num_rollouts):
        """Projections, states and mask, time-major and once a rollout."""
        self.cell.get_dropout_mask(sequences[:, 0])
        sequences = ops.transpose(sequences, (1, 0, 2))  # (time, batch, ...)
        keep = None
        if mask is not None:
            keep = ops.cast(ops.transpose(mask)[:, :, None], self.compute_dtype)
        if self.go_backwards:
            sequences = ops.flip(sequences, axis=0)
            keep = None if keep is None else ops.flip(keep, axis=0)
        projected = self.cell.project(sequences, training)
        if num_rollouts > 1:
            copies = [1, num_rollouts, 1]
            projected = tree.map_structure(
                lambda x: ops.tile(x, copies), projected
            )
            keep = None if keep is None else ops.tile(keep, copies)
            states = [ops.tile(x, copies[1:]) for x in states]
        self.cell.get_recurrent_dropout_mask(states[0])
        return projected, states, keep

    def _output(self, outputs, keep):
        """Time-major outputs as the caller asked for them."""
        if keep is not None and self.zero_output_for_mask:
            outputs = outputs * keep
        elif keep is not None:
            # As in Keras, zeros before the first unmasked step.
            seen = ops.cumsum(keep, axis=0) > 0
            outputs = outputs * ops.cast(seen, outputs.dtype)
        if self.return_sequences:
            return ops.transpose(outputs, (1, 0, 2))
        return outputs[-1]

    def _check_batch_size(self, sequences):
        """Raises a ValueError if a stateful layer has states of other rows."""
        rows, expected = sequences.shape[0], self._expected_batch_size
        if self.stateful and not may_be_equal(rows, expected):
            raise ValueError(
                "a stateful layer carries one state a row, and its batch size "
                f"must stay {expected}. Received: batch size {rows}"
            )

    def _starting_states(self, sequences, initial_state):
        if initial_state is None and self.stateful:
            initial_state = self.states
        if initial_state is None:
            initial_state = self.get_initial_state(ops.shape(sequences)[0])
        if not tree.is_nested(initial_state):
            initial_state = [initial_state]
        given = [x.shape[-1] for x in initial_state]
        if given != list(self.state_size):
            raise ValueError(
                "`initial_state` must hold the states of the layer, of the "
                f"sizes {list(self.state_size)}. Received: sizes {given}"
            )
        return [
            ops.convert_to_tensor(x, self.compute_dtype) for x in initial_state
        ]

    def _is_derived(self, training):
        """Whether `_derived_scan` covers the cell's settings."""
        return False

    def _derived_scan(self, projected, states, keep, training, **options):
        """As `_autodiff_scan`, with a backward pass derived by hand."""
        raise NotImplementedError

    def _step_arguments(self, projected, states, keep, **options):
        """Further arguments of `cell.step`.

        Returns:
            A dict of tensors `(time, batch, ...)`, one slice a step, and a
            dict of what is the same at each step.
        """
        return {}, {}

    def _autodiff_scan(self, projected, states, keep, training, **options):
        """Runs `cell.step` over time; the framework differentiates it.

        Args:
            projected: What `cell.project` gave, each `(time, batch, ...)`.
            states: List of states, each `(batch, size)`.
            keep: None, or float `(time, batch, 1)`, 0 where a step is masked.
            training: Whether the cell is in training mode.
            **options: The subclass's own.

        Returns:
            Outputs `(time, batch, units)`, repeated at masked steps; final
            states; and a dict of extras, each `(time, batch, ...)` and 0 at
            masked steps.
        """
        per_step, constant = self._step_arguments(
            projected, states, keep, **options
        )
        inputs = {
            "projected": projected,
            "per_step": per_step,
        }
        if keep is not None:
            inputs["keep"] = keep

        def step(carried, inputs):
            states, last_output = carried
            output, new_states, extras = self.cell.step(
                inputs["projected"],
                states,
                training=training,
                **constant,
                **inputs["per_step"],
            )
            if keep is not None:
                kept = inputs["keep"] > 0
                new_states = [
                    ops.where(kept, new, old)
                    for new, old in zip(new_states, states, strict=True)
                ]
                output = ops.where(kept, output, last_output)
                extras = {
                    key: _zero_unless(kept, x) for key, x in extras.items()
                }
            return (list(new_states), output), (output, extras)

        nothing = ops.zeros_like(states[0][:, :1]) + ops.zeros(
            (1, self.cell.output_size), states[0].dtype
        )
        carried, (outputs, extras) = scan(step, (list(states), nothing), inputs)
        return outputs, carried[0], extras

    def get_config(self):
        config = super().get_config()
        del config["cell"]
        cell_config = self.cell.get_config()
        for key in ("name", "trainable", "dtype"):
            cell_config.pop(key, None)
        return {**config, **cell_config, "autodiff": self.autodiff}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _zero_unless(kept, x):
    """Zeros in the rows of `x` where `kept`, bool `(batch, 1)`, is False."""
    kept = ops.reshape(kept, (-1, *[1] * (len(x.shape) - 1)))
    return x * ops.cast(kept, x.dtype)
