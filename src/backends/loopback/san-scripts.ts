/**
 * What is done in the directory that stands for a SAN. Shell, because it may lie on a disk that has
 * died: no system call on it is made in the agent's own process. Each change holds the SAN's lock,
 * and is made only if the attachment's record still reads as when it was decided (compare-and-set).
 *
 *     san.json                             which SAN this is
 *     volumes/<ref>.img, <ref>.json        content and label; a volume exists if both do
 *     attachments/<ref>.json               who has it: made by link(2), so that one can
 *     attachments/<ref>.<node>.<era>.img   the content, by the name that the node's loop device has
 *
 * `$1` is the directory, `$2` the text of san.json when the agent started.
 */
export const sanStatus = { otherSan: 81, locked: 82, changed: 83, replaced: 84 } as const;

const enter = `
cd -- "$1" || exit ${sanStatus.otherSan}
read -r san < san.json || exit ${sanStatus.otherSan}
[ "$san" = "$2" ] || exit ${sanStatus.otherSan}
`;

const enterLocked = `${enter}
exec 9>>lock
flock -w 10 9 || exit ${sanStatus.locked}
`;

/** Text in `$2` made durable under the name `$1`, replacing what was there. */
const replaceDurably = `
replace() {
  printf '%s\\n' "$2" > "$1.new.$$"
  sync "$1.new.$$"
  mv -T -- "$1.new.$$" "$1"
  sync "$(dirname "$1")"
}
`;

/** `$2`: the text for san.json if there is none. Prints the directory and the text that counts. */
export const openScript = `${replaceDurably}
mkdir -p -- "$1"
cd -- "$1"
exec 9>>lock
flock -w 10 9 || exit ${sanStatus.locked}
mkdir -p volumes attachments
[ -e san.json ] || replace ./san.json "$2"
pwd -P
cat san.json
`;

/** `$3`: a pattern of references. Prints one line for each image, label and record. */
export const lookScript = `${enter}
find volumes -maxdepth 1 -name "$3.img" -printf 'image\\t%f\\t%s\\n'
for file in volumes/$3.json; do
  if read -r text 2>/dev/null < "$file"; then printf 'label\\t%s\\t%s\\n' "$file" "$text"; fi
done
for file in attachments/$3.json; do
  if read -r text 2>/dev/null < "$file"; then printf 'record\\t%s\\t%s\\n' "$file" "$text"; fi
done
`;

/** `$3` ref, `$4` dataset, `$5` size, `$6` label. The label comes last: without it, no volume. */
export const createScript = `${enterLocked}${replaceDurably}
for label in "volumes/$4"-*.json; do [ ! -e "$label" ] || exit ${sanStatus.changed}; done
rm -f -- "volumes/$3.img"
truncate -s "$5" -- "volumes/$3.img"
sync "volumes/$3.img"
replace "volumes/$3.json" "$6"
`;

/** What was written is on the disk before its name goes; the last name of a content never goes. */
const dropLink = `
ref=$3
drop_link() {
  sync "$1"
  if [ "$1" -ef "volumes/$ref.img" ]; then rm -f -- "$1"; return; fi
  mv -T -- "$1" "$1.kept"
  printf 'kept\\t%s\\n' "$1.kept"
}
`;

const expectRecord = `
record=
[ ! -e "attachments/$3.json" ] || read -r record < "attachments/$3.json"
[ "$record" = "$4" ] || exit ${sanStatus.changed}
`;

/** `$3` ref, `$4` record as it was, `$5` as it shall be, `$6` node, `$7` era. */
export const takeScript = `${enterLocked}${replaceDurably}${dropLink}${expectRecord}
if [ -z "$4" ]; then
  printf '%s\\n' "$5" > "attachments/$3.new.$$"
  sync "attachments/$3.new.$$"
  ln -T -- "attachments/$3.new.$$" "attachments/$3.json"
  rm -f -- "attachments/$3.new.$$"
elif [ "$4" != "$5" ]; then
  replace "attachments/$3.json" "$5"
fi
link="attachments/$3.$6.$7.img"
for old in "attachments/$3.$6".*.img; do
  if [ "$old" != "$link" ] && [ -e "$old" ]; then drop_link "$old"; fi
done
[ -e "$link" ] || ln -T -- "volumes/$3.img" "$link"
sync attachments
[ "$link" -ef "volumes/$3.img" ] || exit ${sanStatus.replaced}
`;

/**
 * `$3` ref, `$4` record as it was, `$5` node. A content whose image was replaced meanwhile is kept,
 * and its name is printed.
 */
export const releaseScript = `${enterLocked}${dropLink}${expectRecord}
for link in "attachments/$3.$5".*.img; do
  if [ -e "$link" ]; then drop_link "$link"; fi
done
rm -f -- "attachments/$3.json"
sync attachments
`;

/** `$3` ref, `$4` record as it was (none). The label goes first: without it, no volume. */
export const destroyScript = `${enterLocked}${expectRecord}
rm -f -- "volumes/$3.json"
sync volumes
rm -f -- "volumes/$3.img" "attachments/$3".*.img
sync volumes attachments
`;
