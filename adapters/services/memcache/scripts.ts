/**
 * What is done on the host: constant texts for sh, whose every name and path comes as a word of the argv.
 * The first words are the service's directory and name. A directory is one service's own while its marker bears that name.
 */
const OURS = `
set -eu
dir=$1 name=$2
shift 2
marker=$dir/.fleetbeat-memcache
pid_file=$dir/memcached.pid

is_ours() { [ -f "$marker" ] && [ "$(cat "$marker")" = "$name" ]; }

# A pid may by now be another's: it is ours while that process was started with our pid file.
is_alive() { { tr '\\0' '\\n' <"/proc/$1/cmdline"; } 2>/dev/null | grep -Fxq -- "$pid_file"; }

is_running() {
  pid=$(cat "$pid_file" 2>/dev/null) || return 1
  case $pid in '' | *[!0-9]*) return 1 ;; esac
  is_alive "$pid"
}

fail() { echo "$1" >&2; exit 1; }

# Waits for tenths of seconds until a condition holds.
within() {
  tenths=$1
  shift
  until "$@"; do
    [ "$tenths" -gt 0 ] || return 1
    tenths=$((tenths - 1))
    sleep 0.1
  done
}
`;

/** Words: directory, name. Writes `uninstalled`, `stopped`, or `running` and the pid. */
export const LOOK = `${OURS}
is_ours || { echo uninstalled; exit 0; }
if is_running; then echo "running $pid"; else echo stopped; fi
`;

/** Words: directory, name, binary, user. A directory with something else in it is not taken over, since \`remove\` would delete it. */
export const INSTALL = `${OURS}
binary=$1 user=$2
command -v "$binary" >/dev/null || fail "there is no program $binary"
umask 022
mkdir -p "$dir"
is_ours && exit 0
[ ! -e "$marker" ] || fail "$dir belongs to the service $(cat "$marker")"
[ -z "$(ls -A "$dir")" ] || fail "$dir is not empty"
[ "$(id -u)" -ne 0 ] || chown "$user" "$dir"
echo "$name" >"$marker"
`;

/** Words: directory, name, binary, user, address, port, MiB. The pid file is written once the server listens. */
export const UP = `${OURS}
binary=$1 user=$2 address=$3 port=$4 megabytes=$5
is_ours || fail "$dir is not installed"
is_running && exit 0
rm -f "$pid_file"
set -- -d -P "$pid_file" -l "$address" -p "$port" -U 0 -m "$megabytes"
[ "$(id -u)" -ne 0 ] || set -- "$@" -u "$user"
"$binary" "$@" </dev/null >/dev/null
within 30 is_running || fail "it did not come up: is $address port $port taken, or $dir closed to its user?"
`;

/** Words: directory, name. */
export const STOP = `${OURS}
is_gone() { ! is_alive "$pid"; }
is_running || exit 0
kill "$pid"
within 30 is_gone || { kill -KILL "$pid"; within 20 is_gone || fail "its process $pid does not end"; }
rm -f "$pid_file"
`;

/** Words: directory, name. What does not bear our marker is left alone. */
export const REMOVE = `${OURS}
[ -e "$marker" ] || exit 0
is_ours || fail "$dir belongs to the service $(cat "$marker")"
is_running && fail "its process $pid still runs"
rm -rf "$dir"
`;

/** The longest of them waits for five seconds. */
export const SCRIPT_MS = 15_000;
