// oracle.cjs: the main thread and workers use one engine all at once: every thread listens, connects to the others, posts to its
// own channels and into the others' groups, closes in good order or aborts; one worker has no event loop.
// The oracle: each thread's messages on a channel arrive in order and once; what does not arrive comes back, in order and once;
// of a channel that ended in good order nothing is missing; a channel has one last word; updates come in order and once.
// Usage: node oracle.cjs INDEX POSTS SEED (posts: of each thread). Prints the totals; an exit code other than 0: the oracle objects.
const { isMainThread, parentPort, workerData, Worker } = require('node:worker_threads');
const { randomInt } = require('node:crypto');

const THREADS = 4;
const DEADLINE_MS = 60_000;
const CHANNELS = 4; // of a thread, at the same time

const [index, posts, seed] = isMainThread
  ? [process.argv[2], Number(process.argv[3]), Number(process.argv[4]) || randomInt(1, 2 ** 31)]
  : workerData.args;
const api = require(index);
const { OpCode, AmpeStatus } = api;

class Draws {
  constructor(start) {
    this.state = start >>> 0;
  }
  below(limit) {
    this.state = (Math.imul(this.state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.state / 2 ** 32) * limit);
  }
  of(list) {
    return list[this.below(list.length)];
  }
}

function check(holds, text) {
  if (!holds) throw new Error(`${text} (seed ${seed})`);
}

/** Numbers that must come without a gap, per key. */
class Sequences {
  counts = new Map();
  /** @returns the number */
  next(key) {
    const number = this.counts.get(key) ?? 0;
    this.counts.set(key, number + 1);
    return number;
  }
  expect(key, number, what) {
    const expected = this.next(key);
    check(number === expected, `${what} ${key}: ${number} came where ${expected} was due`);
  }
}

/** One thread's part: what it does next, and what it makes of a message. */
class Party {
  posted = new Sequences(); // by lane
  received = new Sequences(); // by lane
  returned = new Map(); // by lane: { first, count }
  updates = { sent: new Sequences(), seen: new Sequences() };
  endings = {}; // by stream: 'bye' or 'abort'
  lastWords = 0;
  opened = 0;
  left = posts;
  mine = new Map(); // own channels by number: { stream, state, helloId }
  accepted = new Map(); // accepted channels by number: { stream, helloId }
  others = []; // other threads' channels: { owner, stream, channel }
  quiet = false;

  constructor(number, ampe, group, addresses, groups) {
    Object.assign(this, { number, ampe, group, addresses });
    this.draws = new Draws(seed + 7919 * number);
    this.abroad = groups.map((handle, owner) => (owner === number ? group : api.attachGroup(handle)));
  }

  // ── what it does ──

  /** Posts a little; false when there was nothing to do. */
  step() {
    if (this.left <= 0) return this.close();
    if (this.mine.size < CHANNELS) this.connect();
    let any = false;
    for (let burst = 1 + this.draws.below(24); burst > 0 && this.left > 0; burst--) any = this.postSomewhere() || any;
    if (this.draws.below(20) === 0) this.endOne();
    if (this.draws.below(10) === 0) this.tell(this.draws.below(THREADS), 'noise', '');
    return any;
  }
  connect() {
    const hello = this.ampe.get('poolOnly');
    if (hello === null) return;
    const to = this.draws.of(this.addresses);
    const [transport, where, port] = to.split('|');
    const Address = transport === 'uds' ? api.UdsClientAddress : api.TcpClientAddress;
    new Address(where, Number(port)).format(hello);
    const stream = (this.number << 20) | this.opened++;
    hello.textHeaders.append('stream', String(stream));
    const { channelNumber, messageId } = this.group.post(hello);
    check(!this.mine.has(channelNumber), `channel ${channelNumber} was given twice`);
    this.mine.set(channelNumber, { stream, state: 'connecting', id: messageId });
  }
  postSomewhere() {
    const where = this.draws.below(3);
    if (where === 0) return this.postTo(this.group, this.mine, 0);
    if (where === 1) return this.postTo(this.group, this.accepted, 1);
    const other = this.others.length > 0 ? this.draws.of(this.others) : null;
    if (other === null) return false;
    const outcome = this.post(this.abroad[other.owner], other.channel, other.stream, 0);
    if (outcome === 'closed') this.others.splice(this.others.indexOf(other), 1);
    return outcome === 'posted';
  }
  postTo(group, channels, direction) {
    const open = [...channels].filter(([, { state }]) => state !== 'closing');
    if (open.length === 0) return false;
    const [channel, { stream }] = this.draws.of(open);
    return this.post(group, channel, stream, direction) === 'posted';
  }
  /** direction 0: from the side that connected, 1: from the side that listens. */
  post(group, channel, stream, direction) {
    const message = this.ampe.get('poolOnly');
    if (message === null) return 'full';
    const lane = `${stream} of thread ${this.number}, ${direction}`;
    message.opCode = this.draws.below(2) === 0 ? OpCode.Request : OpCode.Signal;
    message.channelNumber = channel;
    const size = this.draws.below(50) === 0 ? this.draws.below(60_000) : this.draws.below(200);
    const room = message.body.reserve(16 + size);
    room.writeUInt32LE(stream, 0);
    room.writeUInt32LE(this.number, 4);
    room.writeUInt32LE(direction, 8);
    room.writeUInt32LE(this.posted.counts.get(lane) ?? 0, 12);
    try {
      group.post(message);
    } catch (error) {
      check(error.status === AmpeStatus.ChannelClosed, `post was refused: ${error.stack}`);
      this.ampe.put(message);
      return 'closed';
    }
    this.posted.next(lane);
    this.left--;
    return 'posted';
  }
  endOne() {
    const open = [...this.mine].filter(([, { state }]) => state === 'open');
    if (open.length > 0) this.end(this.draws.of(open), this.draws.below(5) === 0 ? 'abort' : 'bye');
  }
  end([channel, mine], how) {
    const message = this.ampe.get();
    message.opCode = how === 'bye' ? OpCode.ByeRequest : OpCode.ByeSignal;
    message.channelNumber = channel;
    mine.state = 'closing';
    this.endings[mine.stream] = how;
    try {
      this.group.post(message);
    } catch (error) {
      // The other side was quicker, which it never is without this side's Bye.
      check(false, `a Bye was refused: ${error.stack}`);
    }
  }
  close() {
    for (const entry of this.mine) if (entry[1].state === 'open') this.end(entry, 'bye');
    if (this.mine.size === 0 && !this.quiet) {
      this.quiet = true;
      this.say({ kind: 'quiet', number: this.number });
    }
    return false;
  }
  /** An update for another thread, or for this one. */
  tell(thread, kind, text) {
    const message = this.ampe.get();
    message.opCode = OpCode.Signal;
    const number = this.updates.sent.next(`to ${thread}`);
    message.body.set(JSON.stringify({ from: this.number, number, kind, text }));
    this.abroad[thread].updateReceiver(message);
  }

  // ── what it is told ──

  /** The message stays the caller's unless it is posted. */
  receive(message) {
    if (message.status === AmpeStatus.ReceiverUpdate) this.onUpdate(message.body.json());
    else if (message.isFromEngine) this.onStatus(message);
    else this.onPeers(message);
  }
  onUpdate({ from, number, kind, text }) {
    if (from >= 0) this.updates.seen.expect(`from ${from}`, number, 'updates');
    if (kind === 'opened') this.others.push(text);
    else if (kind === 'report') this.say({ kind: 'report', ...this.report() });
    else if (kind === 'stop') this.stopped = true;
  }
  onStatus(message) {
    const { channelNumber, messageId, status, opCode } = message;
    if (opCode === OpCode.Signal && status === AmpeStatus.ChannelClosed && message.body.byteLength === 0) {
      const own = this.mine.get(channelNumber);
      const known = own ?? this.accepted.get(channelNumber);
      check(known?.id === messageId, `a last word for channel ${channelNumber}, which is not open`);
      (own === undefined ? this.accepted : this.mine).delete(channelNumber);
      this.lastWords++;
      if (own !== undefined) check(own.state === 'closing', `channel ${channelNumber} ended by itself`);
    } else if (opCode === OpCode.Request || opCode === OpCode.Signal) {
      if (status !== AmpeStatus.PoolEmpty) this.onReturned(message);
    } else check(opCode === OpCode.ByeResponse, `the engine says ${api.statusName(status)} with opcode ${opCode}`);
  }
  onReturned(message) {
    const [lane, number] = laneOf(message);
    const known = this.returned.get(lane);
    if (known === undefined) this.returned.set(lane, { first: number, count: 1 });
    else
      check(number === known.first + known.count++, `returned ${lane}: ${number} after ${known.first}+${known.count}`);
  }
  onPeers(message) {
    const { channelNumber, opCode, messageId } = message;
    if (opCode === OpCode.HelloRequest) {
      this.accepted.set(channelNumber, { stream: Number(message.textHeaders.get('stream')), id: messageId });
      message.opCode = OpCode.HelloResponse;
      this.group.post(message);
    } else if (opCode === OpCode.HelloResponse) {
      const mine = this.mine.get(channelNumber);
      mine.state = 'open';
      const text = { owner: this.number, stream: mine.stream, channel: channelNumber };
      for (let thread = 0; thread < THREADS; thread++) if (thread !== this.number) this.tell(thread, 'opened', text);
    } else if (opCode === OpCode.ByeRequest) {
      this.accepted.get(channelNumber).state = 'closing';
      message.opCode = OpCode.ByeResponse;
      this.group.post(message);
    } else if (opCode !== OpCode.ByeResponse) {
      const [lane, number] = laneOf(message);
      const known = this.mine.get(channelNumber) ?? this.accepted.get(channelNumber);
      check(known?.stream === message.body.bytes().readUInt32LE(0), `a message of another channel on ${channelNumber}`);
      this.received.expect(lane, number, 'received');
    }
  }
  report() {
    const { number, posted, received, returned, updates, endings, lastWords, opened, mine, accepted } = this;
    const counts = { posted: posted.counts, received: received.counts, returned };
    return {
      ...counts,
      number,
      sent: updates.sent.counts,
      seen: updates.seen.counts,
      endings,
      lastWords,
      opened,
      open: mine.size + accepted.size,
    };
  }
  say(word) {
    if (isMainThread) hear(word);
    else parentPort.postMessage(word);
  }
}

function laneOf(message) {
  const bytes = message.body.bytes();
  const lane = `${bytes.readUInt32LE(0)} of thread ${bytes.readUInt32LE(4)}, ${bytes.readUInt32LE(8)}`;
  return [lane, bytes.readUInt32LE(12)];
}

/** Everything that is there, then a little work, then whatever comes; the loop of a thread that has an event loop. */
async function run(party) {
  for (;;) {
    const busy = party.step();
    for (const message of await party.group.receiveMany(64, busy ? 0 : 2)) {
      party.receive(message);
      party.ampe.put(message);
    }
    if (party.stopped) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
/** The same without one. */
function runSync(party) {
  while (!party.stopped) {
    const busy = party.step();
    let message = party.group.waitReceiveSync(busy ? 0 : 2);
    for (let taken = 0; message !== null; message = ++taken < 64 ? party.group.tryReceive() : null) {
      party.receive(message);
      party.ampe.put(message);
    }
  }
}

async function listen(ampe, group, path) {
  const welcome = ampe.get();
  (path ? new api.UdsServerAddress(path) : new api.TcpServerAddress('127.0.0.1', 0)).format(welcome);
  group.post(welcome);
  const answer = await group.waitReceive();
  check(answer.status === AmpeStatus.Success, 'cannot listen');
  const address = answer.textHeaders.get('~listen_on');
  ampe.put(answer);
  return address;
}

// ── the main thread's oracle ──

let hear = () => undefined;

/** What is wrong with all reports together, or null. `final`: nothing can come any more. */
function verdict(reports) {
  const [posted, received, returned] = [new Map(), new Map(), new Map()];
  const endings = {};
  let opened = 0;
  let lastWords = 0;
  for (const report of reports) {
    for (const [lane, count] of report.posted) posted.set(lane, count);
    for (const [lane, count] of report.received) received.set(lane, count);
    for (const [lane, range] of report.returned) returned.set(lane, range);
    Object.assign(endings, report.endings);
    opened += report.opened;
    lastWords += report.lastWords;
    if (report.open > 0) return `${report.open} channels of thread ${report.number} are open`;
  }
  if (lastWords < opened) return `${opened} channels were opened and ${lastWords} last words came`;
  const totals = { channels: opened, posted: 0, received: 0, returned: 0, lost: 0, updates: 0 };
  for (const [lane, count] of posted) {
    const arrived = received.get(lane) ?? 0;
    const back = returned.get(lane) ?? { first: count, count: 0 };
    const graceful = endings[lane.split(' ')[0]] === 'bye';
    if (back.count > 0 && back.first + back.count !== count) return `${lane}: the returned are not the last posted`;
    if (arrived > back.first) return `${lane}: some arrived and came back`;
    if (graceful && arrived + back.count !== count)
      return `${lane}: ${count} posted, ${arrived} arrived, ${back.count} back`;
    totals.posted += count;
    totals.received += arrived;
    totals.returned += back.count;
    totals.lost += count - arrived - back.count; // in the kernel when the channel was aborted
  }
  for (const report of reports) {
    for (const [to, count] of report.sent) {
      const seen = reports[Number(to.slice(3))].seen.get(`from ${report.number}`) ?? 0;
      if (seen !== count) return `${count} updates from ${report.number} ${to}, ${seen} seen`;
      totals.updates += count;
    }
  }
  for (const lane of [...received.keys(), ...returned.keys()]) if (!posted.has(lane)) return `${lane} was never posted`;
  return totals;
}

async function main() {
  const reactor = api.Reactor.create({ maxPoolMsgs: 2048 });
  const ampe = reactor.ampe();
  const group = ampe.create();
  const addresses = [await listen(ampe, group)];
  const groups = [group.share()];
  const words = new Map(); // kind → what the threads said
  let wake = () => undefined;
  hear = (word) => {
    (words.get(word.kind) ?? words.set(word.kind, []).get(word.kind)).push(word);
    wake();
  };
  const all = async (kind, count) => {
    while ((words.get(kind)?.length ?? 0) < count) await new Promise((resolve) => (wake = resolve));
    return words.get(kind);
  };
  const workers = [];
  const died = [];
  for (let number = 1; number < THREADS; number++) {
    const worker = new Worker(__filename, {
      workerData: { args: [index, posts, seed], number, engine: reactor.share() },
    });
    worker.on('message', (word) => hear(word));
    worker.on('error', (error) => die(error));
    died.push(new Promise((resolve) => worker.once('exit', resolve)));
    workers.push(worker);
  }
  const ready = (await all('ready', THREADS - 1)).sort((one, other) => one.number - other.number);
  for (const { address, handle } of ready) {
    addresses.push(address);
    groups.push(handle);
  }
  for (const worker of workers) worker.postMessage({ addresses, groups });
  const party = new Party(0, ampe, group, addresses, groups);
  const running = run(party).catch(die);
  await all('quiet', THREADS);
  let outcome = 'no report';
  while (typeof outcome === 'string') {
    words.set('report', []);
    // From the oracle itself, and not counted.
    for (let thread = 0; thread < THREADS; thread++) order(ampe, party.abroad[thread], 'report');
    const reports = await all('report', THREADS);
    outcome = verdict(reports.sort((one, other) => one.number - other.number));
    lastOutcome = outcome;
  }
  for (let thread = 0; thread < THREADS; thread++) order(ampe, party.abroad[thread], 'stop');
  await Promise.all([running, ...died]);
  const { poolFree, poolTotal } = ampe.stats();
  check(poolFree === poolTotal, `${poolTotal - poolFree} messages of the pool are missing`);
  await reactor.destroy();
  console.log(JSON.stringify({ seed, ...outcome }));
}
let lastOutcome = 'the threads are at work';

function order(ampe, group, kind) {
  const message = ampe.get();
  message.opCode = OpCode.Signal;
  message.body.set(JSON.stringify({ from: -1, kind }));
  group.updateReceiver(message);
}
function die(error) {
  console.error(`seed ${seed}: ${error.stack}`);
  process.exit(1);
}

async function worker() {
  const { number, engine } = workerData;
  const ampe = api.Reactor.attach(engine);
  const group = ampe.create();
  const path =
    number % 2 === 0 ? require('node:path').join(require('node:os').tmpdir(), `ampe-${process.pid}-${number}`) : null;
  const address = await listen(ampe, group, path);
  const others = new Promise((resolve) => parentPort.once('message', resolve));
  parentPort.postMessage({ kind: 'ready', number, address, handle: group.share() });
  const { addresses, groups } = await others;
  const party = new Party(number, ampe, group, addresses, groups);
  if (number === 1) runSync(party);
  else await run(party);
  await ampe.destroy(group);
}

if (isMainThread) {
  setTimeout(
    () => die(new Error(`waited ${DEADLINE_MS} ms in vain for all outcomes: ${lastOutcome}`)),
    DEADLINE_MS,
  ).unref();
  main().catch(die);
} else void worker();
