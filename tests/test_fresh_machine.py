"""A fresh machine: what `make` and its scripts do where nothing is made yet, with stubs for all that would download.

Each test works in a copy of the checkout's own files, in a folder whose path has a space, without `.git`.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text()
ENVIRONMENTS = sorted(re.findall(r"^\.venv/(\w+)/\.made:", MAKEFILE, re.MULTILINE))
LOCKS = sorted([*(ROOT / "requirements").glob("*.in"), ROOT / "layers/runtime/requirements.in"])
BASH = shutil.which("bash") or "/bin/bash"

KEPT = ("SOURCE_DATE_EPOCH", "CANDOR_STORE", "PYTHON", "PYTEST_ADDOPTS")
# Writes its name, arguments and some of its environment to calls.jsonl, whatever characters are in them.
# (Its first lines are shell, since a path with a space can't stand behind #!; to Python they are a string.)
RECORDER = f"""#!{BASH}
'''exec' "{sys.executable}" -IS "$0" "$@"
' '''
import json, os, sys
call = {{"name": "/".join(sys.argv[0].split("/")[-3:]), "arguments": sys.argv[1:]}}
call |= {{key: os.environ[key] for key in {KEPT} if key in os.environ}}
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(call) + "\\n")
"""


def executable(path: Path, text: str) -> Path:
    """Write a program, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


class Checkout:
    """A copy of the files that `make` reads, whose environments are made of recorders."""

    def __init__(self, folder: Path, ready: bool = True) -> None:
        self.folder, self.calls_file = folder, folder.parent / "calls.jsonl"
        shutil.copytree(ROOT / "requirements", folder / "requirements")
        for name in ("Makefile", "pyproject.toml"):
            shutil.copy(ROOT / name, folder)
        self.environment = {"PATH": os.environ["PATH"], "CALLS": str(self.calls_file), "HOME": str(folder.parent)}
        if ready:
            for name in ENVIRONMENTS:
                for program in ("python", name, "ruff", "mypy"):
                    executable(folder / f".venv/{name}/bin/{program}", RECORDER)
                for stamp in (".made", ".linked"):
                    (folder / f".venv/{name}" / stamp).touch()
            executable(folder / "tests/e2e/docker-start", RECORDER)
            (folder / ".cache").mkdir()
            (folder / ".cache/fasttext").touch()

    def make(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run make with command-line arguments and environment variables."""
        self.calls_file.unlink(missing_ok=True)
        command = ["make", *arguments]
        environment = self.environment | variables
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    def calls(self) -> list[dict[str, object]]:
        """Return what the recorders were called with, in order."""
        return [json.loads(line) for line in self.calls_file.read_text().splitlines()]

    def arguments(self, *arguments: str, **variables: str) -> list[str]:
        """Run make, which must succeed and call one program, and return that program's arguments."""
        done = self.make(*arguments, **variables)
        assert done.returncode == 0, done.stderr
        (call,) = self.calls()
        assert isinstance(call["arguments"], list)
        return call["arguments"]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "a folder" / "candor")


# Values

VALUES = [
    "x`touch pwn`.csv",
    "x$(touch pwn).csv",
    "$(shell touch pwn)",
    "${shell touch pwn}",
    "$$(touch pwn) $$$HOME ${HOME}",
    "a; touch pwn & touch pwn | touch pwn > pwn",
    "'; touch pwn; '",
    '"; touch pwn; "',
    'Your "idea"',
    "Your 'idea'",
    "cost ($USD)",
    "50 % #1 \\",
    "first\nsecond: $(shell touch pwn)\n\ttouch pwn",
    "--help",
    "* ~ ? [a] {b,c} !d",
    "größe 大小",
]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("where", ["command line", "environment"])
def test_make_value_reaches_python_as_typed(checkout: Checkout, where: str, value: str) -> None:
    """Nothing in a value is run or changed, by make or by a shell."""
    given = dict.fromkeys(("INPUT", "OUTPUT", "TEXT", "ID", "MODEL"), value)
    options = [f"--model={value}", f"--text-column={value}", f"--id-column={value}"]
    if where == "environment":
        arguments = checkout.arguments("score", **given)
    else:
        arguments = checkout.arguments("score", *(f"{key}={value}" for key, value in given.items()))
    assert arguments == ["-m", "candor", "score", *options, "--", value, value]
    assert not list(checkout.folder.rglob("*pwn*"))


def test_make_env_value_keeps_leading_space(checkout: Checkout) -> None:
    """Make drops a leading space on its own command line, but not in the environment."""
    assert "--text-column= text" in checkout.arguments("score", "INPUT=x", TEXT=" text")


TARGETS = sorted(set(re.findall(r"^([a-z-]+):.* ##", MAKEFILE, re.MULTILINE)) - {"clean", "lock"})
VARIABLES = sorted({*re.findall(r"\$\$\{?([A-Z_]+)", MAKEFILE), "MAKE", "MAKE_COMMAND", "REDACT", "UNHEARD_OF", "PIP"})
VARIABLES += sorted(
    set(re.findall(r"^(?:override )?(?:define )?(\w+)(?: :?=|$)", MAKEFILE, re.MULTILINE)) - {"SHELL", "endef"}
)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("evil", ["$(shell touch pwn)", "`touch pwn`", '";touch pwn;"', "';touch pwn;'"])
def test_make_target_runs_no_value(checkout: Checkout, target: str, evil: str) -> None:
    """No target runs a value of any variable, documented or not."""
    for path in ("functions/api/openapi.json", "events/reviews.csv"):
        (checkout.folder / path).parent.mkdir(parents=True, exist_ok=True)
    done = checkout.make(target, *(f"{name}={evil}" for name in VARIABLES if name != "PWD"))
    assert done.returncode == 0, done.stderr
    assert not list(checkout.folder.rglob("*pwn*"))


def test_make_value_runs_in_no_inner_make(checkout: Checkout) -> None:
    """`sam build` runs make again, and gets values by the environment alone."""
    inner = 'SHELL := /bin/bash\nall:\n\t@printf "%s" "$$ARCHITECTURE" > inner\n'
    (checkout.folder / "inner.mk").write_text(inner)
    executable(checkout.folder / ".venv/sam/bin/sam", f"#!{BASH}\nmake -s -f inner.mk >/dev/null\n")
    done = checkout.make("build", "ARCHITECTURE=$(shell touch pwn)")
    assert done.returncode == 0, done.stderr
    assert (checkout.folder / "inner").read_text() == "$(shell touch pwn)"
    assert not (checkout.folder / "pwn").exists()


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("run", "serve"),
        ("run PORT=8124 LOG=run.log MODEL=models/x", "serve --model=models/x --port=8124 --log=run.log"),
        ("score INPUT=a.csv", "score -- a.csv results"),
        ("score INPUT=- STDIN=csv EXPLAIN=1 REDACT=off", "score --explain --no-redact --stdin=csv -- - results"),
        ("score INPUT=a MIN_CONFIDENCE=.9 CSV=1 ROWS=5", "score --min-confidence=.9 --csv --rows=5 -- a results"),
        ("score INPUT=a WITH_TEXT=mask PICTURE=1", "score --with-text=mask --picture -- a results"),
        ("verify MANIFEST=results/x/manifest.json", "verify -- results/x/manifest.json"),
        ("verify-results MANIFEST=m.json", "verify -- m.json"),
        ("report INPUT=a.csv TEXT=body", "report --text-column=body -- a.csv report.html"),
        ("evaluate DATA=a.csv LABEL=stars JSON=1 SEED=3", "evaluate --label-column=stars --seed=3 --json -- a.csv"),
        ("evaluate DATA=a.csv REPORT=r", "evaluate --report=r -- a.csv"),
        ("use MODEL=x@1", "use -- x@1"),
        ("use BACK=1", "use --back"),
        ("models", "models"),
        ("diff A=x B=y DATA=a.csv LABEL=q", "diff --label-column=q -- x y a.csv"),
        ("dashboard", "dashboard -- run.log dashboard.png"),
        ("torture SCHEDULES=10", "torture --schedules=10"),
        ("train DATA=a.csv NAME=b VERSION=r SEED=2", "train --name=b --version=r --seed=2 -- a.csv"),
        ("train DATA=a.csv TEST=t.csv", "train --test=t.csv -- a.csv"),
        (
            "train DATA=a ENCODING=cp1252 NO_HEADER=1 TEXT=2 SKIP_BAD_ROWS=1",
            "train --encoding=cp1252 --no-header --skip-bad-rows --text-column=2 -- a",
        ),
        ("train DATA=a TEXT_NOUN=x SAMPLES=s.txt", "train --text-noun=x --samples=s.txt -- a"),
        ("score INPUT=a DELIMITER=;", "score --delimiter=; -- a results"),
        ("train OWNER=me LICENCE=MIT", "train --owner=me --licence=MIT"),
    ],
)
def test_make_target_calls_candor(checkout: Checkout, command: str, arguments: str) -> None:
    assert checkout.arguments(*command.split()) == ["-m", "candor", *arguments.split()]


def test_make_store_reaches_the_command(checkout: Checkout) -> None:
    for given, passed in (([], None), (["STORE=s3://b/$x"], "s3://b/$x")):
        assert checkout.make("models", *given).returncode == 0
        assert checkout.calls()[-1].get("CANDOR_STORE") == passed


def test_make_test_passes_options_to_pytest(checkout: Checkout) -> None:
    done = checkout.make("test", "TESTS=tests/a -k 'one and $(shell touch pwn)'")
    assert done.returncode == 0, done.stderr
    (call,) = checkout.calls()
    assert call["arguments"] == ["-m", "pytest"]
    assert call["PYTEST_ADDOPTS"] == " tests/a -k 'one and $(shell touch pwn)'"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("score", "error: make score needs INPUT=FILE\nhint: for example, make score INPUT=events/texts.csv"),
        ("report", "error: make report needs INPUT=FILE\nhint: for example, make report INPUT=events/texts.csv"),
        ("verify", "error: make verify needs MANIFEST=FILE\nhint: for example, make verify MANIFEST="),
        ("verify-results", "error: make verify needs MANIFEST=FILE\n"),
        ("evaluate", "error: make evaluate needs DATA=FILE\nhint: for example, make evaluate DATA=labelled.csv"),
        ("use", "error: make use needs MODEL=NAME\nhint: for example, make use MODEL=tickets"),
        ("diff A=x", "error: make diff needs B=NAME\nhint: for example, make diff B=tickets A=tickets@2026-11-27-1"),
    ],
)
def test_make_target_without_input_exits_2(tmp_path: Path, target: str, said: str) -> None:
    """A missing value is said before any environment is made."""
    checkout = Checkout(tmp_path / "a folder" / "candor", ready=False)
    done = checkout.make(*target.split())
    assert done.returncode == 2
    assert done.stderr.startswith(said)
    assert done.stdout == ""
    assert not (checkout.folder / ".venv").exists()


# Environments


@pytest.mark.parametrize(
    ("command", "environments"),
    [
        ("run", {"serve"}),
        ("score INPUT=a", {"serve"}),
        ("openapi", {"serve"}),
        ("use MODEL=a", {"serve"}),
        ("dashboard", {"dashboard"}),
        ("train", {"train"}),
        ("torture", {"torture"}),
        ("lint", {"lint"}),
        ("build", {"sam"}),
        ("lock", {"lock"}),
        ("costs", {"bench"}),
        ("faithfulness", {"faithfulness"}),
        ("vectors", {"encoder"}),
        ("test", {"dev", "sam", "scan", "edge"}),
        ("test TESTS=tests/candor/text", {"dev"}),
        ("help", set()),
    ],
)
def test_make_target_makes_its_environment_only(tmp_path: Path, command: str, environments: set[str]) -> None:
    checkout = Checkout(tmp_path / "candor", ready=False)
    planned = checkout.make("--dry-run", *command.split()).stdout
    assert set(re.findall(r"requirements/environment (\w+)", planned)) == environments


# A Python by its version: `-c` prints it; `-m venv FOLDER` makes one that records and runs $PIP.
FAKE_PYTHON = f"""#!{BASH}
if [ "$1" = -c ]; then echo VERSION; exit; fi
mkdir -p "$3/bin"
printf '#!{BASH}\\n%s\\n' 'printf "%s\\n" "$*" >>"$CALLS"; eval "$PIP"' >"$3/bin/python"
chmod +x "$3/bin/python"
"""


@pytest.fixture
def fresh(tmp_path: Path) -> Checkout:
    """Return a checkout without environments, on a machine whose only Pythons are a fake 3.13 and a fake 3.11."""
    checkout = Checkout(tmp_path / "a folder" / "candor", ready=False)
    tools = tmp_path / "bin"
    for version in ("3.13", "3.11"):
        executable(tools / f"python{version}", FAKE_PYTHON.replace("VERSION", version))
    for name in ("bash", "make", "dirname", "rm", "mkdir", "touch", "cat", "chmod", "sleep"):
        (tools / name).symlink_to(shutil.which(name) or name)
    checkout.environment |= {"PATH": str(tools), "PIP": ":"}
    return checkout


def test_environment_is_announced_once(fresh: Checkout) -> None:
    """It is said aloud what is made, why and how large; and nothing the second time."""
    first = fresh.make(".venv/serve/.made")
    assert first.returncode == 0
    assert first.stdout == ""
    assert first.stderr == (
        "making .venv/serve with python3.13: the API and the command line (once; downloads about 40 MB)\n"
    )
    assert "--require-hashes --requirement requirements/serve.txt" in fresh.calls_file.read_text()
    assert "up to date" in fresh.make(".venv/serve/.made").stdout


def test_environment_is_made_again_after_lock_change(fresh: Checkout) -> None:
    assert fresh.make(".venv/serve/.made").returncode == 0
    (fresh.folder / ".venv/serve/left-over").touch()
    later = time.time() + 5
    os.utime(fresh.folder / "requirements/serve.txt", (later, later))
    assert "making .venv/serve" in fresh.make(".venv/serve/.made").stderr
    assert not (fresh.folder / ".venv/serve/left-over").exists()


@pytest.mark.parametrize("how", ["command line", "environment"])
def test_environment_takes_python_with_space(fresh: Checkout, tmp_path: Path, how: str) -> None:
    python = executable(tmp_path / "my pythons" / "python", FAKE_PYTHON.replace("VERSION", "3.12"))
    given = [f"PYTHON={python}"] if how == "command line" else []
    done = fresh.make(".venv/serve/.made", *given, **({} if given else {"PYTHON": str(python)}))
    assert done.returncode == 0, done.stderr
    # The one that was asked for comes first, even before a newer one on the PATH.
    assert f"with {python}:" in done.stderr


def test_environment_ignores_python_of_other_version(fresh: Checkout, tmp_path: Path) -> None:
    """The tests need Python 3.13, so PYTHON=3.12 does not serve, and the one on the PATH does."""
    python = executable(tmp_path / "python", FAKE_PYTHON.replace("VERSION", "3.12"))
    assert "with python3.13:" in fresh.make(".venv/dev/.made", PYTHON=str(python)).stderr


def test_environment_without_python_names_remedy(fresh: Checkout) -> None:
    (Path(fresh.environment["PATH"]) / "python3.13").unlink()
    done = fresh.make(".venv/dev/.made")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: .venv/dev (the tests) needs Python 3.13\n"
        "hint: put python3.13 on the PATH, or set PYTHON=/path/to/python3.13\n"
    )


def test_edge_without_python_3_11_is_left_out(fresh: Checkout) -> None:
    """Only one test needs Python 3.11, so the others run without it."""
    (Path(fresh.environment["PATH"]) / "python3.11").unlink()
    done = fresh.make(".venv/edge/.made")
    assert done.returncode == 0
    assert "needs Python 3.11" in done.stderr
    assert not (fresh.folder / ".venv/edge").exists()


def test_environment_failed_shows_log_and_retries(fresh: Checkout) -> None:
    done = fresh.make(".venv/serve/.made", PIP="echo no such release; exit 1")
    assert done.returncode == 2
    assert "no such release\nerror: .venv/serve could not be made\n" in done.stderr
    assert not (fresh.folder / ".venv/serve/.made").exists()
    assert fresh.make(".venv/serve/.made").returncode == 0
    assert (fresh.folder / ".venv/serve/.made").exists()


def test_environment_interrupted_does_not_count(fresh: Checkout) -> None:
    environment = fresh.environment | {"PIP": "sleep 60"}
    command = ["make", ".venv/serve/.made"]
    with subprocess.Popen(
        command, cwd=fresh.folder, env=environment, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            deadline = time.monotonic() + 20
            while not fresh.calls_file.exists():
                assert time.monotonic() < deadline
                time.sleep(0.02)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
    assert process.returncode != 0
    assert not (fresh.folder / ".venv/serve/.made").exists()
    assert fresh.make(".venv/serve/.made").returncode == 0


# Training


@pytest.mark.parametrize(
    ("given", "passed"), [({}, None), ({"SOURCE_DATE_EPOCH": ""}, None), ({"SOURCE_DATE_EPOCH": "123"}, "123")]
)
def test_ship_without_git_has_no_date(checkout: Checkout, given: Mapping[str, str], passed: str | None) -> None:
    """An archive without .git has no commit whose time a bundle could take."""
    assert checkout.make("ship", **given).returncode == 0
    call = checkout.calls()[0]
    assert call.get("SOURCE_DATE_EPOCH") == passed


def test_ship_with_git_takes_time_of_last_commit(checkout: Checkout) -> None:
    (checkout.folder / "training").mkdir()
    (checkout.folder / "training/train.py").touch()
    date = {"GIT_COMMITTER_DATE": "1700000000 +0000", "GIT_AUTHOR_DATE": "1600000000 +0000"}
    name = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["init", "--quiet"], ["add", "training"], [*name, "commit", "--quiet", "--message", "a"]):
        subprocess.run(["git", *command], cwd=checkout.folder, env=checkout.environment | date, check=True)
    assert checkout.make("ship").returncode == 0
    call = checkout.calls()[0]
    assert call["SOURCE_DATE_EPOCH"] == "1700000000"


# Layers

BUILDS = {"layers/serving": "ServingLayer", "layers/model": "ModelLayer", "functions": "ApiFunction"}


@pytest.mark.parametrize("folder", BUILDS)
def test_layer_builds_where_paths_have_spaces(folder: str, tmp_path: Path) -> None:
    """The checkout, the Python and the target may have spaces in their paths."""
    python = tmp_path / "my pythons" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    source = tmp_path / "a folder" / folder
    shutil.copytree(ROOT / folder, source, ignore=shutil.ignore_patterns("__pycache__"))
    artifacts = tmp_path / "to $HOME" / "there"
    variables = {"PATH": "/usr/bin:/bin", "PYTHON": str(python), "ARTIFACTS_DIR": str(artifacts)}
    done = subprocess.run(
        ["make", "--silent", f"build-{BUILDS[folder]}"], cwd=source, env=variables, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert any(artifacts.rglob("*.tflite" if folder == "layers/model" else "*.pyc"))


# Locks


def locked(path: Path) -> dict[str, set[str]]:
    """Return the versions of each package in a lock; markers can give a package two."""
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", path.read_text(), re.MULTILINE):
        versions.setdefault(name, set()).add(version)
    return versions


def test_each_environment_has_its_lock() -> None:
    names = {path.stem for path in LOCKS if path.parent.name == "requirements"}
    assert names == set(ENVIRONMENTS)
    locks = set(re.findall(r"requirements/(\w+)", (ROOT / "requirements/lock").read_text()))
    assert "overrides" in locks
    assert all(path.with_suffix(".txt").exists() for path in LOCKS)


@pytest.mark.parametrize("source", LOCKS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_lock_pins_all_with_hashes(source: Path) -> None:
    """Each package has a version and hashes; what the source pins is locked so; no index or path stands in it."""
    text = source.with_suffix(".txt").read_text()
    entries = re.split(r"\n(?=[a-z])", text)[1:]
    assert entries
    for entry in entries:
        assert re.match(r"[\w.-]+==\S+( ; [^\\]+)? \\\n    --hash=sha256:[0-9a-f]{64}", entry), entry[:80]
    versions = locked(source.with_suffix(".txt"))
    for name, version in re.findall(r"^([\w-]+)(?:\[\w+\])?==([^;\s]+)", source.read_text(), re.MULTILINE):
        assert version in versions[name], f"{source.name} pins {name}=={version}: run `make lock`"
    assert not re.search(r"://|--(extra-)?index|--find-links|file:|/(root|home|tmp|Users)/", text)


CANDOR = sorted(set(ENVIRONMENTS) - {"edge", "lock", "sam", "scan"})


@pytest.mark.parametrize("name", CANDOR)
def test_lock_agrees_with_runtime_layer(name: str) -> None:
    """Every environment that runs Candor has the versions that are deployed."""
    deployed, versions = locked(ROOT / "layers/runtime/requirements.txt"), locked(ROOT / f"requirements/{name}.txt")
    for package in deployed.keys() & versions.keys():
        assert versions[package] <= deployed[package], package
    assert "numpy" in versions


def test_run_environment_stays_small() -> None:
    """`make run` downloads neither AWS's client nor TensorFlow nor Matplotlib."""
    versions = locked(ROOT / "requirements/serve.txt")
    assert not {"boto3", "botocore", "tensorflow", "matplotlib", "pillow", "protobuf"} & versions.keys()


# What runs leave behind


@pytest.mark.parametrize(
    "path",
    [
        ".aws-sam/build",
        ".cache/pip.log",
        ".data/aclImdb_v1.tar.gz",
        ".venv/serve",
        "build/lib",
        "candor.egg-info/PKG-INFO",
        "dashboard.png",
        "dist/candor.whl",
        "layers/serving/candor.egg-info/PKG-INFO",
        "models/tickets/model.json",
        "report/report.json",
        "report.html",
        "results/reviews/manifest.json",
        "run.log",
        "samconfig.toml",
    ],
)
def test_output_of_runs_is_ignored_by_git(path: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / ".gitignore", tmp_path)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    assert subprocess.run(["git", "check-ignore", "--quiet", path], cwd=tmp_path, check=False).returncode == 0


# tests/e2e/docker-start, on machines made of stubs

TOOLS = ("bash", "cat", "dirname", "seq", "sleep", "touch", "rm")
# An engine answers while the file `engine` is there; the image is there while `image` is.
DOCKER = """
case "$1 $2" in
  "info ") test -e "$STATE/engine" ;;
  "image inspect") test -e "$STATE/image" ;;
  "pull "*) test -e "$STATE/engine" && test ! -e "$STATE/refused" && touch "$STATE/image" ;;
  "tag "*) ;;
esac
"""
STUBS = {
    "docker": DOCKER,
    "dockerd": 'touch "$STATE/engine"',
    "setsid": '"$@"',
    "id": 'cat "$STATE/id"',
    "uname": "echo x86_64",
    "apt-get": """
case "$*" in
  *docker.io) test ! -e "$STATE/offline" || exit 100
    for name in $BRINGS; do cp "$STATE/stubs/$name" "$STATE/bin/"; done ;;
  *docker-cli) cp "$STATE/stubs/docker" "$STATE/bin/" ;;
esac
""",
}


class Machine:
    """A PATH of stubs that record their calls, and a checkout with the script."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, folder / "bin"
        self.bin.mkdir(parents=True)
        for name in (*TOOLS, "cp"):
            (self.bin / name).symlink_to(shutil.which(name) or name)
        for name, body in STUBS.items():
            record = f'#!{BASH}\nprintf "%s\\n" "{name}${{*:+ $*}}" >>"$STATE/calls"\n'
            executable(folder / "stubs" / name, record + body)
        script = folder / "a folder/candor/tests/e2e/docker-start"
        script.parent.mkdir(parents=True)
        self.script = Path(shutil.copy(ROOT / "tests/e2e/docker-start", script))
        (folder / "id").write_text("0\n")
        self.have("id", "setsid", "uname")

    def have(self, *names: str) -> None:
        """Put these programs on the PATH."""
        for name in names:
            shutil.copy(self.folder / "stubs" / name, self.bin)

    def state(self, *names: str) -> None:
        """Create these files, which the stubs look at."""
        for name in names:
            (self.folder / name).touch()

    def start(self, brings: str = "docker dockerd") -> tuple[int, str, list[str]]:
        """Run the script; return its exit status, its stderr and the calls it made, but for those that only look."""
        variables = {"PATH": str(self.bin), "STATE": str(self.folder), "TMPDIR": str(self.folder), "BRINGS": brings}
        done = subprocess.run([self.script], env=variables, capture_output=True, text=True, timeout=60, check=False)
        assert done.stdout == ""
        calls = (self.folder / "calls").read_text().splitlines() if (self.folder / "calls").exists() else []
        looks = ("docker info", "docker image inspect", "id", "uname", "setsid")
        return done.returncode, done.stderr, [call for call in calls if not call.startswith(looks)]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


IMAGE = "public.ecr.aws/lambda/python:3.13"
INSTALL = ["apt-get update", "apt-get install -y --no-install-recommends docker.io"]
PULL = [f"docker pull {IMAGE}", f"docker tag {IMAGE} {IMAGE}-x86_64"]


def test_docker_start_running_engine_is_left_alone(machine: Machine) -> None:
    """Where an engine answers and has the image, nothing is done, root or not, `dockerd` on the PATH or not."""
    machine.have("docker")
    machine.state("engine", "image")
    (machine.folder / "id").write_text("1000\n")
    assert machine.start() == (0, "", [])


def test_docker_start_running_engine_gets_the_image(machine: Machine) -> None:
    machine.have("docker")
    machine.state("engine")
    assert machine.start() == (0, "", PULL)


def test_docker_start_client_only_installs_engine(machine: Machine) -> None:
    """A Docker client alone is no engine."""
    machine.have("docker", "apt-get")
    assert machine.start() == (0, "", [*INSTALL, "dockerd", *PULL])


def test_docker_start_nothing_installs_both(machine: Machine) -> None:
    machine.have("apt-get")
    assert machine.start() == (0, "", [*INSTALL, "dockerd", *PULL])


def test_docker_start_nothing_client_apart_installs_it(machine: Machine) -> None:
    """Newer Debian releases keep the client in a package of its own."""
    machine.have("apt-get")
    client = "apt-get install -y --no-install-recommends docker-cli"
    assert machine.start(brings="dockerd") == (0, "", [*INSTALL, client, "dockerd", *PULL])


def test_docker_start_stopped_engine_is_started(machine: Machine) -> None:
    machine.have("docker", "dockerd", "apt-get")
    machine.state("image")
    assert machine.start() == (0, "", ["dockerd"])


@pytest.mark.parametrize(
    ("programs", "reason"),
    [
        (["apt-get"], "the Docker engine is not installed, and only root on Debian can install it here"),
        (["docker", "apt-get"], "the Docker engine is not installed, and only root on Debian can install it here"),
        (["docker", "dockerd"], "the Docker engine is not running, and only root can start it here"),
    ],
)
def test_docker_start_not_root_changes_nothing(machine: Machine, programs: list[str], reason: str) -> None:
    machine.have(*programs)
    (machine.folder / "id").write_text("1000\n")
    log = machine.folder / "candor-docker.log"
    assert machine.start() == (1, f"docker-start: {reason} (see {log})\n", [])


def test_docker_start_without_apt_says_so(machine: Machine) -> None:
    machine.have("docker")
    status, said, calls = machine.start()
    assert (status, calls) == (1, [])
    assert "only root on Debian can install it here" in said


def test_docker_start_failed_install_says_so(machine: Machine) -> None:
    machine.have("docker", "apt-get")
    machine.state("offline")
    status, said, calls = machine.start()
    assert (status, calls) == (1, INSTALL)
    assert "apt-get could not install docker.io" in said


def test_docker_start_pull_is_tried_three_times(machine: Machine) -> None:
    machine.have("docker")
    machine.state("engine", "refused")
    status, said, calls = machine.start()
    assert (status, calls) == (1, PULL[:1] * 3)
    assert f"{IMAGE} could not be obtained: docker pull {IMAGE} failed three times" in said
