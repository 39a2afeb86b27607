# Makes a machine of its own out of a network namespace, for a container runtime to live in: own processes, own cgroups,
# and an own root by pivot_root(2), because runc would leave a mere chroot. Run by busybox.
#
#   node.sh join CGROUP… -- COMMAND              runs a command in cgroups, one of each hierarchy
#   node.sh become RUNTIME SHARED NODE SYSTEM CGROUP…
#                                                in namespaces made for it: builds the root, prints the number that the
#                                                machine knows this process by, and goes on as RUNTIME/init
#
# RUNTIME is a private mount of the machine's, RUNTIME/SHARED a shared one: what is mounted there later, the machine
# sees too. RUNTIME/system becomes the root. NODE is the node's own directory. SYSTEM holds the node's /usr; it is empty
# for the machine's own. Brought into it are NODE with its bpf file system, and the cluster's directory beside it. The CGROUPs are the roots of the node's hierarchies; process 1 sits in a leaf of theirs,
# because inner cgroups of version 2 hold no processes.
set -eu

join() {
	while [ "$1" != -- ]; do
		echo 0 >"$1/cgroup.procs"
		shift
	done
	shift
	exec "$@"
}

# Puts what the machine has at a path, by its own path without the mounts below it, into the new root.
bring() {
	mkdir -p ".$1"
	mount --bind "$1" ".$1"
}

bring_cgroups() {
	local mountpoint
	[ -e /sys/fs/cgroup/cgroup.procs ] || mount -t tmpfs -o mode=755 cgroups sys/fs/cgroup
	for group in "$@"; do
		echo 0 >"$group/init/cgroup.procs"
		mountpoint=${group%%/causeway-lab/*}
		mkdir -p ".$mountpoint"
		mount --bind "$group" ".$mountpoint"
	done
}

write_etc() {
	mkdir -p etc
	hostname >etc/hostname
	echo '127.0.0.1 localhost' >etc/hosts
	echo 'root:x:0:0::/root:/bin/sh' >etc/passwd
	echo 'root:x:0:' >etc/group
	: >etc/resolv.conf
	[ ! -d "$1/etc/alternatives" ] || bring_as "$1/etc/alternatives" etc/alternatives
}

bring_as() {
	mkdir -p "$2"
	mount --bind "$1" "$2"
	mount --make-private "$2"
}

become() {
	local runtime=$1 shared=$2 node=$3 system=$4 pid
	shift 4
	read -r pid _ </proc/self/stat
	mount -t tmpfs -o mode=755 causeway "$runtime/system"
	cd "$runtime/system"
	mkdir old proc run sys tmp var
	bring_as "$system/usr" usr
	ln -s usr/bin usr/sbin usr/lib usr/lib64 .
	write_etc "$system"
	bring_as /dev dev
	mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
	mount -t proc proc proc
	mount -t sysfs sysfs sys
	bring_cgroups "$@"
	bring "$node"
	bring "$node/bpf"
	# As systemd mounts it: containers may ask to see what is mounted there later.
	mount --make-shared ".$node/bpf"
	bring "${node%/*}/cluster"
	bring "$runtime"
	bring "$runtime/$shared"
	pivot_root . old
	cd /
	# Or what is unmounted here would be unmounted there.
	mount --make-rslave /old
	umount -l /old
	rmdir /old
	echo "$pid"
	exec "$runtime/init"
}

"$@"
