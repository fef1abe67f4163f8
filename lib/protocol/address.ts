// address.ts: where to connect to and where to listen, as objects and as the text of an address header.
// Layer: protocol. Looks at the form of an address only: whether a name resolves, a path exists or the platform has the
// transport is found out by an engine. Works on any object shaped like a message.
// Invariant: an address object always prints as text that parses back to an equal one.

import { AmpeError, invalidArgument } from './ampe-error';
import { CONNECT_TO, LISTEN_ON } from './constants';
import { OpCode } from './op-code';
import { AmpeStatus } from './status';

const DEFAULT_HOST = '127.0.0.1';
const DEFAULT_PORT = 7099;
const MAX_PORT = 65_535;
/** NI_MAXHOST without its NUL: no resolver takes a longer name. */
const MAX_HOST_BYTES = 1024;
/** sun_path less its NUL: 108 bytes on Linux, 104 on macOS and the BSDs. */
const MAX_PATH_BYTES_LINUX = 107;
const MAX_PATH_BYTES_ELSEWHERE = 103;

/** What an address object needs of a message; every Message has it. */
export interface AddressableMessage {
  /** Becomes HelloRequest or WelcomeRequest. */
  opCode: OpCode;
  /** Get the address as their only field. */
  readonly textHeaders: {
    get(name: string): string | undefined;
    append(name: string, value: string): unknown;
    reset(): unknown;
  };
}

/** A parsed address text. An empty host is left empty: what it means depends on who uses it. */
export type Endpoint = { transport: 'tcp'; host: string; port: number } | { transport: 'uds'; path: string };

/**
 * A TCP address to listen on.
 * @see docs/PROTOCOL.md section 1, Addresses
 */
export class TcpServerAddress {
  /** Name, IPv4 or IPv6 literal; `''`: all interfaces. */
  readonly host: string;
  /** 0 to 65535; 0: any free port, told by the WelcomeResponse. */
  readonly port: number;

  /**
   * @param host name, IPv4 literal or IPv6 literal without brackets; `''`: all interfaces; default `127.0.0.1`
   * @param port 0 to 65535, default 7099; 0 takes a free port
   * @throws {@link AmpeError} `wrong_address` for a host or port that cannot be one
   * @throws TypeError `ERR_INVALID_ARG_TYPE` for a host that is no string or a port that is no number
   */
  constructor(host: string = DEFAULT_HOST, port: number = DEFAULT_PORT) {
    this.host = checkedHost(host);
    this.port = checkedPort(port, 0);
  }

  /**
   * Makes a message the order to listen here: opcode WelcomeRequest, and `~listen_on` as its only text header.
   * @param message an owned message; channel number, id and body stay as they are
   * @throws {@link AmpeError} `null_message` when the message is no longer owned
   */
  format(message: AddressableMessage): void {
    formatAddress(message, OpCode.WelcomeRequest, LISTEN_ON, this.toString());
  }

  /** The text of the address header, e.g. `tcp|127.0.0.1|7099`. */
  toString(): string {
    return `tcp|${this.host}|${this.port}`;
  }
}

/**
 * A TCP address to connect to.
 * @see docs/PROTOCOL.md section 1, Addresses
 */
export class TcpClientAddress {
  /** Name, IPv4 or IPv6 literal; `''`: 127.0.0.1. */
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;

  /**
   * @param host name, IPv4 literal or IPv6 literal without brackets; `''` and default: `127.0.0.1`
   * @param port 1 to 65535, default 7099
   * @throws {@link AmpeError} `wrong_address` for a host or port that cannot be one
   * @throws TypeError `ERR_INVALID_ARG_TYPE` for a host that is no string or a port that is no number
   */
  constructor(host: string = DEFAULT_HOST, port: number = DEFAULT_PORT) {
    this.host = checkedHost(host);
    this.port = checkedPort(port, 1);
  }

  /**
   * Makes a message the order to connect there: opcode HelloRequest, and `~connect_to` as its only text header. More
   * headers and a body may be added behind it; they travel to the peer.
   * @param message an owned message; channel number, id and body stay as they are
   * @throws {@link AmpeError} `null_message` when the message is no longer owned
   */
  format(message: AddressableMessage): void {
    formatAddress(message, OpCode.HelloRequest, CONNECT_TO, this.toString());
  }

  /** The text of the address header, e.g. `tcp|127.0.0.1|7099`. */
  toString(): string {
    return `tcp|${this.host}|${this.port}`;
  }
}

/**
 * A Unix socket to listen on.
 * @see docs/PROTOCOL.md section 1, Addresses
 */
export class UdsServerAddress {
  /** Path of the socket file, or `@NAME` in the abstract namespace of Linux. */
  readonly path: string;

  /**
   * @param path at most 107 bytes of UTF-8 on Linux, 103 on macOS and BSD; `@NAME`: abstract namespace, Linux only
   * @throws {@link AmpeError} `wrong_address` for an empty or too long path, NUL or line ends, blanks at either end
   * @throws TypeError `ERR_INVALID_ARG_TYPE` for a path that is no string
   */
  constructor(path: string) {
    this.path = checkedPath(path);
  }

  /**
   * Makes a message the order to listen here: opcode WelcomeRequest, and `~listen_on` as its only text header.
   * @param message an owned message; channel number, id and body stay as they are
   * @throws {@link AmpeError} `null_message` when the message is no longer owned
   */
  format(message: AddressableMessage): void {
    formatAddress(message, OpCode.WelcomeRequest, LISTEN_ON, this.toString());
  }

  /** The text of the address header, e.g. `uds|/run/app.sock`. */
  toString(): string {
    return `uds|${this.path}`;
  }
}

/**
 * A Unix socket to connect to.
 * @see docs/PROTOCOL.md section 1, Addresses
 */
export class UdsClientAddress {
  /** Path of the socket file, or `@NAME` in the abstract namespace of Linux. */
  readonly path: string;

  /**
   * @param path at most 107 bytes of UTF-8 on Linux, 103 on macOS and BSD; `@NAME`: abstract namespace, Linux only
   * @throws {@link AmpeError} `wrong_address` for an empty or too long path, NUL or line ends, blanks at either end
   * @throws TypeError `ERR_INVALID_ARG_TYPE` for a path that is no string
   */
  constructor(path: string) {
    this.path = checkedPath(path);
  }

  /**
   * Makes a message the order to connect there: opcode HelloRequest, and `~connect_to` as its only text header. More
   * headers and a body may be added behind it; they travel to the peer.
   * @param message an owned message; channel number, id and body stay as they are
   * @throws {@link AmpeError} `null_message` when the message is no longer owned
   */
  format(message: AddressableMessage): void {
    formatAddress(message, OpCode.HelloRequest, CONNECT_TO, this.toString());
  }

  /** The text of the address header, e.g. `uds|/run/app.sock`. */
  toString(): string {
    return `uds|${this.path}`;
  }
}

/** Any of the four address classes. */
export type Address = TcpServerAddress | TcpClientAddress | UdsServerAddress | UdsClientAddress;

/** Reading addresses out of messages. */
export const Address = {
  /**
   * The address a message carries: of a Hello the one in `~connect_to`, of a Welcome the one in `~listen_on` (in a
   * WelcomeResponse with the real port), of any other message the first of the two headers it has.
   * @param message an owned message
   * @returns a client or a server address, or null when the header is missing or its text is no such address
   * @throws {@link AmpeError} `null_message` when the message is no longer owned
   * @see docs/PROTOCOL.md section 1, Addresses
   */
  parse(message: AddressableMessage): Address | null {
    const { opCode, textHeaders } = checkedMessage(message);
    const mayListen = opCode !== OpCode.HelloRequest && opCode !== OpCode.HelloResponse;
    const mayConnect = opCode !== OpCode.WelcomeRequest && opCode !== OpCode.WelcomeResponse;
    const connectTo = mayConnect ? textHeaders.get(CONNECT_TO) : undefined;
    if (connectTo !== undefined) return clientAddress(connectTo);
    const listenOn = mayListen ? textHeaders.get(LISTEN_ON) : undefined;
    return listenOn === undefined ? null : serverAddress(listenOn);
  },
};

function clientAddress(text: string): Address | null {
  const endpoint = parseText(text);
  if (endpoint === null) return null;
  if (endpoint.transport === 'uds') return new UdsClientAddress(endpoint.path);
  return endpoint.port === 0 ? null : new TcpClientAddress(endpoint.host, endpoint.port);
}

function serverAddress(text: string): Address | null {
  const endpoint = parseText(text);
  if (endpoint === null) return null;
  if (endpoint.transport === 'uds') return new UdsServerAddress(endpoint.path);
  return new TcpServerAddress(endpoint.host, endpoint.port);
}

/**
 * Parses the text of an address header for an engine. Port 0 is left to the caller: only a listener may have it.
 * @param text e.g. `tcp|127.0.0.1|7099`
 * @param platform as in process.platform
 * @returns null for anything that is no address, or one of a transport this platform does not have
 * @see docs/PROTOCOL.md section 1, Addresses
 */
export function parseEndpoint(text: string, platform: string = process.platform): Endpoint | null {
  const endpoint = parseText(text, platform);
  if (endpoint?.transport !== 'uds') return endpoint;
  if (platform === 'win32') return null;
  return endpoint.path.startsWith('@') && platform !== 'linux' ? null : endpoint;
}

function parseText(text: string, platform: string = process.platform): Endpoint | null {
  if (text.startsWith('uds|')) {
    const path = text.slice('uds|'.length);
    return pathFault(path, platform) === null ? { transport: 'uds', path } : null;
  }
  const parts = text.split('|');
  if (parts.length !== 3 || parts[0] !== 'tcp') return null;
  const [, host, digits] = parts;
  // One spelling per port, so that an address prints as it was written.
  if (hostFault(host) !== null || !/^(?:0|[1-9][0-9]{0,4})$/.test(digits)) return null;
  const port = Number(digits);
  return port > MAX_PORT ? null : { transport: 'tcp', host, port };
}

function hostFault(host: string): string | null {
  if (/[|\r\n\0]/.test(host)) return 'the host has "|", a line end or NUL in it';
  if (/[[\]]/.test(host)) return 'an IPv6 literal is written without brackets';
  if (hasOuterBlanks(host)) return 'the host begins or ends with a blank';
  return Buffer.byteLength(host) > MAX_HOST_BYTES ? `the host is longer than ${MAX_HOST_BYTES} bytes` : null;
}

function pathFault(path: string, platform: string): string | null {
  if (path === '' || path === '@') return 'the path is empty';
  if (/[\r\n\0]/.test(path)) return 'the path has a line end or NUL in it';
  if (hasOuterBlanks(path)) return 'the path begins or ends with a blank';
  // An abstract name exists on Linux only; its '@' stands for the NUL in front, so it is counted.
  const most = platform === 'linux' || path.startsWith('@') ? MAX_PATH_BYTES_LINUX : MAX_PATH_BYTES_ELSEWHERE;
  const length = Buffer.byteLength(path);
  return length > most ? `the path takes ${length} bytes, at most ${most} fit` : null;
}

function hasOuterBlanks(text: string): boolean {
  return /^[ \t]|[ \t]$/.test(text);
}

function checkedHost(host: string): string {
  if (typeof host !== 'string') throw invalidArgument('host', 'a string', host);
  const fault = hostFault(host);
  if (fault !== null) throw wrongAddress(fault);
  return host;
}

function checkedPort(port: number, least: number): number {
  if (typeof port !== 'number') throw invalidArgument('port', 'a number', port);
  if (!Number.isInteger(port) || port < least || port > MAX_PORT) {
    throw wrongAddress(`the port must be an integer from ${least} to ${MAX_PORT}, not ${port}`);
  }
  return port;
}

function checkedPath(path: string): string {
  if (typeof path !== 'string') throw invalidArgument('path', 'a string', path);
  const fault = pathFault(path, process.platform);
  if (fault !== null) throw wrongAddress(fault);
  return path;
}

function checkedMessage(message: AddressableMessage): AddressableMessage {
  // The headers of a message that is not owned throw null_message: they are not looked at here.
  if (typeof message !== 'object' || message === null || !('textHeaders' in message))
    throw invalidArgument('message', 'a Message', message);
  return message;
}

function formatAddress(message: AddressableMessage, opCode: OpCode, name: string, text: string): void {
  checkedMessage(message).opCode = opCode;
  message.textHeaders.reset();
  message.textHeaders.append(name, text);
}

function wrongAddress(why: string): AmpeError {
  return new AmpeError(AmpeStatus.WrongAddress, `wrong_address: ${why}`);
}
