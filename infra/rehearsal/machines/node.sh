# Process 1 of a node, in namespaces of its own. Puts its disk in place, waits for its cable, runs its user data and
# keeps it running as systemd would. Given: node (its folder), size of its disk, name.
set -euo pipefail

# 1. A disk with a size: a folder in memory, with a private copy of what a machine's root volume has of its own.
hostname "$name"
mount -t tmpfs -o "size=$size,mode=755" disk "$node/disk"
mapfile -t environment <"$node/environment"
exec 3<"$node/binds"
cd "$node/disk"
mkdir -p etc opt lib/cloud/instance lib/skylift log tmp
chmod 1777 tmp
cp -dR /etc/. etc 2>/dev/null || true # what an ordinary user may read of it
install -m 700 "$node/user-data" lib/cloud/instance/user-data.txt
while IFS=$'\t' read -r source target; do
  if [ -d "$source" ]; then
    mkdir -p "$target"
  else
    mkdir -p "${target%/*}"
    : >>"$target"
  fi
  mount --rbind "$source" "$target"
done <&3
for place in etc:/etc opt:/opt lib:/var/lib log:/var/log tmp:/tmp; do
  mount --no-canonicalize --rbind "./${place%:*}" "${place#*:}" # as it is called from here: a place may cover the disk
done
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=755 run /run
mount -o remount,bind,ro / # the machine outside is not the node's to change
cd /

# 2. The cable: it is laid to this process, which the other side must know first.
echo up
read -r _
exec >&2 </dev/null 3<&-

# 3. User data, which becomes the node. As its unit has it: started again 10 s after a failure, off after 5 of them.
over=""
trap 'over=yes; kill -TERM "$child" 2>/dev/null || true' TERM
finish() { # a signal ends the waiting, not the child
  while :; do
    code=0
    wait "$child" || code=$?
    kill -0 "$child" 2>/dev/null || break
  done
  [ -z "$over" ] || exit 0
}
for _ in 1 2 3 4 5; do
  env -i "${environment[@]}" /var/lib/cloud/instance/user-data.txt &
  child=$!
  finish
  [ "$code" != 0 ] || break
  echo "node: ended with exit code $code, it is started again in 10 s"
  sleep 10 &
  child=$!
  finish
  code=1
done
if [ "$code" != 0 ]; then
  echo "node: failed 5 times, the machine is switched off"
  exit 1
fi
sleep infinity & # its work is done; the machine stays until somebody ends it
child=$!
finish
