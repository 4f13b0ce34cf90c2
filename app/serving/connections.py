"""Answers that leave at once: no waiting for more bytes before a packet is sent."""

import socket
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol


def send_at_once() -> None:
    """Turn Nagle's algorithm off on the connections of this process's server.

    asyncio does so for sockets that say they speak TCP, but Streamlit opens the server's socket without saying so, and
    uvicorn writes the head and the body of an answer one after the other: the body of every answer on a kept
    connection then waits for an acknowledgement that the other side delays by 40 ms. Neither offers a setting.
    """
    protocol_class: Any = AutoHTTPProtocol  # a method of a class is not to be assigned to, says its type
    begin = protocol_class.connection_made

    def connection_made(protocol: Any, transport: Any) -> None:
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family in {socket.AF_INET, socket.AF_INET6}:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begin(protocol, transport)

    protocol_class.connection_made = connection_made
