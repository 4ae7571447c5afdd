"""Fixtures of the tests from outside."""

from tests.support.demo_ct import ct, phone
from tests.support.server import own_server, server

__all__ = ["ct", "own_server", "phone", "server"]
