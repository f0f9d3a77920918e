// A Pay-At-Table till in a page of code, with the npm package ws: it keeps two
// tables in memory, and waiters at the card machines list, lock and pay them.
//
//   node tables.mjs [URL]            the URL also from TILLWIRE_TABLES_URL
//
// A line with a name and pence, as in "15 2350", opens another table.
// Ctrl-C stops it. Exit code: 1 refused, or another till took over.
import { createInterface } from 'node:readline';
import WebSocket from 'ws';

const url = process.argv[2] ?? process.env.TILLWIRE_TABLES_URL ??
  'ws://127.0.0.1:8484/pat?token=demo&api-version=v1&software-house-id=DEMOSWH&installer-id=DEMOINST&extensions=acks';
const tables = new Map([ // amounts in pence
  ['12', { items: [['2 x Fish and chips', 2900], ['House white', 1650]], paid: 0, lockedBy: null }],
  ['14', { items: [['Sunday roast', 1800]], paid: 0, lockedBy: null }],
]);
const booked = new Set(); // paymentIds. A real till keeps them on disk, in the same transaction as its tables

const money = (n) => `${Math.trunc(n / 100)}.${String(n % 100).padStart(2, '0')}`;
const owed = (table) => table.items.reduce((sum, [, price]) => sum + price, 0) - table.paid;
const line = (value, ...format) => ({ type: 'TEXT', format, value });
const pair = (label, amount, ...format) => line(label.padEnd(22) + money(amount).padStart(10), ...format);

// What waiters ask. A throw is an error, whose text the card machine shows.
const questions = {
  tableListRequest: () => ({
    tableIds: [...tables].filter(([, table]) => owed(table) > 0 && !table.lockedBy).map(([id]) => id), currency: 'GBP',
  }),
  tableLockRequest: ({ tableId, tid }) => {
    const table = tables.get(tableId);
    if (!table || table.lockedBy || owed(table) <= 0) return { confirmed: false };
    table.lockedBy = tid; // from here on nobody else may edit it
    console.log(`table ${tableId} locked: ${money(owed(table))} to pay`);
    return { confirmed: true, amount: owed(table), currency: 'GBP' };
  },
  posReceiptRequest: ({ tableId }) => {
    const table = tables.get(tableId);
    if (!table) throw new Error(`There is no table ${tableId}.`);
    return { receiptLines: [line(`TABLE ${tableId}`, 'BOLD'), ...table.items.map(([name, price]) => pair(name, price)),
      pair('TO PAY', owed(table), 'BOLD'), { type: 'TICKET_FEED', format: [], value: '' }] };
  },
};

// What the gateway tells, again and again until we have said that we have it.
const notices = {
  transactionResponse: ({ tableId, payments }) => {
    for (const payment of payments) {
      if (booked.has(payment.paymentId)) continue; // told again
      booked.add(payment.paymentId);
      const table = tables.get(tableId);
      if (table) table.paid += payment.amountPaid; // without one the card was charged all the same: tell a person
      console.log(`table ${tableId} paid ${money(payment.amountPaid)} by ${payment.cardSchemeName}, ` +
        `gratuity ${money(payment.amountGratuity)}, ${table ? `left ${money(owed(table))}` : 'and is not known'}, payment ${payment.paymentId}`);
    }
  },
  tableUnlock: ({ tableId, tid }) => {
    const table = tables.get(tableId);
    if (table?.lockedBy !== tid) return; // another card machine's lock stays
    table.lockedBy = null;
    console.log(`table ${tableId} unlocked`);
  },
  reportResponse: ({ tid, reportType }) => console.log(`${reportType} of ${tid}: keep a copy`),
};

createInterface({ input: process.stdin }).on('line', (typed) => {
  const [id, pence] = typed.split(' ');
  tables.set(id, { items: [['Food and drink', Number(pence)]], paid: 0, lockedBy: null });
});
process.on('uncaughtException', (error) => { console.log(error.name); process.exit(1); }); // not its text: it may repeat the URL
let wait = 500; // ms, twice as long after each failure
function connect() {
  const socket = new WebSocket(url, { handshakeTimeout: 10_000 });
  const stop = (text) => {
    console.log(text);
    socket.removeAllListeners().on('error', () => {}).terminate();
    process.stdin.destroy(); // which would keep it running
    process.exit(1); // the standard input may still be open
  };
  socket.on('open', () => { wait = 500; console.log('connected'); });
  socket.on('unexpected-response', async (_, response) => {
    const body = Buffer.concat(await response.toArray()).toString();
    if (response.statusCode < 429) stop(`Refused with ${response.statusCode}: ${body}`); // something must be corrected
    else socket.terminate();
  });
  socket.on('error', (error) => console.log(`no connection: ${error.code ?? error.message}`)); // 'close' follows
  socket.on('close', () => { setTimeout(connect, wait * (0.5 + Math.random() / 2)); wait = Math.min(2 * wait, 30_000); });
  socket.on('message', (data) => {
    const { id, method, params, error } = JSON.parse(data);
    if (error?.code === -32076) return stop('Another till took over. Only one can serve the tables: a person must choose.');
    if (!method) return console.log(`the gateway says: ${error?.message}`); // about an answer of ours, such as a late one
    const answer = (content) => id !== undefined && socket.send(JSON.stringify({ jsonrpc: '2.0', id, ...content }));
    try {
      if (method in questions) return answer({ result: questions[method](params) });
      if (!(method in notices)) return answer({ error: { code: -32601, message: `Method not found: ${method}` } });
      notices[method](params); // booked first, then said to be
      answer({ result: { recorded: true } });
    } catch (failure) {
      answer({ error: { code: -32603, message: failure.message } });
    }
  });
}
connect();
