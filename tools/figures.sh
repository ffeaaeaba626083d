# To be sourced: how test reports become figures. The only place that reads GoogleTest's XML.

# figures_of REPORT: prints "passed failed skipped" of a complete GoogleTest report; fails where there is none.
figures_of() {
  local all failed not_run skipped
  grep -q '^</testsuites>' "$1" 2>/dev/null || return 1
  failed=$(sed -n 's/^<testsuites tests="[0-9]*" failures="\([0-9]*\)".*/\1/p' "$1")
  [[ -n $failed ]] || return 1
  all=$(grep -c '^ *<testcase ' "$1")
  not_run=$(grep -c '^ *<testcase .* status="notrun"' "$1")
  skipped=$(grep -c '^ *<testcase .* result="skipped"' "$1")
  echo "$((all - failed - not_run - skipped)) $failed $((skipped + not_run))"
}

# sum_figures: adds up the lines "passed failed skipped" on its input; prints the one line that every run ends with, and
# fails if anything failed.
sum_figures() {
  awk '{ passed += $1; failed += $2; skipped += $3 }
    END {
      printf "%d passed, %d failed%s\n", passed, failed, skipped ? ", " skipped " skipped" : ""
      exit failed > 0
    }'
}
