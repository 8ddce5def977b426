"""``airflow visma …``: what is done at a terminal."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from airflow.cli.cli_config import CLICommand


def visma_commands() -> list[CLICommand]:
    """Return the commands of this provider."""
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand, lazy_load_command

    conn_id = Arg(("conn_id",), help="Connection of the type teamleader_orbit")  # type: ignore[no-untyped-call]
    return [
        GroupCommand(
            name="visma",
            help="Visma: sign in to Teamleader Orbit",
            subcommands=(
                ActionCommand(
                    name="orbit-login",
                    help="Sign in to Teamleader Orbit for a connection",
                    description="Prints an address to open in a browser, reads the address on which the"
                    " browser ends after signing in, and stores the session.",
                    func=lazy_load_command("airflow_provider_visma.cli.orbit_login"),
                    args=(conn_id,),
                ),
            ),
        )
    ]


def orbit_login(args: argparse.Namespace) -> None:
    """Sign in for a connection, with a browser anywhere and the clipboard.

    :raises SystemExit: it did not work; says why.
    """
    from airflow_provider_visma import orbit_sign_in
    from airflow_provider_visma.exceptions import VismaError

    by = f"{orbit_sign_in.TERMINAL}{getpass.getuser()}"
    try:
        begun = orbit_sign_in.begin(orbit_sign_in.read_settings(args.conn_id), by=by)
        print(f"Open this address in a browser and sign in to Teamleader Orbit:\n\n{begun.address}\n")
        print(
            f"The browser ends on an address that begins with {begun.redirect_uri} (the page itself may fail"
            f" to load). Paste that address here, within {orbit_sign_in.LASTS / 60:.0f} minutes:"
        )
        signed_in = orbit_sign_in.finish(input("> "), by=by)
    except VismaError as error:
        raise SystemExit(f"Not signed in. {error}") from None
    except (EOFError, KeyboardInterrupt):
        raise SystemExit("Not signed in: no address was given.") from None
    print(f"Signed in. The connection {signed_in.conn_id} can be used.")
