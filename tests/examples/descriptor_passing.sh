#!/usr/bin/env bash
# Drives examples/descriptor_passing with python3: a file that has lost its name meanwhile comes over the socket, and the
# example's own client gets it, too. Called by tools/run_tests.
set -eu
source "${BASH_SOURCE%/*}/refused.sh"
# By itself; and whether the system has such sockets at all (Windows passes no descriptors, Wine 8 has no local sockets).
if ! said=$(timeout 20 "$1" 2>&1); then
  echo "$said"
  [[ $said == *"address family not supported"* ]] && exit 77
  exit 1
fi
directory=$(mktemp -d)
echo "passed on" >"$directory/file"
refused 1 "/socket: no such file" "$1" "$directory/socket"  # nobody is there
refused 1 "/none/socket: no such file" "$1" "$directory/none/socket" "$directory/file"
refused 1 "file name too long" "$1" "$directory/$(printf '%0200d' 0)" "$directory/file"
coproc server { exec "$1" "$directory/socket" "$directory/file" 2>&1; }
pid=$server_PID
trap 'kill "$pid" 2>/dev/null; rm -rf "$directory"' EXIT
listening "${server[0]}"
timeout 20 python3 - "$directory/socket" <<'END'
import os, socket, sys
stream = socket.socket(socket.AF_UNIX)
stream.connect(sys.argv[1])
data, descriptors, _, _ = socket.recv_fds(stream, 10, 4)
assert data == b"x" and len(descriptors) == 1, (data, descriptors)
assert os.read(descriptors[0], 100) == b"passed on\n"
END
[[ $(timeout 20 "$1" "$directory/socket") == "passed on" ]]
trap 'rm -rf "$directory"' EXIT
kill -TERM "$pid"
wait "$pid"
[[ ! -e $directory/socket ]]
