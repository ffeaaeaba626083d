#!/usr/bin/env bash
# Drives each program of examples/asyncio_book: the README there shows what it prints, but for the figures, and the picture
# that it draws has something in it. Called by tools/run_tests.
set -eu
readme=examples/asyncio_book/README.md
name=$(basename "$1")
# Under a wrapper (Wine) paths and names are others.
[[ -z ${TEST_WRAPPER:-} ]] || exec timeout 60 "$1"

# From `$ NAME` to the next program.
shown=$(awk -v name="${name#asyncio_book_}" '/^\$ / || /^```/ { on = 0 } on; $1 == "$" && $2 == name { on = 1 }' "$readme")
[[ -n $shown ]] || { echo "$readme does not show what $name prints"; exit 1; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
picture=()
if grep -q "^drawn: " <<<"$shown"; then picture=("$folder/timeline.svg"); fi
printed=$(timeout 60 "$1" "${picture[@]}")

# Numbers are this machine's, threads and processes take turns as they like, and a sanitizer has a thread of its own.
plain() {
  sed -E 's/0x[0-9a-f]+/N/g; s/[0-9]+(\.[0-9]+)?/N/g; s/ +/ /g; s/threads?/thread/; s/^drawn: .*/drawn/; s/called .*/called/; /^$/d' | sort
}
diff <(plain <<<"$shown") <(plain <<<"$printed")

if ((${#picture[@]})); then
  parts=$(grep -c '<rect x=' "$picture")
  lanes=$(grep -o '<rect x="[0-9.]*" y="[0-9]*"' "$picture" | sed 's/.* y=//' | sort -u | wc -l)
  echo "$parts parts in $lanes lanes"
  ((parts >= 2 && lanes >= 2)) && [[ $(head -c 5 "$picture") == '<svg ' && $(tail -n 1 "$picture") == '</svg>' ]]
fi
