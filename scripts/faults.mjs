// faults.mjs: the faults that mutants.mjs plants. Each is a slip somebody could make, and names the rule of
// test/conformance/rules.ts whose case has to notice it, or the test of the core that has to.
// Knows the sources by exact pieces of text: when a piece is not found exactly once, the run fails, so a fault never
// silently becomes none. A fault whose text was rewritten is planted anew in the new text, not dropped.
// Invariant: a fault compiles and changes behaviour; what the tests rightly cannot see is not listed.

/**
 * @typedef {object} Fault
 * @property {string} name      what goes wrong, kebab-case
 * @property {string} file      below lib/, or in native/
 * @property {[find: string, put: string][]} edits
 * @property {string} suite     test/conformance/<suite>.test.ts; with a slash in it test/<suite>.test.ts; for a file in
 *   native/ the program test/native/<suite>.cc
 * @property {string} rule      id of the rule that catches it; of a unit test a piece of its title; of a program the name of a
 *   test, or a pattern for such
 * @property {string} [engine]  when another engine of the suite than 'fallback' is meant
 */

const connection = 'fallback-engine/connection.ts';
const mailbox = 'engine/mailbox.ts';
const net = 'fallback-engine/net.ts';
const engine = 'fallback-engine/reactor.ts';
const numbers = 'fallback-engine/channel-numbers.ts';
const states = 'protocol/channel-state.ts';
const framer = 'protocol/framer.ts';
const postCheck = 'protocol/post-check.ts';
const pool = 'engine/pool.ts';
const group = 'channel-group.ts';
const message = 'message.ts';
const wait = 'wait.ts';
const nativeChannel = 'native-engine/channel.ts';
const nativeEngine = 'native-engine/engine.ts';
const inbox = 'native-engine/inbox.ts';
const port = 'native/core/port.cc';
const reactor = 'native/core/reactor.cc';

const fault = (name, file, suite, rule, ...edits) => ({ name, file, suite, rule, edits });
/** Noticed by a rule of the suite on the native engine. */
const onNative = (...args) => ({ ...fault(...args), engine: 'native' });
/** Where the engine's own thread does all the work: with epoll, who looks may do it, and sees the outcome. */
const onItsThread = (...args) => ({ ...fault(...args), engine: 'native-poll' });

/** @type {Fault[]} */
export const FAULTS = [
  // ── what the system said ──
  fault('graceful-end-has-a-cause', connection, 'failures', 'failure-cause', [
    "if (this.errorCode === '' && code !== null && this.state !== 'ended' && !isDeaf(this.state)) this.errorCode = code;",
    "this.errorCode ||= code ?? 'EPIPE';",
  ]),
  fault('cause-of-unsent-lost', connection, 'failures', 'failure-cause', [
    'frame.errorCode = this.errorCode;\n    this.#tail',
    'this.#tail',
  ]),
  fault('listen-without-cause', net, 'failures', 'failure-cause', [
    'else this.#fail(AmpeStatus.ListenFailed, code);',
    "else this.#fail(AmpeStatus.ListenFailed, '');",
  ]),
  onNative('native-last-word-without-cause', inbox, 'failures', 'failure-cause', [
    '.onLast(rawToStatus(records[record + 6]), errorCodeOf(records[record + 7]));',
    ".onLast(rawToStatus(records[record + 6]), '');",
  ]),
  onNative('native-cause-of-returned-lost', inbox, 'failures', 'failure-cause', [
    'frame.errorCode = errorCodeOf(records[record + 7]);',
    "frame.errorCode = '';",
  ]),

  // ── waking and order ──
  fault('wake-dropped', mailbox, 'channels', 'order', [
    'this.#ready.push(source);\n    this.#tellReadable();',
    'this.#ready.push(source);',
  ]),
  fault('flush-forgotten', engine, 'channels', 'order', [
    'for (const connection of dirty) connection.flush();',
    'for (const connection of dirty.slice(1)) connection.flush();',
  ]),
  fault('slow-write-not-continued', connection, 'channels', 'order', [
    "else if (this.state !== 'ended' && this.#sendQueue.length > 0) this.#markDirty();",
    '',
  ]),
  fault('mail-does-not-wake', mailbox, 'waiting', 'wait-for-ever', [
    'this.#mail.push(frame);\n    this.#tellReadable();',
    'this.#mail.push(frame);',
  ]),

  // ── one outcome, last word ──
  fault('channel-closed-skipped', connection, 'channels', 'last-word-form', [
    'if (silent) this.#group.mailbox.addTail(this);',
    '',
  ]),
  fault('channel-closed-twice', mailbox, 'channels', 'last-word-once', [
    'if (source.ended) this.#mail.push(source);',
    'if (source.ended) for (const each of [source, source]) this.#mail.push(each);',
  ]),
  fault('tail-before-frames', connection, 'wire', 'violation-keeps-valid', [
    'if (silent) this.#group.mailbox.addTail(this);',
    'this.#group.mailbox.addTail(this);',
  ]),
  fault('unsent-dropped', connection, 'channels', 'unsent-comes-back', [
    'this.#tail.push(frame);',
    'this.#engine.pool.give(frame);',
  ]),
  fault('unsent-returned-twice', connection, 'channels', 'one-outcome', [
    'this.#tail.push(frame);',
    'this.#tail.push(frame);\n    this.#tail.push(frame);',
  ]),
  fault('unsent-in-wrong-order', connection, 'channels', 'returned-as-posted', [
    'const frame = this.#tail.shift();',
    'for (let n = this.#tail.length; n > 1; n--) this.#tail.push(this.#tail.shift()!);\n    const frame = this.#tail.shift();',
  ]),
  fault('partly-written-counts-as-sent', connection, 'channels', 'one-outcome', [
    'if (length > bytes) break;\n      bytes -= length;',
    'if (bytes === 0) break;\n      bytes = Math.max(0, bytes - length);',
  ]),
  fault('returned-without-origin', connection, 'channels', 'unsent-comes-back', ['frame.flags |= ORIGIN_BIT;', '']),
  fault('reason-mixed-up', net, 'channels', 'reason-peer-disconnected', [
    'return AmpeStatus.PeerDisconnected;',
    'return AmpeStatus.CommunicationFailed;',
  ]),
  fault('failed-hello-stays-request', connection, 'channels', 'hello-failure-form', [
    'frame.opCode = OpCode.HelloResponse;',
    'frame.opCode = OpCode.HelloRequest;',
  ]),
  fault('bye-signal-comes-back', connection, 'close', 'bye-signal-consumed', [
    'this.#engine.pool.give(frame);\n    if (this.state ===',
    'this.#sendQueue.push(frame);\n    if (this.state ===',
  ]),

  // ── numbers ──
  fault('number-reused-early', numbers, 'channels', 'quarantine-1024-closings', [
    'this.#fresh <= LAST_CHANNEL ? this.#fresh++ : this.#released.shift()',
    'this.#released.shift() ?? this.#fresh++',
  ]),
  fault('number-never-released', engine, 'groups', 'max-channels', ['this.#numbers.release(channel.channel);', '']),
  fault('most-channels-forgotten', numbers, 'post', 'post-9-no-number', ['if (this.#used >= this.most) return 0;', '']),

  // ── trust ──
  fault('origin-bit-kept', connection, 'wire', 'trust-cannot-pose', [
    'frame.flags = memory[at + AT_FLAGS] & WIRE_MASK;',
    'frame.flags = memory[at + AT_FLAGS] & (WIRE_MASK | ORIGIN_BIT);',
  ]),
  fault('status-kept', connection, 'wire', 'trust-cleared', [
    'frame.flags = memory[at + AT_FLAGS] & WIRE_MASK;',
    'frame.flags = memory[at + AT_FLAGS] & WIRE_MASK;\n    frame.status = memory[at + AT_FLAGS + 1];',
  ]),
  fault('channel-number-kept', connection, 'wire', 'frame-channel-number', [
    'frame.channel = this.channel;',
    'frame.channel = readU16(memory, at);',
  ]),
  fault('more-not-policed', framer, 'wire', 'violation-more', [
    'if ((flags & MORE_BIT) !== 0 && opCode > OpCode.Signal) return 0;',
    '',
  ]),
  fault('id-zero-accepted', framer, 'wire', 'violation-id-zero', [
    'return hasId ? KIND[opCode] : 0;',
    'return KIND[opCode];',
  ]),
  fault('second-hello-accepted', states, 'wire', 'violation-second-hello', [
    "open: {\n    hello: ['ended', 'violation'],",
    "open: {\n    hello: ['open', 'deliver'],",
  ]),
  fault('data-before-hello-accepted', states, 'wire', 'violation-first-not-hello', [
    "data: ['ended', 'violation'],",
    "data: ['greeting', 'drop'],",
  ]),
  fault('violation-hits-others', engine, 'wire', 'violation-others-unharmed', [
    'this.#counters.protocolViolations++;',
    'this.#counters.protocolViolations++;\n    for (const each of this.#byNumber) if (each instanceof Connection && each !== connection) each.onClosed(null);',
  ]),
  fault('unseen-channel-reported', connection, 'channels', 'unseen-dies', [
    'if (unseen) return this.#engine.forgetUnseen(this);',
    '',
  ]),
  fault('no-handshake-deadline', connection, 'channels', 'unseen-handshake-deadline', [
    "if (this.state === 'greeting') this.#arm(this.#engine.options.handshakeTimeoutMs);",
    '',
  ]),

  // ── frames ──
  fault('half-frame-delivered', framer, 'wire', 'frame-any-segmentation', [
    'if (this.#have < frame.length) return at;',
    'if (this.#have < HEADER_BYTES) return at;',
  ]),
  fault('last-frame-forgotten', framer, 'wire', 'frame-any-segmentation', [
    'if (start < at && !sink.onFrames(chunk, start, at)) return false;\n    if (at < end)',
    'if (at < end)',
  ]),

  // ── closing ──
  fault('fin-right-behind-bye', states, 'close', 'close-write-side-open', [
    "byeOut: ['byeSent', 'deadline'],",
    "byeOut: ['byeSent', 'finish'],",
  ]),
  fault('no-close-deadline', connection, 'close', 'close-deadline', [
    "if (action === 'deadline') this.#arm(this.#engine.options.closeTimeoutMs);",
    "if (action === 'deadline') return;",
  ]),
  fault('deadline-not-restarted', connection, 'close', 'close-deadline-restarts', [
    'this.#movedAt = performance.now();\n    if (!isDeaf(this.state)) {',
    'if (!isDeaf(this.state)) {',
  ]),
  fault('deadline-runs-while-unread', connection, 'pool', 'pool-deadlines-stand-still', [
    '(this.#paused || restMs >= 1)',
    'restMs >= 1',
  ]),
  fault('bye-overtakes-data', connection, 'close', 'bye-request-queued', [
    'this.#sendQueue.push(frame);\n    if (opCode === OpCode.ByeRequest)',
    'this.#sendQueue.push(frame);\n    for (let n = opCode === OpCode.ByeRequest ? this.#sendQueue.length : 1; n > 1; n--) this.#sendQueue.push(this.#sendQueue.shift()!);\n    if (opCode === OpCode.ByeRequest)',
  ]),
  fault('post-behind-own-bye', postCheck, 'post', 'post-8-own-bye', [
    'if (state === PostChannelState.byePosted) return AmpeStatus.ChannelClosed;',
    '',
  ]),
  fault('quick-look-without-the-id', postCheck, 'post', 'post-3-message-id', [
    'return traits === 0 || (traits === NEEDS_ID && !idIsZero);',
    'return traits === 0 || traits === NEEDS_ID;',
  ]),
  fault('quick-look-at-the-wrong-group', 'engine/channel-table.ts', 'post', 'post-7-other-group', [
    'this.group[channel] === group &&',
    '',
  ]),
  fault('crossed-byes-hang', states, 'close', 'crossed-byes', [
    "data: ['byeSent', 'deliver'],\n    byeRequest: ['finishing', 'deliverFinish'],",
    "data: ['byeSent', 'deliver'],\n    byeRequest: ['answerSentHeard', 'deliver'],",
  ]),
  fault('heard-behind-bye', states, 'close', 'behind-bye-request', [
    "data: ['byeHeard', 'drop'],",
    "data: ['byeHeard', 'deliver'],",
  ]),
  fault('late-post-overtakes-unsent', connection, 'close', 'bye-response-unasked', [
    'if (this.#writing > 0) this.#sendQueue.push(frame);\n      else this.#bringBack(frame);',
    'this.#bringBack(frame);',
  ]),
  fault('graceful-close-resets', connection, 'close', 'close-no-reset', [
    "else if (action === 'finish' || action === 'deliverFinish') this.#finish();",
    "else if (action === 'finish' || action === 'deliverFinish') this.#socket?.reset();",
  ]),
  {
    ...fault('failed-write-ends-reading', net, 'close', 'failed-send-keeps-reading', [
      'this.#writeDone(done);\n        this.#events?.onWritten',
      'done(error);\n        this.#events?.onWritten',
    ]),
    engine: 'fallback-stream',
  },

  // ── listening and connecting ──
  fault('live-listener-stolen', net, 'listeners', 'uds-live-not-stolen', [
    "probe.once('connect', () => answer(false));",
    "probe.once('connect', () => answer(true));",
  ]),
  fault('any-file-removed', net, 'listeners', 'uds-not-a-socket', [
    "if (!before.isSocket()) return this.#fail(AmpeStatus.ListenFailed, 'EADDRINUSE');",
    '',
  ]),
  fault('mode-not-set', net, 'listeners', 'uds-mode', ['fs.chmodSync(path, this.#request.udsMode);', '']),
  fault('real-port-not-told', 'fallback-engine/listener.ts', 'listeners', 'listen-port-zero', [
    "if (endpoint.transport === 'tcp' && endpoint.port !== port) {",
    "if (endpoint.transport === 'uds') {",
  ]),
  fault('one-address-only', net, 'system', 'all-addresses-tried', [
    'if (targets.length > 1) this.#attempt(targets.slice(1));',
    'if (targets.length > 9) this.#attempt(targets.slice(1));',
  ]),
  fault('no-keep-alive', net, 'system', 'keep-alive', [
    'socket.setKeepAlive(true, 1000 * Math.min(Math.ceil(keepAliveMs / 1000), MAX_KEEP_ALIVE_S));',
    '',
  ]),
  fault('keep-alive-rounded-down', net, 'system', 'keep-alive', [
    'Math.ceil(keepAliveMs / 1000)',
    'keepAliveMs / 1000',
  ]),

  // ── pool and backpressure ──
  fault('credit-leaked', pool, 'pool', 'pool-resume', [
    'if (!counted) return;',
    'if (!counted || reader !== null) return;',
  ]),
  fault('slot-leaked', pool, 'unit/engine/pool-slots', 'go round', [
    'this.#free.push(frame);\n      return;',
    'return;',
  ]),
  fault('reserve-forgotten', pool, 'pool', 'pool-reserve', [
    'if (reader.reserveLent) return false;',
    'if (!reader.reserveLent) return false;',
  ]),
  fault('bound-forgotten', pool, 'pool', 'pool-get-pool-only', [
    'return this.#calm ? this.#out < this.max : this.#general() < this.max && this.#waiters.length === 0;',
    'return this.#general() <= this.max;',
  ]),
  fault('waiters-last-in-first-out', pool, 'pool', 'acquire-fifo', [
    'this.#waiters.push(waiter);',
    'this.#waiters.push(waiter);\n    for (let n = this.#waiters.length; n > 1; n--) this.#waiters.push(this.#waiters.shift()!);',
  ]),
  fault('waiters-forgotten', pool, 'pool', 'pool-freed-goes-first', [
    'while (this.#waiters.length > 0 && this.#general() < this.max) {',
    'while (this.#waiters.length > 1 && this.#general() < this.max) {',
  ]),
  fault('returned-still-counts', connection, 'pool', 'pool-engine-messages', ['this.#engine.pool.uncount(frame);', '']),
  fault('quick-credit-past-the-bound', pool, 'unit/engine/pool-credits', 'gives its memory back at once', [
    'if (!this.#calm || this.#out >= this.max) return false;',
    'if (!this.#calm) return false;',
  ]),
  fault('frames-before-mail', mailbox, 'unit/engine/mailbox', 'served in turn', [
    'const quick = this.#mail.length === 0 && this.#ready.length > 0',
    'const quick = this.#ready.length > 0',
  ]),
  fault('turn-without-end', mailbox, 'unit/engine/mailbox', 'after 64 frames', [
    'if (!more || ++this.#turn >= FRAMES_PER_TURN) this.#endTurn(source, more);',
    'if (!more) this.#endTurn(source, more);',
  ]),
  fault('pool-empty-each-time', mailbox, 'pool', 'pool-empty-once', ['if (this.#episode) return null;', '']),
  fault('pool-empty-never-again', mailbox, 'pool', 'pool-empty-once', [
    'frame.reader = this;\n    this.#episode = false;',
    'frame.reader = this;',
  ]),
  fault('not-resumed-by-put', mailbox, 'pool', 'pool-resume', [
    'this.#starving = false;\n    this.#tellReadable();',
    'this.#starving = false;',
  ]),
  fault('socket-not-resumed', connection, 'pool', 'pool-reading-stops', [
    'if (this.#paused && !this.#resumeScheduled && this.#backlog <= BACKLOG_BYTES / 2) this.#resume();',
    '',
  ]),
  fault('backlog-unbounded', connection, 'pool', 'pool-reading-stops', [
    'if (this.#backlog >= BACKLOG_BYTES) this.#pause();',
    'if (this.#backlog < 0) this.#pause();',
  ]),

  // ── ownership and waiting ──
  fault('put-keeps-message-alive', message, 'messages', 'dead-after-put', ['this._frame = null;', '']),
  fault(
    'iterator-survives',
    message,
    'messages',
    'dead-iterator',
    ['message._live();\n    let offset = 0;', 'const kept = message._live();\n    let offset = 0;'],
    ['const frame = message._live(); //', 'const frame = kept; //'],
  ),
  fault('abort-listener-leaked', wait, 'waiting', 'wait-leaves-nothing', [
    "if (this.#onAbort !== undefined) this.#signal!.removeEventListener('abort', this.#onAbort);",
    '',
  ]),
  fault('timer-leaked', wait, 'waiting', 'wait-leaves-nothing', ['clearTimeout(this.#timer);', '']),
  fault('second-receiver-accepted', group, 'waiting', 'wait-second-receiver', [
    'if (this.#group.closed) return rejected(shutdownStarted());\n    if (this.#receive !== null) return rejected',
    'if (this.#group.closed) return rejected(shutdownStarted());\n    if (this.#taken < 0) return rejected',
  ]),
  fault('timers-starved', group, 'waiting', 'no-starvation', [
    'const overdue = this.#isOverdue();\n    //',
    'const overdue = this.#isOverdue() && false;\n    //',
  ]),
  fault('timers-starved-by-for-await', group, 'waiting', 'no-starvation', [
    'const overdue = this.#isOverdue();\n        const message',
    'const overdue = this.#isOverdue() && false;\n        const message',
  ]),
  onNative('calls-taken-for-turns', 'engine/turn-end.ts', 'waiting', 'no-starvation', [
    'if (now - this.#seenAt > TURN_MS) {',
    'if (now < this.#seenAt) {',
  ]),
  onNative('rings-never-postponed', nativeEngine, 'unit/native-engine/looking', 'gives way to others', [
    'if (turns.isOverdue(this.#holds)) {',
    'if (turns.isOverdue(this.#holds) && this.#detached) {',
  ]),

  fault('dead-peer-blocks-its-group', mailbox, 'pool', 'pool-dead-peer', ['this.#engine.reclaimUnsendable();\n', '']),
  fault('broken-connection-unknown', reactor, 'core/engine_test', 'PostsThatCannotBeSentAreSettled', [
    'broken_.push(connection);',
    'static_cast<void>(connection);',
  ]),

  fault('unread-answers-take-the-pool', pool, 'pool', 'pool-fair-share', [
    'unsentAnswers > Math.max(this.left, this.max * LEAST_SHARE, 1)',
    'unsentAnswers > this.max',
  ]),
  fault('holders-not-told', pool, 'unit/engine/pool-credits', 'lets those who hold channels back look again', [
    'for (const reader of holders) reader.reconsider();',
    '',
  ]),
  fault('held-back-while-others-are-busy', mailbox, 'unit/engine/mailbox', 'whenever another one has had its turn', [
    'this.#ready.shift();\n    this.#lookAtHeld();',
    'this.#ready.shift();',
  ]),
  fault('held-back-for-ever', mailbox, 'pool', 'pool-fair-share', [
    'if (ready.length === 0) for (let n = this.#held.length; n > 0; n--) this.#lookAtHeld();',
    '',
  ]),
  fault('sent-answers-still-count', connection, 'pool', 'pool-fair-share', [
    'if (frame.isAnswer) this.#unsentAnswers--;',
    '',
  ]),
  fault('every-post-an-answer', 'engine/frame.ts', 'pool', 'pool-fair-share', [
    'return this.reader !== null && this.generation !== 0;',
    'return true;',
  ]),
  fault('answers-in-vain-not-told', 'native/core/connection.cc', 'core/engine_test', 'AnswersThatCannotBeSent', [
    'if (some) reactor_.tell_answers_ended(group_);',
    '',
  ]),
  fault('answers-to-nobody-still-count', 'native/core/reactor_posts.cc', 'sim/sim_test', 'SimulatedWorld.*/0', [
    '  end_answers(run.channel, block);\n  Group* group',
    '  Group* group',
  ]),

  // ── shutdown ──
  fault('queued-not-returned', mailbox, 'shutdown', 'destroy-group-returns', [
    'if (item instanceof Frame) this.#pool.give(item);',
    '',
  ]),
  fault('receiver-left-waiting', group, 'shutdown', 'destroy-group-rejects-receiver', [
    'onClosed: () => this.#receive?.reject(shutdownStarted()),',
    'onClosed: () => undefined,',
  ]),

  // ── the native engine: its half in TypeScript ──
  fault('end-acknowledged-early', nativeChannel, 'unit/native-engine/channel', 'and not before', [
    'if (this.#first === null) this.#acknowledgeEnd();',
    'this.#acknowledgeEnd();',
  ]),
  onNative('consumed-never-told', nativeChannel, 'channels', 'order', ['this.#engine.acknowledge(this, taken);', '']),
  fault('late-post-dropped', nativeChannel, 'unit/native-engine/channel', 'comes back in order', [
    'else (this.#late ??= new Queue<Frame>()).push(frame);',
    'else this.#engine.pool.give(frame);',
  ]),
  fault('late-post-without-reason', nativeChannel, 'unit/native-engine/channel', 'comes back in order', [
    'frame.status = this.#lateStatus;',
    '',
  ]),
  fault('taken-acknowledged-late', nativeChannel, 'unit/native-engine/channel', 'taken bytes are acknowledged', [
    'if (this.#taken >= ACKNOWLEDGE_BYTES)',
    'if (this.#taken > 2 * ACKNOWLEDGE_BYTES)',
  ]),
  onNative('settled-lost', nativeEngine, 'pool', 'pool-send-counts', ['if (count > 0) this.pool.settle(count);', '']),
  onNative('number-never-given-back', nativeEngine, 'groups', 'max-channels', [
    'this.#staging.command(Command.forget, number, generation, 0);',
    '',
  ]),
  fault('look-never-continued', nativeEngine, 'unit/native-engine/looking', 'until it is decided', [
    'else if (look === LookResult.undecided) this.#spinSoon();',
    '',
  ]),
  fault('batches-stay-large', 'native-engine/staging.ts', 'unit/native-engine/staging', 'begins with a small batch', [
    'this.flush();\n    this.#flushAt = FIRST_FRAMES;',
    'this.flush();',
  ]),
  fault('batches-never-grow', 'native-engine/staging.ts', 'unit/native-engine/staging', 'in growing batches', [
    'this.#flushAt = nextBatch(this.#flushAt);',
    '',
  ]),
  fault('first-posts-wait', engine, 'unit/fallback-engine/pace', 'in growing batches', [
    'this.flush();\n      this.#flushAt = FIRST_FRAMES;',
    'this.flush();',
  ]),
  onNative('waits-without-parking', nativeEngine, 'channels', 'order', [
    'if (this.#binding.park(this.#port)) {',
    'if (this.#port > 0) {',
  ]),
  onNative('not-parked-again', nativeEngine, 'groups', 'groups-apart', [
    'this.#wantCredits();\n    this.#park();',
    'this.#wantCredits();',
  ]),
  onItsThread('group-closed-too-soon', nativeEngine, 'shutdown', 'destroy-group-frees-addresses', [
    'this.#closing.set(group.id, resolve);',
    'resolve();',
  ]),
  onNative('returned-counts-no-more', inbox, 'pool', 'pool-returned-counts', [
    'frame.counted = frame.countsUntilTaken = records[record + 6] === 1;',
    '',
  ]),
  onNative('wait-begins-behind-the-end', group, 'lifecycle/engines', 'whatever looks or waits', [
    '      // The look may have brought the news; nobody tells it twice.\n      if (this.#group.closed) return rejected(shutdownStarted());\n',
    '',
  ]),
  fault('message-taken-from-nowhere', mailbox, 'unit/engine/mailbox', 'the end of the engine may come', [
    'return this.#choose() && this.#pool.takeForReading(this);',
    'this.#choose();\n    return this.#pool.takeForReading(this);',
  ]),
  fault('slab-reused-while-live', 'native-engine/slab.ts', 'unit/native-engine/slab', 'an empty slab', [
    'if (slab.live === 0) slab.at = 0;',
    'slab.at = 0;',
  ]),

  // ── the native engine: its core ──
  fault('engine-not-woken', port, 'core/engine_test', 'HoldsAWholeDialog', [
    'queue_.publish();\n  wake_engine();\n  return true;\n}\n\n/** It costs nothing',
    'queue_.publish();\n  return true;\n}\n\n/** It costs nothing',
  ]),
  fault('doorbell-not-rung', port, 'core/port_test', 'RingsOnceForEachPark', ['wake = wake || inbox->parked;', '']),
  fault('parked-over-something', port, 'core/port_test', 'RefusesToParkOverSomethingUndrained', [
    'if (!inbox->events.empty()) return false;',
    '',
  ]),
  fault('credits-asked-for-once', port, 'core/port_test', 'AsksForCreditsAnewWhenItWasWokenForNothing', [
    'auto arrived = [&] {\n    credits_wanted_.store(true, std::memory_order_seq_cst);\n',
    'credits_wanted_.store(true, std::memory_order_seq_cst);\n  auto arrived = [&] {\n',
  ]),
  fault(
    'body-of-the-frame-before',
    'engine/frame.ts',
    'unit/native-engine/slab',
    'a frame has what lies at its place',
    [
      'this.bodyMemory = memory;\n      this.bodyAt = bodyAt;\n      this.#view = null;',
      'this.bodyMemory = memory;\n      this.bodyAt = bodyAt;',
    ],
  ),
  fault('posted-block-not-counted', 'native/core/reactor_posts.cc', 'sim/sim_test', 'SimulatedWorld.*/0', [
    'port->blocks++;',
    '',
  ]),
  fault(
    'packing-believes-lengths',
    'native/core/host_frame.h',
    'core/host_frame_test',
    'LengthsThatAreNotThose',
    ['if (length - at < place) return 0;\n', ''],
    ['return at == length ? static_cast<size_t>(to - begin) : 0;', 'return static_cast<size_t>(to - begin);'],
  ),
  fault(
    'sleeper-not-woken-for-a-timer',
    'native/core/reactor.cc',
    'core/engine_test',
    'WakesTheSleeperForWhatIsDueSooner',
    ['sleeps_until_ms_ = 0;\n  shared_.kernel.poller->wake();', 'sleeps_until_ms_ = 0;'],
  ),
  fault('inline-send-overtakes-queue', port, 'sim/sim_test', 'SimulatedWorld.*/0', [
    'if (run_count > kInlineRuns || !queue_.all_consumed()) return false;',
    'if (run_count > kInlineRuns) return false;',
  ]),
  fault('cut-frame-overtaken', port, 'sim/sim_test', 'SimulatedWorld.*/0', [
    'sent.of_next > 0 ? GateState::partial : GateState::open;',
    'GateState::open;',
  ]),
  fault('blocks-in-wrong-order', 'native/core/send_queue.cc', 'sim/sim_test', 'SimulatedWorld.*/0', [
    'blocks_.push(block);',
    'blocks_.push_front(block);',
  ]),
  fault('tail-in-wrong-order', 'native/core/channel.cc', 'sim/sim_test', 'SimulatedWorld.*/0', [
    'tail_.push(block);',
    'tail_.push_front(block);',
  ]),
  fault(
    'returned-without-engine-origin',
    'native/core/channel.cc',
    'core/engine_test',
    'ReturnsWhatIsUnsentWhenAborted',
    ['frame[kAtFlags] = flags | kOriginBit;', 'frame[kAtFlags] = flags;'],
  ),
  fault('unstarted-sockets-forgotten', reactor, 'core/port_test', 'CountsItsSocketsAndTellsTheLast', [
    'for (uint32_t i = group->unstarted.load(std::memory_order_relaxed); i > 0; i--) group->port->note_socket_closed();',
    '',
  ]),
  fault('looks-while-it-should-rest', 'native/core/spinner.h', 'core/spinner_test', 'RestsWhereTheMachineIsBusy', [
    'not_before_ns_ = now + kRestNs;',
    '',
  ]),
  fault('looks-without-a-stop', 'native/core/port.cc', 'core/engine_test', 'AThreadThatLooksStopsForAMoment', [
    'std::min(left_ns, kLookNs)',
    'left_ns',
  ]),
  fault('fresh-numbers-last', 'native/core/shared.cc', 'core/channel_numbers_test', 'HandsOutNeverUsedOnesFirst', [
    'if (fresh_ <= kLastChannel) {',
    'if (released_count_ == 0 && fresh_ <= kLastChannel) {',
  ]),
  fault('origin-of-peer-believed', 'native/protocol/framer.h', 'protocol/framer_test', 'Sanitise', [
    'frame[kAtFlags] &= kWireMask;',
    'frame[kAtFlags] &= kWireMask | kOriginBit;',
  ]),
];
