"""A disk with a volatile cache, played from the system calls of a real run.

record() runs a program under strace and keeps every call that changes files beneath a folder. Disk replays
them; cut() gives what a power cut at that moment may leave behind. The rules are those that no file system
breaks and that a hostile one uses to the full:
  - a write is durable only after fsync or fdatasync of that file (or syncfs); until then any subset of its
    512-byte sectors may have reached the medium, in any order;
  - a name (create, link, rename, exchange, unlink) is durable only after fsync of its folder; until then the folder keeps any
    prefix of its changes; each change is atomic, a move between two folders too, on file systems that keep a log;
  - on a disk made with apart=True such a move is two changes, one in each folder (POSIX promises no more, and FAT keeps no more): the new
    name may be durable while the old one is still there, and the old one gone while the new one is not. A folder never ends up under two
    names: that is what no check of a file system leaves;
  - fsync of a file or folder says nothing about its own name, and fsync of a folder nothing about the folders in it;
  - mode, owner and attributes are like content: any subset of what was set since the last fsync.
"""
import os
import random
import re
import subprocess

SECTOR = 512
CALLS = (
    "open,openat,openat2,creat,lseek,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,syncfs,sync,ftruncate,truncate,fallocate,"
    "rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,copy_file_range,sendfile,symlink,symlinkat,mknod,mknodat,"
    "umask,chmod,fchmod,fchmodat,chown,fchown,lchown,fchownat,setxattr,lsetxattr,fsetxattr,removexattr,lremovexattr,fremovexattr"
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
        self.open_now = {}  # by number, as last opened: for paths through /proc/self/fd
        self.umask = os.umask(0)
        os.umask(self.umask)

    def inside(self, path):
        return path is not None and (path == self.root or path.startswith(self.root + "/")) and "(deleted)" not in path and "/#" not in path

    def fd(self, arg):
        m = FDPATH.match(arg)
        return hex_path(m.group(1)) if m else None

    def at(self, dirarg, patharg):
        path = unquote(patharg).decode()
        through = re.match(r"^/proc/self/fd/(\d+)(/.*|)$", path)
        if through:
            return os.path.normpath(self.open_now.get(int(through.group(1)), "/?") + through.group(2))
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
        elif name == "umask":
            self.umask = int(a[0], 8)
        elif re.search("chmod|chown|xattr", name):
            self.nature(name, a)
        else:
            self.names(name, a)

    def mode(self, octal):
        return int(octal, 8) & ~self.umask

    def nature(self, name, a):
        """mode, owner or attribute of one file"""
        cwd = "AT_FDCWD"
        if name.startswith("f") and not name.endswith("at"):
            path, a = self.fd(a[0]), a[1:]
        elif name.endswith("at"):
            path, a = self.at(a[0], a[1]), a[2:]
        else:
            path, a = self.at(cwd, a[0]), a[1:]
        if "chmod" in name:
            what = ("mode", int(a[0], 8))
        elif "chown" in name:
            what = ("owner", (int(a[0]), int(a[1])))
        else:
            what = ("x:" + unquote(a[0]).decode(), None if "remove" in name else unquote(a[1]))
        self.add("meta", path, data=what, call=name)

    def opened(self, pid, name, a, rc, tail):
        path = hex_path(re.search(r"<(.*)>", tail, re.S).group(1)) if "<" in tail else None
        flags = a[1] if name in ("open",) else ("O_CREAT|O_TRUNC" if name == "creat" else a[2])
        self.open_now[rc] = path
        if not self.inside(path) or "O_TMPFILE" in flags:
            return
        if "O_CREAT" in flags:
            self.add("create", path, call=name, size=self.mode(a[-1]))
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
            self.add("mkdir", self.at(cwd, a[0]), call=name, size=self.mode(a[1]))
        elif name == "mkdirat":
            self.add("mkdir", self.at(a[0], a[1]), call=name, size=self.mode(a[2]))
        elif name == "symlink":
            self.add("symlink", self.at(cwd, a[1]), call=name, data=unquote(a[0]))
        elif name == "symlinkat":
            self.add("symlink", self.at(a[1], a[2]), call=name, data=unquote(a[0]))
        elif name in ("mknod", "mknodat"):
            if self.inside(self.at(cwd if name == "mknod" else a[0], a[-3 if "S_IF" in a[-2] else -2])):
                raise SystemExit("simdisk: nodes are not modelled")
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


class Node:
    """a file, a folder or a link: what the medium holds of it, and what was done since its last sync"""

    def __init__(self, kind, mode, data=b"", meta=None):
        self.kind = kind  # f, d, l
        self.meta = {"mode": mode, **(meta or {})}
        self.base, self.base_meta = bytes(data), dict(self.meta)  # durable
        self.writes = []  # since the last sync: (off, data), ('size', n) or ('meta', (key, value))
        self.now = bytearray(data)
        self.names, self.kept = {}, {}  # of a folder: name -> Node, now and durable

    def write(self, off, data):
        if off + len(data) > len(self.now):
            self.now.extend(bytes(off + len(data) - len(self.now)))
        self.now[off : off + len(data)] = data
        self.writes.append((off, data))

    def resize(self, n):
        self.now = self.now[:n] + bytearray(max(0, n - len(self.now)))
        self.writes.append(("size", n))

    def describe(self, key, value):
        self.put(self.meta, key, value)
        self.writes.append(("meta", (key, value)))

    @staticmethod
    def put(meta, key, value):
        if value is None:
            meta.pop(key, None)
        else:
            meta[key] = value

    def sync(self):
        self.base, self.base_meta, self.writes = bytes(self.now), dict(self.meta), []

    def after(self, keep):
        """durable content and nature plus the kept parts of what was done since; keep(i, off, data) yields (off, data)"""
        if not self.writes:
            return self.base, self.base_meta
        d, meta = bytearray(self.base), dict(self.base_meta)
        for i, (off, data) in enumerate(self.writes):
            for o, b in keep(i, off, data):
                if o == "size":
                    d = d[:b] + bytearray(max(0, b - len(d)))
                elif o == "meta":
                    self.put(meta, *b)
                else:
                    if o + len(b) > len(d):
                        d.extend(bytes(o + len(b) - len(d)))
                    d[o : o + len(b)] = b
        return bytes(d), meta


def attributes_of(path):
    """those that an install sets; none where the file system has none"""
    try:
        return {n: os.getxattr(path, n) for n in os.listxattr(path) if n.startswith(("user.", "system.posix_acl"))}
    except OSError:
        return {}


def nature_of(path):
    """what a copy must have, beside mode and content"""
    st = os.lstat(path)
    out = {"mode": st.st_mode & 0o7777, "owner": (st.st_uid, st.st_gid)}
    if not os.path.islink(path):
        out.update(("x:" + name, value) for name, value in attributes_of(path).items())
    return out


class Disk:
    """a folder and all that is in it, as it is now and as it is on the medium"""

    def __init__(self, root, apart=False):
        self.root, self.nodes, self.changes, self.offset, self.apart = root, [], [], {}, apart
        self.top = self.take(root, {})
        for n in self.nodes:
            n.kept = dict(n.names)

    def take(self, path, seen):
        st = os.lstat(path)
        key = (st.st_dev, st.st_ino)
        if key in seen:
            return seen[key]
        data, kind = b"", "f"
        if os.path.islink(path):
            kind, data = "l", os.readlink(path).encode()
        elif os.path.isdir(path):
            kind = "d"
        else:
            with open(path, "rb") as fh:
                data = fh.read()
        node = seen[key] = self.new(kind, 0, data, nature_of(path))
        if kind == "d":
            node.names = {n: self.take(os.path.join(path, n), seen) for n in os.listdir(path)}
        return node

    def new(self, kind, mode, data=b"", meta=None):
        self.nodes.append(Node(kind, mode, data, meta or {"mode": mode, "owner": (os.geteuid(), os.getegid())}))
        return self.nodes[-1]

    def at(self, path):
        """the node of a path as things are now; no link is followed"""
        node = self.top
        for part in path[len(self.root) :].split("/"):
            node = node.names.get(part) if part and node else node
        return node

    def change(self, edit):
        """names of folders, [(folder, name, node or None)]: done now; on the medium as one, and in the order of each folder"""
        folders = list(dict.fromkeys(d for d, _, _ in edit)) if self.apart else [None]
        # the new name first, as a kernel does
        self.changes += [[x for x in edit if only in (None, x[0])] for only in reversed(folders)]
        for folder, name, node in edit:
            self.put(folder.names, name, node)

    @staticmethod
    def put(names, name, node):
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node

    def spot(self, path):
        return self.at(os.path.dirname(path)), os.path.basename(path)

    def play(self, op):
        k, p = op.kind, op.path
        f = self.at(p) if p else None
        if k == "syncall":
            self.syncall()
        elif k in ("create", "mkdir", "symlink"):
            if f is None:
                d, n = self.spot(p)
                kind = {"create": "f", "mkdir": "d", "symlink": "l"}[k]
                if d:
                    self.change([(d, n, self.new(kind, 0o777 if kind == "l" else op.size, op.data))])
        elif k == "seek":
            self.offset[(op.off, p)] = op.size
        elif k in ("rename", "exchange", "link"):
            self.move(op, f)
        elif f is None:
            return
        elif k == "write":
            f.write(op.off, op.data)
        elif k == "append":
            o = self.offset.get((op.size, p), -1)
            f.write(len(f.now) if o < 0 else o, op.data)
            if o >= 0:
                self.offset[(op.size, p)] = o + len(op.data)
        elif k in ("truncate", "grow"):
            if not (k == "grow" and op.size <= len(f.now)) and op.size != len(f.now):
                f.resize(op.size)
        elif k == "meta":
            f.describe(*op.data)
        elif k == "unlink":
            self.change([(*self.spot(p), None)])
        elif k == "sync":
            self.sync(f)

    def move(self, op, f):
        (d, n), (to, m) = self.spot(op.path), self.spot(op.other)
        if not f or not to:
            return
        if op.kind == "link":
            self.change([(to, m, f)])
        elif op.kind == "exchange":
            self.change([(d, n, to.names.get(m)), (to, m, f)])
        elif to.names.get(m) is not f:  # two names of one file: rename does nothing
            self.change([(d, n, None), (to, m, f)])

    def syncall(self):
        for x in self.nodes:
            x.sync()
            x.kept = dict(x.names)
        self.changes = []

    def sync(self, f):
        """of a folder: its names and, with a move, the names on the other side and what came before them there; nothing else"""
        f.sync()
        wanted, due = {f}, []
        for edit in reversed(self.changes):
            if any(d in wanted for d, _, _ in edit):
                wanted.update(d for d, _, _ in edit)
                due.append(edit)
        if not due:
            return
        for edit in reversed(due):
            self.keep(edit, lambda d: d.kept)
        due = {id(x) for x in due}
        self.changes = [x for x in self.changes if id(x) not in due]

    @classmethod
    def keep(cls, edit, names):
        for folder, name, node in edit:
            cls.put(names(folder), name, node)

    def survivors(self, how, rng):
        """the names of each folder after a cut: a beginning of its changes"""
        out = {}
        folders = {}
        for edit in self.changes:
            for d in {id(d): d for d, _, _ in edit}.values():
                folders[d] = folders.get(d, 0) + 1
        limit = {d: n if how in ("all", "torn") else 0 if how == "none" else rng.randint(0, n) for d, n in folders.items()}
        seen = dict.fromkeys(folders, 0)

        def names(d):
            return out.setdefault(d, dict(d.kept))

        for edit in self.changes:
            concerned = {d for d, _, _ in edit}
            ok = all(seen[d] < limit[d] for d in concerned)
            for d in concerned:
                seen[d] += 1
                if not ok:
                    limit[d] = min(limit[d], seen[d] - 1)
            if ok:
                self.keep(edit, names)
        return out

    def cut(self, how, rng):
        """what a cut may leave: [(path, kind, number of the node, content, nature)], folders first. how: all, none, torn, random"""
        names = self.survivors(how, rng)
        last = [(i, len(f.writes) - 1) for i, f in enumerate(self.nodes) if f.writes]
        torn = rng.choice(last) if how == "torn" and last else None
        number = {n: i for i, n in enumerate(self.nodes)}
        after = {}

        def content(node):
            if node not in after:
                after[node] = node.after(keeper(how, rng, torn, number[node]))
            return after[node]

        out, todo, seen = [], [("", self.top)], set()
        while todo:
            path, node = todo.pop(rng.randrange(len(todo)) if self.apart and rng else -1)
            if node.kind == "d" and node in seen:
                continue
            seen.add(node)
            data, meta = content(node)
            out.append((path, node.kind, number[node], data, tuple(sorted(meta.items()))))
            if node.kind == "d":
                todo += [(path + "/" + n, x) for n, x in sorted(names.get(node, node.kept).items())]
        return out

    @staticmethod
    def lay(state, where):
        """write a cut's state beneath another folder, which is there and empty"""
        made = {}
        for path, kind, number, data, meta in state:
            dst = where + path
            if kind == "d":
                if path:
                    os.mkdir(dst, 0o700)
            elif number in made:
                os.link(made[number], dst, follow_symlinks=False)
                continue
            elif kind == "l":
                os.symlink(data.decode(), dst)
            else:
                fd = os.open(dst, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                os.write(fd, data)
                os.close(fd)
            made[number] = dst
            dress(dst, kind, dict(meta))


def dress(dst, kind, meta):
    if meta["owner"] != (os.geteuid(), os.getegid()):
        os.lchown(dst, *meta["owner"])
    if kind != "l":
        os.chmod(dst, meta["mode"])
        for key in meta:
            if key.startswith("x:"):
                os.setxattr(dst, key[2:], meta[key])


def keeper(how, rng, torn, index):
    """which parts of what was not flushed are kept"""

    def pick(i, off, data):
        if how == "none":
            return []
        if off in ("size", "meta"):
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


def rng_of(*seed):
    return random.Random("/".join(map(str, seed)))
