// native.test.ts: what the C++ sources may include, and habits that no compiler knows. The counterpart of imports.test.ts.
// A layer includes itself and those before it; the kernel is seen in os/ only, Node in addon/ only.
import { filesBelow, textOf } from './files';

const LAYERS = ['base', 'protocol', 'os', 'core', 'addon'];
/** As the linter allows the files of lib/. */
const MAX_LINES = 600;

/** Headers that only some files may have, by the place that may: a file, or a folder. */
const RESERVED: readonly (readonly [headers: RegExp, where: readonly string[]])[] = [
  [/^(?:node_api|js_native_api|napi|napi-inl|node|uv|v8)\.h$/, ['native/addon/']],
  [/^(?:errno\.h|cerrno)$/, ['native/os/']],
  [/^sys\/epoll\.h$/, ['native/os/epoll_poller.cc']],
  [/^sys\/event\.h$/, ['native/os/kqueue_poller.cc']],
  [/^(?:sys\/)?poll\.h$/, ['native/os/poll_poller.cc']],
  [
    /^(?:sys\/(?:socket|un|uio|stat|ioctl|eventfd)|unistd|fcntl|netdb|net\/.*|netinet\/.*|arpa\/.*)\.h$/,
    ['native/os/'],
  ],
];

const sources = filesBelow('native').filter((file) => /\.(?:cc|h)$/.test(file));
const layerOf = (file: string): string => file.split('/')[1];

interface Include {
  name: string;
  ours: boolean;
}
function includesOf(text: string): Include[] {
  const found = text.matchAll(/^[ \t]*#[ \t]*include(?:_next)?[ \t]*([<"])([^>"\n]+)[>"]/gm);
  return [...found].map(([, bracket, name]) => ({ name, ours: bracket === '"' }));
}

/** What the file includes and must not. */
function violations(file: string, text: string): string[] {
  const rank = LAYERS.indexOf(layerOf(file));
  const isAllowed = ({ name, ours }: Include): boolean => {
    const layer = LAYERS.indexOf(name.split('/')[0]);
    // By its path from native/, which says the layer.
    if (ours) return layer >= 0 && layer <= rank;
    return RESERVED.every(([headers, where]) => !headers.test(name) || where.some((place) => file.startsWith(place)));
  };
  return includesOf(text)
    .filter((include) => !isAllowed(include))
    .map(({ name }) => `${file} includes ${name}`);
}

describe('include rules of the native layers', () => {
  it('hold for every source', () => {
    expect(sources).not.toEqual([]);
    expect(sources.flatMap((file) => violations(file, textOf(file)))).toEqual([]);
  });

  it('know the layer of every source', () => {
    expect(sources.filter((file) => !LAYERS.includes(layerOf(file)) || file.split('/').length !== 3)).toEqual([]);
  });

  it('leave errno to os/', () => {
    const readers = sources.filter((file) => /\berrno\b/.test(withoutComments(textOf(file))));
    expect(readers.filter((file) => layerOf(file) !== 'os')).toEqual([]);
  });

  it.each([
    ['native/base/fifo.h', '#include "core/event.h"'],
    ['native/protocol/framer.cc', '#include "os/sockets.h"'],
    ['native/os/sockets.cc', '#include "core/shared.h"'],
    ['native/core/port.cc', '#include "addon/env_doorbell.h"'],
    ['native/core/port.cc', '#include "port.h"'],
    ['native/core/port.cc', '#include <node_api.h>'],
    ['native/core/port.h', '# include <napi.h>'],
    ['native/core/reactor.cc', '#include <cerrno>'],
    ['native/core/reactor.cc', '#include <errno.h>'],
    ['native/core/reactor.cc', '#include <sys/socket.h>'],
    ['native/core/reactor.cc', '#include <sys/epoll.h>'],
    ['native/os/poller.cc', '#include <sys/epoll.h>'],
    ['native/os/epoll_poller.cc', '#include <poll.h>'],
    ['native/os/poll_poller.cc', '#include <sys/event.h>'],
    ['native/addon/addon.cc', '#include <sys/un.h>'],
  ])('notice %s: %s', (file, text) => {
    expect(violations(file, text)).toHaveLength(1);
  });
});

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '');
}

describe('native sources', () => {
  // Stand-ins for headers of the system are named as these are.
  const tests = filesBelow('test/native').filter((file) => /\.(?:cc|h)$/.test(file) && !file.includes('/sys/'));
  const all = [...sources, ...tests];

  it('begin with a header comment that names the file', () => {
    const without = all.filter((file) => !textOf(file).startsWith(`// ${file.slice(file.lastIndexOf('/') + 1)}: `));
    expect(without).toEqual([]);
  });

  it('are named in snake_case', () => {
    expect(all.filter((file) => !/^[a-z0-9_/]+\.(?:cc|h)$/.test(file))).toEqual([]);
  });

  it('guard their headers by `#pragma once`', () => {
    const headers = all.filter((file) => file.endsWith('.h'));
    expect(headers.filter((file) => textOf(file).match(/^#pragma once$/gm)?.length !== 1)).toEqual([]);
  });

  it(`have at most ${MAX_LINES} lines`, () => {
    const linesOf = (file: string): number => textOf(file).split('\n').length - 1;
    const long = sources.filter((file) => linesOf(file) > MAX_LINES);
    expect(long.map((file) => `${file}: ${linesOf(file)} lines`)).toEqual([]);
  });

  it('end with a newline and have neither tabs nor carriage returns', () => {
    expect(all.filter((file) => !textOf(file).endsWith('\n') || /[\t\r]/.test(textOf(file)))).toEqual([]);
  });

  it('throw nothing and let no container grow', () => {
    // Where a peer decides how much there is, memory is asked for by malloc or new (std::nothrow), and may be refused.
    const throwing = /\b(?:throw|try|catch|dynamic_cast)\b|std::(?:vector|deque|map|unordered_map|list|set)\b/;
    const core = sources.filter((file) => layerOf(file) !== 'addon');
    expect(core.filter((file) => throwing.test(withoutComments(textOf(file))))).toEqual([]);
  });
});
