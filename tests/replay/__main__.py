"""Run the replay server by hand: `python -m tests.replay`, then paste what it prints into another terminal."""

import argparse
import time

from tests.replay import ReplayServer
from tests.replay.faults import ALWAYS, FAULTS, Fault
from tests.replay.sites import all_sites


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.replay", description=__doc__)
    parser.add_argument("--port", type=int, default=8600)
    parser.add_argument("--time-scale", type=float, default=1, help="shrinks limits and pauses on both sides")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="SITE:KIND[:FIRST[:TIMES]]",
        help=f"kinds: {', '.join(FAULTS)}; without FIRST every request meets it",
    )
    options = parser.parse_args()
    with ReplayServer(all_sites(), time_scale=options.time_scale, port=options.port) as server:
        for stated in options.fault:
            site, kind, *rest = stated.split(":")
            first, times = [int(each) for each in rest[:2]] + [1, 1 if rest else ALWAYS][len(rest) :]
            server.faults.append(Fault(kind, site, first, times))
        for variable, value in server.settings().items():
            print(f"export {variable}='{value}'")
        print("export HASHPIVOT_PROFILE=live")
        for site in server.sites.values():
            for switch in site.switches:
                print(f"# curl -X POST http://127.0.0.1:{server.port}/_switch/{site.name}/{switch}")
        print("# watching; end with ctrl-c", flush=True)
        server.watched = True
        shown_count = 0
        try:
            while True:
                time.sleep(0.2)
                for rule in server.broken[shown_count:]:
                    print(f"RULE BROKEN: {rule}", flush=True)
                shown_count = len(server.broken)
        except KeyboardInterrupt:
            print(f"\n{len(server.log)} requests, {len(server.broken)} rules broken")


if __name__ == "__main__":
    main()
