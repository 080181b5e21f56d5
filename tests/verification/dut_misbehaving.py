"""A program behind cmd: that does requantize rightly unless the id of the case names a misdeed."""

import json
import os
import signal
import struct
import sys
import time

out = sys.stdout.buffer


def frame(header, data=b"", told=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<4sIQ", b"QGRU", len(text), len(data) if told is None else told) + text + data


def array(dtype="int32", shape=(5,), offset=0, name="q"):
    return {"name": name, "dtype": dtype, "shape": list(shape), "offset": offset}


def answer(header, data):
    id = header["id"]
    if id == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if id == "hang":
        time.sleep(600)
    if id == "left-behind":
        if os.fork() == 0:
            time.sleep(600)
        os._exit(5)
    if id == "leave":
        sys.exit(0)
    if id == "fail":
        print("no license left", file=sys.stderr)
        sys.exit(4)
    if id == "print":
        return b"Simulation of requantize starts\n"
    M, s = header["constants"]["M"], header["constants"]["s"]
    q = struct.pack("<5i", *(min(max((v * M + (1 << s >> 1)) >> s, -128), 127) for v in struct.unpack_from("<5i", data)))
    good = {"status": "ok", "arrays": [array()]}
    if id == "cut":
        out.write(frame(good, q)[:-4])
        out.flush()
        sys.exit(0)
    return {
        "more": frame(good, q) + b"\0\0\0",
        "short": frame(good, q[:-4]),
        "missing": frame({"status": "ok", "arrays": []}),
        "wide": frame({"status": "ok", "arrays": [array("int64")]}, q + q),
        "unknown-type": frame({"status": "ok", "arrays": [array("complex64")]}, q),
        "shape": frame({"status": "ok", "arrays": [array(shape=(5, 1))]}, q),
        "negative": frame({"status": "ok", "arrays": [array(shape=(-5,))]}, q),
        "twice": frame({"status": "ok", "arrays": [array(), array()]}, q),
        "list": frame([1, 2], q),
        "huge": frame(good, q, told=2**60),
        "status": frame({"status": "fine", "arrays": [array()]}, q),
        "deep": frame({"status": "ok", "arrays": [array(offset=1000)]}, q),
        "nested": frame(b'{"status":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
        "lengths": frame({"status": "ok", "arrays": [array(shape=(2**32, 2**32, 0))]}),
        "problem": frame({"status": "internal", "problem": ["queue"], "message": "queue full"}),
        "stray": frame({"status": "internal", "message": "queue full", "arrays": []}),
    }.get(id, frame(good, q))


while True:
    prefix = sys.stdin.buffer.read(16)
    if len(prefix) < 16:
        break
    _, header_length, data_length = struct.unpack("<4sIQ", prefix)
    request = json.loads(sys.stdin.buffer.read(header_length))
    if request.get("id") in ("early", "unread"):
        out.write(frame({"status": "unsupported", "message": "so many rows", "arrays": []}))
        out.flush()
        time.sleep(600 * (request["id"] == "unread"))
        sys.stdin.buffer.read(data_length)
        continue
    payload = sys.stdin.buffer.read(data_length)
    if request["kind"] == "hello":
        out.write(frame({"status": "ok", "capabilities": {"steps": ["requantize"]}}))
    else:
        out.write(answer(request, payload))
    out.flush()
    if request.get("id") == "late":  # the same answer once more, when nobody looks at it any longer
        time.sleep(0.3)
        out.write(answer(request, payload))
        out.flush()
