"""Numbers of options and of environment variables: what is none is refused by name, and nothing is taken for one."""

import pytest

from candor.cli.main import main
from candor.settings import Settings

NO_PROBABILITY = ["nan", "2", "-0.1", "inf", "-inf", "1e309", "1.01", "abc", "0_1", "0,5", "50%", "\u0661", "0x1"]
NOT_POSITIVE = ["0", "-1", "nan", "inf", "1e309", "1e3", "2.0", "abc", "1_0", "\u0663", "9" * 30, "9" * 5000]


@pytest.mark.parametrize("value", NO_PROBABILITY)
def test_min_confidence_that_is_none_is_refused(value, tmp_path, capsys):
    """Each command and the environment refuse what is no number from 0 to 1, and take what is one."""
    (tmp_path / "a.txt").write_text("good\n")
    command = ["score", str(tmp_path / "a.txt"), str(tmp_path / "out"), "--processes", "1", "--min-confidence"]
    for refused in (command, ["predict", "good", "--min-confidence"]):
        assert main([*refused, value]) == 2
        assert f"invalid value for '--min-confidence': {value!r} is not a number from 0 to 1" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"^MIN_CONFIDENCE: .* is not a number from 0 to 1$"):
        Settings.from_environ({"MIN_CONFIDENCE": value})
    assert not (tmp_path / "out").exists()
    assert main([*command, "0.5"]) == 0
    assert Settings.from_environ({"MIN_CONFIDENCE": "0.5"}).min_confidence == 0.5


@pytest.mark.parametrize("option", ["--processes", "--rows"])
@pytest.mark.parametrize("value", ["", *NOT_POSITIVE])
def test_whole_number_that_is_none_is_refused(value, option, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("good\n")
    command = ["score", str(tmp_path / "a.txt"), str(tmp_path / "out"), option]
    assert main([*command, value]) == 2
    assert f"invalid value for '{option}': {value!r} is not a whole number from 1 to " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*command, "1"]) == 0


def test_min_confidence_minus_zero_is_zero(tmp_path):
    """-0 is 0, and so is the job."""
    (tmp_path / "a.txt").write_text("good\n")
    for value in ("0", "-0", "-0.0", "0e5"):
        command = ["score", str(tmp_path / "a.txt"), str(tmp_path / "out"), "--processes", "1"]
        assert main([*command, "--min-confidence", value]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("CHUNK_ROWS", value) for value in NOT_POSITIVE[:-2]),
        ("EXPLAIN", "yes"),
        ("EXPLAIN", "True"),
        ("REDACT", "no"),
        ("WITH_TEXT", "plain"),
    ],
)
def test_settings_that_are_none_are_refused(name, value):
    """A function does not start with a setting that it would read as another one."""
    with pytest.raises(ValueError, match=rf"^{name}: .* is not "):
        Settings.from_environ({name: value})
    sound = {"CHUNK_ROWS": "10", "EXPLAIN": "true", "REDACT": "false", "WITH_TEXT": "mask"}
    settings = Settings.from_environ(sound)
    assert (settings.chunk_rows, settings.explain, settings.redact, settings.with_text) == (10, True, False, "mask")
    assert Settings.from_environ(dict.fromkeys(sound, "")) == Settings.from_environ({})
