#!/usr/bin/env bash
# Drives examples/one_budget: a server that speaks is heard; one that is silent costs the budget and no more; a closed
# port is named. Called by tools/run_tests.
set -eu
source "${BASH_SOURCE%/*}/refused.sh"
refused 2 usage: "$1" localhost
refused 2 usage: "$1" localhost 80
refused 2 usage: "$1" localhost 80 soon
refuses_ports "$1" 127.0.0.1 PORT 1000
refused 1 "resolve bad..name: malformed" "$1" bad..name 80 15000
timeout 20 "$1"  # by itself
timeout 60 python3 - "$1" <<'END'
import socket, subprocess, sys, threading, time
def ask(port, budget_ms):
    return subprocess.run([sys.argv[1], "localhost", str(port), str(budget_ms)], capture_output=True, text=True, timeout=50)
listener = socket.create_server(("127.0.0.1", 0))
def greet():
    peer, _ = listener.accept()
    peer.sendall(b"good morning\nand more")
    peer.close()
threading.Thread(target=greet, daemon=True).start()
port = listener.getsockname()[1]
answer = ask(port, 20000)
assert answer.stdout == "good morning\n", answer
begin = time.monotonic()
answer = ask(port, 100)  # nobody accepts any more: connected, and silent
took = time.monotonic() - begin
assert answer.returncode == 1 and "timed out" in answer.stderr, answer
assert took >= 0.1, took
closed = socket.socket(); closed.bind(("127.0.0.1", 0))
answer = ask(closed.getsockname()[1], 20000)
assert answer.returncode == 1 and "connection refused" in answer.stderr, answer
assert "connect localhost:" in answer.stderr and "127.0.0.1:" in answer.stderr, answer
END
