"""The daily run as a program, with limits of seconds where ours are of hours; reports how it ended and what is left."""

import json
import sys
import threading
import time

from flows.scheduled import flows, tasks


def main() -> None:
    limits, parameters = json.loads(sys.argv[1])
    for name, seconds in limits.items():
        home = flows if name == "daily" else tasks
        setattr(home, name, getattr(home, name).with_options(timeout_seconds=seconds))
    began = time.monotonic()
    state = flows.daily(**parameters, return_state=True)
    result = {
        "name": state.name,
        "type": state.type.value,
        "message": state.message,
        "seconds": time.monotonic() - began,
        "threads": [thread.name for thread in threading.enumerate()],
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
