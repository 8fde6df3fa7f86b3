"""Opens a report as a person does: in Chromium, headless, from disk. `report.py SCENARIO PAGE.html [SCREENSHOTS]`.

Fails with a sentence; what it prints is for the test's line.
"""

import base64
import contextlib
import json
import sys
import time

from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from chromium import PATIENCE, chromium

class Browser:
    """Chromium with a profile of its own, gone afterwards."""

    def __init__(self, page):
        self.url = f"file://{page}"
        self.held = contextlib.ExitStack()
        self.driver = self.held.enter_context(chromium())
        # A new tab is a page too, with requests of its own.
        self.driver.get("about:blank")
        for log in ["browser", "performance"]:
            self.driver.get_log(log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.held.close()

    def open(self):
        self.driver.get(self.url)
        self.until("the list of traces", lambda: self.all("#traces .row"))

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def click(self, selector):
        """Of something that may be drawn anew at this moment."""

        def is_clicked():
            try:
                self.one(selector).click()
                return True
            except StaleElementReferenceException:
                return False

        self.until(f"a click on {selector}", is_clicked)

    def one(self, selector):
        found = self.all(selector)
        assert found, f"there is no {selector}"
        return found[0]

    def text(self, selector):
        return self.one(selector).text

    def texts(self, selector):
        """Of many at once: rows may be drawn anew while they are asked one by one."""
        return self.run("return [...document.querySelectorAll(arguments[0])].map((node) => node.textContent)", selector)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def press(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def until(self, what, condition):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = condition()
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{what}: not within {PATIENCE} s; the page says:\n{self.text('body')[:2000]}")

    def is_quiet(self):
        """No word on the console, and nothing fetched but the page itself."""
        said = [entry["message"] for entry in self.driver.get_log("browser")]
        assert not said, f"the console says {said}"
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        strangers = [url for url in asked if url.split("#")[0] != self.url]
        assert asked and not strangers, f"it asked for {strangers[:3] or 'nothing at all'}"


def browse(browser, pictures):
    """Everything that a person does with a large report."""
    browser.open()
    opened = browser.run("return performance.now()")
    assert len(browser.all(".row")) < 150, "all rows were made at once"

    # Operations: a filter, an order, one that is chosen.
    rows = lambda: browser.texts("#operations .row")
    everything = len(rows())
    browser.press("/")
    browser.press("user-service post")
    browser.until("the filter", lambda: 0 < len(rows()) < everything)
    assert all("user-service" in row and "POST" in row for row in rows()), rows()
    browser.press(Keys.ESCAPE)
    browser.one("#operations-filter").clear()
    browser.one("#operations-filter").send_keys(" ")
    browser.until("no filter", lambda: len(rows()) == everything)
    counts = lambda: browser.run(
        "return [...document.querySelectorAll('#operations .row')].sort((a, b) => a.dataset.index - b.dataset.index)"
        ".map((row) => Number(row.children[3].textContent.replace(/\\D/g, '')))"
    )
    for ordered in (lambda all: sorted(all, reverse=True), sorted):
        browser.click("#operations [data-key=count]")
        assert counts() == ordered(counts()), counts()
    assert browser.all("#operations [aria-sort=ascending]")
    browser.click("#operations .row")
    browser.until("the latencies", lambda: len(browser.all(".chart canvas")) == 2)

    # A finding leads to its traces.
    browser.press("f")
    error = browser.one(".finding.error")
    error.find_element(By.XPATH, ".//button[contains(., 'all that failed')]").click()
    browser.until("the failing traces", lambda: "failed in" in browser.text(".chip"))
    assert all("!" in row for row in browser.texts("#traces .row"))
    browser.click(".chip")

    # A trace, by the keyboard alone.
    browser.press("t")
    browser.press("post /orders")
    found = lambda: browser.texts("#traces .row")
    browser.until("the filter", lambda: found() and all("POST /orders" in row for row in found()))
    browser.press(Keys.ESCAPE)
    browser.run("document.querySelector('#traces .list').focus()")
    browser.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ENTER)
    browser.until("the waterfall", lambda: browser.all(".waterfall .row"))
    spans = lambda: len(browser.all(".waterfall .row"))
    browser.until("the whole trace", lambda: spans() == 6)
    assert browser.all(".waterfall .critical"), "no critical path is marked"
    browser.press(Keys.ARROW_LEFT)
    browser.until("folded", lambda: spans() == 1 and "5 folded" in browser.text(".waterfall .row"))
    browser.press(Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    panel = browser.until("the span's details", lambda: "Confidence 1" in browser.text(".panel") and browser.text(".panel"))
    for words in ["Both ends of one connection", "Its parent is", "self time", "http.status_code", "201"]:
        assert words in panel, f"{words} is not in\n{panel}"
    browser.press("c")
    wide = browser.texts(".ruler span")
    browser.press("+", "+")
    browser.until("another window of time", lambda: browser.texts(".ruler span") != wide)
    browser.press("0")
    browser.until("all of the time", lambda: browser.texts(".ruler span") == wide)
    if pictures:
        browser.driver.save_screenshot(f"{pictures}/trace.png")
    first = browser.text(".trace .about")
    browser.press("n")
    browser.until("the next trace", lambda: browser.text(".trace .about") != first)
    browser.press(Keys.ESCAPE)
    browser.until("the way back", lambda: browser.one("#traces").is_displayed())

    # Help, dark and light.
    browser.press("?")
    assert "Keyboard" in browser.text("dialog[open]")
    browser.press(Keys.ESCAPE)
    browser.until("help is closed", lambda: not browser.all("dialog[open]"))
    back = lambda: browser.run("return getComputedStyle(document.body).backgroundColor")
    light = back()
    browser.press("d")
    assert back() != light, "it is not dark"
    if pictures:
        browser.run("scrollTo(0, 0)")
        browser.driver.save_screenshot(f"{pictures}/dark.png")
    browser.press("d")
    printed = base64.b64decode(browser.driver.print_page())
    assert printed.startswith(b"%PDF") and len(printed) > 20_000, "it does not print"
    browser.is_quiet()
    return f"open after {opened:.0f} ms"


def capture(browser, _):
    """A capture that was analysed: the account, and inferred links with their evidence."""
    browser.open()
    account = browser.text("#account")
    for words in ["Lost: nothing", "Connection ends", "understood", "observed for"]:
        assert words in account, f"{words} is not in\n{account}"
    browser.click("#traces .row")
    browser.until("the waterfall", lambda: browser.all(".waterfall .row"))
    browser.click(".waterfall .row[data-index='1']")
    panel = browser.until("the evidence", lambda: "What was seen" in browser.text(".panel") and browser.text(".panel"))
    assert "Confidence 0." in panel and "127.0.0.1" in panel, panel
    browser.is_quiet()
    return ""


def hostile(browser, _):
    """Names that would be markup, circles, and a trace of a hundred thousand spans in one another."""
    browser.open()
    title = browser.driver.title
    markup = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    assert any(markup in row for row in browser.texts("#operations .row")), "the name is not shown as it is"
    assert "<b><img src=x>" in title and "<b><img src=x>" in browser.texts("h1")[0], title
    assert "ancestors" in browser.text(".problems")
    assert "was not given" in browser.text("#account")
    for words, spans in [("markup", 3), ("circle", 3), ("deep", 100_000), ("wide", 100_000)]:
        browser.press("t")
        field = browser.one("#traces-filter")
        field.clear()
        field.send_keys(words)
        found = lambda: browser.texts("#traces .row code")
        browser.until(f"the trace {words}", lambda: len(found()) == 1 and words in found()[0])
        browser.click("#traces .row")
        browser.until("the waterfall", lambda: words in browser.text(".trace .about") and browser.all(".waterfall .row"))
        rows = lambda: int(browser.one(".waterfall").get_attribute("aria-rowcount"))
        browser.run("document.querySelector('.waterfall').focus()")
        if words == "wide":
            # The same call over and over is one line, until it is opened.
            assert rows() == 2 and "×99\u202f999" in browser.texts(".waterfall .row")[1], browser.texts(".waterfall .row")
            browser.press(Keys.ARROW_DOWN)
            browser.until("the sums of the group", lambda: "together" in browser.text(".panel"))
            browser.press(Keys.ARROW_RIGHT)
            spans += 1
        assert rows() == spans, f"{words}: {rows()} rows"
        browser.press(Keys.END)
        last = f".waterfall .row[aria-rowindex='{spans}']"
        browser.until("the last row", lambda: browser.all(last + ".cursor"))
        assert len(browser.all(".waterfall .row")) < 150, "all rows were made at once"
        if words == "markup":
            assert markup in browser.texts(".tags")[0], "the tag is not shown as it is"
        browser.press(Keys.ESCAPE)
        browser.until("the way back", lambda: browser.one("#traces").is_displayed())
    browser.one("#traces-filter").clear()
    browser.one("#traces-filter").send_keys("asks")
    browser.until("the trace asks", lambda: browser.texts("#traces .row code") == ["asks"])
    browser.click("#traces .row")
    browser.until("the candidate", lambda: "asked: GET /b (another trace)" in browser.text(".panel"))
    browser.click(".panel .evidence li button")
    browser.until("the other trace", lambda: "trace asked" in browser.text(".trace .about"))
    browser.until("the candidate itself", lambda: "00000000000a5ced" in browser.text(".panel"))
    browser.press(Keys.ESCAPE)
    assert browser.driver.title == title, "a name became a script"
    assert not browser.all("#app img, #app script, #app b"), "a name became markup"
    browser.is_quiet()
    return ""


def old(browser, _):
    """A browser that cannot unpack says so."""
    script = {"source": "delete window.DecompressionStream"}
    browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", script)
    browser.driver.get(browser.url)
    browser.until("a plain message", lambda: "cannot unpack" in browser.text("body"))
    browser.is_quiet()
    return ""


def main():
    scenario, page, *pictures = sys.argv[1:]
    with Browser(page) as browser:
        try:
            print({"browse": browse, "capture": capture, "hostile": hostile, "old": old}[scenario](browser, *(pictures or [None])))
        except (AssertionError, WebDriverException) as error:
            sys.exit(f"{scenario}: {str(error)[:3000]}")


main()
