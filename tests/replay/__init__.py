"""Hosted sources on loopback that behave and fail as the real ones do. `python -m tests.replay` runs it by hand.

A real HTTP server from the standard library: resets, slow bodies and truncated responses need the socket,
which test servers built on WSGI do not expose.
"""

from tests.replay.faults import Fault
from tests.replay.server import ReplayServer
from tests.replay.site import Limit, ReplayRequest, ReplayResponse, ReplaySite, json_response

__all__ = ["Fault", "Limit", "ReplayRequest", "ReplayResponse", "ReplayServer", "ReplaySite", "json_response"]
