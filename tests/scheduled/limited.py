"""The daily run as a program, with limits of seconds where ours are of hours; tells how it ended and what is left."""

import json
import sys
import threading
import time

import flows.scheduled.daily as ours


def main() -> None:
    limits, parameters = json.loads(sys.argv[1])
    for name, seconds in limits.items():
        setattr(ours, name, getattr(ours, name).with_options(timeout_seconds=seconds))
    began = time.monotonic()
    state = ours.daily(ours.DailyParameters.model_validate(parameters), return_state=True)
    told = {
        "name": state.name,
        "type": state.type.value,
        "message": state.message,
        "seconds": time.monotonic() - began,
        "threads": [thread.name for thread in threading.enumerate()],
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
