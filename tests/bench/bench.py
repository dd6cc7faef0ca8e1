#!/usr/bin/python3
"""Benchmarks: ratios to Debian's swupdate doing the same work on the same bundle in the same run.

  bench.py --bin build [--size 1024] [--runs 5] [--only F1] [--write doc/benchmarks.md]

A B A B … after a warm-up, medians; wall, CPU (user+system of all processes) and peak memory (of all processes, summed).
The target is a loop device over a file on tmpfs. Nothing here passes or fails: figures are printed beside the goals.
"""
import argparse
import contextlib
import datetime
import os
import random
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

MIB = 1 << 20
JUDGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../peers/swupdate-run")


def sh(cmd, **kw):
    return subprocess.run(cmd, shell=isinstance(cmd, str), check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw).stdout.decode().strip()


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            kids = [int(x) for x in f.read().split()]
    except OSError:
        return []
    return kids + [k for kid in kids for k in children_of(kid)]


def rss_of(pid):
    """private and shared-anonymous memory in bytes; memory shared by parent and child counts once (Pss)"""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            for line in f:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


class Watch(threading.Thread):
    """samples the memory of a process and its children, summed"""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.peak, self.stop = pid, 0, False

    def run(self):
        while not self.stop:
            self.peak = max(self.peak, sum(rss_of(p) for p in [self.pid] + children_of(self.pid)))
            time.sleep(0.02)


def timed(argv, env=None, memory=False, stdin=None, log=None):
    """(wall, cpu, peak bytes, status)"""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    t0 = time.monotonic()
    p = subprocess.Popen(argv, stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    w = Watch(p.pid)
    if memory:
        w.start()
    out = p.communicate()[0]
    wall = time.monotonic() - t0
    w.stop = True
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if log:
        log.write(out)
        log.flush()
    if p.returncode:
        raise RuntimeError(f"{' '.join(argv)}: status {p.returncode}\n{out.decode(errors='replace')[-800:]}")
    return wall, cpu, w.peak


def timed_peer(argv, folder, memory):
    """as timed, of a run of the peer that says something of the bundle: tests/peers/swupdate-run tells why"""
    for _ in range(8):
        with tempfile.TemporaryDirectory(dir=folder) as tmp, tempfile.NamedTemporaryFile() as log:
            row = timed(argv, env=dict(os.environ, TMPDIR=tmp), memory=memory, log=log)
            if "-i" not in argv or subprocess.run([JUDGE, "--judge", "0", log.name], check=False).returncode == 0:
                return row
        time.sleep(0.2)
    raise RuntimeError(f"{' '.join(argv)}: no run said that the bundle is installed")


@contextlib.contextmanager
def memory_group(limit):
    """what to put before a command so that it runs with that much memory; None where that cannot be had"""
    name = f"swinstall-bench-{os.getpid()}"
    for base, key in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = f"{base}/{name}"
        try:
            os.mkdir(group)
        except OSError:
            continue
        try:
            with open(f"{group}/{key}", "w") as f:
                f.write(str(limit))
        except OSError:
            os.rmdir(group)
            continue
        yield ["sh", "-c", f'echo $$ >{group}/cgroup.procs; exec "$@"', "sh"]
        os.rmdir(group)
        return
    yield None


def short(goal, ratio, cpu, peak):
    """what of the goal's text is missed: '≤ 0.40, CPU ≤ 0.5, ≤ 14 MiB'"""
    missed = []
    for part in goal.split(","):
        m = re.fullmatch(r"\s*(CPU )?≤ ([0-9.]+)( MiB)?\s*", part)
        have = m and (cpu if m.group(1) else peak / MIB if m.group(3) else ratio)
        if m and have > float(m.group(2)):
            missed.append(part.strip())
    return f"short of {', '.join(missed)}" if missed else ""


def median(rows):
    return tuple(statistics.median(r[i] for r in rows) for i in range(3))


class Bench:
    def __init__(self, a):
        self.a, self.rows, self.notes = a, [], []
        self.bin = os.path.abspath(a.bin)
        self.work = tempfile.mkdtemp(prefix="swinstall-bench-", dir="/dev/shm")
        self.src = tempfile.mkdtemp(prefix="swinstall-bench-")
        self.loops = []
        os.makedirs(f"{self.work}/run", 0o755)
        sh([f"{self.bin}/swbundle", "keygen", "--dir", self.src, "--name", "k"])
        self.key, self.cert = f"{self.src}/k.key.pem", f"{self.src}/k.cert.pem"

    def close(self):
        for dev in self.loops:
            subprocess.run(["losetup", "-d", dev], check=False)
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.rmtree(self.src, ignore_errors=True)

    def loop(self, size):
        f = tempfile.mkstemp(dir=self.work)[1]
        os.truncate(f, size)
        dev = sh(["losetup", "-f", "--show", f])
        self.loops.append(dev)
        return dev, f

    def image(self, mib):
        """file-system like content: a tenth zeros, the rest from files of this machine and noise"""
        path = f"{self.src}/image-{mib}"
        if os.path.exists(path):
            return path
        with open(path, "wb") as f:
            left = mib * MIB
            sources = []
            for base, _, files in os.walk("/usr/lib"):
                sources += [os.path.join(base, x) for x in sorted(files)]
                if len(sources) > 6000:
                    break
            while left > 0:
                for s in sources:
                    try:
                        with open(s, "rb") as g:
                            d = g.read(min(left, 4 * MIB))
                    except OSError:
                        continue
                    d = d.ljust(-len(d) % 4096 + len(d), b"\0")[:left]
                    f.write(d)
                    left -= len(d)
                    if left <= 0:
                        break
                    if left % 7 == 0:
                        z = min(left, MIB)
                        f.write(bytes(z))
                        left -= z
        return path

    def pack(self, name, image, dev, attrs="", more=(), kind="raw"):
        """a bundle both programs install; dev is None: attrs say the place"""
        if dev:
            attrs = f'device = "{dev}"; {attrs}'
        d = tempfile.mkdtemp(dir=self.src)
        os.link(image, f"{d}/{os.path.basename(image)}")
        with open(f"{d}/sw-description", "w") as f:
            f.write(f'software = {{ version = "1.0"; hardware-compatibility: ["1.0"]; images: ({{ filename = "{os.path.basename(image)}"; '
                    f'type = "{kind}"; {attrs} }}); }};\n')
        out = f"{self.src}/{name}.swu"
        sh([f"{self.bin}/swbundle", "build", f"{d}/sw-description", "--key", self.key, "--cert", self.cert, "-I", d, *more, "-o", out])
        shutil.rmtree(d)
        return out

    def ours(self, bundle, *more):
        return [f"{self.bin}/swinstall", "-f", self.config(), "-H", "board:1.0", *more, bundle]

    def config(self, extra=""):
        path = f"{self.src}/our.cfg"
        with open(path, "w") as f:
            f.write(f'globals : {{ public-key-file = "{self.cert}"; state-dir = "{self.work}/state"; run-dir = "{self.work}/run"; bootloader = "none"; {extra} }};\n')
        return path

    def peer(self, bundle, *more):
        return ["swupdate", "-H", "board:1.0", "-k", self.cert, "-M", "-m", *more, "-i", bundle]

    def pair(self, ident, what, goal, a, b, memory=True, reset=None):
        """A B A B …; medians and their ratios"""
        os.makedirs(f"{self.src}/tmp", exist_ok=True)  # the peer removes payloads by name from its TMPDIR
        env = dict(os.environ, TMPDIR=f"{self.src}/tmp")
        runs = (lambda: timed(a, env=env, memory=memory), lambda: timed_peer(b, f"{self.src}/tmp", memory))
        rows_a, rows_b = [], []
        for i in range(self.a.runs + 1):
            for run, rows in zip(runs, (rows_a, rows_b)):
                if reset:
                    reset()
                r = run()
                if i:
                    rows.append(r)
        ma, mb = median(rows_a), median(rows_b)
        self.rows.append((ident, what, goal, ma, mb))
        print(f"{ident:4} {what:42} wall {ma[0]:.3f}/{mb[0]:.3f} = {ma[0] / mb[0]:.2f}  cpu {ma[1] / mb[1]:.2f}  "
              f"memory {ma[2] / MIB:.1f}/{mb[2] / MIB:.1f} MiB  (goal {goal})  {short(goal, ma[0] / mb[0], ma[1] / mb[1], ma[2])}", flush=True)

    def single(self, ident, what, goal, text):
        self.rows.append((ident, what, goal, text, None))
        print(f"{ident:4} {what:42} {text}  (goal {goal})", flush=True)

    # ---- the figures -----------------------------------------------------------------------
    def f1(self):
        img = self.image(self.a.size)
        dev, back = self.loop(self.a.size * MIB)
        direct = "installed-directly = true;"
        plain = self.pack("f1", img, dev, direct)
        hashed = self.pack("f1h", img, dev, direct, ("--hash-list",))
        fresh = self.fresh(dev, back)
        self.pair("F1", "raw plain, streamed", "≤ 0.40, CPU ≤ 0.5, ≤ 14 MiB", self.ours(plain), self.peer(plain), reset=fresh)
        self.pair("F1h", "raw plain, streamed, with hash list", "≤ 0.30", self.ours(hashed), self.peer(hashed), reset=fresh)

    def fresh(self, dev, back):
        """an empty target each time, so that comparing finds nothing to leave out"""

        def reset():
            with open(back, "r+b") as f:
                f.truncate(0)
                f.truncate(self.a.size * MIB)
            subprocess.run(["blockdev", "--flushbufs", dev], check=False)

        return reset

    def packed(self, ident, what, goal, codec, attr):
        img = self.image(self.a.size)
        dev, back = self.loop(self.a.size * MIB)
        out = f"{self.src}/image.{codec}"
        with open(out, "wb") as f:
            tool = {"zstd": ["zstd", "-3", "-c", "-q"], "gz": ["gzip", "-6", "-c"]}[codec]
            subprocess.run([*tool, img], stdout=f, check=True)
        b = self.pack(ident.lower(), out, dev, f'installed-directly = true; compressed = "{attr}";')
        self.pair(ident, what, goal, self.ours(b), self.peer(b), reset=self.fresh(dev, back))
        os.unlink(out)

    def f2(self):
        self.packed("F2", "raw zstd, streamed (child decompresses)", "≤ 0.50, CPU ≤ 0.7, ≤ 20 MiB", "zstd", "zstd")

    def f3(self):
        self.packed("F3", "raw gzip, streamed (child decompresses)", "≤ 0.20, CPU ≤ 0.3", "gz", "zlib")

    def f4(self):
        img = self.image(self.a.size)
        dev, back = self.loop(self.a.size * MIB)
        plain = self.pack("f4", img, dev)
        hashed = self.pack("f4h", img, dev, "", ("--hash-list",))
        self.pair("F4", "raw plain, default, from a file", "≤ 0.25, CPU ≤ 0.30", self.ours(plain), self.peer(plain), reset=self.fresh(dev, back))
        self.pair("F4h", "the same with hash list", "≤ 0.15", self.ours(hashed), self.peer(hashed), reset=self.fresh(dev, back))

    def f5(self):
        img = self.image(self.a.size)
        dev, back = self.loop(self.a.size * MIB)
        key, iv = "00112233445566778899aabbccddeeff" * 2, "0f0e0d0c0b0a09080706050403020100"
        out = f"{self.src}/image.enc"
        sh(["openssl", "enc", "-aes-256-cbc", "-K", key, "-iv", iv, "-in", img, "-out", out])
        with open(f"{self.src}/aes", "w") as f:
            f.write(f"{key} {iv}\n")
        os.chmod(f"{self.src}/aes", 0o600)
        b = self.pack("f5", out, dev, 'installed-directly = true; encrypted = true; encrypted-already = true; size = %dL;' % os.path.getsize(out))
        self.pair("F5", "raw AES-256-CBC, streamed", "≤ 0.15", self.ours(b, "-K", f"{self.src}/aes"), self.peer(b, "-K", f"{self.src}/aes"),
                  reset=self.fresh(dev, back))
        os.unlink(out)

    def tree(self, count):
        """an archive of so many files, 64 B to 90 KiB, a hundred in each folder; the same each time"""
        base, out, r = f"{self.src}/tree", f"{self.src}/tree.tar.zst", random.Random(1)
        with open(self.image(16), "rb") as f:
            data = f.read()
        for i in range(count):
            folder, size = f"{base}/d{i // 100:03}", int(2 ** r.uniform(6, 16.5))
            at = r.randrange(len(data) - size)
            os.makedirs(folder, exist_ok=True)
            with open(f"{folder}/f{i:05}", "wb") as f:
                f.write(data[at:at + size])
        sh(f"tar --sort=name --owner=0 --group=0 -C {base} -cf - . | zstd -3 -q -f -o {out}")
        shutil.rmtree(base)
        return out

    def f5t(self):
        """a tar.zst of 10 000 files: into an idle ext4; into a folder of a running one, where we stage and the peer does not"""
        out, direct = self.tree(10000), "installed-directly = true;"
        dev, back = self.loop(512 * MIB)
        top = f"{self.work}/mnt"
        os.mkdir(top)

        def mkfs():
            with open(back, "r+b") as f:
                f.truncate(0)
                f.truncate(512 * MIB)
            sh(["blockdev", "--flushbufs", dev])
            sh(["mkfs.ext4", "-q", "-F", dev])

        def again():
            if os.path.ismount(top):
                sh(["umount", top])
            mkfs()
            sh(["mount", dev, top])

        b = self.pack("f5t", out, dev, f'{direct} filesystem = "ext4"; path = "/";', kind="archive")
        self.pair("F5t", "tar.zst, 10 000 files, into an idle ext4", "≤ 0.7", self.ours(b), self.peer(b), reset=mkfs)
        b = self.pack("f5l", out, None, f'{direct} path = "{top}";', kind="archive")
        try:
            self.pair("F5l", "the same into an empty live folder, staged", "≤ 0.7", self.ours(b), self.peer(b), reset=again)
            self.pair("F5r", "the same over 10 000 files there, staged", "≤ 0.7", self.ours(b), self.peer(b))
        finally:
            sh(["umount", top])

    def f7(self):
        """the same release again: bytes written to the medium, read from the loop device's statistics"""
        img = self.image(self.a.size)
        dev, back = self.loop(self.a.size * MIB)
        b = self.pack("f7", img, dev)
        timed(self.ours(b))
        w0 = self.written(dev)
        t = timed(self.ours(b))
        again = self.written(dev) - w0
        self.single("F7", "same release again: bytes written", "0", f"{again} bytes, {t[0]:.2f} s")
        other = f"{self.src}/image-changed"
        shutil.copy(img, other)
        changed = 0
        with open(other, "r+b") as f:
            for off in range(0, self.a.size * MIB, 20 * MIB):  # 5 %: 1 MiB of each 20
                f.seek(off)
                f.write(os.urandom(MIB))
                changed += MIB
        b2 = self.pack("f7c", other, dev)
        w0 = self.written(dev)
        t = timed(self.ours(b2))
        self.single("F7c", "5 % changed: bytes written / changed", "≤ 1.2", f"{(self.written(dev) - w0) / changed:.3f}, {t[0]:.2f} s")
        os.unlink(other)

    @staticmethod
    def written(dev):
        with open(f"/sys/class/block/{os.path.basename(dev)}/stat") as f:
            return int(f.read().split()[6]) * 512

    def f10(self):
        img = f"{self.src}/small"
        with open(img, "wb") as f:
            f.write(os.urandom(4096))
        dev, _ = self.loop(MIB)
        b = self.pack("f10", img, dev)
        bad = f"{self.src}/bad.swu"
        with open(b, "rb") as f:
            raw = bytearray(f.read())
        at = raw.index(b'version = "1.0"') + 11
        raw[at] ^= 1
        with open(bad, "wb") as f:
            f.write(raw)

        def refuse():
            t0 = time.monotonic()
            subprocess.run(self.ours(bad), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            return time.monotonic() - t0

        refuse()
        t = statistics.median(refuse() for _ in range(max(9, self.a.runs)))
        self.single("F10", "refuse a bad signature, whole process", "≤ 20 ms", f"{t * 1000:.1f} ms")
        self.single("F10r", "bytes of the bundle read to refuse", "≤ 1 MiB", self.bytes_read(self.ours(bad), bad))
        self.pair("F10s", "start-up (--version against -h)", "≤ 0.7", [f"{self.bin}/swinstall", "--version"], ["swupdate", "--version"], memory=False)

    def bytes_read(self, argv, path):
        log = f"{self.src}/strace"
        subprocess.run(["strace", "-f", "-y", "-o", log, "-e", "trace=read,pread64,readv,preadv,mmap", *argv],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        with open(log) as f:
            rows = [line for line in f if f"<{path}>" in line]
        if any("mmap(" in r for r in rows) or not rows:
            return "? (mapped, or not seen)"
        return f"{sum(int(m.group(1)) for r in rows if (m := re.search(r'= ([0-9]+)$', r.strip())))} bytes"

    def f11(self):
        rows = []
        for name in ("default", "tiny"):
            o = f"{self.src}/o-{name}"
            if name == "tiny":
                sh(["make", "-s", f"O={o}", "tiny_defconfig"])
            sh(["make", "-s", "-j2", f"O={o}", "all"])
            parts = [p for p in ("swinstall", "swinstall-unpack", "swinstall-lua", "swctl") if os.path.exists(f"{o}/{p}")]
            size = {}
            for p in parts:
                sh(["strip", "-o", f"{o}/{p}.s", f"{o}/{p}"])
                size[p] = os.path.getsize(f"{o}/{p}.s")
            rows.append(f"{name}: " + ", ".join(f"{p} {n / 1024:.0f} KiB" for p, n in size.items()))
        peer = os.path.getsize(shutil.which("swupdate"))
        self.single("F11", "stripped size", "≤ 460 KiB; tiny ≤ 150 KiB", "; ".join(rows) + f"; swupdate {peer / 1024:.0f} KiB")

    def f12(self):
        """64 MiB → 16 GiB sparse; 1 → 4000 members: cost per unit"""
        rows = []
        for mib in (64, 1024, 4096, 16384) if self.a.size >= 1024 else (64, 256):
            img = f"{self.src}/sparse"
            with open(img, "wb") as f:
                f.truncate(min(mib, 3 * 1024) * MIB)  # one member holds less than 4 GiB; more comes in parts
            if mib > 3 * 1024:
                os.truncate(img, mib * MIB)
            dev, back = self.loop(mib * MIB)
            b = self.pack("f12", img, dev)
            r = timed(self.ours(b), memory=True)
            rows.append(f"{mib} MiB: {r[0] / mib * 1024:.2f} s/GiB, {r[2] / MIB:.1f} MiB")
            os.unlink(b)
            os.unlink(img)
            subprocess.run(["losetup", "-d", self.loops.pop()], check=False)
            os.unlink(back)
        self.single("F12", "growing image", "linear, memory flat", "; ".join(rows))
        rows = []
        for n in (1, 1000, 4000):
            d = tempfile.mkdtemp(dir=self.src)
            dev, _ = self.loop(MIB)
            names = [f"m{i:04}" for i in range(n)]
            for x in names:
                with open(f"{d}/{x}", "wb") as f:
                    f.write((x.encode() * 64)[:256])  # the place that each entry has
            entries = ",\n".join(f'{{ filename = "{x}"; device = "{dev}"; type = "raw"; offset = {i * 256}L; }}' for i, x in enumerate(names))
            with open(f"{d}/sw-description", "w") as f:
                f.write(f'software = {{ version = "1.0"; images: (\n{entries}); }};\n')
            out = f"{self.src}/many.swu"
            sh([f"{self.bin}/swbundle", "build", f"{d}/sw-description", "--key", self.key, "--cert", self.cert, "-I", d, "-o", out])
            with open(f"{self.src}/many.cfg", "w") as f:
                f.write(f'globals : {{ public-key-file = "{self.cert}"; state-dir = "{self.work}/state"; bootloader = "none"; max-members = 5000; }};\n')
            r = timed([f"{self.bin}/swinstall", "-f", f"{self.src}/many.cfg", out], memory=True)
            rows.append(f"{n} members: {r[0] * 1000 / n:.2f} ms each, {r[2] / MIB:.1f} MiB")
            shutil.rmtree(d)
        self.single("F12m", "growing number of members", "linear", "; ".join(rows))

    def f13(self):
        img = self.image(min(self.a.size, 256))
        size = os.path.getsize(img)
        dev, back = self.loop(size)
        b = self.pack("f13", img, dev, "installed-directly = true;")
        env = "OPENSSL_ia32cap=~0x200000200000000:~0x20000000"
        one = ["env", env, "taskset", "-c", "0"]

        def reset():
            with open(back, "r+b") as f:
                f.truncate(0)
                f.truncate(size)

        self.pair("F13", "1 core, no crypto instructions", "≤ 0.7, CPU ≤ 0.8", one + self.ours(b), one + self.peer(b), reset=reset)
        with memory_group(64 * MIB) as inside:
            if not inside:
                self.single("F13m", "the same in a memory group of 64 MiB", "completes", "not measured: no memory group can be made here")
                return
            self.pair("F13m", "the same in a memory group of 64 MiB", "≤ 0.7, CPU ≤ 0.8", inside + one + self.ours(b), inside + one + self.peer(b), reset=reset)

    def table(self):
        cpu = next((x.split(":")[1].strip() for x in open("/proc/cpuinfo") if x.startswith("model name")), "?")
        peer = sh("dpkg-query -W -f '${Version}' swupdate")
        out = [
            "# Benchmarks", "",
            "Made by `make bench`. Ratios to Debian's `swupdate` doing the same work on the same bundle with the same trust in the same run: A B A B … "
            f"after a warm-up, medians of {self.a.runs}. Memory is the peak of all processes of the program, summed (shared pages once). "
            "The target is a loop device over a file in memory. Goals are our own; where a figure falls short it says so.", "",
            f"Date {datetime.date.today()}, commit {sh('git rev-parse --short HEAD')}, kernel {os.uname().release}, {cpu}, {os.cpu_count()} cores, "
            f"swupdate {peer}, image {self.a.size} MiB.", "",
            "| id | work | ours | swupdate | wall | CPU | memory | goal |", "|---|---|---|---|---|---|---|---|",
        ]
        for ident, what, goal, a, b in self.rows:
            if b is None:
                out.append(f"| {ident} | {what} | {a} | | | | | {goal} |")
            else:
                out.append(f"| {ident} | {what} | {a[0]:.3f} s | {b[0]:.3f} s | **{a[0] / b[0]:.2f}** | {a[1] / b[1]:.2f} | "
                           f"{a[2] / MIB:.1f} / {b[2] / MIB:.1f} MiB | {goal} {short(goal, a[0] / b[0], a[1] / b[1], a[2])} |")
        return "\n".join(out + [""] + self.notes) + "\n"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--bin", default="build")
    p.add_argument("--size", type=int, default=1024)
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--only", default="")
    p.add_argument("--write")
    a = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # close() runs, as it does on ^C
    b = Bench(a)
    try:
        for name in ("f1", "f2", "f3", "f4", "f5", "f5t", "f7", "f10", "f11", "f12", "f13"):
            if a.only and name not in a.only.lower().split(","):
                continue
            try:
                getattr(b, name)()
            except (RuntimeError, subprocess.CalledProcessError) as e:
                err = getattr(e, "stderr", b"") or b""
                b.single(name.upper(), "could not be measured", "-", str(e)[-300:].replace("\n", " ") + err.decode(errors="replace")[-200:])
        if a.write:
            with open(a.write, "w") as f:
                f.write(b.table())
    finally:
        b.close()


if __name__ == "__main__":
    sys.exit(main())
