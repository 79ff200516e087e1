"""The sequence layer that every recurrent cell of the library runs in."""

import keras
from keras import ops, tree

from dsl.layers import cell_steps
from dsl.layers.masks import may_be_equal, step_mask


@keras.saving.register_keras_serializable(package="dsl")
class Recurrent(keras.layers.RNN):
    """Runs a recurrent cell over a sequence.

    The parts of the cell that depend on the input alone are computed for all
    steps at once; only `cell.step` runs in the loop. Arguments, states, masks
    and outputs follow `keras.layers.RNN`.

    What is asked of a cell, beside what any Keras layer has (`build`,
    `get_config`) and `state_size`, an integer or a list of them:

    * `project(inputs, training)`: all that depends on the input alone, a
      tensor or a tree of them, for any axes before the last one.
    * `step(projected_t, states, training)`: one step from there, given a list
      of states; returns the output, a list of states, and a dict of extras,
      each `(batch, ...)`, perhaps empty.

    With `call(inputs, states, training)`, which does one after the other and
    returns output and states, it is a cell of `keras.layers.RNN` as well. What
    a cell may have, and is used then:

    * `output_size`, if it is not the size of the first state.
    * `get_initial_state(batch_size)`, if states do not start at zero.
    * `fill_states(states, batch_size)`: all states from some of them, as an
      initial state that is given in part.
    * `get_dropout_mask(x)` and `get_recurrent_dropout_mask(state)`, called
      before the loop, for what is drawn once a sequence, and
      `reset_dropout_mask()` and `reset_recurrent_dropout_mask()`, called after
      it; as Keras' own cells have them.

    Extras reach the subclasses, which may return them; this layer leaves them
    aside. A subclass that has a loop with a backward pass derived by hand
    offers it as `_derived_scan`, and says in `_is_derived` when it holds.

    Args:
        cell: The cell.
        autodiff: Differentiate by the framework even where a derivative
            derived by hand exists. Slower; tests compare the two. Set it
            before a model is exported to ONNX, whose loops have no array that
            is both read and written.
        use_cudnn: True, False or "auto", as `keras.layers.LSTM` takes it. It
            changes nothing: no layer of this library runs cuDNN's loop.
        **kwargs: Arguments of `keras.layers.RNN` (`return_sequences`,
            `return_state`, `go_backwards`, `stateful`,
            `zero_output_for_mask`, `name`, `dtype`, ...; `unroll` changes
            nothing).

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
        ValueError: If the cell has not what is asked of it, a mask has not one
            value a step, states are of other sizes, or a stateful layer gets
            another batch size.

    Example:
        >>> from dsl.cells import LSTMCell
        >>> layer = Recurrent(LSTMCell(4), return_sequences=True)
        >>> tuple(layer(keras.ops.ones((2, 7, 3))).shape)
        (2, 7, 4)

    Departures: Before the first step that counts, outputs are zeros on every
    backend, as `keras.layers.RNN` gives them on TensorFlow; on JAX it gives
    h_0 there, unless it is unrolled. `zero_output_for_mask` holds for an
    unrolled layer as well, which `keras.layers.RNN` forgets in part. A mask
    with a last axis masks whole steps, as Keras does on JAX; on TensorFlow it
    masks each unit by a value of its own.
    """

    extras_option = None
    """The argument of a subclass that asks for the extras, if it has one.

    Such a subclass has `_extras_spec(batch, length)`, their symbolic tensors by
    name, and `_extras_of_none(step_weights)`, those of a cell that gave none;
    see `dsl.layers.cell_steps.step_weights`.
    """

    def __init__(self, cell, *, autodiff=False, use_cudnn="auto", **kwargs):
        for method in ("project", "step"):
            if not callable(getattr(cell, method, None)):
                raise ValueError(
                    "`cell` must have the methods that dsl.layers.Recurrent "
                    f"asks of a cell. Received: {cell!r} without {method!r}"
                )
        super().__init__(cell, **kwargs)
        self.autodiff = autodiff
        self.use_cudnn = use_cudnn
        self.input_spec = keras.layers.InputSpec(ndim=3)

    @property
    def returns_extras(self):
        """Whether the extras of the cell are returned, last."""
        return bool(self.__dict__.get(self.extras_option))

    # Nothing tells a layer who wraps it. But once a layer is made, nobody sets
    # `use_cudnn` but Bidirectional, in the two layers that it is about to run.
    # TensorFlow hides from a property that an attribute is set to what it is.

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
        if self.returns_extras:
            raise ValueError(
                "`keras.layers.Bidirectional` merges outputs and states, "
                "and must be given layers that return nothing else. "
                f"Received: {self.extras_option}=True in {self.name!r}"
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
        return self._with_extras(
            *self._run(sequences, initial_state, mask, training)
        )

    def _with_extras(self, result, extras):
        """What `call` returns, of what `_run` does."""
        if not self.returns_extras:
            return result
        if not self.return_state:
            result = (result,)
        return (*result, extras)

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
        self._ask_cell("reset_dropout_mask")
        self._ask_cell("reset_recurrent_dropout_mask")
        if self.returns_extras and not extras:
            extras = self._extras_of_none(
                cell_steps.step_weights(outputs, keep)
            )
        if self.stateful:
            for variable, state in zip(self.states, states, strict=True):
                variable.assign(state)
        result = cell_steps.output(
            outputs, keep, self.zero_output_for_mask, self.return_sequences
        )
        if self.return_state:
            result = (result, *states)
        return result, {key: ops.swapaxes(x, 0, 1) for key, x in extras.items()}

    def _ask_cell(self, method, *args):
        """Calls a method of the cell, if it has it."""
        if hasattr(self.cell, method):
            getattr(self.cell, method)(*args)

    def _prepare(self, sequences, states, mask, training, num_rollouts):
        """Projections, states and mask, time-major and once a rollout."""
        self._ask_cell("get_dropout_mask", sequences[:, 0])
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
        self._ask_cell("get_recurrent_dropout_mask", states[0])
        return projected, states, keep

    def _check_batch_size(self, sequences):
        """Raises a ValueError if a stateful layer has states of other rows."""
        rows, expected = sequences.shape[0], self._expected_batch_size
        if self.stateful and not may_be_equal(rows, expected):
            raise ValueError(
                "a stateful layer carries one state a row, and its batch size "
                f"must stay {expected}. Received: batch size {rows}"
            )

    def _starting_states(self, sequences, initial_state):
        batch_size = ops.shape(sequences)[0]
        if initial_state is None and self.stateful:
            initial_state = self.states
        if initial_state is None:
            initial_state = self.get_initial_state(batch_size)
        if not tree.is_nested(initial_state):
            initial_state = [initial_state]
        if hasattr(self.cell, "fill_states"):
            initial_state = self.cell.fill_states(initial_state, batch_size)
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

    def _autodiff_scan(self, projected, states, keep, training, **options):
        """See `dsl.layers.cell_steps.scan_steps`; `options` are as there."""
        return cell_steps.scan_steps(
            self.cell, projected, states, keep, training, **options
        )

    def compute_output_spec(self, sequences, *args, num_rollouts=1, **kwargs):
        batch, length = sequences.shape[:2]
        if batch is not None:
            batch = batch * num_rollouts
        shapes = self.compute_output_shape((batch, *sequences.shape[1:]))
        if not self.return_state:
            shapes = (shapes,)
        result = tuple(
            keras.KerasTensor(shape, self.compute_dtype) for shape in shapes
        )
        if self.returns_extras:
            return (*result, self._extras_spec(batch, length))
        return result if self.return_state else result[0]

    def get_config(self):
        return {**super().get_config(), "autodiff": self.autodiff}
