#!/usr/bin/python3
"""The power-cut sweep: every scenario is run once and recorded; then the power is cut after each change, in several
ways (all, none, torn at 512 bytes, random subsets of what was not flushed), `swctl recover` runs on what is left, and
an oracle looks: old or new, never half.

  cuts.py --bin build [--cuts 20000] [--seed 1] [--only NAME] [--mutant NAME]

Mutants are recordings with one barrier or rule taken away: each must be caught, or the harness is blind.
Last line: N passed, N failed, N skipped (one for each scenario and each mutant).
"""
import argparse
import collections
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import simdisk  # noqa: E402

SLOT = 96 * 1024
# one name for each replaced file: a cut may leave it, the next write takes it over
TAKEN_OVER = (".bootenv.new", ".grubenv.new", ".status.new", ".history.new")
OLD, NEW = b"release 1.0\n", b"release 2.0\n"


def pattern(tag, n):
    """content whose every sector says where it belongs"""
    out = bytearray()
    i = 0
    while len(out) < n:
        out += (tag + b" sector %06d " % i).ljust(512, b"." if i % 2 else b",")
        i += 1
    return bytes(out[:n])


class EnvFile:
    kind = "file"

    def make(self, root, variables):
        with open(f"{root}/env/bootenv", "w") as f:
            f.writelines(f"{k}={v}\n" for k, v in variables.items())

    def config(self, root):
        return f'bootloader = "file"; bootenv-path = "{root}/env/bootenv";'

    def load(self, root):
        with open(f"{root}/env/bootenv", encoding="latin-1") as f:
            return dict(line.rstrip("\n").split("=", 1) for line in f if "=" in line and not line.startswith("#"))


class EnvGrub(EnvFile):
    kind = "grub"

    def make(self, root, variables):
        text = "# GRUB Environment Block\n" + "".join(f"{k}={v}\n" for k, v in variables.items())
        with open(f"{root}/env/grubenv", "w") as f:
            f.write(text.ljust(1024, "#"))

    def config(self, root):
        return f'bootloader = "grub"; bootenv-path = "{root}/env/grubenv";'

    def load(self, root):
        with open(f"{root}/env/grubenv", encoding="latin-1") as f:
            text = f.read()
        if len(text) != 1024 or not text.startswith("# GRUB Environment Block\n"):
            raise ValueError("grubenv is no block any more")
        return dict(line.split("=", 1) for line in text.split("\n") if "=" in line)


class EnvUboot(EnvFile):
    """two copies in one file, the flag byte says which is newer"""

    kind = "uboot"
    size = 0x2000

    def image(self, variables, flag):
        body = b"".join(f"{k}={v}".encode() + b"\0" for k, v in variables.items()) + b"\0"
        body = body.ljust(self.size - 5, b"\0")
        return struct.pack("<IB", zlib.crc32(body), flag) + body

    def make(self, root, variables):
        with open(f"{root}/env/uboot.env", "wb") as f:
            f.write(self.image(variables, 1) + self.image(variables, 0))
        with open(f"{root}/fw_env.config", "w") as f:
            f.write(f"{root}/env/uboot.env 0x0 {self.size:#x}\n{root}/env/uboot.env {self.size:#x} {self.size:#x}\n")

    def config(self, root):
        return f'bootloader = "uboot"; fwenv-config-location = "{root}/fw_env.config";'

    def load(self, root):
        with open(f"{root}/env/uboot.env", "rb") as f:
            raw = f.read()
        good = []
        for i in (0, 1):
            one = raw[i * self.size : (i + 1) * self.size]
            crc, flag = struct.unpack("<IB", one[:5])
            if zlib.crc32(one[5:]) == crc:
                good.append((flag, -i, one[5:]))
        if not good:
            raise ValueError("no copy of the environment is valid")
        good.sort(reverse=True)
        if len(good) == 2 and {g[0] for g in good} == {0, 255}:
            good.reverse()
        text = good[0][2].split(b"\0\0")[0]
        return dict(x.decode().split("=", 1) for x in text.split(b"\0") if b"=" in x)


class Scenario:
    def __init__(self, name, env, image=True, files=0, second=False, hash_list=False, recover_too=False, script=False):
        self.name, self.env, self.image, self.files = name, env, image, files
        self.second, self.hash_list, self.recover_too, self.script = second, hash_list, recover_too, script

    def paths(self, root):
        return [f"{root}/app/file{i}" for i in range(self.files)]

    def make(self, root, tools):
        """the device as it was before the install, and the bundle beside it"""
        self.root = root
        for d in ("slots", "env", "app", "state", "keys"):
            os.makedirs(f"{root}/{d}", mode=0o700)
        with open(f"{root}/slots/a", "wb") as f:
            f.write(OLD + pattern(b"A", SLOT - len(OLD)))
        with open(f"{root}/slots/b", "wb") as f:
            f.write(pattern(b"stale B", SLOT))
        for p in self.paths(root)[: max(1, self.files - 1)]:  # the last one is new on the device
            with open(p, "wb") as f:
                f.write(OLD + pattern(b"F", 3000))
        self.env.make(root, {"bootslot": "a", "other": "kept"})
        # a running slot that the kernel command line tells stays the running one when the environment has switched
        with open("/proc/cmdline") as f:
            running = {"a": f' cmdline = "{f.read().split()[0]}";'} if self.second else {}
        slots = ",".join(f'{{ name = "{n}"; rootfs = "{root}/slots/{n}"; env = {{ bootslot = "{n}"; }};{running.get(n, "")} }}' for n in "ab")
        with open(f"{root}/device.cfg", "w") as f:
            f.write(f'globals : {{ public-key-file = "{tools.cert}"; state-dir = "{root}/state"; {self.env.config(root)}\n'
                    f"slots = ( {slots} ); }};\n")
        self.bundle = self.build(tools, "2.0", NEW)
        if self.second:  # an install that still waits for its reboot comes first
            first = self.build(tools, "1.5", b"release 1.5\n")
            tools.run("swinstall", "-f", f"{root}/device.cfg", first, must=True)

    def build(self, tools, version, head):
        src = tempfile.mkdtemp(dir=tools.work)
        entries = ""
        if self.image:
            with open(f"{src}/rootfs.img", "wb") as f:
                f.write(head + pattern(b"N" + version.encode(), SLOT - 1000 - len(head)))
            entries += 'images: ({ filename = "rootfs.img"; slot = "rootfs"; });\n'
        lines = []
        for i, p in enumerate(self.paths(self.root)):
            with open(f"{src}/file{i}", "wb") as f:
                f.write(head + pattern(b"G%d" % i, 2500))
            lines.append(f'{{ filename = "file{i}"; path = "{p}"; type = "rawfile"; }}')
        if lines:
            entries += "files: (" + ",\n".join(lines) + ");\n"
        if self.script:
            with open(f"{src}/run.sh", "w") as f:
                f.write("#!/bin/sh\necho $1\n")
            entries += 'scripts: ({ filename = "run.sh"; type = "shellscript"; });\n'
        with open(f"{src}/sw-description", "w") as f:
            f.write(f'software = {{ version = "{version}";\n{entries}bootenv: ({{ name = "app"; value = "{version}"; }}); }};\n')
        out = f"{src}/bundle.swu"
        more = ["--hash-list"] if self.hash_list else []
        tools.run("swbundle", "build", f"{src}/sw-description", "--key", tools.key, "--cert", tools.cert, "-I", src, *more, "-o", out, must=True)
        return out

    def content(self, root):
        """what the oracle compares: slot and file heads, whole or broken"""
        out = {}
        for n in "ab":
            with open(f"{root}/slots/{n}", "rb") as f:
                out["slot " + n] = f.read()
        for i, p in enumerate(self.paths(root)):
            if os.path.exists(p):
                with open(p, "rb") as f:
                    out[f"file {i}"] = f.read()
        return out

    def judge(self, root, before, after):
        """None, or why this state is neither old nor new"""
        try:
            env = self.env.load(root)
        except (ValueError, OSError) as e:
            return f"environment: {e}"
        now = self.content(root)
        new = env.get("app") == "2.0"
        want, slot = (after, "b") if new else (before, "a")
        if self.image and env.get("bootslot") != slot:
            # before the second install's first act the earlier release was chosen: whole, it is an old state too
            if not (self.second and not new and env.get("bootslot") == "b" and now["slot b"] == before["slot b"]):
                return f"boots slot {env.get('bootslot')} with app={env.get('app')}"
            slot = "b"
        if env.get("other") != "kept":
            return "a variable that is not ours was lost"
        if env.get("recovery_status") == "in_progress":
            return "recovery_status is still in_progress"
        if now["slot " + slot] != want["slot " + slot]:
            return f"slot {slot} is chosen and is not whole"
        if now["slot a"] != before["slot a"]:
            return "the running slot was written"
        for i in range(self.files):
            if now.get(f"file {i}") != want.get(f"file {i}"):
                return f"file {i} is not {'new' if new else 'old'}"
        left = [os.path.join(b, n) for b, ds, fs in os.walk(root) for n in ds + fs
                if n == "scripts" or n.startswith(".swinstall-") or n.endswith((".tmp", ".new")) and n not in TAKEN_OVER]
        if left:
            return "left behind: " + ", ".join(left)
        return None


def mutants():
    """name -> edit of a recording. Each breaks a promise that the oracle must see broken."""

    def without(match):
        return lambda ops: [o for o in ops if not match(o)]

    def env_first(ops):
        """the last write to the environment happens before the payload"""
        at = max((i for i, o in enumerate(ops) if "/env/" in (o.other or o.path or "") and o.kind in ("rename", "write", "append")), default=None)
        first = next(i for i, o in enumerate(ops) if "/slots/b" in (o.path or ""))
        begin = max(i for i, o in enumerate(ops[: at + 1]) if o.kind == "create" and "/env/" in o.path) if ops[at].kind == "rename" else at
        moved = ops[begin : at + 1] + [simdisk.Op("syncall")]
        return ops[:first] + moved + ops[first:begin] + ops[at + 1 :]

    return {
        "no-flush-of-the-slot": without(lambda o: o.kind == "sync" and "/slots/" in o.path),
        "no-flush-of-the-new-environment": without(lambda o: o.kind == "sync" and "/env/" in o.path and not o.path.endswith("/env")),
        "no-flush-of-staged-files": without(lambda o: o.kind == "sync" and "/.swinstall-" in o.path and os.path.basename(o.path)[0] != "."),
        "no-flush-of-the-folder-of-files": without(lambda o: o.kind == "sync" and o.path.endswith("/app")),
        "no-flush-of-the-journal": without(lambda o: o.kind == "sync" and "/state" in o.path),
        "switch-before-the-payload": env_first,
    }


class Tools:
    def __init__(self, binaries, work):
        self.bin, self.work = os.path.abspath(binaries), work
        self.run("swbundle", "keygen", "--dir", f"{work}/keys", "--name", "k", must=True)
        self.key, self.cert = f"{work}/keys/k.key.pem", f"{work}/keys/k.cert.pem"

    def run(self, prog, *args, must=False):
        p = subprocess.run([f"{self.bin}/{prog}", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, check=False, cwd="/")
        text = p.stdout.decode(errors="replace")
        if must and p.returncode:
            raise SystemExit(f"{prog} {' '.join(args)}: status {p.returncode}\n{text}")
        return p.returncode, text

    def record(self, prog, root, *args):
        rc, ops, text = simdisk.record([f"{self.bin}/{prog}", *args], root)
        if rc:
            raise SystemExit(f"{prog} {' '.join(args)} under strace: status {rc}\n{text}")
        return ops


class Sweep:
    def __init__(self, tools, seed):
        self.tools, self.seed, self.count, self.states = tools, seed, 0, 0

    def prepare(self, sc):
        root = os.path.realpath(tempfile.mkdtemp(dir=self.tools.work, prefix="dev-"))
        sc.make(root, self.tools)
        keep = root + ".before"
        shutil.copytree(root, keep)
        before = sc.content(root)
        ops = self.tools.record("swinstall", root, "-f", f"{root}/device.cfg", sc.bundle)
        after = sc.content(root)
        fault = sc.judge(root, before, after)
        if fault:
            raise SystemExit(f"{sc.name}: wrong without any cut: {fault}")
        self.clear(root)
        shutil.copytree(keep, root, dirs_exist_ok=True)
        return root, ops, before, after

    @staticmethod
    def clear(root):
        for n in os.listdir(root):
            p = os.path.join(root, n)
            shutil.rmtree(p) if os.path.isdir(p) else os.unlink(p)

    def sweep(self, sc, cuts, edit=None, stop=False):
        """returns the faults found: {why: how often}"""
        root, ops, before, after = self.prepare(sc)
        ops = edit(ops) if edit else ops
        base = simdisk.Disk(root)
        points = len(ops) + 1
        rounds = max(1, cuts // (points * 5))
        faults, seen = collections.Counter(), set()
        disk = base
        for k in range(points):
            if k:
                disk.play(ops[k - 1])
            for how in ["all", "none"] + ["torn", "random", "random", "random"] * rounds:
                rng = simdisk.rng_of(self.seed, sc.name, k, how, len(seen))
                state = disk.cut(how, rng)
                self.count += 1
                mark = hash((frozenset(state[0].items()), tuple(state[1][i] for i in state[0].values() if i >= 0)))
                if mark in seen:
                    continue
                seen.add(mark)
                self.states += 1
                why = self.one(sc, disk, state, root, before, after, rng)
                if why:
                    faults[why] += 1
                    if faults[why] == 1:
                        print(f"  {sc.name}: cut after {k} of {len(ops)} ({ops[k - 1] if k else 'nothing'}), {how}: {why}")
                    if stop:
                        return faults, len(seen), points
        shutil.rmtree(root)
        return faults, len(seen), points

    def one(self, sc, disk, state, root, before, after, rng):
        self.clear(root)
        disk.lay(state, root)
        rc, text = self.tools.run("swctl", "-f", f"{root}/device.cfg", "recover")
        if rc:
            return f"swctl recover: status {rc}: " + re.sub(r"/\S*dev-\S*?/", "…/", " / ".join(text.strip().split("\n")[-3:]))
        why = sc.judge(root, before, after)
        if not why and rng.random() < 0.04:
            rc, text = self.tools.run("swinstall", "-f", f"{root}/device.cfg", sc.bundle)
            why = f"a second try fails: {text[-300:]}" if rc else None
            if not why and sc.env.load(root).get("app") != "2.0":
                why = "a second try does not install"
        return why


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--bin", default="build")
    p.add_argument("--cuts", type=int, default=20000)
    p.add_argument("--seed", default="1")
    p.add_argument("--only")
    p.add_argument("--mutant")
    a = p.parse_args()
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    work = os.path.realpath(tempfile.mkdtemp(prefix="swinstall-cuts-", dir=base))
    passed = failed = 0
    try:
        tools = Tools(a.bin, work)
        scenarios = [
            Scenario("image, file environment", EnvFile()),
            Scenario("image, GRUB block", EnvGrub()),
            Scenario("image, U-Boot redundant", EnvUboot()),
            Scenario("image with hash list", EnvFile(), hash_list=True),
            Scenario("three files", EnvFile(), image=False, files=3),
            Scenario("image and two files", EnvUboot(), files=2),
            Scenario("second install before the reboot", EnvFile(), second=True),
            Scenario("image, a file and a script", EnvFile(), files=1, script=True),
        ]
        chosen = [s for s in scenarios if not a.only or a.only in s.name]
        sweep = Sweep(tools, a.seed)
        for sc in chosen if not a.mutant else []:
            faults, distinct, points = sweep.sweep(sc, a.cuts // len(chosen))
            ok = not faults
            passed, failed = passed + ok, failed + (not ok)
            print(f"{'ok    ' if ok else 'FAILED'} {sc.name}: {points} points, {distinct} distinct states" + ("" if ok else f", {sum(faults.values())} bad"))
        for name, edit in mutants().items():
            if (a.mutant and a.mutant not in name) or (a.only and not a.mutant):
                continue
            caught = False
            for sc in (scenarios[5], scenarios[0], scenarios[6]):
                faults, _, _ = sweep.sweep(sc, 6000, edit, stop=True)
                if faults:
                    caught = True
                    break
            passed, failed = passed + caught, failed + (not caught)
            print(f"{'ok    ' if caught else 'FAILED'} mutant {name}: {'caught' if caught else 'NOT caught: the harness is blind to it'}")
        print(f"{sweep.count} simulated power cuts, {sweep.states} different states recovered, seed {a.seed}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
