"""An example of a receiver of answers, to run on a machine of the lab: `python receiver.py FOLDER`.

It needs Python alone. A file of answers comes by POST and goes into FOLDER, whole or not at all; none is ever replaced.
No address is kept or logged. Put it behind a web server that speaks https: this one does not.
"""

import argparse
import json
import os
import re
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LARGEST = 200_000  # bytes
NAMES = {"study": r"[0-9a-f]{16}", "rater": r"[0-9]{1,6}", "session": r"[0-9a-f]{16}"}  # all that may be in a file name


class Receiver(BaseHTTPRequestHandler):
    folder, origin, timeout = Path(), "*", 30  # timeout: seconds for a whole request to come

    def do_OPTIONS(self) -> None:
        self.reply(204, "")

    def do_POST(self) -> None:
        self.close_connection = True
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"[0-9]{1,9}", length):
            return self.reply(411, "say how long it is")
        if not 0 < int(length) <= LARGEST:
            return self.reply(413, f"empty, or more than {LARGEST} bytes")
        body = self.rfile.read(int(length))
        if (name := file_name(body)) is None or len(body) < int(length):
            return self.reply(400, "these are no answers of one rater to one study")
        if not write_once(self.folder / name, body):
            return self.reply(409, "other answers of this session are here")
        self.reply(200, "thank you")

    def reply(self, status: int, text: str) -> None:
        self.send_response_only(status)
        self.send_header("Access-Control-Allow-Origin", self.origin)
        self.send_header("Access-Control-Allow-Methods", "POST")
        self.send_header("Access-Control-Allow-Headers", "Content-Type")
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args) -> None:
        """Nothing: the log would hold addresses."""


def file_name(body: bytes) -> str | None:
    """Where the answers belong; None if their lines are not JSON, or not of one study, rater and session."""
    try:
        lines = [json.loads(line) for line in body.decode().splitlines()]
        (names,) = {tuple(line[key] for key in NAMES) for line in lines}
    except (ValueError, KeyError, TypeError, RecursionError):  # no JSON, no such key, no object, or too deep
        return None
    fits = all(isinstance(name, str) and re.fullmatch(NAMES[key], name) for key, name in zip(NAMES, names))
    return f"answers-{'-'.join(names)}.jsonl" if fits else None


def write_once(path: Path, body: bytes) -> bool:
    """Write a file whole, or not at all; False if another content is there."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".partial") as partial:
        partial.write(body)
        partial.flush()
        os.fsync(partial.fileno())
        try:
            os.link(partial.name, path)  # fails where a file is
        except FileExistsError:
            return path.read_bytes() == body
    return True


def serve(folder: Path, port: int, origin: str, host: str) -> ThreadingHTTPServer:
    """A receiver that is bound to its port; `serve_forever` starts it."""
    return ThreadingHTTPServer((host, port), type("Here", (Receiver,), {"folder": folder, "origin": origin}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the files of answers go; it must be there")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0: reachable from other machines")
    parser.add_argument("--origin", default="*", help="of the page, such as https://lab.example; *: any, files too")
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        parser.error(f"{arguments.folder}: no such folder; make it first")
    with serve(arguments.folder, arguments.port, arguments.origin, arguments.host) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
