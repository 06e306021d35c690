#!/usr/bin/env python3
"""A backend that answers everything with 200 and two bytes. Argument: its port, on this machine alone."""

import asyncio
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Backend(asyncio.Protocol):
    """One connection; requests have no bodies."""

    def connection_made(self, transport):
        self.transport, self.waiting = transport, b""

    def data_received(self, data):
        *heads, self.waiting = (self.waiting + data).split(b"\r\n\r\n")
        self.transport.write(ANSWER * len(heads))


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Backend, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
