/** How the script below ends where it does not run its command; its last line of error output then says why. */
export const FENCE_EXIT = 120;

/**
 * Runs a command on a host unless a newer leader has acted there. Constant text for sh; its words are the folder of the fences
 * (empty for the default one), the fleet, the fence, how many tenths of a second it may wait, and the command's argv.
 *
 * The fleet's folder holds `fence`, the highest that came, and for each fence a lock `<n>.running` that its commands share. Theirs
 * is taken before `fence` is looked at, so that whoever raises it finds everyone who was let in before: the first command of a new
 * leader shuts the old one out, and then waits for what the old one has begun.
 *
 * The command does not inherit the locks: a daemon that it leaves behind would keep them. So sh stays to hold them, also where the
 * command is asked to end.
 */
export const FENCE = `
set -u
folder=\${1:-$HOME/.fleetbeat/fences}/$2 fence=$3 tenths=$4
shift 4

refuse() { echo "fleetbeat-fence $1" >&2; exit ${FENCE_EXIT}; }

take() {
  until flock -n "$@"; do
    [ "$tenths" -gt 0 ] || return 1
    tenths=$((tenths - 1))
    sleep 0.1
  done
}

# A fence that a crash of the host could lower would be none.
raise() {
  part=$folder/fence.part
  echo "$fence" >"$part" && on_disk "$part" && mv -f "$part" "$folder/fence" && on_disk "$folder"
}
on_disk() { sync "$1" 2>/dev/null || sync; }

command -v flock >/dev/null || refuse no-flock
mask=$(umask)
umask 077
mkdir -p "$folder" && command exec 9>>"$folder/$fence.running" 8>>"$folder/lock" || refuse unusable
take -s 9 && take -x 8 || refuse busy
highest=0
[ ! -e "$folder/fence" ] || highest=$(cat "$folder/fence")
case $highest in '' | *[!0-9]*) refuse damaged ;; esac
[ "$highest" -le "$fence" ] || refuse "newer $highest"
[ "$highest" -eq "$fence" ] || raise || refuse unusable
exec 8>&-

for running in "$folder"/*.running; do
  older=\${running##*/}
  older=\${older%.running}
  case $older in *[!0-9]*) continue ;; esac
  [ "$older" -lt "$fence" ] || continue
  command exec 7>>"$running" && take -x 7 || refuse "busy $older"
  rm -f "$running"
  exec 7>&-
done

umask "$mask"
trap : HUP INT TERM
"$@" 9>&-
# Said aloud, since sh may replace itself by the command of its last line.
exit $?
`;
