#!/usr/bin/python3
"""The power-cut sweep: every scenario is run once and recorded; then the power is cut after each change, in several
ways (all, none, torn at 512 bytes, random subsets of what was not flushed), `swctl recover` runs on what is left, and
an oracle looks: old or new, never half. All of it twice: on a disk that keeps a move between two folders in both or in neither,
and on one that keeps each half of it by itself.

  cuts.py --bin build [--cuts 20000] [--seed 1] [--only NAME] [--mutant NAME]

Mutants are recordings with one barrier or rule taken away: each must be caught, or the harness is blind.
Last line: N passed, N failed, N skipped (one for each scenario and each mutant).
"""
import argparse
import collections
import hashlib
import io
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import simdisk  # noqa: E402

SLOT = 96 * 1024
# one name for each replaced file: a cut may leave it, the next write takes it over
TAKEN_OVER = (".switched.new", ".bootenv.new", ".grubenv.new", ".status.new", ".history.new")
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


    def damage(self, root):
        """what recovery has to mend, beside what load() refuses; None"""
        return None


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


class EnvTable(EnvFile):
    """names of partitions choose the slot: "run" is the name of a's partition, or of b's after the switch"""

    kind = "table"

    def __init__(self, variables=False):
        """variables: the bundle sets boot variables too, and both switch"""
        self.variables = variables

    def make(self, root, variables):
        super().make(root, {k: v for k, v in variables.items() if k != "bootslot"})
        with open(f"{root}/disk", "wb") as f:
            f.truncate(128 * 1024)
        subprocess.run(["sfdisk", "-q", f"{root}/disk"], check=True, env=dict(os.environ, PATH=os.environ["PATH"] + ":/sbin:/usr/sbin"),
                       input=b'label: gpt\nfirst-lba: 34\nsize=20, name="run"\nsize=20, name="other"\n')

    def config(self, root):
        return super().config(root) + (" several-switches = true;" if self.variables else "")

    @staticmethod
    def names(raw, block):
        """of one copy; None where it is not whole"""
        head = bytearray(raw[block * 512 : block * 512 + 92])
        crc, = struct.unpack_from("<I", head, 16)
        head[16:20] = bytes(4)
        table, count, size, table_crc = struct.unpack_from("<QIII", head, 72)
        entries = raw[table * 512 : table * 512 + count * size]
        if head[:8] != b"EFI PART" or zlib.crc32(head) != crc or zlib.crc32(entries) != table_crc:
            return None
        return [entries[i * size + 56 : i * size + 128].decode("utf-16-le").rstrip("\0") for i in range(2)]

    def copies(self, root):
        with open(f"{root}/disk", "rb") as f:
            raw = f.read()
        return self.names(raw, 1), self.names(raw, len(raw) // 512 - 1)

    def damage(self, root):
        first, second = self.copies(root)
        return None if first == second else f"the copies of the table say {first} and {second}"

    def load(self, root):
        env, (first, second) = super().load(root), self.copies(root)
        now = first or second
        if sorted(now or []) != ["other", "run"]:
            raise ValueError(f"the copies of the table say {first} and {second}")
        new = now == ["other", "run"]
        return {**env, "bootslot": "b" if new else "a", "app": env.get("app") if self.variables else "2.0" if new else None}

    def switch(self, root):
        return f'{{ type = "gptswap"; device = "{root}/disk"; properties: {{ swap-0 = [ "run", "other" ]; }}; }}'


class EnvNone(EnvFile):
    """no boot loader: the journal alone says which side of the commit point it was"""

    kind = "none"

    def make(self, root, variables):
        pass

    def config(self, root):
        return 'bootloader = "none";'

    def load(self, root):
        return None


def xattrs_work(folder):
    """user attributes are kept where the devices are made"""
    probe = os.path.join(folder, "probe")
    try:
        with open(probe, "w"):
            os.setxattr(probe, "user.swinstall", b"1")
        return True
    except OSError:
        return False
    finally:
        os.unlink(probe)


class Archive:
    """a folder that is in use, and a tar that goes into it: each kind new, replaced, replaced by another kind, left alone"""

    def __init__(self, place="live", preserve=False, beside=False, compressed=None):
        self.place, self.preserve, self.beside, self.compressed = place, preserve, beside, compressed

    def make(self, root):
        """what was there; nothing where the install makes the folder"""
        top = f"{root}/{self.place}"
        if self.place != "live":
            return
        os.makedirs(f"{top}/sub/deep")
        for name, data in (("kept", b"kept"), ("replaced", OLD), ("sub/file", OLD * 90), ("sub/deep/a", OLD), ("two", OLD), ("to-link", OLD),
                           ("to-folder", OLD), ("sub/kept", b"kept")):
            with open(f"{top}/{name}", "wb") as f:
                f.write(data)
        os.link(f"{top}/two", f"{top}/two-too")
        for name, to in (("from-link", "kept"), ("link", "kept"), ("sub/other", "../kept")):
            os.symlink(to, f"{top}/{name}")
        os.chmod(f"{top}/replaced", 0o640)
        if self.preserve and xattrs_work(top):
            os.setxattr(f"{top}/replaced", "user.age", b"old")

    def tar(self, path):
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as t:
            for name, kind, data in (
                    (".", "d", ""), ("replaced", "f", NEW), ("sub", "d", ""), ("sub/file", "f", NEW * 70), ("sub/deep/a", "f", NEW), ("two", "f", NEW),
                    ("to-link", "l", "kept"), ("to-folder/in/file", "f", NEW), ("from-link", "f", NEW), ("link", "l", "replaced"),
                    ("new", "f", pattern(b"T", 1500)), ("fresh/deep/file", "f", NEW), ("fresh/empty", "d", ""), ("hard", "h", "new"),
                    ("sub/hard", "h", "new"), ("fresh/link", "l", "../new")):
                m = tarfile.TarInfo(name)
                m.mode, m.uid, m.gid, m.mtime = (0o755 if kind == "d" else 0o644), os.geteuid(), os.getegid(), 1600000000
                m.type = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE}[kind]
                if kind in "lh":
                    m.linkname = data
                if self.preserve and name in (".", "sub", "replaced", "new", "fresh/deep/file"):
                    m.mode = {".": 0o750, "sub": 0o711, "new": 0o2750}.get(name, 0o600)
                    m.pax_headers = {"SCHILY.xattr.user.age": "new"}
                if kind == "f":
                    m.size = len(data)
                t.addfile(m, io.BytesIO(data) if kind == "f" else None)

    def entry(self, root):
        more = " preserve-attributes = true;" if self.preserve else ""
        more += ' properties: { create-destination = "true"; };' if self.place != "live" else ""
        more += f' compressed = "{self.compressed}";' if self.compressed else ""
        return f'{{ filename = "app.tar"; path = "{root}/{self.place}"; type = "archive";{more} }}'


def tree_of(top):
    """all that can be told of a folder, but for times: {path: (kind, mode, owner, attributes, content, other names)}"""
    out, names = {}, collections.defaultdict(list)
    for base, dirs, files in os.walk(top):
        for n in [""] * (base == top) + dirs + files:
            p = os.path.join(base, n) if n else top
            st, rel = os.lstat(p), os.path.relpath(p, top)
            kind = "l" if os.path.islink(p) else "d" if os.path.isdir(p) else "f"
            data = os.readlink(p) if kind == "l" else None
            if kind == "f":
                names[st.st_ino].append(rel)
                with open(p, "rb") as f:
                    data = f.read()
            attrs = {} if kind == "l" else simdisk.attributes_of(p)
            out[rel] = (kind, st.st_mode & 0o7777, st.st_uid, attrs, data, tuple(sorted(names[st.st_ino])) if kind == "f" else ())
    return {rel: (*v[:5], tuple(sorted(names[os.lstat(os.path.join(top, rel)).st_ino]))) for rel, v in out.items()}


def differences(now, want):
    return ", ".join(sorted(n for n in set(now) | set(want) if now.get(n) != want.get(n)))[:120]


def gpt_of(disk, sector=512):
    """the entries of the primary table and of the backup, None where one is not whole"""
    out = []
    for at in (sector, len(disk) - sector):
        head = disk[at : at + 92]
        size, crc = int.from_bytes(head[12:16], "little"), int.from_bytes(head[16:20], "little")
        entries = int.from_bytes(head[72:80], "little") * sector
        n = int.from_bytes(head[80:84], "little") * int.from_bytes(head[84:88], "little")
        table = disk[entries : entries + n] if n <= 65536 else b""
        whole = head[:8] == b"EFI PART" and size == 92 and zlib.crc32(head[:16] + bytes(4) + head[20:]) == crc
        out.append(table if whole and zlib.crc32(table) == int.from_bytes(head[88:92], "little") else None)
    return out


class Scenario:
    # what slot n has in env
    SHAPES = {
        "plain": lambda n: {"bootslot": n},
        "wide": lambda n: {"bootslot": n, "try": "" if n == "a" else "3", "mode": "x"},
        "none": lambda n: {},  # the bundle's own variables switch, or another record
    }

    def __init__(self, name, env, image=True, files=0, second=False, hash_list=False, script=None, archive=None, slots="ab", code=False,
                 halves=False, shape="plain", disk=False, patch=False):
        """script: 'plain' (one that only speaks), 'marks' (each phase leaves a file) or 'lua'; slots: the first one runs, the last one
        is written, and of more than two the last one waits for its reboot; code: a handler in Lua writes the slot; halves: two entries,
        the first of which has the version that runs; disk: a disk of its own gets another partition table; patch:
        the image comes as a patch against a file of the device"""
        self.name, self.env, self.image, self.files = name, env, image, files
        self.second, self.hash_list, self.script, self.archive = second, hash_list, script, archive
        self.slots, self.code, self.halves, self.shape = slots, code, halves, shape
        self.variables = {n: self.SHAPES[shape](n) for n in slots}
        self.disk = disk
        self.patch = patch
        self.target, self.waits = slots[-1], second or len(slots) > 2

    def must_wait(self, root):
        """nobody can say what boots next, so a second install before the reboot is refused"""
        return self.shape == "none" and (self.env.load(root) or {}).get("app") == "2.0"

    def paths(self, root):
        beside = self.archive and self.archive.beside  # in the very folder that the archive goes into
        return [f"{root}/{self.archive.place if beside else 'app'}/file{i}" for i in range(self.files)]

    def make(self, root, tools):
        """the device as it was before the install, and the bundle beside it"""
        self.root = root
        for d in ("slots", "env", "app", "state", "keys", "marks"):
            os.makedirs(f"{root}/{d}", mode=0o700)
        with open(f"{root}/slots/a", "wb") as f:
            f.write(OLD + pattern(b"A", SLOT - len(OLD)))
        for n in self.slots[1:]:
            with open(f"{root}/slots/{n}", "wb") as f:
                f.write(pattern(b"stale " + n.upper().encode(), SLOT))
        if self.archive:
            self.archive.make(root)
        if self.disk:
            with open(f"{root}/disk", "wb") as f:
                f.truncate(1 << 20)
            subprocess.run(["sfdisk", "--quiet", f"{root}/disk"], check=True, stdout=subprocess.DEVNULL,
                           input=b"label: gpt\nlabel-id: 11111111-2222-3333-4444-555555555555\nstart=64, size=256, name=old\n")
        for p in self.paths(root)[: max(1, self.files - 1)]:  # the last one is new on the device
            with open(p, "wb") as f:
                f.write(OLD + pattern(b"F", 3000))
        self.env.make(root, {"bootslot": self.target if len(self.slots) > 2 else "a", "other": "kept"})
        # a running slot that the kernel command line tells stays the running one when the environment has switched
        with open("/proc/cmdline") as f:
            running = {"a": f' cmdline = "{f.read().split()[0]}";'} if self.waits or self.shape == "none" else {}
        sets = {n: f" env = {{ {' '.join(f'{k} = {chr(34)}{v}{chr(34)};' for k, v in e.items())} }};" if e else "" for n, e in self.variables.items()}
        slots = ",".join(f'{{ name = "{n}"; rootfs = "{root}/slots/{n}";{sets[n]}{running.get(n, "")} }}' for n in self.slots)
        more = ""
        if self.code:
            more = ' lua-trust = "full";'
        if self.halves:
            with open(f"{root}/versions", "w") as f:
                f.write("system 2.0\n")
            more += f' versions-file = "{root}/versions";'
        with open(f"{root}/device.cfg", "w") as f:
            f.write(f'globals : {{ public-key-file = "{tools.cert}"; state-dir = "{root}/state"; {self.env.config(root)}{more}\n'
                    f"slots = ( {slots} ); }};\n")
        self.bundle = self.build(tools, "2.0", NEW)
        if self.second:  # an install that still waits for its reboot comes first
            first = self.build(tools, "1.5", b"release 1.5\n")
            tools.run("swinstall", "-f", f"{root}/device.cfg", first, must=True)

    def build(self, tools, version, head):
        src = tempfile.mkdtemp(dir=tools.work)
        images, lines, scripts, disks = [], [], [], []
        if self.image:
            with open(f"{src}/rootfs.img", "wb") as f:
                f.write(head + pattern(b"N" + version.encode(), SLOT - 1000 - len(head)))
            images.append(self.patched(src) if self.patch else self.image_entry(src))
        if self.archive:
            self.archive.tar(f"{src}/app.tar")
            if self.archive.compressed:
                tools.compress(f"{src}/app.tar", self.archive.compressed)
            images.append(self.archive.entry(self.root))
        for i, p in enumerate(self.paths(self.root)):
            with open(f"{src}/file{i}", "wb") as f:
                f.write(head + pattern(b"G%d" % i, 2500))
            lines.append(f'{{ filename = "file{i}"; path = "{p}"; type = "rawfile"; }}')
        if self.script:
            scripts.append(self.program(src))
        variables = [("app", version)] if not isinstance(self.env, EnvTable) or self.env.variables else []
        if isinstance(self.env, EnvTable):
            scripts.append(self.env.switch(self.root))
        elif self.shape == "none":
            variables.append(("bootslot", self.target))
        if self.disk:
            disks.append(f'{{ type = "diskpart"; device = "{self.root}/disk"; properties: {{ partition-1 = [ "start=64", "size=64K", "name=new" ]; partition-2 = [ "start=512", "size=128K", "partuuid=11111111-2222-3333-4444-555555555556" ]; }}; }}')
        lists = "".join(f"{name}: ({', '.join(rows)});\n" for name, rows in (("partitions", disks), ("images", images), ("files", lines), ("scripts", scripts)) if rows)
        with open(f"{src}/sw-description", "w") as f:
            rows = ", ".join(f'{{ name = "{k}"; value = "{v}"; }}' for k, v in variables)
            f.write(f'software = {{ version = "{version}";{self.embedded()}\n{lists}{f"bootenv: ({rows});" if rows else ""} }};\n')
        out = f"{src}/bundle.swu"
        more = ["--hash-list"] if self.hash_list else []
        tools.run("swbundle", "build", f"{src}/sw-description", "--key", tools.key, "--cert", tools.cert, "-I", src, *more, "-o", out, must=True)
        return out

    def image_entry(self, src):
        """of rootfs.img"""
        if len(self.slots) > 2:
            return f'{{ filename = "rootfs.img"; device = "{self.root}/slots/{self.target}"; }}'
        if self.code:
            return '{ filename = "rootfs.img"; slot = "rootfs"; type = "mine"; }'
        if not self.halves:
            return '{ filename = "rootfs.img"; slot = "rootfs"; }'
        with open(f"{src}/rootfs.img", "rb") as f:
            whole = f.read()
        with open(f"{src}/rootfs.img", "wb") as f:
            f.write(whole[: SLOT // 2])
        with open(f"{src}/rest.img", "wb") as f:
            f.write(whole[SLOT // 2 :])
        same = 'name = "system"; version = "2.0"; install-if-different = true;'
        return f'{{ filename = "rootfs.img"; slot = "rootfs"; {same} }}, {{ filename = "rest.img"; slot = "rootfs"; offset = "{SLOT // 2}"; }}'

    def embedded(self):
        """a handler that writes as code does: it flushes nothing"""
        if not self.code:
            return ""
        return (' embedded-script = "swupdate.register_handler(\'mine\', function(image) '
                "local f = assert(io.open(image.slot_device, 'r+b')) image:read(function(data) f:write(data) end) f:close() return 0 end)\";")

    def patched(self, src):
        """the entry of rootfs.img as a patch against a file that the device keeps"""
        with open(f"{src}/rootfs.img", "rb") as f:
            want = f.read()
        with open(f"{self.root}/base", "wb") as f:
            f.write(want[20000:] + want[:7000])
        subprocess.run(["rdiff", "signature", f"{self.root}/base", f"{src}/sig"], check=True)
        subprocess.run(["rdiff", "delta", f"{src}/sig", f"{src}/rootfs.img", f"{src}/rootfs.patch"], check=True)
        return (f'{{ filename = "rootfs.patch"; type = "rdiff_image"; slot = "rootfs"; properties: {{ rdiffbase = "{self.root}/base"; '
                f'result-sha256 = "{hashlib.sha256(want).hexdigest()}"; }}; }}')

    def program(self, src):
        """its entry; with 'marks' and 'lua' each phase adds a line to a file of its name, and flushes it; a
        process in a session of its own lives as long"""
        marks = f"{self.root}/marks"
        if self.script == "lua":
            text = "".join(f'function {phase}()\nos.execute("setsid sleep 1000 >/dev/null 2>&1 & echo $! >{marks}.pid")\nlocal f = assert(io.open("{marks}/{word}", "a"))\nf:write("{word}\\n")\nf:close()\nreturn os.execute("kill -9 $(cat {marks}.pid)")\nend\n'
                           for phase, word in (("preinst", "preinst"), ("postinst", "postinst"), ("postfailure", "postfailure")))
        elif self.script == "marks":
            text = f"#!/bin/sh\nsetsid sleep 1000 >/dev/null 2>&1 &\npid=$!\necho $1 >>{marks}/$1\nsync {marks}/$1 {marks}\nkill -9 $pid\n"
        else:
            text = "#!/bin/sh\necho $1\n"
        name, kind = ("run.lua", "lua") if self.script == "lua" else ("run.sh", "shellscript")
        with open(f"{src}/{name}", "w") as f:
            f.write(text)
        return f'{{ filename = "{name}"; type = "{kind}"; }}'

    def content(self, root):
        """what the oracle compares: slot and file heads, whole or broken"""
        out = {}
        for n in self.slots:
            with open(f"{root}/slots/{n}", "rb") as f:
                out["slot " + n] = f.read()
        for i, p in enumerate(self.paths(root)):
            if os.path.exists(p):
                with open(p, "rb") as f:
                    out[f"file {i}"] = f.read()
        if self.disk:
            with open(f"{root}/disk", "rb") as f:
                out["disk"] = f.read()
        if self.archive:
            top = f"{root}/{self.archive.place.split('/')[0]}"
            out["tree"] = tree_of(top) if os.path.lexists(top) else {}
        return out

    def judge(self, root, before, after):
        """None, or why this state is neither old nor new"""
        try:
            env = self.env.load(root)
        except (ValueError, OSError) as e:
            return f"environment: {e}"
        if self.env.damage(root):
            return self.env.damage(root)
        now = self.content(root)
        if env is None:  # the files say it themselves
            new = self.files and now.get("file 0") == after.get("file 0") or not self.files and now["tree"] == after["tree"]
            env = {"app": "2.0" if new else None, "bootslot": self.target if new else "a", "other": "kept"}
        new = env.get("app") == "2.0"
        want, slot = (after, self.target) if new else (before, "a")
        if self.image and env.get("bootslot") != slot:
            # before the second install's first act the earlier release was chosen: whole, it is an old state too
            pending = "slot " + self.target
            if not (self.waits and not new and env.get("bootslot") == self.target and now[pending] == before[pending]):
                return f"boots slot {env.get('bootslot')} with app={env.get('app')}"
            slot = self.target
        chosen = self.variables.get(env.get("bootslot"), {})
        if any(env.get(k, "") != v for k, v in chosen.items()):
            return f"the variables choose no slot whole: {env}"
        if env.get("other") != "kept":
            return "a variable that is not ours was lost"
        if env.get("recovery_status") == "in_progress":
            return "recovery_status is still in_progress"
        if now["slot " + slot] != want["slot " + slot]:
            return f"slot {slot} is chosen and is not whole"
        if new and self.image and not now["slot " + slot].startswith(NEW):
            return f"slot {slot} is chosen and does not begin with the new release"
        if now["slot a"] != before["slot a"]:
            return "the running slot was written"
        for i in range(self.files):
            if now.get(f"file {i}") != want.get(f"file {i}"):
                return f"file {i} is not {'new' if new else 'old'}"
        if self.disk and not self.disk_is_whole(gpt_of(now["disk"]), gpt_of(before["disk"]), gpt_of(after["disk"]), new):
            return "the disk has no whole partition table, or not the new one"
        left = [os.path.join(b, n) for b, ds, fs in os.walk(root) for n in ds + fs
                if n == "scripts" or n.startswith(".swinstall-") or n.endswith((".tmp", ".new")) and n not in TAKEN_OVER]
        if self.archive and now["tree"] != want["tree"] and not left:
            return f"the tree is not {'new' if new else 'old'}: {differences(now['tree'], want['tree'])}"
        if left:
            return "left behind: " + ", ".join(left)
        return None

    @staticmethod
    def disk_is_whole(now, before, after, new):
        """the new table twice when the update is done; before, one of both is whole"""
        if new:
            return now == after and None not in now
        return any(t is not None and t in (before[0], after[0]) for t in now)

    def marks(self, root):
        """phase -> lines that its file has"""
        out = {}
        for n in os.listdir(f"{root}/marks"):
            with open(f"{root}/marks/{n}", "rb") as f:
                out[n] = f.read().count(b"\n")
        return out

    def judge_marks(self, root):
        """after a cut: each phase ran once at most, the one for failures never, those before the switch on both sides of it"""
        if self.script != "marks":
            return None
        env, marks = self.env.load(root), self.marks(root)
        if any(n > 1 for n in marks.values()):
            return "a phase of the script ran twice"
        if "postfailure" in marks:
            return "postfailure ran though nothing failed"
        if marks.get("postinst") and not marks.get("preinst"):
            return "postinst ran without preinst"
        if env.get("app") == "2.0" and not (marks.get("preinst") and marks.get("postinst")):
            return "switched before the scripts had run"
        return None


# ---- mutants: edits of a recording, each of which breaks a promise that the oracle must see broken ----


def without(match):
    return lambda ops: [o for o in ops if not match(o)]


def earlier(which, to):
    """the changes that which(ops) numbers come before the one that to(ops) numbers"""

    def edit(ops):
        at = to(ops)
        chosen = [i for i in which(ops) if i > at]
        assert chosen
        return ops[:at] + [ops[i] for i in chosen] + [o for i, o in enumerate(ops) if i >= at and i not in chosen]

    return edit


def all_of(match):
    return lambda ops: [i for i, o in enumerate(ops) if match(o)]


def first_of(match):
    return lambda ops: next(i for i, o in enumerate(ops) if match(o))


def names(text, kinds=()):
    return lambda o: text in (o.path or "") and (not kinds or o.kind in kinds)


def sync_of(end):
    return lambda o: o.kind == "sync" and o.path.endswith(end)


def is_move(o):
    return o.kind == "rename" and "/0.new/" in o.path


def the_switch(ops):
    """the last write of the environment, which is one file beside another"""
    at = [i for i, o in enumerate(ops) if names("/env")(o)]
    return list(range(max(i for i in at if ops[i].kind == "create"), max(at) + 1))


def first_flush_of_the_table(ops):
    begun = first_of(names("/disk", ("write",)))(ops)
    return next(i for i, o in enumerate(ops) if i > begun and sync_of("/disk")(o))


def take_back_late(ops):
    """the slot that boots next is written before another one is chosen"""
    first = next(i for i, o in enumerate(ops) if o.kind == "write" and re.search("/slots/[bc]$", o.path or ""))
    begin = next(i for i, o in enumerate(ops) if names("/env")(o) and o.kind == "create")
    end = max(i for i, o in enumerate(ops[:first]) if sync_of("/env")(o))
    return ops[:begin] + ops[end + 1 : first + 1] + [simdisk.Op("syncall")] + ops[begin : end + 1] + ops[first + 1 :]


def the_tree(ops):
    at = first_of(names("/.swinstall-", ("mkdir",)))(ops)
    return list(range(at, next(i for i in range(at, len(ops)) if ops[i].kind == "syncall")))


def the_end_of_the_journal(ops):
    return [i for i in all_of(names("/state/journal"))(ops) if i > max(the_switch(ops))]


def env_first(ops):
    """the last write to the environment happens before the payload"""
    at = max((i for i, o in enumerate(ops) if "/env/" in (o.other or o.path or "") and o.kind in ("rename", "write", "append")), default=None)
    first = next(i for i, o in enumerate(ops) if "/slots/b" in (o.path or ""))
    begin = max(i for i, o in enumerate(ops[: at + 1]) if o.kind == "create" and "/env/" in o.path) if ops[at].kind == "rename" else at
    moved = ops[begin : at + 1] + [simdisk.Op("syncall")]
    return ops[:first] + moved + ops[first:begin] + ops[at + 1 :]


def mutants():
    """(name, edit of the install, edit of the recovery after a first cut, scenarios that may see it)"""
    images = ("image and two files", "image, file environment", "second install")
    tree = ("archive into a live folder",)
    at_switch = lambda ops: the_switch(ops)[0]  # noqa: E731
    rows = [
        ("no-flush-of-the-slot", without(lambda o: o.kind == "sync" and "/slots/" in o.path), images),
        ("no-flush-of-what-code-wrote", without(lambda o: o.kind == "sync" and "/slots/" in o.path), ("image by a handler in Lua",)),
        ("no-flush-of-the-new-environment", without(lambda o: o.kind == "sync" and "/env/" in o.path and not o.path.endswith("/env")), images),
        ("no-flush-of-staged-files", without(lambda o: o.kind == "sync" and "/.swinstall-" in o.path and os.path.basename(o.path)[0] != "."), images),
        ("no-flush-of-the-folder-of-files", without(sync_of("/app")), images),
        ("no-flush-of-the-journal", without(lambda o: o.kind == "sync" and "/state" in o.path), images),
        ("switch-before-the-payload", env_first, images),
        ("no-flush-of-the-tree", without(lambda o: o.kind == "syncall"), tree),
        ("no-flush-of-the-list-of-moves", without(sync_of("/0.list")), tree),
        ("no-flush-of-the-second-names-of-old-files", without(sync_of("/0.old")), tree),
        ("no-flush-of-the-staging-folder", without(lambda o: o.kind == "sync" and re.search(r"/\.swinstall-\w+$", o.path)), tree),
        ("moves-before-their-list", earlier(all_of(is_move), first_of(names("/0.list"))), tree),
        ("tree-before-its-record", earlier(the_tree, lambda ops: max(i for i in all_of(names("/state/journal", ("write",)))(ops) if i < the_tree(ops)[0])), tree),
        ("old-files-gone-before-the-switch", earlier(all_of(names("/.swinstall-", ("unlink",))), at_switch), tree),
        ("journal-ended-before-the-switch", earlier(the_end_of_the_journal, at_switch), tree),
        ("switch-before-the-moves", earlier(the_switch, first_of(is_move)), tree),
        ("no-flush-of-the-second-table", lambda ops: [o for i, o in enumerate(ops) if i != first_flush_of_the_table(ops)], ("names of partitions",)),
        ("take-back-after-the-payload", take_back_late, ("second install before the reboot",)),
        ("switch-before-the-scripts", earlier(the_switch, first_of(names("/marks/postinst"))), ("image and a script that leaves marks",)),
    ]
    out = [(name, edit, None, where) for name, edit, where in rows]
    return out + [("recovery-flushes-no-tree", None, without(lambda o: o.kind == "syncall"), tree)]


class Tools:
    def __init__(self, binaries, work):
        self.bin, self.work = os.path.abspath(binaries), work
        self.run("swbundle", "keygen", "--dir", f"{work}/keys", "--name", "k", must=True)
        self.key, self.cert = f"{work}/keys/k.key.pem", f"{work}/keys/k.cert.pem"

    @staticmethod
    def compress(path, how):
        program, end = {"zlib": ("gzip", ".gz"), "zstd": ("zstd", ".zst"), "xz": ("xz", ".xz")}[how]
        subprocess.run([program, "-q", "-f", path], check=True)
        os.replace(path + end, path)

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
    def __init__(self, tools, seed, twice=0.0):
        """twice: how many of the states are cut once more while they are recovered"""
        self.tools, self.seed, self.count, self.states, self.twice, self.second = tools, seed, 0, 0, twice, 0
        self.edit_again, self.apart = None, False

    def prepare(self, sc):
        root = os.path.realpath(tempfile.mkdtemp(dir=self.tools.work, prefix="dev-"))
        sc.make(root, self.tools)
        keep = root + ".before"
        self.copy(root, keep)
        before = sc.content(root)
        ops = self.tools.record("swinstall", root, "-f", f"{root}/device.cfg", sc.bundle)
        after = sc.content(root)
        fault = sc.judge(root, before, after) or sc.judge_marks(root)
        if not fault and after == before:
            fault = "nothing was installed"
        if fault:
            raise SystemExit(f"{sc.name}: wrong without any cut: {fault}")
        self.clear(root)
        self.copy(keep, root)
        self.check_model(sc, root, ops, after)
        return root, ops, before, after

    def check_model(self, sc, root, ops, after):
        """the recording, played to its end and kept whole, is what the install left"""
        disk = simdisk.Disk(root, self.apart)
        for op in ops:
            disk.play(op)
        whole = root + ".whole"
        os.mkdir(whole)
        disk.lay(disk.cut("all", None), whole)
        now = sc.content(whole)
        if {k: v for k, v in now.items() if k in after} != after:
            raise SystemExit(f"{sc.name}: the simulated disk does not follow the real one: "
                             f"{differences(now, after)}: {differences(now.get('tree', {}), after.get('tree', {}))}")
        shutil.rmtree(whole)

    @staticmethod
    def copy(src, dst):
        """names, links, owners and attributes as they are"""
        os.makedirs(dst, exist_ok=True)
        subprocess.run(["cp", "-a", "--", src + "/.", dst], check=True)

    @staticmethod
    def clear(root):
        for n in os.listdir(root):
            p = os.path.join(root, n)
            shutil.rmtree(p) if os.path.isdir(p) else os.unlink(p)

    def sweep(self, sc, cuts, edit=None, stop=False):
        """returns the faults found: {why: how often}"""
        root, ops, before, after = self.prepare(sc)
        whole, ops = ops, edit(ops) if edit else ops
        same = next((i for i, (x, y) in enumerate(zip(whole, ops)) if x is not y), 0)  # before it a mutant is none yet
        disk = simdisk.Disk(root, self.apart)
        points = 1 + sum(o.kind != "seek" for o in ops)
        rounds = max(1, cuts // (points * 5))
        faults, seen = collections.Counter(), set()
        for k in range(len(ops) + 1):
            if k:
                disk.play(ops[k - 1])
            if k < same or (k and ops[k - 1].kind == "seek"):
                continue
            for how in ["all", "none"] + ["torn", "random", "random", "random"] * rounds:
                rng = simdisk.rng_of(self.seed, sc.name, k, self.count)
                state = disk.cut(how, rng)
                self.count += 1
                if not self.is_new(state, seen):
                    continue
                why = self.one(sc, state, root, before, after, rng)
                if why:
                    faults[why] += 1
                    if faults[why] == 1:
                        print(f"  {sc.name}: cut after {k} of {len(ops)} ({ops[k - 1] if k else 'nothing'}), {how}: {why}")
                    if stop:
                        return faults, len(seen), points
        shutil.rmtree(root)
        return faults, len(seen), points

    @staticmethod
    def is_new(state, seen):
        mark = hash(tuple((path, number, data, meta) for path, _, number, data, meta in state))
        if mark in seen:
            return False
        seen.add(mark)
        return True

    def one(self, sc, state, root, before, after, rng, again=False):
        self.states += 1
        self.clear(root)
        simdisk.Disk.lay(state, root)
        if not again and rng.random() < self.twice:
            why = self.cut_again(sc, state, root, before, after, rng)
            if why:
                return why
            self.clear(root)
            simdisk.Disk.lay(state, root)
        rc, text = self.tools.run("swctl", "-f", f"{root}/device.cfg", "recover")
        if rc:
            return f"swctl recover: status {rc}: " + re.sub(r"/\S*dev-\S*?/", "…/", " / ".join(text.strip().split("\n")[-3:]))
        why = sc.judge(root, before, after) or sc.judge_marks(root)
        if not why and rng.random() < 0.04 and not isinstance(sc.env, EnvTable):  # it would swap again
            waits = sc.must_wait(root)
            rc, text = self.tools.run("swinstall", "-f", f"{root}/device.cfg", sc.bundle)
            if waits:
                return None if rc and "E_SLOT_PENDING" in text else "a second install before the reboot was not refused"
            why = f"a second try fails: {text[-300:]}" if rc else None
            if not why and (sc.env.load(root) or {"app": "2.0"}).get("app") != "2.0":
                why = "a second try does not install"
        return why

    def cut_again(self, sc, state, root, before, after, rng):
        """the power is cut while recovery is at work on what a first cut left"""
        disk = simdisk.Disk(root, self.apart)
        rc, ops, text = simdisk.record([f"{self.tools.bin}/swctl", "-f", f"{root}/device.cfg", "recover"], root)
        if rc:
            return f"swctl recover: status {rc}: " + text[-200:]
        seen = set()
        for op in self.edit_again(ops) if self.edit_again else ops:
            disk.play(op)
            for how in ("all", "none", "random") if op.kind != "seek" else ():
                left = disk.cut(how, rng)
                self.count += 1
                if not self.is_new(left, seen):
                    continue
                self.second += 1
                why = self.one(sc, left, root, before, after, rng, again=True)
                if why:
                    return f"cut again in recovery ({op}): {why}"
        return None


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--bin", default="build")
    p.add_argument("--cuts", type=int, default=20000)
    p.add_argument("--seed", default="1")
    p.add_argument("--twice", type=float, default=0.01, help="part of the states that are cut again while they are recovered")
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
            Scenario("second install, an environment of several variables", EnvUboot(), second=True, shape="wide"),
            Scenario("slots without variables, the bundle's own switch", EnvFile(), shape="none"),
            Scenario("names of partitions", EnvTable(), shape="none"),
            Scenario("names of partitions and boot variables", EnvTable(variables=True), files=1, shape="none"),
            Scenario("image, a file and a script", EnvFile(), files=1, script="plain"),
            Scenario("archive into a live folder", EnvFile(), image=False, archive=Archive()),
            Scenario("image, archive with attributes, a file beside it", EnvUboot(), files=1, archive=Archive(preserve=True, beside=True)),
            Scenario("archive into a folder that is made", EnvGrub(), image=False, archive=Archive("made/deep/er")),
            Scenario("archive and two files, no boot loader", EnvNone(), image=False, files=2, archive=Archive(), shape="none"),
            Scenario("image and a script that leaves marks", EnvFile(), script="marks"),
            Scenario("image by a handler in Lua", EnvFile(), code=True),
            Scenario("image into the third slot, which waits for its reboot", EnvFile(), slots="abc"),
            Scenario("image in two entries, one of the version that runs", EnvFile(), halves=True),
            Scenario("image and a partition table", EnvFile(), disk=True),
            Scenario("image as a patch", EnvFile(), patch=True),
        ]
        chosen = [s for s in scenarios if not a.only or a.only in s.name]
        sweep = Sweep(tools, a.seed, a.twice)
        for sc, sweep.apart in [(s, x) for s in chosen for x in (False, True)] if not a.mutant else []:
            faults, distinct, points = sweep.sweep(sc, a.cuts // len(chosen) // 2)
            ok = not faults
            passed, failed = passed + ok, failed + (not ok)
            print(f"{'ok    ' if ok else 'FAILED'} {sc.name}{', moves in two parts' if sweep.apart else ''}: {points} points, {distinct} distinct states"
                  + ("" if ok else f", {sum(faults.values())} bad"))
        sweep.apart = False
        for name, edit, again, where in mutants():
            if (a.mutant and a.mutant not in name) or (a.only and not a.mutant):
                continue
            caught = False
            for sc in [s for w in where for s in scenarios if s.name.startswith(w)]:
                sweep.twice, sweep.edit_again = (0.1, again) if again else (0, None)
                caught = caught or bool(sweep.sweep(sc, 6000, edit, stop=True)[0])
            passed, failed = passed + caught, failed + (not caught)
            print(f"{'ok    ' if caught else 'FAILED'} mutant {name}: {'caught' if caught else 'NOT caught: the harness is blind to it'}")
        print(f"{sweep.count} simulated power cuts, {sweep.states} different states recovered, {sweep.second} of them after a second cut, seed {a.seed}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
