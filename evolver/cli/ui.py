"""`evolver ui`: runs as pages in a browser, to watch, compare and judge."""

from __future__ import annotations

import os
import socket
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from evolver.errors import ConfigError, UsageError


def ui(
    place: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FOLDER]",
            help="A folder of runs, or one run; default $EVOLVER_RUNS or ./runs.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen on; any but this machine's own: see above.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any that is free.", min=0, max=65535)] = 8765,
    name: Annotated[
        list[str] | None,
        typer.Option(help="A name that this machine is reached by; may be repeated."),
    ] = None,
    browse: Annotated[bool, typer.Option("--open", help="Open it in a browser, too.")] = False,
) -> None:
    """Show runs in a browser: progress, leaderboard, lineage, maps, each candidate with its diff
    and evidence; approve, reject, pin, ban and comment. Needs: pip install 'evolver[ui]'.

    Only this machine reaches it, and only who has the address that is printed, token included.
    Another --host needs a password in $EVOLVER_UI_PASSWORD. Safe while searches go on.
    """
    try:
        import uvicorn

        from evolver.ui.app import application
    except ImportError as error:
        raise ConfigError(
            f"{error.name} is not installed; evolver ui needs: pip install 'evolver[ui]'"
        ) from error
    from evolver.config import runs_folder, ui_password
    from evolver.ui.runs import Shelf
    from evolver.ui.security import Keys, is_loopback

    password = ui_password()
    public = not is_loopback(host)
    if public and password is None:
        raise UsageError(
            f"others reach {host}: set EVOLVER_UI_PASSWORD, or stay with 127.0.0.1 and come "
            "through `ssh -L 8765:127.0.0.1:8765 THIS_MACHINE`"
        )
    keys, shelf = Keys(password), Shelf(place or runs_folder())
    with _listen(host, port) as listener:
        port = listener.getsockname()[1]
        known = {*(name or ()), *([host, socket.gethostname()] if public else [])}
        served = application(
            shelf, keys, port=port, public=public, names=frozenset(n.lower() for n in known)
        )
        shown = host if host not in ("0.0.0.0", "::") else socket.gethostname()
        base = f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
        address = f"{base}/sign-in" if public else f"{base}/?token={keys.token}"
        typer.echo(f"evolver ui: {address}  (Ctrl-C ends it)")
        if public:
            typer.echo("What is sent can be read on the way: put a proxy with TLS before it.")
        if browse:
            webbrowser.open(address)
        config = uvicorn.Config(served, log_level="warning", access_log=False, lifespan="off")
        uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises UsageError where it cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except socket.gaierror as error:
        raise UsageError(f"cannot listen on {host}: {error.strerror}") from error
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise UsageError(
            f"cannot listen on {host} port {port}: {reason}; choose another --host or --port"
        ) from error
