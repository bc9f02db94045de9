"""Hosted sources and the node that fail, or whose responses are changed on the way."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.campaign.command import Command, Finished
from tests.campaign.tries import Outcome, Publication, Workshop, healed, judged, whole
from tests.node.node_command import LABELS
from tests.node.replay_node import Fault as NodeFault
from tests.node.replay_node import ReplayNode, recorded
from tests.replay import Fault, ReplayServer
from tests.replay.faults import ALWAYS, FAULTS
from tests.replay.site import ReplayRequest, ReplayResponse
from tests.replay.sites import all_sites

TIME_SCALE: Final = 0.05
LATEST_REQUEST: Final = 3
WEIGHTS: Final = {"coinmetrics": 6, "mempool": 6, "edgar": 3}
"""Of sites whose figures are published unless they fail; of others, a share of the tries shows that they are not."""
NODE_FAULTS: Final = (
    "busy",
    "old busy",
    "warming",
    "cut short",
    "cut off",
    "empty",
    "reset",
    "slow",
)
NODE_METHODS: Final = ("*", "getblock", "getblockchaininfo", "batch getblockhash", "batch getblockheader")
Respond = Callable[[ReplayRequest, str], ReplayResponse | None]


def try_hosted_fault(workshop: Workshop, name: str, random: Random) -> Outcome:
    """One source fails for one, some or all requests; the next run, with all sources well, heals."""
    with ReplayServer(all_sites(), time_scale=TIME_SCALE) as server:
        start, normal = _live_without_fault(workshop)
        kind, site = random.choice(FAULTS), _site(server, random)
        fault = Fault(kind, site, random.randint(1, LATEST_REQUEST), random.choice([1, 3, ALWAYS]))
        server.faults.append(fault)
        shown = f"{site}: {kind} from request {fault.first} on, {'always' if fault.times == ALWAYS else fault.times}"
        home = workshop.place(name, start if random.random() < 0.3 else None)
        run = workshop.daily(home, "--profile", "live", **server.settings())
        return judged(run.run(), home, normal, whole(home) and normal, shown)


def try_changed_response(workshop: Workshop, name: str, random: Random) -> Outcome:
    """Figures of one source are changed in all responses to a request, or its responses are cut or emptied."""
    with ReplayServer(all_sites(), time_scale=TIME_SCALE) as server:
        start, normal = _live_without_fault(workshop)
        site = server.sites[_site(server, random)]
        change = Change(random)
        site.respond = _changing(site.respond, change)  # type: ignore[method-assign]
        home = workshop.place(name, start if random.random() < 0.3 else None)
        finished = workshop.daily(home, "--profile", "live", **server.settings()).run()
        return judged(finished, home, normal, whole(home) and normal, f"{site.name}: {change}")


def try_node_fault(workshop: Workshop, name: str, random: Random) -> Outcome:
    """The node fails for some requests; the run ends as ever or in one line, and the next one heals."""
    home = workshop.place(name)

    def run(place: Path, node: ReplayNode) -> Command:
        environment = {
            "HASHPIVOT_NODE_URL": node.url,
            "HASHPIVOT_NODE_COOKIE_FILE": str(node.cookie_file),
            "HASHPIVOT_NODE_CHAIN": "regtest",
            "HASHPIVOT_LABELS_FILE": str(LABELS),
        }
        return workshop.daily(place, "--profile", "node-only", **environment)

    node = ReplayNode(home.parent / "cookie", chain=recorded())
    node.start()
    try:
        _, normal = workshop.without_fault("node", lambda place: run(place, node).run())
        fault = NodeFault(
            random.choice(NODE_FAULTS),
            random.choice(NODE_METHODS),
            times=random.choice([1, 3, 10, ALWAYS]),
            skip=random.randrange(60),
            seconds=0.2,
        )
        node.faults.append(fault)
        shown = f"node: {fault.kind} at {fault.method} after {fault.skip}, {fault.times} times"
        outcome = judged(run(home, node).run(), home, normal, None, shown)
        node.faults.clear()
        return healed(workshop, run(home, node), home, normal, shown) or outcome
    finally:
        node.stop()


def _site(server: ReplayServer, random: Random) -> str:
    names = sorted(server.sites)
    return random.choices(names, [WEIGHTS.get(name, 1) for name in names])[0]


def _live_without_fault(workshop: Workshop) -> tuple[Path, Publication]:
    def run(home: Path) -> Finished:
        with ReplayServer(all_sites(), time_scale=TIME_SCALE) as server:
            return workshop.daily(home, "--profile", "live", **server.settings()).run()

    return workshop.without_fault("live", run)


class Change:
    """A change of the JSON bodies of a source: one leaf that lists share, or the body as a whole."""

    WHOLE: Final = ("cut in half", "emptied list", "second half missing", "first half missing", "reversed", "doubled")
    FACTORS: Final = {"x1000": 1000, "x0.001": 0.001, "x10": 10, "negative": -1}
    LEAF: Final = (*FACTORS, "null", "zero", "text", "missing", "renamed")

    def __init__(self, random: Random) -> None:
        self.kind = random.choice(self.WHOLE + self.LEAF * 2)
        self.share = random.choice([0.02, 0.2, 1.0])
        self._choice = random.random()
        self.leaf = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.leaf} in the last {self.share:.0%}" if self.kind in self.LEAF else self.kind

    def apply(self, body: bytes) -> bytes:
        """The changed body; what is no JSON is only cut."""
        if self.kind == "cut in half":
            return body[: len(body) // 2]
        try:
            value = json.loads(body)
        except ValueError:
            return body
        if self.kind in self.WHOLE:
            return json.dumps(self._whole(value)).encode()
        records = list(_records(value))
        leaves = sorted({leaf for record in records for leaf, value in record.items() if self._fits(value)})
        if not leaves:
            return body
        self.leaf = self.leaf if self.leaf in leaves else leaves[int(self._choice * len(leaves))]
        changed = [record for record in records if self.leaf in record and self._fits(record[self.leaf])]
        for record in changed[-max(1, round(len(changed) * self.share)) :]:
            self._leaf(record)
        return json.dumps(value).encode()

    def _whole(self, value: Any) -> Any:
        if isinstance(value, dict):
            longest = max(value, key=lambda key: len(value[key]) if isinstance(value[key], list) else -1, default=None)
            return value if longest is None else value | {longest: self._whole(value[longest])}
        if not isinstance(value, list):
            return value
        half = len(value) // 2
        return {
            "emptied list": [],
            "second half missing": value[:half],
            "first half missing": value[half:],
            "reversed": value[::-1],
            "doubled": value + value,
        }[self.kind]

    def _fits(self, value: Any) -> bool:
        """Whether the change would change this value: factors need a number, maybe as text."""
        if self.kind not in self.FACTORS:
            return True
        try:
            return float(value) != 0
        except (TypeError, ValueError):
            return False

    def _leaf(self, record: Any) -> None:
        value = record[self.leaf]
        if self.kind in ("missing", "renamed"):
            del record[self.leaf]
            if self.kind == "renamed":
                record[f"{self.leaf}_"] = value
            return
        replaced = {"null": None, "zero": 0, "text": "n/a"}
        if self.kind in replaced:
            record[self.leaf] = (
                type(value)(0) if self.kind == "zero" and isinstance(value, str) else replaced[self.kind]
            )
            return
        if not self._fits(value):
            return
        number = float(value) * self.FACTORS[self.kind]
        if isinstance(value, int):
            record[self.leaf] = round(number)
        else:
            record[self.leaf] = repr(number) if isinstance(value, str) else number


def _records(value: Any) -> Iterator[dict[str, Any]]:
    """Every object with leaves, outermost first."""
    if isinstance(value, dict):
        yield {} if any(isinstance(each, (dict, list)) for each in value.values()) and len(value) == 1 else value
        for each in value.values():
            yield from _records(each)
    elif isinstance(value, list):
        for each in value:
            yield from _records(each)


def _changing(respond: Respond, change: Change) -> Respond:
    def changed(request: ReplayRequest, base: str) -> ReplayResponse | None:
        response = respond(request, base)
        return response and replace(response, body=change.apply(response.body))

    return changed
