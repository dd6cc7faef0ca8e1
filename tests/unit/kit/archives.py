#!/usr/bin/env python3
"""Archives for tests, on standard output: archives.py NAME [FORM or NUMBER], or all of them: archives.py all,
or files of those that mean no good: archives.py hostile FOLDER."""
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


# ---- T48: what parsers of tar have stumbled over; made by hand, byte for byte ----

def head(name="f", size=b"00000000000\0", kind=b"0", magic=b"ustar\x0000", **more):
    """one block; more: fields by name as bytes, put in before the checksum"""
    at = {"mode": (100, 8), "uid": (108, 8), "gid": (116, 8), "mtime": (136, 12), "link": (157, 100), "devmajor": (329, 8),
          "prefix": (345, 155), "sparse": (386, 96), "extended": (482, 1), "realsize": (483, 12)}
    b = bytearray(512)
    if isinstance(size, int):
        size = b"%011o\0" % size
    for key, value in (("mode", b"0000644\0"), ("uid", b"0000000\0"), ("gid", b"0000000\0"), ("mtime", b"00000000000\0"), *more.items()):
        pos, room = at[key]
        b[pos:pos + len(value[:room])] = value[:room]
    b[0:len(name.encode()[:100])] = name.encode()[:100]
    b[124:124 + len(size)] = size
    b[156:157] = kind
    b[257:257 + len(magic)] = magic
    b[148:156] = b" " * 8
    b[148:156] = b"%06o\0 " % sum(b)
    return bytes(b)


def pad(data):
    return data + bytes(-len(data) % 512)


def pax(body, name="PaxHeaders/f", kind=b"x"):
    return head(name, len(body), kind) + pad(body)


def rec(key, value):
    """a record of a pax header, its length right"""
    n = len(key) + len(value) + 3
    n += len(str(n + len(str(n))))
    return b"%d %s=%s\n" % (n, key, value)


END = bytes(1024)
FILE = head("f", 1) + pad(b"x")
OLD_GNU = b"ustar  \0"
B256 = {"minus": b"\xff" * 12, "max": b"\x80\x00\x00\x00\x7f" + b"\xff" * 7, "wide": b"\xbf" + b"\xff" * 11}


def sparse_old(pairs, size=1, real=b"00000010000\0", extended=b"\0"):
    body = b"".join(b"%011o\0%011o\0" % p if isinstance(p[0], int) else p[0] + p[1] for p in pairs)
    return head("f", size, b"S", OLD_GNU, sparse=body, extended=extended, realsize=real) + pad(b"x" * size)


def sparse_pax(size, body, **more):
    keys = {"major": b"1", "minor": b"0", "name": b"f", "realsize": b"%d" % size, **more}
    return pax(b"".join(rec(b"GNU.sparse." + k.encode(), v) for k, v in keys.items())) + head("GNUSparseFile.0/f", len(body)) + pad(body)


BROKEN = {
    "sparse-overlap": sparse_old([(0, 1), (0, 1)], 2),
    "sparse-backwards": sparse_old([(4096, 1), (0, 1)], 2),
    "sparse-outside": sparse_old([(1 << 20, 1)]),
    "sparse-more-than-there-is": sparse_old([(0, 4096)]),
    "sparse-minus": sparse_old([(B256["minus"], B256["minus"])]),
    "sparse-wraps": sparse_old([(B256["max"], B256["max"])]),
    "sparse-garbage": sparse_old([(b"zzzzzzzzzzz\0", b"~~~~~~~~~~~\0")]),
    "sparse-real-minus": sparse_old([(0, 1)], real=B256["minus"]),
    "sparse-extension-missing": sparse_old([(0, 0)] * 4, 0, extended=b"\1"),
    "sparse-extensions-without-end": head("f", 0, b"S", OLD_GNU, extended=b"\1") + (bytes(504) + b"\1" + bytes(7)) * 4000,
    "sparse1-count-huge": sparse_pax(1, b"999999999999\n0\n1\n"),
    "sparse1-count-minus": sparse_pax(1, b"-1\n0\n1\n"),
    "sparse1-no-digits": sparse_pax(1, b"x\ny\nz\n"),
    "sparse1-no-line-end": sparse_pax(1, b"1" * 5000),
    "sparse1-wraps": sparse_pax(1, pad(b"1\n18446744073709551615\n2\n") + b"xx"),
    "sparse1-overlap": sparse_pax(9, pad(b"2\n0\n5\n1\n5\n") + b"x" * 10),
    "sparse1-empty": sparse_pax(1, b""),
    "sparse1-real-huge": sparse_pax(1 << 62, pad(b"1\n0\n1\n") + b"x"),
    "sparse01-odd": pax(rec(b"GNU.sparse.map", b"0,1,2") + rec(b"GNU.sparse.size", b"9")) + FILE,
    "sparse01-huge": pax(rec(b"GNU.sparse.map", b"99999999999999999999,1") + rec(b"GNU.sparse.size", b"9")) + FILE,
    "sparse01-commas": pax(rec(b"GNU.sparse.map", b"," * 9000)) + FILE,
    "sparse00-many": pax((rec(b"GNU.sparse.offset", b"1") + rec(b"GNU.sparse.numbytes", b"0")) * 9000) + FILE,
    "size-minus": head("f", B256["minus"]) + pad(b"x"),
    "size-max": head("f", B256["max"]) + pad(b"x"),
    "size-wide": head("f", B256["wide"]) + pad(b"x"),
    "size-garbage": head("f", b"zzzzzzzzzzz\0") + pad(b"x"),
    "size-octal-eight": head("f", b"88888888888\0") + pad(b"x"),
    "sum-wrong": FILE[:148] + b"0000000\0" + FILE[156:],
    "mode-garbage": head("f", 1, mode=b"\xff" * 8) + pad(b"x"),
    "uid-minus": head("f", 1, uid=b"\xff" * 8) + pad(b"x"),
    "mtime-minus": head("f", 1, mtime=B256["minus"]) + pad(b"x"),
    "mtime-max": head("f", 1, mtime=B256["max"]) + pad(b"x"),
    "device-minus": head("f", 0, b"3", devmajor=b"\xff" * 8),
    "pax-size-minus": pax(rec(b"size", b"-1")) + FILE,
    "pax-size-wraps": pax(rec(b"size", b"18446744073709551617")) + FILE,
    "pax-size-max": pax(rec(b"size", b"9223372036854775807")) + FILE,
    "pax-uid-huge": pax(rec(b"uid", b"99999999999999")) + FILE,
    "pax-mtime-huge": pax(rec(b"mtime", b"9" * 400 + b"." + b"9" * 400)) + FILE,
    "pax-mtime-no-number": pax(rec(b"mtime", b"nan")) + FILE,
    "pax-length-zero": pax(b"0 path=a\n") + FILE,
    "pax-length-beyond": pax(b"999999 path=a\n") + FILE,
    "pax-length-wraps": pax(b"18446744073709551626 path=a\n") + FILE,
    "pax-length-short": pax(b"5 path=a\n") + FILE,
    "pax-length-minus": pax(b"-9 path=a\n") + FILE,
    "pax-no-equals": pax(b"9 pathaa\n") + FILE,
    "pax-no-line-end": pax(b"10 path=aa") + FILE,
    "pax-empty": pax(b"") + FILE,
    "pax-nul-in-path": pax(rec(b"path", b"a\0/../../b")) + FILE,
    "pax-no-utf8": pax(rec(b"path", b"\xff\xfe\xfd")) + FILE,
    "pax-charset": pax(rec(b"hdrcharset", b"BINARY") + rec(b"path", b"\xff")) + FILE,
    "pax-claims-8-gib": head("PaxHeaders/f", 8589934591, b"x") + pad(b"x"),
    "pax-alone": pax(rec(b"path", b"a")),
    "pax-of-pax": pax(rec(b"path", b"a")) * 3000 + FILE,
    "global-many": pax(rec(b"path", b"a"), kind=b"g") * 3000 + FILE,
    "pax-path-long": pax(rec(b"path", b"a/" * 30000 + b"b")) + FILE,
    "pax-dotdot-deep": pax(rec(b"path", b"a/../" * 500 + b"../evil")) + FILE,
    "xattrs-many": pax(b"".join(rec(b"SCHILY.xattr.user.n%d" % i, b"v") for i in range(5000))) + FILE,
    "xattr-large": pax(rec(b"SCHILY.xattr.user.a", b"v" * (1 << 20))) + FILE,
    "xattr-base64": pax(rec(b"LIBARCHIVE.xattr.user%zz%", b"\xff=!=" * 50)) + FILE,
    "acl-garbage": pax(rec(b"SCHILY.acl.access", b"user:::::,,,\xff:rwx,mask" * 900)) + FILE,
    "acl-many": pax(rec(b"SCHILY.acl.access", b",".join(b"user:%d:rwx" % i for i in range(9000)))) + FILE,
    "longname-claims-1-gib": head("././@LongLink", 1 << 30, b"L", OLD_GNU) + pad(b"x"),
    "longname-many": (head("././@LongLink", 2, b"L", OLD_GNU) + pad(b"a\0")) * 3000 + FILE,
    "longname-no-nul": head("././@LongLink", 512, b"L", OLD_GNU) + b"/" * 512 + FILE,
    "longname-alone": head("././@LongLink", 2, b"L", OLD_GNU) + pad(b"a\0"),
    "longlink-of-a-file": head("././@LongLink", 2, b"K", OLD_GNU) + pad(b"a\0") + FILE,
    "dir-with-data": head("d/", 600, b"5") + pad(b"x" * 600) + FILE,
    "symlink-with-data": head("s", 600, b"2", link=b"t") + pad(b"x" * 600) + FILE,
    "hardlink-with-data": FILE + head("h", 600, b"1", link=b"f") + pad(b"x" * 600),
    "hardlink-to-itself": head("h", 0, b"1", link=b"h"),
    "name-empty": head("", 1) + pad(b"x"),
    "name-of-slashes": head("/" * 99, 1) + pad(b"x"),
    "prefix-dotdot": head("x", 1, prefix=b"../..") + pad(b"x"),
    "kind-unknown": head("f", 1, b"\xff") + pad(b"x"),
    "kind-volume": head("v", 0, b"V", OLD_GNU) + FILE,
    "kind-continued": head("f", 1, b"M", OLD_GNU) + pad(b"x"),
    "kind-dumpdir": head("d/", 4, b"D", OLD_GNU) + pad(b"Yf\0\0"),
    "kind-solaris": head("f", 4, b"X") + pad(b"xxxx") + FILE,
    "kind-acl": head("f", 1 << 20, b"A") + pad(b"1" * (1 << 20)) + FILE,
    "deep": pax(rec(b"path", b"/".join([b"d"] * 1500))) + head("f", 0),
    "links-in-a-circle": head("a", 0, b"2", link=b"b") + head("b", 0, b"2", link=b"a") + head("a/b/a/x", 1) + pad(b"x"),
    "link-to-itself": head("l", 0, b"2", link=b"l") + head("l/x", 1) + pad(b"x"),
    "folder-and-link-in-turn": (head("d/", 0, b"5") + head("d", 0, b"2", link=b"/etc") + head("d/evil", 1) + pad(b"x")) * 50,
    "ones": b"\xff" * 4096,
    "text": b"ustar\n" * 700,
}
BROKEN = {k: v + END for k, v in BROKEN.items()}


def one(name, more):
    form = {"gnu": tarfile.GNU_FORMAT, "ustar": tarfile.USTAR_FORMAT}.get(more, tarfile.PAX_FORMAT)
    if name == "large":  # the head of a file of 1 GiB
        t = tarfile.TarInfo("large")
        t.size = 1 << 30
        return t.tobuf()
    if name == "many":
        return write([entry(f"d{i // 100}/file-{i}", data=b"%d " % i * (i % 400)) for i in range(int(more))], form)
    if name == "big":
        return write([entry(f"d0/file-{i}", data=b"%d" % i * (1 << 18)) for i in range(6)], form)
    return BROKEN.get(name) or write(EVIL.get(name) or TAKEN[name], form)


def everything():
    """KIND NAME FORM LENGTH in a line each, then the bytes"""
    rows = [("evil", n, "-") for n in EVIL] + [("broken", n, "-") for n in BROKEN]
    rows += [("other", n, "-") for n in TAKEN] + [("other", n, f) for n in ("twice", "symlink-out", "names") for f in ("gnu", "ustar", "pax")
                                                  if (n, f) != ("names", "ustar")]
    rows += [("other", "many", n) for n in ("7", "30", "300")] + [("other", "large", "-"), ("other", "big", "-")]
    for kind, name, more in rows:
        data = one(name, more)
        yield f"{kind} {name} {more} {len(data)}\n".encode() + data


def main():
    if sys.argv[1] == "all":
        sys.stdout.buffer.writelines(everything())
    elif sys.argv[1] == "hostile":  # a file each
        for name in [*EVIL, *BROKEN]:
            with open(f"{sys.argv[2]}/{name}", "wb") as f:
                f.write(one(name, "-"))
    else:
        sys.stdout.buffer.write(one(sys.argv[1], (sys.argv + [""])[2]))


main()
