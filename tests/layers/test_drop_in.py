"""All recurrent layers in the places where `keras.layers.LSTM` stands."""

import keras
import pytest

import dsl

pytestmark = pytest.mark.backend

LAYERS = {
    "lstm": dsl.LSTM,
    "dynamic": dsl.DynamicSkipLSTM,
    "fixed": dsl.FixedSkipLSTM,
    "attention": dsl.AttentionLSTM,
}


@pytest.fixture(params=LAYERS)
def make(request):
    return LAYERS[request.param]


@pytest.mark.filterwarnings("ignore:Do not pass an `input_shape`")
@pytest.mark.parametrize("shape", [(6, 3), (None, 3)])
def test_an_input_shape_builds_the_model(make, shape):
    layer = make(4, input_shape=shape)
    model = keras.Sequential([layer, keras.layers.Dense(1)])
    assert model.built and model.input_shape == (None, *shape)
    assert layer.cell.kernel.shape == (3, 16)


@pytest.mark.filterwarnings("ignore:Do not pass an `input_shape`")
def test_an_input_dim_is_a_shape_as_in_keras(make):
    for layer in (make(4, input_dim=3), keras.layers.LSTM(4, input_dim=3)):
        with pytest.raises(ValueError, match="expected ndim=3, found ndim=2"):
            keras.Sequential([layer])


def test_arguments_of_the_layer_are_not_the_cells(make):
    assert not make(4, autocast=False).autocast
    with pytest.raises(ValueError, match="batch_shape"):
        make(4, batch_shape=(2, 6, 3))


@pytest.mark.parametrize("use_cudnn", [True, False, "auto"])
def test_what_keras_would_do_with_cudnn_changes_nothing(make, use_cudnn):
    layer = make(4, use_cudnn=use_cudnn)
    assert layer.use_cudnn == use_cudnn
    assert layer.get_config() == {**make(4).get_config(), "name": layer.name}


def test_an_unknown_use_of_cudnn(make):
    with pytest.raises(ValueError, match="`use_cudnn` .*Received: .*'never'"):
        make(4, use_cudnn="never")


@pytest.mark.parametrize("return_state", [False, True])
@pytest.mark.parametrize(
    ("made", "option"),
    [
        (dsl.DynamicSkipLSTM, "return_policy"),
        (dsl.AttentionLSTM, "return_attention"),
    ],
)
def test_what_bidirectional_would_mix_up_is_refused(made, option, return_state):
    def layer(**options):
        return made(4, return_state=return_state, **options)

    match = f"Bidirectional.*outputs and states.*Received: {option}=True"
    with pytest.raises(ValueError, match=match):
        keras.layers.Bidirectional(layer(**{option: True}))
    back = layer(**{option: True}, go_backwards=True)
    with pytest.raises(ValueError, match=match):
        keras.layers.Bidirectional(layer(), backward_layer=back)


def test_bidirectional_returns_outputs_and_states(make):
    layer = make(4, return_state=True, use_cudnn="auto")
    both = keras.layers.Bidirectional(layer)
    output, *states = both(keras.KerasTensor((2, 5, 3)))
    assert output.shape == (2, 8)
    sizes = [state.shape[-1] for state in states]
    assert sizes == 2 * list(layer.state_size)
