# For the drivers of examples to source: bad input, and where a server listens.

# refused STATUS TEXT PROGRAM ARGUMENT...: PROGRAM must end, with this exit status, and say this.
refused() {
  local status=$1 text=$2 said ended=0
  shift 2
  said=$(timeout 20 "$@" 2>&1) || ended=$?
  [[ $ended == "$status" && $said == *"$text"* ]] && return
  echo "$*: status $ended, not $status; '$text' is not in: $said"
  exit 1
}

# A port is a number up to 65535: refuses_ports PROGRAM ARGUMENT..., with PORT for the one that is tried.
refuses_ports() {
  local port
  for port in 70000 -1 80x ''; do refused 1 malformed "${@/#PORT/$port}"; done
}

# listening DESCRIPTOR: sets `address` to what a server says there, `listening on ADDRESS`. Another line may come before it:
# on a slow machine a checked build tells of steps that took long.
listening() {
  local line
  while read -r -t 20 line <&"$1"; do
    if [[ $line == "listening on "* ]]; then
      address=${line#listening on }
      address=${address%$'\r'}  # how a program of Windows ends its lines
      return
    fi
  done
  echo "it does not say where it listens"
  exit 1
}
