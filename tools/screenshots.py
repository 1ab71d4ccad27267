# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Takes the pictures of docs/: plays the demo, leaves it up, and looks at it with a real browser.

python tools/screenshots.py [--base-port 8800]
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
import shutil
import signal
import subprocess
import sys

from playwright.sync_api import Browser, Page, sync_playwright

from demo.people import ASTRID, DISA

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "images"
READY = "Ctrl-C"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]


def main() -> int:
    """Takes the pictures; answers the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-port", type=int, default=8800)
    port = parser.parse_args().base_port
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.stderr.write("screenshots: Chromium is missing: apt-get install chromium\n")
        return 1
    PICTURES.mkdir(exist_ok=True)
    with running_demo(port) as base, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        take(browser, base, "patient", patient_page)
        take(browser, base, "clinician", clinician_page)
        browser.close()
    return 0


@contextmanager
def running_demo(port: int) -> Iterator[str]:
    """The demo after its scenario; gives its address."""
    command = [
        sys.executable,
        "-m",
        "ndi",
        "demo",
        "--data",
        str(ROOT / "var" / "screenshots"),
        "--base-port",
        str(port),
    ]
    demo = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert demo.stdout is not None
        for line in demo.stdout:
            if READY in line:
                break
        else:
            raise SystemExit("screenshots: the demo did not get through its scenario")
        yield f"http://127.0.0.1:{port}"
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(60)


def take(browser: Browser, base: str, name: str, prepare: Callable[[Page, str], None]) -> None:
    """One picture in a fresh browser profile."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    page = context.new_page()
    prepare(page, base)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
    print(f"{PICTURES / name}.png")
    context.close()


def log_in(page: Page, base: str, kind: str, name: str) -> None:
    """Through the authorization server and the test identity provider."""
    page.goto(f"{base}/login?as={kind}")
    page.get_by_role("button", name=name).click()
    page.wait_for_load_state()


def patient_page(page: Page, base: str) -> None:
    """Who holds what about Astrid, and the latest in her log."""
    log_in(page, base, "patient", ASTRID.name)


def clinician_page(page: Page, base: str) -> None:
    """The dentist reads Astrid's allergies."""
    log_in(page, base, "staff", DISA.name)
    page.fill("#number", ASTRID.number)
    page.fill("#reason", "Anaesthesia before an extraction")
    page.click("button.quiet[formaction='/clinician/read']")
    page.wait_for_selector("text=Sources")


if __name__ == "__main__":
    sys.exit(main())
