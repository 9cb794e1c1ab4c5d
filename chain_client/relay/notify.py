"""Telling systemd how a service is (sd_notify(3)): datagrams to the socket that it names."""

from __future__ import annotations

import contextlib
import socket


class Notifier:
    """Sends states; does nothing where no service manager listens. Never raises.

    Args:
        address: value of ``NOTIFY_SOCKET``: a path, or with ``@`` an abstract name; None if unset.
    """

    def __init__(self, address: str | None) -> None:
        self._address = None
        if address and address[0] in "/@":
            # The abstract namespace begins with a zero byte (unix(7)).
            self._address = "\0" + address[1:] if address[0] == "@" else address

    def ready(self, status: str) -> None:
        """The service has begun its work."""
        self._send(f"READY=1\nSTATUS={status}")

    def alive(self, status: str) -> None:
        """The service still works: feeds the watchdog."""
        self._send(f"WATCHDOG=1\nSTATUS={status}")

    def stopping(self) -> None:
        """The service ends after what it is doing."""
        self._send("STOPPING=1")

    def _send(self, state: str) -> None:
        if self._address is None:
            return
        flags = socket.SOCK_DGRAM | getattr(socket, "SOCK_CLOEXEC", 0)
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, flags) as channel:
            channel.settimeout(1.0)
            channel.sendto(state.encode(), self._address)
