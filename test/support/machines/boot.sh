#!/bin/sh
# The first process of a machine, in namespaces of its own that are still empty.
# Words: folder of its disk, name, address with prefix length, MAC address, namespace of the bridge, link there, up or down.
# On descriptor 3 it says its pid, as it is known outside, once it is on the network.
set -eu
disk=$1 name=$2 address=$3 mac=$4 bridge=$5 link=$6 state=$7

on_bridge() { nsenter --net="$bridge" ip "$@"; }
on_bridge link add "$link" type veth peer name eth0 address "$mac" netns $$
on_bridge link set "$link" master bridge "$state"
ip link set lo up
ip address add "$address" dev eth0
ip link set eth0 up
read -r pid _ </proc/self/stat
echo "$pid" >&3
exec 3>&-

mount -t overlay -o "lowerdir=/,upperdir=$disk/upper,workdir=$disk/work" overlay "$disk/root"
cd "$disk/root"
mount --rbind /dev dev
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
for each in dev/shm tmp; do mount -t tmpfs -o mode=1777 tmpfs "$each"; done
mount -t tmpfs -o mode=755 tmpfs run
mkdir -p run/sshd run/lock
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
# All namespaces of one kernel have its boot id.
cat proc/sys/kernel/random/uuid >run/boot-id
mount --bind run/boot-id proc/sys/kernel/random/boot_id
hostname "$name"

exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 chroot . /bin/sh -c '
  cd /
  [ ! -x /etc/boot ] || /etc/boot
  /usr/sbin/sshd
  # Every orphan becomes a child of this shell, which has to wait for it.
  while :; do
    sleep 3600 &
    wait
  done
'
