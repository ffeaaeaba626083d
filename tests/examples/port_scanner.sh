#!/usr/bin/env bash
# Drives examples/port_scanner: it finds the port of another program, and not the one beside it that is bound but does
# not listen. Called by tools/run_tests.
set -eu
source "${BASH_SOURCE%/*}/refused.sh"
refused 2 usage: "$1" localhost
refused 2 usage: "$1" localhost 1
refuses_ports "$1" 127.0.0.1 PORT 1
refuses_ports "$1" 127.0.0.1 1 PORT
refused 1 "resolve bad..name: malformed" "$1" bad..name 1 2
timeout 20 "$1"  # by itself
timeout 60 python3 - "$1" <<'END'
import socket, subprocess, sys
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
first, last = max(1, port - 150), min(65535, port + 150)
found = subprocess.run([sys.argv[1], "127.0.0.1", str(first), str(last)], capture_output=True, text=True, timeout=50)
assert found.returncode == 0, found.stderr
assert port in map(int, found.stdout.split()), found.stdout
silent = socket.socket(); silent.bind(("127.0.0.1", 0))
port = str(silent.getsockname()[1])
found = subprocess.run([sys.argv[1], "127.0.0.1", port, port], capture_output=True, text=True, timeout=50)
assert found.stdout == "", found.stdout
END
