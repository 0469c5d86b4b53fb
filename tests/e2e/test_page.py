"""The page at / in a real browser: every flow, an error, keyboard only, small screens, and an accessibility audit."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.server import Server

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
GOOD = "A wonderful film, moving and funny."
BAD = "A dull, boring mess."


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    server.greeting()
    yield server
    assert server.end()[0] == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM:
        reason = "no chromium, so the page was not tested: install it with your system's package manager"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """One visitor's page, and what its console said."""

    def __init__(
        self, browser: Browser, server: Server, width: int = 1100, scheme: str = "light", language: str = "en"
    ):
        self.address = f"http://127.0.0.1:{server.port}/"
        self.context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            locale=language,
            permissions=["clipboard-read", "clipboard-write"],
        )
        self.page: Page = self.context.new_page()
        self.console: list[str] = []
        self.page.on("console", lambda message: self.console.append(message.text))
        self.page.on("pageerror", lambda error: self.console.append(str(error)))
        self.page.goto(self.address)

    def classify(self, text: str) -> None:
        self.page.locator("#text").fill(text)
        self.page.locator("#go").click()


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Visit]:
    made = Visit(browser, server)
    yield made
    assert made.console == []
    made.context.close()


def test_a_review_gets_a_decision_bars_words_and_timing(visit: Visit) -> None:
    visit.classify(GOOD)
    expect(visit.page.locator(".verdict")).to_have_text("positive")
    expect(visit.page.locator(".bar")).to_have_count(2)
    expect(visit.page.locator("mark.for").first).to_be_visible()
    assert re.search(r"\d+ ms .* imdb-sentiment", visit.page.locator("#time").inner_text())
    width = visit.page.locator(".bar", has_text="positive").locator(".fill").evaluate("bar => bar.style.width")
    assert float(width.rstrip("%")) > 80
    visit.classify(BAD)
    expect(visit.page.locator(".verdict")).to_have_text("negative")


def test_words_are_told_apart_without_colour_and_say_their_number(visit: Visit) -> None:
    visit.classify("Wonderful acting, but a boring plot.")
    good, bad = (visit.page.locator("mark", has_text=word).first for word in ("Wonderful", "boring"))
    styles = {node.evaluate("node => getComputedStyle(node).borderBottomStyle") for node in (good, bad)}
    assert styles == {"solid", "dashed"}
    for node in (good, bad):
        assert re.fullmatch(r"[+−]\d+\.\d\d \((for|against)\)", node.get_attribute("title") or "")
        assert node.get_attribute("tabindex") == "0"
    shown = visit.page.locator("#results .words").evaluate(
        "node => { node.querySelectorAll('.sr').forEach(s => s.remove()); return node.textContent }"
    )
    assert shown == "Wonderful acting, but a boring plot."


def test_sentences_are_ranked_and_what_would_change_the_answer_is_said(visit: Visit) -> None:
    visit.classify("The weather was mild. A wonderful, moving, excellent film. I had tea.")
    expect(visit.page.locator("ol li").first).to_contain_text("excellent")


def test_the_words_that_decide_are_named_and_without_them_the_answer_is_another(visit: Visit) -> None:
    text = "The acting is wonderful but the plot is boring and the end is weak."
    visit.classify(text)
    expect(visit.page.locator(".verdict")).to_have_text("negative")
    visit.page.get_by_role("button", name="What would change the answer?").click()
    said = visit.page.locator("[role=status]", has_text="other label")
    expect(said).to_be_visible()
    words = re.findall(r"“(\w+)”", said.inner_text())
    assert "boring" in words
    visit.classify(" ".join(word for word in text.rstrip(".").split() if word not in words))
    expect(visit.page.locator(".verdict, .item .soft").first).not_to_have_text("negative")
    assert "negative" not in visit.page.locator(".item").inner_text().split("%")[0]


def test_what_is_masked_is_shown_so_while_one_types_and_in_the_answer(visit: Visit) -> None:
    masked = visit.page.locator("#masked")
    expect(masked).to_be_hidden()
    visit.page.locator("#text").fill("A wonderful film 🎬. Write to jane@example.com, said Jane.")
    expect(masked.locator(".pii")).to_have_text("[EMAIL]")
    expect(masked.locator(".words")).to_have_text("A wonderful film 🎬. Write to [EMAIL], said Jane.")
    assert masked.locator(".pii").get_attribute("title") == "Masked: an e-mail address"
    visit.page.locator("#go").click()
    answer = visit.page.locator("#results")
    expect(answer.locator(".words .pii")).to_have_text("[EMAIL]")
    expect(answer).to_contain_text("Write to [EMAIL]")
    assert "jane@" not in answer.inner_text()
    visit.page.locator("#text").fill("A wonderful film.")
    expect(masked).to_be_hidden()


def test_without_the_answer_of_what_is_masked_a_review_is_shown_as_it_is(visit: Visit) -> None:
    visit.page.locator("#redact").uncheck()
    visit.page.locator("#explain").uncheck()
    visit.classify("A wonderful film. Write to jane@example.com.")
    expect(visit.page.locator("#results .words")).to_have_text("A wonderful film. Write to jane@example.com.")
    expect(visit.page.locator(".pii")).to_have_count(0)


def test_several_reviews_are_classified_at_once_one_a_line(visit: Visit) -> None:
    visit.page.locator("#several").check()
    visit.classify(f"{GOOD}\n\n{BAD}\n?!")
    expect(visit.page.locator(".verdict")).to_have_text(["positive", "negative", "uncertain"])
    expect(visit.page.locator(".item h3").first).to_have_text("Review 1")


def test_each_sample_is_classified_by_one_click(visit: Visit) -> None:
    found = []
    for place in range(3):
        with visit.page.expect_response("**/v1/predict"):
            visit.page.locator("#samples button").nth(place).click()
        expect(visit.page.locator("#go")).to_be_enabled()
        found.append(visit.page.locator(".verdict").inner_text())
    assert found[:2] == ["positive", "negative"]


def test_asking_for_more_certainty_leaves_a_review_undecided(visit: Visit) -> None:
    visit.classify("The first half is fine, the second is not.")
    expect(visit.page.locator(".verdict")).to_have_text("uncertain")
    visit.page.locator("#least").fill("0.5")
    expect(visit.page.locator(".verdict")).to_have_text("negative")


def test_the_call_is_shown_in_three_languages_and_copied(visit: Visit) -> None:
    visit.page.locator("#text").fill('It\'s "good"')
    for name, word in (("curl", "curl http"), ("Python", "urllib.request"), ("JavaScript", "await fetch")):
        visit.page.get_by_role("tab", name=name).click()
        expect(visit.page.locator("#source")).to_contain_text(word)
        visit.page.locator("#copy").click()
        expect(visit.page.locator("#copied")).to_have_text("Copied.")
        copied = visit.page.evaluate("navigator.clipboard.readText()")
        assert copied == visit.page.locator("#source").text_content()


def test_the_model_card_is_readable(visit: Visit) -> None:
    visit.page.locator("#card summary").click()
    expect(visit.page.locator("#cardText table").first).to_contain_text("accuracy")
    expect(visit.page.locator("#cardText")).to_contain_text("Maas")
    assert "$" not in visit.page.locator("#cardText").inner_text()


def test_it_speaks_the_browsers_language_and_the_visitors(browser: Browser, server: Server) -> None:
    made = Visit(browser, server, language="zh-CN")
    expect(made.page.locator("#go")).to_have_text("分类")
    assert made.page.locator("html").get_attribute("lang") == "zh"
    made.classify("这部电影非常好看，我很喜欢")
    expect(made.page.locator(".verdict")).to_have_text("不确定")
    made.page.get_by_role("button", name="English").click()
    expect(made.page.locator(".verdict")).to_have_text("uncertain")
    assert made.page.locator("html").get_attribute("lang") == "en"
    assert made.console == []
    made.context.close()


def test_an_error_is_a_sentence_and_the_next_answer_replaces_it(browser: Browser, server: Server) -> None:
    made = Visit(browser, server)
    made.classify("")
    expect(made.page.locator(".note")).to_contain_text("Write a review first")
    made.classify("a" * 20_001)
    expect(made.page.locator(".note")).to_contain_text("20,001 bytes")
    made.classify(GOOD)
    expect(made.page.locator(".verdict")).to_have_text("positive")
    assert [line for line in made.console if "413" not in line] == []
    made.context.set_offline(True)
    made.classify(GOOD)
    expect(made.page.locator(".note")).to_contain_text("No answer came")
    made.context.close()


def test_a_key_is_asked_for_where_the_api_wants_one(browser: Browser) -> None:
    keyed = Server(API_KEYS="sesame")
    keyed.greeting()
    made = Visit(browser, keyed)
    made.classify(GOOD)
    expect(made.page.locator("#key")).to_be_focused()
    made.page.locator("#key").fill("sesame")
    made.page.locator("#go").click()
    expect(made.page.locator(".verdict")).to_have_text("positive")
    made.context.close()
    assert keyed.end()[0] == 0


def test_markup_in_a_review_stays_text(visit: Visit) -> None:
    visit.classify('<img src=x onerror="alert(1)"> <b>wonderful</b> film')
    expect(visit.page.locator("#results .words")).to_contain_text("<b>")
    assert visit.page.locator("#results img, #results b").count() == 0


def test_everything_can_be_done_by_keyboard(visit: Visit) -> None:
    visit.page.locator("#text").focus()
    visit.page.keyboard.type(GOOD)
    visit.page.keyboard.press("Control+Enter")
    expect(visit.page.locator(".verdict")).to_have_text("positive")
    seen = []
    for _ in range(40):
        visit.page.keyboard.press("Tab")
        seen.append(visit.page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert {"several", "explain", "redact", "least", "go", "copy", "MARK", "SUMMARY"} <= set(seen)
    visit.page.locator("#tab-curl").focus()
    visit.page.keyboard.press("ArrowRight")
    expect(visit.page.get_by_role("tab", name="Python")).to_be_focused()
    expect(visit.page.locator("#source")).to_contain_text("urllib")


@pytest.mark.parametrize("width", [320, 390, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_it_fits_every_screen_and_passes_the_accessibility_audit(
    browser: Browser, server: Server, width: int, scheme: str, language: str
) -> None:
    made = Visit(browser, server, width, scheme, language)
    made.classify("Wonderful acting, but a boring plot. Ask 13800138000 or jane@example.com. " + "x" * 200)
    expect(made.page.locator("#masked .pii")).to_have_count(2)
    expect(made.page.locator(".verdict")).to_be_visible()
    made.page.locator("#card summary").click()
    expect(made.page.locator("#cardText table").first).to_be_visible()
    assert made.page.evaluate("document.documentElement.scrollWidth") <= width
    violations = Axe().run(made.page)["violations"]
    assert [(found["id"], [node["html"] for node in found["nodes"]]) for found in violations] == []
    assert made.console == []
    made.context.close()


def test_the_page_is_small_and_stands_alone() -> None:
    page = (ROOT / "functions/api/page.html").read_text()
    assert len(page.encode()) <= 60_000
    assert re.findall(r"https?://", page) == []
