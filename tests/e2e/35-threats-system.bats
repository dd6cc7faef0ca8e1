#!/usr/bin/env bats
# What the machine does to an install: interrupted calls, a file that changes, a poisoned caller, kills, little memory.
load helper

need_strace() {
	need strace
	strace -qq -o /dev/null true 2>/dev/null || skip 'SKIP: strace may not trace here'
}

# nothing half: the old decision with the old system whole, or the new one with the new
old_or_new() {
	[ "$(head -n 1 slot-a | tr -d '\0')" = 'release 1.0' ] || { echo 'the running slot was written'; return 1; }
	if boots b; then slot_holds b rootfs.img; else boots a; fi
}

device_again() { rm -rf state slot-? bootenv device.cfg; slots; }

@test "an install from a file writes to target, state and environment, and nowhere else" {
	need_strace
	keys; slots "run-dir = \"$T/run\";"; release 2.0 'compressed = "zstd";'; bundle
	mkdir -m 700 run
	strace -f -qq -y -e trace=write,pwrite64,writev,pwritev,pwritev2,ftruncate,fallocate,copy_file_range,sendfile,splice -o trace swinstall -f device.cfg demo.swu
	grep -c "slot-b" trace
	grep -oE '(write|pwrite64|writev|pwritev|pwritev2|ftruncate|fallocate)\([0-9]+<[^>]*>' trace | sed 's/^[a-z0-9]*([0-9]*<\(.*\)>$/\1/' | sort -u |
		grep -vE "^($T/slot-b|$T/state/[^/]*|$T/run/(status|lock[^/]*)|$T/\.?bootenv[^/]*|anon_inode:.*|pipe:.*|/memfd:.*|/dev/null|/proc/self/.*)( \(deleted\))?$" >elsewhere || true
	grep -v "$(readlink /proc/self/fd/2)" elsewhere >elsewhere2 || true
	[ ! -s elsewhere2 ] || { cat elsewhere2; return 1; }
}

@test "T19: a read that fails ends the install, and names it" {
	need_strace
	keys; release 2.0; bundle
	failed=0
	for n in 1 2 3; do # counted for each thread
		device_again
		run strace -f -qq -o /dev/null -P "$T/demo.swu" -e trace=read,pread64 -e inject=read,pread64:error=EIO:when=$n+ swinstall -f device.cfg demo.swu
		old_or_new
		[ "$status" -eq 0 ] && continue # so many reads did not happen in one thread
		failed=$((failed + 1))
		[ "$status" -eq 1 ] || { echo "read $n"; echo "$output"; return 1; }
		says E_IO
		boots a; tidy
	done
	[ "$failed" -ge 1 ]
}

@test "T110: calls that are interrupted or cut short change nothing of the result" {
	need_strace
	keys; release 2.0 'compressed = "zstd";'; bundle
	for call in read,pread64 write,pwrite64 fsync,fdatasync openat,openat2; do
		device_again
		run strace -f -qq -o /dev/null -e trace=$call -e inject=$call:error=EINTR:when=20+7 swinstall -f device.cfg demo.swu
		old_or_new || { echo "$call: $output"; return 1; }
		case $call in
		read* | write*) [ "$status" -eq 0 ] || { echo "$call: $output"; return 1; } ;;
		esac
		tidy
	done
}

# T104, T105: the two commits, and the flush between
@test "T104, T105: the slot is flushed after its last byte, then the switch, in one write" {
	need_strace
	keys; slots; release 2.0; bundle
	strace -f -qq -y -e trace=write,pwrite64,pwritev,fsync,fdatasync,syncfs,rename,renameat,renameat2 -o trace swinstall -f device.cfg demo.swu
	last_write=$(grep -nE 'pwrite(64|v)?\([0-9]+<[^>]*slot-b>' trace | tail -n 1 | cut -d: -f1)
	flush=$(grep -nE '(fsync|fdatasync)\([0-9]+<[^>]*slot-b>' trace | tail -n 1 | cut -d: -f1)
	switch=$(grep -nE 'rename.*bootenv' trace | tail -n 1 | cut -d: -f1)
	[ "$last_write" -lt "$flush" ]
	[ "$flush" -lt "$switch" ]
	[ "$(grep -cE 'rename.*bootenv' trace)" -eq 2 ]
	first=$(grep -nE 'rename.*bootenv' trace | head -n 1 | cut -d: -f1)
	[ "$first" -lt "$(grep -nE 'pwrite(64|v)?\([0-9]+<[^>]*slot-b>' trace | head -n 1 | cut -d: -f1)" ]
}

# T56: a racer changes the bundle while it is read; whatever it hits, a slot that is switched to holds what was signed
@test "T56: a file that changes under the install never puts a wrong byte on a slot that boots" {
	need python3
	keys; payload big 1500000; slots
	truncate -s 2M slot-a slot-b
	mv big rootfs.img
	printf 'software = { version = "2.0"; images: ({ filename = "rootfs.img"; slot = "rootfs"; sha256 = "%s"; }); };\n' "$(sha rootfs.img)" >sw-description
	by_hand rootfs.img # newc: the sum of the crc format would find single bits too
	cat >racer.py <<-'P'
		import mmap, random, time
		r = random.Random(1)
		f = open("demo.swu", "r+b")
		m = mmap.mmap(f.fileno(), 0)
		while True:
		    at = r.randrange(3000, len(m) - 1000)
		    m[at] ^= 1
		    time.sleep(r.choice((0.0005, 0.002, 0.008)))
		    m[at] ^= 1
		    time.sleep(r.choice((0.001, 0.005, 0.02)))
	P
	python3 racer.py 3>&- &
	racer=$!
	good=0 bad=0
	for _ in $(seq 100); do
		rm -rf state bootenv; mkdir -m 700 state; echo bootslot=a >bootenv
		if timeout $HANG swinstall -f device.cfg demo.swu 2>log; then
			good=$((good + 1))
			boots b && slot_holds b rootfs.img || { echo "wrong bytes on the new slot"; cat log; break; }
		else
			bad=$((bad + 1))
			boots a || { echo 'failed and switched'; cat log; break; }
			grep -qE 'E_(PAYLOAD_HASH|SOURCE_CHANGED|CPIO|SIG|TRUNC)' log || { cat log; break; }
		fi
	done
	kill $racer; wait $racer || true
	echo "$good installed, $bad refused"
	[ $((good + bad)) -eq 100 ]
	# else the racer raced nothing
	[ "$bad" -gt 0 ]
	[ "$good" -gt 0 ]
}

@test "T60: a poisoned caller reaches neither the work nor the child that unpacks" {
	need_strace
	keys; slots; release 2.0 'compressed = "zstd"; installed-directly = true;'; bundle
	mkdir evil tmpdir; chmod 777 tmpdir
	printf 'openssl_conf = x\n[x]\nengines = e\n[e]\nf = g\n[g]\ndynamic_path = %s/evil/e.so\ninit = 1\n' "$T" >evil/openssl.cnf
	cat demo.swu | LD_LIBRARY_PATH=$T/evil OPENSSL_CONF=$T/evil/openssl.cnf OPENSSL_ENGINES=$T/evil OPENSSL_MODULES=$T/evil BASH_ENV=$T/evil/x ENV=$T/evil/x \
		LUA_INIT=@$T/evil/x LUA_PATH="$T/evil/?.lua" IFS=/ TMPDIR=$T/tmpdir http_proxy=http://evil https_proxy=http://evil SWUPDATE_X=1 MALLOC_CHECK_=3 GCONV_PATH=$T/evil \
		LOCPATH=$T/evil strace -f -qq -v -s 400 -e trace=execve,open,openat,openat2 -o trace "$BIN/swinstall" -f device.cfg -i -
	slot_holds b rootfs.img
	grep 'swinstall-unpack' trace | grep execve >child
	[ -s child ]
	fails 1 grep -E 'evil|LD_|OPENSSL|LUA|IFS|BASH_ENV|SWUPDATE_X|proxy|GCONV' child
	# before main() the loader has looked where LD_LIBRARY_PATH says; nothing may be found there by us
	grep evil trace | grep -v 'LD_LIBRARY_PATH\|/evil/.*\.so\|glibc-hwcaps\|execve' >seen || true
	[ ! -s seen ] || { cat seen; return 1; }
}

@test "T61: 500 descriptors, umask 0, a deleted folder, no standard input: nothing leaks, files stay private" {
	need_strace
	keys; slots; release 2.0 'compressed = "zstd"; installed-directly = true;'; bundle
	mkdir gone
	cat >launch.py <<-P
		import os
		os.chdir("$T/gone"); os.rmdir("$T/gone"); os.umask(0)
		for i in range(500):
		    os.set_inheritable(os.open("/dev/null", os.O_RDONLY), True)
		os.close(0)
		os.execv("$(command -v strace)", ["strace", "-f", "-qq", "-s", "300", "-e", "trace=close_range,execve,umask,chdir", "-o", "$T/trace", "$BIN/swinstall", "-f", "$T/device.cfg", "$T/demo.swu"])
	P
	python3 launch.py
	slot_holds b rootfs.img; boots b
	# everybody may read how it went
	[ "$(find state -type f -perm /077 | sort | tr '\n' ' ')" = 'state/history state/status ' ]
	[ -z "$(find state -type f -perm /022)" ]
	grep -q 'close_range(3' trace
}

# T103: the plug is pulled by a signal at any moment; recover makes it old or new (T114: told once)
@test "T103: killed at many moments, then recovered: old or new" {
	keys; release 2.0; bundle
	for ms in 1 3 5 8 12 16 20 25 30 40 50 60 80 100; do
		device_again
		swinstall -f device.cfg demo.swu 2>/dev/null 3>&- &
		pid=$!
		sleep "$(printf '0.%03d' $ms)"
		kill -KILL $pid 2>/dev/null || true
		wait $pid 2>/dev/null || true
		swctl -f device.cfg recover 2>log || { cat log; return 1; }
		old_or_new || { echo "killed after $ms ms"; return 1; }
		fails 1 grep recovery_status=in_progress bootenv
		tidy
		swinstall -f device.cfg demo.swu 2>log || { cat log; return 1; }
	done
}

@test "T111: where memory ends an install ends with 1 or is complete, and nothing is half" {
	keys; release 2.0 'compressed = "xz";'; bundle
	worked=0
	for kib in 8000 12000 16000 20000 24000 28000 34000 40000 60000 100000 300000; do
		device_again
		status=0
		bash -c "ulimit -v $kib; exec '$BIN/swinstall' -f device.cfg demo.swu" 2>log || status=$?
		[ "$status" -ne 0 ] || worked=$((worked + 1))
		[ "$status" -le 1 ] || [ "$status" -eq 127 ] || { echo "$kib KiB: status $status"; cat log; return 1; }
		old_or_new
	done
	[ "$worked" -gt 0 ]
}

# 64 MiB for everything, page cache of the process included
@test "T112: an image of 256 MiB installs in a memory group of 64 MiB" {
	[ "$(id -u)" -eq 0 ] || skip 'SKIP: memory groups need root'
	g=/sys/fs/cgroup/memory/swinstall-test-$$
	mkdir $g 2>/dev/null || skip 'SKIP: no memory group of version 1 here'
	echo 67108864 >$g/memory.limit_in_bytes || { rmdir $g; skip 'SKIP: the memory group takes no limit'; }
	keys; slots
	truncate -s 256M slot-a slot-b rootfs.img
	for at in 0 100 200 255; do echo "mark $at" | dd of=rootfs.img bs=1M seek=$at conv=notrunc status=none; done
	printf 'software = { version = "2.0"; images: ({ filename = "rootfs.img"; slot = "rootfs"; compressed = "zstd"; }); };\n' >sw-description
	bundle
	status=0
	sh -c "echo \$\$ >$g/cgroup.procs; exec '$BIN/swinstall' -f device.cfg demo.swu" || status=$?
	kills=$(sed -n 's/^oom_kill //p' $g/memory.oom_control)
	wait_for rmdir $g
	[ "$status" -eq 0 ]
	[ "${kills:-0}" -eq 0 ]
	boots b
	cmp rootfs.img slot-b
}
