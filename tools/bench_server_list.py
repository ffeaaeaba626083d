"""The servers that tools/bench_servers compares, and how they are built."""
import os
import sys

import bench_build
import bench_results

# Program: folder, headers' package, libraries, how its version is asked.
CPP = {
    "gyre": ("echo", None, ["GYRE"], None),
    "gyre_server": ("echo", None, ["GYRE"], None),
    "raw_epoll": ("echo", None, [], None),
    "raw_io_uring": ("echo", None, [], None),
    "asio_callbacks": ("echo", "libasio-dev", [], ("asio/version.hpp", "ASIO_VERSION")),
    "asio_coroutines": ("echo", "libasio-dev", [], ("asio/version.hpp", "ASIO_VERSION")),
    "libuv": ("echo", "libuv1-dev", ["-luv"], ("uv/version.h", "UV_VERSION_MAJOR.UV_VERSION_MINOR.UV_VERSION_PATCH")),
    "libevent": ("echo", "libevent-dev", ["-levent"], ("event2/event.h", "LIBEVENT_VERSION")),
}

# Name, kind, program, arguments, the floor that it stands on. A kind of service may have rows of its own.
GYRE_ON = [("gyre epoll", "gyre", "gyre", ["epoll"], "epoll by hand"),
           ("gyre io_uring", "gyre", "gyre", ["io_uring"], "io_uring by hand")]
STREAMS = GYRE_ON + [
    ("gyre Server epoll", "gyre", "gyre_server", ["epoll"], "epoll by hand"),
    ("epoll by hand", "floor", "raw_epoll", [], None),
    ("io_uring by hand", "floor", "raw_io_uring", [], None),
    ("Asio callbacks", "peer", "asio_callbacks", [], None),
    ("Asio coroutines", "peer", "asio_coroutines", [], None),
    ("libuv", "peer", "libuv", [], None),
    ("libevent", "peer", "libevent", [], None),
    ("tokio", "peer", "tokio", [], None),
    ("Go", "peer", "go", [], None),
    ("Node.js", "peer", "node", [], None),
    ("asyncio", "peer", "asyncio", [], None),
    ("uvloop", "peer", "uvloop", [], None),
]
ECHO = [(name, kind, program, [*arguments, "echo"], floor) for name, kind, program, arguments, floor in STREAMS]
HTTP = [(name, kind, program, [*arguments, "http"], floor) for name, kind, program, arguments, floor in STREAMS] + [
    ("Go net/http", "peer", "go", ["net_http"], None),
    ("Node.js node:http", "peer", "node", ["node_http"], None),
    ("nginx", "peer", "nginx", [], None),
]
UDP = [
    ("gyre epoll, batches", "gyre", "udp_gyre", ["epoll", "batch"], "epoll by hand, batches"),
    ("gyre epoll, one by one", "gyre", "udp_gyre", ["epoll", "single"], "epoll by hand, one by one"),
    ("gyre io_uring, batches", "gyre", "udp_gyre", ["io_uring", "batch"], "epoll by hand, batches"),
    ("gyre io_uring, one by one", "gyre", "udp_gyre", ["io_uring", "single"], "io_uring by hand"),
    ("epoll by hand, batches", "floor", "udp_raw_epoll", ["batch"], None),
    ("epoll by hand, one by one", "floor", "udp_raw_epoll", ["single"], None),
    ("io_uring by hand", "floor", "udp_raw_io_uring", [], None),
    ("Asio callbacks", "peer", "udp_asio_callbacks", [], None),
    ("Asio coroutines", "peer", "udp_asio_coroutines", [], None),
    ("libuv, batches", "peer", "udp_libuv", ["batch"], None),
    ("libuv, one by one", "peer", "udp_libuv", ["single"], None),
    ("libevent", "peer", "udp_libevent", [], None),
    ("tokio", "peer", "tokio", ["udp"], None),
    ("Go", "peer", "go", ["udp"], None),
    ("Node.js", "peer", "node", ["udp"], None),
    ("asyncio", "peer", "asyncio", ["udp"], None),
    ("uvloop", "peer", "uvloop", ["udp"], None),
]

# What differs from the definition, or has to be known to read the figure.
REMARKS = {
    ("udp", "libevent"): "it says when; the calls are the program's",
    ("http", "asyncio"): "a protocol, not streams",
    ("http", "uvloop"): "a protocol, not streams",
    ("http", "nginx"): "1 worker, an answer from its configuration",
}

NGINX = """daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000; tcp_nodelay on; default_type text/plain;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "Hello, World!"; }} }} }}
"""


def version_by_header(version):
    header, macro = version
    done = bench_build.run([*bench_build.compiler(), "-std=c++20", "-E", "-P", "-x", "c++", "-"],
                           input=f"#include <{header}>\nVERSION={macro}\n")
    value = next((line[8:] for line in done.stdout.splitlines() if line.startswith("VERSION=")), "")
    value = value.strip().strip('"').replace(" ", "")
    if macro == "ASIO_VERSION" and value.isdigit():
        return f"{int(value) // 100000}.{int(value) // 100 % 1000}.{int(value) % 100}"
    return value or None


def version_by_run(command):
    line = bench_results.first_line(*command) or ""
    return line.removeprefix("version ").removeprefix("nginx version: nginx/") or None


class Programs:
    """Each built when it is asked for first: command(name) is (words, None), or (None, why not)."""

    def __init__(self, build, library):
        self.build, self.library, self.built, self.versions = build, library, {}, {}
        self.out = os.path.join(build, "bench", "servers")
        os.makedirs(self.out, exist_ok=True)

    def command(self, name):
        if name not in self.built:
            print(f"build {name}", flush=True)
            self.built[name] = self.make(name)
        return self.built[name]

    def load(self, name, flags=(), suffix=""):
        source = os.path.join(bench_build.BENCH, "load", name + ".cc")
        return bench_build.cpp([source], os.path.join(self.out, "load_" + name + suffix), self.build, flags=flags)[0][0]

    def version(self, name):
        command, _ = self.command(name)
        if command and name not in self.versions:
            base = name.removeprefix("udp_")
            if base in CPP:
                self.versions[name] = version_by_header(CPP[base][3]) if CPP[base][3] else None
            else:
                self.versions[name] = version_by_run([*command, "-v"] if name == "nginx" else command)
        return self.versions.get(name)

    def make(self, name):
        base, is_udp = name.removeprefix("udp_"), name.startswith("udp_")
        servers = os.path.join(bench_build.BENCH, "servers")
        if base in CPP:
            folder, package, libraries, _ = CPP[base]
            source = os.path.join(bench_build.BENCH, "udp" if is_udp else folder, base + ".cc")
            libraries = [self.library if library == "GYRE" else library for library in libraries]
            return bench_build.cpp([source], os.path.join(self.out, name), self.build, libraries, package)
        if name == "go":
            return bench_build.go(os.path.join(servers, "go"), os.path.join(self.out, "go_server"))
        if name == "tokio":
            return bench_build.tokio(os.path.join(servers, "tokio"), os.path.join(self.out, "tokio"), "tokio_server")
        script = os.path.join(servers, "asyncio_server.py")
        if name == "asyncio":
            return [sys.executable, script], None
        if name == "uvloop":
            python, why_not = bench_build.python_with_uvloop()
            return ([*python, script, "uvloop"] if python else None), why_not
        if name == "node":
            found, why_not = bench_build.node()
            return ([*found, os.path.join(servers, "node_server.mjs")] if found else None), why_not
        if name == "nginx":
            return bench_build.nginx()
        raise KeyError(name)
