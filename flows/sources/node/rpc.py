"""JSON-RPC with one node: one call or a batch, decoded directly into the requested type.

Source: https://github.com/bitcoin/bitcoin/blob/master/doc/JSON-RPC-interface.md. Requests are JSON-RPC 2.0; nodes
before 28.0 respond in the dialect of 1.x, where an error comes as HTTP 500, so the body is read whatever the
status.
"""

from collections.abc import Sequence
from itertools import count
from typing import Any, Final, Generic, TypeVar

import msgspec

from flows.sources.decoders import decoder
from flows.sources.node.connection import Connection, Reply
from schemas.errors import BadInputError, NodeRefusalError, TransientError

MISCELLANEOUS: Final = -1
NOT_FOUND: Final = -5
BAD_PARAMETER: Final = -8
WARMING_UP: Final = -28
METHOD_NOT_FOUND: Final = -32601

JSON_STATUS: Final = (200, 400, 404, 500)
"""The statuses under which a node sends a JSON-RPC body."""
NOT_DOWNLOADED: Final = "not fully downloaded"

Result = TypeVar("Result")


class RpcError(msgspec.Struct):
    """Why a call failed."""

    code: int
    message: str


class RpcResponse(msgspec.Struct, Generic[Result]):
    """One response in either dialect: `error` is missing or null where there is a result."""

    id: int | None = None
    result: Result | None = None
    error: RpcError | None = None


class Rpc:
    """Calls to one node."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._ids = count()

    def call(self, method: str, params: Sequence[object], kind: type[Result]) -> Result:
        """The result of one call.

        Raises `NodeRefusalError` where the node rejects it, `BadInputError` for an unexpected response,
        `TransientError` after the last retry.
        """

        def attempt() -> Result:
            number = next(self._ids)
            reply = self.connection.post(method, _encoded(_request(number, method, params)))
            response: RpcResponse[Result] = self._decoded(method, reply, decoder(_response(kind)))
            # The response to a request that the node could not parse has no id.
            if response.id != number and response.error is None:
                raise self._mismatch(method, f"the response to request {response.id}", str(number))
            return self._result(method, response)

        return self.connection.with_retries(attempt)

    def batch(
        self, method: str, params: Sequence[Sequence[object]], kind: type[Result]
    ) -> list[Result | NodeRefusalError]:
        """The results of many small calls in the order of `params`, each rejected call with its own error.

        Responses are matched by id; where one is missing or too many, all are requested again. Raises as `call`.
        """
        if not params:
            return []

        kinds = _responses(kind)

        def attempt() -> list[Result | NodeRefusalError]:
            numbers = [next(self._ids) for _ in params]
            requests = [_request(number, method, each) for number, each in zip(numbers, params, strict=True)]
            place = f"batch of {len(params)} {method}"
            reply = self.connection.post(place, _encoded(requests))
            responses = self._decoded(place, reply, decoder(kinds))
            if isinstance(responses, RpcResponse):
                self._result(place, responses)
                raise self._mismatch(place, "one response", f"{len(params)} responses")
            by_id = {response.id: response for response in responses}
            if len(responses) != len(numbers) or by_id.keys() != set(numbers):
                raise self._mismatch(place, f"{len(responses)} responses to {len(by_id)} calls", "one to each")
            results: list[Result | NodeRefusalError] = []
            for number in numbers:
                try:
                    results.append(self._result(method, by_id[number]))
                except NodeRefusalError as error:
                    results.append(error)
            return results

        return self.connection.with_retries(attempt)

    def _decoded(self, place: str, reply: Reply, its_decoder: msgspec.json.Decoder[Any]) -> Any:
        body = reply.body.lstrip()
        if reply.status not in JSON_STATUS or (body and body[:1] not in (b"{", b"[")):
            raise self.connection.unexpected(place, reply, "a JSON-RPC response")
        try:
            return its_decoder.decode(body)
        except msgspec.ValidationError as error:
            raise BadInputError(
                f"{self.connection.origin} {place}",
                str(error),
                "a response as of Bitcoin Core",
                "check what kind of node this is",
            ) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise TransientError(
                f"{self.connection.origin} {place}: found {len(reply.body):,} bytes of JSON that end early or are "
                "damaged, expected a whole response; try again later"
            ) from error

    def _result(self, method: str, response: RpcResponse[Result]) -> Result:
        place = f"{self.connection.origin} {method}"
        if response.error is None:
            if response.result is None:
                raise BadInputError(place, "no result and no error", "one of them", "check what kind of node this is")
            return response.result
        code, message = response.error.code, " ".join(response.error.message.split())
        if code == WARMING_UP or (code == MISCELLANEOUS and NOT_DOWNLOADED in message):
            raise TransientError(f"{place}: found {message!r}, expected a node that is ready; try again later")
        raise NodeRefusalError(place, code, message)

    def _mismatch(self, place: str, found: str, expected: str) -> TransientError:
        return TransientError(f"{self.connection.origin} {place}: found {found}, expected {expected}; try again later")


def _response(kind: Any) -> Any:
    return RpcResponse[kind]


def _responses(kind: Any) -> Any:
    # A batch that is rejected whole, for instance during the start, gets one response.
    return list[RpcResponse[kind]] | RpcResponse[kind]


def _request(number: int, method: str, params: Sequence[object]) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}


def _encoded(request: object) -> bytes:
    return msgspec.json.encode(request)
