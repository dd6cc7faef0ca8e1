#!/usr/bin/python3
"""The fault sweep: the N-th call of each kind fails while a bundle is installed, for every N.

  faults.py --bin build --lib libfault.so [--most 60] [--only TEXT]

After each run: status 0 means NEW; status 1 means OLD and the last line names the error (E_...); no hang; nothing left behind;
the same bundle installs when the fault is gone. A killed process may leave work for `swctl recover`, then old or new.
--most bounds how many N of one kind are tried (0 = all); they are spread evenly. Last line: N passed, N failed, N skipped.
"""
import argparse
import collections
import errno
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cuts import EnvFile, EnvGrub, EnvUboot, Scenario, Sweep, Tools  # noqa: E402

# T63: 'fork' fails for scripts as for every other program
FAULTS = {
    "open": ("EIO", "EMFILE", "EACCES", "ENOSPC"), "read": ("EIO", "EINTR", "short"), "pread": ("EIO", "EINTR", "short"),
    "write": ("EIO", "ENOSPC", "EINTR", "short"), "pwrite": ("EIO", "ENOSPC", "EINTR", "short"),
    "fsync": ("EIO", "ENOSPC"), "fdatasync": ("EIO",), "syncfs": ("EIO",), "rename": ("EIO", "ENOSPC", "EINVAL"), "link": ("EIO",),
    "unlink": ("EIO",), "mkdir": ("ENOSPC", "EROFS"), "ftruncate": ("EIO",), "fallocate": ("ENOSPC", "EOPNOTSUPP"), "mmap": ("ENOMEM",),
    "fork": ("EAGAIN",), "pipe": ("EMFILE",), "memfd": ("ENOMEM",), "ioctl": ("EIO",), "flock": ("EINTR", "ENOLCK"),
    "stat": ("EIO",), "poll": ("EINTR",), "close": ("EIO",), "malloc": ("ENOMEM",), "thread": ("EAGAIN",), "random": ("EIO",),
}
KILLS = ("write", "pwrite", "fsync", "fdatasync", "rename", "unlink", "mkdir", "fork", "open", "close")
LIMIT = 30  # ten times and more what a run takes; the product's own deadlines are shorter


class Faults:
    def __init__(self, tools, lib, most):
        self.tools, self.lib, self.most = tools, os.path.abspath(lib), most
        self.log = f"{tools.work}/fault.log"
        self.runs, self.bad, self.excused, self.tidied = 0, collections.Counter(), 0, 0

    def install(self, sc, root, call=None, n=0, err="", forever=False):
        env = {"LD_PRELOAD": self.lib, "FAULT_LOG": self.log, "PATH": os.environ["PATH"]}
        if call:
            env.update(FAULT_CALL=call, FAULT_N=str(n), FAULT_ERR=str(getattr(errno, err)) if err.startswith("E") else err)
        if forever:
            env["FAULT_FOREVER"] = "1"
        if os.path.exists(self.log):
            os.unlink(self.log)
        try:
            p = subprocess.run([f"{self.tools.bin}/swinstall", "-f", f"{root}/device.cfg", sc.bundle], env=env, cwd="/",
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT, check=False)
            return p.returncode, p.stdout.decode(errors="replace")
        except subprocess.TimeoutExpired:
            return None, ""

    def counts(self):
        with open(self.log) as f:
            return {w[0]: int(w[1]) for w in (line.split() for line in f) if len(w) == 2}

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
        return sc.judge(root, before, after)

    def one(self, sc, where, call, n, err, forever=False):
        root, keep, before, after = where
        Sweep.clear(root)
        Sweep.copy(keep, root)
        rc, text = self.install(sc, root, call, n, err, forever)
        self.runs += 1
        why = self.verdict(sc, root, before, after, rc, text, "killed" if err == "kill" else "forever" if forever else "once")
        why = why and re.sub(r"/\S*dev-[^/ ]*/", "…/", why)
        if why and call == "malloc" and ("libconfig" in self.died_in() or "memory in libconfig_" in text):
            self.excused += 1  # a death inside libconfig comes before any write: doc/architecture.md
            why = None
        if not why and self.runs % 40 == 0:
            rc, text = self.install(sc, root)
            if rc or sc.env.load(root).get("app") != "2.0":
                why = "without the fault it does not install afterwards: " + text[-200:]
        if why:
            self.bad[why] += 1
            if self.bad[why] <= 2:
                print(f"  {sc.name}: {call} number {n}: {err}{' from there on' if forever else ''}: {why}")
        return not why

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
        for call, errors in FAULTS.items():
            total = counts.get(call, 0)
            most = self.most * 4 if call == "malloc" else self.most
            every = range(1, total + 1) if not most or total <= most else sorted({1 + i * total // most for i in range(most)})
            kinds = [(e, False) for e in errors] + ([("kill", False)] if call in KILLS else []) + [(errors[0], True)]
            for err, forever in kinds:
                if forever and err in ("EINTR", "short"):
                    continue
                for n in every if not forever else list(every)[:: max(1, len(list(every)) // 5)]:
                    ok = self.one(sc, (root, keep, before, after), call, n, err, forever)
                    good, bad = good + ok, bad + (not ok)
        shutil.rmtree(root)
        return good, bad


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--bin", default="build")
    p.add_argument("--lib", default="build/libfault.so")
    p.add_argument("--most", type=int, default=25)
    p.add_argument("--only")
    a = p.parse_args()
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    work = os.path.realpath(tempfile.mkdtemp(prefix="swinstall-faults-", dir=base))
    passed = failed = 0
    try:
        tools = Tools(a.bin, work)
        f = Faults(tools, a.lib, a.most)
        for sc in (Scenario("image, file environment", EnvFile()), Scenario("image with hash list, GRUB", EnvGrub(), hash_list=True),
                   Scenario("image and two files, U-Boot", EnvUboot(), files=2),
                   Scenario("image and a script", EnvFile(), script="plain")):
            if a.only and a.only not in sc.name:
                continue
            good, bad = f.sweep(sc)
            passed, failed = passed + good, failed + bad
            print(f"{sc.name}: {good} faults survived, {bad} not")
        for why, n in f.bad.most_common():
            print(f"  {n}x {why[:160]}")
        print(f"{f.runs} faults; after {f.tidied} of them swctl recover had something to tidy")
        if f.excused:
            print(f"{f.excused} deaths inside libconfig's own allocations, before any write")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
