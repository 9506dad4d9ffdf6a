"""Find Chromium or Chrome for the browser tests, and install Chromium if neither exists.

`make test` runs `python -m tests.wizard.browsers`. If this machine has no browser, the program installs one: Debian's
Chromium package if the program runs as root, or else Playwright's Chromium. If Debian's package cannot be installed,
the program also installs Playwright's Chromium. The tests never install a browser.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_TRY_SECONDS = 600


def find_browser() -> str | None:
    """Return the path of an installed browser, or None if no browser is found."""
    named = os.environ.get("BYOK_TEST_BROWSER")
    found = named or next((path for name in _NAMES if (path := shutil.which(name))), None)
    return found or _playwrights_own()


def find_or_install_browser() -> str | None:
    """Find a browser, or install Chromium if no browser is found.

    Returns:
        The path of the browser; None if the installation fails.
    """
    found = find_browser()
    if found:
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _say("No Chromium found: installing Debian's package for the browser tests.")
        _try("apt-get", "update", "-qq")
        _try("apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium")
        found = find_browser()
    if not found:
        _say("No Chromium found, and Debian's package cannot be installed: installing Playwright's Chromium.")
        _try(sys.executable, "-m", "playwright", "install", "chromium")
        found = find_browser()
    return found


def _playwrights_own() -> str | None:
    folder = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", Path.home() / ".cache/ms-playwright"))
    return next((str(one) for one in sorted(folder.glob("chromium-*/chrome-linux*/chrome"))), None)


def _try(*command: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, timeout=_TRY_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        _say(f"{command[0]}: {error}")


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")


if __name__ == "__main__":
    if find_or_install_browser() is None:
        _say("NO BROWSER AVAILABLE: the browser tests are skipped, or fail if CI is set.")
