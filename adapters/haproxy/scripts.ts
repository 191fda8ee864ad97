import { DIRECTORY } from '../host/directory.ts';

const HAPROXY = `${DIRECTORY}
# Says one line to a socket of the directory, and writes the answer. It is named without its path, which some would read.
talk() (
  cd "$dir"
  socket=\${2:-haproxy.sock}
  if command -v socat >/dev/null; then
    echo "$1" | socat -t 3 -T 3 - "UNIX-CONNECT:$socket"
  elif command -v perl >/dev/null; then
    perl -MIO::Socket::UNIX -e 'alarm 3; $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "$!\\n";
      $s->autoflush(1); print $s "$ARGV[1]\\n"; $s->shutdown(1); print while <$s>' "$socket" "$1"
  elif command -v python3 >/dev/null; then
    python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(3); s.connect(sys.argv[1]); s.sendall((sys.argv[2] + "\\n").encode()); s.shutdown(1)
while (b := s.recv(65536)): sys.stdout.buffer.write(b)' "$socket" "$1"
  else
    echo "there is none of socat, perl and python3 to talk to haproxy" >&2
    return 1
  fi
)
can_talk() { command -v socat >/dev/null || command -v perl >/dev/null || command -v python3 >/dev/null; }
`;

/**
 * Words: none. Writes `uninstalled`, `stopped` and the digest of its configuration, or `running` with that and what names the
 * process, and then what it says of itself and of its servers.
 */
export const LOOK = `${HAPROXY}
is_ours || { echo uninstalled; exit 0; }
is_running || { echo "stopped $(digest)"; exit 0; }
echo "running $(digest) $pid-$(started "$pid")"
talk 'show info;show stat -1 4 -1' || :
`;

/**
 * Words: what (install, route or up), binary, digest and version of the configuration, which comes on stdin. It replaces the
 * present one only when haproxy finds it sound. A haproxy that runs takes it over at once, its connections kept, also where it may
 * have read a file in its place that was changed by hand; \`up\` starts one that does not run.
 */
export const APPLY = `${HAPROXY}
what=$1 binary=$2 wanted=$3 version=$4
log=$dir/haproxy.log

is_sound() { "$binary" -C "$dir" -c -f haproxy.cfg.part; }
# Whether the worker that answers runs what is wanted; the one that is not trusted, which perhaps read another file of that version, does not.
distrusted=none
worker() { talk 'show info' 2>/dev/null | sed -n 's/^Pid: //p'; }
is_taken() {
  said=$(talk 'show info' 2>/dev/null) || return 1
  echo "$said" | grep -Fxq "description: $version" && ! echo "$said" | grep -Fxq "Pid: $distrusted"
}

# Servers that were drained, or are down, stay so over a reload. One whose address has changed begins anew.
keep_states() {
  talk 'show servers state' 2>/dev/null | awk '
    FNR == NR { if ($1 == "listen") listener = $2; if ($1 == "server") known[listener "/" $2 "/" $3]; next }
    /^[0-9]+ / {
      address = ($5 ~ /:/ ? "[" $5 "]" : $5) ":" $19
      if (($2 "/" $4 "/" address) in known) print
      next
    }
    { print }' "$config" - >"$dir/servers.state.part" && mv -f "$dir/servers.state.part" "$dir/servers.state"
}

# How many reloads its master has given up, as far as it counts them.
failures() { talk 'show proc' master.sock 2>/dev/null | awk '$2 == "master" { sub(/.*failed: /, ""); print $0 + 0 }'; }
is_given_up() { now=$(failures) && [ -n "$now" ] && [ "$now" != "$before" ]; }
is_decided() { is_taken || is_given_up; }

reload() {
  is_taken && return 0
  keep_states
  before=$(failures)
  kill -USR2 "$pid"
  within 100 is_decided && is_taken ||
    fail "it does not take its new configuration, and runs as before: $(tail -c 300 "$log")"
}

start() {
  rm -f "$pid_file" "$dir/servers.state"
  "$binary" -W -D -C "$dir" -p "$pid_file" -S unix@master.sock,mode,600 -f haproxy.cfg </dev/null >"$log" 2>&1 ||
    fail "it does not start: $(tail -c 300 "$log")"
  within 100 is_taken || fail "it was started and does not answer: $(tail -c 300 "$log")"
}

if [ "$what" = install ]; then
  command -v "$binary" >/dev/null || fail "there is no program $binary"
  can_talk || fail "there is none of socat, perl and python3 to talk to haproxy"
  take_directory
fi
is_ours || fail "$dir is not installed"
if [ "$(digest)" != "$wanted" ] && is_running; then distrusted=$(worker); fi
replace_config "$wanted" is_sound
if [ "$what" = install ]; then exit 0; fi
if is_running; then reload; elif [ "$what" = up ]; then start; fi
`;

/** Words: a command and its value, then servers, each with its listener, some of which may not exist. Writes how many took it. */
export const COMMAND_SERVER = `${HAPROXY}
command=$1 value=$2
shift 2
is_running || fail 'it does not run'
taken=0
for server; do
  said=$(talk "$command $server $value")
  case $said in
    '') taken=$((taken + 1)) ;;
    *'No such'*) ;;
    *) fail "$server: $said" ;;
  esac
done
echo "$taken"
`;

/** Words: servers, each with its listener. Ends their connections, also those that are left to a process from before a reload. */
export const CUT = `${HAPROXY}
is_running || fail 'it does not run'
for worker in $(talk 'show proc' master.sock | awk '$2 == "worker" { print $1 }'); do
  for server; do talk "@!$worker shutdown sessions server $server" master.sock >/dev/null || :; done
  # One from before a reload knows its servers no more, only connections.
  for server; do
    for id in $(talk "@!$worker show sess" master.sock |
      awk -v at="be=\${server%%/*} srv=\${server#*/}" 'index($0 " ", " " at " ") { sub(/:$/, "", $1); print $1 }'); do
      talk "@!$worker shutdown session $id" master.sock >/dev/null || :
    done
  done
done
`;
