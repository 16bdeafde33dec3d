# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The SVG with its tooltips, alone or in a page: no host but its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from string import Template
from xml.etree import ElementTree

from viam_session_bridge.tools.timeline.style import DARK, INK, PAPER

_SVG = 'http://www.w3.org/2000/svg'
_XLINK = 'http://www.w3.org/1999/xlink'

_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$heading</title>
<style>
:root { color-scheme: light dark; }
body { margin: 0; font: 15px sans-serif; background: $paper; color: $ink; }
nav, details { padding: 8px 12px; }
button { font: inherit; min-width: 2.2em; }
#picture { overflow: auto; max-height: 85vh; }
#picture svg { display: block; width: 100%; height: auto; }
li { margin: 4px 0; white-space: pre-line; }
@media (prefers-color-scheme: dark) { body { background: $dark_paper; color: $dark_ink; } }
</style>
</head>
<body>
<nav><button id="in">+</button> <button id="out">&minus;</button> <button id="all">all</button>
Ctrl and the wheel zoom, too; point at anything to read what it was.</nav>
<div id="picture">
$svg
</div>
<details><summary>All $count marks, in their order of time</summary><ol>
$items
</ol></details>
<script>
const picture = document.getElementById('picture');
const svg = picture.querySelector('svg');
let zoom = 1;
function set(next, x) {
  const before = zoom, at = picture.scrollLeft + x;
  zoom = Math.min(Math.max(next, 1), 40);
  svg.style.width = 100 * zoom + '%';
  picture.scrollLeft = at * zoom / before - x;
}
const middle = () => picture.clientWidth / 2;
document.getElementById('in').onclick = () => set(zoom * 1.5, middle());
document.getElementById('out').onclick = () => set(zoom / 1.5, middle());
document.getElementById('all').onclick = () => set(1, 0);
picture.addEventListener('wheel', event => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  set(zoom * Math.exp(-event.deltaY / 400), event.clientX - picture.getBoundingClientRect().left);
}, { passive: false });
</script>
</body>
</html>
""")


def with_titles(svg: bytes, titles: Mapping[str, str]) -> str:
    """Return an SVG with a tooltip in each element that has one, and with colours for the dark."""
    ElementTree.register_namespace('', _SVG)
    ElementTree.register_namespace('xlink', _XLINK)
    root = ElementTree.fromstring(svg)
    for element in root.iter(f'{{{_SVG}}}g'):
        title = titles.get(element.get('id', ''))
        if title is not None:
            tip = ElementTree.Element(f'{{{_SVG}}}title')
            tip.text = title
            element.insert(0, tip)
    style = ElementTree.Element(f'{{{_SVG}}}style')
    style.text = _dark()
    root.insert(0, style)
    return ElementTree.tostring(root, encoding='unicode')


def page(svg: str, heading: str, items: Sequence[str]) -> str:
    """Return an SVG in a page that zooms and scrolls, with the marks as a list below it."""
    listed = '\n'.join(f'<li>{escape(item)}</li>' for item in items)
    return _PAGE.substitute(
        heading=escape(heading), svg=svg, count=len(items), items=listed,
        paper=PAPER, ink=INK, dark_paper=DARK[PAPER], dark_ink=DARK[INK],
    )  # fmt: skip


def _dark() -> str:
    rules = ''.join(
        f'[style*="{what}: {light}"], [{what}="{light}"] {{ {what}: {dark} !important; }}\n'
        for light, dark in DARK.items()
        for what in ('fill', 'stroke')
    )
    return f'@media (prefers-color-scheme: dark) {{\n{rules}}}'
