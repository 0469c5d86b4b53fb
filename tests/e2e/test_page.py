"""The page at / in a real browser: every flow, errors, the keyboard alone, small screens and an accessibility audit."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.server import Server
from tests.trained import FIVE

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
GOOD = "A wonderful film, moving and funny."
BAD = "A dull, boring mess."


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
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
        try:
            yield browser
        finally:
            browser.close()


class Visit(AbstractContextManager["Visit"]):
    """A visitor's page and the messages of its console. The browser's context is closed with the block."""

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

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def classify(self, text: str) -> None:
        """Type a text and send it."""
        self.page.locator("#text").fill(text)
        self.page.locator("#go").click()


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Visit]:
    with Visit(browser, server) as visit:
        yield visit
        assert visit.console == []


def test_page_shows_decision_bars_words_and_time(visit: Visit) -> None:
    visit.classify(GOOD)
    expect(visit.page.locator(".verdict")).to_have_text("positive")
    expect(visit.page.locator(".bar")).to_have_count(2)
    expect(visit.page.locator("mark.for").first).to_be_visible()
    assert re.search(r"\d+ ms .* reviews", visit.page.locator("#time").inner_text())
    width = visit.page.locator(".bar", has_text="positive").locator(".fill").evaluate("bar => bar.style.width")
    assert float(width.rstrip("%")) > 80
    visit.classify(BAD)
    expect(visit.page.locator(".verdict")).to_have_text("negative")


def test_page_words_differ_without_colour(visit: Visit) -> None:
    """Words for and against the label differ by their underline, and say their value."""
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


def test_page_ranks_sentences(visit: Visit) -> None:
    visit.classify("The weather was mild. A wonderful, moving, excellent film. I had tea.")
    expect(visit.page.locator("ol li").first).to_contain_text("excellent")


def test_page_names_words_that_flip_the_answer(visit: Visit) -> None:
    text = "The lead is good, but a boring plot and an awful end spoil it."  # no word twice
    visit.classify(text)
    expect(visit.page.locator(".verdict")).to_have_text("negative")
    visit.page.get_by_role("button", name="What would change the answer?").click()
    flip = visit.page.locator("[role=status]", has_text="other label")
    expect(flip).to_be_visible()
    words = re.findall(r"“([^”]+)”", flip.inner_text())
    assert "boring" in words
    visit.classify(" ".join(word for word in re.findall(r"\w+|[,.]", text) if word not in words))
    expect(visit.page.locator(".verdict, .item .soft").first).not_to_have_text("negative")
    assert "negative" not in visit.page.locator(".item").inner_text().split("%")[0]


def test_page_masks_while_typing_and_in_the_answer(visit: Visit) -> None:
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


def test_page_without_redact_shows_the_review(visit: Visit) -> None:
    visit.page.locator("#redact").uncheck()
    visit.page.locator("#explain").uncheck()
    visit.classify("A wonderful film. Write to jane@example.com.")
    expect(visit.page.locator("#results .words")).to_have_text("A wonderful film. Write to jane@example.com.")
    expect(visit.page.locator(".pii")).to_have_count(0)


def test_page_classifies_one_review_per_line(visit: Visit) -> None:
    visit.page.locator("#several").check()
    visit.classify(f"{GOOD}\n\n{BAD}\n?!")
    expect(visit.page.locator(".verdict")).to_have_text(["positive", "negative", "uncertain"])
    expect(visit.page.locator(".item h3").first).to_have_text("Review 1")


def test_page_sample_is_classified_by_one_click(visit: Visit) -> None:
    decisions = []
    for index in range(3):
        with visit.page.expect_response("**/v1/predict"):
            visit.page.locator("#samples button").nth(index).click()
        expect(visit.page.locator("#go")).to_be_enabled()
        decisions.append(visit.page.locator(".verdict").inner_text())
    assert decisions[:2] == ["positive", "negative"]


def test_page_min_confidence_changes_the_decision(visit: Visit) -> None:
    visit.classify("The first half is fine, the second is not.")
    expect(visit.page.locator(".verdict")).to_have_text("uncertain")
    visit.page.locator("#least").fill("0.5")
    expect(visit.page.locator(".verdict")).to_have_text("negative")


def test_page_code_in_three_languages_is_copied(visit: Visit) -> None:
    visit.page.locator("#text").fill('It\'s "good"')
    for name, word in (("curl", "curl http"), ("Python", "urllib.request"), ("JavaScript", "await fetch")):
        visit.page.get_by_role("tab", name=name).click()
        expect(visit.page.locator("#source")).to_contain_text(word)
        visit.page.locator("#copy").click()
        expect(visit.page.locator("#copied")).to_have_text("Copied.")
        copied = visit.page.evaluate("navigator.clipboard.readText()")
        assert copied == visit.page.locator("#source").text_content()


def test_page_model_card_is_readable(visit: Visit) -> None:
    visit.page.locator("#card summary").click()
    expect(visit.page.locator("#cardText table", has_text="accuracy").first).to_be_visible()
    expect(visit.page.locator("#cardText")).to_contain_text("600 labelled")
    assert "$" not in visit.page.locator("#cardText").inner_text()


def test_page_language_follows_browser_and_button(browser: Browser, server: Server) -> None:
    with Visit(browser, server, language="zh-CN") as visit:
        expect(visit.page.locator("#go")).to_have_text("分类")
        assert visit.page.locator("html").get_attribute("lang") == "zh"
        visit.classify("这部电影非常好看，我很喜欢")
        expect(visit.page.locator(".verdict")).to_have_text("不确定")
        visit.page.get_by_role("button", name="English").click()
        expect(visit.page.locator(".verdict")).to_have_text("uncertain")
        assert visit.page.locator("html").get_attribute("lang") == "en"
        assert visit.console == []


def test_page_of_five_labels_has_a_bar_each(browser: Browser) -> None:
    with Server(BUNDLE_PATH=str(FIVE)) as tickets:
        tickets.greeting()
        with Visit(browser, tickets) as visit:
            for topic, label in (("an invoice", "billing"), ("your opening hours", "其他")):
                visit.classify(f"Hello, this is about {topic}. Please help.")
                expect(visit.page.locator(".verdict")).to_have_text(label)
                expect(visit.page.locator(".bar")).to_have_count(5)
                expect(visit.page.locator("mark.for").first).to_be_visible()
            assert visit.console == []
        assert tickets.end()[0] == 0


def test_page_error_is_replaced_by_the_next_answer(browser: Browser, server: Server) -> None:
    with Visit(browser, server) as visit:
        visit.classify("")
        expect(visit.page.locator(".note")).to_contain_text("Write a review first")
        visit.classify("a" * 20_001)
        expect(visit.page.locator(".note")).to_contain_text("20,001 bytes")
        visit.classify(GOOD)
        expect(visit.page.locator(".verdict")).to_have_text("positive")
        assert [line for line in visit.console if "413" not in line] == []
        visit.context.set_offline(True)
        visit.classify(GOOD)
        expect(visit.page.locator(".note")).to_contain_text("No answer. Check that the server is running")


def test_page_asks_for_a_required_key(browser: Browser) -> None:
    with Server(API_KEYS="sesame") as keyed:
        keyed.greeting()
        with Visit(browser, keyed) as visit:
            visit.classify(GOOD)
            expect(visit.page.locator("#key")).to_be_focused()
            visit.page.locator("#key").fill("sesame")
            visit.page.locator("#go").click()
            expect(visit.page.locator(".verdict")).to_have_text("positive")
        assert keyed.end()[0] == 0


def test_page_markup_in_a_review_stays_text(visit: Visit) -> None:
    visit.classify('<img src=x onerror="alert(1)"> <b>wonderful</b> film')
    expect(visit.page.locator("#results .words")).to_contain_text("<b>")
    assert visit.page.locator("#results img, #results b").count() == 0


def test_page_works_by_keyboard(visit: Visit) -> None:
    visit.page.locator("#text").focus()
    visit.page.keyboard.type(GOOD)
    visit.page.keyboard.press("Control+Enter")
    expect(visit.page.locator(".verdict")).to_have_text("positive")
    focused = []
    for _ in range(40):
        visit.page.keyboard.press("Tab")
        focused.append(visit.page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert {"several", "explain", "redact", "least", "go", "copy", "MARK", "SUMMARY"} <= set(focused)
    visit.page.locator("#tab-curl").focus()
    visit.page.keyboard.press("ArrowRight")
    expect(visit.page.get_by_role("tab", name="Python")).to_be_focused()
    expect(visit.page.locator("#source")).to_contain_text("urllib")


@pytest.mark.parametrize("width", [320, 390, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_page_fits_screens_and_passes_audit(
    browser: Browser, server: Server, width: int, scheme: str, language: str
) -> None:
    """The page fits small and large screens, and passes the accessibility audit."""
    with Visit(browser, server, width, scheme, language) as visit:
        visit.classify("Wonderful acting, but a boring plot. Ask 13800138000 or jane@example.com. " + "x" * 200)
        expect(visit.page.locator("#masked .pii")).to_have_count(2)
        expect(visit.page.locator(".verdict")).to_be_visible()
        visit.page.locator("#card summary").click()
        expect(visit.page.locator("#cardText table").first).to_be_visible()
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        violations = Axe().run(visit.page)["violations"]
        assert [(violation["id"], [node["html"] for node in violation["nodes"]]) for violation in violations] == []
        assert visit.console == []


def test_page_is_small_and_self_contained() -> None:
    page = (ROOT / "functions/api/page.html").read_text()
    assert len(page.encode()) <= 60_000
    assert re.findall(r"https?://", page) == []
