import pytest

from serving.anatomy.quantising import FULL, Quantisation, foreign, parsed, stated_bytes


@pytest.mark.parametrize(
    ("label", "meant"),
    [
        ("4bit", Quantisation(4)),
        ("8-bit", Quantisation(8)),
        ("Q4 (MLX affine g64)", Quantisation(4)),
        ("Q8 (MLX affine g32)", Quantisation(8, 32)),
        ("6bit", Quantisation(6)),
        ("bf16", FULL),
        ("FP16", FULL),
        ("16-bit", FULL),
        ("4bit (a README says 8-bit: impossible)", Quantisation(4)),
        ("native INT4 experts + bf16 rest (658 GB in MLX)", Quantisation(4, 32, rest=FULL)),
        ("MXFP4", Quantisation(4, 32, "mxfp4", Quantisation(8))),
        ("MXFP4 experts + bf16 rest", Quantisation(4, 32, "mxfp4", FULL)),
        ("nvfp4", Quantisation(4, 16, "nvfp4")),
        ("not stated (4bit inferred)", Quantisation(4)),
        ("Q4_K_M", None),
        ("UD-Q4_K_XL", None),
        ("Q8_0", None),
        ("658 GB", None),
        ("", None),
        ("-", None),
    ],
)
def test_labels_are_understood(label: str, meant: Quantisation | None):
    assert parsed(label) == meant


@pytest.mark.parametrize("label", ["Q4_K_M", "IQ2_XXS", "UD-Q4_K_XL", "Q8_0?", "GGUF Q4"])
def test_formats_of_others_are_known_as_such(label: str):
    assert foreign(label)


def test_a_size_is_read_where_there_is_one():
    assert stated_bytes("4bit (660 GB)") == 660e9
    assert stated_bytes("4bit") is None
