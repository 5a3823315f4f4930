# SPDX-License-Identifier: Apache-2.0
"""zunctl: containers from the command line. Subcommands are imported when they are used, so that `--help` is quick."""

import importlib
import os
import sys
from typing import TYPE_CHECKING

import click

from zun import __version__
from zun.cli.failures import INTERRUPTED, Failure, Interrupted

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from zun.cli.client import Client

# One line per command: its module below zun.cli, the function, and what the overview says.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "run": ("run", "run", "Make a container and start it; in the foreground unless -d"),
    "create": ("run", "create", "Make a container without starting it"),
    "ps": ("listing", "ps", "List containers"),
    "show": ("listing", "show", "Show a container"),
    "start": ("lifecycle", "start", "Start containers"),
    "stop": ("lifecycle", "stop", "Stop containers"),
    "restart": ("lifecycle", "restart", "Stop and start containers"),
    "kill": ("lifecycle", "kill", "Send a signal to containers"),
    "pause": ("lifecycle", "pause", "Freeze containers"),
    "unpause": ("lifecycle", "unpause", "Thaw containers"),
    "rm": ("lifecycle", "rm", "Remove containers"),
    "wait": ("waiting", "wait", "Wait until containers end; print their exit codes"),
    "logs": ("logs", "logs", "Show a container's output"),
    "exec": ("execute", "execute", "Run a command in a container"),
    "attach": ("attach", "attach", "Connect the terminal to a container"),
    "port-forward": ("port_forward", "port_forward", "Reach ports of a container from this machine"),
    "cp": ("copy", "copy", "Copy files into and out of a container"),
    "port": ("ports", "port", "Show where a container's ports are found"),
    "top": ("inspecting", "top", "Show a container's processes"),
    "stats": ("inspecting", "stats", "Show what containers use"),
    "events": ("events", "events", "Follow what happens to containers"),
    "actions": ("actions", "actions", "Show what was done to a container, and how long it took"),
    "commit": ("changing", "commit", "Make an image of a container"),
    "rename": ("changing", "rename", "Give a container another name"),
    "update": ("changing", "update", "Change a container's limits"),
    "rebuild": ("changing", "rebuild", "Make a container anew, from another image if wished"),
    "capsule": ("capsule", "capsule", "Groups of containers that share an address"),
    "network": ("network", "network", "Plug containers into networks"),
    "images": ("images", "images", "Images on the hosts"),
    "hosts": ("hosts", "hosts", "Machines that run containers"),
    "node": ("nodes", "node", "Machines: their state, emptying them, switching them off, letting others join"),
    "doctor": ("doctor", "doctor", "What is wrong with the installation, and what to do"),
    "services": ("services", "services", "State of the service's parts"),
    "zones": ("hosts", "zones", "Availability zones"),
    "quota": ("quota", "quota", "Limits and usage of a project"),
    "registry": ("registry", "registry", "Private registries"),
    "version": ("about", "version", "Versions of client and service"),
    "config": ("about", "config", "Where zunctl finds the service"),
    "completion": ("about", "completion", "Shell completion for bash, zsh or fish"),
}
ALIASES = {"list": "ps", "inspect": "show"}


class LazyGroup(click.Group):
    """A group that knows its commands' names and summaries without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names in the order of the table."""
        return list(COMMANDS)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list["CompletionItem"]:  # noqa: ARG002
        """Commands that begin so, from the table: completing must not import them all."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - only for completion

        names = [name for name in (*COMMANDS, *ALIASES) if name.startswith(incomplete)]
        return [CompletionItem(name, help=COMMANDS[ALIASES.get(name, name)][2]) for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the command that is about to run."""
        entry = COMMANDS.get(ALIASES.get(cmd_name, cmd_name))
        if entry is None:
            return None
        module, function, _ = entry
        command = getattr(importlib.import_module(f"zun.cli.{module}"), function)
        assert isinstance(command, click.Command)  # noqa: S101 - a wrong table is our fault, seen by the first test
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The overview, from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, _, summary) in COMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="zunctl")
@click.option("--url", metavar="URL", help="The service's URL (ZUN_URL).")
@click.option("--token", metavar="TOKEN", help="A token (ZUN_TOKEN).")
@click.option("--os-cloud", metavar="NAME", help="An entry of clouds.yaml (OS_CLOUD).")
@click.option("--debug", is_flag=True, help="Show each request on standard error, without secrets.")
@click.pass_context
def cli(ctx: click.Context, url: str | None, token: str | None, os_cloud: str | None, *, debug: bool) -> None:
    """Containers through one API, whatever engine runs them.

    The service is found by the first of these that says something: --url and --token; ZUN_URL and ZUN_TOKEN; --os-cloud or OS_CLOUD
    (clouds.yaml); OS_AUTH_TYPE, OS_AUTH_URL or OS_TOKEN and their kin; the local service's file local.json in ZUN_STATE_DIR,
    /var/lib/zun or ~/.local/share/zun. `zunctl config` tells what was found.

    Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 service not reached or token not accepted; 4 no such thing; 130
    interrupted. run, exec, attach and wait end with the process's own code; run with 125 when the container could not be made, 126
    when its command cannot be executed, 127 when there is no such command.
    """
    ctx.obj = {**(ctx.obj or {}), "url": url, "token": token, "cloud": os_cloud, "debug": debug}


def main(arguments: list[str] | None = None, *, client: "Client | None" = None) -> int:
    """Run zunctl; the exit code is in `zun.cli.failures`. `client` is for tests."""
    try:
        outcome = cli.main(args=arguments, prog_name="zunctl", standalone_mode=False, obj={"client": client})
        print(end="", flush=True)  # what cannot be written is noticed here
        return outcome if isinstance(outcome, int) else 0
    except Interrupted as interrupted:
        return interrupted.exit_code
    except Failure as failure:
        print(f"zunctl: {failure.message}", file=sys.stderr)
        return failure.exit_code
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except (BrokenPipeError, SystemExit) as error:
        if isinstance(error, SystemExit) and "_ZUNCTL_COMPLETE" in os.environ:
            raise
        # Click leaves with SystemExit when a pipe breaks. Whoever read our output went away (`zunctl logs … | head`); that is no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
