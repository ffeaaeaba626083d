#!/usr/bin/env bash
# Drives examples/proxy: a client that half-closes gets its whole answer through it, and curl a page if it is there.
# Called by tools/run_tests.
set -eu
source "${BASH_SOURCE%/*}/refused.sh"
refused 2 usage: "$1" 7002
refused 2 usage: "$1" 7002 localhost
refuses_ports "$1" PORT localhost 80
refuses_ports "$1" 0 localhost PORT
timeout 20 "$1"  # by itself
directory=$(mktemp -d)
children=()
trap 'kill "${children[@]}" 2>/dev/null; rm -rf "$directory"' EXIT
echo "a page behind a proxy" >"$directory/page"
# The target answers only after the end of what it is sent (the half-close), and serves a page as well.
cat >"$directory/target.py" <<'END'
import hashlib, http.server, socket, sys, threading
counter = socket.create_server(("127.0.0.1", 0))
def count():
    while True:
        peer, _ = counter.accept()
        data = b""
        while chunk := peer.recv(65536): data += chunk
        peer.sendall(hashlib.sha256(data).hexdigest().encode())
        peer.close()
threading.Thread(target=count, daemon=True).start()
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
print(counter.getsockname()[1], server.server_address[1], flush=True)
server.serve_forever()
END
exec 4< <(cd "$directory" && exec python3 target.py)
children+=($!)
read -r -t 20 half_port http_port <&4
start_proxy() {
  exec 5< <(exec "$1" 0 127.0.0.1 "$2" 2>&1)
  children+=($!)
  listening 5
}
start_proxy "$1" "$half_port"
timeout 20 python3 - "$address" <<'END'
import hashlib, os, socket, sys
host, port = sys.argv[1].rsplit(":", 1)
data = os.urandom(3_000_000)
stream = socket.create_connection((host, int(port)), timeout=15)
stream.sendall(data)
stream.shutdown(socket.SHUT_WR)
answer = b""
while chunk := stream.recv(1000): answer += chunk
assert answer.decode() == hashlib.sha256(data).hexdigest(), answer
END
if command -v curl >/dev/null; then
  start_proxy "$1" "$http_port"
  [[ $(curl -s --max-time 15 "http://$address/page") == "a page behind a proxy" ]]
fi
