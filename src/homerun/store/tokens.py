"""Access tokens: made, listed, revoked, verified. Knows nothing of HTTP or of who may do what.

A token reads `hr_<id>_<secret>`: the id finds the row, the secret (256 random bits) is kept as its
SHA-256 only. A plain hash is enough: there is nothing to guess in 256 random bits.
"""

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass

from homerun.errors import ConfigurationError
from homerun.settings import Settings
from homerun.store.database import FILE_NAME, Database

LOCAL_ACCOUNT = "local"
"""The one account of open mode, and the default of a new token."""

_ACCOUNT = re.compile(r"(?!\.)[A-Za-z0-9_.-]{1,64}")
_TOKEN = re.compile(r"hr_([0-9a-f]{12})_([0-9a-f]{64})")
_COLUMNS = "id, name, account, created_at, revoked_at"


def is_account(text: str) -> bool:
    """Whether `text` can name an account: 1-64 letters, digits, `_`, `.`, `-`, no dot first."""
    return _ACCOUNT.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token, its secret excepted. Times are Unix seconds."""

    id: str
    name: str
    account: str
    created_at: int
    revoked_at: int | None


class TokenStore:
    """The tokens of one database. A change by another process counts from the next call on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def database(self) -> Database:
        """For the other stores of this process."""
        return self._database

    def create(self, name: str, account: str = LOCAL_ACCOUNT) -> tuple[Token, str]:
        """Makes a token; returns it with the text to hand out, which can never be had again.

        Raises ConfigurationError for an account or name that cannot be one.
        """
        if not is_account(account):
            raise ConfigurationError(
                f"{account!r} cannot be an account: 1 to 64 letters, digits, '_', '.', '-'"
            )
        if not (0 < len(name) <= 100 and name.isprintable()):
            raise ConfigurationError("A token's name is 1 to 100 printable characters")
        token = Token(secrets.token_hex(6), name, account, int(time.time()), None)
        secret = secrets.token_hex(32)
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO tokens (id, hash, name, account, created_at) VALUES (?, ?, ?, ?, ?)",
                (token.id, _digest(secret), name, account, token.created_at),
            )
        return token, f"hr_{token.id}_{secret}"

    def all(self) -> tuple[Token, ...]:
        """Every token ever made, oldest first, revoked ones included."""
        rows = self._database.read(f"SELECT {_COLUMNS} FROM tokens ORDER BY created_at, id")
        return tuple(Token(*row) for row in rows)

    def revoke(self, token_id: str) -> Token:
        """Ends a token for all processes at once; again is harmless.

        Raises ConfigurationError when there is no such id.
        """
        with self._database.write() as connection:
            row = connection.execute(
                "UPDATE tokens SET revoked_at = coalesce(revoked_at, ?) WHERE id = ? "
                f"RETURNING {_COLUMNS}",
                (int(time.time()), token_id),
            ).fetchone()
        if row is None:
            raise ConfigurationError(f"There is no token with the id {token_id!r}")
        return Token(*row)

    def verify(self, text: str) -> Token | None:
        """The live token that `text` is; None if it is none, unknown, or revoked."""
        match = _TOKEN.fullmatch(text)
        if match is None:
            return None
        token_id, secret = match.groups()
        rows = self._database.read(f"SELECT hash, {_COLUMNS} FROM tokens WHERE id = ?", (token_id,))
        if not rows:
            return None
        expected, *columns = rows[0]
        token = Token(*columns)
        matches = hmac.compare_digest(_digest(secret), expected)
        return token if matches and token.revoked_at is None else None

    def exists(self) -> bool:
        """Whether a token was ever made. Revoked ones count: to revoke the last opens nothing."""
        return bool(self._database.read("SELECT 1 FROM tokens LIMIT 1"))

    def close(self) -> None:
        self._database.close()


def open_token_store(settings: Settings) -> TokenStore | None:
    """The tokens of `settings.home`; None where a static token makes a database needless.

    Raises ConfigurationError when the database cannot be used.
    """
    path = settings.home / FILE_NAME
    if settings.token is not None and not path.exists():
        return None
    return TokenStore(Database(path))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
