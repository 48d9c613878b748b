/** Statuses of the scripts that say something other than success or an unexpected failure. */
export const poolStatus = {
  /** Read-only without being sealed: a seal that did not come through. */
  frozen: 93,
  /** Nested subvolumes would be left out of a snapshot. */
  nested: 94,
  /** The pool is not mounted, or another one is mounted in its place. */
  missing: 95,
  /** The limit that was read back is not the one that was set. */
  limit: 96,
  notFound: 97,
  busy: 98,
} as const;

/**
 * Before every script: go to the pool, and only if it is the very one. All paths are relative from
 * there on, so that nothing lands in an empty directory where nothing is mounted.
 */
const prelude = `
cd -- "$1" 2>/dev/null || exit ${poolStatus.missing}
grep -qsF -- "\\"poolId\\":\\"$2\\"" pool.json || exit ${poolStatus.missing}
shift 2

# The subvolume that volume $1 is at present; fails when there is none.
current() { readlink -- "live/$1/volume" 2>/dev/null; }
# A line as the target of a link: a full pool has room for one, and none for a file.
note() { ln -sfn -- "$2" "$1"; }
noted() { readlink -- "$1" 2>/dev/null || cat -- "$1" 2>/dev/null; }
subvolume() { [ -d "$1" ] && [ ! -L "$1" ] && [ "$(stat -c %i -- "$1")" = 256 ]; }
readonly_() { [ "$(btrfs property get -ts "$1" ro)" = ro=true ]; }
# Only its own: a snapshot leaves out what stands inside of it.
single() {
  nested=$(btrfs subvolume list -o "$1" | sed 's|.* path ||')
  [ -z "$nested" ] || { printf '%s\\n' "$nested"; exit ${poolStatus.nested}; }
}
# Snapshots of what stands inside of $1, in their places in $2, which its snapshot leaves empty.
within() {
  [ -n "$(btrfs subvolume list -o "$1")" ] || return 0
  (cd -- "$1" && find . -mindepth 1 -inum 256 -type d) | sort | while IFS= read -r each; do
    rmdir -- "$2/$each"
    btrfs subvolume snapshot "$1/$each" "$2/$each" >/dev/null
  done
}
# Number of the transaction that changed it last, and of the one that made it.
changed() { btrfs subvolume show "$1" | sed -n 's/^[[:space:]]*Generation:[[:space:]]*//p'; }
made() { btrfs subvolume show "$1" | sed -n 's/^[[:space:]]*Gen at creation:[[:space:]]*//p'; }
# Nothing touched this snapshot since it was taken. (A balance does, and changes nothing that is in
# it; but that cannot be told from a change that a receiver would not notice.)
untouched() { subvolume "$1" && [ "$(changed "$1")" = "$(made "$1")" ]; }
# The id of the snapshot that it was received from; empty when it did not come whole.
received() {
  btrfs subvolume show "$1" | sed -n 's/^[[:space:]]*Received UUID:[[:space:]]*//p' | grep -v '^-$' || :
}
# By its number from outside: a full subvolume refuses a change of its own limit.
limit() {
  btrfs qgroup limit "$2" "0/$(btrfs inspect-internal rootid "$1")" .
  [ "$(qgroup "$1" 4)" = "$2" ] || exit ${poolStatus.limit}
}
qgroup() {
  group=0/$(btrfs inspect-internal rootid "$1")
  btrfs qgroup show -r --raw . 2>/dev/null | awk -v g="$group" -v f="$2" '$1 == g { print $f }'
}
# Subvolume $2 becomes volume $1: one rename, durable before and after.
switch() {
  sync -f .
  ln -sfn -- "$2" "live/$1/volume.new"
  mv -T -- "live/$1/volume.new" "live/$1/volume"
  sync -f .
}
# The volume of $1, which was put aside as it was: from the place of the live one, or of a copy.
aside() {
  if [ -L "$1/volume" ]; then printf '%s\\n' "$1/$(readlink -- "$1/volume")"; else echo "$1/volume"; fi
}
# The id of a subvolume, and of the one that it is a snapshot of.
uuid() { btrfs subvolume show "$1" | sed -n 's/^[[:space:]]*UUID:[[:space:]]*//p'; }
parent() { btrfs subvolume show "$1" | sed -n 's/^[[:space:]]*Parent UUID:[[:space:]]*//p'; }
# Out of sight at once; its space comes later.
remove() {
  [ -e "$1" ] || [ -L "$1" ] || return 0
  mv -T -- "$1" "$(mktemp -u -p removing)"
}
# Deletes the subvolumes of what was removed, and prints their numbers.
deleteRemoved() {
  for each in removing/*; do
    [ -e "$each" ] || continue
    find "$each" -depth -inum 256 -type d 2>/dev/null | while IFS= read -r found; do
      # Somebody else's sweep may be faster.
      subvolume "$found" && btrfs inspect-internal rootid "$found" || continue
      btrfs subvolume delete "$found" >/dev/null || :
    done
    rm -rf -- "$each"
  done
}
# Those that stand inside of it go first. (A read-only one cannot be moved out of sight.)
drop() {
  [ -e "$1" ] || return 0
  btrfs subvolume delete "$1" >/dev/null 2>&1 && return 0
  find "$1" -depth -inum 256 -type d -exec btrfs subvolume delete {} ';' >/dev/null
}
dropOthers() {
  for each in "live/$1"/*; do
    case $each in "live/$1/volume" | "live/$1/$2" | "live/$1/limit" | "live/$1/sealed") continue ;; esac
    if subvolume "$each"; then drop "$each"; else rm -rf -- "$each"; fi
  done
}
`;

/** The arguments of sh(1) for a script in a pool. */
export function scriptArgs(
  script: string,
  pool: { readonly path: string; readonly poolId: string },
  args: readonly string[],
): readonly string[] {
  return ["-euc", prelude + script, "btrfs-pool", pool.path, pool.poolId, ...args];
}

/**
 * What there is of dataset $1, a line each: kind, name, and for what has an identity: the sealing
 * move or `-`, the block in base64 or `-` when it is no whole volume.
 */
export const lookScript = `
one() {
  v=$3
  if subvolume "$v" && [ -d "$v/data" ] && [ ! -L "$v/data" ] && [ -f "$v/identity" ]; then
    printf '%s\\t%s\\t%s\\t%s\\n' "$1" "$2" "$4" "$(head -c 8192 -- "$v/identity" | base64 -w 0)"
  else
    printf '%s\\t%s\\t%s\\t-\\n' "$1" "$2" "$4"
  fi
}
if [ -L "live/$1/volume" ]; then
  v=$(current "$1")
  seal=-
  seal=$(noted "live/$1/sealed" | sed -n "s|^$v ||p")
  one live "$v" "live/$1/$v" "\${seal:--}"
elif [ -e "live/$1/volume" ]; then
  printf 'live\\t-\\t-\\t-\\n'
fi
for c in "copies/$1"/*; do [ ! -d "$c" ] || one copy "\${c##*/}" "$c/volume" -; done
for c in "receiving/$1"/*; do [ ! -d "$c" ] || printf 'partial\\t%s\\t-\\t-\\n' "\${c##*/}"; done
for c in "diverged/$1"/*; do
  [ ! -d "$c" ] || one diverged "\${c##*/}" "$(aside "$c")" -
done
`;

export const listScript = `
for each in live/*/volume copies/*/* receiving/*/* diverged/*/*; do
  [ ! -e "$each" ] && [ ! -L "$each" ] || printf '%s\\n' "\${each#*/}"
done | sed 's|/.*||' | sort -u
`;

/** A new subvolume $2 of dataset $1 with limit $3 and the identity block of $4 (base64). */
export const createScript = `
mkdir -p -m 0700 "live/$1"
drop "live/$1/$2"
btrfs subvolume create "live/$1/$2" >/dev/null
limit "live/$1/$2" "$3"
note "live/$1/limit" "$3"
chmod 0700 "live/$1/$2"
mkdir "live/$1/$2/data"
chmod 0777 "live/$1/$2/data"
printf '%s' "$4" | base64 -d > "live/$1/$2/identity"
switch "$1" "$2"
dropOthers "$1" "$2"
`;

/**
 * A writable snapshot of $4, named $2, becomes the volume of dataset $1 with limit $3; with $5 it
 * gets that identity block (base64), and what stands inside of it comes with it.
 */
export const snapshotScript = `
case $4 in diverged/*) set -- "$1" "$2" "$3" "$(aside "$4")" "$5" ;; esac
subvolume "$4" || exit ${poolStatus.notFound}
mkdir -p -m 0700 "live/$1"
drop "live/$1/$2"
btrfs subvolume snapshot "$4" "live/$1/$2" >/dev/null
if [ -n "$5" ]; then
  within "$4" "live/$1/$2"
  printf '%s' "$5" | base64 -d > "live/$1/$2/identity"
fi
limit "live/$1/$2" "$3"
note "live/$1/limit" "$3"
switch "$1" "$2"
rm -f -- "live/$1/sealed"
dropOthers "$1" "$2"
`;

/**
 * A writable snapshot, named $2, of the read-only volume of dataset $1 in its own place, with limit
 * $3 or the one that it had.
 */
export const reopenScript = `
v=$(current "$1") || exit ${poolStatus.notFound}
readonly_ "live/$1/$v" || exit 0
single "live/$1/$v" # What was made read-only by hand may have some.
set -- "$1" "$2" "\${3:-$(noted "live/$1/limit")}" "live/$1/$v" ""
${snapshotScript}`;

/** Seal of dataset $1 for move $2; see \`LocalBackend.seal\`. */
export const sealScript = `
v=$(current "$1") || exit ${poolStatus.notFound}
s=sent/$1/$2.delta
if [ -d "$s" ] && [ "$(noted "live/$1/sealed")" = "$v $2" ]; then
  sync -f .
  if untouched "$s/volume" && [ "$(changed "live/$1/$v")" = "$(made "$s/volume")" ]; then exit 0; fi
fi
single "live/$1/$v"
remove "$s.new"
mkdir -p -m 0700 "$s.new"
btrfs subvolume snapshot -r "live/$1/$v" "$s.new/volume" >/dev/null
live=live/$1/$v
same() { # Nobody has written since the snapshot.
  sync -f .
  [ "$(changed "$live")" = "$(made "$s.new/volume")" ] || { remove "$s.new"; exit ${poolStatus.busy}; }
}
# A writer is noticed before the flag is set; one that came in between, after it.
same
btrfs property set -ts "live/$1/$v" ro true
same
remove "$s"
mv -T -- "$s.new" "$s"
note "live/$1/sealed.new" "$v $2"
sync -f .
mv -T -- "live/$1/sealed.new" "live/$1/sealed"
sync -f .
`;

export const changedScript = `
v=$(current "$1") || exit ${poolStatus.notFound}
move=$(noted "live/$1/sealed" | sed -n "s|^$v ||p")
[ -n "$move" ] || exit ${poolStatus.notFound}
sync -f .
s=sent/$1/$move.delta/volume
untouched "$s" && [ "$(changed "live/$1/$v")" = "$(made "$s")" ] && echo same || echo changed
`;

/**
 * Writes slot $2 of the identity, in base64 in $3. A full volume is given room for a moment: the
 * slot is copied on write.
 */
export const stampScript = `
v=$(current "$1") || exit ${poolStatus.notFound}
! readonly_ "live/$1/$v" || exit ${poolStatus.frozen}
slot() {
  printf '%s' "$3" | base64 -d | dd "of=live/$1/$v/identity" "seek=$2" bs=4096 count=1 \\
    iflag=fullblock oflag=nofollow conv=notrunc,nocreat,fsync status=none
}
if ! slot "$@" 2>/dev/null; then
  bytes=$(noted "live/$1/limit")
  limit "live/$1/$v" "$((bytes + 1048576))"
  slot "$@"
  limit "live/$1/$v" "$bytes"
fi
`;

/** Bytes of the live volume of dataset $1; nothing when there is none. */
export const usedScript = `
v=$(current "$1") || exit 0
noted "live/$1/sealed" | grep -qs "^$v " || qgroup "live/$1/$v" 2
`;

export const syncScript = `
v=$(current "$1") || exit ${poolStatus.notFound}
sync -f "live/$1/$v"
`;

/**
 * Everything of dataset $1 that other moves than $2 left; not what move $3 sealed it for. The
 * received copies to be removed follow by name.
 */
export const discardPartialScript = `
for each in "receiving/$1"/* "copies/$1"/*.base "sent/$1"/*; do
  case \${each##*/} in "$2".*) continue ;; esac
  case $each in "sent/$1/$3".delta) continue ;; esac
  remove "$each"
done
d=$1
shift 3
for name; do remove "copies/$d/$name"; done
`;

/** Moves the directories of dataset $1 in the areas after it out of sight. */
export const removeScript = `
d=$1
shift
for area; do remove "$area/$d"; done
sync -f .
`;

/** Live or sealed: read-only, then out of the place of the live one under name $2. */
export const divergeScript = `
v=$(current "$1") || exit 0
btrfs property set -ts "live/$1/$v" ro true
mkdir -p -m 0700 "diverged/$1"
sync -f .
mv -T -- "live/$1" "diverged/$1/$2"
sync -f .
`;

/** The same with the copy that move $3 brought, which is read-only. */
export const divergeCopyScript = `
[ -d "copies/$1/$3.delta" ] || exit 0
mkdir -p -m 0700 "diverged/$1"
sync -f .
mv -T -- "copies/$1/$3.delta" "diverged/$1/$2"
sync -f .
`;

/** Deletes what was removed; prints the numbers of the subvolumes whose space is still to come. */
export const sweepScript = `
deleteRemoved
btrfs filesystem sync . # Wakes the kernel's cleaner, which would begin half a minute later.
`;
