"""Fixtures of the tests from outside."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

from tests.support.browser import close_shared_browser
from tests.support.demo_ct import ct, phone
from tests.support.server import own_server, server

__all__ = ["ct", "own_server", "phone", "server"]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test with a loop of its own cannot run beside the shared browser's."""
    if inspect.iscoroutinefunction(getattr(item, "obj", None)):
        close_shared_browser()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Iterator[None]:
    """With the folder's last test the browser ends."""
    try:
        yield
    finally:
        if nextitem is None or "acceptance" not in nextitem.path.parts:
            close_shared_browser()
