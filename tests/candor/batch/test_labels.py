import pytest

from candor.batch.labels import LabelError, MultiLabelError, case_variants, normalised


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("good", "good"),
        ("  very \u3000 good\n", "very good"),
        ("cafe\u0301", "café"),
        ("\ufeffpos\u200b", "pos"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩🏽‍🚀", "👩🏽‍🚀"),
        (" ", ""),
        (None, ""),
        ([], ""),
        ([None], ""),
        (["pos"], "pos"),
        ([5.0], "5"),
        (5, "5"),
        ("5.0", "5"),
        ("-1.00", "-1"),
        (1.5, "1.5"),
        ("1.10", "1.10"),
        (True, "true"),
        ("Pos", "Pos"),
        ("résumé", "résumé"),
        ("a|b", "a|b"),
    ],
)
def test_label_has_one_form(value, label):
    assert normalised(value) == label
    assert normalised(label) == label


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("a\x07b", "with the control character U+0007"),
        ("a\u202eb", "with the control character U+202E"),
        ("\ud800", "with half a character, U+D800"),
        ("x" * 201, "of 201 characters, where 200 are allowed"),
        ({"a": 1}, "that is neither a string nor a number"),
    ],
)
def test_label_that_is_none_says_why(value, message):
    with pytest.raises(LabelError) as raised:
        normalised(value)
    assert str(raised.value) == message


def test_label_list_of_several_is_multi_label():
    with pytest.raises(MultiLabelError, match="2 labels"):
        normalised(["a", "b"])
    assert normalised(["a"]) == "a"


def test_case_variants_leaves_accents_apart():
    assert case_variants(["Bug", "bug", "café", "cafe", "Straße"]) == [["Bug", "bug"]]
