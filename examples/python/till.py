#!/usr/bin/env python3
"""A till in a page of code: one sale of 12.50 GBP, with the package websockets.

    python3 till.py [TID [URL [PENCE]]]        the URL also from TILLWIRE_URL

Exit code: 0 paid; 10 no money; 11 cancelled; 12 not known; 1 no sale was made.
"""
import asyncio, json, os, sys, threading
import websockets

URL = "ws://127.0.0.1:8484/pac?token=demo&api-version=v1&software-house-id=DEMOSWH&installer-id=DEMOINST"
EXITS = {"SUCCESSFUL": 0, "DECLINED": 10, "VOID": 10, "UNSUCCESSFUL": 10, "CANCELLED": 11, "TIMED_OUT": 12}
UNKNOWN = "NOT KNOWN whether money was taken ({}). Do not repeat the sale: look at the card machine, ask with duplicate."

def show(lines):
    print("\n".join(f"  | {line['value']}" for line in lines))

def check_signature(socket, loop, request):
    """Ask the cashier. In a thread: the till goes on reading meanwhile."""
    show(request["params"]["receiptLines"]["MERCHANT"])
    print(f"Does the signature match the card? y or n, within {request['params']['timeout']} s:", flush=True)
    accepted = sys.stdin.readline().strip().lower() == "y"
    reply = {"jsonrpc": "2.0", "id": request["id"], "result": {"accepted": accepted}}
    asyncio.run_coroutine_threadsafe(socket.send(json.dumps(reply)), loop)

async def converse(socket, sale):
    """Send the sale and return the message that ends it."""
    await socket.send(json.dumps(sale))
    async for text in socket:
        message = json.loads(text)
        # The method first: both sides number from 1, so a request to us may bear the sale's id.
        if message.get("method") == "terminalNotification":
            print(message["params"]["notificationValue"], flush=True)
        elif message.get("method") == "signatureVerificationRequest":
            args = (socket, asyncio.get_running_loop(), message)
            threading.Thread(target=check_signature, args=args, daemon=True).start()
        elif message.get("id") == sale["id"]:
            return message
        else:  # an error without an id is about an answer of ours: the sale goes on
            print(message["error"]["message"], flush=True)
    raise ConnectionError("connection closed")

async def main(tid="VCMDEMOSIP0", url=os.environ.get("TILLWIRE_URL", URL), pence="1250"):
    sale = {"jsonrpc": "2.0", "id": 1, "method": "sale", "params": {"tid": tid, "currency": "GBP", "amount": int(pence)}}
    try:
        socket = await websockets.connect(url, open_timeout=10)
    except (OSError, asyncio.TimeoutError, websockets.WebSocketException) as error:
        print("No connection:", "the URL is not right" if isinstance(error, websockets.InvalidURI) else error or "no answer")
        return 1
    try:  # from here on, only a result or an error says what became of the sale
        message = await asyncio.wait_for(converse(socket, sale), 330)
    except Exception as error:  # whatever went wrong here, it is no reason to believe that no money moved
        print(UNKNOWN.format(type(error).__name__))
        return 12
    finally:
        await socket.close()
    if error := message.get("error"):
        print("No sale:", error.get("userMessage") or error["message"])
        return 1
    payment = message["result"]
    result = payment.get("transactionResult")
    code = EXITS.get(result, 12)  # a word that we do not know is no "no"
    if code == 12:
        print(UNKNOWN.format(result))
        return code
    show(payment["receiptLines"]["CUSTOMER"])
    pounds, pence = divmod(payment["amountTotal"], 100)
    print(f"{result}: {'' if code == 0 else 'nothing paid of '}{pounds}.{pence:02} {payment['currency']}{' paid' if code == 0 else ''}")
    return code

sys.exit(asyncio.run(main(*sys.argv[1:])))
