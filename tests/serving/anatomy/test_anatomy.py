import pytest

from serving.anatomy.quantising import Quantisation
from serving.anatomy.reading import from_config
from serving.errors import WeightsUnreadable
from tests.serving.dimensions import DEEPSEEK_V3, LLAMA_8B, SMALL, anatomy, source


@pytest.mark.parametrize(
    ("name", "parameters", "active", "gigabytes"),
    [
        ("llama-8b", 8.03e9, 7.5e9, 4.52),
        ("llama-70b", 70.6e9, 69.5e9, 39.7),
        ("qwen3-30b", 30.5e9, 3.04e9, 17.2),
        ("mixtral", 46.7e9, 12.8e9, 26.3),
        ("deepseek-v3", 671.0e9, 36.6e9, 377.6),
    ],
)
def test_weights_are_as_large_as_their_makers_say(name: str, parameters: float, active: float, gigabytes: float):
    weights = anatomy(name)

    assert weights.parameters == pytest.approx(parameters, rel=0.005)
    assert weights.active_parameters == pytest.approx(active, rel=0.01)
    assert weights.bytes / 1e9 == pytest.approx(gigabytes, rel=0.005)


def test_a_key_and_a_value_are_kept_for_every_kept_head_of_every_layer():
    weights = anatomy("llama-8b")

    assert weights.cache_bytes_per_token == 32 * 8 * 128 * 2 * 2


def test_latent_attention_keeps_one_latent_and_its_position():
    weights = anatomy("deepseek-v3")

    assert weights.cache_bytes_per_token == 61 * (512 + 64) * 2
    assert weights.layers[0].cache.readers == 128


def test_a_latent_is_kept_whole_by_every_rank():
    weights = anatomy("deepseek-v3")

    assert weights.tensor[4].cache_share == 1
    assert anatomy("llama-70b").tensor[4].cache_share == 0.25


def test_windows_bound_what_is_kept():
    config = SMALL | {
        "model_type": "gpt_oss",
        "head_dim": 64,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "sliding_window": 128,
    }

    weights = from_config(config, "windows").anatomy()

    assert {layer.cache.window for layer in weights.layers} == {None, 128}
    assert weights.cached(1000) == 3 * weights.layers[0].cache.bytes_per_token * (1000 + 128)


def test_experts_and_how_many_are_chosen_are_seen_in_the_graph():
    weights = anatomy("qwen3-30b")

    assert (weights.experts, weights.experts_per_token) == (128, 8)
    assert weights.expert_share(1) == pytest.approx(8 / 128)
    assert 2 * 8 / 128 > weights.expert_share(2) > 8 / 128


def test_a_dense_layer_starts_seventeen_kernels():
    deep, shallow = (from_config(LLAMA_8B | {"num_hidden_layers": count}, "").anatomy() for count in (20, 10))

    assert deep.work.launches - shallow.work.launches == 10 * 17


def test_a_prompt_costs_two_operations_for_each_parameter_of_the_layers():
    weights = anatomy("llama-8b")

    # 131 million parameters each are in the embedding and the head, which prompts do not pass.
    assert weights.work.flops_per_token == pytest.approx(2 * (8.03e9 - 2 * 128256 * 4096 / 1), rel=0.01)


def test_only_the_chosen_experts_count_for_a_prompt():
    weights = anatomy("mixtral")

    assert weights.work.expert_flops_per_token == pytest.approx(2 * 32 * 2 * 3 * 4096 * 14336, rel=0.001)


def test_every_split_layer_reduces_twice():
    assert anatomy("llama-70b").tensor[2].collectives == 2 * 80


@pytest.mark.parametrize(
    ("name", "ranks", "words"),
    [
        ("llama-70b", 3, "Cannot shard the output of size 8192 across 3 devices"),
        ("qwen2-72b", 4, "divisible by the quantization group size 64"),
        ("mixtral", 2, "mlx-lm has no tensor split for mixtral"),
    ],
)
def test_a_split_that_the_wheel_refuses_is_told_in_its_words(name: str, ranks: int, words: str):
    refusal = source(name).tensor(ranks).refusal

    assert refusal is not None
    assert words in refusal


def test_fewer_kept_heads_than_ranks_are_refused_although_the_wheel_would_load_them():
    config = SMALL | {"num_key_value_heads": 2}

    refusal = from_config(config, "few").tensor(4).refusal

    assert refusal is not None


def test_what_the_wheel_can_split_by_layers_is_asked_of_it():
    assert anatomy("deepseek-v3").pipeline
    assert not anatomy("llama-70b").pipeline


def test_dimensions_without_a_type_are_told_to_be_guessed():
    assert any("taken for deepseek_v3" in note for note in source("deepseek-v3").notes)
    assert source("small").notes == ()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (SMALL | {"model_type": "unheard_of"}, "Model type unheard_of not supported"),
        ({"model_type": "qwen2"}, "missing"),
        (SMALL | {"num_attention_heads": "eight"}, "cannot build a network of type qwen2"),
    ],
)
def test_what_cannot_be_built_is_refused(config: dict[str, object], words: str):
    with pytest.raises(WeightsUnreadable, match=words):
        from_config(config, "odd").anatomy()


def test_quantised_tensors_take_their_scales_with_them():
    full, quantised = (from_config(SMALL, "", each).size for each in (None, Quantisation(4)))

    # 4 bits, and a scale and a bias of 16 bits for each group of 64: 4.5 bits for almost all of it.
    assert quantised / full == pytest.approx(4.5 / 16, rel=0.02)


def test_experts_and_the_rest_can_have_different_bits():
    config = DEEPSEEK_V3 | {"num_hidden_layers": 5}

    mixed = from_config(config, "", Quantisation(4, 32, rest=Quantisation(None))).anatomy()
    plain = from_config(config, "", Quantisation(4, 32)).anatomy()

    assert mixed.outside_bytes == 2 * 2 * 129280 * 7168 + 2 * 7168
    assert mixed.layers[-1].expert_bytes == plain.layers[-1].expert_bytes


def test_nothing_of_mlx_stays_swapped():
    import mlx.core as mx

    before = (mx.fast.rms_norm, mx.fast.rope, mx.fast.scaled_dot_product_attention, mx.distributed.all_sum)

    source("small").anatomy([2])

    assert (mx.fast.rms_norm, mx.fast.rope, mx.fast.scaled_dot_product_attention, mx.distributed.all_sum) == before
