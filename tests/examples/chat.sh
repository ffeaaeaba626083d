#!/usr/bin/env bash
# Drives examples/chat with two clients of another make: what one says, the other hears, and not the speaker. Called by
# tools/run_tests.
set -eu
source "${BASH_SOURCE%/*}/refused.sh"
refuses_ports "$1" PORT
timeout 20 "$1"  # by itself
coproc server { exec "$1" 0 2>&1; }
pid=$server_PID
trap 'kill "$pid" 2>/dev/null' EXIT
listening "${server[0]}"
refused 1 "bind $address: address" "$1" "${address##*:}"  # it is in use
timeout 20 python3 - "$address" <<'END'
import socket, sys
host, port = sys.argv[1].rsplit(":", 1)
one, two = (socket.create_connection((host, int(port)), timeout=15) for _ in range(2))
files = [s.makefile("rw", newline="\n") for s in (one, two)]
# A client is in the room once it hears: talk until it does.
two.settimeout(0.05)
heard = ""
for i in range(200):
    files[0].write(f"hello {i}\n"); files[0].flush()
    try:
        heard = two.recv(1000).decode()
        break
    except TimeoutError:
        pass
assert heard.startswith("hello "), heard
two.settimeout(15)
files[1].write("and to you\n"); files[1].flush()
assert files[0].readline() == "and to you\n"
END
trap - EXIT
kill -TERM "$pid"
wait "$pid"
