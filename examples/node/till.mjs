// A till in a page of code: one sale of 12.50 GBP, with the npm package ws.
//
//   node till.mjs [TID [URL [PENCE]]]        the URL also from TILLWIRE_URL
//
// Exit code: 0 paid; 10 no money; 11 cancelled; 12 not known; 1 no sale was made.
import { createInterface } from 'node:readline';
import WebSocket from 'ws';

const url = process.argv[3] ?? process.env.TILLWIRE_URL ??
  'ws://127.0.0.1:8484/pac?token=demo&api-version=v1&software-house-id=DEMOSWH&installer-id=DEMOINST';
const tid = process.argv[2] ?? 'VCMDEMOSIP0';
const sale = { jsonrpc: '2.0', id: 1, method: 'sale', params: { tid, currency: 'GBP', amount: Number(process.argv[4] ?? 1250) } };
const exits = { SUCCESSFUL: 0, DECLINED: 10, VOID: 10, UNSUCCESSFUL: 10, CANCELLED: 11, TIMED_OUT: 12 };
const money = (n) => `${Math.trunc(n / 100)}.${String(n % 100).padStart(2, '0')}`;
const lines = (receipt = []) => receipt.map((line) => `  | ${line.value}`).join('\n');

let sent = false; // from then on, only a result or an error says what became of it
function end(code, text) {
  console.log(text);
  socket.removeAllListeners().on('error', () => {});
  if (socket.readyState !== WebSocket.OPEN) process.exit(code);
  socket.on('close', () => process.exit(code)).close();
}
function lost(why) {
  if (!sent) end(1, `No connection: ${why}`);
  end(12, `NOT KNOWN whether money was taken (${why}). Do not repeat the sale: look at the card machine, ask with duplicate.`);
}

process.on('uncaughtException', (error) => lost(error.name)); // not its text: it may repeat the URL
const socket = new WebSocket(url, { handshakeTimeout: 10_000 });
socket.on('unexpected-response', async (_, response) => { // refused: the body says what to correct
  const body = Buffer.concat(await response.toArray()).toString();
  end(1, `Refused with ${response.statusCode}: ${body}`);
});
socket.on('error', (error) => lost(error.code ?? error.message));
socket.on('close', (code) => lost(`connection closed, ${code}`));
socket.on('open', () => {
  sent = true;
  socket.send(JSON.stringify(sale));
  setTimeout(() => lost('no answer'), 330_000);
});

socket.on('message', (data) => {
  const message = JSON.parse(data);
  // The method first: both sides number from 1, so a request to us may bear the sale's id.
  if (message.method === 'terminalNotification') console.log(message.params.notificationValue);
  else if (message.method === 'signatureVerificationRequest') checkSignature(message);
  else if (message.id === sale.id && message.error) end(1, `No sale: ${message.error.userMessage ?? message.error.message}`);
  else if (message.id === sale.id) finish(message.result);
  else console.log(message.error?.message); // without an id it is about an answer of ours: the sale goes on
});

function checkSignature({ id, params }) {
  console.log(`${lines(params.receiptLines.MERCHANT)}\nDoes the signature match the card? y or n, within ${params.timeout} s:`);
  const answer = (accepted) => socket.send(JSON.stringify({ jsonrpc: '2.0', id, result: { accepted } }));
  createInterface({ input: process.stdin }).once('line', (line) => answer(line.trim().toLowerCase() === 'y'));
}

function finish(payment) {
  const code = exits[payment.transactionResult] ?? 12; // a word that we do not know is no "no"
  if (code === 12) lost(payment.transactionResult);
  console.log(lines(payment.receiptLines.CUSTOMER));
  const amount = `${money(payment.amountTotal)} ${payment.currency}`;
  end(code, code === 0 ? `${payment.transactionResult}: ${amount} paid` : `${payment.transactionResult}: nothing paid of ${amount}`);
}
