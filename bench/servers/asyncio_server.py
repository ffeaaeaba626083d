"""asyncio of CPython, or with `uvloop` as the first argument asyncio on uvloop: `echo`, `http` or `udp`. Prints its port."""
import asyncio
import platform
import socket
import sys


async def echo(reader, writer):
    """With streams, as most programs are written."""
    try:
        while data := await reader.read(16384):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


class Pages(asyncio.Protocol):
    """With a protocol, as servers for HTTP are written."""
    PAGE = (b"HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n"
            b"Hello, World!")

    def connection_made(self, transport):
        self.transport, self.unfinished = transport, b""

    def data_received(self, data):
        *heads, self.unfinished = (self.unfinished + data).split(b"\r\n\r\n")
        answers = []
        for head in heads:
            names = head.lower()
            if not head.startswith(b"GET ") or b"\r\ncontent-length:" in names or b"\r\ntransfer-encoding:" in names:
                self.transport.write(b"".join(answers))
                self.transport.close()
                return
            answers.append(self.PAGE)
            if not head.split(b"\r\n", 1)[0].endswith(b" HTTP/1.1") or b"\r\nconnection: close" in names:
                self.transport.write(b"".join(answers))
                self.transport.close()
                return
        self.transport.write(b"".join(answers))
        if len(self.unfinished) > 4096:
            self.transport.close()


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data, address)


async def serve(kind):
    loop = asyncio.get_running_loop()
    if kind == "udp":
        transport, _ = await loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", 0))
        print(transport.get_extra_info("sockname")[1], flush=True)
        await asyncio.Event().wait()
    if kind == "http":
        server = await loop.create_server(Pages, "127.0.0.1", 0, backlog=4096)
    else:
        server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=4096, family=socket.AF_INET)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main():
    arguments = sys.argv[1:]
    version = platform.python_version()
    if arguments[:1] == ["uvloop"]:
        import uvloop
        uvloop.install()
        version = uvloop.__version__
        arguments = arguments[1:]
    if not arguments:
        print(f"version {version}")
        return
    asyncio.run(serve(arguments[0]))


main()
