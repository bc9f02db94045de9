"""JSON-RPC with one node: one call or a batch, decoded straight into the type that is asked for.

Source: https://github.com/bitcoin/bitcoin/blob/master/doc/JSON-RPC-interface.md. Requests are JSON-RPC 2.0; nodes
before 28.0 answer them in the dialect of 1.x, where an error comes as HTTP 500, so the body is read whatever the
status.
"""

from collections.abc import Hashable, Sequence
from functools import cache
from itertools import count
from typing import Any, Final, Generic, TypeVar, cast

import msgspec

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

Kind = TypeVar("Kind")


class Fault(msgspec.Struct):
    """Why a call failed."""

    code: int
    message: str


class Answer(msgspec.Struct, Generic[Kind]):
    """One answer of either dialect: `error` is missing or null where there is a result."""

    id: int | None = None
    result: Kind | None = None
    error: Fault | None = None


class Rpc:
    """Calls to one node."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._ids = count()

    def call(self, method: str, params: Sequence[object], kind: type[Kind]) -> Kind:
        """The result of one call.

        Raises `NodeRefusalError` where the node refuses it, `BadInputError` where the answer is none, `TransientError`
        where patience ran out.
        """

        def attempt() -> Kind:
            number = next(self._ids)
            reply = self.connection.post(method, _encoded(_request(number, method, params)))
            answer: Answer[Kind] = self._decoded(method, reply, _answer(cast(Hashable, kind)))
            # A request that cannot even be parsed is answered without its id.
            if answer.id != number and answer.error is None:
                raise self._mixed_up(method, f"the answer to request {answer.id}", str(number))
            return self._result(method, answer)

        return self.connection.patiently(attempt)

    def batch(self, method: str, params: Sequence[Sequence[object]], kind: type[Kind]) -> list[Kind | NodeRefusalError]:
        """The results of many small calls in the order of `params`, each call that was refused with its own error.

        Answers are matched by id, and one too many or too few makes us ask for all of them again. Raises as `call`.
        """
        if not params:
            return []

        def attempt() -> list[Kind | NodeRefusalError]:
            numbers = [next(self._ids) for _ in params]
            requests = [_request(number, method, each) for number, each in zip(numbers, params, strict=True)]
            place = f"batch of {len(params)} {method}"
            answers = self._decoded(
                place, self.connection.post(place, _encoded(requests)), _answers(cast(Hashable, kind))
            )
            if isinstance(answers, Answer):
                self._result(place, answers)
                raise self._mixed_up(place, "one answer", f"{len(params)} answers")
            by_id = {answer.id: answer for answer in answers}
            if len(answers) != len(numbers) or by_id.keys() != set(numbers):
                raise self._mixed_up(place, f"{len(answers)} answers to {len(by_id)} calls", "one to each")
            results: list[Kind | NodeRefusalError] = []
            for number in numbers:
                try:
                    results.append(self._result(method, by_id[number]))
                except NodeRefusalError as refusal:
                    results.append(refusal)
            return results

        return self.connection.patiently(attempt)

    def _decoded(self, place: str, reply: Reply, decoder: msgspec.json.Decoder[Any]) -> Any:
        body = reply.body.lstrip()
        if reply.status not in JSON_STATUS or (body and body[:1] not in (b"{", b"[")):
            raise self.connection.refuse(place, reply, "a JSON-RPC answer")
        try:
            return decoder.decode(body)
        except msgspec.ValidationError as error:
            raise BadInputError(
                f"{self.connection.origin} {place}",
                str(error),
                "an answer as Bitcoin Core gives it",
                "check what kind of node this is",
            ) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise TransientError(
                f"{self.connection.origin} {place}: found {len(reply.body):,} bytes of JSON that break off or are "
                "damaged, expected a whole answer; try again later"
            ) from error

    def _result(self, method: str, answer: Answer[Kind]) -> Kind:
        place = f"{self.connection.origin} {method}"
        if answer.error is None:
            if answer.result is None:
                raise BadInputError(place, "no result and no error", "one of them", "check what kind of node this is")
            return answer.result
        code, message = answer.error.code, " ".join(answer.error.message.split())
        if code == WARMING_UP or (code == MISCELLANEOUS and NOT_DOWNLOADED in message):
            raise TransientError(f"{place}: found {message!r}, expected a node that is ready; try again later")
        raise NodeRefusalError(place, code, message)

    def _mixed_up(self, place: str, found: str, expected: str) -> TransientError:
        return TransientError(f"{self.connection.origin} {place}: found {found}, expected {expected}; try again later")


def _request(number: int, method: str, params: Sequence[object]) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}


def _encoded(request: object) -> bytes:
    return msgspec.json.encode(request)


@cache
def _answer(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(Answer[kind])


@cache
def _answers(kind: Any) -> msgspec.json.Decoder[Any]:
    # A batch that is refused whole, for instance during the start, gets one answer.
    return msgspec.json.Decoder(list[Answer[kind]] | Answer[kind])
