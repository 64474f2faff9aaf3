"""The report page can be read by everyone: contrast in both schemes, and what axe-core finds."""

from importlib.resources import files

import pytest
from in_chromium import screen

# Every text against what lies behind it: WCAG's ratio, 3 for large letters and 4.5 for others.
CONTRAST = """
function parts(colour) {
  const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number);
  return [r, g, b, a];
}
function light([r, g, b]) {
  const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const [x, y, z] = [r, g, b].map(v => linear(v / 255));
  return .2126 * x + .7152 * y + .0722 * z;
}
function behind(node) {
  for (; node; node = node.parentElement) {
    const colour = parts(getComputedStyle(node).backgroundColor);
    if (colour[3] > 0) return colour;
  }
  return [255, 255, 255, 1];
}
const found = [];
for (const node of document.querySelectorAll("body *")) {
  const own = [...node.childNodes].some(one => one.nodeType === 3 && one.data.trim());
  const style = getComputedStyle(node);
  if (!own || style.display === "none") continue;
  if (["SCRIPT", "STYLE", "title", "OPTION"].includes(node.tagName)) continue;
  let ground = behind(node);
  const bar = node.classList.contains("on") && getComputedStyle(node.previousElementSibling);
  if (bar) ground = parts(bar.fill);
  const text = parts(node instanceof SVGElement ? style.fill : style.color);
  const [a, b] = [light(text), light(ground)].sort((x, y) => y - x);
  const size = parseFloat(style.fontSize);
  const needed = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
  found.push([(a + .05) / (b + .05) / needed, node.textContent.trim().slice(0, 40), style.color]);
}
return found;
"""
# What a chart's marks and areas have against the page: 3, as for all graphics that say something.
GRAPHICS = """
const ground = getComputedStyle(document.body).backgroundColor;
const shapes = "rect[class^=v], rect[class^=s-], polygon[class^=s-], path[class^=g-]";
const marks = `${shapes}, path[class^=t-]`;
return [ground, [...document.querySelectorAll(marks)].map(one => getComputedStyle(one).fill)];
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_and_all_marks_stand_out(opened, page, scheme):
    screen(opened, 1280, scheme)
    opened.get(page.as_uri())
    opened.execute_script("for (const d of document.querySelectorAll('details')) d.open = true")
    ratios = opened.execute_script(CONTRAST)
    assert len(ratios) > 200
    assert [one for one in ratios if one[0] < 1] == []
    ground, fills = opened.execute_script(GRAPHICS)
    assert len(set(fills)) > 8
    for fill in set(fills):
        assert contrast(fill, ground) >= 3, fill
    assert (luminance(ground) < 0.1) == (scheme == "dark")


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour):
    parts = [int(part) / 255 for part in colour.split("(")[1].rstrip(")").split(",")[:3]]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_that_is_hard_to_read_would_be_noticed(opened, page, tmp_path):
    faint = tmp_path / "faint.html"
    faint.write_text(page.read_text().replace("--soft: #515b69", "--soft: #9aa4b2"))
    screen(opened, 1280, "light")
    opened.get(faint.as_uri())
    assert any(one[0] < 1 for one in opened.execute_script(CONTRAST))


AXE = files("axe_core_python") / "axe.min.js"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (360, "light")])
def test_axe_finds_nothing(opened, page, width, scheme):
    screen(opened, width, scheme)
    opened.get(page.as_uri())
    opened.execute_script("for (const d of document.querySelectorAll('details')) d.open = true")
    # As Runtime.evaluate: the page's own policy lets no script in.
    opened.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text("utf-8")})
    run = {"expression": "axe.run()", "awaitPromise": True, "returnByValue": True}
    done = opened.execute_cdp_cmd("Runtime.evaluate", run)["result"]["value"]
    assert len(done["passes"]) > 20
    assert [(one["id"], one["nodes"][0]["html"]) for one in done["violations"]] == []
