"""The listening socket, bound by ourselves so that a refusal can be explained.

Knows addresses, ports and, on Linux, whose they are. Knows nothing of HTTP.
"""

import contextlib
import errno
import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from homerun.errors import ConfigurationError
from homerun.settings import Settings

BACKLOG = 2048
_LISTENING = "0A"
_PROC = Path("/proc")


def listen(settings: Settings, *, closed: bool) -> socket.socket:
    """Binds `settings.host`:`settings.port`. `closed`: requests need a token.

    Raises ConfigurationError in words: an open server off loopback, a port that is taken (with
    the process that holds it), a host or port that cannot be used.
    """
    host, port = settings.host, settings.port
    if not 0 <= port <= 65535:
        raise ConfigurationError(f"--port {port} is not between 0 and 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"--host {host!r} is not an address: {error}") from None
    if not closed and not ipaddress.ip_address(address[0]).is_loopback:
        raise ConfigurationError(
            f"--host {host} can be reached by other machines, and this server has no token yet. "
            "Create one with `homerun tokens create`, or set HOMERUN_TOKEN; "
            "or stay on --host 127.0.0.1."
        )
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux, where accepted sockets inherit it.
            # Ends a connection whose peer takes in nothing of what was sent, reading or gone.
            patience = int(settings.send_timeout * 1000)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)
        listener.bind(address)
        # Binding alone does not fail where another socket has the port but listens to it later.
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(_explain(error, host, port)) from None
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket) -> str:
    """`http://host:port` as a client on this machine writes it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def holder_of(port: int) -> str | None:
    """`process 123 (its command line)` that listens on a TCP port.

    None off Linux, or where it belongs to somebody else.
    """
    inodes = set(_listening_inodes(port))
    for process in _PROC.glob("[0-9]*") if inodes else ():
        # Not ours to look into, or gone meanwhile: then it is another one, or nobody's.
        with contextlib.suppress(OSError):
            if any(_links_to(entry, inodes) for entry in (process / "fd").iterdir()):
                words = (process / "cmdline").read_text("utf-8", "replace").replace("\0", " ")
                readable = "".join(char if char.isprintable() else "?" for char in words.strip())
                return f"process {process.name} ({readable})"
    return None


def _links_to(entry: Path, inodes: set[str]) -> bool:
    try:
        return os.readlink(entry) in inodes
    except OSError:  # Closed since it was listed.
        return False


def _listening_inodes(port: int) -> Iterator[str]:
    """`socket:[inode]` of every socket that listens on `port`."""
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            # sl, local address:port in hex, remote, state, queues, timer, retransmits, uid,
            # timeout, inode (proc(5)).
            columns = line.split()
            if columns[3] == _LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                yield f"socket:[{columns[9]}]"


def _explain(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(port) or "another process"
        return f"Port {port} is taken by {holder}. Stop it, or choose another port with --port."
    if error.errno == errno.EACCES:
        return f"Port {port} needs more rights than you have. Choose one above 1023 with --port."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host} is not an address of this machine."
    return f"Cannot listen on {host} port {port}: {error.strerror}"
