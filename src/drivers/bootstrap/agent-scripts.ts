import { PLACE } from './host.ts';

/**
 * How an agent is told to run, from what it wrote last: the version, the boot, the second of that boot, its interval, its pid and the
 * tick at which that process began. A beat of another boot, of a process that is gone, or three intervals old is none.
 */
export const BEATING = `
began() {
  { IFS= read -r stat <"/proc/$1/stat"; } 2>/dev/null || return
  set -- \${stat##*) }
  [ "$1" != Z ] || return
  shift 19
  tick=$1
}

# Leaves what it beats as in $beats; empty where it does not.
look_at_beat() {
  beats=
  [ -r "$1" ] && read -r said boot second every pid begun <"$1" || return
  case "$second$every" in '' | *[!0-9]*) return 1 ;; esac
  IFS= read -r now_boot </proc/sys/kernel/random/boot_id
  read -r now _ </proc/uptime
  [ "$boot" = "$now_boot" ] && [ $((\${now%%.*} - second)) -le $((3 * every)) ] || return
  began "$pid" && [ "$tick" = "$begun" ] && beats=$said
}
`;

/**
 * The agent itself. In its folder it finds \`words\`: its version, its interval in seconds, and the argv of what it keeps running, one
 * a line; and writes \`beat\`. It opens no port and holds no secret. Another agent of the folder takes over by writing \`pid\`.
 */
export const AGENT = `# The agent of fleetbeat. It is written anew by every bootstrap.
${BEATING}
folder=\${0%/*}
beat=$folder/beat
version= every= child=
set --
while IFS= read -r word; do
  if [ -z "$version" ]; then version=$word; elif [ -z "$every" ]; then every=$word; else set -- "$@" "$word"; fi
done <"$folder/words"
began $$ || exit
echo "$$ $tick" >"$folder/pid.part" && mv -f "$folder/pid.part" "$folder/pid" || exit

leave() { [ -z "$child" ] || kill "$child" 2>/dev/null; exit 0; }
trap leave TERM INT
trap '' HUP

begin() {
  [ $# -gt 0 ] || return 0
  "$@" </dev/null &
  child=$!
}
pass() { sleep "$1" & wait $!; }

begin "$@"
[ -z "$child" ] || pass 1
while IFS=' ' read -r owner _ <"$folder/pid" && [ "$owner" = $$ ]; do
  # A disk that is full or read-only keeps the last beat, which then grows old.
  if [ -z "$child" ] || kill -0 "$child" 2>/dev/null; then
    read -r now _ </proc/uptime
    IFS= read -r boot </proc/sys/kernel/random/boot_id
    { echo "$version $boot \${now%%.*} $every $$ $tick" >"$beat.part" && mv -f "$beat.part" "$beat"; } 2>/dev/null
  else
    begin "$@"
  fi
  pass "$every"
done
leave
`;

/** The unit by which systemd runs it. */
const UNIT = 'fleetbeat-agent.service';

/**
 * Words: folder, version, interval in seconds, the text of the agent, and the argv of what it keeps running, if any. Ends once it beats.
 * Root has it run by systemd, where that runs; else it is a process by itself, until the machine is switched off.
 */
export const START = `${PLACE}${BEATING}
version=$2 every=$3 agent=$4
shift 4
case $place in *[!A-Za-z0-9._/+-]*) fail "the folder of an agent has a plain path, found $place" ;; esac

is_beating() { look_at_beat "$place/beat"; [ "$beats" = "$version" ]; }
is_running() { read -r pid begun <"$place/pid" && began "$pid" && [ "$tick" = "$begun" ]; } 2>/dev/null
is_gone() { ! is_running; }
within() {
  tenths=$1
  shift
  until "$@"; do
    [ "$tenths" -gt 0 ] || return 1
    tenths=$((tenths - 1))
    sleep 0.1
  done
}

is_beating && exit 0
mkdir -p "$place" || exit
printf '%s\\n' "$version" "$every" "$@" >"$place/words.part" && mv -f "$place/words.part" "$place/words" || exit
printf %s "$agent" >"$place/agent.part" && mv -f "$place/agent.part" "$place/agent" || exit
rm -f "$place/beat"

if [ -d /run/systemd/system ] && [ "$(id -u)" -eq 0 ]; then
  units=/etc/systemd/system
  printf '%s\\n' '[Unit]' 'Description=fleetbeat agent' 'After=network.target' '' '[Service]' "ExecStart=/bin/sh $place/agent" \\
    'Restart=always' 'RestartSec=1' '' '[Install]' 'WantedBy=multi-user.target' >"$units/${UNIT}.part" &&
    mv -f "$units/${UNIT}.part" "$units/${UNIT}" || exit
  systemctl daemon-reload && systemctl enable ${UNIT} && systemctl restart ${UNIT} || exit
else
  if is_running; then
    kill "$pid"
    within 30 is_gone || kill -KILL "$pid"
  fi
  detach=setsid
  command -v setsid >/dev/null || detach=nohup
  "$detach" sh "$place/agent" </dev/null >/dev/null 2>&1 &
fi
within $((30 * every + 50)) is_beating || fail 'the agent was started, and does not beat'
`;
