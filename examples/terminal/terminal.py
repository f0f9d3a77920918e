#!/usr/bin/env python3
"""A card machine in two pages of code, made from docs/terminal-link.md and nothing else of Tillwire.

    python3 terminal.py URL TID [FOLDER]      the URL is ws://HOST/terminal?token=KEY, FOLDER keeps its memory

It takes sales and refunds in pounds. The card is declined where the pence are 05, and wants a signature where they are
08. PACE in the environment is how many seconds people take for each thing that they do. Exit code 1: the gateway will
not have it. The acquirer is a file beside the memory, to which a charge under a known name is the same charge.
"""
import asyncio, datetime, json, os, random, secrets, sys
import websockets

PACE = float(os.environ.get("PACE", "1"))
LONGEST_PAUSE = float(os.environ.get("LONGEST_PAUSE", "5"))


def on_disk(path, text):
    """Replace a file so that either the old or the new text survives a loss of power."""
    try:
        with open(path + ".new", "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".new", path)
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    except OSError as error:  # better mute than forgetful
        print(f"the memory cannot be written: {error}", file=sys.stderr)
        os._exit(1)


class Acquirer:
    def __init__(self, folder):
        self.path = os.path.join(folder, "acquirer.json")
        self.books = json.load(open(self.path)) if os.path.exists(self.path) else {}

    def charge(self, name, amount):
        if amount % 100 == 5:
            return None
        self.books.setdefault(name, amount)
        on_disk(self.path, json.dumps(self.books))
        return secrets.token_hex(3).upper()

    def reverse(self, name):
        if self.books.pop(name, None) is not None:
            on_disk(self.path, json.dumps(self.books))


class Machine:
    def __init__(self, url, tid, folder):
        self.url, self.tid, self.acquirer = url, tid, Acquirer(folder)
        self.path = os.path.join(folder, "memory.json")
        self.link = None      # the queue of what is to be sent; None until the hello was answered
        self.wished = None    # set when the till wants to cancel
        self.decided = None   # set when the signature was decided
        self.restarted = os.path.exists(self.path)
        if self.restarted:
            self.memory = json.load(open(self.path))
        else:  # ids: what became of each that it ever heard of, for ever; owed: what was told and not acknowledged
            self.memory = {"name": secrets.token_hex(16), "began": False, "ids": {}, "current": None, "ends": {}, "owed": [], "last": None, "number": 0}
            self.remember()
        if self.memory["current"]:
            self.wake()

    def remember(self):
        on_disk(self.path, json.dumps(self.memory))

    # What it tells.

    def send(self, message):
        if self.link:
            self.link.put_nowait(json.dumps({"jsonrpc": "2.0", **message}))

    def tell(self, method, **params):
        self.send({"method": method, "params": params})

    def show(self, value):
        print(value, flush=True)
        self.tell("notified", requestId=self.memory["current"]["requestId"], value=value)

    def ask_for_signature(self):
        c = self.memory["current"]
        self.tell("signatureWanted", requestId=c["requestId"], type=c["type"], authCode=c["authCode"],
                  merchantReceipt=[{"type": "TEXT", "value": "PLEASE SIGN BELOW"}])

    def tell_what_is_owed(self):
        c = self.memory["current"]
        if c and c["phase"] == "signing" and c["accepted"] is None:
            self.ask_for_signature()
        for id in self.memory["owed"]:
            self.tell("ended", requestId=id, outcome=self.memory["ends"][id])

    # A transaction, as it stands in the memory under "current". Each phase is on disk before what follows from it.

    def phase(self, name, **what):
        self.memory["current"].update(phase=name, **what)
        self.remember()

    async def cancelled_within(self, seconds):
        try:
            await asyncio.wait_for(self.wished.wait(), seconds)
            return True
        except asyncio.TimeoutError:
            return False

    async def transact(self):
        c = self.memory["current"]
        self.show("PRESENT_CARD")
        if await self.cancelled_within(2 * PACE):
            self.show("CANCELLING")
            return self.end("CANCELLED")
        c["presented"] = True
        if c["amountBase"] % 100 != 8:
            self.show("PIN_ENTRY")
            await asyncio.sleep(2 * PACE)
        self.phase("asked")
        code = self.acquirer.charge(c["transactionId"], c["amountBase"])
        if not code:
            self.show("DECLINED")
            return self.end("DECLINED")
        self.phase("signing" if c["amountBase"] % 100 == 8 else "approved", authCode=code)
        self.show("APPROVED")
        if c["phase"] == "signing":
            self.ask_for_signature()
            try:
                await asyncio.wait_for(self.decided.wait(), 120)
            except asyncio.TimeoutError:
                self.phase("signing", accepted=True)
        else:
            await asyncio.sleep(PACE)
        self.show("REMOVE_CARD")
        await asyncio.sleep(PACE)
        self.end("SUCCESSFUL" if c["accepted"] is not False else "VOID")

    def end(self, result):
        """The end and what follows from it, on disk in one, then told."""
        c = self.memory["current"]
        if result != "SUCCESSFUL":
            self.acquirer.reverse(c["transactionId"])
        outcome = {"type": c["type"] + "_REVERSAL" if result == "VOID" else c["type"], "result": result, "currency": "GBP",
                   "amountBase": c["amountBase"], "transactionId": c["transactionId"], "number": c["number"],
                   "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}
        if c["phase"] != "begun":
            outcome.update(paymentMethod="ICC_CHIP", scheme="VISA", pan="************1234",
                           cardholderVerification="SIGNATURE" if c["amountBase"] % 100 == 8 else "PIN",
                           customerReceipt=[{"type": "TEXT", "value": f"{c['type']} {result}"}])
        if result == "SUCCESSFUL":
            outcome["authCode"] = c["authCode"]
        m = self.memory
        m["ends"][c["requestId"]], m["last"], m["current"] = outcome, c["requestId"], None
        m["owed"].append(c["requestId"])
        self.remember()
        print(f"{result} {c['amountBase']}", flush=True)
        self.tell("ended", requestId=c["requestId"], outcome=outcome)

    def wake(self):
        """The power was lost with a transaction open: end it as it stood."""
        c = self.memory["current"]
        if c["phase"] in ("begun", "asked"):
            return self.end("UNSUCCESSFUL")
        self.end("SUCCESSFUL" if c["phase"] == "approved" or c["accepted"] else "VOID")

    # What it is asked.

    def start(self, p):
        m, id, t = self.memory, p["requestId"], p.get("transaction")
        if m["ids"].get(id) == "taken":
            return {"answer": "accepted"}
        if id in m["ids"]:
            return {"answer": "refused", "reason": "it was asked about before it arrived", "userMessage": "Please try again."}
        if m["current"]:
            return {"answer": "busy"}
        if not t or t["type"] not in ("SALE", "REFUND") or t["currency"] != "GBP" or t.get("amountCashback") or not t["amountBase"]:
            return {"answer": "refused", "reason": "not within its capabilities", "userMessage": "This card machine cannot do that."}
        m["began"], m["number"] = True, m["number"] + 1
        m["ids"][id] = "taken"
        m["current"] = {"requestId": id, "type": t["type"], "amountBase": t["amountBase"], "phase": "begun", "presented": False,
                        "accepted": None, "transactionId": f"{self.tid}-{m['number']}-{secrets.token_hex(4)}", "number": f"{m['number']:04}"}
        self.remember()
        self.wished, self.decided = asyncio.Event(), asyncio.Event()
        self.transaction = asyncio.ensure_future(self.transact())
        return {"answer": "accepted"}

    def cancel(self, p):
        c = self.memory["current"]
        if c and c["requestId"] == p["requestId"]:
            if c["presented"] and not self.wished.is_set():
                self.show("UNABLE_TO_CANCEL")
            self.wished.set()
        return {"answer": "taken"}

    def answer_signature(self, p):
        c = self.memory["current"]
        if not c or c["requestId"] != p["requestId"] or c["phase"] != "signing":
            if p["requestId"] in self.memory["ends"]:
                return {"answer": "taken"}  # told anew
            return {"answer": "refused", "reason": "it waits for no signature"}
        if c["accepted"] is None:
            self.phase("signing", accepted=p["accepted"])
            self.decided.set()
        return {"answer": "taken"}

    def query(self, p):
        m, id = self.memory, p["requestId"]
        if m["current"] and m["current"]["requestId"] == id:
            return {"answer": "inProgress"}
        if id in m["ends"]:
            return {"answer": "final", "outcome": m["ends"][id]}
        if id not in m["ids"]:  # a memory that has just begun does not reach back; the word stands for ever
            m["ids"][id] = "fenced" if m["began"] else "not known"
            self.remember()
        return {"answer": "neverRan" if m["ids"][id] == "fenced" else "cannotTell"}

    def acknowledge(self, p):
        if p["requestId"] in self.memory["owed"]:
            self.memory["owed"].remove(p["requestId"])
            self.remember()
        return {"answer": "taken"}

    def last_one(self, p):
        last = self.memory["last"]
        if not last:
            return {"answer": "none"}
        outcome = self.memory["ends"][last]
        receipt = [{"type": "TEXT", "value": "DUPLICATE"}] + outcome.get("customerReceipt", [])
        return {"answer": "found", "requestId": last, "outcome": {**outcome, "customerReceipt": receipt}}

    def deal_with(self, message):
        methods = {"start": self.start, "cancel": self.cancel, "answerSignature": self.answer_signature,
                   "query": self.query, "acknowledge": self.acknowledge, "last": self.last_one}
        if "error" in message:
            print("the gateway cannot use what it was told:", message["error"]["message"], flush=True)
        elif "method" in message and "id" in message:
            if message["method"] not in methods:
                return self.send({"id": message["id"], "error": {"code": -32601, "message": "Method not found"}})
            try:
                self.send({"id": message["id"], "result": methods[message["method"]](message.get("params", {}))})
            except (KeyError, TypeError):
                self.send({"id": message["id"], "error": {"code": -32602, "message": "Invalid params"}})

    # The link. Only one is ever open, and what came over it is dealt with before the next is dialled.

    async def serve(self, socket):
        hello = {"jsonrpc": "2.0", "id": 1, "method": "hello", "params": {
            "tid": self.tid, "linkVersion": 1, "model": "Example", "software": "9053",
            "memory": self.memory["name"], "restarted": self.restarted,
            "capabilities": {"currency": "GBP", "types": ["SALE", "REFUND"], "duplicate": True, "cancel": True}}}
        await socket.send(json.dumps(hello))
        welcome = json.loads(await asyncio.wait_for(socket.recv(), 10))
        if "error" in welcome:
            sys.exit(f"the gateway refuses the hello: {welcome['error']['message']}")
        self.restarted = False
        self.link = queue = asyncio.Queue()
        print("linked", flush=True)
        self.tell_what_is_owed()

        async def write():
            while True:
                await socket.send(await queue.get())

        writer = asyncio.ensure_future(write())
        try:
            async for text in socket:
                self.deal_with(json.loads(text))
        finally:
            self.link = None
            writer.cancel()

    async def run(self):
        failures = 0
        while True:
            began, lasting = float("inf"), 1
            try:
                async with websockets.connect(self.url, ping_interval=30, ping_timeout=30, max_size=1 << 20) as socket:
                    began = asyncio.get_running_loop().time()
                    await self.serve(socket)
            except (OSError, asyncio.TimeoutError, websockets.WebSocketException) as error:
                status = getattr(error, "status_code", getattr(getattr(error, "response", None), "status_code", None))
                if status in (400, 401, 403):
                    sys.exit(f"the gateway will not have this machine: {status}")
                if getattr(error, "code", None) == 1008:  # another machine with the same key?
                    lasting = 10
            print("no link", flush=True)
            failures = 0 if asyncio.get_running_loop().time() - began >= lasting else failures + 1
            pause = min(0.1 * 2 ** min(failures, 10), LONGEST_PAUSE)
            await asyncio.sleep(pause / 2 + random.random() * pause / 2)


if __name__ == "__main__":
    folder = os.path.abspath(sys.argv[3] if len(sys.argv) > 3 else "terminal-" + sys.argv[2])
    os.makedirs(folder, exist_ok=True)
    asyncio.run(Machine(sys.argv[1], sys.argv[2], folder).run())
