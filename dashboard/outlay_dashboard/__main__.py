"""`python -m outlay_dashboard`: the dashboard as a process of its own, on loopback unless told otherwise.

Streamlit reads its settings when it starts, so they are passed here and not in a file: nothing depends on the folder
the command is run in. The API key travels in the environment, never in an argument that `ps` would show.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from outlay_dashboard.client import API_KEY_VARIABLE, DEFAULT_ENDPOINT, ENDPOINT_VARIABLE
from outlay_dashboard.theme import STREAMLIT

_APP = Path(__file__).with_name("app.py")


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until it is stopped; returns the exit status."""
    options = _parser().parse_args(argv)
    if options.api:
        os.environ[ENDPOINT_VARIABLE] = options.api
    if options.api_key_env:
        if options.api_key_env not in os.environ:
            sys.stderr.write(f"--api-key-env {options.api_key_env}: there is no such environment variable\n")
            return 2
        os.environ[API_KEY_VARIABLE] = os.environ[options.api_key_env]
    if options.until_stdin_closes:
        threading.Thread(target=_end_with_stdin, name="outlay-parent", daemon=True).start()
    return _serve(options.host, options.port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m outlay_dashboard", description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=8501, help="port to serve on (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: %(default)s)")
    parser.add_argument(
        "--api",
        metavar="URL",
        help=f"address of the collector (default: ${ENDPOINT_VARIABLE}, else {DEFAULT_ENDPOINT})",
    )
    parser.add_argument(
        "--api-key-env",
        metavar="NAME",
        help=f"environment variable that holds an API key with the read scope (default: {API_KEY_VARIABLE})",
    )
    parser.add_argument("--until-stdin-closes", action="store_true", help=argparse.SUPPRESS)
    return parser


def _end_with_stdin() -> None:
    """For whoever starts this as a child and holds the other end of its stdin: a process that is killed closes it too.
    Nothing is lost by ending at once: the dashboard keeps nothing."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(0)


def _serve(host: str, port: int) -> int:
    from streamlit.web import cli  # takes a second to import: --help does not wait for it

    settings = {
        **STREAMLIT,
        "server.address": host,
        "server.port": str(port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "none",
        "logger.hideWelcomeMessage": "true",
        "logger.level": "error",
    }
    arguments = ["run", str(_APP), *(f"--{name}={value}" for name, value in settings.items())]
    try:
        cli.main(arguments, prog_name="streamlit", standalone_mode=False)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
