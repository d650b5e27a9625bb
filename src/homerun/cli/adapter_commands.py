"""The commands of `homerun adapters`: names, flags and help; what they do is in `cli.adapters`."""

from pathlib import Path
from typing import Annotated

import typer

from homerun.cli.options import settings_from

app = typer.Typer(help="LoRA adapters of this machine.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name or id, as `list` shows it.")]
Account = Annotated[str | None, typer.Option(help="Whose it is.  [default: local]")]
Json = Annotated[bool, typer.Option("--json", help="JSON, as the HTTP API has it.")]


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What requests shall call it.")],
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="DIR | FILES", help="PEFT's directory, or its two files."),
    ],
    model: Annotated[
        str, typer.Option(help="The base it was made for: a model's name, or NAME=PATH.")
    ],
    description: Annotated[str, typer.Option(help="For people.")] = "",
    public: Annotated[
        bool, typer.Option("--public", help="For all accounts; the name says so, too.")
    ] = False,
    account: Account = None,
) -> None:
    """Check an adapter and keep it, for running servers too."""
    from homerun.cli import adapters

    settings = settings_from(account=account)
    adapters.add(name, model, sources, description, public, settings)


@app.command("list")
def show(
    public: Annotated[
        bool,
        typer.Option("--public", help="Those for all accounts, in place of the account's own."),
    ] = False,
    account: Account = None,
    as_json: Json = False,
) -> None:
    """List adapters."""
    from homerun.cli import adapters

    adapters.show_all(settings_from(account=account), public=public, as_json=as_json)


@app.command("show")
def show_one(name: Name, account: Account = None, as_json: Json = False) -> None:
    """Show one adapter, its files, and why it failed."""
    from homerun.cli import adapters

    adapters.show_one(name, settings_from(account=account), as_json=as_json)


@app.command("rm")
def remove(name: Name, account: Account = None) -> None:
    """Delete an adapter; requests that use it finish."""
    from homerun.cli import adapters

    adapters.remove(name, settings_from(account=account))


@app.command("export")
def export(
    name: Name,
    directory: Annotated[Path, typer.Argument(help="Where its two files go.")],
    account: Account = None,
) -> None:
    """Copy an adapter's files out, as they were uploaded."""
    from homerun.cli import adapters

    adapters.export(name, directory, settings_from(account=account))
