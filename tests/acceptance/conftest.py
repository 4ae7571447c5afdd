"""Fixtures of the tests from outside."""

from tests.support.server import own_server, server

__all__ = ["own_server", "server"]
