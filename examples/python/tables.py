#!/usr/bin/env python3
"""A Pay-At-Table till in a page of code, with the package websockets: it keeps two
tables in memory, and waiters at the card machines list, lock and pay them.

    python3 tables.py [URL]            the URL also from TILLWIRE_TABLES_URL

A line with a name and pence, as in "15 2350", opens another table.
Ctrl-C stops it. Exit code: 1 refused, or another till took over.
"""
import asyncio, json, os, random, sys, threading
import websockets

URL = "ws://127.0.0.1:8484/pat?token=demo&api-version=v1&software-house-id=DEMOSWH&installer-id=DEMOINST&extensions=acks"
TABLES = {  # amounts in pence
    "12": {"items": {"2 x Fish and chips": 2900, "House white": 1650}, "paid": 0, "locked_by": None},
    "14": {"items": {"Sunday roast": 1800}, "paid": 0, "locked_by": None},
}
booked = set()  # paymentIds. A real till keeps them on disk, in the same transaction as its tables

def money(n):
    return f"{n // 100}.{n % 100:02}"

def owed(table):
    return sum(table["items"].values()) - table["paid"]

def row(label, amount, *formats):
    return {"type": "TEXT", "format": formats, "value": f"{label:<22}{money(amount):>10}"}

def answer(method, params):
    """The result for what a waiter asks or the gateway tells. What it tells comes again until it is recorded."""
    name = params.get("tableId")
    table = TABLES.get(name)
    if method == "tableListRequest":
        return {"tableIds": [n for n, t in TABLES.items() if owed(t) > 0 and not t["locked_by"]], "currency": "GBP"}
    if method == "tableLockRequest":
        if not table or table["locked_by"] or owed(table) <= 0:
            return {"confirmed": False}
        table["locked_by"] = params["tid"]  # from here on nobody else may edit it
        print(f"table {name} locked: {money(owed(table))} to pay", flush=True)
        return {"confirmed": True, "amount": owed(table), "currency": "GBP"}
    if method == "posReceiptRequest":
        if not table:
            raise ValueError(f"There is no table {name}.")  # the card machine shows it
        head, feed = ({"type": kind, "format": ["BOLD"], "value": v} for kind, v in (("TEXT", f"TABLE {name}"), ("TICKET_FEED", "")))
        return {"receiptLines": [head, *(row(*item) for item in table["items"].items()), row("TO PAY", owed(table), "BOLD"), feed]}
    if method == "transactionResponse":
        for payment in params["payments"]:
            if payment["paymentId"] in booked:
                continue  # told again
            booked.add(payment["paymentId"])
            if table:  # without one the card was charged all the same: tell a person
                table["paid"] += payment["amountPaid"]
            print(f"table {name} paid {money(payment['amountPaid'])} by {payment['cardSchemeName']}, gratuity "
                  f"{money(payment['amountGratuity'])}, {'left ' + money(owed(table)) if table else 'and is not known'}, "
                  f"payment {payment['paymentId']}", flush=True)
    elif method == "tableUnlock":
        if table and table["locked_by"] == params["tid"]:  # another card machine's lock stays
            table["locked_by"] = None
            print(f"table {name} unlocked", flush=True)
    elif method == "reportResponse":
        print(f"{params['reportType']} of {params['tid']}: keep a copy", flush=True)
    else:
        raise ValueError(f"Method not found: {method}")
    return {"recorded": True}  # booked first, then said to be

def open_table(name, pence):
    TABLES[name] = {"items": {"Food and drink": int(pence)}, "paid": 0, "locked_by": None}

def read_lines(loop):
    for typed in sys.stdin:
        loop.call_soon_threadsafe(open_table, *typed.split())

async def serve(socket):
    """Answer until the connection is lost; True when another till took over."""
    async for data in socket:
        message = json.loads(data)
        if message.get("error", {}).get("code") == -32076:
            return True
        if "method" not in message:  # about an answer of ours, such as a late one
            print("the gateway says:", message.get("error", {}).get("message"), flush=True)
            continue
        try:
            reply = {"result": answer(message["method"], message.get("params", {}))}
        except (ValueError, KeyError) as failure:
            reply = {"error": {"code": -32603, "message": str(failure)}}
        if "id" in message:
            await socket.send(json.dumps({"jsonrpc": "2.0", "id": message["id"], **reply}))
    return False

async def main(url=os.environ.get("TILLWIRE_TABLES_URL", URL)):
    threading.Thread(target=read_lines, args=(asyncio.get_running_loop(),), daemon=True).start()
    wait = 0.5  # seconds, twice as long after each failure
    while True:
        try:
            async with websockets.connect(url, open_timeout=10) as socket:
                wait = 0.5
                print("connected", flush=True)
                if await serve(socket):
                    print("Another till took over. Only one can serve the tables: a person must choose.")
                    return 1
        except (OSError, asyncio.TimeoutError, websockets.WebSocketException) as error:
            bad_url = isinstance(error, websockets.InvalidURI)  # its text repeats the key
            print("no connection:", "the URL is not right" if bad_url else error or "no answer", flush=True)
            status = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", 500)
            if bad_url or 400 <= status < 429:  # something must be corrected
                return 1
        await asyncio.sleep(wait * random.uniform(0.5, 1))
        wait = min(2 * wait, 30)

try:
    sys.exit(asyncio.run(main(*sys.argv[1:])))
except KeyboardInterrupt:
    pass
