import mlx.core as mx
import numpy as np
import pytest
from mlx import nn
from mlx.utils import tree_flatten
from mlx_lm.models.qwen2 import Model, ModelArgs

from tests.weights.network import Network, Shape

SMALL = Shape(
    hidden_size=24,
    num_hidden_layers=2,
    intermediate_size=36,
    num_attention_heads=3,
    num_key_value_heads=3,
    vocab_size=50,
)


@pytest.fixture
def exercise() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.integers(0, SMALL.vocab_size, (3, 20)), random.random((3, 20)) < 0.4


def test_loss_and_gradients_are_those_of_mlx_lm(exercise):
    tokens, wanted = exercise
    network = Network(SMALL, seed=1)
    reference = Model(ModelArgs.from_dict(SMALL.config()))
    reference.load_weights([(name, mx.array(array)) for name, array in network.weights.items()])

    def loss(weights: Model) -> mx.array:
        each = nn.losses.cross_entropy(weights(mx.array(tokens[:, :-1])), mx.array(tokens[:, 1:]))
        marks = mx.array(wanted[:, 1:].astype(np.float32))
        return (each * marks).sum() / marks.sum()

    expected, gradients = nn.value_and_grad(reference, loss)(reference)

    assert network.loss(tokens, wanted) == pytest.approx(expected.item(), abs=1e-5)
    for name, gradient in tree_flatten(gradients):
        np.testing.assert_allclose(network.gradients[name], np.array(gradient), atol=1e-5, err_msg=name)
