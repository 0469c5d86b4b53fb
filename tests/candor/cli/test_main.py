"""The `candor` command: help, exit statuses and error texts of every subcommand."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from shlex import quote

import click
import pytest

import candor
from candor.cli.main import COMMANDS, cli, main
from candor.model.classifier import Classifier
from candor.resources import BUNDLE
from tests.commands import ENVIRONMENT
from tests.trained import TWO

ROOT = Path(__file__).parents[3]
HELP = "hint: candor {} --help lists arguments and options\n"


def commands():
    context = click.Context(cli, info_name="candor")
    return {name: cli.get_command(context, name) for name in cli.list_commands(context)}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Files to get wrong, in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CANDOR_STORE", "models")
    Path("x.csv").write_text("body,queue\ngood,a\n")
    Path("two.csv").write_text("text,text\ngood,a\n")
    Path("y.xlsx").write_bytes(b"PK")
    Path("ok.csv").write_text("text,label\nA wonderful film.,positive\nA dull mess.,negative\n")
    Path("odd.json").write_text("{}")
    Path("empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "status", "stderr"),
    [
        ("score nope.csv", 2, "error: nope.csv does not exist\n"),
        ("score *.tsv", 2, "error: *.tsv does not exist\nhint: no file fits the pattern\n"),
        (
            "score y.xlsx",
            2,
            "error: y.xlsx: unsupported format (.xlsx)\n"
            "hint: save it as CSV UTF-8 in the spreadsheet\n",
        ),
        (
            "score empty",
            2,
            "error: empty: no file of a supported format\n"
            "hint: supported: .csv, .tsv, .jsonl, .ndjson, .json, .txt, each also with .gz\n",
        ),
        ("score", 2, "error: missing argument 'INPUT'\n" + HELP.format("score")),
        ("score ok.csv --min-confidence 1.7", 2, "error: invalid value for '--min-confidence': '1.7' is not a number from 0 to 1\n" + HELP.format("score")),
        ("score ok.csv --min-confidence nan", 2, "error: invalid value for '--min-confidence': 'nan' is not a number from 0 to 1\n" + HELP.format("score")),
        ("score ok.csv --rows 0", 2, "error: invalid value for '--rows': '0' is not a whole number from 1 to 1000000000\n" + HELP.format("score")),
        ("score ok.csv --processes 0", 2, "error: invalid value for '--processes': '0' is not a whole number from 1 to 1000\n" + HELP.format("score")),
        ("score ok.csv --min-confidenc 1", 2, "error: no such option: --min-confidenc\nhint: did you mean --min-confidence?\n"),
        ("verify none.json", 2, "error: none.json does not exist\n"),
        ("verify empty", 2, "error: empty/manifest.json does not exist\n"),
        ("verify odd.json", 1, "error: odd.json is not a manifest of candor score, or it is damaged\n"),
        ("report none.csv", 2, "error: none.csv does not exist\n"),
        (
            "predict hello --model empty",
            2,
            "error: empty is not a usable model: manifest.json cannot be read: No such file or directory\n"
            "hint: candor models lists those of the store\n",
        ),
        (
            "serve --model empty --port 0",
            2,
            "error: empty is not a usable model: manifest.json cannot be read: No such file or directory\n"
            "hint: candor models lists those of the store\n",
        ),
        ("explain hello --label sad", 2, "error: the model has no label 'sad'\nhint: its labels: negative, positive\n"),
        ("redact hello --mode hash", 2, "error: --mode hash needs a key\nhint: set the environment variable REDACTION_KEY\n"),
        ("redact hello --mask ab", 2, "error: --mask 'ab': mask is one symbol that no pattern reads, such as * or █\n"),
        ("use none", 2, "error: there is no model 'none' in models\nhint: candor train makes one\n"),
        ("predict hello --model a/b", 2, "error: a/b is not a usable model: manifest.json cannot be read: No such file or directory\nhint: candor models lists those of the store\n"),
        ("score ok.csv --model none@1 --store other", 2, "error: there is no model 'none' in other\nhint: candor train makes one\n"),
        ("evaluate none.csv", 2, "error: none.csv does not exist\n"),
        ("serve --port 70000", 2, "error: invalid value for '--port': '70000' is not a whole number from 0 to 65535\n" + HELP.format("serve")),
        ("torture --schedules 0", 2, "error: invalid value for '--schedules': '0' is not a whole number of 1 or more\n" + HELP.format("torture")),
        ("report ok.csv out.csv", 2, "error: out.csv would not be a web page\nhint: name an OUTPUT that ends in .html\n"),
        ("report empty", 2, "error: empty is a folder, not a file\n"),
        ("use ok.csv", 2, "error: ok.csv is a file, not a model\nhint: candor models lists those of the store\n"),
        ("trian x.csv", 2, "error: no such command 'trian'\nhint: did you mean train?\n"),
        ("fly", 2, "error: no such command 'fly'\n" + "hint: candor --help lists arguments and options\n"),
    ],
)  # fmt: skip
def test_command_error_has_status_and_text(arguments, status, stderr, files, capsys, monkeypatch):
    monkeypatch.delenv("REDACTION_KEY", raising=False)
    assert main(arguments.split(" ")) == status
    captured = capsys.readouterr()
    assert captured.err == stderr
    assert captured.out == ""


def test_main_without_arguments_prints_help(capsys):
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("Usage: candor ")
    assert captured.out == ""


def test_main_undecodable_argument_exits_2(capsys):
    assert main(["redact", "jane\udcff"]) == 2
    assert capsys.readouterr().err.startswith("error: argument 2 is not valid UTF-8\n")


def test_main_unforeseen_error_hides_its_message(capsys, monkeypatch):
    """A fault of ours has a status of its own, and no text of a user's in its message."""

    def fail(*_):
        raise RuntimeError("canary-4711")

    monkeypatch.setattr("candor.cli.options.load", fail)
    assert main(["predict", "hello"]) == 70
    assert capsys.readouterr().err.startswith("error: unexpected RuntimeError, a fault of Candor's\nhint: ")
    monkeypatch.setenv("CANDOR_TRACEBACK", "1")
    with pytest.raises(RuntimeError):
        main(["predict", "hello"])


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_main_no_color_on_a_terminal(variables, coloured, tmp_path):
    """On a terminal labels are in colour, unless NO_COLOR is set."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "candor", "predict", "A wonderful film.", "--words", "0"]
    subprocess.run(
        command,
        cwd=tmp_path,
        env=ENVIRONMENT | {"TERM": "xterm"} | variables,
        stdout=slave,
        stderr=slave,
        check=True,
        timeout=60,
    )
    os.close(slave)
    shown = os.read(master, 1000)
    os.close(master)
    assert b"positive" in shown
    assert (b"\x1b[" in shown) is coloured


def test_score_empty_input_exits_2(capsys):
    """An empty name would mean the working directory, and all that lies below it."""
    assert main(["score", ""]) == 2
    assert capsys.readouterr().err.startswith("error: INPUT is empty\nhint: ")


def test_commands_are_all_found():
    assert list(commands())[: len(COMMANDS)] == list(COMMANDS)
    assert all(commands().values())


@pytest.mark.parametrize("name", list(COMMANDS))
def test_command_help_describes_every_option(name, capsys):
    command = commands()[name]
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.name
            described = option.is_flag or option.show_default or option.required
            assert described, f"--{option.name} shows no default"
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Example" in shown
    assert "None" not in shown


def test_command_help_lists_exit_statuses(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for status in ("0 ", "1 ", "2 ", "130 "):
        assert f"\n    {status}" in shown


def test_version_is_the_packages(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"candor {candor.__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell, capsys):
    assert main(["completion", shell]) == 0
    assert "_CANDOR_COMPLETE" in capsys.readouterr().out


def test_main_interrupt_exits_130(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("candor.cli.options.load", interrupted)
    assert main(["predict", "hello"]) == 130
    assert capsys.readouterr().err.strip() == "error: interrupted"


def candor_process(*arguments, **options):
    """The command as a process, with its output as bytes."""
    command = [sys.executable, "-m", "candor", *arguments]
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, check=False, timeout=60, **options)


def test_predict_prints_label_confidence_and_words(capsys):
    assert main(["predict", "A wonderful film.", "--words", "1"]) == 0
    label, word = capsys.readouterr().out.splitlines()
    assert label.split()[0] == "positive"
    assert label.endswith("%")
    assert word.split()[1] == "wonderful"


def test_predict_json_equals_the_classifier(capsys):
    classifier = Classifier.load(TWO)
    (expected,) = classifier.predict(["A wonderful film."])
    assert main(["predict", "--json", "A wonderful film."]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["probabilities"] == expected.probabilities
    assert printed["decision"] == expected.decision(classifier.min_confidence)
    assert printed["model"]["sha256"] == classifier.bundle.digest


def test_predict_uncertain_says_why(capsys):
    assert main(["predict", "Tristyn qwzx.", "A film.", "--min-confidence", "1"]) == 0
    unknown, unsure = (line for line in capsys.readouterr().out.splitlines() if not line.startswith("  "))
    assert "knows too few" in unknown
    assert unsure.endswith("uncertain: below 100%")


def test_predict_threshold_is_printed_as_it_is(capsys):
    """A text that misses the threshold by little is never printed as if it reached it, and one that reaches it decides."""
    assert main(["predict", "--json", "A film."]) == 0
    confidence = max(json.loads(capsys.readouterr().out)["probabilities"].values())
    for threshold, ending in (
        (confidence, "%"),
        (confidence + 1e-6, f"uncertain: below {100 * confidence + 1e-4:.4f}%"),
    ):
        assert main(["predict", "A film.", "--words", "0", "--min-confidence", repr(threshold)]) == 0
        line = capsys.readouterr().out.rstrip()
        assert line.endswith(ending)
        assert line.count("%") == ending.count("%") + ("uncertain" in ending)


def test_predict_dash_reads_lines(monkeypatch):
    """Lines end at LF alone, CRLF included; blank lines are skipped, and numbers count them."""
    done = candor_process(
        "predict", "--json", "-", input="A wonderful film.\r\n\n  \ngood\u0085film\nA dull mess.".encode()
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["line"] for line in done.stdout.splitlines()] == [1, 4, 5]
    piped = candor_process("predict", "--json", input=b"A wonderful film.\n")
    assert json.loads(piped.stdout) == json.loads(done.stdout.splitlines()[0])


def test_predict_colours_no_pipe():
    done = candor_process("predict", "A wonderful film.")
    assert done.returncode == 0
    assert b"\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"good\n\xff\n", b"error: line 2 of standard input is not UTF-8\n"),
        (b"x" * 20_001, b"error: line 1 has 20,001 bytes; at most 20,000 are allowed\n"),
    ],
)
def test_predict_bad_line_exits_2(content, message):
    done = candor_process("predict", "-", input=content)
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert b"Traceback" not in done.stderr


def test_predict_reader_hanging_up_is_quiet():
    command = f"{quote(sys.executable)} -m candor predict --json - | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        input=b"A wonderful film.\n" * 3000,
        env=ENVIRONMENT,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 1


def test_explain_values_add_up(capsys):
    assert main(["explain", "--json", "A wonderful film, and a dull end.", "--label", "negative"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["label"] == "negative"
    total = printed["base_value"] + sum(each["value"] for each in printed["attributions"])
    assert total == pytest.approx(printed["logit"], abs=1e-6)


@pytest.mark.parametrize("text", ["A wonderful film, and a dull end.", "boring " * 2500, "film " * 4000, "xyzzy"])
def test_explain_printed_values_add_up(text, capsys):
    """Of the figures as printed, with three decimals, those above the last add up to it, for thousands of words, too."""
    assert main(["explain", text]) == 0
    _, *lines = capsys.readouterr().out.splitlines()
    *values, total = (round(1000 * float(line.split()[0])) for line in lines)
    assert len(values) > len(text.split())
    assert sum(values) == total


def test_redact_masks_and_locates(capsys, monkeypatch):
    text = "Write to jane@example.com."
    assert main(["redact", text]) == 0
    assert capsys.readouterr().out == "Write to [EMAIL].\n"
    assert main(["redact", "--json", "--mode", "mask", "--mask", "█", text]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["text"] == "Write to ████████████████."
    assert printed["pii"] == [{"type": "EMAIL", "begin": 9, "end": 25}]
    monkeypatch.setenv("REDACTION_KEY", "secret")
    assert main(["redact", "--mode", "hash", text]) == 0
    assert "jane" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "value", "stderr"),
    [
        (
            "--encoding",
            "utf-7",
            "error: --encoding: no encoding of that name can be read\n"
            "hint: name one of Python's, such as utf-8, utf-16, cp1252, latin-1, gb18030 or shift_jis\n",
        ),
        (
            "--delimiter",
            "ab",
            "error: invalid value for '--delimiter': no delimiter: expected one character such as ; or |, or comma, "
            "semicolon, tab, pipe\nhint: candor {} --help lists arguments and options\n",
        ),
    ],
)
@pytest.mark.parametrize("command", ["score", "evaluate", "report"])
def test_reading_option_that_is_none_exits_2(command, option, value, stderr, files, capsys):
    assert main([command, "ok.csv", option, value]) == 2
    assert capsys.readouterr().err == stderr.format(command)


def test_use_installed_model_changes_nothing(capsys):
    """The model in use is checked, pinned and named again, to the byte."""
    paths = [ROOT / "template.yaml", *sorted((ROOT / "events").iterdir()), BUNDLE / "manifest.json"]
    before = [path.read_bytes() for path in paths]
    assert main(["use", str(BUNDLE)]) == 0
    assert "is in use" in capsys.readouterr().out
    assert [path.read_bytes() for path in paths] == before


def test_predict_bad_line_keeps_answers_before_it():
    done = candor_process("predict", "--json", "-", input=b"A wonderful film.\n\xff\n")
    assert done.returncode == 2
    assert [json.loads(line)["line"] for line in done.stdout.splitlines()] == [1]


@pytest.mark.parametrize("arguments", [["predict", "-"], ["score", "-", "out"]])
def test_main_closed_streams_give_no_traceback(arguments, tmp_path):
    command = f"{quote(sys.executable)} -m candor {' '.join(arguments)} <&- 2>&1"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, timeout=60)
    assert b"Traceback" not in done.stdout


def test_use_damaged_bundle_is_refused(tmp_path, capsys):
    before = (BUNDLE / "manifest.json").read_bytes()
    for path in BUNDLE.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.tflite").write_bytes(b"x")
    assert main(["use", str(tmp_path)]) == 2
    assert "model.tflite is not the file" in capsys.readouterr().err
    assert (BUNDLE / "manifest.json").read_bytes() == before


def test_torture_runs_schedules(tmp_path):
    """From any folder, without any environment variable."""
    command = [sys.executable, "-m", "candor", "torture", "--schedules", "3", "--seed", "5", "--costs", "0"]
    done = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "3 schedules of faults, 0 of them broke a promise\n324 jobs under Lambda's quotas, 0 of them ended wrong\n"
    )


def test_score_prints_to_closed_reader_quietly(tmp_path, files):
    """Results are whole even if nobody reads the summary."""
    command = f"{quote(sys.executable)} -m candor score ok.csv out --processes 1 --csv | true"
    done = subprocess.run(
        ["bash", "-c", command],
        env=ENVIRONMENT,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == b""
    assert len(list(Path("out").glob("*/results.csv"))) == 1
