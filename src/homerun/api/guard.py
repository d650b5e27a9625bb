"""Who may ask, and how much they may send: tokens, accounts, Host, Origin, the size of a body.

Decides on the decoded path of the ASGI scope, never on a URL put together from headers. Every
path is closed unless `PUBLIC` names it. Knows nothing of routes, models or answers.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import math
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from homerun.errors import (
    AccountForbidden,
    AuthenticationFailed,
    BodyTimeout,
    MalformedAccount,
    MalformedCredentials,
    OriginForbidden,
    RequestAborted,
    RequestTooLarge,
    TooManyFailures,
    UnsupportedEncoding,
)
from homerun.settings import Settings
from homerun.store.tokens import LOCAL_ACCOUNT, TokenStore, is_account
from homerun.types import Identity

PUBLIC = frozenset({"/livez", "/readyz"})
"""Probes: they have no secret to tell and must answer whoever watches the process."""

STATIC_TOKEN_ID = "static"
"""How the log names the token of `HOMERUN_TOKEN`."""

FAILED_TOKENS_PER_MINUTE = 20
DRAIN_FACTOR = 8
"""A body of up to so many times the limit is read and thrown away before it is refused, because
most clients write all of it before they read an answer."""

_BEARER = re.compile(r"Bearer +([!-~]+)", re.IGNORECASE)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::[0-9]{1,5})?")
_ACCOUNT_IN_PATH = re.compile(r"/client/v4/accounts/([^/]*)", re.DOTALL)


# The decisions, each a pure function.


def bearer_token(authorization: Sequence[str]) -> str | None:
    """The token in the Authorization headers of a request; None where there is no header.

    Raises MalformedCredentials for two headers, another scheme, or no token.
    """
    if not authorization:
        return None
    match = _BEARER.fullmatch(authorization[0].strip())
    if match is None or len(authorization) > 1:
        raise MalformedCredentials
    return match[1]


def account_in_path(path: str) -> str | None:
    """The account segment of a decoded path; None where the path has none."""
    match = _ACCOUNT_IN_PATH.match(path)
    return match[1] if match else None


def check_account(account: str | None, identity: Identity, *, closed: bool, sent: str) -> None:
    """`sent`: the path as the client wrote it.

    In open mode every account names the local one. Raises MalformedAccount, AccountForbidden.
    """
    if account is None:
        return
    if not is_account(account):
        raise MalformedAccount(sent)
    if closed and account != identity.account:
        raise AccountForbidden


def is_loopback(host: str) -> bool:
    """Whether a name or an address without port can only mean this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_host(hosts: Sequence[str], allowed: Collection[str]) -> None:
    """Keeps web pages whose name was pointed at this machine (DNS rebinding) out.

    `hosts`: the values of the Host headers; `allowed`: lower-case names besides loopback ones.
    Raises OriginForbidden.
    """
    for value in hosts:
        match = _HOST.fullmatch(value)
        if match is None or not (is_loopback(match[1]) or match[1].lower() in allowed):
            raise OriginForbidden("This Host is not allowed; --allow-host adds one")


def check_origin(
    origins: Sequence[str], allowed_hosts: Collection[str], allowed_origins: Collection[str]
) -> None:
    """Keeps other sites' pages out; programs send no Origin. Raises OriginForbidden."""
    for origin in origins:
        if origin.lower() in allowed_origins:
            continue
        try:
            host = urlsplit(origin).hostname or ""
        except ValueError:
            host = ""
        if not (is_loopback(host) or host in allowed_hosts):
            raise OriginForbidden("This Origin is not allowed; --allow-origin adds one")


class FailedTokens:
    """Counts wrong tokens per address and minute. Addresses are forgotten with the minute."""

    def __init__(
        self,
        limit: int = FAILED_TOKENS_PER_MINUTE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._minute = 0
        self._failures: Counter[str] = Counter()

    def add(self, address: str) -> None:
        """One more wrong token. Raises TooManyFailures beyond the limit."""
        now = self._clock()
        if now // 60 != self._minute:
            self._minute = now // 60
            self._failures.clear()
        self._failures[address] += 1
        if self._failures[address] > self._limit:
            raise TooManyFailures(retry_after_s=math.ceil(60 - now % 60))


class Guard:
    """ASGI middleware that lets a request through with `request.state.identity`, or raises."""

    def __init__(self, app: ASGIApp, settings: Settings, tokens: TokenStore | None) -> None:
        self._app = app
        self._settings = settings
        self._tokens = tokens
        self._failed = FailedTokens()
        self._allowed_hosts = {name.lower() for name in settings.allow_host}
        self._allowed_origins = {origin.lower().rstrip("/") for origin in settings.allow_origin}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and scope["path"] not in PUBLIC:
            scope["state"]["identity"] = self._admit(scope)
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> Identity:
        headers = Headers(scope=scope)
        # Asked anew each time (a few microseconds), so that a token made or revoked by another
        # process counts from the next request on.
        closed = is_closed(self._settings, self._tokens)
        if closed:
            address = scope["client"][0] if scope.get("client") else ""
            identity = self._authenticate(headers.getlist("authorization"), address)
        else:
            check_host(headers.getlist("host"), self._allowed_hosts)
            check_origin(headers.getlist("origin"), self._allowed_hosts, self._allowed_origins)
            identity = Identity(LOCAL_ACCOUNT)
        sent = scope.get("raw_path", b"").decode("ascii", "replace")
        check_account(account_in_path(scope["path"]), identity, closed=closed, sent=sent)
        return identity

    def _authenticate(self, authorization: Sequence[str], address: str) -> Identity:
        token = bearer_token(authorization)
        if token is None:
            raise AuthenticationFailed
        identity = identify(token, self._settings.token, self._tokens)
        if identity is None:
            # Only wrong tokens are held back: an office behind one address must not be shut out
            # by one bad client in it, and 256 random bits are not found by trying.
            self._failed.add(address)
            raise AuthenticationFailed
        return identity


def is_closed(settings: Settings, tokens: TokenStore | None) -> bool:
    """Whether requests need a token: there is a static one, or one was ever created."""
    return settings.token is not None or (tokens is not None and tokens.exists())


def identify(token: str, static: str | None, tokens: TokenStore | None) -> Identity | None:
    """Whose token this is; None if nobody's."""
    if static is not None and hmac.compare_digest(_digest(token), _digest(static)):
        return Identity(LOCAL_ACCOUNT, STATIC_TOKEN_ID)
    found = tokens.verify(token) if tokens is not None else None
    return Identity(found.account, found.id) if found else None


def _digest(text: str) -> bytes:
    # Of equal length whatever is compared, so that not even the length can be measured.
    return hashlib.sha256(text.encode()).digest()


async def read_body(request: Request, settings: Settings) -> bytes:
    """The whole body of a request, as sent. Raises what `body_chunks` raises."""
    limit, timeout = settings.body_limit, settings.body_timeout
    chunks = body_chunks(request, limit, drain=limit * DRAIN_FACTOR, pause=timeout, total=timeout)
    return b"".join([chunk async for chunk in chunks])


async def body_chunks(
    request: Request, limit: int, *, drain: int = 0, pause: float, total: float
) -> AsyncIterator[bytes]:
    """The body of a request as it comes in, up to `limit` bytes.

    A larger one is read up to `drain` bytes and thrown away; nothing of it is yielded if the
    client said how large it is. `pause` and `total`: seconds that the next chunk and all of them
    may take. Raises UnsupportedEncoding, RequestTooLarge (whatever Content-Length said),
    BodyTimeout, and RequestAborted when the client goes away first.
    """
    for encoding in request.headers.getlist("content-encoding"):
        if encoding.strip().lower() not in ("", "identity"):
            raise UnsupportedEncoding("Only Content-Encoding: identity is supported")
    header = request.headers.get("content-length", "")
    declared = int(header) if header.isdecimal() else 0
    patient = request.headers.get("expect", "").lower() == "100-continue"
    if declared > (limit if patient else max(limit, drain)):
        raise RequestTooLarge("Request is too large")
    size = 0
    loop = asyncio.get_running_loop()
    deadline = loop.time() + total
    stream = aiter(request.stream())
    try:
        while True:
            async with asyncio.timeout_at(min(loop.time() + pause, deadline)):
                chunk = await anext(stream, None)
            if chunk is None:
                break
            size += len(chunk)
            if size > max(limit, drain):
                break
            if size <= limit and declared <= limit:
                yield chunk
    except TimeoutError:
        raise BodyTimeout from None
    except ClientDisconnect:
        raise RequestAborted from None
    if size > limit:
        raise RequestTooLarge("Request is too large")
