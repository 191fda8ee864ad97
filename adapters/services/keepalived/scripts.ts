import { DIRECTORY } from '../../host/directory.ts';

/**
 * What keepalived runs to see whether its host may have the addresses: whether every program whose pid file is listed runs. Which
 * they are stands in a file beside it, read line by line.
 */
const ALIVE = `#!/bin/sh
cd "$(dirname "$0")" || exit 1
while IFS= read -r pid_file; do
  pid=$(cat "$pid_file") || exit 1
  tr "\\0" "\\n" <"/proc/$pid/cmdline" | grep -Fxq -- "$pid_file" || exit 1
done <tracked
`;

/**
 * Words: none. Writes `uninstalled`, `stopped` and the digest of its configuration, or `running` with that, what names the
 * process, and the digest of what it was told to run; then each address of the host on a line.
 */
export const LOOK = `${DIRECTORY}
is_ours || { echo uninstalled; exit 0; }
if is_running; then
  run=$pid-$(started "$pid")
  told=none
  if [ -f "$dir/told" ]; then read -r told_run told <"$dir/told"; [ "$told_run" = "$run" ] || told=none; fi
  echo "running $(digest) $run $told"
else
  echo "stopped $(digest)"
fi
ip -o addr show | awk '{ sub("/.*", "", $4); print $4 }'
`;

/**
 * Words: what (install, route or up), binary, digest of the configuration, which comes on stdin, then the pid files to track. The
 * configuration replaces the present one only when keepalived finds it sound. One that runs reads it again, and keeps what it
 * has; \`up\` starts one that does not.
 */
export const APPLY = `${DIRECTORY}
what=$1 binary=$2 wanted=$3
shift 3

is_sound() { "$binary" --config-test --use-file "$config.part"; }
tell() { echo "$pid-$(started "$pid") $wanted" >"$dir/told"; }
is_told() { [ "$(cat "$dir/told" 2>/dev/null)" = "$pid-$(started "$pid") $wanted" ]; }

# Words: mode, file name, and what writes its content. One that is right is left alone.
keep_file() {
  mode=$1 file=$dir/$2
  shift 2
  if [ -x "$file" ] || [ "$mode" = 600 ]; then
    [ ! -f "$file" ] || [ "$("$@" | sha256sum)" != "$(sha256sum <"$file")" ] || return 0
  fi
  (umask 077 && "$@" >"$file.part")
  chmod "$mode" "$file.part"
  mv -f "$file.part" "$file"
}

reload() {
  is_told && return 0
  kill -HUP "$pid"
  sleep 0.3
  is_running || fail 'it ended when it was to read its configuration again'
  tell
}

start() {
  rm -f "$pid_file" "$dir/told"
  "$binary" --vrrp --use-file "$config" --pid "$pid_file" --vrrp_pid "$dir/vrrp.pid" </dev/null >/dev/null 2>&1 ||
    fail "it does not start: $("$binary" --config-test --use-file "$config" 2>&1 | tail -n 3)"
  within 30 is_running || fail 'it was started and does not run: the log of the host says why'
  tell
}

if [ "$what" = install ]; then
  command -v "$binary" >/dev/null || fail "there is no program $binary"
  command -v ip >/dev/null || fail "there is no program ip (iproute2)"
  take_directory
fi
is_ours || fail "$dir is not installed"
pid_files() { for each; do printf '%s\\n' "$each"; done; }
alive() { printf %s '${ALIVE}'; }
keep_file 700 alive.sh alive
keep_file 600 tracked pid_files "$@"
# What runs may have read the file that is replaced: it is told anew.
[ "$(digest)" = "$wanted" ] || rm -f "$dir/told"
replace_config "$wanted" is_sound
if [ "$what" = install ]; then exit 0; fi
if is_running; then reload; elif [ "$what" = up ]; then start; fi
`;

/**
 * Words: the interface, then the addresses that move, each with the length of its network. One that was killed leaves them behind:
 * then another host has them too.
 */
export const STOP = `${DIRECTORY}
device=$1
shift
is_ours || exit 0
if is_running; then end_all; fi
rm -f "$pid_file"
has() { ip -o addr show dev "$device" | awk '{ print $4 }' | grep -Fxq -- "$1"; }
for address; do
  ! has "$address" || ip addr del "$address" dev "$device"
done
`;
