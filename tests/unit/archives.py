#!/usr/bin/env python3
"""Archives for tests, on standard output: archives.py NAME [NUMBER]."""
import io
import sys
import tarfile


def entry(name, kind=tarfile.REGTYPE, data=b"", **more):
    t = tarfile.TarInfo(name)
    t.type, t.size, t.mtime = kind, len(data), 1000000000
    for k, v in more.items():
        setattr(t, k, v)
    return t, data


DIR, SYM, LNK = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
# T45: each leads out in its own way, or looks like it
EVIL = {
    "dotdot": [entry("../evil", data=b"x")],
    "dotdot-deep": [entry("a/b/../../../evil", data=b"x")],
    "dotdot-end": [entry("a/..", DIR)],
    "dotdot-alone": [entry("..", DIR)],
    "dotdot-dot": [entry("./../evil", data=b"x")],
    "absolute": [entry("/etc/evil", data=b"x")],
    "absolute-double": [entry("//etc/evil", data=b"x")],
    "absolute-dir": [entry("/", DIR)],
    "absolute-dots": [entry("/../evil", data=b"x")],
    "empty-name": [entry("", data=b"x")],
    "hardlink-absolute": [entry("h", LNK, linkname="/etc/passwd")],
    "hardlink-dotdot": [entry("h", LNK, linkname="../../etc/passwd")],
    "hardlink-dot": [entry("h", LNK, linkname=".")],
    "hardlink-deep": [entry("a/h", LNK, linkname="a/../../etc/passwd")],
    "long-part": [entry("x" * 256, data=b"x")],
    "long-path": [entry("/".join(["y" * 200] * 30), data=b"x")],
    "fifo-absolute": [entry("/tmp/fifo", tarfile.FIFOTYPE)],
    "node-dotdot": [entry("../null", tarfile.CHRTYPE, devmajor=1, devminor=3)],
    "symlink-absolute-name": [entry("/tmp/s", SYM, linkname="x")],
    "symlink-dotdot-name": [entry("../s", SYM, linkname="x")],
    "dir-dotdot": [entry("../d/", DIR)],
    "root-as-file": [entry("./", tarfile.REGTYPE, data=b"x")],
    "pax-path": [entry("x", data=b"x", pax_headers={"path": "../evil"})],
    "pax-linkpath": [entry("h", LNK, linkname="x", pax_headers={"linkpath": "/etc/shadow"})],
    "symlink-empty": [entry("s", SYM, linkname="")],
}
# names that the reader takes; what they do is the writer's to judge
TAKEN = {
    "symlink-out": [entry("s", SYM, linkname="/etc"), entry("s/evil", data=b"x")],
    "symlink-later": [entry("d", DIR), entry("d/f", data=b"x"), entry("d", SYM, linkname="/tmp")],
    "backslash": [entry("..\\evil", data=b"x"), entry("C:\\evil", data=b"x")],
    "twice": [entry("f", data=b"one"), entry("f", data=b"two")],
    "hardlink": [entry("f", data=b"one"), entry("h", LNK, linkname="./f")],
    "spellings": [entry("./", DIR), entry(".//a/./b//", DIR), entry("./a/b/./f", data=b"x")],
    "nodes": [entry("c", tarfile.CHRTYPE, devmajor=1, devminor=3), entry("b", tarfile.BLKTYPE, devmajor=8),
              entry("p", tarfile.FIFOTYPE)],
    "modes": [entry("suid", data=b"x", mode=0o6755, uid=12, gid=34)],
    "names": [entry("gr\u00fc\u00df \u4e16\u754c", data=b"x"), entry("raw \udcff\udcfe", data=b"x"), entry("a\nb", data=b"x")],
    "xattr": [entry("f", data=b"x", pax_headers={"SCHILY.xattr.user.a": "1",
                                                 "SCHILY.acl.access": "user::rw-,user:1000:r--,group::r--,mask::r--,other::---"})],
    "acl-name": [entry("f", data=b"x", pax_headers={"SCHILY.acl.access": "user::rw-,user:fred:r--,group::r--,mask::r--,other::---"})],
    "empty": [],
}


def write(entries, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, errors="surrogateescape") as t:
        for info, data in entries:
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def main():
    name = sys.argv[1]
    form = {"gnu": tarfile.GNU_FORMAT, "ustar": tarfile.USTAR_FORMAT}.get((sys.argv + [""])[2], tarfile.PAX_FORMAT)
    if name == "list":
        print("\n".join(EVIL))
        return
    if name == "large":  # the head of a file of 1 GiB
        t = tarfile.TarInfo("large")
        t.size = 1 << 30
        sys.stdout.buffer.write(t.tobuf())
        return
    if name == "many":
        n = int(sys.argv[2])
        entries = [entry(f"d{i // 100}/file-{i}", data=b"%d " % i * (i % 400)) for i in range(n)]
    else:
        entries = EVIL.get(name) or TAKEN[name]
    sys.stdout.buffer.write(write(entries, form))


main()
