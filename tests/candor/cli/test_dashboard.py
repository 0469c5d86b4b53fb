"""`candor dashboard` as a user runs it: a server's log becomes a picture of the deployed dashboard's panels."""

import json
import urllib.request

import pytest
from PIL import Image

from candor.cli import dashboard
from candor.cli.main import main
from tests.server import Server

TEXTS = ["A wonderful film.", "A dull, boring mess.", "Mail jane@example.com or call 13800138000."]


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "run.log"
    with Server("--port", "0", "--log", str(path)) as server:
        server.greeting()
        for text in TEXTS * 2:
            body = json.dumps({"text": text, "redact": True}).encode()
            request = urllib.request.Request(
                f"http://127.0.0.1:{server.port}/v1/predict", body, {"Content-Type": "application/json"}
            )
            urllib.request.urlopen(request).close()
        assert server.end()[0] == 0
    return path


def test_log_holds_all_figures_and_no_text(log):
    found = dashboard.metrics(log.read_text().splitlines())
    total = {name[1]: sum(sum(values) for _, values in points) for name, points in found.items()}
    assert (total["Predictions"], total["Redactions"], total["ColdStarts"]) == (6, 4, 1)
    assert {name[0] for name in found} == {"Candor"}
    assert "jane" not in log.read_text()


def test_dashboard_draws_every_deployed_panel(log, tmp_path, capsys):
    assert main(["dashboard", str(log), str(tmp_path / "d.png")]) == 0
    assert "wrote " in capsys.readouterr().out
    with Image.open(tmp_path / "d.png") as picture:
        assert picture.width > 1000
    figure = dashboard.draw(dashboard.widgets("candor"), dashboard.metrics(log.read_text().splitlines()))
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]
    assert titles == [widget["properties"]["title"] for widget in dashboard.widgets("candor")]
    assert len(titles) == 9
    legend = {text.get_text() for axes in figure.axes if axes.get_legend() for text in axes.get_legend().get_texts()}
    assert "Predictions Sum" in legend
    assert "RowsFailed Sum (none)" in legend


def decided(labels):
    """Return log lines of metrics: the first label is decided once, the second twice, and so on."""
    for number, label in enumerate(labels, 1):
        name = f"Decided.{label}"
        directive = {"Namespace": "Candor", "Dimensions": [["service"]], "Metrics": [{"Name": name}]}
        aws = {"Timestamp": 60_000.0 * number, "CloudWatchMetrics": [directive]}
        yield json.dumps({name: [float(number)], "service": "candor", "_aws": aws})


@pytest.mark.parametrize(
    "labels", [["no", "yes"], ["退款", "物流 $1 配送 $2", "其他"], [f"queue {n}" for n in range(77)]]
)
def test_dashboard_decisions_follow_the_labels(labels, recwarn):
    """The panel of decisions shows whatever labels there are, the ten most frequent of many."""
    figure = dashboard.draw(dashboard.widgets("candor"), dashboard.metrics(decided(labels)))
    (panel,) = (axes for axes in figure.axes if axes.get_title(loc="left").startswith("Decisions"))
    shown = [text.get_text() for text in panel.get_legend().get_texts()]
    assert shown == [f"Decided.{label} Sum" for label in labels[::-1][:10]]
    styles = [(line.get_color(), line.get_linestyle()) for line in panel.get_legend().get_lines()]
    assert len(set(styles)) == len(styles)
    assert not any(text.get_parse_math() for text in panel.get_legend().get_texts())


@pytest.mark.parametrize(
    ("stat", "expected"), [("Sum", [6.0, 4.0]), ("Average", [2.0, 4.0]), ("p50", [2.0, 4.0]), ("p100", [3.0, 4.0])]
)
def test_series_aggregates_by_period(stat, expected):
    points = [(0.0, [1.0, 2.0]), (59.9, [3.0]), (60.0, [4.0])]
    assert dashboard.series(points, stat, 60) == ([0.0, 60.0], expected)


@pytest.mark.parametrize("content", ["", "no metrics\n{}\n"])
def test_dashboard_log_without_metrics_exits_2(content, tmp_path, capsys):
    (tmp_path / "run.log").write_text(content)
    assert main(["dashboard", str(tmp_path / "run.log"), str(tmp_path / "d.png")]) == 2
    assert "make run LOG=run.log" in capsys.readouterr().err
    assert not (tmp_path / "d.png").exists()
    assert main(["dashboard", str(tmp_path / "none.log")]) == 2
    assert "does not exist" in capsys.readouterr().err
