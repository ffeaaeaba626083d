#!/usr/bin/env bash
# Drives examples/tour: it ends well within a minute, prints plain lines where there is no terminal, and README.md shows
# what it prints, but for the figures. Called by tools/run_tests.
set -eu
printed=$(GYRE_POLLER='' timeout 60 "$1")
[[ $printed == *"2. What a switch costs"*"3. Next"* ]]
# Another system has other contexts.
[[ $printed == *ucontext:* ]] || exit 0
[[ $printed != *$'\r'* && $printed != *$'\e'* ]]

# Figures, units and bars are this machine's, and so is the poller.
plain() {
  sed -E 's/[0-9]+(\.[0-9]+)?/N/g; s/[#.]{25,}/BAR/; s/ +/ /g; s/threads?/thread/; s/^( poller ).*/\1/'
}
shown=$(awk '/^1\. 100 web pages/ { on = 1 } /^```/ { on = 0 } on' README.md)
# Without it only under ThreadSanitizer.
[[ $printed == *fiber:* ]] || shown=$(grep -v fiber: <<<"$shown")
diff <(plain <<<"$shown") <(plain <<<"$printed")

# On a terminal there is a bar that moves.
if command -v script >/dev/null; then
  drawn=$(timeout 60 script -qec "$1" /dev/null </dev/null)
  [[ $drawn == *$'\r   [#'*"100 done"* ]]
fi
