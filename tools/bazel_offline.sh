# To be sourced, at the root of the repository: sets bazel_startup and bazel_options (arrays), so that the distribution's
# packages stand in for what Bazel would fetch. Other Bazels than Debian's bazel-bootstrap do fetch.
bazel_startup=(--output_user_root="$PWD/${BUILD:-build}/bazel" --max_idle_secs=60)
bazel_options=(--symlink_prefix=/ --noshow_progress --jobs="${JOBS:-2}" --local_test_jobs="${JOBS:-2}")
if [[ -d /usr/share/bazel/rules/java ]]; then
  for repository in rules_cc googletest google_benchmark remote_coverage_tools; do
    bazel_options+=(--override_repository=$repository="$PWD/tools/bazel/$repository")
  done
  bazel_options+=(--override_repository=rules_java=/usr/share/bazel/rules/java)
  bazel_options+=(--override_repository=rules_proto=/usr/share/bazel/rules/proto)
  # The distribution's linux-sandbox prints every mount; and many containers forbid it.
  bazel_options+=(--spawn_strategy=processwrapper-sandbox,local)
fi
