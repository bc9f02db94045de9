"""Where the process of the `hashpivot` command begins, before anything that takes time to import."""

import signal


def main() -> None:
    """Run the command that was typed."""
    # While modules are imported there is nothing to undo: ctrl-C ends the process as it ends any, without a traceback.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from flows.command.cli import main as run

    run()
