"""What the graphs of the layers are made of, for those that convert them.

The converters themselves are not run: `tf.lite.TFLiteConverter` takes what has
operations of its own, with a batch size that is known, as for
`keras.layers.LSTM`; tf2onnx takes loops in which no array is both read and
written, with any batch size.
"""

import keras
import pytest

import dsl

if keras.config.backend() != "tensorflow":
    pytest.skip("formats of TensorFlow's graphs", allow_module_level=True)

LAYERS = {
    "lstm": (dsl.LSTM, {}),
    "fixed": (dsl.FixedSkipLSTM, {}),
    "attention": (dsl.AttentionLSTM, {}),
    "content": (dsl.AttentionLSTM, {"scoring": "content"}),
    "dynamic": (dsl.DynamicSkipLSTM, {}),
    "mean": (
        dsl.DynamicSkipLSTM,
        {"observation": "mean", "empty_slots": "zeros", "policy_positions": 3},
    ),
}

# Those of `keras.layers.LSTM`, and others that TFLite and ONNX have.
KNOWN = set(
    """
    AddV2 BiasAdd Const Fill Identity Less LogicalAnd MatMul Mul NoOp Pack
    Placeholder ReadVariableOp Shape Sigmoid Split StridedSlice Tanh
    TensorListFromTensor TensorListGetItem TensorListReserve TensorListSetItem
    TensorListStack Transpose While

    AssignVariableOp BroadcastTo Cast ConcatV2 Equal Exp GatherV2 Greater
    GreaterEqual IdentityN LogSoftmax LogicalNot LogicalOr Max Maximum Mean Min
    Minimum Neg OneHot Range RealDiv Reshape SelectV2 Softmax StatelessWhile
    StopGradient Sub Sum ZerosLike
    """.split()
)


def functions(layer):
    """Nodes of the graph of a layer, a list for each of its functions."""
    import tensorflow as tf

    layer.build((None, None, 3))
    traced = tf.function(lambda x: layer(x)).get_concrete_function(
        tf.TensorSpec((None, None, 3))
    )
    graph = traced.graph.as_graph_def()
    return [graph.node, *(part.node_def for part in graph.library.function)]


@pytest.mark.parametrize("autodiff", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_every_operation_is_known(name, autodiff):
    make, options = LAYERS[name]
    found = functions(make(4, autodiff=autodiff, **options))
    assert len(found) >= 3
    assert {node.op for nodes in found for node in nodes} <= KNOWN


@pytest.mark.parametrize("name", LAYERS)
def test_without_a_derivative_by_hand_no_array_is_read_and_written(name):
    make, options = LAYERS[name]
    for nodes in functions(make(4, autodiff=True, **options)):
        read, written = (
            {node.input[0] for node in nodes if node.op == f"TensorList{op}"}
            for op in ("GetItem", "SetItem")
        )
        assert not read & written
