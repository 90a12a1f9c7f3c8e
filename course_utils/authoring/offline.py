"""Cut a process off from the network: Python refuses to connect, and where the system allows it, it cannot."""

import os
import subprocess
from functools import cache
from pathlib import Path

# Put before everything else on a Python's path: it refuses to speak to another machine.
GUARD = """
import errno, socket

def refuse(address):
    host = address[0] if isinstance(address, tuple) else "localhost"  # a Unix socket's address is a text
    if host not in ("localhost", "", "0.0.0.0", "::", "::1") and not str(host).startswith("127."):
        raise OSError(errno.ENETUNREACH, f"the network is cut off: no connection to {host}")

def guarded(name):
    original = getattr(socket.socket, name)
    def method(self, *args):
        refuse(args[-1])
        return original(self, *args)
    return method

for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, guarded(name))

look_up = socket.getaddrinfo
def getaddrinfo(host, *args, **kwargs):
    refuse((host.decode() if isinstance(host, bytes) else host or "localhost",))
    return look_up(host, *args, **kwargs)
socket.getaddrinfo = getaddrinfo
"""
UNSHARE = ["unshare", "-rn", "sh", "-c"]


@cache
def can_run(*command: str) -> bool:
    """Whether this system runs a command, found by trying it once; for what some containers forbid."""
    try:
        return subprocess.run(command, capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def guarded(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """An environment whose Pythons refuse to connect; the guard is written into `folder`."""
    (folder / "sitecustomize.py").write_text(GUARD, encoding="utf-8")
    path = os.pathsep.join(filter(None, [str(folder), environment.get("PYTHONPATH")]))
    return environment | {"PYTHONPATH": path}


def without_network(command: list[str]) -> list[str]:
    """The command in a network of its own that reaches this machine's loopback only, if the system has that."""
    if not can_run(*UNSHARE, "ip link set lo up"):
        return command
    return [*UNSHARE, 'ip link set lo up && exec "$@"', "sh", *command]
