#!/usr/bin/env bash
# Drives examples/pipeline, by itself; where there are no sort and uniq (Wine) it cannot run. Called by tools/run_tests.
set -eu
if ! said=$(timeout 20 "$1" 2>&1); then
  echo "$said"
  [[ $said == *"execute sort: no such file or directory"* ]] && exit 77
  exit 1
fi
