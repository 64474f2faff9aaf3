"""The report page as Chromium shows it: loads alone, sorts, filters, fits, can be used."""

import json
from pathlib import Path

import pytest
from in_chromium import NAMES, screen, written
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from benchmarks.page_size import MAX_BYTES, MAX_LOAD_S, load_ms, make_run

LARGE = 100


def asked_for(opened):
    """What was asked of the network or of the disk, but for the page."""
    messages = [json.loads(one["message"])["message"] for one in opened.get_log("performance")]
    urls = [
        one["params"]["request"]["url"]
        for one in messages
        if one["method"] == "Network.requestWillBeSent"
    ]
    return [url for url in urls if not url.startswith("data:")]


def rows(opened, column):
    script = "return [...document.querySelectorAll('#every tbody tr')].filter(r => !r.hidden)"
    return opened.execute_script(f"{script}.map(r => r.cells[{column}].textContent.trim())")


def head(opened, name):
    heads = opened.find_elements(By.CSS_SELECTOR, "#every thead th")
    return next((at, one) for at, one in enumerate(heads) if one.text.startswith(name))


def test_it_loads_alone_and_without_a_word_of_complaint(shown, page):
    assert asked_for(shown) == [page.as_uri()]
    assert shown.get_log("browser") == []


def test_a_page_that_asked_for_more_would_be_noticed(opened, page, tmp_path):
    broken = tmp_path / "broken.html"
    text = page.read_text().replace("default-src 'none'", "default-src *")
    broken.write_text(text.replace("<main", "<img src='picture.png' alt=''><main"))
    opened.get_log("performance")
    opened.get(broken.as_uri())
    assert [Path(url).name for url in asked_for(opened)] == ["broken.html", "picture.png"]


def test_names_are_text_whatever_they_look_like(shown):
    assert shown.execute_script("return document.querySelectorAll('main b').length") == 0
    assert "subject7 <b>&" in rows(shown, 0)


def test_headings_sort_by_mouse_and_by_keyboard(shown):
    column, truth = head(shown, "truth")
    button = truth.find_element(By.TAG_NAME, "button")
    button.click()
    assert truth.get_attribute("aria-sort") == "descending"
    down = [float(cell) for cell in rows(shown, column)]
    assert down == sorted(down, reverse=True) and len(set(down)) > 3
    button.send_keys(Keys.ENTER)
    assert truth.get_attribute("aria-sort") == "ascending"
    assert [float(cell) for cell in rows(shown, column)] == down[::-1]
    _, name = head(shown, "recording")
    name.find_element(By.TAG_NAME, "button").send_keys(Keys.SPACE)
    assert truth.get_attribute("aria-sort") is None
    assert rows(shown, 0) == [NAMES.format(n) for n in range(1, 8) for _ in "ab"]


def test_what_has_no_figure_is_sorted_to_the_end_either_way(shown):
    column, error = head(shown, "error")
    for _ in range(2):
        error.find_element(By.TAG_NAME, "button").click()
        assert rows(shown, column)[-2:] == ["–", "–"]


def test_filters_narrow_down_and_say_how_far(shown):
    find = shown.find_element(By.ID, "find")
    find.send_keys("SUBJECT3")
    assert rows(shown, 0) == [NAMES.format(3)] * 2
    assert shown.find_element(By.ID, "shown").text == "2 of 14 shown"
    choice = shown.find_element(By.CSS_SELECTOR, "select[data-column=variant]")
    choice.send_keys("int8")
    assert rows(shown, head(shown, "variant")[0]) == ["int8"]
    find.clear()
    find.send_keys(Keys.SPACE, Keys.BACKSPACE)
    assert len(rows(shown, 0)) == 7
    shown.find_element(By.ID, "far").click()
    assert NAMES.format(7) in rows(shown, 0) and len(rows(shown, 0)) < 7
    shown.find_element(By.ID, "find").send_keys("nobody")
    assert rows(shown, 0) == []


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_the_page_is_no_wider_than_its_screen(opened, page, width):
    screen(opened, width, "light")
    opened.get(page.as_uri())
    opened.execute_script("for (const d of document.querySelectorAll('details')) d.open = true")
    wide = opened.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width
    # Letters of charts stay readable: none is drawn smaller than it is written for a phone.
    scale = "return Math.min(...[...document.querySelectorAll('figure > svg')]"
    scale += ".map(s => s.getBoundingClientRect().width / s.viewBox.baseVal.width))"
    assert opened.execute_script(scale) > 0.8


def test_a_keyboard_sees_where_it_is_and_reaches_every_box(shown):
    shown.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    focused = shown.switch_to.active_element
    assert focused.text == "Skip to the verdicts" and focused.location["x"] >= 0
    for box in shown.find_elements(By.CSS_SELECTOR, ".scroll"):
        assert box.get_attribute("tabindex") == "0" and box.get_attribute("aria-label")
    style = "return getComputedStyle(document.activeElement).outlineStyle"
    assert shown.execute_script(style) == "solid"


def test_all_is_there_without_scripts(opened, page):
    opened.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened.get(page.as_uri())
        texts = opened.find_element(By.ID, "every").text
        assert all(f"subject{n}" in texts for n in range(1, 8))
        assert not opened.find_element(By.CSS_SELECTOR, ".filters").is_displayed()
    finally:
        opened.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_paper_has_every_row(shown):
    shown.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    closed = shown.find_elements(By.CSS_SELECTOR, "details:not([open])")
    assert closed == []
    paper = shown.execute_cdp_cmd("Page.printToPDF", {})["data"]
    assert len(paper) > 20_000


LONG = "Probandin-Müller-" + 18 * "langer_Name" + " {} 被験者"


@pytest.mark.parametrize("width", [320, 1280])
def test_long_and_foreign_names_break_nothing(opened, tmp_path, width):
    path = written(make_run(tmp_path / "run", 3, ["float32"], 12, LONG))
    screen(opened, width, "light")
    opened.get(path.as_uri())
    opened.execute_script("for (const d of document.querySelectorAll('details')) d.open = true")
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width
    assert LONG.format(2) in rows(opened, 0)
    name = opened.find_element(By.CSS_SELECTOR, "#every tbody th")
    assert name.get_attribute("title") == name.get_property("textContent")


def test_the_history_is_drawn_and_told_to_those_who_do_not_see_it(shown):
    charts = shown.find_elements(By.CSS_SELECTOR, "#history figure svg")
    assert len(charts) == 4
    for chart in charts:
        assert "over 4 runs. Oldest first" in chart.get_attribute("aria-label")
        frame = chart.rect
        for text in chart.find_elements(By.TAG_NAME, "text"):
            inside = text.rect
            assert inside["x"] >= frame["x"] - 1
            assert inside["y"] + inside["height"] <= frame["y"] + frame["height"] + 1


def test_a_hundred_recordings_are_small_and_open_at_once(opened, tmp_path):
    large = written(make_run(tmp_path / "run", LARGE, ["float32"], 12))
    screen(opened, 1280, "light")
    assert large.stat().st_size < MAX_BYTES
    assert min(load_ms(opened, large)[0] for _ in range(3)) < 1e3 * MAX_LOAD_S
    assert len(rows(opened, 0)) == LARGE
