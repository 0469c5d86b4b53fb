"""The page at / in a real browser: every flow, errors, the keyboard alone, small screens and an accessibility audit."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from api.problems import CODES
from candor.model import bundle
from candor.model.bundle import Bundle
from candor.text.evidence import WARNINGS
from candor.text.identity import forms
from tests import bundles
from tests.server import Server
from tests.trained import FIVE, TWO
from training.bundle_files import escaped

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
GOOD = "A wonderful film, moving and funny."
BAD = "A dull, boring mess."
MIXED = "It is not good, but it was a very moving film."
SAMPLES = [GOOD, BAD, MIXED]
CARD = "# made-up 1\n\n| label | n-grams |\n|---|---|\n"
CHINESE = ["退款与账单", "物流配送", "账户登录", "产品质量投诉（含退换货及维修申请等全部情形）", "其他"]
MANY = [f"queue_{number:02}_of_the_help_desk" for number in range(77)]
EVIL = ["<img src=x onerror=\"document.title='owned'\">", "\u202eright to left", "a|b\\", "</script>", "مشكلة الفاتورة"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The shipped model, with a noun and samples of its own."""
    folder = tmp_path_factory.mktemp("bundle")
    shipped = Bundle.open(TWO)
    described = shipped.model | {"text_noun": "review", "samples": SAMPLES}
    bundle.write(folder, shipped.files | {"model.json": bundle.canonical(described)})
    with Server("--port", "0", "--model", str(folder)) as server:
        server.greeting()
        yield server
        assert server.end()[0] == 0


@contextmanager
def serving(folder: Path, labels: Sequence[str], **described: Any) -> Iterator[Server]:
    """Serve a made-up model with these labels."""
    rows = "".join(f"| {escaped(label)} | good, bad |\n" for label in labels)
    folder.mkdir(exist_ok=True)
    files = bundles.files(labels=labels, scripts=["LATIN", "CJK"], **described)
    bundle.write(folder, {**files, "card.md": (CARD + rows).encode()})
    with Server("--port", "0", "--model", str(folder)) as server:
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


@pytest.mark.parametrize("ending", ["", "/", "?a=1"])
def test_page_under_a_stage_finds_its_api(ending: str, visit: Visit) -> None:
    """A deployed page has the stage in its address, and works with and without a slash behind it."""
    root = visit.address.rstrip("/")

    def without_stage(route: Route) -> None:
        path = route.request.url.removeprefix(f"{root}/live")
        route.fulfill(response=route.fetch(url=root + (path if path.startswith("/") else "/")))

    visit.page.route(f"{root}/live**", without_stage)
    visit.page.route(f"{root}/live/**", without_stage)
    visit.page.route(f"{root}/v1/**", lambda route: route.abort())
    visit.page.goto(f"{root}/live{ending}")
    visit.classify("A wonderful film.")
    expect(visit.page.locator(".verdict")).to_have_text("positive")


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
    flip = visit.page.locator("[role=status]", has_text="Without these words the answer is “positive”: ")
    expect(flip).to_be_visible()
    words = re.findall(r"“([^”]+)”", flip.inner_text().partition(": ")[2])
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


def test_page_calls_a_document_what_it_shows(visit: Visit) -> None:
    """No JSON pointer is shown: a problem names the review by the number above it, or the box."""
    visit.page.locator("#several").check()
    visit.classify(f"{GOOD}\n\n{BAD}\n{'a' * 20_001}")
    expect(visit.page.locator(".item").nth(2).locator("h3")).to_have_text("Review 3")
    note = visit.page.locator(".note")
    too_long = "Review 3 has 20,001 bytes of UTF-8; at most 20,000 are allowed. Split it, or send a part."
    expect(note).to_have_text(too_long)
    visit.page.get_by_role("button", name="中文").click()
    expect(note).to_have_text("评论 3：太长，有 20,001 字节，最多 20,000 字节。请拆分，或只发送一部分。")
    visit.classify("\n".join([GOOD] * 11))
    expect(note).to_have_text("条数太多：11 条，最多 10 条。请分几次发送，或不要勾选“说明每个词的作用”。")
    visit.page.get_by_role("button", name="English").click()
    expect(note).to_have_text(re.compile("leave out “Show each word's effect”"))
    assert not re.search(r"/(documents|text|explain)", note.inner_text())
    visit.console.clear()  # the browser's own line on status 413


def test_page_sample_is_classified_by_one_click(visit: Visit) -> None:
    decisions = []
    for index in range(3):
        with visit.page.expect_response("**/v1/predict"):
            visit.page.locator("#samples button").nth(index).click()
        expect(visit.page.locator("#go")).to_be_enabled()
        decisions.append(visit.page.locator(".verdict").inner_text())
    assert decisions[:2] == ["positive", "negative"]
    assert visit.page.locator("#samples button").count() == len(SAMPLES)


def test_page_words_are_the_model_s(visit: Visit) -> None:
    """The page calls a text what the model calls it, and names the model and its labels."""
    expect(visit.page.locator("label[for=text]")).to_have_text("Review")
    expect(visit.page.locator("#text")).to_have_attribute("placeholder", "Write or paste your review here")
    about = "Model reviews sorts each review into one of 2 labels: negative, positive"
    expect(visit.page.locator("#about")).to_have_text(about)
    expect(visit.page).to_have_title("reviews – Candor")


def test_page_of_a_bare_model_is_neutral(browser: Browser, tmp_path: Path) -> None:
    """A model that gives neither a noun nor samples is shown without films."""
    with serving(tmp_path, ["no", "yes"]) as plain, Visit(browser, plain) as visit:
        expect(visit.page.locator("#about")).to_contain_text("sorts each text into one of 2 labels: no, yes")
        expect(visit.page.locator("label[for=text]")).to_have_text("Text")
        expect(visit.page.locator("#samples")).to_be_hidden()
        words = visit.page.locator("body").inner_text() + str(visit.page.locator("#text").get_attribute("placeholder"))
        assert not re.search(r"\b(film|movie|review)", words, re.IGNORECASE)
        assert visit.console == []


@pytest.mark.parametrize("labels", [CHINESE, MANY], ids=["chinese", "many"])
@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (1100, "dark")])
def test_page_fits_any_labels(browser: Browser, tmp_path: Path, labels: list[str], width: int, scheme: str) -> None:
    """Five labels are shown and the others folded; all fit the screen, have colours, and pass the audit."""
    with serving(tmp_path, labels, text_noun="工单") as server, Visit(browser, server, width, scheme) as visit:
        visit.classify(MIXED)
        expect(visit.page.locator(".bar")).to_have_count(5)
        shares = [float(text.split()[0]) for text in visit.page.locator(".bar > :last-child").all_inner_texts()]
        assert shares == sorted(shares, reverse=True)
        classes = {node.get_attribute("class") for node in visit.page.locator(".bar").all()}
        assert classes <= {f"bar c{number}" for number in range(8)}
        colours = [f.evaluate("f => getComputedStyle(f).backgroundColor") for f in visit.page.locator(".fill").all()]
        assert len(set(colours)) == len(classes) > 1
        for more in visit.page.locator("#about summary, #results summary").all():
            expect(more).to_have_text(f"and {len(labels) - 5} more")
            more.click()
        expect(visit.page.locator(".bar")).to_have_count(len(labels))
        assert set(visit.page.locator(".bar > bdi").all_text_contents()) == set(labels)
        for label in labels:
            expect(visit.page.locator("#about")).to_contain_text(label)
        visit.page.locator("#card summary").first.click()
        expect(visit.page.locator("#cardText")).to_contain_text(labels[0])
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        assert Axe().run(visit.page)["violations"] == []
        assert visit.console == []


def test_page_explains_another_label(browser: Browser, tmp_path: Path) -> None:
    """The choice has every label; what would change the answer is asked of the answer only."""
    with serving(tmp_path, MANY) as server, Visit(browser, server) as visit:
        visit.classify(MIXED)
        choice, flip = visit.page.locator("#results select"), visit.page.get_by_role("button", name="What would change")
        expect(choice).to_be_visible()
        assert choice.locator("option").all_text_contents() == MANY
        answer = choice.input_value()
        expect(flip).to_be_visible()
        other = next(label for label in MANY if label != answer)
        choice.select_option(other)
        expect(visit.page.locator("#results .hint").first).to_contain_text(f"support “{other}”")
        expect(flip).to_have_count(0)
        choice.select_option(answer)
        expect(visit.page.locator("#results .hint").first).to_contain_text(f"support “{answer}”")
        expect(flip).to_be_visible()
        assert visit.console == []


GROUPS = json.loads((ROOT / "training/identity/terms.json").read_text(encoding="utf-8"))
FAIR = "She said it was a WONDERFUL film, and she meant it; the French man 😀 agreed. 女"


@pytest.fixture(scope="module")
def fair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The shipped model, which does not tell the terms of our groups apart."""
    folder = tmp_path_factory.mktemp("fair")
    audit = {"way": "one-feature", "groups": {name: len(terms) for name, terms in GROUPS.items()}}
    more = {"identity.json": bundle.canonical({"groups": GROUPS}), "fairness.json": bundle.canonical(audit)}
    bundle.write(folder, Bundle.open(TWO).files | more)
    with Server("--port", "0", "--model", str(folder)) as server:
        server.greeting()
        yield server
        assert server.end()[0] == 0


def test_page_swaps_a_word_of_a_group(browser: Browser, fair: Server) -> None:
    """Every place of the word changes, in its case; nothing else does; the answers stand side by side."""
    with Visit(browser, fair) as visit:
        visit.classify(FAIR)
        panel = visit.page.locator("#results details.swap")
        panel.locator("summary").click()
        word, other = panel.get_by_label("Word in the review"), panel.get_by_label("Word in its place")
        expect(word.locator("option")).to_have_text(
            ["She × 2 (gender)", "French (nationality)", "man (gender)", "女 (gender)"]
        )
        assert "she" not in other.locator("option").all_text_contents()
        other.select_option("he")
        with visit.page.expect_request("**/v1/predict") as sent:
            panel.get_by_role("button", name="Swap").click()
        assert sent.value.post_data_json["text"] == FAIR.replace("She", "He").replace("she", "he")
        expect(panel.locator("tr")).to_have_count(3)
        before, after = (row.locator("td").all_text_contents() for row in panel.locator("tr").all()[1:])
        assert (before[0], after[0], before[1:]) == ("She", "He", after[1:])
        expect(panel.locator("[role=status] p")).to_have_text("Nothing changed: the model reads both words as one.")
        word.select_option("女")
        assert {"男", "她"} < set(other.locator("option").all_text_contents())
        assert "he" not in other.locator("option").all_text_contents()
        word.select_option("french")
        other.select_option("welsh")
        with visit.page.expect_request("**/v1/predict") as sent:
            panel.get_by_role("button", name="Swap").click()
        assert sent.value.post_data_json["text"] == FAIR.replace("French", "Welsh")
        assert visit.console == []


def test_page_swap_tells_what_moved(browser: Browser, fair: Server) -> None:
    """A model that tells the words apart shows: here an answer is changed on its way."""
    with Visit(browser, fair) as visit:
        visit.classify(FAIR)
        panel = visit.page.locator("#results details.swap")
        panel.locator("summary").click()
        go, said = panel.get_by_role("button", name="Swap"), panel.locator("[role=status] p")
        moved: list[dict[str, Any]] = [{"label": "negative", "decision": "negative"}, {}]
        for change, words in zip(
            moved, ("The answer changed.", "The probability moved by 0.01 %, the answer stayed."), strict=True
        ):

            def answer(route: Route) -> None:
                body = route.fetch().json()
                body["probabilities"]["positive"] -= 0.0001
                route.fulfill(json=body | change)  # noqa: B023 - called in this turn

            visit.page.route("**/v1/predict", answer)
            go.click()
            expect(said).to_have_text(words)
            visit.page.unroute("**/v1/predict")
        visit.page.route("**/v1/predict", lambda route: route.abort())
        go.click()
        expect(panel.locator(".note")).to_have_text(re.compile("No answer"))
        visit.console.clear()  # the browser's own line on the failure


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (390, "dark"), (1100, "dark")])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_page_swap_fits_and_takes_keys(
    browser: Browser, fair: Server, width: int, scheme: str, language: str, tmp_path: Path
) -> None:
    """The panel opens, chooses and swaps by keys alone, in the page's language, and passes the audit."""
    with Visit(browser, fair, width, scheme, language) as visit:
        visit.classify(FAIR)
        panel = visit.page.locator("#results details.swap")
        panel.locator("summary").focus()
        visit.page.keyboard.press("Enter")
        expect(panel.locator("select").first).to_be_visible()
        for key in ("Tab", "ArrowDown", "Tab", "ArrowDown", "Tab", "Enter"):
            visit.page.keyboard.press(key)
        expect(panel.locator("td").nth(3)).not_to_be_empty()
        assert panel.locator("td").first.inner_text() == "French"
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        assert Axe().run(visit.page)["violations"] == []
        lines = panel.locator("td").evaluate_all("all => all.map(td => td.getClientRects()[0].height)")
        assert len({*lines}) == 1, "a short word is broken"
        assert panel.locator("table").evaluate("table => table.scrollWidth <= table.parentNode.clientWidth")
        panel.screenshot(path=tmp_path / "panel.png")
        own = ", ".join(panel.locator("summary, p, button, th").all_text_contents()).replace("positive", "")
        own += panel.locator("label").first.evaluate("node => node.firstChild.data")
        assert bool(re.search("[A-Za-z]", own)) == (language == "en")
        groups = re.findall(r"[(（](.*)[)）]", panel.locator("select").first.inner_text())
        assert groups[1] == {"en": "nationality", "zh": "国籍"}[language]
        assert visit.console == []


def test_page_swap_skips_what_is_masked(browser: Browser, fair: Server) -> None:
    """No word of personal data is offered, and a text without terms says which groups there are."""
    with Visit(browser, fair) as visit:
        visit.classify("😀 Write to she@example.com, French friends.")
        panel = visit.page.locator("#results details.swap")
        panel.locator("summary").click()
        expect(panel.locator("select").first.locator("option")).to_have_text(["French (nationality)"])
        with visit.page.expect_request("**/v1/predict") as sent:
            panel.get_by_role("button", name="Swap").click()
        assert sent.value.post_data_json["text"].startswith("😀 Write to she@example.com, A")
        visit.classify(BAD)
        panel.locator("summary").click()
        expect(panel.locator(".hint")).to_contain_text(
            "The review has no word of these groups: age, disability, gender"
        )


def test_page_swap_is_there_with_terms_only(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, ["no", "yes"]) as plain, Visit(browser, plain) as visit:
        visit.classify(FAIR)
        expect(visit.page.locator("#results .verdict")).to_be_visible()
        expect(visit.page.locator("details.swap")).to_have_count(0)


def test_page_forms_are_those_of_the_model(visit: Visit) -> None:
    terms = [*(term for terms in GROUPS.values() for term in terms), "y", "boy", "box", "gypsy"]
    assert visit.page.evaluate("terms => terms.map(forms)", terms) == [forms([term]) for term in terms]


def test_page_markup_of_the_bundle_stays_text(browser: Browser, tmp_path: Path) -> None:
    """Labels, noun, samples and name of a bundle are shown as characters, in their own direction."""
    evil = {"name": "<b>name</b>", "text_noun": "<i>noun</i>", "samples": [f"{EVIL[0]} \u202e good"]}
    with serving(tmp_path, EVIL, **evil) as server, Visit(browser, server) as visit:
        visit.page.locator("#samples button").click()
        expect(visit.page.locator(".bar")).to_have_count(5)
        visit.page.locator("#card summary").first.click()
        expect(visit.page.locator("#cardText td").first).to_have_text(EVIL[0])
        expect(visit.page.locator("#cardText tr").nth(3)).to_contain_text(EVIL[2])
        shown = visit.page.locator(".bar > bdi").all_text_contents()
        assert set(shown) == {label.replace("\u202e", "") for label in EVIL}
        assert visit.page.locator("#text").input_value() == evil["samples"][0]
        expect(visit.page).to_have_title("<b>name</b> – Candor")
        expect(visit.page.locator("label[for=text]")).to_have_text(evil["text_noun"])
        assert visit.page.locator("img, main b, main i, #about b, #about i").count() == 0
        assert visit.console == []
        visit.page.evaluate("document.body.append(document.createElement('img'))")  # what the line above would find
        assert visit.page.locator("img, main b, main i, #about b, #about i").count() == 1


def test_page_min_confidence_changes_the_decision(visit: Visit) -> None:
    visit.classify("The first half is fine, the second is not.")
    expect(visit.page.locator(".verdict")).to_have_text("uncertain")
    visit.page.locator("#least").fill("0.5")
    expect(visit.page.locator(".verdict")).to_have_text("negative")


def probability(visit: Visit, text: str) -> float:
    """Return the probability of the answer, as the API has it."""
    with visit.page.expect_response("**/v1/predict") as answered:
        visit.classify(text)
    return float(max(answered.value.json()["probabilities"].values()))


@pytest.mark.parametrize("gap", [0.0, 1e-4, -1e-4, 2e-6])
def test_page_threshold_shown_is_the_one_used(browser: Browser, tmp_path: Path, gap: float) -> None:
    """It has all its digits, and the probability as many as show on which side of it the answer lies."""
    text = "The first half is fine, the second is not."
    with serving(tmp_path / "first", ["no", "yes"]) as server, Visit(browser, server) as visit:
        sure = probability(visit, text)
    least = round(sure + gap, 6)
    with serving(tmp_path / "second", ["no", "yes"], min_confidence=least) as server, Visit(browser, server) as visit:
        assert probability(visit, text) == sure
        shown = visit.page.locator("#leastShown").inner_text()
        assert float(shown.removesuffix(" %")) == pytest.approx(100 * least, abs=1e-9)
        decided = visit.page.locator(".verdict").inner_text() != "uncertain"
        assert decided is (sure >= least)
        answer = float(re.findall(r"([\d.]+) %", visit.page.locator(".item .soft").inner_text())[0])
        assert (answer >= float(shown.removesuffix(" %"))) is decided
        assert answer == pytest.approx(100 * sure, abs=0.1)
        bars = visit.page.locator(".bar > :last-child").all_inner_texts()
        assert answer in [float(bar.removesuffix(" %")) for bar in bars]


def test_page_says_that_a_warning_prevents_a_decision(visit: Visit) -> None:
    """A probability that is enough is not called too little; the warning is in the language of the page."""
    visit.page.locator("#least").fill("0.5")
    visit.classify("wonderful qwrtz xcvbn plmkj wsxed rfvtg")
    expect(visit.page.locator(".verdict")).to_have_text("uncertain")
    expect(visit.page.locator(".item .soft")).to_contain_text("but not decided because of this warning:")
    expect(visit.page.locator(".note")).to_have_text(WARNINGS["LOW_EVIDENCE"])
    visit.page.get_by_role("button", name="中文").click()
    expect(visit.page.locator(".note")).to_have_text("模型认识的词太少，不足以判断。")
    visit.page.locator("#text").fill(GOOD)
    visit.page.locator("#go").click()
    expect(visit.page.locator(".item .soft")).not_to_contain_text("因以下提醒")


@pytest.mark.parametrize("end", ["/live", "/live/"])
def test_page_works_at_an_address_with_and_without_slash(browser: Browser, server: Server, end: str) -> None:
    """Below a stage of API Gateway all requests go to addresses of that stage, and so does the code to copy."""
    with Visit(browser, server) as visit:
        paths = []

        def below_stage(route: Route) -> None:
            path = urlsplit(route.request.url).path
            paths.append(path)
            if not f"{path}/".startswith("/live/"):
                route.fulfill(status=404, json={"detail": "There is no such stage."})
                return
            route.fulfill(response=route.fetch(url=visit.address + path.removeprefix("/live").removeprefix("/")))

        visit.context.route("**/*", below_stage)
        visit.page.goto(visit.address.rstrip("/") + end)
        visit.classify("Wonderful acting. Ask jane@example.com.")
        expect(visit.page.locator(".verdict")).to_have_text("positive")
        expect(visit.page.locator("#masked .pii")).to_have_text("[EMAIL]")
        visit.page.locator("#card summary").click()
        expect(visit.page.locator("#cardText")).to_contain_text("600 labelled")
        expect(visit.page.locator("#source")).to_contain_text(f"{visit.address}live/v1/predict")
        visit.page.get_by_role("button", name="What would change the answer?").click()
        expect(visit.page.locator("#results [role=status]")).not_to_be_empty()
        asked = ("model", "model/card", "predict", "predict/batch", "redact")
        assert set(paths) == {end, *(f"/live/v1/{each}" for each in asked)}
        assert visit.console == []


def test_page_chinese_knows_every_code(visit: Visit) -> None:
    """Each problem and warning of the API has a sentence in Chinese, and each word of the page's English is there."""
    assert CODES.keys() <= set(visit.page.evaluate("Object.keys(WORDS.zh.problems)"))
    assert WARNINGS.keys() == set(visit.page.evaluate("Object.keys(WORDS.zh.warnings)"))
    for part in ("", ".fields"):
        english, chinese = (visit.page.evaluate(f"Object.keys(WORDS.{lang}{part})") for lang in ("en", "zh"))
        assert english
        assert set(english) <= set(chinese)
    for code in CODES:
        said = {"code": code, "pointer": "/documents/2/text", "detail": "x", "limit": 10, "actual": 11}
        words = visit.page.evaluate("said => { t = WORDS.zh; return problem(said) }", said)
        assert re.fullmatch(r"[^/]*[一-鿿]{3}[^/]*。", words), words
        assert "undefined" not in words
    unknown = visit.page.evaluate("problem({ code: 'a_new_one', detail: '/documents/2/text is odd.' })")
    assert unknown == "请求未被接受（a_new_one）。评论 3 is odd."


def test_page_card_in_chinese(visit: Visit) -> None:
    """The card's facts, figures and limits are in Chinese, with the original below, which is marked as English."""
    visit.page.locator("#card summary").click()
    card = visit.page.locator("#cardText")
    expect(card).to_contain_text("Expected calibration error")
    assert not re.search("[一-鿿]", card.inner_text())
    visit.page.get_by_role("button", name="中文").click()
    expect(card).to_contain_text("请勿用它评判人")
    expect(card.locator("td", has_text="准确率").first).to_have_text("准确率")
    original = card.locator("[lang=en]")
    expect(original).to_contain_text("600 labelled")
    text = card.inner_text().removesuffix(original.inner_text())
    model = Bundle.open(TWO).model
    for own in ("description", "owner", "licence"):  # in the owner's own words
        assert model[own] in text
        text = text.replace(model[own], "")
    left = re.findall("[A-Za-z]{4,}", text.replace(model["name"], "").replace(model["data"]["source"], ""))
    assert set(left) <= {"Brier", *re.findall("[A-Za-z]{4,}", model["data"]["licence"])}


def test_page_long_texts_leave_the_page_short(visit: Visit) -> None:
    """The code and the masked text scroll in boxes of their own, also by keyboard."""
    visit.page.locator("#explain").uncheck()
    visit.page.locator("#text").fill("Ask jane@example.com. " + "word " * 3000)
    expect(visit.page.locator("#masked .pii")).to_have_count(1)
    for box in ("#code", "#maskedText"):
        node = visit.page.locator(box)
        assert node.evaluate("node => node.scrollHeight") > 1000
        assert node.evaluate("node => node.clientHeight") < 500
        assert node.get_attribute("tabindex") == "0"
    assert visit.page.evaluate("document.documentElement.scrollHeight") < 2500
    assert Axe().run(visit.page)["violations"] == []


def test_page_card_breaks_no_short_word(visit: Visit) -> None:
    """A label of the card's table stands on one line, where there is room."""
    visit.page.locator("#card summary").click()
    cell = visit.page.locator("#cardText td", has_text="negative").first
    expect(cell).to_be_visible()
    lines = """node => {
        const range = document.createRange();
        range.selectNodeContents(node);
        return new Set([...range.getClientRects()].map(each => each.top)).size;
    }"""
    assert cell.evaluate(lines) == 1


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
        expect(visit.page.locator(".note")).to_contain_text("The review is empty")
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
            expect(visit.page.locator(".note")).to_have_text("This API needs a key.")
            visit.page.locator("#key").fill("wrong")
            visit.page.locator("#go").click()
            expect(visit.page.locator(".note")).to_have_text("This API does not know that key.")
            visit.page.locator("#key").fill("sesame")
            visit.page.locator("#go").click()
            expect(visit.page.locator(".verdict")).to_have_text("positive")


def test_page_with_a_key_reads_the_model(browser: Browser, tmp_path: Path) -> None:
    """The box for a key is there at once; with a key the slider and the page follow the model."""
    bundle.write(tmp_path, bundles.files(labels=["no", "yes"], min_confidence=0.6375))
    with Server("--port", "0", "--model", str(tmp_path), API_KEYS="sesame") as keyed:
        keyed.greeting()
        with Visit(browser, keyed) as visit:
            expect(visit.page.locator("#keyBox")).to_be_visible()
            expect(visit.page.locator("#leastShown")).to_have_text("the model's own")
            visit.page.locator("#key").fill("sesame")
            visit.page.locator("#key").press("Tab")
            expect(visit.page.locator("#leastShown")).to_have_text("63.75 %")
            assert float(visit.page.locator("#least").input_value()) == pytest.approx(0.6375, abs=0.0006)
            expect(visit.page.locator("#about")).to_contain_text("2 labels: no, yes")
            visit.classify("a wonderful film")
            expect(visit.page.locator(".verdict")).to_have_text("yes")
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


# Linear RGB as eyes without some kind of cone see it: Machado, Oliveira and Fernandes (2009), severity 1.
EYES = np.array(
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    ]
)
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colours: Sequence[str]) -> Any:
    """Return linear RGB [n, 3] of colours such as #0072b2 (IEC 61966-2-1)."""
    levels = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in colours])
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def least_difference(colours: Sequence[str]) -> float:
    """Return the least CIE76 difference of two colours, to the eyes that see it worst."""
    xyz = np.maximum(np.einsum("eij,nj->eni", EYES, linear(colours)) @ XYZ.T / XYZ.sum(axis=1), 0)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    lab = np.stack([116 * f[..., 1], 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)
    differences = np.linalg.norm(lab[:, :, None] - lab[:, None], axis=-1)
    return float(differences[:, ~np.eye(len(colours), dtype=bool)].min())


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_page_label_colours_differ_to_all_eyes(scheme: int) -> None:
    """Colours of labels differ, to colour-blind eyes, too, and stand out from the track (WCAG 2.2, 1.4.11)."""
    page = (ROOT / "functions/api/page.html").read_text()
    colours = re.findall(r"--c\d: (#\w{6});", page)[8 * scheme : 8 * scheme + 8]
    track = re.findall(r"--line: (#\w{6});", page)[scheme]
    assert len(colours) == 8
    assert least_difference(colours) >= 25
    assert least_difference(["#c04a00", "#7a5c00"]) < 5  # one colour to protanopes
    light = np.sort(linear([*colours, track]) @ XYZ[1])
    of_track = float((linear([track]) @ XYZ[1])[0])
    others = light[light != of_track]
    contrast = (np.maximum(others, of_track) + 0.05) / (np.minimum(others, of_track) + 0.05)
    assert contrast.min() >= 3
