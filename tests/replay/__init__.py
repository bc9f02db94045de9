"""Hosted sources on loopback that behave, and misbehave, as the real ones do. `python -m tests.replay` runs it by hand.

A real HTTP server from the standard library: resets, drips and answers cut short need the socket, which the test
servers built on WSGI keep to themselves.
"""

from tests.replay.faults import Fault
from tests.replay.server import ReplayServer
from tests.replay.site import Asked, Limit, ReplaySite, Said, json_said

__all__ = ["Asked", "Fault", "Limit", "ReplayServer", "ReplaySite", "Said", "json_said"]
