/**
 * What is done on the host: constant texts for sh, whose every name and path comes as a word of the argv, and every secret on the
 * standard input. The first words are the service's directory and name. A directory is one service's own while its marker bears
 * that name. In it stand `data`, `run` and `tmp`, which are the server's, and the option file, the log and the pid, which are not.
 */
export const OURS = `
set -eu
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
dir=$1 name=$2
shift 2
marker=$dir/.fleetbeat-mariadb
pid_file=$dir/pid

is_ours() { [ -f "$marker" ] && [ "$(cat "$marker")" = "$name" ]; }
is_installed() { is_ours && [ -d "$dir/data" ]; }

# A pid may by now be another's: it is ours while that process was started with our option file.
is_alive() { { tr '\\0' '\\n' <"/proc/$1/cmdline"; } 2>/dev/null | grep -Fxq -- "--defaults-file=$dir/my.cnf"; }

is_running() {
  pid=$(cat "$pid_file" 2>/dev/null) || return 1
  case $pid in '' | *[!0-9]*) return 1 ;; esac
  is_alive "$pid"
}

fail() { echo "$1" >&2; exit 1; }
# In KiB, what the user of the server may have of it.
room() { df -Pk "$dir/data" | awk 'NR == 2 { print $4 }'; }
said() { grep -F '[ERROR]' "$dir/error.log" 2>/dev/null | grep -v 'Aborting$' | tail -n 2 | cut -c 1-250 | tr '\\n' ' '; }

# Waits for tenths of seconds until a condition holds.
within() {
  left=$1
  shift
  until "$@"; do
    [ "$left" -gt 0 ] || return 1
    left=$((left - 1))
    sleep 0.1
  done
}

# It may hold secrets among its extra options. The server reads it before it becomes another user.
write_part() { (umask 077 && cat >"$dir/my.cnf.part"); }
write_options() {
  write_part
  mv -f "$dir/my.cnf.part" "$dir/my.cnf"
}
`;

/** Words: directory, name. Writes \`uninstalled\`, \`stopped\`, \`died\` and why, \`starting\`, or \`running\`. */
export const LOOK = `${OURS}
is_installed || { echo uninstalled; exit 0; }
if ! is_running; then
  if [ -e "$pid_file" ]; then echo "died $(said)"; else echo stopped; fi
  exit 0
fi
# The server writes a file of its own once it listens.
for ready in "$dir"/run/*.pid; do
  [ ! -e "$ready" ] || { echo running; exit 0; }
done
echo starting
`;

/**
 * Words: directory, name, client, socket, how many KiB are enough, and whether to count in any case. Writes how many are left, and
 * how many statements wait for some, which is only looked for where that is too few or was.
 */
export const ROOM = `${OURS}
client=$1 socket=$2 enough=$3 count=$4
left=$(room)
if [ "$left" -ge "$enough" ] && [ "$count" = skip ]; then echo "$left 0"; exit 0; fi
# Not from information_schema, whose tables want room themselves.
waiting=$("$client" --no-defaults --socket="$socket" --user="$(id -un)" --connect-timeout=1 --batch --skip-column-names \\
  -e 'SHOW PROCESSLIST' | awk -F '\\t' '$7 == "Waiting for someone to free space" { n++ } END { print n + 0 }')
echo "$left $waiting"
`;

/**
 * Words: directory, name, installer, server, client, dumper, user; the option file comes on the standard input. A directory with
 * something else in it is not taken over, since \`remove\` would delete it. The data is made beside its place, so that half of it is none.
 */
export const INSTALL = `${OURS}
installer=$1 server=$2 client=$3 dumper=$4 user=$5
for program in "$installer" "$server" "$client" "$dumper"; do
  command -v "$program" >/dev/null || fail "there is no program $program"
done
umask 022
mkdir -p "$dir"
if ! is_ours; then
  [ ! -e "$marker" ] || fail "$dir belongs to the service $(cat "$marker")"
  [ -z "$(ls -A "$dir")" ] || fail "$dir is not empty"
  echo "$name" >"$marker"
fi
[ ! -d "$dir/data" ] || exit 0
rm -rf "$dir/data.part"
mkdir -p "$dir/run" "$dir/tmp" "$dir/data.part"
chmod 700 "$dir/tmp" "$dir/data.part"
write_options
set -- --defaults-file="$dir/my.cnf" --datadir="$dir/data.part"
if [ "$(id -u)" -eq 0 ]; then
  chown "$user" "$dir/run" "$dir/tmp" "$dir/data.part"
  set -- "$@" --user="$user"
fi
# Whoever runs this is its administrator, through the socket alone: no password of one exists.
"$installer" "$@" --auth-root-authentication-method=socket --auth-root-socket-user="$(id -un)" \\
  --skip-test-db --skip-name-resolve --cross-bootstrap >"$dir/install.log" 2>&1 ||
  fail "$installer ended with $?: $(grep -F '[ERROR]' "$dir/install.log" | tail -n 1)"
mv "$dir/data.part" "$dir/data"
`;

/**
 * Words: directory, name, server, how many bytes the option file has, which comes on the standard input. It replaces the present
 * one only when the server can read it, which is tried in a folder of no data; one that is right is left alone.
 */
export const CONFIGURE = `${OURS}
server=$1 bytes=$2
is_installed || fail "$dir is not installed"
# The dot keeps the end of the last line.
wanted=$(cat && echo .)
wanted=\${wanted%.}
[ "$(printf %s "$wanted" | wc -c)" -eq "$bytes" ] || fail 'the option file was cut off on its way'
is_right() {
  [ -f "$dir/my.cnf" ] && [ "$(stat -c %a "$dir/my.cnf")" = 600 ] && [ "$(cat "$dir/my.cnf" && echo .)" = "$wanted." ]
}
! is_right || exit 0
printf %s "$wanted" | write_part
trial=$dir/trial
rm -rf "$trial"
(umask 077 && mkdir "$trial")
said=$("$server" --defaults-file="$dir/my.cnf.part" --datadir="$trial" --tmpdir="$trial" --loose-aria-log-dir-path="$trial" \
  --help --verbose 2>&1 >/dev/null) || {
  rm -rf "$trial" "$dir/my.cnf.part"
  # What an option was to be may be a secret.
  fail "its options are refused: $(echo "$said" | grep -F '[ERROR]' | sed "s/=[^']*'/=***'/g; s/value '[^']*'/value '***'/g" | tail -n 3)"
}
rm -rf "$trial"
mv -f "$dir/my.cnf.part" "$dir/my.cnf"
`;

/**
 * Words: directory, name, server, client, socket, user, tenths of seconds, how many KiB must be left, what tells the options apart; the option file comes on the standard input. Each run has
 * a pid file of its own name, by which it can be told from every other, also through SQL, and what it was started with too.
 */
export const UP = `${OURS}
server=$1 client=$2 socket=$3 user=$4 tenths=$5 enough=$6 options=$7
is_installed || fail "$dir is not installed"
[ "$(room)" -ge "$enough" ] || fail "No space left on device: $(room) KiB for $dir/data"
rm -f "$dir/removal"
if ! is_running; then
  write_options
  rm -f "$dir"/run/*.pid
  [ ! -e "$dir/error.log" ] || mv -f "$dir/error.log" "$dir/error.log.old"
  run=$(od -An -N8 -tx1 /dev/urandom | tr -d ' \\n')
  set -- --defaults-file="$dir/my.cnf" --pid-file="$dir/run/$run-$options.pid"
  [ "$(id -u)" -ne 0 ] || set -- "$@" --user="$user"
  setsid "$server" "$@" </dev/null >"$dir/error.log" 2>&1 &
  echo $! >"$pid_file"
  # Until then it is still a sh. It has no words either in the moment in which it becomes the server, so that none mean nothing.
  has_ended() { [ ! -e "/proc/$!" ] || grep -q '^State:.Z' "/proc/$!/status" 2>/dev/null; }
  has_begun() { is_running || has_ended; }
  within 100 has_begun
  is_running || fail "it ended as it started: $(said)"
fi
answers() { "$client" --no-defaults --socket="$socket" --user="$(id -un)" --connect-timeout=5 -e 'SELECT 1' >/dev/null 2>&1; }
until answers; do
  is_running || fail "it ended while it started: $(said)"
  [ "$tenths" -gt 0 ] || fail "it is still starting: $(tail -n 1 "$dir/error.log" | cut -c 1-250)"
  tenths=$((tenths - 1))
  sleep 0.1
done
`;

/** Words: directory, name, tenths of seconds. It is never killed: what a clean stop would have written may be all there is. */
export const STOP = `${OURS}
tenths=$1
is_gone() { ! is_alive "$pid"; }
if is_running; then
  kill "$pid"
  within "$tenths" is_gone || fail "its process $pid has been asked to end, and does not"
fi
! is_ours || rm -f "$pid_file"
`;

/**
 * Words: directory, name, the token of whoever asks, minutes. Writes \`gone\`, \`asked\`, or \`confirmed\` where somebody else had asked
 * not longer ago.
 */
export const ASK_REMOVAL = `${OURS}
token=$1 minutes=$2
asked=$dir/removal
[ -e "$marker" ] || { echo gone; exit 0; }
is_ours || fail "$dir belongs to the service $(cat "$marker")"
first=$(find "$asked" -mmin "-$minutes" -exec cat {} + 2>/dev/null) || first=
if [ -n "$first" ] && [ "$first" != "$token" ]; then echo confirmed; exit 0; fi
[ -n "$first" ] || echo "$token" >"$asked"
echo asked
`;

/** Words: directory, name. What does not bear our marker is left alone. What says that it was confirmed goes last. */
export const REMOVE = `${OURS}
[ -e "$marker" ] || exit 0
is_ours || fail "$dir belongs to the service $(cat "$marker")"
is_running && fail "its process $pid still runs"
find "$dir" -mindepth 1 -maxdepth 1 ! -name .fleetbeat-mariadb ! -name removal -exec rm -rf {} +
rm -rf "$dir"
`;

/** Words: directory, name, client, socket; SQL comes on the standard input. */
export const ADMINISTER = `${OURS}
client=$1 socket=$2
is_installed || fail "$dir is not installed"
exec "$client" --no-defaults --socket="$socket" --user="$(id -un)" --connect-timeout=5 \\
  --batch --skip-column-names --binary-mode --default-character-set=utf8mb4
`;
