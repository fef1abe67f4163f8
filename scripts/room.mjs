// room.mjs: where the packed package is tried: a folder with an empty HOME, a PATH of links to what is allowed, and an environment made
// from nothing, so that no compiler, no configuration and no earlier install of this machine helps. With a gate for the network.
// Invariant: nothing outside the room's folder is written by what runs in it, and nothing of this repository is on its paths.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

/** How a user's own certificates of the registry are found; nothing else of the environment gets into a room. */
const CERTIFICATES = ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR'];

/**
 * A proxy that connects to one host only and writes down who else was asked for. What does not use a proxy is not noticed, but what
 * installs packages or downloads headers does. `upstream`: the proxy this machine needs itself, if it does.
 */
export async function openGate(allowedHost, upstream = process.env.HTTPS_PROXY || process.env.https_proxy) {
  const refused = [];
  let allowed = 0;
  const server = http.createServer((request, response) => {
    refused.push(request.url ?? '');
    response.writeHead(403).end();
  });
  server.on('connect', (request, client) => {
    client.on('error', () => client.destroy());
    const target = new URL(`tcp://${request.url}`);
    if (target.hostname !== allowedHost) {
      refused.push(request.url);
      client.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      return;
    }
    allowed++;
    const through = upstream ? new URL(upstream) : target;
    const onward = net.connect(Number(through.port || 443), through.hostname, () => {
      if (upstream) onward.write(`CONNECT ${request.url} HTTP/1.1\r\nHost: ${request.url}\r\n\r\n`);
      else client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      onward.pipe(client);
      client.pipe(onward);
    });
    onward.on('error', () => client.destroy());
    client.on('close', () => onward.destroy());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** What was asked for and not allowed. */
    refused,
    /** How many connections there were to the allowed host. */
    allowed: () => allowed,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

export class Room {
  constructor(name) {
    this.folder = mkdtempSync(path.join(os.tmpdir(), `ampe-room-${name}-`));
    this.project = path.join(this.folder, 'project');
    this.path = path.join(this.folder, 'bin');
    this.home = path.join(this.folder, 'home');
    for (const folder of [this.project, this.path, this.home]) mkdirSync(folder);
    this.write('package.json', '{ "name": "room", "version": "1.0.0", "private": true }\n');
  }
  /** A command that what runs here may find. */
  link(name, file) {
    symlinkSync(file, path.join(this.path, name));
  }
  write(name, text) {
    writeFileSync(path.join(this.project, name), text);
  }
  remove() {
    rmSync(this.folder, { recursive: true, force: true });
  }
  /** Runs a command in the project; resolves to { code, stdout, stderr }, `code` being the signal's name for one that was killed. */
  run([command, ...args], { environment = {}, timeoutMs = 120_000 } = {}) {
    const certificates = CERTIFICATES.filter((name) => process.env[name]).map((name) => [name, process.env[name]]);
    const env = {
      ...Object.fromEntries(certificates),
      ...{ PATH: this.path, HOME: this.home, NPM_CONFIG_USERCONFIG: '/dev/null', NO_COLOR: '1', ...environment },
    };
    return new Promise((resolve, reject) => {
      const child = spawn(command, args, { cwd: this.project, env, stdio: ['ignore', 'pipe', 'pipe'] });
      const output = { stdout: '', stderr: '' };
      for (const name of ['stdout', 'stderr']) child[name].on('data', (text) => (output[name] += text));
      const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
      child.on('error', reject);
      child.on('close', (code, signal) => {
        clearTimeout(timer);
        resolve({ code: code ?? signal, ...output });
      });
    });
  }
}
