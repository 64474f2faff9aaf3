"""Chromium with a page in it."""

import shutil

import pytest
from in_chromium import NAMES, screen, written

from benchmarks.page_size import add_history, browser, make_run


@pytest.fixture(scope="session")
def opened(tmp_path_factory, need):
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        need("no chromium and chromedriver here; scripts/system-packages chromium installs them")
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    """Seven recordings through two forms, and three runs before; one recording has no face."""
    folder = make_run(tmp_path_factory.mktemp("runs") / "run", 7, ["float32", "int8"], 12, NAMES)
    add_history(folder, 4)
    return written(folder)


@pytest.fixture
def shown(opened, page):
    screen(opened, 1280, "light")
    opened.get_log("performance"), opened.get_log("browser")
    opened.get(page.as_uri())
    return opened
