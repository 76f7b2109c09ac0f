"""Check the Ray cluster: its address, its token, and the addresses on which it listens."""

import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple

from jobs.cluster.auth_token import MODE_VARIABLE, Token, authentication_mode, find_token
from jobs.cluster.job_server import JobServer
from jobs.doctor.finding import Finding
from otcondense.errors import InputError

LISTENING = "0A"
"""State of a listening socket in /proc/net/tcp."""
STATE_COLUMN = 3
INODE_COLUMN = 9
"""Column of the socket's inode in /proc/net/tcp."""
IPV4_BYTES = 4
WORD_DIGITS = 8
"""Hexadecimal digits of a word of 32 bits."""
RAY_PROCESSES = ("gcs_server", "raylet", "ray::", "dashboard", "ray-dashboard")
SOCKET_LINK = "socket:["


def check_ray(address: str | None) -> Iterator[Finding]:
    """Yield findings on the cluster and on the Ray processes of this machine.

    Args:
        address: the cluster's dashboard; None skips the cluster.
    """
    listeners = ray_listeners()
    has_cluster = bool(address or os.environ.get("RAY_ADDRESS") or listeners)
    yield _address()
    yield from check_token(has_cluster=has_cluster)
    if address is not None:
        yield _reach(address)
    yield check_listeners(listeners)


def _address() -> Finding:
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        return Finding(
            "Ray address",
            "ok",
            "RAY_ADDRESS is not set: each command starts a cluster on this machine's loopback",
        )
    if address.startswith("ray://"):
        return Finding(
            "Ray address",
            "note",
            f"RAY_ADDRESS={address} (Ray Client)",
            "submit with `otcondense submit` instead: "
            "a driver of Ray Client dies with its connection",
        )
    return Finding("Ray address", "ok", f"RAY_ADDRESS={address}")


def check_token(*, has_cluster: bool) -> Iterator[Finding]:
    """Yield findings on the token; a machine without a cluster needs none before one is started."""
    try:
        mode = authentication_mode()
        token = find_token()
    except InputError as error:
        yield Finding(
            "authentication",
            "wrong",
            str(error),
            "correct the variable or the file, or unset the variable",
        )
        return
    if mode == "unset" and not has_cluster and (token is None or token.is_private):
        yield Finding(
            "authentication",
            "ok",
            "no cluster here; one that a command starts gets a token by itself",
        )
        return
    yield _mode(mode)
    yield _token(token, mode)


def _mode(mode: str) -> Finding:
    if mode == "disabled":
        return Finding(
            "authentication",
            "wrong",
            f"{MODE_VARIABLE}=disabled",
            f"export {MODE_VARIABLE}=token: anyone who reaches an open Ray port runs code as you",
        )
    if mode == "unset":
        return Finding(
            "authentication",
            "note",
            f"{MODE_VARIABLE} is not set: clusters started by a command here use a token",
            f"export {MODE_VARIABLE}=token on every node: `ray start` without it may use no token",
        )
    return Finding("authentication", "ok", f"{MODE_VARIABLE}=token")


def _token(token: Token | None, mode: str) -> Finding:
    if token is None:
        return Finding(
            "token",
            "wrong" if mode == "token" else "note",
            "none found",
            "run `ray get-auth-token --generate`, then chmod 600",
        )
    if not token.is_private:
        seen = f"from {token.source}, which others may read"
        return Finding("token", "wrong", seen, f"chmod 600 {token.path}")
    mode_of_file = ", mode 600" if token.path else ""
    return Finding("token", "ok", f"from {token.source}{mode_of_file}")


def _reach(address: str) -> Finding:
    try:
        server = JobServer(address)
        jobs = server.jobs()
    except InputError as error:
        return Finding("cluster", "wrong", str(error), "follow the message, then check again")
    if server.is_plain_and_remote:
        return Finding(
            "cluster",
            "wrong",
            f"{address} answers over plain HTTP",
            "reach it through a tunnel (ssh -L 8265:127.0.0.1:8265 HEAD) or https: "
            "anyone on the way can read the token",
        )
    seen = f"{address} answers and accepts the token; {len(jobs)} jobs known"
    return Finding("cluster", "ok", seen)


class Listener(NamedTuple):
    """A TCP port on which a process of this machine listens."""

    process: str
    address: str
    port: int

    @property
    def is_reachable(self) -> bool:
        """Whether other machines can reach it."""
        return not ip_address(self.address).is_loopback


def check_listeners(listeners: list[Listener]) -> Finding:
    """Check whether other machines can reach any Ray process."""
    if not listeners:
        return Finding(
            "Ray's ports", "ok", "no Ray process of this account listens on this machine"
        )
    outside = {
        f"{listener.process} {listener.address}:{listener.port}"
        for listener in listeners
        if listener.is_reachable
    }
    if outside:
        return Finding(
            "Ray's ports",
            "note",
            f"reachable from outside: {', '.join(sorted(outside))}",
            "on one machine export RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 before `ray start`, which "
            "keeps all ports on loopback; on several keep the ports inside a private network and "
            "the token on (docs/security.md)",
        )
    return Finding("Ray's ports", "ok", f"{len(listeners)}, all on loopback")


def ray_listeners() -> list[Listener]:
    """Return the listening ports of this account's Ray processes, read from /proc."""
    owners = dict(_socket_owners())
    listeners = []
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if not table.exists():  # the second is missing without IPv6
            continue
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            owner = owners.get(fields[INODE_COLUMN])
            if fields[STATE_COLUMN] == LISTENING and owner is not None:
                address, port = fields[1].split(":")
                listeners.append(Listener(owner, decode_address(address), int(port, 16)))
    return listeners


def decode_address(text: str) -> str:
    """Return an address that the kernel writes as hexadecimal words in the machine's byte order."""
    starts = range(0, len(text), WORD_DIGITS)
    words = [int(text[start : start + WORD_DIGITS], 16) for start in starts]
    data = struct.pack(f"={len(words)}I", *words)
    if len(data) == IPV4_BYTES:
        return socket.inet_ntoa(data)
    address = IPv6Address(data)
    return str(address.ipv4_mapped or address)


def _socket_owners() -> Iterator[tuple[str, str]]:
    """Yield inode and process name of each socket of this account's Ray processes."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            name = _ray_name(words)
            if not name:
                continue
            links = [str(link.readlink()) for link in (folder / "fd").iterdir()]
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue  # the process has ended or belongs to another account
        for link in links:
            if link.startswith(SOCKET_LINK):
                yield link[len(SOCKET_LINK) : -1], name


def _ray_name(words: list[str]) -> str:
    """Return the name of a Ray process by its command line, empty for other processes."""
    name = Path(words[0]).name
    if name.startswith(RAY_PROCESSES):
        return name
    for word in words[1:]:
        if "/ray/" in word and word.endswith(".py"):
            return Path(word).name
    return ""
