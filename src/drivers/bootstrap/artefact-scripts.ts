import { DIFFERS_EXIT, PLACE } from './host.ts';

/** The file in each release with its version and the checksum of its archive. It is read through `current`: switching is marking. */
export const RELEASE_MARK = '.fleetbeat-release';

/**
 * What is done on the host with the releases of one folder: constant texts for sh, whose every name and path comes as a word.
 * The first words are the folder and the version. `current` is a link that is only ever replaced whole; a release gets its name once
 * all of it is unpacked, checked, and on the disk.
 */
const RELEASES = `${PLACE}
to=$place version=$2
release=$to/releases/$version
shift 2

is_release() { [ -r "$1/${RELEASE_MARK}" ]; }

switch() {
  touch "$release"
  next=$to/.current.part
  rm -f "$next"
  ln -s "releases/$version" "$next" && mv -Tf "$next" "$to/current" || fail "$to/current could not be switched"
}

# The release that was switched to last comes first.
prune() {
  kept=0
  ls -1t "$to/releases" | while IFS= read -r each; do
    case $each in *[!A-Za-z0-9._+~-]*) continue ;; esac
    is_release "$to/releases/$each" || continue
    kept=$((kept + 1))
    [ "$kept" -le "$1" ] || [ "$each" = "$version" ] || rm -rf "$to/releases/$each"
  done
}
`;

/** Words: folder, version, how many releases are kept, the wanted checksum or an empty word. Writes `missing`, or `switched`. */
export const SWITCH = `${RELEASES}
is_release "$release" || { echo missing; exit 0; }
{ IFS= read -r _; IFS= read -r found; } <"$release/${RELEASE_MARK}"
[ -z "$2" ] || [ "$2" = "$found" ] || fail "the version $version is there with the checksum $found" ${DIFFERS_EXIT}
switch
prune "$1"
echo switched
`;

/**
 * Words: folder, version, checksum. Writes where pieces of the archive go, how many bytes are free there, and a line for each piece
 * that has arrived. What came of another archive is of no use any more.
 */
export const RECEIVE = `${RELEASES}
incoming=$to/incoming/$1
mkdir -p "$to/releases" "$incoming" || exit
for other in "$to"/incoming/*; do [ "$other" = "$incoming" ] || rm -rf "$other"; done
echo "$incoming"
df -Pk "$to" | tail -n 1 | { read -r _ _ _ free _; echo "$free"; }
for piece in "$incoming"/*; do
  case \${piece##*/} in *[!0-9]*) continue ;; esac
  [ ! -f "$piece" ] || echo "\${piece##*/} $(($(wc -c <"$piece")))"
done
`;

/** Words: folder, version, checksum. Gives back the room of an archive that does not fit. */
export const DISCARD = `${RELEASES}
rm -rf "$to/incoming/$1" "$to/releases/.$version.part"
`;

/**
 * Words: folder, version, checksum, how many releases are kept, the number of pieces, `gzip` or `plain`, and an argv to be run in the
 * new release before it is switched to; or none.
 */
export const UNPACK = `${RELEASES}
checksum=$1 keep=$2 pieces=$3 packing=$4
shift 4
incoming=$to/incoming/$checksum
part=$to/releases/.$version.part

archive() {
  piece=0
  while [ "$piece" -lt "$pieces" ]; do
    cat "$incoming/$piece" || return
    piece=$((piece + 1))
  done
}
digest() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }
expand() { case $packing in gzip) gzip -dc ;; *) cat ;; esac; }
on_disk() { sync -f "$1" 2>/dev/null || sync; }

# Not every tar says why it could not write.
leave() {
  status=$?
  [ "$status" -eq 0 ] || [ ! -d "$part" ] || df -Pk "$part" | tail -n 1 | {
    read -r _ _ _ free _
    [ "$free" -ge 64 ] || echo 'No space left on device' >&2
  }
  rm -rf "$part"
  exit "$status"
}

if ! is_release "$release"; then
  [ ! -e "$release" ] || fail "$release is there, and no release of ours"
  found=$(archive | digest)
  found=\${found%% *}
  [ "$found" = "$checksum" ] || { rm -rf "$incoming"; fail "what arrived has the checksum $found, not $checksum" ${DIFFERS_EXIT}; }
  trap leave EXIT
  trap 'exit 1' HUP INT TERM
  rm -rf "$part"
  mkdir -p "$part" || exit
  { archive | expand || : >"$incoming/failed"; } | tar -xof - -C "$part" || exit
  [ ! -e "$incoming/failed" ] || fail 'the archive could not be expanded'
  [ $# -eq 0 ] || (cd "$part" && exec "$@") </dev/null || exit
  printf '%s\\n' "$version" "$checksum" >"$part/${RELEASE_MARK}" && on_disk "$part" && mv "$part" "$release" || exit
fi
switch
rm -rf "$incoming"
prune "$keep"
`;
