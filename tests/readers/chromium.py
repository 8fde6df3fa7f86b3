"""Chromium, headless, with a profile of its own, that talks to nobody but the pages it is given."""

import contextlib
import tempfile

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

# The last four keep Chromium itself, and pages, from talking to anybody.
OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars", "--window-size=1400,900",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
# How long anything may take on a busy machine, s.
PATIENCE = 60


@contextlib.contextmanager
def chromium():
    """A driver; browser and profile are gone afterwards. It keeps what the console and the network say (`get_log`)."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for option in [*OPTIONS, f"--user-data-dir={profile}"]:
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        try:
            yield driver
        finally:
            driver.quit()
