"""The `homerun` command: names, flags and help. What a command does is in its own module.

Those modules are imported when they are called, so that `homerun --help` is quick.
"""

from pathlib import Path
from typing import Annotated

import typer

from homerun.cli.adapter_commands import app as adapters_app
from homerun.cli.bench.commands import app as bench_app
from homerun.cli.options import settings_from
from homerun.errors import HomerunError
from homerun.settings import parse_bytes

app = typer.Typer(
    name="homerun",
    help="Workers AI text generation on machines people own.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
tokens_app = typer.Typer(help="Who may use a server that is not open.", no_args_is_help=True)
models_app = typer.Typer(help="Weights as homerun keeps them.", no_args_is_help=True)
app.add_typer(models_app, name="models")
app.add_typer(adapters_app, name="adapters")
app.add_typer(tokens_app, name="tokens")
app.add_typer(bench_app, name="bench")

Host = Annotated[str | None, typer.Option(help="Address to listen on.  [default: 127.0.0.1]")]
Port = Annotated[int | None, typer.Option(help="[default: 11787]", min=0, max=65535)]
StandIn = Annotated[
    bool, typer.Option("--stand-in", help="rookie answers for models that are not here.")
]
Dtype = Annotated[
    str | None, typer.Option(help="int8, bf16, fp16 or fp32.  [default: as the catalog says]")
]
WeightGroup = Annotated[
    int | None, typer.Option(min=0, help="int8: weights per scale; 0 is a whole channel.")
]
ActivationGroup = Annotated[
    int | None, typer.Option(min=0, help="int8: inputs per scale; 0 is a whole row.")
]
MaxModelLen = Annotated[
    int | None, typer.Option(min=1, help="Shorter context window, in tokens.", metavar="N")
]
KVMemory = Annotated[
    str | None, typer.Option(help="Memory of the KV cache of each model, e.g. 2G.", metavar="BYTES")
]


@app.command()
def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Names or NAME=PATH.  [default: @homerun/rookie]"),
    ] = None,
    host: Host = None,
    port: Port = None,
    stand_in: StandIn = False,
    dtype: Dtype = None,
    kv_dtype: Annotated[
        str | None, typer.Option(help="fp32, fp16, bf16 or int8.  [default: fits the weights]")
    ] = None,
    max_model_len: MaxModelLen = None,
    kv_memory: KVMemory = None,
    weights_in_ram: Annotated[
        bool, typer.Option("--weights-in-ram", help="Copy packed weights instead of mapping them.")
    ] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Another Host header to accept; repeatable.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="A browser Origin to accept; repeatable.")
    ] = None,
) -> None:
    """Serve models over the HTTP API."""
    from homerun.cli.serve import serve as command

    settings = settings_from(
        host=host,
        port=port,
        stand_in=stand_in or None,
        dtype=dtype,
        kv_dtype=kv_dtype,
        max_model_len=max_model_len,
        kv_memory=_size(kv_memory),
        weights_in_ram=weights_in_ram or None,
        allow_host=tuple(allow_host) if allow_host else None,
        allow_origin=tuple(allow_origin) if allow_origin else None,
    )
    command(models or [], settings)


@app.command()
def run(
    model: Annotated[str, typer.Argument(help="A model's name, or NAME=PATH.")],
    prompt: Annotated[str | None, typer.Argument(help="What to say; a pipe works too.")] = None,
    system: Annotated[str | None, typer.Option(help="System message.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1)] = None,
    temperature: Annotated[float | None, typer.Option(min=0, max=5)] = None,
    seed: Annotated[int | None, typer.Option(min=1)] = None,
    lora: Annotated[str | None, typer.Option(help="Name or id of an adapter.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Do not apply the chat template.")] = False,
    stand_in: StandIn = False,
    host: Host = None,
    port: Port = None,
    dtype: Dtype = None,
    max_model_len: MaxModelLen = None,
) -> None:
    """Stream the answer to one prompt, through a running server if one answers."""
    from homerun.cli.run import run as command

    options = {
        "system": system,
        "max_tokens": max_tokens,
        "temperature": temperature,
        "seed": seed,
        "lora": lora,
        "raw": raw or None,
    }
    given = {name: value for name, value in options.items() if value is not None}
    settings = settings_from(
        host=host,
        port=port,
        stand_in=stand_in or None,
        dtype=dtype,
        max_model_len=max_model_len,
    )
    command(model, prompt, given, settings)


@app.command()
def demo(host: Host = None, port: Port = None) -> None:
    """Start a server with rookie, send it one request, show the answer."""
    from homerun.cli.demo import demo as command

    command(settings_from(host=host, port=port))


@app.command()
def doctor(
    full: Annotated[
        bool, typer.Option("--full", help="Verify every byte of the imported models.")
    ] = False,
    json_wanted: Annotated[
        bool, typer.Option("--json", help="One JSON object instead of a page.")
    ] = False,
    host: Host = None,
    port: Port = None,
) -> None:
    """Tell about this machine and this install, and what is wrong with them."""
    from homerun.cli.doctor.command import doctor as command

    if not command(full=full, json_wanted=json_wanted, host=host, port=port):
        raise typer.Exit(1)


@models_app.command("pull")
def models_pull(
    model: Annotated[str, typer.Argument(help="A model of the catalog, or OWNER/NAME of a hub.")],
    name: Annotated[
        str | None, typer.Option(help="What it shall be served as.  [default: as asked for]")
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit.  [default: the main branch]")
    ] = None,
    dtype: Dtype = None,
    weight_group: WeightGroup = None,
    activation_group: ActivationGroup = None,
    token_from_env: Annotated[
        str | None,
        typer.Option(help="Variable with the hub's token.  [default: HF_TOKEN]", metavar="NAME"),
    ] = None,
) -> None:
    """Fetch a checkpoint and import it; goes on where an earlier try was broken off."""
    from homerun.cli.pull import pull

    groups = _groups(weight_group, activation_group)
    pull(model, name, revision, dtype, groups, token_from_env, settings_from())


@models_app.command("import")
def models_import(
    name: Annotated[str, typer.Argument(help="What it shall be served as.")],
    path: Annotated[Path, typer.Argument(help="The checkpoint's directory.")],
    dtype: Dtype = None,
    weight_group: WeightGroup = None,
    activation_group: ActivationGroup = None,
) -> None:
    """Pack a checkpoint, once, so that it is ready to use at every start."""
    from homerun.cli import models

    models.add(name, path, dtype, _groups(weight_group, activation_group), settings_from())


@models_app.command("list")
def models_list() -> None:
    """List imported models."""
    from homerun.cli import models

    models.show(settings_from())


@models_app.command("check")
def models_check(
    name: Annotated[str, typer.Argument(help="As `models list` shows it.")],
    text: Annotated[
        Path | None, typer.Option(help="Compare perplexities on this text.", metavar="FILE")
    ] = None,
    source: Annotated[
        Path | None, typer.Option(help="The checkpoint.  [default: as imported]", metavar="PATH")
    ] = None,
    window: Annotated[int, typer.Option(min=16, help="Tokens that see each other.")] = 512,
) -> None:
    """Verify a model's file; with a text, compare it with the checkpoint it was made from."""
    from homerun.cli import models

    models.check(name, text, source, window, settings_from())


@models_app.command("rm")
def models_rm(name: Annotated[str, typer.Argument(help="As `models list` shows it.")]) -> None:
    """Delete an imported model."""
    from homerun.cli import models

    models.remove(name, settings_from())


@tokens_app.command("create")
def tokens_create(
    name: Annotated[str, typer.Argument(help="What the token is for.")] = "token",
    account: Annotated[str, typer.Option(help="The account it belongs to.")] = "local",
) -> None:
    """Make a token. From the first one on, the server asks for one."""
    from homerun.cli import tokens

    tokens.create(name, account, settings_from())


@tokens_app.command("list")
def tokens_list() -> None:
    """List tokens, without their secrets."""
    from homerun.cli import tokens

    tokens.show(settings_from())


@tokens_app.command("revoke")
def tokens_revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `tokens list` shows it.")],
) -> None:
    """End a token at once, for running servers too."""
    from homerun.cli import tokens

    tokens.revoke(token_id, settings_from())


def main() -> None:
    """Entry point. Errors meant for a person end the command with their text and status 1."""
    from homerun.cli.terminal import fail

    try:
        app()
    except HomerunError as error:
        fail(error)
    except OSError as error:  # of files that this user may not see, most likely
        if error.filename is None:
            raise
        fail(f"{error.filename}: {error.strerror}")
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _groups(weight: int | None, activation: int | None) -> tuple[int, int]:
    from homerun.model.quantize import DEFAULT_GROUPS

    return (
        DEFAULT_GROUPS[0] if weight is None else weight,
        DEFAULT_GROUPS[1] if activation is None else activation,
    )


def _size(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_bytes(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
