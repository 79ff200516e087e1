"""The layers that are named for their cells, as `keras.layers.LSTM` is."""

from dsl.layers.recurrent import Recurrent

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
_OF_BOTH = ("dtype", "trainable")


class OwnCell(Recurrent):
    """A recurrent layer that makes its cell, whose arguments it takes.

    They are attributes of the layer too, and lie flat in its configuration. A
    subclass names the class of its cell in `cell_class`.

    Args:
        *args: Positional arguments of the cell.
        autodiff: As for `Recurrent`.
        use_cudnn: Likewise.
        **kwargs: Arguments of `keras.layers.RNN`; all others are the cell's.
    """

    cell_class = None

    def __init__(self, *args, autodiff=False, use_cudnn="auto", **kwargs):
        layer = {
            key: kwargs.pop(key) for key in LAYER_ARGUMENTS if key in kwargs
        }
        both = {key: layer[key] for key in _OF_BOTH if key in layer}
        name = self.cell_class.__name__.lower()
        cell = self.cell_class(*args, name=name, **kwargs, **both)
        super().__init__(cell, autodiff=autodiff, use_cudnn=use_cudnn, **layer)
        self._cell_arguments = frozenset(cell.get_config())

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

    def get_config(self):
        config = super().get_config()
        autodiff = config.pop("autodiff")
        del config["cell"]
        cell = self.cell.get_config()
        for key in ("name", "trainable", "dtype"):
            cell.pop(key, None)
        return {**config, **cell, "autodiff": autodiff}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
