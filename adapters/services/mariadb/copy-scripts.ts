import { OURS } from './scripts.ts';

/** Words: directory, name. Writes \`whole\`, or \`copying\` where what is there may be half of a copy. */
export const COPY_STATE = `${OURS}
if [ -e "$dir/copying" ]; then echo copying; else echo whole; fi
`;

/** Words: directory, name. From here on what is there may be thrown away, for a copy of the master's takes its place. */
export const BEGIN_COPY = `${OURS}
is_installed || fail "$dir is not installed"
rm -f "$dir/copied"
: >"$dir/copying"
`;

/** Words: directory, name. */
export const END_COPY = `${OURS}
rm -f "$dir/copied" "$dir/copying"
`;

/**
 * Words: directory, name, client, socket, dumper, the master's address, its port, the user there; the options of the dumper, with
 * the password, come on the standard input. Takes all of the master's data in place of what is there, with the position in its log
 * that it belongs to. Whoever comes while another copies waits for that one's end, and finds the work done.
 */
export const COPY = `${OURS}
client=$1 socket=$2 dumper=$3 address=$4 port=$5 user=$6
secret=$(cat)
exec 9>>"$dir/copy.lock"
flock 9
[ -e "$dir/copying" ] || fail "nobody has begun a copy"
[ ! -e "$dir/copied" ] || exit 0

sql() {
  "$client" --no-defaults --socket="$socket" --user="$(id -un)" --connect-timeout=5 --batch --skip-column-names --raw \\
    --binary-mode --default-character-set=utf8mb4 --init-command='SET SESSION sql_log_bin = 0' "$@" 9>&-
}
dump() {
  printf '%s\\n' "$secret" | "$dumper" --defaults-file=/dev/stdin --host="$address" --port="$port" --user="$user" \\
    --all-databases --single-transaction --quick --routines --events --triggers --hex-blob --gtid --master-data=1 \\
    --default-character-set=utf8mb4 9>&-
}

# No statement of the log may be lost that only this server has: who calls has made sure that there is none.
echo "STOP SLAVE; RESET SLAVE ALL; RESET MASTER; SET GLOBAL gtid_slave_pos = ''; SET GLOBAL read_only = 1;" | sql
echo "SELECT CONCAT('DROP DATABASE \\\`', REPLACE(SCHEMA_NAME, '\\\`', '\\\`\\\`'), '\\\`;') FROM information_schema.SCHEMATA
  WHERE SCHEMA_NAME NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema');" | sql >"$dir/drops.part"
sql <"$dir/drops.part"
rm -f "$dir/drops.part" "$dir/copy.failed"

{ dump || echo "$?" >"$dir/copy.failed"; } | sql || fail "what the master sent could not be taken in"
[ ! -e "$dir/copy.failed" ] || fail "$dumper ended with $(cat "$dir/copy.failed")"
echo 'FLUSH PRIVILEGES;' | sql
: >"$dir/copied"
`;
