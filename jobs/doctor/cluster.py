"""The Ray cluster: its address, who may use it, and on which addresses its processes listen."""

import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple

from jobs.cluster.auth_token import MODE_VARIABLE, authentication_mode, find_token
from jobs.cluster.job_server import JobServer
from jobs.doctor.finding import Finding
from otcondense.errors import InputError

LISTENING = "0A"
RAY_PROCESSES = ("gcs_server", "raylet", "ray::", "dashboard", "ray-dashboard")


def look_at_ray(address: str | None) -> Iterator[Finding]:
    """Yield what there is to say of the cluster at `address` (that of its dashboard) and of the Ray processes on this machine."""
    yield _address()
    yield from _authentication()
    if address is not None:
        yield _reach(address)
    yield look_at_listeners(ray_listeners())


def _address() -> Finding:
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        return Finding(
            "Ray address",
            "ok",
            "RAY_ADDRESS is not set: each command starts a cluster on this machine's loopback",
        )
    if address.startswith("ray://"):
        mend = "submit with `python -m jobs.submit` instead: a client's driver dies with its connection"
        return Finding("Ray address", "note", f"RAY_ADDRESS={address} (Ray Client)", mend)
    return Finding("Ray address", "ok", f"RAY_ADDRESS={address}")


def _authentication() -> Iterator[Finding]:
    try:
        mode, token = authentication_mode(), find_token()
    except InputError as error:
        yield Finding(
            "authentication",
            "wrong",
            str(error),
            "correct the variable or the file, or unset the variable",
        )
        return
    if mode == "disabled":
        mend = f"export {MODE_VARIABLE}=token: whoever reaches an open Ray port runs code as you"
        yield Finding("authentication", "wrong", f"{MODE_VARIABLE}=disabled", mend)
    elif mode == "unset":
        mend = (
            f"export {MODE_VARIABLE}=token on every node: `ray start` without it may come up open"
        )
        yield Finding(
            "authentication",
            "note",
            f"{MODE_VARIABLE} is not set: clusters started by a command here use a token",
            mend,
        )
    else:
        yield Finding("authentication", "ok", f"{MODE_VARIABLE}=token")
    if token is None:
        yield Finding(
            "token",
            "note" if mode != "token" else "wrong",
            "none found",
            "run `ray get-auth-token --generate`, then chmod 600",
        )
    elif not token.is_private:
        yield Finding(
            "token",
            "wrong",
            f"from {token.source}, which others may read",
            f"chmod 600 {token.path}",
        )
    else:
        yield Finding("token", "ok", f"from {token.source}" + (", mode 600" if token.path else ""))


def _reach(address: str) -> Finding:
    try:
        server = JobServer(address)
        jobs = server.jobs()
    except InputError as error:
        return Finding(
            "cluster", "wrong", str(error), "do what the message asks for, then look again"
        )
    if server.is_plain_and_remote:
        mend = "reach it through a tunnel (ssh -L 8265:127.0.0.1:8265 HEAD) or https: the token travels readable"
        return Finding("cluster", "wrong", f"{address} answers over plain HTTP", mend)
    return Finding(
        "cluster", "ok", f"{address} answers and takes the token; {len(jobs)} jobs known"
    )


class Listener(NamedTuple):
    """A TCP port that a process of this machine listens on."""

    process: str
    address: str
    port: int


def look_at_listeners(listeners: list[Listener]) -> Finding:
    """Return whether any Ray process can be reached from other machines."""
    if not listeners:
        return Finding(
            "Ray's ports", "ok", "no Ray process of this account listens on this machine"
        )
    outside = sorted(
        {
            f"{each.process} {each.address}:{each.port}"
            for each in listeners
            if not ip_address(each.address).is_loopback
        }
    )
    if outside:
        mend = "on one machine export RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 before `ray start`, which keeps all of it on loopback; on several "
        mend += "keep the ports inside a private network and the token on (docs/security.md)"
        return Finding("Ray's ports", "note", f"reachable from outside: {', '.join(outside)}", mend)
    return Finding("Ray's ports", "ok", f"{len(listeners)}, all on loopback")


def ray_listeners() -> list[Listener]:
    """Return the listening ports of this account's Ray processes, read from /proc."""
    owners = dict(_socket_owners())
    found = []
    for table in filter(
        Path.exists, (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
    ):  # the second is missing without IPv6
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and fields[9] in owners:
                address, port = fields[1].split(":")
                found.append(Listener(owners[fields[9]], decode_address(address), int(port, 16)))
    return found


def decode_address(text: str) -> str:
    """Return the address that the kernel writes as 32-bit words in hexadecimal, in the machine's byte order."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    data = b"".join(struct.pack("=I", word) for word in words)
    if len(data) == 4:
        return socket.inet_ntoa(data)
    address = IPv6Address(data)
    return str(address.ipv4_mapped or address)


def _socket_owners() -> Iterator[tuple[str, str]]:
    """Yield the inode of each socket of a Ray process with the process's name; processes of other accounts are left out."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            name = Path(words[0]).name
            name = name if name.startswith(RAY_PROCESSES) else _script(words)
            links = [str(link.readlink()) for link in (folder / "fd").iterdir()] if name else []
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
        yield from (
            (link[len("socket:[") : -1], name) for link in links if link.startswith("socket:[")
        )


def _script(words: list[str]) -> str:
    """Return the name of Ray's own Python process, empty for any other."""
    scripts = [Path(word).parts for word in words[1:] if "/ray/" in word and word.endswith(".py")]
    return next((parts[-1] for parts in scripts), "")
