#!/usr/bin/env bash
# Drives examples/echo_server: a line comes back, and SIGTERM ends it in good order. Called by tools/run_tests.
set -eu
source "${BASH_SOURCE%/*}/refused.sh"
refuses_ports "$1" PORT
coproc server { exec "$1" 0 2>&1; }
pid=$server_PID
trap 'kill "$pid" 2>/dev/null' EXIT

listening "${server[0]}"
refused 1 "bind $address: address" "$1" "${address##*:}"  # it is in use
exec 3<>"/dev/tcp/${address%:*}/${address##*:}"
echo "hello, Gyre" >&3
read -r -t 20 answer <&3
exec 3>&-
if [[ $answer != "hello, Gyre" ]]; then
  echo "came back: $answer"
  exit 1
fi
trap - EXIT
kill -TERM "$pid"
wait "$pid"

# Out of descriptors it ends, and says why. (Where there is a limit: the clients take what the server has not.)
[[ $(uname) == Linux && $(head -c 4 "$1") == $'\x7fELF' ]] || exit 0
timeout 30 python3 - "$1" <<'END'
import resource, socket, subprocess, sys
limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
server = subprocess.Popen([sys.argv[1], "0"], stderr=subprocess.PIPE, text=True, preexec_fn=limit)
host, port = next(line for line in server.stderr if line.startswith("listening on ")).split()[-1].rsplit(":", 1)
clients = []
try:
    for _ in range(30): clients.append(socket.create_connection((host, int(port)), timeout=15))
except ConnectionError: pass  # it has ended already
said = server.stderr.read()
assert server.wait() == 1 and "too many open files" in said, (server.returncode, said)
END
