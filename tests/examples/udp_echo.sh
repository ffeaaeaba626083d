#!/usr/bin/env bash
# Drives examples/udp_echo with python3 (and nc where it is there): datagrams of several sizes come back, the empty one
# too. Called by tools/run_tests.
set -eu
source "${BASH_SOURCE%/*}/refused.sh"
refuses_ports "$1" PORT
timeout 20 "$1"  # by itself
coproc server { exec "$1" 0 2>&1; }
pid=$server_PID
trap 'kill "$pid" 2>/dev/null' EXIT
listening "${server[0]}"
refused 1 "bind $address: address" "$1" "${address##*:}"  # it is in use
timeout 40 python3 - "$address" <<'END'
import os, socket, sys
host, port = sys.argv[1].rsplit(":", 1)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.connect((host, int(port)))
udp.settimeout(1)
for size in (1, 0, 1400, 2048):
    data = os.urandom(size)
    for attempt in range(20):  # a datagram may get lost
        udp.send(data)
        try:
            if udp.recv(4096) == data: break
        except TimeoutError:
            pass
    else:
        sys.exit(f"{size} bytes never came back")
END
if command -v nc >/dev/null; then
  for _ in 1 2 3 4 5; do
    answer=$(echo "hello, nc" | timeout 10 nc -u -w 1 "${address%:*}" "${address##*:}" || true)
    [[ $answer == "hello, nc" ]] && break
  done
  [[ $answer == "hello, nc" ]]
fi
trap - EXIT
kill -TERM "$pid"
wait "$pid"
