"""The same pages in three engines, without a plug-in: a share on its code, paging, windowing; the staff's list."""

from __future__ import annotations

import json

import pytest

from tests.support.demo_ct import Study, make_share
from tests.support.engines import ENGINES, Window, missing_engines, until

# Exact values follow the refined picture where there is time.
_REFINED = "['refined', 'lossless'].includes((document.querySelector('.quality') || {dataset: {}}).dataset.quality)"
_EXACT = "(document.querySelector('.quality') || {dataset: {}}).dataset.quality === 'lossless'"
# The layer on top: what lies beneath exact values is not drawn again.
_PAINTED = "(document.querySelector('canvas.values:not([hidden])') || document.querySelector('#picture')).toDataURL()"
_WINDOW = "document.querySelector('.corner.br').textContent"


def _number(window: Window) -> int:
    """Number of the picture on screen, from 1."""
    return int(window.evaluate("+(document.querySelector('#title').textContent.match(/(\\d+)\\/\\d+/) || [0, 0])[1]"))


def _changes(window: Window, key: str, expression: str, what: str) -> str:
    """Press a key; the expression's value once it differs and the exact values are shown, before and after: nothing
    but the key changes the picture then."""
    until(window, _EXACT, "exact values")
    before = window.evaluate(expression)
    window.press(key)
    quoted = json.dumps(before)
    until(window, f"({expression}) !== {quoted} && {_EXACT}", what)
    return str(window.evaluate(expression))


def _share(window: Window, ct: Study) -> None:
    made = make_share(ct)
    window.goto(ct.server.http + made.path)
    window.click("input[name=code]")
    window.press(made.code)
    window.click("button")
    until(window, "!!document.querySelector('#stage img, #picture')", "the first picture")
    until(window, _REFINED, "the refined picture")
    assert window.evaluate("document.querySelectorAll('object, embed, applet, iframe').length") == 0
    number = _number(window)
    _changes(window, "ArrowDown", _PAINTED, "the next picture")
    assert _number(window) == number + 1
    _changes(window, "i", _PAINTED, "the inverted picture")
    assert "W1500 L-600" in _changes(window, "5", _WINDOW, "the lung window")
    _changes(window, "+", _PAINTED, "the zoomed picture")
    _changes(window, "r", "document.querySelector('.letter.top').textContent", "the turned letters")


def _staff(window: Window, ct: Study) -> None:
    window.goto(ct.server.http + "/login")
    until(window, "!!document.querySelector('#password')", "the login form")
    window.click("#username")
    window.press(ct.server.username)
    window.click("#password")
    window.press(ct.server.password)
    window.click("form button[type=submit]")
    until(window, "document.querySelectorAll('tbody tr').length > 0", "the study list")
    window.goto(f"{ct.server.http}/viewer/{ct.key}")
    until(window, _REFINED, "the refined picture for staff")


@pytest.mark.req("5.2")
def test_share_page_viewer_and_study_list_work_in_three_engines(ct: Study) -> None:
    missing = missing_engines()
    if missing:
        pytest.skip(f"not installed: {missing}")
    for name, opened in ENGINES.items():
        with opened() as window:
            agent = str(window.evaluate("navigator.userAgent"))
            assert {"Blink": "Chrome/", "Gecko": "Firefox/", "WebKit": "Version/"}[name] in agent
            _share(window, ct)
            _staff(window, ct)
