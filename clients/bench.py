#!/usr/bin/env python3
"""How many events a second the clients send in batches over a WebSocket, each beside its floor: a plain socket
that sends the same bytes, ready-made.

    clients/bench.py [--events N] [--batch N] [--gateway URL] [--node DIRECTORY] [--profile]

It sends to a sink of its own that only counts messages and acknowledges them; with `--gateway` also to a
gateway, to its channel `demo`. `--node` is a built clients/typescript. It needs `websockets`, and two cores
that are otherwise idle.
"""

import argparse
import asyncio
import base64
import cProfile
import hashlib
import json
import pathlib
import pstats
import re
import select
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "python"))

import cuegate  # noqa: E402

# A message is acknowledged with others, as the gateway does it.
ACK_EVERY = 64


def event(number):
    """About 80 bytes with its id."""
    return {"type": "vote", "key": f"answer:{number % 4}", "merge": "sum", "data": 1}


class Sink:
    """The least that a client can be sent to: frames are counted, not read."""

    def __init__(self, listener):
        self.listener = listener

    def serve(self):
        while True:
            connection, _ = self.listener.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                first = connection.recv(4096)
                if first.startswith(b"GET "):
                    self.frames(connection, first)
                else:
                    while connection.recv(1 << 18):
                        pass
                    connection.sendall(b".")

    def frames(self, connection, head):
        while b"\r\n\r\n" not in head:
            head += connection.recv(4096)
        key = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)[1]
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
        connection.sendall(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Protocol: cuegate.v1\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        counted = told = ahead = 0
        kept = b""
        while part := connection.recv(1 << 18):
            at, closed = min(ahead, len(part)), False
            ahead -= at
            if kept and at < len(part):
                part, at, kept = kept + part[at:], 0, b""
            while at < len(part):
                # Every frame of a client's is masked; those that control the connection are small.
                if part[at] & 15 == 8:
                    closed = True
                    break
                length, skip = part[at + 1] & 127 if at + 1 < len(part) else 127, 6
                if length == 126 and at + 4 <= len(part):
                    length, skip = int.from_bytes(part[at + 2:at + 4], "big"), 8
                elif length == 127 and at + 10 <= len(part):
                    length, skip = int.from_bytes(part[at + 2:at + 10], "big"), 14
                elif length > 125:
                    kept = part[at:]
                    break
                counted += part[at] & 15 < 8
                at += skip + length
            if at > len(part):
                ahead = at - len(part)
            whole = counted - (1 if ahead else 0)
            if whole - told >= ACK_EVERY or whole > told and not select.select([connection], [], [], 0)[0]:
                told = whole
                text = json.dumps({"ack": told, "queued": 0}).encode()
                connection.sendall(bytes([0x81, len(text)]) + text)
            if closed:
                connection.sendall(b"\x88\x02\x03\xe8")
                return


async def send_async(url, batches):
    async with cuegate.AsyncClient(url) as client, client.session("demo") as session:
        for batch in batches:
            receipt = await session.send(batch)
        return await receipt


def send_plain(url, batches):
    with cuegate.Client(url) as client, client.session("demo") as session:
        for batch in batches:
            receipt = session.send(batch)
        return receipt.result()


def floor(port, messages):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for message in messages:
            connection.sendall(message)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)


def timed(what):
    """Seconds by the clock, and of this process's processor time."""
    start, cpu = time.perf_counter(), time.process_time()
    what()
    return time.perf_counter() - start, time.process_time() - cpu


def told(name, events, seconds, cpu):
    print(f"{name:34} {events / seconds:>12,.0f} events/s {cpu / events * 1e6:>8.2f} µs of processor an event", flush=True)


def measure(url, target, arguments, port=None):
    batches = [[event(number) for number in range(arguments.batch)]] * (arguments.events // arguments.batch)
    events = len(batches) * arguments.batch
    for name, send in [
        ("python, asyncio", lambda: asyncio.run(send_async(url, batches))),
        ("python, plain", lambda: send_plain(url, batches)),
    ]:
        told(f"{name} -> {target}", events, *timed(send))
    if port and arguments.profile:
        profiler = cProfile.Profile()
        profiler.runcall(lambda: asyncio.run(send_async(url, batches)))
        pstats.Stats(profiler).sort_stats("tottime").print_stats(12)
    if arguments.node:
        script = pathlib.Path(arguments.node).resolve() / "bench.mjs"
        ended = subprocess.run(
            ["node", script, url, str(arguments.events), str(arguments.batch), *([str(port)] if port else [])],
            check=True, capture_output=True, text=True,
        )
        figures = json.loads(ended.stdout)
        told(f"node -> {target}", figures["events"], figures["seconds"], figures["cpu"])
        if "floor" in figures:
            told("node, floor: a socket", figures["events"], figures["floor"]["seconds"], figures["floor"]["cpu"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--gateway")
    parser.add_argument("--node")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--sink", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.sink:
        listener = socket.create_server(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)
        Sink(listener).serve()
    sink = subprocess.Popen([sys.executable, __file__, "--sink"], stdout=subprocess.PIPE, text=True)
    try:
        port = int(sink.stdout.readline())
        batch = json.dumps([event(n) | {"id": f"{n:020}"} for n in range(arguments.batch)]).encode()
        rounds = arguments.events // arguments.batch
        told("python, floor: a socket", rounds * arguments.batch, *timed(lambda: floor(port, [batch] * rounds)))
        measure(f"http://127.0.0.1:{port}", "sink", arguments, port)
    finally:
        sink.kill()
        sink.wait()
    if arguments.gateway:
        measure(arguments.gateway, "gateway", arguments)


if __name__ == "__main__":
    main()
