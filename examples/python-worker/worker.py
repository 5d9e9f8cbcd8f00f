"""A worker in Python, with nothing but the standard library: it offers the capability `word-stats`.

    python3 worker.py [http://127.0.0.1:8787]

EVENTSPINE_TOKEN is sent as a bearer token where it is set. Stop it with Ctrl-C or SIGTERM: what it works on is finished
and handed in first. To offer work of your own, change `HANDLERS` and nothing else.
"""
import collections
import json
import os
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request


def word_stats(given, task):
    """What the capability does. `task['idempotencyKey']` is the same for all attempts."""
    time.sleep(given.get("seconds", 0))
    words = given["text"].lower().split()
    return {"words": len(words), "top": collections.Counter(words).most_common(3), "attempt": task["attempt"]}


HANDLERS = {"word-stats": word_stats}
SLOTS = 4
SERVER = (sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8787").rstrip("/")
ME = {
    "worker": f"python-{socket.gethostname()}-{os.getpid()}",
    "app": "python-worker",
    "capabilities": [{"name": name, "deadlineMs": 60_000} for name in HANDLERS],
}


class Refused(Exception):
    """The server has answered, and not with yes."""


def post(path, body, timeout=60):
    headers = {"content-type": "application/json"}
    if "EVENTSPINE_TOKEN" in os.environ:
        headers["authorization"] = "Bearer " + os.environ["EVENTSPINE_TOKEN"]
    request = urllib.request.Request(f"{SERVER}/v1/worker/{path}", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        raise Refused(json.loads(error.read() or b"{}").get("code", str(error.code))) from error


class Worker:
    def __init__(self):
        self.session = None
        self.pause_s = 1.0
        self.holding = set()  # Pairs of session and assignment: numbers begin anew with each session.
        self.changed = threading.Condition()
        self.stopping = False

    def numbers(self):
        return sorted(number for session, number in list(self.holding) if session == self.session)

    def run(self):
        threading.Thread(target=self.extend, daemon=True).start()
        while not self.stopping:
            with self.changed:
                self.changed.wait_for(lambda: self.stopping or len(self.holding) < SLOTS)
            if self.stopping:
                break
            try:
                resume = {"session": self.session, "holding": self.numbers()} if self.session else {}
                answer = post("claim", {**ME, "max": SLOTS - len(self.holding), "waitMs": 5000, **resume})
            except Refused as refusal:
                if str(refusal) == "SESSION_GONE":  # What it held is others' now.
                    self.session = None
                else:
                    self.wait(refusal)
            except OSError as error:
                self.wait(error)
            else:
                self.session, self.pause_s = answer["session"], answer["beatMs"] / 1000
                for task in answer["tasks"]:
                    self.holding.add((self.session, task["assignment"]))
                    threading.Thread(target=self.work, args=(self.session, task)).start()
        with self.changed:
            self.changed.wait_for(lambda: not self.holding, timeout=20)
        if self.session:
            post("end", {"session": self.session})

    def work(self, session, task):
        started = time.monotonic()
        try:
            outcome = {"result": HANDLERS[task["capability"]](task["input"], task)}
        except Exception as error:
            failure = {"class": "unknown", "code": type(error).__name__, "message": str(error)[:600], "retryable": True}
            outcome = {"failure": failure}
        outcome.update(assignment=task["assignment"], durationMs=(time.monotonic() - started) * 1000)
        while True:  # A completion may be repeated: it counts once.
            try:
                result = post("complete", {"session": session, "outcomes": [outcome]})["results"][0]
                print(task["run"], "recorded" if result["ok"] else result["code"], flush=True)
                break
            except OSError as error:
                self.wait(error)
            except Refused as refusal:
                print(task["run"], refusal, flush=True)
                break
        with self.changed:
            self.holding.discard((session, task["assignment"]))
            self.changed.notify_all()

    def extend(self):
        """Says as often as the server wants that the session lives, however long the work takes."""
        while True:
            time.sleep(self.pause_s)
            if self.session:
                try:
                    post("extend", {"session": self.session, "holding": self.numbers()}, timeout=5)
                except (OSError, Refused):
                    pass  # The next claim or completion will tell.

    def wait(self, reason):
        print("waiting for the server:", reason, flush=True)
        time.sleep(1)

    def stop(self, *_):
        self.stopping = True  # Noticed within the wait of a claim.


worker = Worker()
signal.signal(signal.SIGTERM, worker.stop)
signal.signal(signal.SIGINT, worker.stop)
worker.run()
