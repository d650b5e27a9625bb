"""What decides whether a server starts and who may ask it, judged: address, tokens, settings."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import cast

from homerun.api.guard import is_loopback
from homerun.api.listener import listen
from homerun.api.server import allow_connections, check_static_token
from homerun.cli.client import Client, ServerError
from homerun.cli.doctor.report import Check, Problem
from homerun.errors import ConfigurationError
from homerun.model.dtypes import chosen_dtype
from homerun.settings import ENVIRONMENT_PREFIX, Settings
from homerun.store.database import DatabaseState

NOBODY, OTHERS = "nobody", "something else, or it cannot be used"
SECRETS = frozenset({"token"})
"""Settings whose values are nobody's to see."""


def access(settings: Settings, state: DatabaseState | None) -> Check:
    """Open or closed, and whether that fits the address. `state` None: there is no database."""
    made, live = (state.tokens, state.live_tokens) if state else (0, 0)
    closed = settings.token is not None or made > 0
    problems = _refusals(lambda: check_static_token(settings.token))
    if not closed and not is_loopback(settings.host):
        problems.append(
            Problem(
                f"--host {settings.host} can be reached by other machines, and there is no token",
                "homerun tokens create, or HOMERUN_TOKEN, or --host 127.0.0.1",
            )
        )
    if closed and settings.token is None and not live:
        problems.append(
            Problem("every token is revoked: no request is answered", "homerun tokens create")
        )
    facts = {
        "mode": "closed" if closed else "open",
        "live_tokens": live,
        "revoked_tokens": made - live,
        "static_token": settings.token is not None,
    }
    return Check("access", facts, problems)


def address(settings: Settings) -> Check:
    """Whether a server could listen, or who does already."""
    facts: dict[str, object] = {"address": f"{settings.host}:{settings.port}"}
    try:
        reasons = Client(settings.host, settings.port, settings.token).not_ready()
    except ServerError:
        problems = _refusals(
            lambda: listen(settings, closed=True).close(),
            lambda: allow_connections(settings.max_connections),
        )
        return Check("server", {**facts, "answers": OTHERS if problems else NOBODY}, problems)
    facts["answers"] = "homerun, ready" if not reasons else "homerun, not ready"
    wait = "wait if it is starting or stopping, else read its log and restart it"
    return Check("server", facts, [Problem(f"not ready: {reason}", wait) for reason in reasons])


def in_force(settings: Settings, environment: Mapping[str, str], refused: str | None) -> Check:
    """Settings that are not the default, and variables that mean nothing.

    `refused`: why the environment's own settings could not be taken.
    """
    problems = [] if refused is None else [Problem(refused, "the defaults are shown instead")]
    problems += _refusals(
        lambda: chosen_dtype("HOMERUN_DTYPE", settings.dtype),
        lambda: chosen_dtype("HOMERUN_KV_DTYPE", settings.kv_dtype),
    )
    names = {item.name for item in fields(Settings)}
    variables = {ENVIRONMENT_PREFIX + name.upper() for name in names}
    for variable in sorted(environment):
        if variable.startswith(ENVIRONMENT_PREFIX) and variable not in variables:
            name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
            near = difflib.get_close_matches(name, names, 1)
            meant = f"is {ENVIRONMENT_PREFIX}{near[0].upper()} meant?" if near else ""
            remedy = meant or "docs/cli.md lists the settings"
            problems.append(Problem(f"{variable} is no setting and changes nothing", remedy))
    default = Settings()
    changed = sorted(name for name in names if getattr(settings, name) != getattr(default, name))
    facts = {
        name: "set, not shown" if name in SECRETS else _plain(getattr(settings, name))
        for name in changed
    }
    return Check("settings that are not the default", facts, problems)


def extras(hub: str | None, hub_fits: bool) -> Check:
    """Optional parts: none is needed, so none is missing."""
    if hub_fits:
        said = f"huggingface-hub {hub}"
    else:
        said = f"not here (huggingface-hub {hub or 'missing'}): pip install 'homerun[hub]'"
    return Check("extras", {"hub": said})


def _plain(value: object) -> object:
    """`value` as JSON has it."""
    if isinstance(value, tuple):
        return [str(item) for item in cast(tuple[object, ...], value)]
    return value if isinstance(value, bool | int | float) else str(value)


def _refusals(*attempts: Callable[[], object]) -> list[Problem]:
    """The words of those that raise ConfigurationError."""
    problems: list[Problem] = []
    for attempt in attempts:
        try:
            attempt()
        except ConfigurationError as error:
            problems.append(Problem(str(error)))
    return problems
