"""A model's repository on a hub: what is in it, and its files, fetched and checked.

Knows huggingface-hub, which is imported when a person asks for a download and at no other time;
knows nothing of what the files are for.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from homerun import __version__
from homerun.errors import ConfigurationError, DownloadError

if TYPE_CHECKING:
    import httpx2
    import huggingface_hub

NEEDED_VERSION = (2, 4)
"""Of huggingface-hub; below 3."""
TIMEOUT = 30.0
"""Seconds without a byte."""
ATTEMPTS = 7
"""How often a file is asked for without getting one byte further."""
PAUSE = 1.0
"""Seconds before the second attempt; doubled each time."""
_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_PIECE = 1 << 20

OTHER_WAY = (
    "A checkpoint that was downloaded elsewhere can be imported: homerun models import NAME PATH"
)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a snapshot."""

    name: str
    size: int
    digest: str
    """Hex: SHA-256 of a large file, else the SHA-1 that git gives a small one."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A repository at one commit."""

    repo: str
    commit: str
    files: Mapping[str, RemoteFile]
    """By name, all there are."""


class Hub:
    """One hub, as one person sees it."""

    def __init__(self, token: str | None = None, endpoint: str | None = None) -> None:
        """`token` None: what huggingface-hub finds in HF_TOKEN or from a login.

        `endpoint` None: HF_ENDPOINT, else the public hub. Raises ConfigurationError where
        huggingface-hub is missing or of another version.
        """
        _require_client()
        import huggingface_hub
        from huggingface_hub import constants

        # Else it asks the hub for a list of programs to look for, and tells which of them it saw.
        constants.HF_HUB_DISABLE_TELEMETRY = True
        self._token = token
        self._client = huggingface_hub.get_session()
        self._api = huggingface_hub.HfApi(
            endpoint=endpoint,
            token=token,
            library_name="homerun",
            library_version=__version__,
        )
        self.endpoint = self._api.endpoint

    def snapshot(self, repo: str, revision: str | None = None) -> Snapshot:
        """The repository as it is now, at `revision` (branch, tag or commit) or at its main branch.

        Raises DownloadError in plain words.
        """
        info = self._info(repo, revision)
        files: dict[str, RemoteFile] = {}
        for one in info.siblings or ():
            digest = one.lfs.sha256 if one.lfs else one.blob_id
            # The types are promises of a server.
            if isinstance(one.size, int) and one.size >= 0 and _is_digest(digest):
                files[str(one.rfilename)] = RemoteFile(str(one.rfilename), one.size, str(digest))
        if not files or not _is_digest(info.sha):
            raise DownloadError(f"{self.endpoint} does not say what is in {repo}")
        return Snapshot(repo, str(info.sha), files)

    def _info(self, repo: str, revision: str | None) -> "huggingface_hub.ModelInfo":
        import httpx2

        failed = 0
        while True:
            try:
                return self._api.model_info(
                    repo, revision=revision, files_metadata=True, timeout=TIMEOUT
                )
            except (OSError, ValueError, TypeError, KeyError, httpx2.HTTPError) as error:
                failed += 1
                # A hub that cannot be reached at all is told at once.
                final = isinstance(error, httpx2.ConnectError) or not _is_passing(error)
                if failed == ATTEMPTS or final:
                    raise self._explained(error, repo, revision) from error
            time.sleep(PAUSE * 2 ** (failed - 1))

    def fetch(
        self,
        snapshot: Snapshot,
        file: RemoteFile,
        target: Path,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Brings a file to `target`, which appears when every byte of it was checked.

        huggingface-hub's own download deletes what it had when it fails, and 13 GB take hours on
        many lines: so this one is ours. It goes on from what an earlier call left in
        `partial_path(target)`; the hub may break off any number of times as long as something
        comes. `progress` is told the bytes that are here.
        Raises DownloadError in plain words, and OSError where the disk refuses.
        """
        import httpx2
        from huggingface_hub.errors import OfflineModeIsEnabled

        partial, failed = partial_path(target), 0
        with partial.open("ab") as output:
            while (here := output.tell()) < file.size:
                try:
                    self._append(snapshot, file, output, progress)
                except (httpx2.HTTPError, OfflineModeIsEnabled) as error:
                    failed = 0 if output.tell() > here else failed + 1
                    if failed == ATTEMPTS or not _is_passing(error):
                        explained = self._explained(error, snapshot.repo, snapshot.commit)
                        raise explained from error
                    time.sleep(PAUSE * 2 ** max(0, failed - 1))
            output.flush()
            os.fsync(output.fileno())
        if file.size != partial.stat().st_size or not _is_whole(partial, file):
            partial.unlink()
            raise DownloadError(
                f"{file.name} of {snapshot.repo} did not arrive as the hub describes it (its "
                "checksum or size is another), and is deleted: try again"
            )
        partial.replace(target)

    def _append(
        self,
        snapshot: Snapshot,
        file: RemoteFile,
        output: BinaryIO,
        progress: Callable[[int], None] | None,
    ) -> None:
        """One request for what is missing. Raises httpx2.HTTPError, and OSError of the disk."""
        import httpx2
        import huggingface_hub
        from huggingface_hub import utils

        url = huggingface_hub.hf_hub_url(
            snapshot.repo, file.name, revision=snapshot.commit, endpoint=self.endpoint
        )
        headers = utils.build_hf_headers(  # pyright: ignore[reportUnknownMemberType]
            token=self._token,
            library_name="homerun",
            library_version=__version__,
            # A compressed answer would have no bytes to go on from.
            headers={"Range": f"bytes={output.tell()}-", "Accept-Encoding": "identity"},
        )
        with self._client.stream("GET", url, headers=headers, timeout=TIMEOUT) as response:
            utils.hf_raise_for_status(response)
            if _start_of(response) != output.tell():  # not what was asked for: all of it, maybe
                output.seek(0)
                output.truncate()
                if _start_of(response) != 0:
                    raise httpx2.RemoteProtocolError("the hub sent another part of the file")
            for piece in response.iter_bytes():
                if output.tell() + len(piece) > file.size:
                    raise DownloadError(
                        f"{self.endpoint} sends more of {file.name} than the {file.size} bytes "
                        "that it announced"
                    )
                output.write(piece)
                if progress is not None:
                    progress(output.tell())
        if output.tell() < file.size:
            raise httpx2.RemoteProtocolError(
                f"{file.name} ends after {output.tell()} of {file.size} bytes"
            )

    def _explained(self, error: Exception, repo: str, revision: str | None) -> DownloadError:
        return DownloadError(explain(error, repo, revision, self.endpoint))


def partial_path(target: Path) -> Path:
    """Where the beginning of `target` is kept."""
    return target.with_name(f"{target.name}.partial")


def explain(error: Exception, repo: str, revision: str | None, endpoint: str) -> str:
    """What went wrong between us and the hub, and what to do about it."""
    import httpx2
    from huggingface_hub import errors

    host = _host(error) or urlsplit(endpoint).netloc
    status = error.response.status_code if isinstance(error, errors.HfHubHTTPError) else None
    match error:
        case errors.OfflineModeIsEnabled():
            return f"HF_HUB_OFFLINE is set, so nothing can be downloaded. {OTHER_WAY}"
        case errors.GatedRepoError():
            seen = (
                "it saw no valid token" if status == 401 else "the token's owner has no access yet"
            )
            return (
                f"{repo} is gated: {host} gives it to those who accepted its licence ({seen}).\n"
                f"1. accept the licence in a browser: {endpoint}/{repo}\n"
                f"2. make a token that may read it: {endpoint}/settings/tokens\n"
                "3. run the same command again with the token in the environment: HF_TOKEN=hf_..."
            )
        case errors.RevisionNotFoundError():
            return f"{repo} has no branch, tag or commit {revision!r} on {host}"
        case errors.RemoteEntryNotFoundError():
            return f"a file of {repo} at {revision} is gone from {host}"
        case errors.DisabledRepoError():
            return f"access to {repo} is disabled by {host}"
        case errors.RepositoryNotFoundError():
            return (
                f"{host} has no repository {repo}, or it is private: then a token is needed that "
                "may read it (HF_TOKEN)"
            )
        case errors.HfHubHTTPError() if status in (401, 403):
            return (
                f"{host} refuses the token ({status}): check HF_TOKEN, or make another at "
                f"{endpoint}/settings/tokens"
            )
        case errors.HfHubHTTPError() if status == 416:
            return f"{host} has less of a file of {repo} than it announced: try again later"
        case errors.HfHubHTTPError():
            return f"{host} answers {status}: try again later. {OTHER_WAY}"
        case httpx2.TimeoutException():
            return f"{host} does not answer within {TIMEOUT:.0f} s: try again. {OTHER_WAY}"
        case httpx2.ConnectError():
            return (
                f"{host} cannot be reached ({error}): is this machine online, and does it need a "
                f"proxy (HTTPS_PROXY)? {OTHER_WAY}"
            )
        case httpx2.HTTPError():
            return f"the connection to {host} broke again and again ({error}): try again"
        case _:
            return f"{host} does not answer like a hub ({type(error).__name__}: {error})"


def client_version() -> tuple[str | None, bool]:
    """Version of huggingface-hub, None if it is not here, and whether it will do."""
    try:
        found = version("huggingface-hub")
    except PackageNotFoundError:
        return None, False
    parts = [int(part) for part in found.split(".")[:2] if part.isdecimal()]
    return found, NEEDED_VERSION <= tuple(parts) < (3,)


def _require_client() -> None:
    found, fits = client_version()
    if not fits:
        raise ConfigurationError(
            f"downloads need huggingface-hub 2.4 or newer, below 3 (here is {found or 'none'}): "
            f"pip install 'homerun[hub]'. {OTHER_WAY}"
        )


def _is_passing(error: Exception) -> bool:
    """Whether the next attempt may go better."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in _BUSY
    return isinstance(error, httpx2.TransportError)


def _host(error: Exception) -> str | None:
    """Whom a connection was for that broke: large files come from other hosts than the hub."""
    import httpx2

    if not isinstance(error, httpx2.TransportError):
        return None
    try:
        return error.request.url.netloc.decode("ascii")
    except RuntimeError:  # an error that knows no request
        return None


def _is_digest(value: object) -> bool:
    """SHA-1 or SHA-256 in lower-case hexadecimal: nothing that could be part of a path."""
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", value) is not None


def _start_of(response: "httpx2.Response") -> int:
    """Which byte of the file an answer begins with; -1 if it does not say so."""
    if response.status_code != 206:
        return 0
    unit, _, span = response.headers.get("content-range", "").partition(" ")
    first = span.partition("-")[0]
    return int(first) if unit == "bytes" and first.isdecimal() else -1


def _is_whole(path: Path, file: RemoteFile) -> bool:
    """Whether the contents are those that the hub has the digest of."""
    if len(file.digest) == 64:
        state = hashlib.sha256()
    else:
        state = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
    with path.open("rb") as content:
        while piece := content.read(_PIECE):
            state.update(piece)
    return state.hexdigest() == file.digest
