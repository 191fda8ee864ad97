/**
 * The beginning of scripts for a service that has a directory of its own on a host, with a configuration file and a program that
 * writes its pid there. Constant text for sh, whose every name and path comes as a word of the argv: the directory, the service's
 * name, the file name of its configuration, the file name of its pid. A directory is one service's own while its marker bears
 * that name.
 */
export const DIRECTORY = `
set -eu
dir=$1 name=$2 config=$1/$3 pid_file=$1/$4
shift 4
marker=$dir/.fleetbeat-service

fail() { echo "$1" >&2; exit 1; }
is_ours() { [ -f "$marker" ] && [ "$(cat "$marker")" = "$name" ]; }

# A pid may by now be another's: it is ours while that process was started with our pid file.
is_alive() { { tr '\\0' '\\n' <"/proc/$1/cmdline"; } 2>/dev/null | grep -Fxq -- "$pid_file"; }

is_running() {
  pid=$(cat "$pid_file" 2>/dev/null) || return 1
  case $pid in '' | *[!0-9]*) return 1 ;; esac
  is_alive "$pid"
}

# All processes of ours, also those that the first one has left behind.
family() {
  for found in $(grep -zFxl -- "$pid_file" /proc/[0-9]*/cmdline 2>/dev/null); do
    found=\${found#/proc/}
    found=\${found%/cmdline}
    ! is_alive "$found" || echo "$found"
  done
}
is_gone() { [ -z "$(family)" ]; }

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

digest_of() { sha256sum <"$1" | cut -d ' ' -f 1; }
digest() { if [ -f "$config" ]; then digest_of "$config"; else echo none; fi; }
# With its pid, what names a process for good.
started() { sed 's/.*) //' "/proc/$1/stat" | cut -d ' ' -f 20; }

# What holds something else is not taken over, since it would be deleted with the service.
take_directory() {
  mkdir -p "$dir"
  is_ours && return 0
  [ ! -e "$marker" ] || fail "$dir belongs to the service $(cat "$marker")"
  [ -z "$(ls -A "$dir")" ] || fail "$dir is not empty"
  chmod 700 "$dir"
  echo "$name" >"$marker"
}

# Puts what comes on stdin in place of the configuration, once a command finds it sound; until then the old one stays.
replace_config() {
  wanted=$1
  shift
  [ "$(digest)" != "$wanted" ] || return 0
  part=$config.part
  (umask 077 && cat >"$part")
  [ "$(digest_of "$part")" = "$wanted" ] || fail 'the configuration was cut off on its way'
  said=$("$@" 2>&1) || { rm -f "$part"; fail "its configuration is refused: $said"; }
  mv -f "$part" "$config"
}

end_all() {
  kill "$pid"
  within 30 is_gone && return 0
  for each in $(family); do kill -KILL "$each" 2>/dev/null || :; done
  within 20 is_gone || fail "its processes do not end: $(family | tr '\\n' ' ')"
}
`;

/** Words: none. */
export const STOP = `${DIRECTORY}
is_running || exit 0
end_all
rm -f "$pid_file"
`;

/** Words: none. What does not bear our marker is left alone. */
export const REMOVE = `${DIRECTORY}
[ -e "$marker" ] || exit 0
is_ours || fail "$dir belongs to the service $(cat "$marker")"
is_gone || fail "its processes still run: $(family | tr '\\n' ' ')"
rm -rf "$dir"
`;
