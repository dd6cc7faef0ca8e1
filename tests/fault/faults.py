#!/usr/bin/python3
"""The fault sweep: the N-th call of each kind fails while a bundle is installed, for every N.

  faults.py --bin build --lib libfault.so [--most 60] [--only TEXT] [--calls open,read]

After each run: status 0 means NEW; status 1 means OLD and the last line names the error (E_...); no hang; nothing left behind, no
process left running; the same bundle installs when the fault is gone. A killed process may leave work for `swctl recover`, then old or
new. Where an archive is unpacked or Lua runs, the calls of swinstall-unpack or swinstall-lua fail in the same way, and it is killed at each of them.
--most bounds how many N of one kind are tried (0 = all); they are spread evenly. A kill at what changes files (write, rename, unlink …)
is tried at every N in the scenarios of archives, whatever --most says. Last line: N passed, N failed, N skipped.
"""
import argparse
import collections
import ctypes
import errno
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cuts import NEW, OLD, Archive, EnvFile, EnvGrub, EnvTable, EnvUboot, Scenario, Sweep, Tools, differences, tree_of  # noqa: E402

# T63: 'fork' fails for scripts as for every other program
FAULTS = {
    "open": ("EIO", "EMFILE", "EACCES", "ENOSPC"), "read": ("EIO", "EINTR", "short"), "pread": ("EIO", "EINTR", "short"),
    "write": ("EIO", "ENOSPC", "EINTR", "short"), "pwrite": ("EIO", "ENOSPC", "EINTR", "short"),
    "fsync": ("EIO", "ENOSPC"), "fdatasync": ("EIO",), "syncfs": ("EIO",), "rename": ("EIO", "ENOSPC", "EINVAL"), "link": ("EIO", "EPERM"),
    "symlink": ("ENOSPC",), "unlink": ("EIO",), "mkdir": ("ENOSPC", "EROFS"), "ftruncate": ("EIO",), "fallocate": ("ENOSPC", "EOPNOTSUPP"),
    "chmod": ("EIO",), "chown": ("EPERM",), "xattr": ("ENOSPC",), "utime": ("EIO",), "opendir": ("ENOMEM",), "readdir": ("EIO",),
    "mmap": ("ENOMEM",), "fork": ("EAGAIN",), "exec": ("ENOENT",), "wait": ("EINTR",), "pipe": ("EMFILE",), "memfd": ("ENOMEM",),
    "mount": ("EINVAL", "EPERM"), "umount": ("EBUSY",), "ioctl": ("EIO",), "flock": ("EINTR", "ENOLCK"),
    "stat": ("EIO",), "poll": ("EINTR",), "close": ("EIO",), "malloc": ("ENOMEM",), "thread": ("EAGAIN",), "random": ("EIO",),
}
# of the process that unpacks or runs Lua: what it says is in its ring and its verdict, or on its socket
CHILD_FAULTS = {"read": ("EIO", "EINTR"), "write": ("EIO", "EINTR"), "poll": ("EINTR",), "mmap": ("ENOMEM",), "malloc": ("ENOMEM",), "close": ("EIO",)}
KILLS = ("write", "pwrite", "fsync", "fdatasync", "rename", "unlink", "mkdir", "fork", "open", "close")
# what changes files, and the wake-ups between the two processes
KILLS_ALL = ("write", "pwrite", "fsync", "fdatasync", "syncfs", "rename", "link", "symlink", "unlink", "mkdir", "ftruncate", "fallocate", "chmod",
             "xattr", "mount", "umount")
LIMIT = 30  # ten times and more what a run takes; the product's own deadlines are shorter


class Hooked(Scenario):
    """code in the description: a hook that changes an entry, functions before and after it"""

    def build(self, tools, version, head):
        src = tempfile.mkdtemp(dir=tools.work)
        with open(f"{src}/rootfs.img", "wb") as f:
            f.write(head * 3000)
        with open(f"{src}/sw-description", "w") as f:
            f.write(f'software = {{ version = "{version}";\n'
                    'embedded-script = "function hook(i) i.name = \'rootfs\' i.version = \'7\' return true, i end\\n'
                    "function before(i) return i.version == '7' end\\nfunction after(i) return true end\\n"
                    'function value(i) i.value = \'2.0\' return true, i end";\n'
                    'images: ({ filename = "rootfs.img"; slot = "rootfs"; hook = "hook"; preinstall = "before"; postinstall = "after"; });\n'
                    'bootenv: ({ name = "app"; value = "of no hook"; hook = "value"; }); };\n')
        tools.run("swbundle", "build", f"{src}/sw-description", "--key", tools.key, "--cert", tools.cert, "-I", src, "-o", f"{src}/bundle.swu", must=True)
        return f"{src}/bundle.swu"


class Executed(Scenario):
    """a payload for a program, which cannot be undone: what it has written may be anything, until the new release is chosen"""

    def build(self, tools, version, head):
        src = tempfile.mkdtemp(dir=tools.work)
        for name, n in (("rootfs.img", 3000), ("data", 9000)):
            with open(f"{src}/{name}", "wb") as f:
                f.write(head * n)
        with open(f"{src}/sw-description", "w") as f:
            f.write(f'software = {{ version = "{version}"; images: ({{ filename = "data"; type = "executor"; properties = {{ cmd = "/usr/bin/tee"; '
                    f'parms = "{self.root}/marks/sink"; }}; }}, {{ filename = "rootfs.img"; slot = "rootfs"; }});\n'
                    f'bootenv: ({{ name = "app"; value = "{version}"; }}); }};\n')
        tools.run("swbundle", "build", f"{src}/sw-description", "--key", tools.key, "--cert", tools.cert, "-I", src, "-o", f"{src}/bundle.swu", must=True)
        return f"{src}/bundle.swu"

    def judge(self, root, before, after):
        why = super().judge(root, before, after)
        if why or self.env.load(root).get("app") != "2.0":
            return why
        with open(f"{root}/marks/sink", "rb") as f:
            return None if f.read() == NEW * 9000 else "the program got half of its payload"


class Mounted(Scenario):
    """a file system that is mounted for the update: files staged on it, or an archive written straight into the slot"""

    def __init__(self, name, straight):
        super().__init__(name, EnvFile(), image=False, archive=Archive() if straight else None)
        self.straight, self.loop, self.blank, self.point = straight, None, None, None

    def possible(self, work):
        if os.geteuid() != 0:
            return "only root mounts"
        if not shutil.which("mkfs.ext4"):
            return "mkfs.ext4 is not installed"
        disk, self.point = f"{work}/{'slot' if self.straight else 'data'}.img", f"{work}/mnt"
        with open(disk, "wb") as f:
            f.truncate(4 << 20)
        os.makedirs(self.point, exist_ok=True)
        subprocess.run(["mkfs.ext4", "-q", "-F", disk], check=True)
        p = subprocess.run(["losetup", "-f", "--show", disk], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if p.returncode:
            return "no loop devices here"
        self.loop = p.stdout.decode().strip()
        if subprocess.run(["mount", self.loop, self.point], stderr=subprocess.DEVNULL, check=False).returncode:
            self.release()
            return "nothing can be mounted here"
        os.makedirs(f"{self.point}/app/sub")
        for name in ("app/replaced", "app/kept"):
            with open(f"{self.point}/{name}", "wb") as f:
                f.write(OLD)
        subprocess.run(["umount", self.point], check=True)
        with open(self.loop, "rb") as f:
            self.blank = f.read()
        return None

    def release(self):
        if self.loop:
            subprocess.run(["losetup", "-d", self.loop], check=False)

    def restore(self):
        with open(self.loop, "r+b") as f:
            f.write(self.blank)
            f.flush()
            os.fsync(f.fileno())

    def make(self, root, tools):
        self.restore()
        self.root = root
        for d in ("slots", "env", "state", "run"):
            os.makedirs(f"{root}/{d}", mode=0o700)
        with open(f"{root}/slots/a", "wb") as f:
            f.write(OLD)
        self.env.make(root, {"bootslot": "a", "other": "kept"})
        with open("/proc/cmdline") as f:
            word = f.read().split()[0]
        with open(f"{root}/device.cfg", "w") as f:
            f.write(f'globals : {{ public-key-file = "{tools.cert}"; state-dir = "{root}/state"; run-dir = "{root}/run"; {self.env.config(root)}\n'
                    f'slots = ( {{ name = "a"; rootfs = "{root}/slots/a"; cmdline = "{word}"; env = {{ bootslot = "a"; }}; }},\n'
                    f'{{ name = "b"; rootfs = "{self.loop if self.straight else "/dev/null"}"; cmdline = "no-such-word"; env = {{ bootslot = "b"; }}; }} ); }};\n')
        self.bundle = self.build(tools, "2.0", NEW)

    def build(self, tools, version, head):
        src = tempfile.mkdtemp(dir=tools.work)
        if self.straight:
            self.archive.tar(f"{src}/app.tar")
            lists = 'images: ({ filename = "app.tar"; type = "archive"; slot = "rootfs"; filesystem = "ext4"; path = "/app"; });'
        else:
            with open(f"{src}/file", "wb") as f:
                f.write(head * 200)
            rows = (f'{{ filename = "file"; type = "rawfile"; device = "{self.loop}"; filesystem = "ext4"; path = "{p}"; {more} }}'
                    for p, more in (("/app/replaced", ""), ("/made/here/new", 'properties = { create-destination = "true"; };')))
            lists = f"files: ({', '.join(rows)});"
        with open(f"{src}/sw-description", "w") as f:
            f.write(f'software = {{ version = "{version}"; {lists}\nbootenv: ({{ name = "app"; value = "{version}"; }}); }};\n')
        tools.run("swbundle", "build", f"{src}/sw-description", "--key", tools.key, "--cert", tools.cert, "-I", src, "-o", f"{src}/bundle.swu", must=True)
        return f"{src}/bundle.swu"

    def content(self, root):
        # an umount that failed leaves it mounted for writing until recovery: then it is looked at like that
        if subprocess.run(["mount", "-o", "ro", self.loop, self.point], stderr=subprocess.DEVNULL, check=False).returncode:
            subprocess.run(["mount", self.loop, self.point], check=True)
        try:
            tree = tree_of(self.point)
        finally:
            subprocess.run(["umount", self.point], check=True)
        return {"tree": {n: v for n, v in tree.items() if not n.startswith("lost+found")}}

    def judge(self, root, before, after):
        env, now = self.env.load(root), self.content(root)["tree"]
        new = env.get("app") == "2.0"
        if env.get("bootslot") != ("b" if new and self.straight else "a"):
            return f"boots slot {env.get('bootslot')} with app={env.get('app')}"
        if env.get("recovery_status") == "in_progress":
            return "recovery_status is still in_progress"
        left = [n for n in now if ".swinstall-" in n] + [n for n in os.listdir(f"{root}/run") if not n.startswith("lock-")] + [n for n in os.listdir(f"{root}/state") if n.startswith("mnt-")]
        number = os.stat(self.loop).st_rdev
        with open("/proc/self/mountinfo") as f:
            left += [line.split()[4] for line in f if line.split()[2] == f"{os.major(number)}:{os.minor(number)}"]
        want = after["tree"] if new else before["tree"]
        if now != want and not left and (new or not self.straight):  # what does not boot may be anything
            return f"the tree is not {'new' if new else 'old'}: {differences(now, want)}"
        return "left behind: " + ", ".join(left) if left else None

    def marks(self, root):
        return {}


def own_mounts():
    """our mounts in no other namespace: one that another program copies would keep a file system alive under the next run"""
    if os.geteuid() != 0 or ctypes.CDLL(None).unshare(0x20000) != 0:  # CLONE_NEWNS
        return
    subprocess.run(["mount", "--make-rprivate", "/"], stderr=subprocess.DEVNULL, check=False)
    if os.path.islink("/var/lock"):  # where libubootenv has its lock: a bare system lacks /run/lock, a test beside us may hold it
        subprocess.run("mount -t tmpfs none /run && mkdir -m 1777 /run/lock", shell=True, check=False)
    with open("/proc/self/mountinfo") as f:  # nor do we keep those of others
        for line in f:
            if line.split()[2].startswith("7:"):
                subprocess.run(["umount", "-l", line.split()[4]], stderr=subprocess.DEVNULL, check=False)


class Orphans:
    """what a killed installer leaves running comes to us"""

    def __init__(self):
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER

    @staticmethod
    def wait(seconds):
        """True when all have ended by themselves"""
        until, said = time.monotonic() + seconds, True
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return said
            if pid:
                continue
            if time.monotonic() > until:
                said, until = False, time.monotonic() + seconds
                with open(f"/proc/self/task/{os.getpid()}/children") as f:
                    for child in f.read().split():
                        os.kill(int(child), signal.SIGKILL)
            time.sleep(0.002)


class Faults:
    def __init__(self, tools, lib, most, calls=None):
        self.tools, self.lib, self.most, self.calls, self.orphans = tools, os.path.abspath(lib), most, calls, Orphans()
        self.log, self.child_env, self.child_counts = (f"{tools.work}/{n}" for n in ("fault.log", "helper.env", "helper.counts"))
        self.runs, self.bad, self.excused, self.tidied, self.killed = 0, collections.Counter(), 0, 0, 0

    def fault_env(self, call, n, err, forever):
        env = {}
        if call:
            env.update(FAULT_CALL=call, FAULT_N=str(n), FAULT_ERR=str(getattr(errno, err)) if err.startswith("E") else err)
        if forever:
            env["FAULT_FOREVER"] = "1"
        return env

    @staticmethod
    def helped(sc):
        return bool(sc.archive) or sc.script == "lua" or isinstance(sc, Hooked)

    def install(self, sc, root, who="job", call=None, n=0, err="", forever=False):
        env = {"PATH": os.environ["PATH"], "LD_PRELOAD": self.lib, "FAULT_LOG": self.log}
        child = {"LD_PRELOAD": self.lib, "FAULT_COUNTS": self.child_counts}
        (env if who == "job" else child).update(self.fault_env(call, n, err, forever))
        for f in (self.log, self.child_env, self.child_counts):
            if os.path.exists(f):
                os.unlink(f)
        if self.helped(sc) and (who == "child" or not call):
            with open(self.child_env, "w") as f:
                f.writelines(f"export {k}='{v}'\n" for k, v in child.items())
        try:
            p = subprocess.run([f"{self.tools.bin}/swinstall", "-f", f"{root}/device.cfg", sc.bundle], env=env, cwd="/",
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT, check=False)
            return p.returncode, p.stdout.decode(errors="replace")
        except subprocess.TimeoutExpired:
            return None, ""

    def counts(self):
        with open(self.log) as f:
            job = {w[0]: int(w[1]) for w in (line.split() for line in f) if len(w) == 2}
        child = {}
        if os.path.exists(self.child_counts):
            with open(self.child_counts, "rb") as f:
                child = dict(zip(job, struct.unpack(f"{len(job)}I", f.read(4 * len(job)))))
        return {"job": job, "child": child}

    def died_in(self):
        """the libraries on the stack of a death"""
        if os.path.exists(self.log):
            with open(self.log) as f:
                return " ".join(line.split()[-1] for line in f if line.startswith("died in "))
        return ""

    def verdict(self, sc, root, before, after, rc, text, how):
        """how: killed, forever (nothing can be undone or said while it lasts), or once"""
        if rc is None:
            return "it hangs"
        env = sc.env.load(root)
        new = env.get("app") == "2.0"
        if rc < 0 and how != "killed":
            return f"it died of signal {-rc}"
        if how == "once":
            if rc == 0 and not new:
                return "status 0, and not installed"
            if rc != 0 and new:
                return "a failure is reported, and the new release is chosen"
            if rc != 0 and not re.search(r"E_[A-Z_]+(: .*)?$", text.strip().split("\n")[-1]):
                return "the last line names no error: " + text.strip()[-120:]
            why = sc.judge(root, before, after)
            if why and "left behind" not in why and "in_progress" not in why:
                return why  # what the next boot and the programs see is right at once
            self.tidied += bool(why)
        # the rest is for the next start: swctl recover
        code, out = self.tools.run("swctl", "-f", f"{root}/device.cfg", "recover")
        if code:
            return "recover fails: " + out.strip()[-200:]
        return sc.judge(root, before, after) or self.marks(sc, root, rc, text, how)

    @staticmethod
    def marks(sc, root, rc, text, how):
        """phases run once at most; both before the switch; the one for failures after every failure that is behind the first"""
        marks = sc.marks(root) if sc.script in ("marks", "lua") else {}
        if any(n > 1 for n in marks.values()):
            return "a phase of the script ran twice"
        if not sc.script or sc.script == "plain" or how != "once":
            return None
        if rc == 0 and not (marks.get("preinst") and marks.get("postinst") and "postfailure" not in marks):
            return f"installed, and the phases that ran are {sorted(marks)}"
        if rc != 0 and marks.get("preinst") and "postfailure" not in marks and "failed to tidy up" not in text:
            return "it failed after preinst, and postfailure did not run"
        return None

    def one(self, sc, where, who, call, n, err, forever=False):
        root, keep, before, after = where
        Sweep.clear(root)
        Sweep.copy(keep, root)
        if isinstance(sc, Mounted):
            sc.restore()
        rc, text = self.install(sc, root, who, call, n, err, forever)
        self.runs += 1
        self.killed += err == "kill"
        how = "killed" if err == "kill" and who == "job" else "forever" if forever else "once"
        if how == "once" and call == "malloc" and rc is not None and rc < 0 and "libfdisk/" in text:
            self.excused += 1  # it gives up without memory: then recovery has to make old or new of it
            how = "killed"
        # what a killed installer has started is for recovery to end
        stray = how != "killed" and not self.orphans.wait(5)
        why = self.verdict(sc, root, before, after, rc, text, how)
        stray = stray or not self.orphans.wait(5)
        # what a program leaves running that ended well lives on: then the fault hit the program alone
        if not why and stray and rc != 0:
            why = "a process was left running"
        why = why and re.sub(r"/\S*dev-[^/ ]*/", "…/", why)
        if why and call == "malloc" and ("libconfig" in self.died_in() or "memory in libconfig_" in text):
            self.excused += 1  # a death inside libconfig comes before any write: doc/architecture.md
            why = None
        if not why and self.runs % 40 == 0:
            waits = sc.must_wait(root)
            rc, text = self.install(sc, root)
            if waits:
                why = None if rc and "E_SLOT_PENDING" in text else "a second install before the reboot was not refused"
            elif rc or sc.env.load(root).get("app") != "2.0":
                why = "without the fault it does not install afterwards: " + text[-200:]
        if why:
            self.bad[why] += 1
            if self.bad[why] <= 2:
                print(f"  {sc.name}: {'' if who == 'job' else 'the helper: '}{call} number {n}: {err}{' from there on' if forever else ''}: {why}")
        return not why

    def chosen(self, call, err, total, whole):
        """which N of one kind, spread evenly"""
        most = self.most * 4 if call == "malloc" else self.most
        if not most or total <= most or (whole and err == "kill" and call in KILLS_ALL):
            return list(range(1, total + 1))
        return sorted({1 + i * total // most for i in range(most)})

    def rows(self, who, counts, whole):
        """(call, number, error, forever) of all that is tried in one process"""
        for call, errors in (FAULTS if who == "job" else CHILD_FAULTS).items():
            total = counts.get(call, 0) if not self.calls or call in self.calls else 0
            kills = call in KILLS or (whole and call in KILLS_ALL) or who == "child"
            for err, forever in [(e, False) for e in errors] + ([("kill", False)] if kills else []) + [(errors[0], True)]:
                if forever and err in ("EINTR", "short"):
                    continue
                every = self.chosen(call, err, total, whole)
                for n in every if not forever else every[:: max(1, len(every) // 5)]:
                    yield call, n, err, forever

    def sweep(self, sc):
        root = os.path.realpath(tempfile.mkdtemp(dir=self.tools.work, prefix="dev-"))
        sc.make(root, self.tools)
        keep = root + ".before"
        Sweep.copy(root, keep)
        before = sc.content(root)
        rc, text = self.install(sc, root)
        if rc:
            raise SystemExit(f"{sc.name}: fails without a fault: {text}")
        after, counts = sc.content(root), self.counts()
        good = bad = 0
        for who in ("job", "child"):
            for row in self.rows(who, counts[who], bool(sc.archive)):
                ok = self.one(sc, (root, keep, before, after), who, *row)
                good, bad = good + ok, bad + (not ok)
        shutil.rmtree(root)
        return good, bad


class Programs(Tools):
    """copies of the programs; helpers are started through a script that may preload the fault library"""

    def __init__(self, binaries, work):
        here = f"{work}/bin"
        os.mkdir(here)
        for name in ("swinstall", "swctl", "swbundle"):
            shutil.copy2(f"{binaries}/{name}", here)
        for name in ("swinstall-unpack", "swinstall-lua"):
            if os.path.exists(f"{binaries}/{name}"):
                with open(f"{here}/{name}", "w") as f:
                    f.write(f"#!/bin/sh\n[ ! -e {work}/helper.env ] || . {work}/helper.env\nexec {os.path.abspath(binaries)}/{name} \"$@\"\n")
                os.chmod(f"{here}/{name}", 0o755)
        super().__init__(here, work)


def scenarios():
    return [
        Scenario("image, file environment", EnvFile()),
        Scenario("image with hash list, GRUB", EnvGrub(), hash_list=True),
        Scenario("image and two files, U-Boot", EnvUboot(), files=2),
        Scenario("names of partitions", EnvTable(), shape="none"),
        Scenario("names of partitions and boot variables", EnvTable(variables=True), files=1, shape="none"),
        Scenario("archive into a live folder", EnvFile(), image=False, archive=Archive()),
        Scenario("image, compressed archive with attributes, a file beside it", EnvGrub(), files=1,
                 archive=Archive(preserve=True, beside=True, compressed="zlib")),
        Mounted("files on a device that is mounted", False),
        Mounted("archive straight into a slot", True),
        Scenario("image and a script that leaves marks", EnvFile(), script="marks"),
        Scenario("image and a Lua script", EnvFile(), script="lua"),
        Hooked("image with hooks", EnvFile()),
        Executed("a payload for a program", EnvFile()),
        Scenario("image and a partition table", EnvFile(), disk=True),
        Scenario("image as a patch", EnvFile(), patch=True),
    ]


def run_all(f, chosen, work):
    """passed, failed, skipped"""
    passed = failed = skipped = 0
    for sc in chosen:
        why = sc.possible(work) if isinstance(sc, Mounted) else None
        if why:
            skipped += 1
            print(f"SKIP: {sc.name}: {why}")
            continue
        began = time.monotonic()
        try:
            good, bad = f.sweep(sc)
        finally:
            if isinstance(sc, Mounted):
                sc.release()
        passed, failed = passed + good, failed + bad
        print(f"{sc.name}: {good} faults survived, {bad} not ({time.monotonic() - began:.0f} s)", flush=True)
    return passed, failed, skipped


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--bin", default="build")
    p.add_argument("--lib", default="build/libfault.so")
    p.add_argument("--most", type=int, default=12)
    p.add_argument("--only")
    p.add_argument("--calls", type=lambda s: s.split(","), help="kinds of calls, with commas; else all")
    a = p.parse_args()
    own_mounts()
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    work = os.path.realpath(tempfile.mkdtemp(prefix="swinstall-faults-", dir=base))
    try:
        f = Faults(Programs(a.bin, work), a.lib, a.most, a.calls)
        passed, failed, skipped = run_all(f, [s for s in scenarios() if not a.only or a.only in s.name], work)
        for why, n in f.bad.most_common():
            print(f"  {n}x {why[:160]}")
        print(f"{f.runs} faults, {f.killed} of them kills; after {f.tidied} swctl recover had something to tidy")
        if f.excused:
            print(f"{f.excused} deaths inside own allocations of libconfig, before any write, and of libfdisk")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
