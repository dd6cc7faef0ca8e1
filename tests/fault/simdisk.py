"""A disk with a volatile cache, played from the system calls of a real run.

record() runs a program under strace and keeps every call that changes files beneath a folder. Disk replays
them; cut() gives what a power cut at that moment may leave behind. The rules are those that no file system
breaks and that a hostile one uses to the full:
  - a write is durable only after fsync or fdatasync of that file (or syncfs); until then any subset of its
    512-byte sectors may have reached the medium, in any order;
  - a name (create, rename, exchange, unlink) is durable only after fsync of its folder; until then the folder keeps any
    prefix of its changes; each change is atomic;
  - fsync of a file says nothing about its name.
"""
import os
import random
import re
import subprocess

SECTOR = 512
CALLS = (
    "open,openat,openat2,creat,lseek,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,syncfs,sync,ftruncate,truncate,fallocate,"
    "rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,copy_file_range,sendfile"
)


def unquote(s):
    """a strace string, with its quotes, to bytes"""
    return s[1 : s.rindex('"')].encode().decode("unicode_escape").encode("latin-1")


def split_args(s):
    """the top-level arguments of a call"""
    out, depth, start, i, quoted = [], 0, 0, 0, False
    while i < len(s):
        c = s[i]
        if quoted:
            if c == "\\":
                i += 1
            elif c == '"':
                quoted = False
        elif c == '"':
            quoted = True
        elif c in "([{<":
            depth += 1
        elif c in ")]}>":
            depth -= 1
        elif c == "," and depth == 0:
            out.append(s[start:i].strip())
            start = i + 1
        i += 1
    if s[start:].strip():
        out.append(s[start:].strip())
    return out


LINE = re.compile(r"^(\d+)\s+(.*)$")
DONE = re.compile(r"^(\w+)\((.*)\)\s*= (-?\d+)(.*)$", re.S)
FDPATH = re.compile(r"^-?\w+<(.*)>$", re.S)


def hex_path(s):
    if "\\x" in s:
        return s.encode().decode("unicode_escape").encode("latin-1").decode()
    return s


class Op:
    """one change: kind, path(s), data"""

    def __init__(self, kind, path=None, other=None, off=0, data=b"", size=0, call=""):
        self.kind, self.path, self.other, self.off = kind, path, other, off
        self.data, self.size, self.call = data, size, call

    def __repr__(self):
        return f"{self.call}:{self.kind} {self.path} {self.other or ''} off={self.off} len={len(self.data)}"


class Trace:
    """strace lines to operations beneath root"""

    def __init__(self, root, cwd):
        self.root, self.cwd, self.ops, self.pending = root, cwd, [], {}
        self.offsets = {}

    def inside(self, path):
        return path is not None and (path == self.root or path.startswith(self.root + "/")) and "(deleted)" not in path and "/#" not in path

    def fd(self, arg):
        m = FDPATH.match(arg)
        return hex_path(m.group(1)) if m else None

    def at(self, dirarg, patharg):
        path = unquote(patharg).decode()
        if path.startswith("/"):
            return os.path.normpath(path)
        base = self.fd(dirarg) or self.cwd
        return os.path.normpath(os.path.join(base, path))

    def feed(self, line):
        m = LINE.match(line)
        if not m:
            return
        pid, rest = m.groups()
        if "<unfinished ...>" in rest:
            self.pending[pid] = rest.split("<unfinished ...>")[0]
            return
        r = re.match(r"^<\.\.\. \w+ resumed>(.*)$", rest, re.S)
        if r:
            rest = self.pending.pop(pid, "") + r.group(1)
        d = DONE.match(rest)
        if not d or int(d.group(3)) < 0:
            return
        self.call(pid, d.group(1), split_args(d.group(2)), int(d.group(3)), d.group(4))

    def add(self, kind, path, **kw):
        if self.inside(path) or self.inside(kw.get("other")):
            self.ops.append(Op(kind, path, **kw))

    def call(self, pid, name, a, rc, tail):
        if name in ("open", "creat", "openat", "openat2"):
            self.opened(pid, name, a, rc, tail)
        elif name == "pwrite64":
            self.add("write", self.fd(a[0]), off=int(a[3]), data=unquote(a[1])[:rc], call=name)
        elif name == "write":
            path = self.fd(a[0])
            if self.inside(path):
                self.add("append", path, data=unquote(a[1])[:rc], call=name, size=int(a[0].split("<")[0]))
        elif name in ("writev", "pwritev", "pwritev2", "copy_file_range", "sendfile"):
            dst = self.fd(a[2 if name == "copy_file_range" else 0])
            if self.inside(dst):
                raise SystemExit(f"simdisk: {name} on a tracked file is not modelled")
        elif name == "lseek":
            self.add("seek", self.fd(a[0]), off=int(a[0].split("<")[0]), size=rc, call=name)
        elif name in ("fsync", "fdatasync"):
            self.add("sync", self.fd(a[0]), call=name)
        elif name in ("sync", "syncfs"):
            self.add("syncall", self.root, call=name)
        elif name == "ftruncate":
            self.add("truncate", self.fd(a[0]), size=int(a[1]), call=name)
        elif name == "fallocate":
            if "PUNCH_HOLE" in a[1] or "ZERO_RANGE" in a[1]:
                self.add("write", self.fd(a[0]), off=int(a[2]), data=bytes(int(a[3])), call=name)
            elif "KEEP_SIZE" not in a[1]:
                self.add("grow", self.fd(a[0]), size=int(a[2]) + int(a[3]), call=name)
        else:
            self.names(name, a)

    def opened(self, pid, name, a, rc, tail):
        path = hex_path(re.search(r"<(.*)>", tail, re.S).group(1)) if "<" in tail else None
        flags = a[1] if name in ("open",) else ("O_CREAT|O_TRUNC" if name == "creat" else a[2])
        if not self.inside(path) or "O_TMPFILE" in flags:
            return
        if "O_CREAT" in flags:
            self.add("create", path, call=name)
        if "O_TRUNC" in flags:
            self.add("truncate", path, size=0, call=name)
        self.add("seek", path, size=-1 if "O_APPEND" in flags else 0, off=rc, call=name)

    def names(self, name, a):
        cwd = "AT_FDCWD"
        if name == "rename":
            self.add("rename", self.at(cwd, a[0]), other=self.at(cwd, a[1]), call=name)
        elif name in ("renameat", "renameat2"):
            kind = "exchange" if len(a) > 4 and "EXCHANGE" in a[4] else "rename"
            self.add(kind, self.at(a[0], a[1]), other=self.at(a[2], a[3]), call=name)
        elif name in ("unlink", "rmdir"):
            self.add("unlink", self.at(cwd, a[0]), call=name)
        elif name == "unlinkat":
            self.add("unlink", self.at(a[0], a[1]), call=name)
        elif name == "mkdir":
            self.add("mkdir", self.at(cwd, a[0]), call=name)
        elif name == "mkdirat":
            self.add("mkdir", self.at(a[0], a[1]), call=name)
        elif name == "link":
            self.add("link", self.at(cwd, a[0]), other=self.at(cwd, a[1]), call=name)
        elif name == "linkat":
            if "AT_EMPTY_PATH" in a[4] or "/proc/" in a[1]:
                raise SystemExit("simdisk: linking an unnamed file is not modelled")
            self.add("link", self.at(a[0], a[1]), other=self.at(a[2], a[3]), call=name)


def record(argv, root, cwd="/", env=None):
    """run argv under strace; returns (exit status, operations, output)"""
    log = root.rstrip("/") + ".strace"
    p = subprocess.run(
        ["strace", "-f", "-y", "-xx", "-s", "16777216", "-e", "trace=" + CALLS, "-e", "signal=none", "-o", log] + argv,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd, env=env, check=False)
    t = Trace(root, cwd)
    with open(log, encoding="latin-1") as f:
        for line in f:
            t.feed(line.rstrip("\n"))
    os.unlink(log)
    return p.returncode, t.ops, p.stdout.decode(errors="replace")


class File:
    def __init__(self, data=b"", mode=0o600):
        self.base = bytes(data)  # durable
        self.writes = []  # since the last sync: (off, data) or ('size', n)
        self.mode = mode
        self.now = bytearray(data)

    def write(self, off, data):
        if off + len(data) > len(self.now):
            self.now.extend(bytes(off + len(data) - len(self.now)))
        self.now[off : off + len(data)] = data
        self.writes.append((off, data))

    def resize(self, n):
        self.now = self.now[:n] + bytearray(max(0, n - len(self.now)))
        self.writes.append(("size", n))

    def sync(self):
        self.base, self.writes = bytes(self.now), []

    def after(self, keep):
        """durable content plus the kept parts of what was written since; keep(i, off, data) yields (off, data)"""
        d = bytearray(self.base)
        for i, (off, data) in enumerate(self.writes):
            for piece in keep(i, off, data):
                o, b = piece
                if o == "size":
                    d = d[:b] + bytearray(max(0, b - len(d)))
                    continue
                if o + len(b) > len(d):
                    d.extend(bytes(o + len(b) - len(d)))
                d[o : o + len(b)] = b
        return bytes(d)


class Disk:
    """files beneath a folder, by name now and by name on the medium"""

    def __init__(self, root):
        self.root, self.files, self.names, self.changes, self.dirs = root, [], {}, [], {}
        self.offset = {}
        for base, dirs, files in os.walk(root):
            for d in dirs:
                p = os.path.join(base, d)
                self.dirs[p] = os.stat(p).st_mode & 0o7777
                self.names[p] = -1
            for f in files:
                p = os.path.join(base, f)
                with open(p, "rb") as fh:
                    self.names[p] = self.new(fh.read(), os.stat(p).st_mode & 0o7777)
        self.durable = dict(self.names)

    def new(self, data=b"", mode=0o600):
        self.files.append(File(data, mode))
        return len(self.files) - 1

    def change(self, folders, edit):
        """a change of names: applied now, on the medium only when every folder concerned keeps it"""
        self.changes.append((frozenset(folders), edit))
        self.apply(self.names, edit)

    @staticmethod
    def apply(names, edit):
        """set or drop names; a folder that moves takes what is in it along"""
        moved = {}
        for src, dst in edit.get("move", []):
            for n in [n for n in names if n == src or n.startswith(src + "/")]:
                moved[dst + n[len(src) :]] = names.pop(n)
        for dst in list(moved):
            for n in [n for n in names if n == dst or n.startswith(dst + "/")]:
                names.pop(n)
        names.update(moved)
        for n, v in edit.get("set", {}).items():
            names[n] = v
        for n in edit.get("drop", []):
            names.pop(n, None)

    def play(self, op):
        k, p, d = op.kind, op.path, os.path.dirname
        f = self.files[self.names[p]] if p in self.names and self.names[p] >= 0 else None
        if k == "create" and p not in self.names:
            self.change([d(p)], {"set": {p: self.new()}})
        elif k == "mkdir":
            self.dirs[p] = 0o700
            self.change([d(p)], {"set": {p: -1}})
        elif k == "write" and f:
            f.write(op.off, op.data)
        elif k == "seek":
            self.offset[(op.off, p)] = op.size
        elif k == "append" and f:
            o = self.offset.get((op.size, p), 0)
            o = len(f.now) if o < 0 else o
            f.write(o, op.data)
            if self.offset.get((op.size, p), 0) >= 0:
                self.offset[(op.size, p)] = o + len(op.data)
        elif k in ("truncate", "grow") and f:
            if not (k == "grow" and op.size <= len(f.now)) and op.size != len(f.now):
                f.resize(op.size)
        elif k == "rename":
            self.change([d(p), d(op.other)], {"move": [(p, op.other)]})
        elif k == "exchange":
            self.change([d(p), d(op.other)], {"move": [(p, op.other), (op.other, p)]} if f is None else
                        {"set": {p: self.names[op.other], op.other: self.names[p]}})
        elif k == "link":
            self.change([d(op.other)], {"set": {op.other: self.names[p]}})
        elif k == "unlink":
            self.change([d(p)], {"drop": [p]})
        elif k == "sync":
            self.sync(p, f)
        elif k == "syncall":
            for x in self.files:
                x.sync()
            self.durable, self.changes = dict(self.names), []

    def sync(self, p, f):
        if f:
            f.sync()
            return
        left = []
        for folders, edit in self.changes:  # a folder's sync makes its changes durable, and what they stand on
            if p in folders:
                for _, e in left:
                    self.apply(self.durable, e)
                left = []
                self.apply(self.durable, edit)
            else:
                left.append((folders, edit))
        self.changes = left

    def cut(self, how, rng):
        """(names, {file: content}) as a cut may leave them. how: all, none, torn, random"""
        names = dict(self.durable)
        folders = sorted({x for fs, _ in self.changes for x in fs})
        n = {x: sum(x in fs for fs, _ in self.changes) for x in folders}
        limit = {x: n[x] if how in ("all", "torn") else 0 if how == "none" else rng.randint(0, n[x]) for x in folders}
        seen = dict.fromkeys(folders, 0)
        for fs, edit in self.changes:
            ok = all(seen[x] < limit[x] for x in fs)
            for x in fs:
                seen[x] += 1
                if not ok:
                    limit[x] = min(limit[x], seen[x] - 1)
            if ok:
                self.apply(names, edit)
        last = [(i, len(f.writes) - 1) for i, f in enumerate(self.files) if f.writes]
        torn = rng.choice(last) if how == "torn" and last else None

        def keep(index):
            def pick(i, off, data):
                if how == "none":
                    return []
                if off == "size":
                    return [(off, data)] if how != "random" or rng.random() < 0.5 else []
                if how == "all" or (how == "torn" and torn != (index, i)):
                    return [(off, data)]
                edges = [0] + list(range(SECTOR - off % SECTOR, len(data), SECTOR)) + [len(data)]
                parts = [(off + a, data[a:b]) for a, b in zip(edges, edges[1:]) if a < b]
                if how == "torn":
                    return parts[: rng.randint(0, len(parts))]
                if rng.random() < 0.3:
                    return parts if rng.random() < 0.5 else []
                return [x for x in parts if rng.random() < 0.5]

            return pick

        return names, {i: f.after(keep(i)) for i, f in enumerate(self.files)}

    def lay(self, state, where):
        """write a cut's state beneath another folder"""
        names, content = state
        for p in sorted(names, key=lambda x: x.count("/")):
            dst = where + p[len(self.root) :]
            if not os.path.isdir(os.path.dirname(dst)):
                continue  # its folder did not survive
            if names[p] < 0:
                os.mkdir(dst, 0o700)
                os.chmod(dst, self.dirs.get(p, 0o700))
            else:
                fd = os.open(dst, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                os.write(fd, content[names[p]])
                os.fchmod(fd, self.files[names[p]].mode)
                os.close(fd)


def rng_of(*seed):
    return random.Random("/".join(map(str, seed)))
