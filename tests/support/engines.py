"""The three browser engines behind one small face: Blink (Chromium), Gecko (Firefox), WebKit (WebKitGTK).

Keys and clicks are real input of the browser, not events made by script: Playwright for Debian's Chromium, W3C
WebDriver BiDi for Debian's Firefox (it needs no driver program), W3C WebDriver for WebKitGTK's MiniBrowser on a
virtual screen. Playwright's own Firefox and WebKit are patched builds that a hospital's people do not have.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import socket
import subprocess
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.support.browser import shared_browser
from tests.support.server import wait_until
from tools.screenshots import chromium_path

# WebDriver's code points of keys (W3C WebDriver 17.4.2).
KEYS = {"ArrowDown": "\ue015", "ArrowUp": "\ue013", "End": "\ue010", "Home": "\ue011", "Enter": "\ue007"}
_PHONE = (390, 844)
_START_S = 60.0


class Window(Protocol):
    """One tab of one engine."""

    def goto(self, url: str) -> None:
        """Load and wait for the load event."""
        ...

    def evaluate(self, expression: str) -> Any:
        """A JavaScript expression's value, as JSON gives it."""
        ...

    def press(self, text: str) -> None:
        """Type characters, or one key of ``KEYS`` by name, where the focus is."""
        ...

    def click(self, selector: str) -> None:
        """Press the primary button in the middle of an element."""
        ...


def until(window: Window, expression: str, what: str, timeout_s: float = 60.0) -> Any:
    """The expression's first true value."""
    return wait_until(lambda: window.evaluate(expression), timeout_s, what)


def missing_engines() -> str:
    """Which of the three this machine lacks, as Debian's packages; "" when all are there."""
    needed = {
        "chromium": chromium_path(),
        "firefox-esr": shutil.which("firefox-esr"),
        "webkit2gtk-driver": shutil.which("WebKitWebDriver") and _mini_browser(),
        "xvfb": shutil.which("Xvfb"),
    }
    return ", ".join(name for name, found in needed.items() if not found)


def _mini_browser() -> str | None:
    return next((str(p) for p in sorted(Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"), reverse=True)), None)


class _Blink:
    def __init__(self, page: Any) -> None:
        self._page = page

    def goto(self, url: str) -> None:
        self._page.goto(url)

    def evaluate(self, expression: str) -> Any:
        return self._page.evaluate(expression)

    def press(self, text: str) -> None:
        if text in KEYS:
            self._page.keyboard.press(text)
        else:
            self._page.keyboard.type(text)

    def click(self, selector: str) -> None:
        self._page.click(selector)


@contextmanager
def blink() -> Iterator[Window]:
    """Debian's Chromium."""
    context = shared_browser().new_context(viewport={"width": _PHONE[0], "height": _PHONE[1]}, locale="zh-CN")
    try:
        yield _Blink(context.new_page())
    finally:
        context.close()


class _Driven(ABC):
    """What WebDriver and WebDriver BiDi share: input as W3C actions."""

    @abstractmethod
    def evaluate(self, expression: str) -> Any: ...

    @abstractmethod
    def _perform(self, actions: list[dict[str, Any]]) -> None: ...

    def press(self, text: str) -> None:
        steps = [
            {"type": kind, "value": key}
            for key in ([KEYS[text]] if text in KEYS else text)
            for kind in ("keyDown", "keyUp")
        ]
        self._perform([{"type": "key", "id": "keys", "actions": steps}])

    def click(self, selector: str) -> None:
        box = self.evaluate(
            f"(e => {{ e.scrollIntoView({{block: 'nearest'}}); const b = e.getBoundingClientRect();"
            f" return [b.x + b.width / 2, b.y + b.height / 2] }})(document.querySelector({json.dumps(selector)}))"
        )
        move: dict[str, Any] = {"type": "pointerMove", "x": int(box[0]), "y": int(box[1])}
        steps = [move, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self._perform([{"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": steps}])


class _Gecko(_Driven):
    def __init__(self, line: ClientConnection) -> None:
        self._line = line
        self._numbers = itertools.count(1)
        self._call("session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}})
        self._context = self._call("browsingContext.getTree")["contexts"][0]["context"]
        size = {"width": _PHONE[0], "height": _PHONE[1]}
        self._call("browsingContext.setViewport", context=self._context, viewport=size)

    def _call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        self._line.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._line.recv(_START_S))
            if answer.get("id") == number:
                assert answer["type"] == "success", answer
                return answer["result"]

    def goto(self, url: str) -> None:
        self._call("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        answer = self._call(
            "script.evaluate",
            expression=f"Promise.resolve({expression}).then(v => JSON.stringify(v ?? null))",
            target={"context": self._context},
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer
        return json.loads(answer["result"]["value"])

    def _perform(self, actions: list[dict[str, Any]]) -> None:
        self._call("input.performActions", context=self._context, actions=actions)


@contextmanager
def _process(arguments: list[str], pattern: str, **options: Any) -> Iterator[str]:
    """A program that says something by which it is known to be ready: the pattern's first group."""
    process = subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )
    assert process.stdout is not None
    found: list[str] = []
    ready = threading.Event()

    def read(stream: Any) -> None:
        for line in stream:
            if not found and (match := re.search(pattern, line)):
                found.append(match.group(1))
                ready.set()
        ready.set()

    reader = threading.Thread(target=read, args=(process.stdout,), daemon=True)
    reader.start()
    try:
        assert ready.wait(_START_S), f"{arguments[0]} did not start"
        assert found, f"{arguments[0]} ended at once"
        yield found[0]
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)
        reader.join(20)
        process.stdout.close()


@contextmanager
def gecko() -> Iterator[Window]:
    """Debian's Firefox, spoken to by WebDriver BiDi; a fresh profile that talks to nobody else."""
    with tempfile.TemporaryDirectory(prefix="gecko-", ignore_cleanup_errors=True) as profile:
        quiet = {
            "app.normandy.enabled": False,
            "network.captive-portal-service.enabled": False,
            "remote.active-protocols": 1,
        }
        text = "".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in quiet.items())
        (Path(profile) / "user.js").write_text(text)
        arguments = ["firefox-esr", "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"]
        with (
            _process(arguments, r"BiDi listening on (ws://\S+)") as address,
            connect(f"{address}/session", max_size=None, proxy=None) as line,
        ):
            yield _Gecko(line)


class _WebKit(_Driven):
    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        browser = {"binary": _mini_browser(), "args": ["--automation"]}
        wanted = {"alwaysMatch": {"acceptInsecureCerts": True, "webkitgtk:browserOptions": browser}}
        made = self._call("POST", "/session", {"capabilities": wanted})
        self._base = f"/session/{made['sessionId']}"
        self._call("POST", "/window/rect", {"width": _PHONE[0], "height": _PHONE[1]})

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        base = "" if path == "/session" else self._base
        answer = self._client.request(method, base + path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["value"]

    def goto(self, url: str) -> None:
        self._call("POST", "/url", {"url": url})

    def evaluate(self, expression: str) -> Any:
        script = f"return Promise.resolve({expression}).then(v => JSON.stringify(v ?? null))"
        return json.loads(self._call("POST", "/execute/sync", {"script": script, "args": []}))

    def _perform(self, actions: list[dict[str, Any]]) -> None:
        self._call("POST", "/actions", {"actions": actions})

    def close(self) -> None:
        self._call("DELETE", "")


@contextmanager
def webkit() -> Iterator[Window]:
    """WebKitGTK's MiniBrowser on a virtual screen."""
    with ExitStack() as stack:
        # Xvfb chooses a free display and writes its number.
        screen = ["Xvfb", "-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]
        display = stack.enter_context(_process(screen, r"^(\d+)$"))
        environment = {
            "DISPLAY": f":{display}",
            "PATH": "/usr/bin:/bin",
            "HOME": stack.enter_context(tempfile.TemporaryDirectory(prefix="webkit-", ignore_cleanup_errors=True)),
            "LANG": "C.UTF-8",
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "WEBKIT_DISABLE_COMPOSITING_MODE": "1",
        }
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        driver = subprocess.Popen(
            ["WebKitWebDriver", f"--port={port}", "--host=127.0.0.1"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(driver.wait, 20)
        stack.callback(driver.kill)
        client = stack.enter_context(
            httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=_START_S)
        )
        wait_until(lambda: _answers(client), _START_S, "WebKitWebDriver")
        window = _WebKit(client)
        stack.callback(window.close)
        yield window


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/status").status_code == 200
    except httpx.HTTPError:
        return False


ENGINES = {"Blink": blink, "Gecko": gecko, "WebKit": webkit}
