#!/usr/bin/env bash
# Drives examples/file_server with curl, or with python3 where there is no curl: a large file comes whole, one that is not
# there is a 404, and nothing outside the directory is served. Called by tools/run_tests.
set -eu
source "${BASH_SOURCE%/*}/refused.sh"
refused 2 usage: "$1" 7003
refuses_ports "$1" PORT /tmp
timeout 20 "$1"  # by itself
directory=$(mktemp -d)
coproc server { exec "$1" 0 "$directory/served" 2>&1; }
pid=$server_PID
trap 'kill "$pid" 2>/dev/null; rm -rf "$directory"' EXIT
mkdir "$directory/served"
head -c 5000000 /dev/urandom >"$directory/served/large"
echo secret >"$directory/secret"
listening "${server[0]}"
refused 1 "bind $address: address" "$1" "${address##*:}" "$directory"  # it is in use
if command -v curl >/dev/null; then
  curl -s --max-time 20 -o "$directory/got" "http://$address/large"
  status() { curl -s --max-time 20 --path-as-is -o /dev/null -w '%{http_code}' "http://$address/$1"; }
else
  python3 -c 'import sys, urllib.request; sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1]).read())' \
    "http://$address/large" >"$directory/got"
  status() { python3 -c 'import http.client, sys
c = http.client.HTTPConnection(sys.argv[1]); c.request("GET", "/" + sys.argv[2]); print(c.getresponse().status)' "$address" "$1"; }
fi
cmp "$directory/got" "$directory/served/large"
[[ $(status nothing) == 404 ]]
[[ $(status ../secret) == 404 ]]
[[ $(status .) == 404 ]]  # a directory is no file
trap 'rm -rf "$directory"' EXIT
kill -TERM "$pid"
wait "$pid"
