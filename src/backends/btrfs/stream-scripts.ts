import { poolStatus } from "./pool-scripts.ts";

/**
 * The snapshot of stage $3 of move $2 of dataset $1; a base is taken if there is none that is as it
 * was taken. With $4 the stage is sent on top of the base: one that was changed is none, as receive
 * would not notice.
 */
export const sentScript = `
s=sent/$1/$2.$3
if [ "$3" = base ] && ! untouched "$s/volume"; then
  v=$(current "$1") || exit ${poolStatus.notFound}
  remove "$s.new"
  mkdir -p -m 0700 "$s.new"
  btrfs subvolume snapshot -r "live/$1/$v" "$s.new/volume" >/dev/null
  remove "$s"
  mv -T -- "$s.new" "$s"
  sync -f .
fi
untouched "$s/volume" || exit ${poolStatus.notFound}
[ "$4" != base ] || untouched "sent/$1/$2.base/volume" || exit ${poolStatus.notFound}
`;

/** Bytes of the snapshot, or with $4 what is new in it since the base, if that can be sent on. */
export const streamBytesScript = `
sync -f . # What is not written yet is not counted yet.
s=sent/$1/$2.$3/volume
b=sent/$1/$2.base/volume
if [ "$4" = base ]; then
  subvolume "$s" && untouched "$b" || exit ${poolStatus.notFound}
  btrfs subvolume find-new "$s" "$(changed "$b")" | awk '/^inode/ { sum += $7 } END { print sum + 0 }'
elif subvolume "$s"; then
  qgroup "$s" 2
elif [ "$3" = base ]; then
  v=$(current "$1") || exit ${poolStatus.notFound}
  single "live/$1/$v" # Said before anybody is disturbed, not when it is sealed.
  qgroup "live/$1/$v" 2
else
  exit ${poolStatus.notFound}
fi
`;

/**
 * An empty place for stage $3 of move $2 of dataset $1; with $4 its base must be there, unchanged.
 */
export const receiveScript = `
b=copies/$1/$2.base
if [ "$4" = base ]; then
  subvolume "$b/volume" && readonly_ "$b/volume" || exit ${poolStatus.notFound}
  [ "$(received "$b/volume")" = "$(cat "$b/received")" ] || exit ${poolStatus.notFound}
fi
r=receiving/$1/$2.$3
remove "$r"
# What a stream builds on is found by the id that came with it, also in what is out of sight: after
# a power loss that is torn.
deleteRemoved >/dev/null
mkdir -p -m 0700 "$r"
`;

/** What was received as stage $3 of move $2 of dataset $1: \`accepted\`, or its identity block. */
export const receivedScript = `
r=receiving/$1/$2.$3
v=$r/volume
if [ ! -d "$r" ] && [ -d "copies/$1/$2.$3" ]; then echo accepted; exit 0; fi
subvolume "$v" && readonly_ "$v" && [ -n "$(received "$v")" ] || exit ${poolStatus.notFound}
p=$(parent "$v")
[ "$p" = - ] || [ "$p" = "$(uuid "copies/$1/$2.base/volume")" ] || exit ${poolStatus.notFound}
sync -f .
if [ -d "$v/data" ] && [ ! -L "$v/data" ] && [ -f "$v/identity" ] && [ ! -L "$v/identity" ]; then
  head -c 8192 -- "$v/identity" | base64 -w 0
fi
`;

/** Durable first, named after that. */
export const acceptScript = `
r=receiving/$1/$2.$3
received "$r/volume" > "$r/received"
mkdir -p -m 0700 "copies/$1"
sync -f .
remove "copies/$1/$2.$3"
mv -T -- "$r" "copies/$1/$2.$3"
sync -f .
`;
