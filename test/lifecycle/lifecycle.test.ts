// How processes end that use the package: by themselves when nothing is open, not while something is, and with the
// exit code they would have without it, whatever traffic runs. Each program is a process of its own.

import { backends, killAll, runChild as runWith, type Child } from './child';

// Each wait has its own shorter deadline, whose text is better than jest's.
jest.setTimeout(70_000);

afterEach(killAll);

/** Both ends in one process: a served listener, and a client with an open channel. */
const CONNECTED = `
  const reactor = Reactor.create();
  const ampe = reactor.ampe();
  const server = ampe.create();
  const address = await listen(ampe, server);
  const serving = serve(ampe, server);
  const group = ampe.create();
  const channel = await connect(ampe, group, address);`;

/** Requests go out and answers come in for ever. */
const TRAFFIC = `
  ${CONNECTED}
  (async () => {
    for (let answered = 0; ; answered++) {
      for (let i = 0; i < 32; i++) send(ampe, group, channel, 'x'.repeat(5000));
      for (let left = 32; left > 0; left--) ampe.put(await group.waitReceive());
      if (answered === 20) console.log('traffic');
    }
  })();`;

/** Waits for the test's word on stdin, which does not keep the process alive afterwards. */
const WORD = `
  const word = () => new Promise((resolve) => process.stdin.once('data', () => { process.stdin.destroy(); resolve(); }));`;

describe.each(backends)('on the %s engine', (backend) => {
  const runChild = (program: string): Child => runWith(program, { backend });

  describe('a process ends by itself', () => {
    const programs: Record<string, string> = {
      'that only loaded the package': '',
      'with an engine and a group that nobody uses': `Reactor.create().ampe().create();`,
      'with messages taken and not returned': `const ampe = Reactor.create().ampe(); ampe.get(); await ampe.acquire();`,
      'with updates that nobody receives': `Reactor.create().ampe().create().updateReceiver();`,
      'after destroying an engine with a connection': `${CONNECTED} await reactor.destroy(); await serving;`,
      'after destroying its groups, the engine left alone': `
        ${CONNECTED} await ampe.destroy(group); await ampe.destroy(server); await serving;`,
      'after a wait that timed out': `await Reactor.create().ampe().create().waitReceive(5);`,
      'after a refused connect and a refused listen': `
        const ampe = Reactor.create().ampe();
        const group = ampe.create();
        for (const [opCode, name] of [[OpCode.HelloRequest, '~connect_to'], [OpCode.WelcomeRequest, '~listen_on']]) {
          const message = ampe.get();
          message.opCode = opCode;
          message.textHeaders.append(name, 'nonsense');
          group.post(message);
          ampe.put(await group.waitReceive());
          ampe.put(await group.waitReceive());
        }`,
      'unreferenced, with a listener open': `
        const reactor = Reactor.create();
        const ampe = reactor.ampe();
        await listen(ampe, ampe.create());
        reactor.unref();`,
      'unreferenced from the start, with a receiver and an acquire that wait': `
        const ampe = Reactor.create({ maxPoolMsgs: 1 }).unref().ampe();
        void ampe.create().waitReceive();
        ampe.get();
        void ampe.acquire();`,
      'unreferenced, while a receiver and an acquire wait with a timeout': `
        const reactor = Reactor.create({ maxPoolMsgs: 1 });
        const ampe = reactor.ampe();
        void ampe.create().waitReceive(600_000);
        ampe.get();
        void ampe.acquire({ timeoutMs: 600_000 });
        reactor.unref();`,
      'unreferenced, with a connection, a receiver and traffic': `
        ${TRAFFIC}
        const look = setInterval(() => {
          if (ampe.stats().messagesIn < 1_000n) return;
          clearInterval(look);
          reactor.unref();
        }, 5);`,
      'unreferenced while a graceful close waits for its peer': `
        const net = require('node:net');
        const { once } = require('node:events');
        const silent = net.createServer((socket) => socket.unref()).listen(0, '127.0.0.1');
        await once(silent, 'listening');
        const reactor = Reactor.create({ closeTimeoutMs: 600_000, connectTimeoutMs: 600_000 });
        const ampe = reactor.ampe();
        const group = ampe.create();
        const hello = ampe.get();
        new TcpClientAddress('127.0.0.1', silent.address().port).format(hello);
        const { channelNumber } = group.post(hello);
        const bye = ampe.get();
        bye.opCode = OpCode.ByeRequest;
        bye.channelNumber = channelNumber;
        group.post(bye);
        await once(silent, 'connection');
        silent.close();
        silent.unref();
        reactor.unref();`,
    };
    test.each(Object.entries(programs))('%s', async (_name, program) => {
      const end = await runChild(program).ended;
      expect(end).toMatchObject({ code: 0, signal: null, stderr: '' });
    });
  });

  describe('a process stays alive', () => {
    // Each prints 'ready', and ends on the test's word only by destroying the engine: nothing else held it.
    const programs: Record<string, string> = {
      'while a receiver waits': `
        const reactor = Reactor.create();
        reactor.ampe().create().waitReceive().catch(() => console.log('ended'));`,
      'while an acquire waits': `
        const reactor = Reactor.create({ maxPoolMsgs: 1 });
        reactor.ampe().get();
        reactor.ampe().acquire().catch(() => console.log('ended'));`,
      'while a listener is open': `
        const reactor = Reactor.create();
        await listen(reactor.ampe(), reactor.ampe().create());
        process.once('exit', () => console.log('ended'));`,
      'while a channel is open': `
        ${CONNECTED}
        process.once('exit', () => console.log('ended'));`,
      'when it was unreferenced and referenced again': `
        const reactor = Reactor.create().unref();
        reactor.ampe().create().waitReceive().catch(() => console.log('ended'));
        reactor.ref();`,
    };
    test.each(Object.entries(programs))('%s', async (_name, program) => {
      // stdin is unreferenced: it does not hold the process, but its end is heard while something else does.
      const child = runChild(`
        ${program}
        process.stdin.once('data', () => { console.log('word'); void reactor.destroy(); });
        process.stdin.unref();
        console.log('ready');`);
      await child.printed('ready');
      child.process.stdin!.write('end\n');
      await child.printed('word');
      expect(await child.ended).toMatchObject({ code: 0, signal: null, stderr: '' });
      expect((await child.ended).stdout).toContain('ended');
    });

    test('while a channel is open whose frames nobody takes', async () => {
      const server = runChild(`
        const net = require('node:net');
        const frame = Buffer.alloc(16 + 60000);
        frame.writeBigUInt64BE(1n, 4);
        frame.writeUInt16BE(60000, 14);
        const flood = net.createServer((socket) => {
          socket.on('error', () => {});
          socket.resume();
          for (let i = 0; i < 400; i++) socket.write(frame);
        });
        flood.listen(0, '127.0.0.1', () => console.log('port ' + flood.address().port + ';'));`);
      await server.printed(';');
      const port = Number(/port (\d+);/.exec(server.printedText)![1]);
      const client = runChild(`
        const reactor = Reactor.create();
        const ampe = reactor.ampe();
        const group = ampe.create();
        const hello = ampe.get();
        new TcpClientAddress('127.0.0.1', ${port}).format(hello);
        group.post(hello);
        await group.waitReceive();
        process.stdin.once('data', () => { console.log('word'); void reactor.destroy(); });
        process.stdin.unref();
        // When the flood has filled what is kept, nothing but the unread channel is left.
        let before = 0n;
        let still = 0;
        const look = setInterval(() => {
          const { bytesIn } = ampe.stats();
          still = bytesIn > 0n && bytesIn === before ? still + 1 : 0;
          before = bytesIn;
          if (still < 5) return;
          clearInterval(look);
          console.log('ready');
        }, 20);`);
      await client.printed('ready');
      client.process.stdin!.write('end\n');
      await client.printed('word');
      expect(await client.ended).toMatchObject({ code: 0, stderr: '' });
    });

    test('until what is unsent is in the kernel', async () => {
      const reader = runChild(`
        const net = require('node:net');
        let bytes = 0;
        const server = net.createServer((socket) => {
          socket.pause();
          socket.on('data', (chunk) => (bytes += chunk.length));
          socket.on('error', () => {});
          socket.on('close', () => { console.log('bytes ' + bytes); server.close(); });
          process.stdin.once('data', () => { process.stdin.destroy(); socket.resume(); });
        });
        server.listen(0, '127.0.0.1', () => console.log('port ' + server.address().port + ';'));`);
      await reader.printed(';');
      const port = Number(/port (\d+);/.exec(reader.printedText)![1]);
      const writer = runChild(`
        const ampe = Reactor.create({ closeTimeoutMs: 300 }).ampe();
        const group = ampe.create();
        const hello = ampe.get();
        new TcpClientAddress('127.0.0.1', ${port}).format(hello);
        const { channelNumber } = group.post(hello);
        for (let i = 0; i < 400; i++) send(ampe, group, channelNumber, 'x'.repeat(60000));
        const bye = ampe.get();
        bye.opCode = OpCode.ByeRequest;
        bye.channelNumber = channelNumber;
        group.post(bye);
        console.log('posted');`);
      await writer.printed('posted');
      reader.process.stdin!.write('read\n');
      // The reader neither answers the Bye nor closes: the close deadline ends the channel, and so the process.
      expect(await writer.ended).toMatchObject({ code: 0, stderr: '' });
      const { stdout } = await reader.ended;
      expect(Number(/bytes (\d+)/.exec(stdout)![1])).toBeGreaterThan(400 * 60016);
    });
  });

  describe('with traffic running', () => {
    test('process.exit ends it with its code', async () => {
      const child = runChild(`${WORD} ${TRAFFIC} await word(); process.exit(7);`);
      await child.printed('traffic');
      child.process.stdin!.write('exit\n');
      expect(await child.ended).toMatchObject({ code: 7, signal: null, stderr: '' });
    });

    test('an uncaught exception ends it with 1 and its trace', async () => {
      const child = runChild(
        `${WORD} ${TRAFFIC} await word(); setImmediate(() => { throw new Error('thrown on purpose'); });`,
      );
      await child.printed('traffic');
      child.process.stdin!.write('throw\n');
      const end = await child.ended;
      expect(end).toMatchObject({ code: 1, signal: null });
      expect(end.stderr).toContain('thrown on purpose');
    });

    test('an exception in the receiver is an unhandled rejection, no silence', async () => {
      const child = runChild(`${CONNECTED}
        send(ampe, group, channel);
        for await (const message of group) throw new Error('thrown by the receiver');`);
      const end = await child.ended;
      expect(end).toMatchObject({ code: 1, signal: null });
      expect(end.stderr).toContain('thrown by the receiver');
    });

    test.each(['SIGTERM', 'SIGINT', 'SIGKILL'] as const)('%s ends it', async (signal) => {
      const child = runChild(TRAFFIC);
      await child.printed('traffic');
      child.process.kill(signal);
      expect(await child.ended).toMatchObject({ code: null, signal, stderr: '' });
    });

    test('a handler of SIGTERM runs although the receiver is always busy, and may shut down gracefully', async () => {
      const child = runChild(`
        process.once('SIGTERM', async () => { await reactor.destroy(); console.log('destroyed'); process.exitCode = 3; });
        process.on('unhandledRejection', (error) => { if (error.code !== 'ERR_AMPE_SHUTDOWN_STARTED') throw error; });
        ${TRAFFIC}`);
      await child.printed('traffic');
      child.process.kill('SIGTERM');
      const end = await child.ended;
      expect(end).toMatchObject({ code: 3, signal: null, stderr: '' });
      expect(end.stdout).toContain('destroyed');
    });
  });
});
