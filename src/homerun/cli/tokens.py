"""`homerun tokens`: who may use a server that is not open."""

import time

from homerun.cli.terminal import print_table
from homerun.settings import Settings
from homerun.store.database import FILE_NAME, Database
from homerun.store.tokens import Token, TokenStore


def create(name: str, account: str, settings: Settings) -> None:
    """Makes a token and prints it, once."""
    token, text = _store(settings).create(name, account)
    print(text)
    print(f"Token {token.id} of account {account}. It is not shown again.", flush=True)


def show(settings: Settings) -> None:
    """Prints every token, without its secret."""
    tokens = _store(settings).all()
    if not tokens:
        print("No tokens: the server is open, on loopback only.")
        return
    rows = [("ID", "ACCOUNT", "NAME", "CREATED", "STATE")]
    rows += [(one.id, one.account, one.name, _day(one.created_at), _state(one)) for one in tokens]
    print_table(rows)


def revoke(token_id: str, settings: Settings) -> None:
    """Ends a token, for running servers too."""
    token = _store(settings).revoke(token_id)
    print(f"Token {token.id} ({token.name}) is revoked.")


def _store(settings: Settings) -> TokenStore:
    return TokenStore(Database(settings.home / FILE_NAME))


def _day(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _state(token: Token) -> str:
    return "live" if token.revoked_at is None else f"revoked {_day(token.revoked_at)}"
